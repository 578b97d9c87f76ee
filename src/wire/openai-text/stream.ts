import { type ChatEvent, noUsage, type Usage } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { type JsonObject, list, number, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { parseObject, stringify } from '../../json/parse.ts'
import { heardMax } from '../heard.ts'
import { decodeErrorObject, encodeError, errorIn } from '../openai-chat/errors.ts'
import { decodeFinish, decodeUsage, encodeFinish, encodeUsage } from '../openai-chat/response.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import type {
  ClientContext,
  Frame,
  Notes,
  PassMachine,
  PassStream,
  StreamDecoder,
  StreamEncoder,
  Target,
} from '../wire.ts'
import { asText, encodeLogprobs } from './response.ts'

export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let done = false
  let failed = false
  const spoken = new Set<number>()
  const finished = new Set<number>()
  const fail = (error: GatewayError): ChatEvent[] => {
    failed = true
    return [{ type: 'fault', error }]
  }
  return {
    push({ data }) {
      if (data.startsWith('[DONE]')) done = true
      if (done || failed || data.trim() === '') return []
      const chunk = parse(data)
      if (!chunk) return fail(notJson())
      const error = errorIn(chunk)
      if (error !== undefined) return fail(decodeErrorObject(error))
      const events: ChatEvent[] = []
      if (!started)
        events.push({
          type: 'start',
          id: text(chunk.id) ?? '',
          model: text(chunk.model) ?? notes.model,
          created: number(chunk.created) ?? 0,
        })
      started = true
      for (const value of list(chunk.choices)) {
        const choice = object(asText(value))
        const at = number(choice.index) ?? 0
        const of = at === 0 ? {} : { choice: at }
        spoken.add(at)
        const said = text(choice.text)
        if (said) events.push({ type: 'text', text: said, ...of })
        const reason = text(choice.finish_reason)
        if (!reason) continue
        finished.add(at)
        events.push({ type: 'finish', finish: decodeFinish(reason), reason, ...of })
      }
      const usage = decodeUsage(chunk)
      if (usage) events.push({ type: 'usage', usage })
      return events
    },
    end: () => {
      const isWhole = done || (finished.size > 0 && finished.size === spoken.size)
      return isWhole || failed ? [] : fail(cutShort())
    },
  }
}

export function encodeStream(context: ClientContext): StreamEncoder {
  let head: JsonObject = {
    id: `cmpl-${context.requestId}`,
    object: 'text_completion',
    created: context.created,
    model: context.model,
  }
  let usage: Usage | undefined
  const line = (body: JsonObject) => `data: ${JSON.stringify({ ...head, ...body })}\n\n`
  const piece = (index: number, said: string, more: JsonObject = {}) =>
    line({ choices: [{ text: said, index, logprobs: null, finish_reason: null, ...more }] })
  return {
    push(event) {
      const at = 'choice' in event ? (event.choice ?? 0) : 0
      switch (event.type) {
        case 'start':
          head = {
            ...head,
            id: event.id || `cmpl-${context.requestId}`,
            created: event.created || context.created,
          }
          return ''
        case 'text':
        case 'refusal':
          return piece(at, event.text)
        case 'logprobs':
          return piece(at, '', { logprobs: encodeLogprobs(event.logprobs) })
        case 'finish':
          return piece(at, '', { finish_reason: encodeFinish(event.finish) })
        case 'fault':
          return `data: ${JSON.stringify(encodeError(event.error))}\n\n`
        case 'usage':
          usage = event.usage
          return ''
        case 'ping':
          return ': ping\n\n'
        // A text has nothing but text.
        case 'reasoning':
        case 'signature':
        case 'redacted':
        case 'annotation':
        case 'tool-start':
        case 'tool-input':
        case 'media':
        case 'audio':
        case 'raw':
        case 'extras':
          return ''
      }
    },
    end: () =>
      (context.streamUsage ? line({ choices: [], usage: encodeUsage(usage ?? noUsage) }) : '') +
      'data: [DONE]\n\n',
  }
}

/** The same words on both sides: every frame names the public model, and usage comes where the client asked for it. */
export function passStream(_to: Target, context: ClientContext): PassStream {
  let usage: Usage | undefined
  let usageShown = false
  let heard = ''
  let id = ''
  const spoken = new Set<number>()
  const finished = new Set<number>()

  function read(data: string): string {
    const chunk = parse(utf8(bytesOf(data)))
    const error = chunk && errorIn(chunk)
    if (!chunk || error !== undefined) {
      machine.fault = chunk ? decodeErrorObject(error) : notJson()
      return ''
    }
    const told = decodeUsage(chunk)
    if (told) usage = told
    const choices = list(chunk.choices).map(asText)
    if (told && choices.length === 0 && !context.streamUsage) return ''
    if (told && context.streamUsage) usageShown = true
    for (const value of choices) {
      const choice = object(value)
      const at = number(choice.index) ?? 0
      spoken.add(at)
      const said = text(choice.text) ?? ''
      if (heard.length < heardMax) heard += said
      if (text(choice.finish_reason)) finished.add(at)
      if (said !== '' || finished.has(at)) machine.content = true
    }
    id ||= text(chunk.id) || `cmpl-${context.requestId}`
    const { usage: _, ...rest } = chunk
    const shown = context.streamUsage ? chunk : rest
    return `data: ${latin1(
      toUtf8(
        stringify({
          ...shown,
          id,
          object: 'text_completion',
          created: chunk.created ?? context.created,
          model: context.model,
          choices,
        }),
      ),
    )}\n\n`
  }

  const machine: PassMachine = {
    content: false,
    complete: false,
    fault: undefined,
    push({ data }: Frame) {
      if (machine.fault || machine.complete) return ''
      if (data.startsWith('[DONE]')) machine.complete = true
      return machine.complete || data.trim() === '' ? '' : read(data)
    },
    usage: () => usage,
    text: () => heard,
    end(counted) {
      if (machine.fault) return ''
      if (!machine.complete && finished.size < Math.max(spoken.size, 1)) {
        machine.fault = cutShort()
        return ''
      }
      const last = context.streamUsage && !usageShown ? (usage ?? counted) : undefined
      const frame = last && {
        id: id || `cmpl-${context.requestId}`,
        object: 'text_completion',
        created: context.created,
        model: context.model,
        choices: [],
        usage: encodeUsage(last),
      }
      return `${frame ? `data: ${latin1(toUtf8(JSON.stringify(frame)))}\n\n` : ''}data: [DONE]\n\n`
    },
  }
  return machine
}

function parse(data: string): JsonObject | undefined {
  try {
    return parseObject(data)
  } catch {
    return undefined
  }
}
