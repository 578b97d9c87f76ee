import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { type Glance, peek, value } from '../../json/peek.ts'
import { edit, latin1Of } from '../edit.ts'
import { heardMax } from '../heard.ts'
import type {
  ClientContext,
  Frame,
  PassedResult,
  PassMachine,
  PassStream,
  Target,
} from '../wire.ts'
import { decodeErrorObject } from './errors.ts'
import { parseOr } from './keys.ts'
import { isBlocked, searchesOf } from './response.ts'
import { cutShort } from './stream.ts'
import { decodeUsage, encodeUsage } from './usage.ts'

/** The client sees the public model name; everything else goes by as the provider wrote it. */
export function passResult(bytes: Uint8Array, to: Target, context: ClientContext): PassedResult {
  const glance = peek(bytes)
  let parsed: JsonObject | undefined
  const body = (): JsonObject => (parsed ??= readAnswer(bytes))
  const field = (key: string): Json | undefined => (glance ? value(glance, key) : body()[key])
  const candidates = (): JsonObject[] => list(field('candidates')).map(object)
  if (!glance || !isPlain(glance)) check(body())
  const searched = glance?.text.includes('"webSearchQueries"') ?? true
  const searches = searched ? searchesOf(candidates(), { model: to.model }) : 0
  const usage = decodeUsage(field('usageMetadata'), searches)
  return {
    usage,
    text: () => candidates().map(written).join('\n'),
    encode(counted) {
      const set: Record<string, string> = { modelVersion: JSON.stringify(context.model) }
      if (!usage && counted) set['usageMetadata'] = JSON.stringify(encodeUsage(counted))
      return edit(glance, body, set)
    },
  }
}

/** An answer nobody has to read: candidates, and no error. */
function isPlain({ text: said, keys }: Glance): boolean {
  const span = keys.get('candidates')
  return (
    span !== undefined &&
    !keys.has('error') &&
    /^\[\s*\{/.test(said.slice(span.valueStart, span.valueStart + 64))
  )
}

function readAnswer(bytes: Uint8Array): JsonObject {
  const body = parseOr(utf8(bytes))
  if (isObject(body)) return body
  throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON')
}

function check(body: JsonObject): void {
  if (body.error !== undefined && body.error !== null) throw decodeErrorObject(body.error)
  if (list(body.candidates).length === 0 && !isBlocked(body))
    throw new GatewayError('bad_gateway', 'the upstream answered without candidates')
}

/** What a candidate says, for counting. */
function written(candidate: JsonObject): string {
  return list(object(candidate.content).parts)
    .map((value) => {
      const { text: said, functionCall } = object(value)
      if (!isObject(functionCall)) return text(said) ?? ''
      return `${text(functionCall.name) ?? ''}${JSON.stringify(functionCall.args ?? {})}`
    })
    .join('')
}

/**
 * Every frame is one object, of which only the top level is looked at: the name in `modelVersion` is exchanged, and the
 * bytes of the rest go by.
 */
export function passStream(to: Target, context: ClientContext): PassStream {
  const name = JSON.stringify(context.model)
  let told = ''
  let finished = false
  let searches = 0
  /** Candidates as they came, one character per byte, until somebody asks what they say. */
  let said: string[] = []
  let size = 0
  let heard = ''

  function refuse(error: GatewayError): string {
    machine.fault = error
    return ''
  }

  /** What the top level holds: raw JSON, one character per byte. */
  function note(raw: (key: string) => string | undefined): void {
    const usage = raw('usageMetadata')
    if (usage !== undefined) told = usage
    const feedback = raw('promptFeedback')
    if (feedback !== undefined && isBlocked({ promptFeedback: read(feedback) ?? null }))
      finished = true
    const candidates = raw('candidates')
    if (candidates === undefined || candidates === '[]') return
    machine.content = true
    // A stream without an end must not fill our memory.
    if (size < heardMax) said.push(candidates)
    size += candidates.length
    const isTelling =
      candidates.includes('"finishReason"') || candidates.includes('"webSearchQueries"')
    if (!isTelling) return
    const all = list(read(candidates)).map(object)
    if (all.some(({ finishReason }) => typeof finishReason === 'string')) finished = true
    searches = Math.max(searches, searchesOf(all, { model: to.model }))
  }

  function slow(data: string): string {
    const chunk = read(data)
    if (!isObject(chunk))
      return refuse(new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON'))
    if (chunk.error !== undefined && chunk.error !== null)
      return refuse(decodeErrorObject(chunk.error))
    note((key) =>
      chunk[key] === undefined ? undefined : latin1(toUtf8(JSON.stringify(chunk[key]))),
    )
    return line(latin1(toUtf8(JSON.stringify({ ...chunk, modelVersion: context.model }))))
  }

  function fold(): void {
    for (const candidates of said) heard += list(read(candidates)).map(object).map(written).join('')
    said = []
  }

  const machine: PassMachine = {
    content: false,
    fault: undefined,
    push({ data }: Frame) {
      if (machine.fault || data === '' || data === '[DONE]') return ''
      const glance = peek(bytesOf(data))
      if (!glance || glance.keys.has('error')) return slow(data)
      note((key) => {
        const span = glance.keys.get(key)
        return span && glance.text.slice(span.valueStart, span.valueEnd)
      })
      return line(latin1Of(edit(glance, () => ({}), { modelVersion: name })))
    },
    // Nothing in this wire says that no frame will follow.
    complete: false,
    usage: () => (told === '' ? undefined : decodeUsage(read(told), searches)),
    text() {
      fold()
      return heard
    },
    end(counted: Usage | undefined) {
      if (machine.fault) return ''
      if (!finished) return refuse(cutShort())
      if (told !== '' || !counted) return ''
      const usageMetadata = encodeUsage(counted)
      return line(latin1(toUtf8(JSON.stringify({ usageMetadata, modelVersion: context.model }))))
    },
  }
  return machine
}

/** JSON of one character per byte. */
const read = (json: string): Json | undefined => parseOr(utf8(bytesOf(json)))

const line = (data: string): string =>
  `data: ${data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data}\n\n`
