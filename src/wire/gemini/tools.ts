import type { ChatRequest, FunctionTool, Tool } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import type { Notes } from '../wire.ts'
import type { Abilities } from './abilities.ts'
import { cleanJsonSchema } from './json-schema.ts'
import { at, camelOf } from './keys.ts'
import { createToolNames, type ToolNames } from './names.ts'
import { customInput } from './parts.ts'
import { createRoom, encodeParameters, type Room } from './schema.ts'

export type Toolbox = {
  names: ToolNames
  tools: JsonObject[]
  config?: JsonObject
  dropped: string[]
  unsupported: string[]
  /** A form of the answer cannot be asked for beside these functions. */
  withoutOutput?: true
  /** What reading the answer needs to know. */
  notes: Pick<Notes, 'outputTool' | 'outputKey' | 'customTools'>
}

/** LiteLLM's name for the tool whose input is the answer. */
const outputTool = 'json_tool_call'

/** Functions, the tools Google runs, what may be called, and structured output where it cannot stand beside functions. */
export function encodeTools(request: ChatRequest, abilities: Abilities): Toolbox {
  const { toolChoice } = request
  const box: Toolbox = {
    names: createToolNames([outputTool]),
    tools: [],
    dropped: [],
    unsupported: [],
    notes: {},
  }
  const room = createRoom()
  const functions = encodeFunctions(request, box, abilities, room)
  const servers = encodeServerTools(request, functions.length > 0, abilities, box.dropped)
  // Before Gemini 3 a JSON answer cannot be asked for beside functions, so it becomes one of them.
  const unformatted = functions.length > 0 && !abilities.third && isStructured(request)
  const asTool = unformatted && !isNamed(toolChoice)
  if (unformatted && !asTool) {
    // The answer is to be the call of a function, which has its own form.
    box.dropped.push('response_format')
    box.withoutOutput = true
  }
  if (asTool) functions.push(encodeOutputTool(request, box, abilities, room))
  if (functions.length > 0) box.tools.push({ functionDeclarations: functions })
  box.tools = [...box.tools, ...servers]
  const config = compact({
    ...object(at(request.extras, 'toolConfig')),
    functionCallingConfig: functions.length > 0 ? encodeChoice(request, box, asTool) : undefined,
    // Without it the API refuses the two kinds beside each other.
    includeServerSideToolInvocations:
      functions.length > 0 && servers.length > 0 && abilities.third ? true : undefined,
  })
  if (Object.keys(config).length > 0) box.config = config
  if (request.parallelTools === false && functions.length > 1 && toolChoice !== 'none')
    box.unsupported.push('parallel_tool_calls')
  return box
}

const isNamed = (choice: ChatRequest['toolChoice']): boolean =>
  typeof choice === 'object' && 'name' in choice

const isStructured = ({ output }: ChatRequest): boolean =>
  output !== undefined && output.type !== 'text'

function encodeFunctions(
  request: ChatRequest,
  box: Toolbox,
  abilities: Abilities,
  room: Room,
): JsonObject[] {
  const { toolChoice } = request
  const only =
    typeof toolChoice === 'object' && 'names' in toolChoice ? new Set(toolChoice.names) : undefined
  const customTools = new Set<string>()
  const declared = new Set<string>()
  const functions = request.tools.flatMap((tool): JsonObject[] => {
    if (tool.type === 'server' || (only && !only.has(tool.name))) return []
    const name = box.names.of(tool.name)
    // Declared twice is refused.
    if (declared.has(name)) return []
    declared.add(name)
    if (tool.type === 'function') {
      if (tool.strict === true) box.dropped.push('tools.strict')
      return [encodeFunction(tool, name, abilities, room)]
    }
    customTools.add(name)
    return [encodeCustom(tool, name)]
  })
  if (customTools.size > 0) box.notes.customTools = customTools
  return functions
}

function encodeFunction(
  tool: FunctionTool,
  name: string,
  abilities: Abilities,
  room: Room,
): JsonObject {
  return compact({
    name,
    description: tool.description || undefined,
    ...encodeInput(tool.schema, abilities, room),
    behavior: tool.extras?.behavior,
    response: tool.extras?.response,
    responseJsonSchema: tool.extras?.responseJsonSchema,
  })
}

/** `parameters` where it says everything, since every API version knows it; the newer field keeps what it would lose. */
function encodeInput(
  schema: JsonObject | undefined,
  { jsonSchema }: Abilities,
  room: Room,
): JsonObject {
  if (schema === undefined) return {}
  const encoded = encodeParameters(schema, room)
  if (!encoded.exact && jsonSchema && isBag(schema))
    return { parametersJsonSchema: cleanJsonSchema(schema) }
  return { parameters: encoded.schema }
}

const isBag = ({ type, properties }: JsonObject): boolean =>
  type === 'object' || type === 'OBJECT' || isObject(properties)

/** A freeform tool becomes a function of one text; its grammar can only be told in words. */
function encodeCustom(tool: Extract<Tool, { type: 'custom' }>, name: string): JsonObject {
  const grammar = text(tool.format?.definition) ?? text(object(tool.format?.grammar).definition)
  const description = [tool.description, grammar && `The text follows this grammar:\n${grammar}`]
    .filter(Boolean)
    .join('\n\n')
  return compact({
    name,
    description: description || undefined,
    parameters: {
      type: 'OBJECT',
      properties: {
        [customInput]: { type: 'STRING', description: 'The whole input, as plain text.' },
      },
      required: [customInput],
    },
  })
}

function encodeOutputTool(
  { output }: ChatRequest,
  box: Toolbox,
  abilities: Abilities,
  room: Room,
): JsonObject {
  box.notes.outputTool = outputTool
  const declared = (schema: JsonObject | undefined, description?: string): JsonObject =>
    compact({
      name: outputTool,
      description: description ?? 'Gives the final answer in the form asked for.',
      ...encodeInput(schema, abilities, room),
    })
  if (output?.type !== 'schema') return declared({ type: 'object', additionalProperties: true })
  if (isBag(output.schema)) return declared(output.schema, output.description)
  // A function's input is an object, so a list or a plain value travels inside one.
  box.notes.outputKey = 'value'
  const { schema } = output
  const wrapped = { type: 'object', properties: { value: schema }, required: ['value'] }
  return declared(wrapped, output.description)
}

function encodeChoice(
  { toolChoice: choice }: ChatRequest,
  { names }: Toolbox,
  asTool: boolean,
): JsonObject | undefined {
  if (asTool)
    // One of them has to be called: a tool, or the answer.
    return choice === 'none' ? { mode: 'ANY', allowedFunctionNames: [outputTool] } : { mode: 'ANY' }
  if (choice === undefined) return undefined
  if (choice === 'auto') return { mode: 'AUTO' }
  if (choice === 'none') return { mode: 'NONE' }
  if (choice === 'required') return { mode: 'ANY' }
  if ('name' in choice) return { mode: 'ANY', allowedFunctionNames: [names.of(choice.name)] }
  return choice.mode === 'required'
    ? { mode: 'ANY', allowedFunctionNames: choice.names.map((name) => names.of(name)) }
    : { mode: 'AUTO' }
}

/**
 * Tools that Google runs, in Google's words or in those of a dialect with the like of them. Before Gemini 3 they cannot
 * stand beside functions: then those of other dialects give way, and Google's own are left for the API to judge.
 */
function encodeServerTools(
  request: ChatRequest,
  hasFunctions: boolean,
  { third }: Abilities,
  dropped: string[],
): JsonObject[] {
  const tools: JsonObject[] = []
  const add = (name: string, said: JsonObject): void => {
    if (!tools.some((tool) => name in tool)) tools.push({ [name]: said })
  }
  const foreign = (name: string | undefined, said: string): void => {
    if (name === undefined || (hasFunctions && !third)) dropped.push(said)
    else add(name, {})
  }
  for (const tool of request.tools) {
    if (tool.type !== 'server') continue
    const own = Object.entries(tool.value).filter(([key]) => ownTools.has(camelOf(key)))
    for (const [key, said] of own) add(camelOf(key), object(said))
    if (tool.wire === 'gemini' && own.length === 0) tools.push(tool.value)
    else if (own.length === 0) {
      const type = text(tool.value.type) ?? Object.keys(tool.value)[0] ?? tool.wire
      foreign(alike.find(([words]) => words.test(type))?.[1], `tools.${type}`)
      // Where to look cannot be said.
      for (const field of ['allowed_domains', 'blocked_domains'])
        if (list(tool.value[field] ?? object(tool.value.filters)[field]).length > 0)
          dropped.push(`tools.${type}.${field}`)
    }
  }
  if (request.webSearch) foreign('googleSearch', 'web_search_options')
  return tools
}

/** Of Tool (@google/genai 3.1). */
const ownTools = new Set(
  `googleSearch googleSearchRetrieval urlContext codeExecution googleMaps computerUse enterpriseWebSearch
  retrieval fileSearch exaAiSearch parallelAiSearch mcpServers functionDeclarations`.split(/\s+/),
)

/** Other dialects' tools by the beginning of their type. */
const alike: readonly (readonly [words: RegExp, name: string])[] = [
  [/^web_search/, 'googleSearch'],
  [/^web_fetch/, 'urlContext'],
  [/^(?:code_execution|code_interpreter)/, 'codeExecution'],
]
