import type { ChatEvent } from '../../chat/chat.ts'
import type { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { parseOr } from '../anthropic/blocks.ts'
import { customText } from '../anthropic/response.ts'
import { decodeCalls as wholeCalls } from '../cohere-v1/response.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { cutShort, notJson } from '../openai-chat/stream.ts'
import type { Notes, StreamDecoder } from '../wire.ts'
import { decodeFinish, decodeUsage, wordsIn } from './response.ts'

type Call = {
  id: string
  name: string
  choice: number
  /** Within its choice. */
  index: number
  /** The input of a freeform tool's function, which is told once it is whole. */
  held: string
  told: boolean
}

/** Pieces of a message; Cohere's repeat the whole text, and the calls, where the calls and the history are told. */
export function decodeStream(notes: Notes): StreamDecoder {
  let started = false
  let failed = false
  let finished = false
  let spoken = false
  const calls: Call[] = []
  const isCustom = (name: string): boolean => notes.customTools?.has(name) ?? false

  function fail(error: GatewayError): ChatEvent[] {
    failed = true
    return [{ type: 'fault', error }]
  }
  const ofChoice = (choice: number) => (choice === 0 ? {} : { choice })
  const of = (choice: number): Call[] => calls.filter((call) => call.choice === choice)

  /** A piece that names nobody belongs to the call that was begun last. */
  function callOf(id: string | undefined, name: string | undefined, choice: number): Call {
    const mine = of(choice)
    const known = id ? mine.find((call) => call.id === id) : name ? undefined : mine.at(-1)
    if (known) return known
    const made = {
      id: id || `call_${calls.length}`,
      name: name ?? '',
      choice,
      index: mine.length,
      held: '',
      told: false,
    }
    calls.push(made)
    return made
  }

  function decodeCalls(message: JsonObject, choice: number): ChatEvent[] {
    return list(message.toolCalls).flatMap((value): ChatEvent[] => {
      const call = object(value)
      const one = callOf(text(call.id) || undefined, text(call.name) || undefined, choice)
      const { index } = one
      const isNew = !one.told
      one.told = true
      const events: ChatEvent[] = isNew
        ? [
            {
              type: 'tool-start',
              index,
              id: one.id,
              name: one.name,
              ...(isCustom(one.name) && { kind: 'custom' as const }),
              ...ofChoice(choice),
            },
          ]
        : []
      const input = text(call.arguments) ?? ''
      if (isCustom(one.name)) one.held += input
      else if (input !== '')
        events.push({ type: 'tool-input', index, text: input, ...ofChoice(choice) })
      return events
    })
  }

  function decodeGeneric(said: JsonObject): ChatEvent[] {
    const choice = number(said.index) ?? 0
    const mine = ofChoice(choice)
    const message = object(said.message)
    const thought = text(message.reasoningContent)
    return [
      ...(thought ? [{ type: 'reasoning' as const, text: thought, ...mine }] : []),
      ...wordsIn(message.content).map((one) => ({ type: 'text' as const, text: one, ...mine })),
      ...decodeCalls(message, choice),
      ...conclude(said, choice),
    ]
  }

  function decodeCohere(said: JsonObject): ChatEvent[] {
    const events: ChatEvent[] = []
    const repeats = said.toolCalls !== undefined || said.chatHistory !== undefined
    const words = text(said.text)
    if (words && !(repeats && spoken)) {
      spoken = true
      events.push({ type: 'text', text: words })
    }
    if (calls.length === 0)
      wholeCalls(said.toolCalls, notes).forEach(({ id, name, input, ...kind }, at) => {
        calls.push({ id, name, choice: 0, index: at, held: '', told: true })
        events.push({ ...kind, type: 'tool-start', index: at, id, name })
        events.push({ type: 'tool-input', index: at, text: input })
      })
    return [...events, ...conclude(said, 0)]
  }

  function conclude(said: JsonObject, choice: number): ChatEvent[] {
    const reason = text(said.finishReason)
    if (reason === undefined) return []
    finished = true
    const mine = of(choice)
    const late = mine.flatMap((call): ChatEvent[] =>
      call.held === ''
        ? []
        : [
            {
              type: 'tool-input',
              index: call.index,
              text: customText(call.held),
              ...ofChoice(choice),
            },
          ],
    )
    const finish = decodeFinish(reason, mine.length > 0)
    return [...late, { type: 'finish', finish, reason, ...ofChoice(choice) }]
  }

  return {
    push({ data }) {
      if (failed || data.trim() === '' || data.startsWith('[DONE]')) return []
      const said = parseOr(data)
      if (!isObject(said)) return fail(notJson())
      // A piece of an answer has an object for its message.
      const message = text(said.errorMessage) || text(said.message)
      if (said.error || message)
        return fail(decodeErrorObject(said.error || { code: said.code, message }))
      const events: ChatEvent[] = []
      if (!started) {
        started = true
        events.push({ type: 'start', id: '', model: notes.model, created: 0 })
      }
      const isCohere = said.apiFormat === 'COHERE' || typeof said.text === 'string'
      events.push(...(isCohere ? decodeCohere(said) : decodeGeneric(said)))
      const usage = decodeUsage(said.usage)
      return usage ? [...events, { type: 'usage', usage }] : events
    },
    end: () => (failed || finished ? [] : fail(cutShort())),
  }
}
