import type { ChatRequest, Effort, OutputFormat, Reasoning } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  bool,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { decodeInput } from './items.ts'
import { decodeToolChoice, decodeTools } from './tools.ts'

/** Fields of the body that the house models; the others travel in `extras`. */
const modelled = new Set(
  `model input instructions tools tool_choice parallel_tool_calls max_output_tokens temperature top_p top_logprobs
  reasoning text service_tier user stream`.split(/\s+/),
)

export function decodeRequest(body: JsonObject): ChatRequest {
  const request: ChatRequest = {
    model: text(body.model) ?? '',
    messages: decodeInput(body),
    tools: decodeTools(body),
    stream: body.stream === true,
    // Streams of this wire always tell the usage.
    streamUsage: true,
    extras: extrasOf(body, modelled) ?? {},
  }
  const take = <K extends keyof ChatRequest>(key: K, value: ChatRequest[K] | undefined) => {
    if (value !== undefined) request[key] = value
  }
  take('maxTokens', readNumber(body, 'max_output_tokens'))
  take('temperature', readNumber(body, 'temperature'))
  take('topP', readNumber(body, 'top_p'))
  take('topLogprobs', readNumber(body, 'top_logprobs'))
  if (list(body.include).includes(includeLogprobs)) request.logprobs = true
  take('parallelTools', bool(body.parallel_tool_calls))
  take('serviceTier', text(body.service_tier))
  take('user', text(body.user))
  take('toolChoice', decodeToolChoice(body.tool_choice))
  take('reasoning', decodeReasoning(object(body.reasoning)))
  take('output', decodeFormat(object(body.text).format))
  take('verbosity', text(object(body.text).verbosity))
  keepRest(request, body)
  return request
}

export const includeLogprobs = 'message.output_text.logprobs'
export const includeThoughts = 'reasoning.encrypted_content'

/** What of a modelled field the house has no word for, in the field's own shape. */
function keepRest(request: ChatRequest, body: JsonObject): void {
  const { extras } = request
  const { effort, summary, generate_summary: _, ...reasoning } = object(body.reasoning)
  if (typeof effort === 'string' && !isEffort(effort)) reasoning.effort = effort
  if (Object.keys(reasoning).length > 0) extras.reasoning = reasoning
  const { format, verbosity: __, ...rest } = object(body.text)
  if (isObject(format) && !request.output) rest.format = format
  if (Object.keys(rest).length > 0) extras.text = rest
  if (isObject(body.tool_choice) && !request.toolChoice) extras.tool_choice = body.tool_choice
}

const efforts = new Set(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
const isEffort = (value: unknown): value is Effort =>
  typeof value === 'string' && efforts.has(value)

function decodeReasoning(said: JsonObject): Reasoning | undefined {
  const summary = text(said.summary) ?? text(said.generate_summary)
  if (!isEffort(said.effort) && summary === undefined) return undefined
  return {
    ...(isEffort(said.effort) && { effort: said.effort }),
    ...(summary !== undefined && { summary }),
  }
}

function decodeFormat(value: Json | undefined): OutputFormat | undefined {
  const format = object(value)
  if (format.type === 'text') return { type: 'text' }
  if (format.type === 'json_object') return { type: 'json' }
  if (format.type !== 'json_schema') return undefined
  // Spelt as in chat, by clients that mix the two.
  const said = isObject(format.json_schema) ? format.json_schema : format
  const strict = bool(said.strict)
  const description = text(said.description)
  return {
    type: 'schema',
    name: text(said.name) ?? 'response',
    schema: object(said.schema),
    ...(strict !== undefined && { strict }),
    ...(description !== undefined && { description }),
  }
}

function readNumber(body: JsonObject, key: string): number | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number')
    throw new GatewayError('bad_request', `'${key}' must be a number.`, {
      param: key,
      type: 'invalid_request_error',
    })
  return value
}
