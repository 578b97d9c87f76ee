import type { ChatRequest, FunctionTool, Tool, ToolChoice } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, object, text } from '../../json/json.ts'
import type { Notes } from '../wire.ts'
import type { Abilities } from './abilities.ts'
import { customInput, encodeCache } from './blocks.ts'
import { createToolNames, type ToolNames } from './names.ts'
import { strictSchema, toolSchema } from './schema.ts'

export type Toolbox = {
  names: ToolNames
  tools: JsonObject[]
  choice?: JsonObject
  /** `output_config.format` */
  format?: JsonObject
  dropped: string[]
  /** What reading the answer needs to know. */
  notes: Pick<Notes, 'outputTool' | 'outputKey' | 'customTools'>
}

/** LiteLLM's name for the tool whose input is the answer. */
const outputTool = 'json_tool_call'

/** Tools, what may be called, and structured output, which older models only know as a forced tool. */
export function encodeTools(request: ChatRequest, abilities: Abilities): Toolbox {
  const dropped: string[] = []
  const strict = strictBudget()
  const servers = request.tools.flatMap((tool) => encodeServerTool(tool, abilities, dropped))
  if (request.webSearch) servers.push(encodeWebSearch(request.webSearch))
  const format = encodeFormat(request, abilities)
  const unformatted = format === undefined && isStructured(request)
  const asTool = unformatted && !isNamed(request.toolChoice)
  // The answer is to be the call of a tool, which has its own form.
  if (unformatted && !asTool) dropped.push('response_format')
  const names = createToolNames([
    ...servers.flatMap((tool) => text(tool.name) ?? []),
    ...(asTool ? [outputTool] : []),
  ])
  const { toolChoice } = request
  const only =
    typeof toolChoice === 'object' && 'names' in toolChoice ? new Set(toolChoice.names) : undefined
  let customTools: Set<string> | undefined
  const tools = request.tools.flatMap((tool): JsonObject[] => {
    if (tool.type === 'server' || (only && !only.has(tool.name))) return []
    const name = names.of(tool.name)
    if (tool.type === 'function') return [encodeFunction(tool, name, abilities, strict, dropped)]
    customTools ??= new Set()
    customTools.add(name)
    return [encodeCustom(tool, name)]
  })
  tools.push(...servers)
  const box: Toolbox = { names, tools, dropped, notes: {} }
  if (customTools) box.notes.customTools = customTools
  if (format) box.format = format
  const choice = encodeChoice(request, names, tools.length > 0)
  if (asTool) {
    const { tool, key } = encodeOutputTool(request)
    box.notes.outputTool = outputTool
    if (key !== undefined) box.notes.outputKey = key
    // Beside other tools the model may still call those first.
    const others = tools.length > 0 && toolChoice !== 'none'
    tools.push(tool)
    box.choice = others ? { ...choice, type: 'any' } : { type: 'tool', name: outputTool }
  } else if (choice) box.choice = choice
  if (!abilities.forcedTools && isForced(box.choice)) {
    if (!asTool) dropped.push('tool_choice')
    box.choice = compact({ ...box.choice, type: 'auto', name: undefined })
  }
  return box
}

export const isForced = (choice: JsonObject | undefined): boolean =>
  choice?.type === 'any' || choice?.type === 'tool'

const isNamed = (choice: ToolChoice | undefined): boolean =>
  typeof choice === 'object' && 'name' in choice

const isStructured = ({ output }: ChatRequest): boolean =>
  output !== undefined && output.type !== 'text'

function encodeFormat({ output }: ChatRequest, { schemas }: Abilities): JsonObject | undefined {
  if (!schemas || output?.type !== 'schema') return undefined
  const schema = strictSchema(output.schema)?.schema
  return schema && { type: 'json_schema', schema }
}

function encodeOutputTool({ output }: ChatRequest): { tool: JsonObject; key?: string } {
  const named = (
    input_schema: JsonObject,
    description = 'Gives the final answer in the form asked for.',
  ) => ({
    name: outputTool,
    description,
    input_schema,
  })
  if (output?.type !== 'schema')
    return { tool: named({ type: 'object', properties: {}, additionalProperties: true }) }
  const { schema, description } = output
  const isBag = schema.type === undefined || schema.type === 'object' || schema.type === 'OBJECT'
  if (isBag) return { tool: named(toolSchema(schema), description) }
  // A tool's input is an object, so a list or a plain value travels inside one.
  return {
    tool: named(
      toolSchema({ type: 'object', properties: { value: schema }, required: ['value'] }),
      description,
    ),
    key: 'value',
  }
}

function encodeChoice(
  request: ChatRequest,
  names: ToolNames,
  any: boolean,
): JsonObject | undefined {
  if (!any) return undefined
  const { toolChoice: choice, parallelTools } = request
  const serial = parallelTools === false ? { disable_parallel_tool_use: true } : {}
  if (choice === undefined) return parallelTools === false ? { type: 'auto', ...serial } : undefined
  if (choice === 'none') return { type: 'none' }
  if (typeof choice === 'string') return { type: choice === 'required' ? 'any' : 'auto', ...serial }
  if ('name' in choice) return { type: 'tool', name: names.of(choice.name), ...serial }
  return { type: choice.mode === 'required' ? 'any' : 'auto', ...serial }
}

function encodeFunction(
  tool: FunctionTool,
  name: string,
  { schemas }: Abilities,
  strict: StrictBudget,
  dropped: string[],
): JsonObject {
  const closed =
    tool.strict === true && schemas && tool.schema ? strict.take(tool.schema) : undefined
  if (tool.strict === true && closed === undefined) dropped.push('tools.strict')
  return compact({
    name,
    description: tool.description || undefined,
    input_schema: closed ?? toolSchema(tool.schema),
    strict: closed ? true : undefined,
    ...ownExtras(tool.extras),
    cache_control: encodeCache(tool.cache),
  })
}

const ownExtras = (extras: JsonObject = {}): JsonObject => ({
  defer_loading: extras.defer_loading,
  input_examples: extras.input_examples,
  eager_input_streaming: extras.eager_input_streaming,
  allowed_callers: extras.allowed_callers,
})

type StrictBudget = { take(schema: JsonObject): JsonObject | undefined }

/** The API compiles so much and no more in one request (structured outputs, schema limits, 2026-11). */
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
  return compact({
    name,
    description: description || undefined,
    input_schema: {
      type: 'object',
      properties: {
        [customInput]: { type: 'string', description: 'The whole input, as plain text.' },
      },
      required: [customInput],
    },
  })
}

function encodeServerTool(tool: Tool, abilities: Abilities, dropped: string[]): JsonObject[] {
  if (tool.type !== 'server') return []
  const type = text(tool.value.type) ?? ''
  // Anthropic's tools have a date in their type, whichever dialect brought them here.
  if (tool.wire === 'anthropic' || /_20\d{6}$/.test(type) || ownTools.has(type)) return [tool.value]
  if (
    searches.test(type) ||
    isObject(tool.value.google_search) ||
    isObject(tool.value.googleSearch)
  ) {
    if (abilities.webSearch) return [encodeWebSearch(tool.value)]
  }
  dropped.push(`tools.${type || Object.keys(tool.value)[0] || tool.wire}`)
  return []
}

const ownTools = new Set(['mcp_toolset', 'tool_search_tool_regex', 'tool_search_tool_bm25'])
/** OpenAI's `web_search`, `web_search_preview` and their dated names. */
const searches = /^web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2})?$/

/** OpenAI's web search, in chat (`web_search_options`) or Responses (a tool). */
function encodeWebSearch(options: JsonObject): JsonObject {
  const location = object(options.user_location)
  const place = isObject(location.approximate) ? location.approximate : location
  const domains = object(options.filters).allowed_domains
  const uses = searchUses[text(options.search_context_size) ?? '']
  return compact({
    type: 'web_search_20250305',
    name: 'web_search',
    max_uses: uses,
    allowed_domains: Array.isArray(domains) && domains.length > 0 ? domains : undefined,
    user_location: Object.keys(place).some((key) => key !== 'type')
      ? compact({
          type: 'approximate',
          city: text(place.city),
          region: text(place.region),
          country: text(place.country),
          timezone: text(place.timezone),
        })
      : undefined,
  })
}
/** LiteLLM's reading of OpenAI's search_context_size. */
const searchUses: Record<string, number> = { low: 1, medium: 5, high: 10 }
