import type {
  ChatRequest,
  Effort,
  Message,
  OutputFormat,
  Reasoning,
  Tool,
  ToolChoice,
} from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  bool,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeBlocks, decodeCache } from './blocks.ts'

/** Fields of the body that the house models; the others travel in `extras`. */
const modelled = new Set(
  `model messages system tools tool_choice max_tokens stop_sequences temperature top_p top_k thinking output_config
  output_format service_tier metadata stream`.split(/\s+/),
)

export function decodeRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string') throw invalid('model: Field required', 'model')
  const request: ChatRequest = {
    model: body.model,
    messages: [...decodeSystem(body.system), ...decodeMessages(body.messages)],
    tools: list(body.tools).map(decodeTool),
    stream: body.stream === true,
    // Anthropic's streams always tell the usage.
    streamUsage: true,
    extras: extrasOf(body, modelled) ?? {},
  }
  const take = <K extends keyof ChatRequest>(key: K, value: ChatRequest[K] | undefined) => {
    if (value !== undefined) request[key] = value
  }
  take('maxTokens', readNumber(body, 'max_tokens'))
  take('temperature', readNumber(body, 'temperature'))
  take('topP', readNumber(body, 'top_p'))
  take('topK', readNumber(body, 'top_k'))
  take('stop', decodeStop(body.stop_sequences))
  take('serviceTier', text(body.service_tier))
  take('toolChoice', decodeToolChoice(object(body.tool_choice)))
  if (object(body.tool_choice).disable_parallel_tool_use === true) request.parallelTools = false
  take('reasoning', decodeReasoning(object(body.thinking), object(body.output_config).effort))
  take('output', decodeOutput(object(body.output_config).format ?? body.output_format))
  take('user', text(object(body.metadata).user_id))
  keepRest(request, body)
  return request
}

/** What of a modelled field the house has no word for, in the field's own shape. */
function keepRest({ extras }: ChatRequest, body: JsonObject): void {
  const metadata = extrasOf(object(body.metadata), new Set(['user_id']))
  if (metadata) extras.metadata = metadata
  const config = extrasOf(object(body.output_config), new Set(['effort', 'format']))
  if (config) extras.output_config = config
  const thinking = object(body.thinking)
  const more = extrasOf(thinking, new Set(['type', 'budget_tokens']))
  if (more || thinking.type === 'between_tools') extras.thinking = thinking
}

function decodeSystem(system: Json | undefined): Message[] {
  if (system === undefined || system === null) return []
  if (typeof system !== 'string' && !Array.isArray(system))
    throw invalid('system: Input should be a string or a list of text blocks', 'system')
  const parts = decodeBlocks(system)
  return parts.length > 0 ? [{ role: 'system', parts }] : []
}

function decodeMessages(messages: Json | undefined): Message[] {
  if (messages === undefined || messages === null)
    throw invalid('messages: Field required', 'messages')
  if (!Array.isArray(messages)) throw invalid('messages: Input should be a valid list', 'messages')
  return messages.flatMap(decodeMessage)
}

/** Results and words of one user turn become two messages: a result is no word of the user's. */
function decodeMessage(value: Json, at: number): Message[] {
  if (!isObject(value)) throw invalid(`messages.${at}: Input should be an object`, 'messages')
  const { role, content } = value
  if (role !== 'user' && role !== 'assistant' && role !== 'system')
    throw invalid(
      `messages.${at}.role: Input should be 'user', 'assistant' or 'system'`,
      'messages',
    )
  const isGiven = typeof content === 'string' || Array.isArray(content)
  if (!isGiven && role !== 'system')
    throw invalid(
      `messages.${at}.content: ${content === undefined ? 'Field required' : 'Input should be a string or a list of blocks'}`,
      'messages',
    )
  const extras = extrasOf(value, knownOfMessage)
  const messages: Message[] = []
  for (const part of decodeBlocks(content)) {
    const speaker = role === 'user' && part.type === 'tool-result' ? 'tool' : role
    const last = messages.at(-1)
    if (last?.role === speaker) last.parts.push(part)
    else messages.push({ role: speaker, parts: [part] })
  }
  const first = messages[0] ?? { role, parts: [] }
  if (extras) first.extras = extras
  return messages.length > 0 ? messages : [first]
}
const knownOfMessage = new Set(['role', 'content'])

const knownOfTool = new Set([
  'type',
  'name',
  'description',
  'input_schema',
  'strict',
  'cache_control',
])

function decodeTool(value: Json, at: number): Tool {
  if (!isObject(value)) throw invalid(`tools.${at}: Input should be an object`, 'tools')
  if (value.type !== undefined && value.type !== null && value.type !== 'custom')
    return { type: 'server', wire: 'anthropic', value }
  const name = text(value.name)
  if (name === undefined) throw invalid(`tools.${at}.name: Field required`, 'tools')
  const description = text(value.description)
  const strict = bool(value.strict)
  const cache = decodeCache(value.cache_control)
  const extras = extrasOf(value, knownOfTool)
  return {
    type: 'function',
    name,
    ...(description !== undefined && { description }),
    ...(isObject(value.input_schema) && { schema: value.input_schema }),
    ...(strict !== undefined && { strict }),
    ...(cache && { cache }),
    ...(extras && { extras }),
  }
}

function decodeToolChoice(choice: JsonObject): ToolChoice | undefined {
  switch (choice.type) {
    case 'auto':
    case 'none':
      return choice.type
    case 'any':
      return 'required'
    case 'tool':
      return { name: text(choice.name) ?? '' }
    default:
      return undefined
  }
}

function decodeReasoning(thinking: JsonObject, effort: Json | undefined): Reasoning | undefined {
  const reasoning: Reasoning = {}
  if (isEffort(effort)) reasoning.effort = effort
  if (thinking.type === 'adaptive') reasoning.adaptive = true
  if (thinking.type === 'disabled') reasoning.budget = 0
  if (thinking.type === 'enabled') reasoning.budget = number(thinking.budget_tokens) ?? -1
  if (thinking.display === 'summarized' || thinking.display === 'updates')
    reasoning.summary = 'auto'
  return Object.keys(reasoning).length > 0 ? reasoning : undefined
}

const efforts = new Set(['low', 'medium', 'high', 'xhigh', 'max'])
export const isEffort = (value: unknown): value is Effort =>
  typeof value === 'string' && efforts.has(value)

function decodeOutput(format: Json | undefined): OutputFormat | undefined {
  const { type, schema } = object(format)
  if (type !== 'json_schema' || !isObject(schema)) return undefined
  return { type: 'schema', name: 'output', schema, strict: true }
}

function decodeStop(stop: Json | undefined): string[] | undefined {
  if (stop === undefined || stop === null) return undefined
  if (!Array.isArray(stop))
    throw invalid('stop_sequences: Input should be a valid list', 'stop_sequences')
  return stop.filter((sequence) => typeof sequence === 'string')
}

function readNumber(body: JsonObject, key: string): number | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number') throw invalid(`${key}: Input should be a valid number`, key)
  return value
}

const invalid = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, { param, type: 'invalid_request_error' })
