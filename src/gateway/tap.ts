import { inputTokens, noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../json/json.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeUsage as anthropicUsage } from '../wire/anthropic/response.ts'
import { decodeUsage as bedrockUsage } from '../wire/bedrock-converse/response.ts'
import { decodeUsage as cohereUsage } from '../wire/cohere/response.ts'
import { awsFrames } from '../wire/framing/aws-events.ts'
import { decodeUsage as googleUsage } from '../wire/gemini/usage.ts'
import { decodeUsage as openaiUsage } from '../wire/openai-chat/response.ts'
import { tellsOwnWay } from './pass-paid.ts'

/** What is learnt of an answer that nobody reads: how much was used, of which model, and what was written. */
export type PassTap = {
  push(chunk: Uint8Array): void
  end(): Learnt
}
export type Learnt = {
  /** As the provider told it; absent: it told nothing. */
  usage: Usage | undefined
  model: string | undefined
  /** The answer's own, where it has one, and how far it is. */
  id: string | undefined
  status: string | undefined
  /** Its usage is of the whole answer, and not of a beginning. */
  ended: boolean
  /** What the model wrote, as far as it was held, and how many characters came after. */
  written: string
  unheld: number
  /** The whole answer, of those that tell what they cost in words of their own. */
  said?: JsonObject
}

export const nothingLearnt: Learnt = {
  usage: undefined,
  model: undefined,
  id: undefined,
  status: undefined,
  ended: false,
  written: '',
  unheld: 0,
}

/** By the provider's way of telling; undefined where nothing is told, as of files. */
export function passTap(
  to: Pick<Deployment, 'provider'> | undefined,
  path: string,
  type: string,
  header: (name: string) => string | undefined,
): PassTap | undefined {
  const events = type.startsWith('text/event-stream')
  const binary = type.startsWith('application/vnd.amazon.eventstream')
  if (!to || !(events || binary || /json/.test(type))) return undefined
  const decoder = new TextDecoder()
  const frames = binary ? awsFrames(heldMax) : undefined
  let rest = ''
  let told: JsonObject = inHeaders(header)
  let model = modelInPath(path)
  let id: string | undefined
  let status: string | undefined
  let written = ''
  let unheld = 0
  let ended = Object.keys(told).length > 0
  let broken = false
  let whole: JsonObject | undefined
  const own = tellsOwnWay(to.provider)
  const write = (said: string): void => {
    if (written.length + said.length <= writtenMax) written += said
    else unheld += said.length
  }
  const look = (said: string): void => {
    if (!own && !telling.test(said)) return
    try {
      const value: Json = JSON.parse(said)
      const one = object(Array.isArray(value) ? value.at(-1) : value)
      if (own) whole = { ...whole, ...one }
      // The whole of a piece says again what was said bit by bit.
      if (!(events || binary) || !/\.(done|completed)$/.test(text(one['type']) ?? ''))
        wordsOf(Array.isArray(value) ? value : one, 12, write)
      // Anthropic begins with a message and goes on with its changes; Responses ends with the whole; Cohere's last event
      // has it in `delta` or `response`.
      const inner = object(one['message'] ?? one['response'] ?? one['interaction'])
      id = text(inner['id']) ?? text(one['id']) ?? text(one['run_id']) ?? id
      status = text(inner['status']) ?? text(one['status']) ?? status
      model = text(one['model']) ?? text(inner['model']) ?? text(one['modelVersion']) ?? model
      const usage =
        one['usage'] ??
        inner['usage'] ??
        one['usageMetadata'] ??
        object(one['delta'])['usage'] ??
        object(one['meta'] ?? inner['meta'])['billed_units'] ??
        one['amazon-bedrock-invocationMetrics']
      if (!isObject(usage)) return
      told = { ...told, ...usage }
      // Anthropic's first event tells what was read, and its last what was written.
      if (one['message'] === undefined) ended = true
    } catch {
      // A provider's own affair: it passes as it is.
    }
  }
  const lookAtFrames = (chunk: Uint8Array): void => {
    try {
      for (const { data } of frames?.push(chunk) ?? []) look(unwrapped(utf8(bytesOf(data))))
    } catch {
      // Damaged, or not the stream it says it is: it passes as it is.
      broken = true
    }
  }
  return {
    push(chunk) {
      if (binary) return broken ? undefined : lookAtFrames(chunk)
      if (rest.length > heldMax) return
      rest += decoder.decode(chunk, { stream: true })
      if (!events) return
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('data:')) look(line.slice(5))
    },
    end() {
      if (rest.length <= heldMax) look(events ? rest.replace(/^data:/, '') : rest)
      const usage = usageOf(to, told)
      const more = whole ? { said: whole } : {}
      return { usage, model, id, status, ended, written, unheld, ...more }
    },
  }
}

/** Amazon's models answer in words of their own, and tell their tokens in headers. */
function inHeaders(header: (name: string) => string | undefined): JsonObject {
  const [inputTokenCount, outputTokenCount] = ['input', 'output'].map((way) => {
    const said = Number(header(`x-amzn-bedrock-${way}-token-count`))
    return Number.isInteger(said) && said > 0 ? said : undefined
  })
  return inputTokenCount === undefined && outputTokenCount === undefined
    ? {}
    : { inputTokenCount: inputTokenCount ?? 0, outputTokenCount: outputTokenCount ?? 0 }
}

/** `/models/gemini-3-pro:generateContent`, `/model/anthropic.claude-v1:0/converse`: Bedrock's have colons. */
export function modelInPath(path: string): string | undefined {
  const found = /\/model\/([^/]+)\//.exec(path)?.[1] ?? /\/models\/([^/:]+)(?::|\/)/.exec(path)?.[1]
  return found === undefined ? undefined : decode(found)
}

/** Events of Bedrock's plain invocation are wrapped once more. */
function unwrapped(said: string): string {
  const wrapped = /^\s*\{\s*"bytes"\s*:\s*"([A-Za-z0-9+/=]+)"/.exec(said)?.[1]
  return wrapped === undefined ? said : utf8(bytesOf(atob(wrapped)))
}

const telling =
  /"usage(?:Metadata)?"|"model|"agent"|"delta"|"parts"|"text"|"content"|"billed_units"|invocationMetrics|"generation"|"outputText"/

/** What a model wrote, by the names all dialects give it. */
function wordsOf(value: Json | undefined, depth: number, write: (said: string) => void): void {
  if (depth === 0) return
  if (Array.isArray(value)) for (const item of value) wordsOf(item, depth - 1, write)
  else
    for (const [name, one] of Object.entries(object(value)))
      if (typeof one !== 'string') wordsOf(one, depth - 1, write)
      else if (writing.has(name)) write(one)
}
const writing: ReadonlySet<string> = new Set([
  'content',
  'text',
  'delta',
  'thinking',
  'reasoning',
  'reasoning_content',
  'refusal',
  'arguments',
  'partial_json',
  'generation',
  'outputText',
])

/** Of an answer, or a line, that is longer nothing is learnt. */
const heldMax = 16 * 1024 * 1024
/** Of what was written this much is counted word by word. */
const writtenMax = 1024 * 1024

function usageOf({ provider }: Pick<Deployment, 'provider'>, told: JsonObject): Usage | undefined {
  const usage = decodeUsage(provider, told)
  // A count of nothing says nothing: something was asked.
  return usage && inputTokens(usage) + outputTokens(usage) + usage.searches > 0 ? usage : undefined
}

function decodeUsage(provider: string, told: JsonObject): Usage | undefined {
  if (Object.keys(told).length === 0) return undefined
  if (told['promptTokenCount'] !== undefined) return googleUsage(told)
  if (told['total_input_tokens'] !== undefined) return interactionUsage(told)
  if (told['inputTokens'] !== undefined || told['outputTokens'] !== undefined)
    return bedrockUsage(told)
  if (told['inputTokenCount'] !== undefined)
    return bedrockUsage({
      inputTokens: told['inputTokenCount'] ?? null,
      outputTokens: told['outputTokenCount'] ?? null,
      cacheReadInputTokens: told['cacheReadInputTokenCount'] ?? null,
      cacheWriteInputTokens: told['cacheWriteInputTokenCount'] ?? null,
    })
  if (isObject(told['billed_units']) || isObject(told['tokens'])) return cohereUsage(told)
  if (provider === 'cohere') return cohereUsage({ billed_units: told })
  if (provider === 'anthropic' || told['cache_creation_input_tokens'] !== undefined)
    return anthropicUsage(told)
  return openaiUsage({ usage: told })
}

/** Google's Interactions count in words of their own (ai.google.dev/api/interactions-api, 2026-11). */
function interactionUsage(told: JsonObject): Usage {
  const count = (name: string): number => Math.max(0, number(told[name]) ?? 0)
  const cacheRead = count('total_cached_tokens')
  return {
    ...noUsage,
    input: Math.max(0, count('total_input_tokens') - cacheRead) + count('total_tool_use_tokens'),
    cacheRead,
    output: count('total_output_tokens'),
    reasoning: count('total_thought_tokens') + count('total_reasoning_tokens'),
    raw: told,
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
