import { type ChatEvent, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject } from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'
import type { ClientContext, StreamEncoder } from '../wire.ts'
import { encodeStreamError } from './errors.ts'
import { encodeGrounding } from './grounding.ts'
import { parseOr } from './keys.ts'
import { encodeLogprobs } from './logprobs.ts'
import { encodePart, isBare } from './parts.ts'
import { encodeAudio, encodeFinish } from './response.ts'
import { encodeUsage } from './usage.ts'

type Call = {
  index: number
  id: string
  name: string
  kind: 'function' | 'custom' | undefined
  signature: string | undefined
  input: string
  /** Length of the input when it was last looked at, and how often that may still be done. */
  checked: number
  checks: number
}

/** What is known of one candidate so far. */
type Progress = {
  /** Calls whose input is still coming, in order: this wire tells a call whole. */
  calls: Call[]
  said: string[]
  annotations: JsonObject[]
  finish: { finish: Finish; reason?: string } | undefined
  /** Of the thought before, for what comes next (`moveSignatures`). */
  waiting: string | undefined
}

/** Chunks with the next parts; how it ended, and what it cost, in the last one. */
export function encodeStream(context: ClientContext): StreamEncoder {
  let responseId = context.requestId
  let usage: Usage = noUsage
  let failed = false
  const choices = new Map<number, Progress>()

  function progress(choice: number): Progress {
    const known = choices.get(choice)
    if (known) return known
    const made: Progress = {
      calls: [],
      said: [],
      annotations: [],
      finish: undefined,
      waiting: undefined,
    }
    choices.set(choice, made)
    return made
  }

  const chunk = (body: JsonObject): string =>
    `data: ${JSON.stringify({ ...body, modelVersion: context.model, responseId })}\n\n`
  const candidate = (index: number, parts: JsonObject[], more: JsonObject = {}): JsonObject => ({
    content: { parts, role: 'model' },
    ...more,
    index,
  })
  const tell = (choice: number, parts: JsonObject[], more?: JsonObject): string =>
    parts.length === 0 ? '' : chunk({ candidates: [candidate(choice, parts, more)] })

  /** Calls that are complete, from the front: none overtakes another. */
  function complete({ calls }: Progress): JsonObject[] {
    let count = 0
    for (const call of calls) {
      if (!isComplete(call)) break
      count++
    }
    return calls.splice(0, count).flatMap(encodeCall)
  }

  /** Content that is no call; calls that are complete come before it. */
  function say(choice: number, parts: JsonObject[], more?: JsonObject): string {
    const of = progress(choice)
    return tell(choice, [...complete(of), ...signed(of, parts)], more)
  }

  /** With the signature that waits: on the first part where it may stand, else before them, on a thought of its own. */
  function signed(of: Progress, parts: JsonObject[]): JsonObject[] {
    const { waiting } = of
    const [first, ...rest] = parts
    if (waiting === undefined || first === undefined || (first.text === '' && !first.thought))
      return parts
    if (!isBare(first)) return [...unplaced(of), ...parts]
    of.waiting = undefined
    return [{ ...first, thoughtSignature: waiting }, ...rest]
  }

  function unplaced(of: Progress): JsonObject[] {
    const { waiting } = of
    of.waiting = undefined
    return waiting === undefined
      ? []
      : encodePart({ type: 'reasoning', text: '', signature: waiting })
  }

  function take(event: ChatEvent): string {
    const choice = 'choice' in event ? (event.choice ?? 0) : 0
    switch (event.type) {
      case 'start':
        responseId = event.id || responseId
        return ''
      case 'text':
      case 'refusal':
        progress(choice).said.push(event.text)
        return say(choice, encodePart({ type: 'text', text: event.text }))
      case 'reasoning':
        return say(choice, encodePart({ type: 'reasoning', text: event.text }))
      case 'signature':
        if (isOpenAis(event.signature)) {
          const of = progress(choice)
          const before = tell(choice, unplaced(of))
          of.waiting = event.signature
          return before
        }
        return say(choice, encodePart({ type: 'reasoning', text: '', signature: event.signature }))
      case 'media':
        return say(choice, encodePart(event.part))
      case 'audio':
        return say(choice, encodeAudio(event.audio))
      case 'raw':
        return say(choice, encodePart(event))
      case 'logprobs':
        return say(choice, [{ text: '' }], {
          logprobsResult: encodeLogprobs(event.logprobs),
        })
      case 'annotation':
        progress(choice).annotations.push(event.annotation)
        return ''
      case 'tool-start': {
        const { index, id, name, kind } = event
        const of = progress(choice)
        const signature = event.signature ?? of.waiting
        if (event.signature === undefined) of.waiting = undefined
        of.calls.push({
          index,
          id,
          name,
          kind,
          signature,
          input: '',
          checked: -1,
          checks: 32,
        })
        return ''
      }
      case 'tool-input': {
        const call = progress(choice).calls.findLast(({ index }) => index === event.index)
        if (call) call.input += event.text
        return ''
      }
      case 'finish':
        progress(choice).finish = event
        return ''
      case 'usage':
        usage = event.usage
        return ''
      case 'fault':
        failed = true
        return encodeStreamError(event.error)
      // Other dialects' fields mean nothing here, nor does what another model encrypted; this one knows no heartbeat.
      case 'extras':
      case 'redacted':
      case 'ping':
        return ''
    }
  }

  return {
    push: (event) => (failed ? '' : take(event)),
    end() {
      if (failed) return ''
      failed = true
      const all = choices.size > 0 ? [...choices] : [[0, progress(0)] as const]
      return chunk({
        candidates: all
          .toSorted(([a], [b]) => a - b)
          .map(([index, of]) => {
            const { calls, said, annotations, finish } = of
            const parts = [...calls.flatMap(encodeCall), ...unplaced(of)]
            return candidate(
              index,
              parts.length > 0 ? parts : [{ text: '' }],
              compact({
                finishReason: encodeFinish(finish?.finish ?? 'stop', finish?.reason),
                groundingMetadata: encodeGrounding(annotations, said.join('')),
              }),
            )
          }),
        usageMetadata: encodeUsage(usage),
      })
    },
  }
}

const encodeCall = ({ id, name, kind, signature, input }: Call): JsonObject[] =>
  encodePart({
    type: 'tool-call',
    id,
    name,
    input,
    ...(kind && { kind }),
    ...(signature !== undefined && { signature }),
  })

/** Is the input one whole JSON object? Asked again only when it has grown. A freeform one is whole when all is. */
function isComplete(call: Call): boolean {
  if (call.kind === 'custom' || call.input.length === call.checked || call.checks === 0)
    return false
  call.checked = call.input.length
  call.checks--
  return call.input.trimEnd().endsWith('}') && isObject(parseOr(call.input))
}

/** The same without `alt=sse`: one list, written as its items come. */
export function encodeStreamArray(context: ClientContext): StreamEncoder {
  const stream = encodeStream(context)
  const items = createItems()
  return {
    push: (event) => items.push(stream.push(event)),
    end: () => items.push(stream.end()) + items.end(),
  }
}

/**
 * Server-sent events of this wire, as `encodeStream`, `encodeStreamError` and `passStream` write them (whole events, one
 * line of data each), as the items of one JSON list.
 */
export function createItems(): { push(events: string): string; end(): string } {
  let count = 0
  return {
    push: (events) =>
      events
        .split('\n\n')
        .map((event) =>
          event.startsWith('data: ') ? `${count++ === 0 ? '[' : ',\r\n'}${event.slice(6)}` : '',
        )
        .join(''),
    end: () => (count === 0 ? '[]' : ']'),
  }
}
