import { type ChatResult, type Choice, type Finish, noUsage, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { decodeErrorObject } from '../openai-chat/errors.ts'
import type { Notes } from '../wire.ts'

/** `generated_text`; JumpStart's models say `generation`, some of them with a message in it. */
export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  if (body.error) throw decodeErrorObject(errorOf(body))
  const said =
    text(body.generated_text) ??
    text(body.generation) ??
    text(object(body.generation).content) ??
    text(object(list(body.outputs)[0]).generated_text)
  if (said === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without generated_text')
  const details = object(body.details)
  const others = list(details.best_of_sequences).map(object)
  return {
    id: '',
    created: 0,
    model: notes.model,
    choices: [
      choiceOf(said, text(details.finish_reason)),
      ...others.map((one) => choiceOf(text(one.generated_text) ?? '', text(one.finish_reason))),
    ],
    usage: decodeUsage(details) ?? noUsage,
  }
}

function choiceOf(said: string, reason: string | undefined): Choice {
  const words = withoutTokens(said)
  return {
    parts: words === '' ? [] : [{ type: 'text', text: words }],
    finish: decodeFinish(reason),
    ...(reason !== undefined && { reason }),
  }
}

/** An error is a text; its class stands beside it. */
export const errorOf = (body: JsonObject): Json =>
  typeof body.error === 'string'
    ? { message: body.error, type: body.error_type, code: body.code }
    : (body.error ?? null)

const finishes: ReadonlyMap<string, Finish> = new Map(
  Object.entries({ eos_token: 'stop', stop_sequence: 'stop', length: 'length', error: 'other' }),
)
export const decodeFinish = (reason: string | undefined): Finish =>
  reason === undefined ? 'stop' : (finishes.get(reason) ?? 'other')

/** Only where both sides were counted; else the gateway counts. LoRAX, which is Predibase's, says `prompt_tokens`. */
export function decodeUsage(details: JsonObject): Usage | undefined {
  const output = count(details.generated_tokens)
  const input =
    count(details.input_length) ??
    count(details.prompt_tokens) ??
    (list(details.prefill).length || undefined)
  if (output === undefined || input === undefined) return undefined
  return { ...noUsage, input, output, raw: { input_length: input, generated_tokens: output } }
}

/** A count of a server's; what is none is not said. */
export const count = (value: Json | undefined): number | undefined =>
  typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
    ? Math.floor(value)
    : undefined

/** Marks of the conversation that a model writes around its words. */
export function withoutTokens(said: string): string {
  let out = said
  for (const mark of marks) {
    if (out.trimStart().startsWith(mark)) out = out.trimStart().slice(mark.length)
    if (out.endsWith(mark)) out = out.slice(0, -mark.length)
  }
  return out
}
export const marks: readonly string[] = [
  '<|assistant|>',
  '<s>',
  '</s>',
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<end_of_turn>',
]
