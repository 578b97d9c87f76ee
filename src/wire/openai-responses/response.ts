import { type ChatResult, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import type { ClientContext, Notes } from '../wire.ts'
import { createIds, decodeEnding, encodeEnding, openEnvelope, responseId } from './envelope.ts'
import { decodeFault } from './errors.ts'
import { decodeItem, encodeOutput, isCall, logprobsOf } from './output.ts'
import { declaredTools } from './tools.ts'
import { decodeUsage, encodeUsage } from './usage.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  refuseFailure(body)
  const output = list(body.output).filter(isObject)
  const logprobs = logprobsOf(output)
  const tier = text(body.service_tier)
  return {
    id: text(body.id) ?? '',
    created: number(body.created_at) ?? 0,
    model: text(body.model) ?? notes.model,
    choices: [
      {
        parts: output.flatMap((item) => decodeItem(item, notes)),
        ...decodeEnding(body, output.some(isCall)),
        ...(logprobs !== undefined && { logprobs }),
      },
    ],
    usage: decodeUsage(body) ?? noUsage,
    ...(tier !== undefined && { extras: { service_tier: tier } }),
  }
}

/** An error in a success's clothes, or no response at all. */
export function refuseFailure(body: JsonObject): void {
  if (body.error !== undefined && body.error !== null) throw decodeFault(body.error)
  if (body.status === 'failed') throw decodeFault(undefined)
  if (body.status === 'cancelled') throw cancelled()
  if (!Array.isArray(body.output))
    throw new GatewayError('bad_gateway', 'the upstream answered without output')
}

export const cancelled = (): GatewayError =>
  new GatewayError('bad_gateway', 'the upstream cancelled the response')

export function encodeResult(result: ChatResult, context: ClientContext): JsonObject {
  // A client of this wire knows one answer.
  const choice = result.choices[0] ?? { parts: [], finish: 'stop' }
  const id = responseId(result.id, context)
  const { status, reason } = encodeEnding(choice.finish, choice.reason)
  const writer = { ids: createIds(id), declared: declaredTools(context.said) }
  const transcript = text(object(choice.extras?.audio).transcript)
  const isSilent = !choice.parts.some(({ type }) => type === 'text')
  const parts =
    transcript && isSilent
      ? [...choice.parts, { type: 'text' as const, text: transcript }]
      : choice.parts
  const output = encodeOutput(parts, writer, status)
  addLogprobs(output, list(object(choice.logprobs).content).filter(isObject))
  const told = openEnvelope(context)({
    id,
    created: result.created || context.created,
    status,
    reason,
    output,
    usage: encodeUsage(result.usage),
    serviceTier: result.extras?.service_tier,
  })
  context.keep?.(told)
  return told
}

/** Chat has one list for the whole answer: here it stands with the first text. */
function addLogprobs(output: readonly JsonObject[], logprobs: JsonObject[]): void {
  if (logprobs.length === 0) return
  for (const item of output)
    for (const part of list(item.content))
      if (isObject(part) && part.type === 'output_text') {
        part.logprobs = logprobs
        return
      }
}
