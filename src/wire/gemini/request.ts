import type {
  ChatRequest,
  Effort,
  FunctionTool,
  Message,
  OutputFormat,
  Part,
  Reasoning,
  Tool,
  ToolChoice,
} from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  bool,
  isObject,
  type Json,
  type JsonObject,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeSchema } from './json-schema.ts'
import { at, lookUp, restOf } from './keys.ts'
import { decodeParts, type IdOfCall, type IdOfResult } from './parts.ts'

/** Fields of the body that the house models; the others travel in `extras`, under their JSON names. */
const modelled = new Set(
  'model stream contents systemInstruction tools toolConfig generationConfig'.split(' '),
)
const modelledOfConfig = new Set(
  `maxOutputTokens temperature topP topK seed candidateCount stopSequences presencePenalty frequencyPenalty
  responseLogprobs logprobs responseMimeType responseSchema responseJsonSchema responseModalities
  thinkingConfig`.split(/\s+/),
)
const modelledOfCalling = new Set(['mode', 'allowedFunctionNames'])

export function decodeRequest(body: JsonObject): ChatRequest {
  const config = object(at(body, 'generationConfig'))
  const request: ChatRequest = {
    model: text(body.model) ?? '',
    messages: [
      ...decodeSystem(at(body, 'systemInstruction')),
      ...decodeContents(at(body, 'contents')),
    ],
    tools: decodeTools(body.tools),
    stream: body.stream === true,
    // Gemini's streams always tell the usage.
    streamUsage: true,
    extras: restOf(body, modelled) ?? {},
  }
  const take = <K extends keyof ChatRequest>(key: K, value: ChatRequest[K] | undefined) => {
    if (value !== undefined) request[key] = value
  }
  const count = (name: string): number | undefined => readNumber(config, name)
  take('maxTokens', count('maxOutputTokens'))
  take('temperature', count('temperature'))
  take('topP', count('topP'))
  take('topK', count('topK'))
  take('seed', count('seed'))
  take('n', count('candidateCount'))
  take('presencePenalty', count('presencePenalty'))
  take('frequencyPenalty', count('frequencyPenalty'))
  take('logprobs', bool(at(config, 'responseLogprobs')))
  take('topLogprobs', count('logprobs'))
  take('stop', texts(at(config, 'stopSequences')))
  take(
    'modalities',
    texts(at(config, 'responseModalities'))?.map((name) => name.toLowerCase()),
  )
  take('output', decodeOutput(config))
  take('reasoning', decodeThinking(at(config, 'thinkingConfig')))
  const calling = object(at(object(at(body, 'toolConfig')), 'functionCallingConfig'))
  take('toolChoice', decodeToolChoice(calling))
  keepRest(request.extras, body, config, calling)
  return request
}

/** What of a modelled field the house has no word for, in the field's own shape. */
function keepRest(
  extras: JsonObject,
  body: JsonObject,
  config: JsonObject,
  calling: JsonObject,
): void {
  const mime = text(at(config, 'responseMimeType'))
  const rest = restOf(config, modelledOfConfig)
  const own =
    mime === undefined || mimesModelled.has(mime) ? rest : { ...rest, responseMimeType: mime }
  if (own) extras.generationConfig = own
  const more = restOf(calling, modelledOfCalling)
  const tools = restOf(object(at(body, 'toolConfig')), new Set(['functionCallingConfig']))
  if (tools || more) extras.toolConfig = { ...tools, ...(more && { functionCallingConfig: more }) }
}

const mimesModelled = new Set(['text/plain', 'application/json'])

const texts = (value: Json | undefined): string[] | undefined =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined

/** int32 in proto JSON: a number, or a text of one. */
function readNumber(config: JsonObject, name: string): number | undefined {
  const value = at(config, name)
  if (value === undefined || value === null) return undefined
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : number(value)
  if (read === undefined || !Number.isFinite(read))
    throw invalid(`generationConfig.${name} must be a number`, 'generationConfig')
  return read
}

/** A content, a list of parts, one part or a plain text. */
function decodeSystem(value: Json | undefined): Message[] {
  const values = isObject(value) && value.parts !== undefined ? value.parts : value
  const parts = decodeParts(listed(values), () => '').filter((part) => part.type === 'text')
  return parts.length > 0 ? [{ role: 'system', parts }] : []
}

const listed = (value: Json | undefined): Json[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]

function decodeContents(value: Json | undefined): Message[] {
  if (value === undefined || value === null)
    throw invalid(
      'contents is not specified: send a list of contents, each with its parts',
      'contents',
    )
  const calls = createCalls()
  return turnsOf(value).flatMap(({ isModel, values }): Message[] =>
    isModel
      ? [{ role: 'assistant', parts: joinTexts(decodeParts(values, calls.call)) }]
      : splitResults(decodeParts(values, calls.call, calls.result)),
  )
}

type ClientTurn = { isModel: boolean; values: Json[] }

/** Clients keep a streamed turn of the model as they got it, a content for each chunk (python-genai's chats): it is one. */
function turnsOf(value: Json): ClientTurn[] {
  const turns: ClientTurn[] = []
  for (const [index, content] of listed(value).entries()) {
    if (typeof content !== 'string' && !isObject(content))
      throw invalid(`contents[${index}] must be an object with parts`, 'contents')
    const { role = 'user', parts } = isObject(content) ? content : { parts: content }
    if (role !== null && typeof role !== 'string')
      throw invalid(`contents[${index}].role must be 'user' or 'model'`, 'contents')
    const isModel = role === 'model' || role === 'assistant'
    const last = turns.at(-1)
    const turn: ClientTurn = isModel && last?.isModel ? last : { isModel, values: [] }
    if (turn !== last) turns.push(turn)
    for (const part of listed(parts)) {
      if (typeof part !== 'string' && !isObject(part))
        throw invalid(`contents[${index}].parts must hold objects`, 'contents')
      turn.values.push(part)
    }
  }
  return turns
}

/** Results come first: they answer the turn before. */
function splitResults(parts: Part[]): Message[] {
  const results = parts.filter((part) => part.type === 'tool-result')
  const said = parts.filter((part) => part.type !== 'tool-result')
  const messages: Message[] = []
  if (results.length > 0) messages.push({ role: 'tool', parts: results })
  if (said.length > 0) messages.push({ role: 'user', parts: said })
  return messages
}

/** A history made of a stream holds a text in pieces. */
function joinTexts(parts: Part[]): Part[] {
  const out: Part[] = []
  for (const part of parts) {
    const last = out.at(-1)
    if (part.type === 'text' && last?.type === 'text') last.text += part.text
    else out.push(part)
  }
  return out
}

/**
 * Calls and results are told apart by name and order where they carry no id. The ids given here count calls, so that a
 * longer history of the same conversation has the same ones.
 */
function createCalls(): { call: IdOfCall; result: IdOfResult } {
  type Call = { id: string; answered: boolean }
  type Queue = { calls: Call[]; next: number }
  const byId = new Map<string, Queue>()
  const byName = new Map<string, Queue>()
  let count = 0
  const put = (map: Map<string, Queue>, key: string, call: Call): void => {
    const queue = map.get(key)
    if (queue) queue.calls.push(call)
    else map.set(key, { calls: [call], next: 0 })
  }
  const next = (queue: Queue | undefined): Call | undefined => {
    while (queue?.calls[queue.next]?.answered) queue.next++
    return queue?.calls[queue.next]
  }
  return {
    call({ id = `call_${count}`, name }) {
      count++
      const call = { id, answered: false }
      put(byId, id, call)
      put(byName, name, call)
      return id
    },
    result({ id, name }) {
      const call = (id === undefined ? undefined : next(byId.get(id))) ?? next(byName.get(name))
      if (call) call.answered = true
      return call?.id ?? id ?? `call_${name}`
    },
  }
}

function decodeTools(value: Json | undefined): Tool[] {
  return listed(value).flatMap((item, index): Tool[] => {
    if (!isObject(item)) throw invalid(`tools[${index}] must be an object`, 'tools')
    const { functionDeclarations: _, function_declarations: __, ...others } = item
    const declared = listed(at(item, 'functionDeclarations')).map(decodeFunction)
    const servers = Object.entries(others).flatMap(([key, said]): Tool[] =>
      said === undefined || said === null
        ? []
        : [{ type: 'server', wire: 'gemini', value: { [key]: said } }],
    )
    return [...declared, ...servers]
  })
}

const modelledOfFunction = new Set(['name', 'description', 'parameters', 'parametersJsonSchema'])

function decodeFunction(value: Json): FunctionTool {
  const tool = object(value)
  const name = text(tool.name)
  if (name === undefined) throw invalid('a function declaration needs a name', 'tools')
  const description = text(tool.description)
  const schema = at(tool, 'parametersJsonSchema') ?? tool.parameters
  const extras = restOf(tool, modelledOfFunction)
  return {
    type: 'function',
    name,
    ...(description !== undefined && { description }),
    ...(isObject(schema) && { schema: decodeSchema(schema) }),
    ...(extras && { extras }),
  }
}

function decodeToolChoice(calling: JsonObject): ToolChoice | undefined {
  const names = texts(at(calling, 'allowedFunctionNames')) ?? []
  const [only] = names
  switch (text(calling.mode)?.toUpperCase()) {
    case 'AUTO':
      return 'auto'
    case 'VALIDATED':
      return names.length > 0 ? { names, mode: 'auto' } : 'auto'
    case 'NONE':
      return 'none'
    case 'ANY':
      if (names.length > 1) return { names, mode: 'required' }
      return only === undefined ? 'required' : { name: only }
    default:
      return undefined
  }
}

function decodeOutput(config: JsonObject): OutputFormat | undefined {
  const schema = at(config, 'responseJsonSchema') ?? at(config, 'responseSchema')
  if (isObject(schema)) return { type: 'schema', name: 'response', schema: decodeSchema(schema) }
  return at(config, 'responseMimeType') === 'application/json' ? { type: 'json' } : undefined
}

function decodeThinking(value: Json | undefined): Reasoning | undefined {
  if (!isObject(value)) return undefined
  const level = lookUp(efforts, text(at(value, 'thinkingLevel'))?.toUpperCase())
  const budget = readNumber(value, 'thinkingBudget')
  const reasoning: Reasoning = {
    ...(level && { effort: level }),
    ...(budget !== undefined && { budget }),
    ...(at(value, 'includeThoughts') === true && { summary: 'auto' }),
  }
  return Object.keys(reasoning).length > 0 ? reasoning : undefined
}

const efforts: Readonly<Record<string, Effort>> = {
  MINIMAL: 'minimal',
  LOW: 'low',
  MEDIUM: 'medium',
  HIGH: 'high',
}

const invalid = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, { param, type: 'invalid_request_error' })
