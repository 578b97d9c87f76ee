import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'

/** Flags for `anthropic-beta`: what in a body the API takes only when the header names it (SDK 1.12, 2026-11). */
export function betasOf(body: JsonObject, files: boolean): Set<string> {
  const betas = new Set<string>()
  for (const tool of list(body.tools)) {
    const flag = isObject(tool) ? ofTools[text(tool.type) ?? ''] : undefined
    if (flag) betas.add(flag)
  }
  if (files) betas.add('files-api-2025-04-14')
  if (list(body.mcp_servers).length > 0) betas.add(betas.has(mcp) ? mcp : 'mcp-client-2025-04-04')
  if (isObject(body.context_management)) {
    const compacts = (edit: unknown) => text(object(edit).type)?.startsWith('compact_') ?? false
    const edits = list(body.context_management.edits)
    if (edits.some(compacts)) betas.add('compact-2026-01-12')
    if (edits.length === 0 || !edits.every(compacts)) betas.add('context-management-2025-06-27')
  }
  if (isObject(body.compaction)) betas.add('compact-2026-09-04')
  if (body.speed === 'fast') betas.add('fast-mode-2026-02-01')
  if (isObject(body.output_format)) betas.add('structured-outputs-2025-11-13')
  if (object(body.output_config).task_budget !== undefined) betas.add('task-budgets-2026-03-13')
  if (Array.isArray(body.fallbacks)) betas.add('server-side-fallback-2026-07-01')
  if (isObject(body.thread)) betas.add('message-threads-2026-08-12')
  const thinking = object(body.thinking)
  if (thinking.display === 'updates') betas.add('thinking-display-updates-2026-08-18')
  if (isObject(thinking.block_binding)) betas.add('thinking-binding-controls-2026-08-01')
  for (const message of list(body.messages)) {
    if (!isObject(message) || message.role !== 'system') continue
    if (message.clear_at !== undefined) betas.add('mid-conversation-system-clear-at-2026-08-21')
    if (message.output_config !== undefined) betas.add('mid-conversation-output-config-2026-07-01')
    if (
      list(message.content).some((block) =>
        /^tool_(?:addition|removal)$/.test(text(object(block).type) ?? ''),
      )
    )
      betas.add('mid-conversation-tool-changes-2026-07-01')
  }
  return betas
}

const mcp = 'mcp-client-2025-11-20'
const ofTools: Record<string, string> = {
  computer_20241022: 'computer-use-2024-10-22',
  bash_20241022: 'computer-use-2024-10-22',
  text_editor_20241022: 'computer-use-2024-10-22',
  computer_20250124: 'computer-use-2025-01-24',
  computer_20251124: 'computer-use-2025-11-24',
  advisor_20260301: 'advisor-tool-2026-03-01',
  mcp_toolset: mcp,
}
