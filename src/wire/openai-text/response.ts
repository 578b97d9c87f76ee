import { type ChatResult, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { parseObject, stringify } from '../../json/parse.ts'
import { decodeErrorObject, errorIn } from '../openai-chat/errors.ts'
import { decodeFinish, decodeUsage, encodeFinish, encodeUsage } from '../openai-chat/response.ts'
import type { ClientContext, Notes, PassedResult, Target } from '../wire.ts'

function refuseBroken(body: JsonObject): void {
  if (Array.isArray(body.choices)) return
  const error = errorIn(body)
  if (error !== undefined) throw decodeErrorObject(error)
  throw new GatewayError('bad_gateway', 'the upstream answered without choices')
}

/** What a choice says; some servers answer this route with a message. */
export const wordsOf = (choice: JsonObject): string =>
  text(choice.text) ?? text(object(choice.message).content) ?? ''

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  refuseBroken(body)
  return {
    id: text(body.id) ?? '',
    created: number(body.created) ?? 0,
    model: text(body.model) ?? notes.model,
    usage: decodeUsage(body) ?? noUsage,
    choices: list(body.choices).map((value) => {
      const choice = object(value)
      const reason = text(choice.finish_reason)
      const said = wordsOf(choice)
      return {
        parts: said === '' ? [] : [{ type: 'text' as const, text: said }],
        finish: decodeFinish(reason),
        ...(reason !== undefined && { reason }),
      }
    }),
  }
}

export function encodeResult(result: ChatResult, context: ClientContext): JsonObject {
  return compact({
    id: result.id || `cmpl-${context.requestId}`,
    object: 'text_completion',
    created: result.created || context.created,
    model: context.model,
    choices: result.choices.map(({ parts, finish, logprobs }, index) => ({
      text: parts
        .map((part) => (part.type === 'text' || part.type === 'refusal' ? part.text : ''))
        .join(''),
      index,
      logprobs: logprobs === undefined ? null : encodeLogprobs(logprobs),
      finish_reason: encodeFinish(finish),
    })),
    usage: encodeUsage(result.usage),
    ...result.extras,
  })
}

/** Chat tells a list of tokens, text completion four lists side by side. */
export function encodeLogprobs(value: Json): Json {
  const tokens = list(object(value)['content']).map(object)
  if (tokens.length === 0) return value
  let offset = 0
  return {
    tokens: tokens.map(({ token }) => text(token) ?? ''),
    token_logprobs: tokens.map(({ logprob }) => number(logprob) ?? null),
    top_logprobs: tokens.map(({ top_logprobs }) =>
      Object.fromEntries(
        list(top_logprobs).map((one) => [
          text(object(one)['token']) ?? '',
          number(object(one)['logprob']) ?? null,
        ]),
      ),
    ),
    text_offset: tokens.map(({ token }) => {
      const at = offset
      offset += (text(token) ?? '').length
      return at
    }),
  }
}

/** The same words on both sides: another model's name, and usage where there was none. */
export function passResult(bytes: Uint8Array, _to: Target, context: ClientContext): PassedResult {
  let body: JsonObject
  try {
    body = parseObject(utf8(bytes), { maxDepth: 500 })
  } catch {
    throw new GatewayError(
      'bad_gateway',
      'the upstream answered with something that is no JSON object',
    )
  }
  refuseBroken(body)
  const usage = decodeUsage(body)
  const choices = list(body.choices)
  return {
    usage,
    text: () => choices.map((choice) => wordsOf(object(choice))).join('\n'),
    encode: (counted) => ({
      encoding: 'utf8',
      body: stringify({
        ...body,
        id: text(body.id) || `cmpl-${context.requestId}`,
        object: 'text_completion',
        created: body.created ?? context.created,
        model: context.model,
        choices: choices.map(asText),
        ...(!usage && counted && { usage: encodeUsage(counted) }),
      }),
    }),
  }
}

/** A choice with a message instead of a text, as fill-in-the-middle servers have it. */
export function asText(value: Json): Json {
  const choice = object(value)
  const spoken = choice.message ?? choice.delta
  if (choice.text !== undefined || !isObject(spoken)) return value
  const { message: _, delta: __, ...rest } = choice
  return { ...rest, text: text(spoken['content']) ?? '', logprobs: choice.logprobs ?? null }
}
