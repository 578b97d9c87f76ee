import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { hash } from '../gemini/names.ts'
import type { Target } from '../wire.ts'
import { dropRefused, refusable } from './refused.ts'

/**
 * The named quirks of OpenAI-compatible providers, on the JSON itself, so that what nobody models survives.
 * Each quirk of `Quirks` that this wire knows is read here and nowhere else.
 */

/** Top-level keys the request quirks of a target look at. */
export function requestKeys(to: Target): ReadonlySet<string> | 'all' {
  const { quirks } = to
  if (quirks.flattenText || quirks.flattenToolResults || quirks.splitToolCalls) return 'all'
  const keys = new Set<string>([
    ...(quirks.unsupported ?? []),
    ...(quirks.fixed ?? []),
    ...refusable(to),
  ])
  for (const key in quirks.rename) keys.add(key)
  for (const key in quirks.onlyDefault) keys.add(key)
  if (quirks.maxTokensField)
    keys.add(quirks.maxTokensField === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens')
  if (quirks.toolChoiceAny) keys.add('tool_choice')
  if (quirks.dropStrict) keys.add('tools')
  if (quirks.schemaAsJsonObject) keys.add('response_format')
  if (quirks.effortAsThinking || quirks.effortAsEnableThinking || quirks.effortNoneAsThinkingOff)
    keys.add('reasoning_effort')
  if (quirks.noStreamUsage) keys.add('stream_options')
  if (quirks.temperatureMax !== undefined) keys.add('temperature')
  if (quirks.dropBookkeeping) for (const key of bookkeeping) keys.add(key)
  if (quirks.singleChoice) keys.add('n')
  return keys
}

/** Quirks of messages show themselves by a word: a body without it passes unread. */
export function requestWords({ quirks }: Target): readonly string[] {
  const words: string[] = []
  if (quirks.systemRole) words.push(quirks.systemRole === 'system' ? '"developer"' : '"system"')
  if (quirks.dropReasoningHistory) words.push('"reasoning', '"thinking_blocks"')
  if (quirks.dropMessageNames) words.push('"name"')
  if (quirks.filesAsDocuments) words.push('"file"')
  if (quirks.nineCharCallIds) words.push('"tool_calls"', '"tool_call_id"')
  return words
}

const bookkeeping = ['user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key']

export function adaptRequest(body: JsonObject, to: Target): string[] {
  const { quirks } = to
  const dropped = dropUnsupported(body, to)
  if (to.dropParams) dropped.push(...dropRefused(body, to))
  const field = quirks.maxTokensField
  if (field) {
    const other = field === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
    if (body[other] !== undefined) {
      body[field] ??= body[other]
      delete body[other]
    }
  }
  for (const [from, name] of Object.entries(quirks.rename ?? {})) {
    if (body[from] === undefined) continue
    body[name] ??= body[from]
    delete body[from]
  }
  adaptSampling(body, to, dropped)
  if (quirks.toolChoiceAny && body.tool_choice === 'required') body.tool_choice = 'any'
  if (quirks.dropStrict && Array.isArray(body.tools)) body.tools = body.tools.map(withoutStrict)
  if (quirks.schemaAsJsonObject) schemaAsJsonObject(body)
  if (quirks.effortAsThinking) effortAsThinking(body)
  if (quirks.effortAsEnableThinking) effortAsEnableThinking(body)
  if (quirks.effortNoneAsThinkingOff && body.reasoning_effort === 'none') {
    delete body.reasoning_effort
    body.thinking ??= { type: 'disabled' }
  }
  if (quirks.noStreamUsage) delete body.stream_options
  if (quirks.dropBookkeeping) for (const key of bookkeeping) delete body[key]
  if (quirks.singleChoice && body.n === 1) delete body.n
  if (Array.isArray(body.messages))
    body.messages = body.messages.map((message) =>
      isObject(message) ? adaptMessage(message, to) : message,
    )
  if (quirks.splitToolCalls && Array.isArray(body.messages))
    body.messages = splitToolCalls(body.messages)
  return dropped
}

/** What the row says the provider refuses: refused here with its name, or dropped where the operator asked for that. */
function dropUnsupported(body: JsonObject, to: Target): string[] {
  const allowed = new Set(to.allowedParams)
  const found = (to.quirks.unsupported ?? []).filter(
    (key) =>
      body[key] !== undefined && body[key] !== null && !allowed.has(key) && !isDefault(key, body),
  )
  for (const key of to.quirks.unsupported ?? [])
    if (!allowed.has(key) && (body[key] === null || isDefault(key, body))) delete body[key]
  if (found.length === 0) return []
  if (!to.dropParams) throw unsupported(to, found)
  for (const key of found) delete body[key]
  return found
}

/** A value that changes nothing is no reason to refuse a request. */
function isDefault(key: string, body: JsonObject): boolean {
  const value = body[key]
  if (key === 'n') return value === 1
  if (value === false || value === 0) return key === 'logprobs' || key.endsWith('_penalty')
  return isObject(value) && Object.keys(value).length === 0
}

/** Reasoning models set their own sampling: what they would refuse is taken out, refused or lowered. */
function adaptSampling(body: JsonObject, to: Target, dropped: string[]): void {
  const { quirks } = to
  for (const key of quirks.fixed ?? []) delete body[key]
  if (quirks.temperatureMax !== undefined && typeof body.temperature === 'number')
    body.temperature = Math.min(body.temperature, quirks.temperatureMax)
  if (!quirks.onlyDefault) return
  const effort = body.reasoning_effort
  const free =
    (quirks.samplingFreeAt !== undefined && effort === 'none') ||
    (quirks.samplingFreeAt === 'none-or-unset' && (effort === undefined || effort === null))
  if (free) return
  const refused: string[] = []
  for (const [key, usual] of Object.entries(quirks.onlyDefault)) {
    if (body[key] === undefined || to.allowedParams?.includes(key)) continue
    if (body[key] !== usual && body[key] !== null) refused.push(key)
    delete body[key]
  }
  if (refused.length > 0 && !to.dropParams) throw unsupported(to, refused)
  dropped.push(...refused)
}

/** Pairs of one call and its result, where a provider wants a result right behind its call. */
function splitToolCalls(messages: readonly Json[]): Json[] {
  const out: Json[] = []
  for (let at = 0; at < messages.length; at++) {
    const message = object(messages[at])
    const calls = list(message.tool_calls)
    if (message.role !== 'assistant' || calls.length < 2) {
      out.push(messages[at] ?? null)
      continue
    }
    const results: JsonObject[] = []
    while (object(messages[at + 1]).role === 'tool') results.push(object(messages[++at]))
    calls.forEach((call, index) => {
      out.push(
        index === 0
          ? { ...message, tool_calls: [call] }
          : { role: 'assistant', content: null, tool_calls: [call] },
      )
      const id = object(call).id
      const answer = results.findIndex((result) => result.tool_call_id === id)
      if (answer !== -1) out.push(...results.splice(answer, 1))
    })
    out.push(...results)
  }
  return out
}

export function unsupported(to: Target, params: readonly string[]): GatewayError {
  const names = params.map((name) => `'${name}'`).join(', ')
  return new GatewayError(
    'unsupported_params',
    `litellm.UnsupportedParamsError: ${to.provider} does not support parameters: [${names}], for model=${to.model}. To drop these, set \`litellm.drop_params=True\` or for proxy:\n\n\`litellm_settings:\n drop_params: true\`\n`,
    { param: params[0], type: 'invalid_request_error' },
  )
}

function withoutStrict(value: unknown): JsonObject {
  const tool = object(value)
  if (object(tool.function).strict === undefined) return tool
  const { strict: _, ...fn } = object(tool.function)
  return { ...tool, function: fn }
}

function schemaAsJsonObject(body: JsonObject): void {
  const format = object(body.response_format)
  if (format.type !== 'json_schema') return
  body.response_format = { type: 'json_object', schema: object(format.json_schema).schema ?? {} }
}

function effortAsThinking(body: JsonObject): void {
  const effort = text(body.reasoning_effort)
  if (effort === undefined) return
  delete body.reasoning_effort
  body.thinking ??= { type: effort === 'none' ? 'disabled' : 'enabled' }
}

function effortAsEnableThinking(body: JsonObject): void {
  const effort = text(body.reasoning_effort)
  if (effort === undefined) return
  delete body.reasoning_effort
  body.enable_thinking ??= effort !== 'none'
}

function adaptMessage(message: JsonObject, { quirks }: Target): JsonObject {
  const changed = { ...message }
  const { role } = message
  if (quirks.systemRole && (role === 'system' || role === 'developer'))
    changed.role = quirks.systemRole
  if (quirks.dropReasoningHistory && role === 'assistant') {
    delete changed.reasoning_content
    delete changed.reasoning
    delete changed.thinking_blocks
  }
  if (quirks.dropMessageNames && role !== 'tool' && role !== 'function') delete changed.name
  const flatten = quirks.flattenText || (quirks.flattenToolResults && role === 'tool')
  if (flatten && Array.isArray(message.content)) changed.content = flatText(message.content)
  if (quirks.nineCharCallIds) {
    if (Array.isArray(message.tool_calls))
      changed.tool_calls = message.tool_calls.map(withNineChars)
    if (typeof message.tool_call_id === 'string')
      changed.tool_call_id = nineChars(message.tool_call_id)
  }
  if (quirks.filesAsDocuments && Array.isArray(message.content))
    changed.content = message.content.map(asDocument)
  return changed
}

function withNineChars(call: Json): Json {
  return isObject(call) && typeof call.id === 'string' ? { ...call, id: nineChars(call.id) } : call
}

/** Histories come from other models too; a call and its result keep one id. */
function nineChars(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id
  return (hash(id) + hash(`${id}.`)).slice(0, 9)
}

function asDocument(part: Json): Json {
  const { type, file } = object(part)
  if (type !== 'file' || !isObject(file)) return part
  const { file_id: id, file_data: data, filename: name } = file
  if (text(data) === undefined) return compact({ type, file_id: id })
  return compact({ type: 'document_url', document_url: data, document_name: name })
}

/** One string where every part is text; parts that are not stay as they are. */
function flatText(parts: readonly unknown[]): string | JsonObject[] {
  const all = parts.map(object)
  return all.every((part) => part.type === 'text')
    ? all.map((part) => text(part.text) ?? '').join('\n')
    : all
}

/** A whole answer's message, or a chunk's delta, in the form clients read: thoughts in `reasoning_content`, content a string. */
export function adaptMessageAnswer(message: JsonObject): boolean {
  let changed = false
  if (Array.isArray(message.content)) {
    splitParts(message)
    changed = true
  }
  if (typeof message.reasoning_content !== 'string') {
    const thought = text(message.reasoning) ?? text(message.reasoning_text)
    if (thought) {
      message.reasoning_content = thought
      changed = true
    }
  }
  return changed
}

/** Magistral's `thinking` parts and Databricks' `reasoning` parts beside the text. Signatures stay, as thinking_blocks. */
function splitParts(message: JsonObject): void {
  const texts: string[] = []
  const thoughts: string[] = []
  const blocks: JsonObject[] = []
  for (const value of list(message.content)) {
    const part = object(value)
    if (part.type === 'thinking' || part.type === 'reasoning') {
      const items = Array.isArray(part.thinking) ? part.thinking : list(part.summary)
      const thought =
        text(part.thinking) ?? items.map((item) => text(object(item).text) ?? '').join('')
      thoughts.push(thought)
      const signature = text(part.signature) ?? text(object(items.at(-1)).signature)
      if (signature) blocks.push({ type: 'thinking', thinking: thought, signature })
    } else if (typeof value === 'string') texts.push(value)
    else if (typeof part.text === 'string') texts.push(part.text)
  }
  message.content = texts.join('')
  if (thoughts.length > 0) message.reasoning_content ??= thoughts.join('')
  if (blocks.length > 0) message.thinking_blocks ??= blocks
}
