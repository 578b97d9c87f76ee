import { type ChatResult, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import { withoutTokens } from '../tgi/response.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  return resultOf(textOf(body.text_output), body, notes)
}

export function decodeInference(body: JsonObject, notes: Notes): ChatResult {
  const outputs = list(body.outputs).map(object)
  const output = outputs.find(({ name }) => name === 'text_output') ?? outputs[0]
  return resultOf(output && textOf(output.data), body, notes)
}

function resultOf(said: string | undefined, body: JsonObject, notes: Notes): ChatResult {
  if (body.error) throw decodeErrorObject(body.error)
  if (said === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without text_output')
  const words = withoutTokens(said)
  return {
    id: text(body.id) ?? '',
    created: 0,
    model: notes.model,
    choices: [{ parts: words === '' ? [] : [{ type: 'text', text: words }], finish: 'stop' }],
    usage: noUsage,
  }
}

/** A text, or a tensor of texts. */
export const textOf = (value: Json | undefined): string | undefined =>
  Array.isArray(value) ? value.map((piece) => text(piece) ?? '').join('') : text(value)
