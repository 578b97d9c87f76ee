import type { ChatRequest, ToolChoice } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, type JsonObject, text } from '../../json/json.ts'
import { customInput } from '../anthropic/blocks.ts'

export type Functions = {
  tools: JsonObject[]
  /** Freeform tools, which are sent as functions of one text. */
  custom: Set<string>
  /** One of them has to be called. */
  must: boolean
}

/**
 * Tools for a provider that knows plain functions and no choice by name: those that may not be called are not sent,
 * which comes to the same.
 */
export function encodeFunctions({ tools, toolChoice }: ChatRequest, dropped: string[]): Functions {
  const only = namesIn(toolChoice)
  const custom = new Set<string>()
  const sent = tools.flatMap((tool): JsonObject[] => {
    if (tool.type === 'server') {
      dropped.push(`tools.${text(tool.value.type) ?? Object.keys(tool.value)[0] ?? tool.wire}`)
      return []
    }
    const { name, description } = tool
    if (only && !only.has(name)) return []
    if (tool.type === 'custom') custom.add(name)
    const parameters = tool.type === 'custom' ? freeform : (tool.schema ?? nothing)
    return [
      {
        type: 'function',
        function: compact({ name, description: description || undefined, parameters }),
      },
    ]
  })
  if (only && sent.length === 0 && tools.length > 0)
    throw new GatewayError(
      'bad_request',
      `tool_choice names ${[...only].map((name) => `'${name.slice(0, 100)}'`).join(', ')}, but there is no such tool in tools: add it, or choose another`,
      { param: 'tool_choice' },
    )
  return { tools: sent, custom, must: sent.length > 0 && isForced(toolChoice) }
}

function namesIn(choice: ToolChoice | undefined): ReadonlySet<string> | undefined {
  if (typeof choice !== 'object') return undefined
  return new Set('name' in choice ? [choice.name] : choice.names)
}

const isForced = (choice: ToolChoice | undefined): boolean =>
  choice === 'required' ||
  (typeof choice === 'object' && ('name' in choice || choice.mode === 'required'))

const nothing: JsonObject = { type: 'object', properties: {} }
const freeform: JsonObject = {
  type: 'object',
  properties: { [customInput]: { type: 'string', description: 'The whole input, as plain text.' } },
  required: [customInput],
}
