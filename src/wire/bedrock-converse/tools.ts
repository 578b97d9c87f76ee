import type { ChatRequest, FunctionTool, Tool, ToolChoice } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, object, text } from '../../json/json.ts'
import { customInput } from '../anthropic/blocks.ts'
import { strictSchema } from '../anthropic/schema.ts'
import type { Notes } from '../wire.ts'
import { encodeCache } from './blocks.ts'
import type { Powers } from './family.ts'
import { createToolNames, type ToolNames } from './names.ts'
import { encodeSchema } from './schema.ts'

export type Toolbox = {
  names: ToolNames
  /** `toolConfig.tools`: specifications and the cache points behind them. */
  tools: JsonObject[]
  choice?: JsonObject
  /** `outputConfig.textFormat` */
  format?: JsonObject
  /** Claude's own tools, beside the others in `additionalModelRequestFields`. */
  claudeTools: JsonObject[]
  /** One call at a time: Claude's word for it. */
  serial: boolean
  unsupported: string[]
  dropped: string[]
  /** What reading the answer needs to know. */
  notes: Pick<Notes, 'outputTool' | 'outputKey' | 'customTools'>
}

/** LiteLLM's name for the tool whose input is the answer. */
const outputTool = 'json_tool_call'

/** Tools, what may be called, and structured output, which many models only know as a forced tool. */
export function encodeTools(request: ChatRequest, powers: Powers): Toolbox {
  const { toolChoice, output } = request
  const format = encodeFormat(request, powers)
  const isStructured = output !== undefined && output.type !== 'text'
  const isNamed = typeof toolChoice === 'object' && 'name' in toolChoice
  const unformatted = format === undefined && isStructured
  const asTool = unformatted && !isNamed
  const box: Toolbox = {
    names: createToolNames(asTool ? [outputTool] : []),
    tools: [],
    claudeTools: [],
    serial: request.parallelTools === false && powers.serialTools,
    unsupported: [],
    dropped: [],
    notes: {},
    ...(format && { format }),
  }
  // The answer is to be the call of a tool, which has its own form.
  if (unformatted && !asTool) box.dropped.push('response_format')
  const only =
    typeof toolChoice === 'object' && 'names' in toolChoice ? new Set(toolChoice.names) : undefined
  const customTools = new Set<string>()
  const strict = strictBudget()
  for (const tool of request.tools) {
    if (tool.type === 'server') addServerTool(tool, box, powers)
    else if (only && !only.has(tool.name)) continue
    else if (tool.type === 'function') box.tools.push(...encodeFunction(tool, box, powers, strict))
    else {
      const name = box.names.of(tool.name)
      customTools.add(name)
      box.tools.push(encodeCustom(tool, name))
    }
  }
  if (request.webSearch) addWebSearch(box, powers)
  if (customTools.size > 0) box.notes.customTools = customTools
  if (request.parallelTools === false && !powers.serialTools && box.tools.length > 0)
    box.dropped.push('parallel_tool_calls')
  const choice = encodeChoice(toolChoice, box)
  if (asTool) {
    const others = box.tools.length > 0 && toolChoice !== 'none'
    addOutputTool(request, box, powers)
    // Beside other tools the model may still call those first.
    box.choice = others ? { any: {} } : { tool: { name: outputTool } }
  } else if (choice) box.choice = choice
  if (isForced(box.choice) && !powers.forcedTools) {
    if (!asTool) {
      // Claude's newest think first and cannot be forced; of others the row says that they take no choice at all.
      if (powers.family === 'claude') box.dropped.push('tool_choice')
      else box.unsupported.push('tool_choice')
    }
    delete box.choice
  }
  return box
}

export const isForced = (choice: JsonObject | undefined): boolean =>
  choice?.any !== undefined || choice?.tool !== undefined

/** `none` has no spelling: the tools are left out then, by whoever knows whether the history needs them. */
function encodeChoice(
  choice: ToolChoice | undefined,
  { tools, names }: Toolbox,
): JsonObject | undefined {
  if (choice === undefined || choice === 'none' || tools.length === 0) return undefined
  if (choice === 'auto') return { auto: {} }
  if (choice === 'required') return { any: {} }
  if ('name' in choice) return { tool: { name: names.of(choice.name) } }
  return choice.mode === 'required' ? { any: {} } : { auto: {} }
}

/** Claude's spelling of a choice, where it also says that calls come one at a time. */
export function serialChoice(choice: JsonObject | undefined): JsonObject {
  const serial = { disable_parallel_tool_use: true }
  if (choice?.tool !== undefined) return { type: 'tool', name: object(choice.tool).name, ...serial }
  return { type: choice?.any !== undefined ? 'any' : 'auto', ...serial }
}

function encodeFormat({ output }: ChatRequest, { schemas }: Powers): JsonObject | undefined {
  if (!schemas || output?.type !== 'schema') return undefined
  const schema = strictSchema(output.schema)?.schema
  if (!schema) return undefined
  const name = output.name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64)
  const jsonSchema = compact({
    schema: JSON.stringify(schema),
    name: name || undefined,
    description: output.description || undefined,
  })
  return { type: 'json_schema', structure: { jsonSchema } }
}

function addOutputTool({ output }: ChatRequest, box: Toolbox, { family }: Powers): void {
  box.notes.outputTool = outputTool
  const add = (schema: JsonObject, description = 'Gives the final answer in the form asked for.') =>
    box.tools.push({
      toolSpec: {
        name: outputTool,
        description,
        inputSchema: { json: encodeSchema(schema, family) },
      },
    })
  if (output?.type !== 'schema') {
    add({ type: 'object', properties: {}, additionalProperties: true })
    return
  }
  const { schema, description } = output
  const isBag = schema.type === undefined || schema.type === 'object' || schema.type === 'OBJECT'
  if (isBag) add(schema, description)
  else {
    // A tool's input is an object, so a list or a plain value travels inside one.
    box.notes.outputKey = 'value'
    const { $defs, definitions, ...value } = schema
    add(
      compact({ type: 'object', properties: { value }, required: ['value'], $defs, definitions }),
      description,
    )
  }
}

function encodeFunction(
  tool: FunctionTool,
  { names, dropped }: Toolbox,
  powers: Powers,
  strict: StrictBudget,
): JsonObject[] {
  const closed =
    tool.strict === true && powers.strictTools && tool.schema ? strict.take(tool.schema) : undefined
  if (tool.strict === true && closed === undefined) dropped.push('tools.strict')
  const toolSpec = compact({
    name: names.of(tool.name),
    description: tool.description?.trim() ? tool.description : undefined,
    inputSchema: { json: closed ?? encodeSchema(tool.schema, powers.family) },
    strict: closed ? true : undefined,
  })
  return [{ toolSpec }, ...(powers.cacheTools ? encodeCache(tool.cache, powers) : [])]
}

type StrictBudget = { take(schema: JsonObject): JsonObject | undefined }

/** The grammar holds so much and no more in one request (platform.claude.com, structured outputs, 2026-11). */
function strictBudget(): StrictBudget {
  const left = { tools: 20, optional: 24, unions: 16 }
  return {
    take(schema) {
      const said = strictSchema(schema)
      if (!said || left.tools === 0 || said.optional > left.optional || said.unions > left.unions)
        return undefined
      left.tools--
      left.optional -= said.optional
      left.unions -= said.unions
      return said.schema
    },
  }
}

/** A freeform tool becomes a function of one text; its grammar can only be told in words. */
function encodeCustom(tool: Extract<Tool, { type: 'custom' }>, name: string): JsonObject {
  const grammar = text(tool.format?.definition) ?? text(object(tool.format?.grammar).definition)
  const description = [tool.description, grammar && `The text follows this grammar:\n${grammar}`]
    .filter(Boolean)
    .join('\n\n')
  const input = { type: 'string', description: 'The whole input, as plain text.' }
  return {
    toolSpec: compact({
      name,
      description: description || undefined,
      inputSchema: {
        json: { type: 'object', properties: { [customInput]: input }, required: [customInput] },
      },
    }),
  }
}

/** Bedrock's own tools, and those of Claude's that run on the client's side. */
function addServerTool(
  { wire, value }: Extract<Tool, { type: 'server' }>,
  box: Toolbox,
  powers: Powers,
): void {
  const type = text(value.type) ?? ''
  if (isObject(value.systemTool)) box.tools.push({ systemTool: value.systemTool })
  else if (wire === 'bedrock-converse') box.tools.push(value)
  else if (claudeTool.test(type) && (powers.family === 'claude' || powers.family === 'unnamed'))
    box.claudeTools.push(value)
  else if (searches.test(type)) addWebSearch(box, powers, `tools.${type}`)
  else box.dropped.push(`tools.${type || Object.keys(value)[0] || wire}`)
}

/** Those that run on the client's side; Anthropic's servers are not there to run the others. */
export const claudeTool =
  /^(?:computer|bash|text_editor|memory|tool_search_tool_(?:regex|bm25))_20\d{6}$/
const searches = /^web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2}|_20\d{6})?$/

/** Nova searches by itself; nobody else on Bedrock does. */
function addWebSearch(box: Toolbox, { family }: Powers, name = 'web_search_options'): void {
  if (family === 'nova' || family === 'nova-2')
    box.tools.push({ systemTool: { name: 'nova_grounding' } })
  else if (name === 'web_search_options') box.unsupported.push(name)
  else box.dropped.push(name)
}

/** Flags that Claude wants beside its own tools. */
export const betaOfTool: Record<string, string | undefined> = {
  computer_20241022: 'computer-use-2024-10-22',
  bash_20241022: 'computer-use-2024-10-22',
  text_editor_20241022: 'computer-use-2024-10-22',
  computer_20250124: 'computer-use-2025-01-24',
  bash_20250124: 'computer-use-2025-01-24',
  text_editor_20250124: 'computer-use-2025-01-24',
  computer_20251124: 'computer-use-2025-11-24',
  memory_20250818: 'context-management-2025-06-27',
  tool_search_tool_regex_20251119: 'tool-search-tool-2025-10-19',
  tool_search_tool_bm25_20251119: 'tool-search-tool-2025-10-19',
}
