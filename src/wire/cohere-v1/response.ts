import type { ChatResult, ToolCallPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { customText } from '../anthropic/response.ts'
import { decodeFault } from '../cohere/errors.ts'
import { decodeFinish, decodeUsage, failed, ownFields } from '../cohere/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const words = text(body.text)
  if (words === undefined) {
    if (typeof body.message === 'string') throw decodeFault(body)
    throw new GatewayError('bad_gateway', 'the upstream answered without a text')
  }
  const reason = text(body.finish_reason)
  const failure = failed(reason, words || undefined)
  if (failure) throw failure
  const calls = decodeCalls(body.tool_calls, notes)
  const extras = ownFields('', list(body.citations))
  return {
    id: text(body.generation_id) ?? '',
    created: 0,
    model: notes.model,
    choices: [
      {
        parts: [...(words ? [{ type: 'text' as const, text: words }] : []), ...calls],
        finish: decodeFinish(reason, calls.length > 0),
        ...(reason !== undefined && { reason }),
        ...(extras && { extras }),
      },
    ],
    usage: decodeUsage(body.meta),
  }
}

/** They have no ids: their places do. */
export const decodeCalls = (calls: Json | undefined, notes: Notes): ToolCallPart[] =>
  list(calls).map((value, at) => {
    const call = object(value)
    const name = text(call.name) ?? ''
    const input = JSON.stringify(object(call.parameters))
    const part = { type: 'tool-call' as const, id: `call_${at}`, name }
    return notes.customTools?.has(name)
      ? { ...part, kind: 'custom', input: customText(input) }
      : { ...part, input }
  })
