import { type ChatResult, type Choice, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { customText } from '../anthropic/response.ts'
import { refuseBroken } from '../openai-chat/response.ts'
import { count } from '../tgi/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  refuseBroken(body)
  return {
    id: text(body.id) ?? text(body['x-request-id']) ?? '',
    created: count(body.created) ?? 0,
    model: text(body.model) ?? notes.model,
    choices: list(body.choices).map((value, at) => decodeChoice(object(value), at, notes)),
    usage: decodeUsage(body.usage) ?? noUsage,
  }
}

function decodeChoice(choice: JsonObject, at: number, notes: Notes): Choice {
  const message = object(choice.message)
  const call = decodeCall(message.function_call, notes)
  const words = call?.type === 'answer' ? call.text : (text(message.content) ?? '')
  const thought = text(message.reasoning_content)
  const reason = text(choice.finish_reason)
  const isCall = call?.type === 'call'
  const state = text(message.functions_state_id)
  return {
    parts: [
      ...(thought ? [{ type: 'reasoning' as const, text: thought }] : []),
      ...(words === '' ? [] : [{ type: 'text' as const, text: words }]),
      ...(isCall
        ? [
            {
              type: 'tool-call' as const,
              id: idOf(message, at),
              name: call.name,
              input: call.input,
              ...call.kind,
            },
          ]
        : []),
    ],
    finish: decodeFinish(reason, isCall, call?.type === 'answer'),
    ...(reason !== undefined && { reason }),
    // By it the service finds its own thoughts about the call again.
    ...(isCall && state !== undefined && { extras: { functions_state_id: state } }),
  }
}

/** Calls have no id; the state they were made in does. */
export const idOf = (message: JsonObject, at: number): string =>
  `call_${text(message.functions_state_id) ?? at}`

type Called =
  | { type: 'answer'; text: string }
  | { type: 'call'; name: string; input: string; kind: { kind?: 'custom' } }

/** The input of the function that stands for the answer's structure is the answer. */
export function decodeCall(
  value: Json | undefined,
  { outputTool, customTools }: Notes,
): Called | undefined {
  if (!isObject(value)) return undefined
  const name = text(value.name) ?? ''
  const said = value.arguments
  const input = typeof said === 'string' ? said : JSON.stringify(said ?? {})
  if (outputTool !== undefined && name === outputTool) return { type: 'answer', text: input }
  return customTools?.has(name)
    ? { type: 'call', name, input: customText(input), kind: { kind: 'custom' } }
    : { type: 'call', name, input, kind: {} }
}

const finishes: ReadonlyMap<string, Finish> = new Map(
  Object.entries({
    stop: 'stop',
    length: 'length',
    function_call: 'tool-calls',
    blacklist: 'content-filter',
  }),
)
export function decodeFinish(
  reason: string | undefined,
  called: boolean,
  isAnswer: boolean,
): Finish {
  if (called) return 'tool-calls'
  if (isAnswer && reason === 'function_call') return 'stop'
  return reason === undefined ? 'stop' : (finishes.get(reason) ?? 'other')
}

/** What was read from the cache is not among prompt_tokens (developers.sber.ru, post-chat, 2026-11). */
export function decodeUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const input = count(value.prompt_tokens)
  const output = count(value.completion_tokens)
  if (input === undefined && output === undefined) return undefined
  const cacheRead = count(value.precached_prompt_tokens) ?? 0
  const usage = { ...noUsage, input: input ?? 0, cacheRead, output: output ?? 0 }
  const { prompt_tokens: _, completion_tokens: __, total_tokens: ___, ...more } = value
  // Not by OpenAI's names: they would be read as OpenAI means them.
  return Object.keys(more).length > 0 ? { ...usage, raw: compact(more) } : usage
}
