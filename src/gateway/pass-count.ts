import { noUsage, outputTokens, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, text } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { listen } from '../wire/inbound.ts'
import { joined } from '../wire/media/upload.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import type { Rooms } from './rooms.ts'
import { type Learnt, modelInPath } from './tap.ts'

/** A request that passes to a provider unread, looked at only where its answer does not tell what it used. */
export type Passed = {
  /** The body as it passes; what is too long, or no JSON, is not held. */
  through(body: AsyncIterable<Uint8Array> | Uint8Array): AsyncIterable<Uint8Array> | Uint8Array
  /** Has all of it passed? */
  ended(): boolean
  /** The model it names, in its path or its body. */
  model(): string | undefined
  /** Is it a conversation, which can be counted? */
  isConversation(): boolean
  /** Of a conversation whose usage was not told, or not to its end. */
  count(learnt: Learnt, model: string): Promise<Usage>
}

/** Of a longer body every fourth byte is a token. */
const heldMax = 4 * 1024 * 1024
const charactersPerToken = 4

export function passed(path: string, mime: string, rooms: Rooms): Passed {
  const isJson = /json/i.test(mime)
  let held: Uint8Array[] | undefined = isJson ? [] : undefined
  let size = 0
  let ended = !isJson
  let parsed: JsonObject | undefined
  const hold = (chunk: Uint8Array): void => {
    size += chunk.length
    if (size > heldMax) held = undefined
    held?.push(chunk.slice())
  }
  const body = (): JsonObject => {
    if (!parsed)
      try {
        parsed = held ? parseObject(joined(held), bounds()) : {}
      } catch {
        parsed = {}
      }
    return parsed
  }
  const bounds = () => ({ ...requestBounds, maxDepth: rooms.settings.jsonDepth })
  const wire = dialects.find(([pattern]) => pattern.test(path))?.[1]

  async function* holding(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hold(chunk)
      yield chunk
    }
    ended = true
  }

  function read(model: string): number {
    const { counter } = rooms.tokens
    if (!held) return Math.ceil(size / charactersPerToken)
    if (wire)
      try {
        const said = listen(joined(held), wire, { model, stream: false }, rooms.settings.jsonDepth)
        return counter.countRequest(said.request(), model)
      } catch (cause) {
        if (GatewayError.from(cause).kind === 'internal') throw cause
        // What this dialect does not know is counted by its words.
      }
    const words: string[] = []
    wordsIn(body(), words)
    return counter.countText(words.join('\n'), model)
  }

  return {
    through(said) {
      if (!isJson) return said
      if (!(said instanceof Uint8Array)) return holding(said)
      ended = true
      size = said.length
      held = size > heldMax ? undefined : [said]
      return said
    },
    ended: () => ended,
    model: () => modelInPath(path) ?? (text(body()['model']) || text(body()['modelId'])),
    isConversation: () =>
      wire !== undefined ||
      invoking.test(path) ||
      list(body()['messages']).length > 0 ||
      list(body()['contents']).length > 0,
    async count({ usage, ended, written, unheld }, model) {
      await rooms.tokens.ready()
      const output =
        rooms.tokens.counter.countText(written, model) + Math.ceil(unheld / charactersPerToken)
      if (usage && (ended || output <= outputTokens(usage))) return usage
      if (usage) return { ...usage, output: usage.output + output, estimated: true }
      return { ...noUsage, input: read(model), output, estimated: true }
    },
  }
}

/** Where the dialects that are known here are spoken. */
const dialects: readonly [pattern: RegExp, wire: Wire][] = [
  [/\/chat\/completions$/, wires['openai-chat']],
  [/\/completions$/, wires['openai-text']],
  [/\/responses$/, wires['openai-responses']],
  [/\/messages$/, wires.anthropic],
  [/:(?:stream)?generateContent$/i, wires.gemini],
]
/** And where others are: Bedrock, Cohere, models in the words of their makers on Vertex. */
const invoking =
  /\/(?:converse|converse-stream|invoke|invoke-with-response-stream|v\d+\/chat|v\d+\/generate)$|:(?:stream)?rawPredict$/i

/** All that may be read, but for files as text. */
function wordsIn(value: Json | undefined, words: string[]): void {
  if (typeof value === 'string') {
    if (value.length <= opaqueLength || /\s/.test(value.slice(0, opaqueLength))) words.push(value)
  } else if (Array.isArray(value)) for (const item of value) wordsIn(item, words)
  else if (isObject(value)) for (const item of Object.values(value)) wordsIn(item, words)
}
const opaqueLength = 1000
