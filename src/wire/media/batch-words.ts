import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, number, text } from '../../json/json.ts'
import { anthropic } from '../anthropic/wire.ts'
import { encodeError } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { openaiResponses } from '../openai-responses/wire.ts'
import { openaiText } from '../openai-text/wire.ts'
import type { Encoded, Notes, ProviderWire, Target, Wire } from '../wire.ts'
import { type BatchLine, changedLines } from './batch-lines.ts'
import { invalid, type MediaContext } from './media.ts'
import type { Told } from './operation.ts'

/** What files and batches of every provider have in common that OpenAI's clients are told of in OpenAI's words. */

/** Whose words a line is in, by the path it is for. */
const dialects: ReadonlyMap<string, Wire> = new Map([
  ['/v1/chat/completions', openaiChat],
  ['/v1/completions', openaiText],
  ['/v1/responses', openaiResponses],
  ['/v1/messages', anthropic],
])

/** `provider`: as people call it. */
function dialectOf(url: string, provider: string): Wire {
  const wire = dialects.get(url)
  if (wire) return wire
  throw invalid(
    'endpoint',
    `${provider}'s batches are for ${[...dialects.keys()].join(', ')}, and not for '${url.slice(0, 100)}'.`,
  )
}

/** A line in the words of a provider, whole and never streamed. One that was written in them passes as it is. */
export function encodeLine(
  { url, body }: BatchLine,
  wire: ProviderWire,
  to: Target,
  provider: string,
): Encoded {
  const dialect = dialectOf(url, provider)
  const { model } = to
  const passes = dialect.native?.lists.every((name) => Array.isArray(body[name]))
  if (dialect.id === wire.id && passes) {
    const { stream: _, stream_options: __, ...params } = body
    return { body: { ...params, model }, notes: { model } }
  }
  const request = dialect.decodeRequest({ ...body, model, stream: false })
  const asked = { ...request, model, dialect: dialect.id }
  const encoded = wire.encodeRequest(asked, to)
  const { stream: _, ...params } = encoded.body
  return { ...encoded, body: params }
}

/** One line of results. `error` was told by the provider; `lost` never came to an answer. */
export type LineResult =
  | { type: 'answer'; body: JsonObject; requestId: string }
  | { type: 'error'; error: GatewayError }
  | { type: 'lost'; code: string; message: string }

export function encodeLineResult(id: string, customId: string, result: LineResult): JsonObject {
  const told = (response: JsonObject | null, error: JsonObject | null): JsonObject => ({
    id: `batch_req_${id}`,
    custom_id: customId,
    response,
    error,
  })
  switch (result.type) {
    case 'answer':
      return told({ status_code: 200, request_id: result.requestId, body: result.body }, null)
    case 'error': {
      const { error } = result
      return told({ status_code: error.status, request_id: '', body: encodeError(error) }, null)
    }
    case 'lost':
      return told(null, { code: result.code, message: result.message })
  }
}

/** An answer in the words the line was written in. Throws GatewayError for an answer that is none. */
export function encodeAnswer(
  answer: JsonObject,
  line: BatchLine | undefined,
  wire: ProviderWire,
  notes: Notes,
  { model, requestId, created }: MediaContext,
): JsonObject {
  const dialect = dialects.get(line?.url ?? '') ?? openaiChat
  // What a client wrote in the provider's words it is answered in them.
  if (line && dialect.id === wire.id) return { ...answer, model: text(line.body['model']) ?? model }
  return dialect.encodeResult(wire.decodeResult(answer, notes), {
    // As the client called it.
    model: text(line?.body['model']) ?? model,
    requestId,
    created,
    streamUsage: false,
    choices: 1,
    ...(line && { said: (key: string) => (key === 'store' ? false : line.body[key]) }),
  })
}

export const gone = (what: 'File' | 'Batch', id: string): GatewayError =>
  new GatewayError('not_found', `No such ${what} object: ${id.slice(0, 100)}`, {
    type: 'invalid_request_error',
    param: 'id',
  })

export const whole = (value: JsonObject): Extract<Told, { type: 'whole' }> => ({
  type: 'whole',
  mime: 'application/json',
  encode: () => ({ body: JSON.stringify(value), encoding: 'utf8' }),
})

/** Unix seconds of a time that is written out, or that is a number already. */
export function secondsOf(value: Json | undefined): number | null {
  const at = number(value) ?? Date.parse(text(value) ?? '') / 1000
  return Number.isFinite(at) ? Math.floor(at) : null
}

/** Lines end where they are told to: those that are left out leave none behind. */
export function withoutBlanks(
  body: AsyncIterable<Uint8Array>,
  change: (line: string) => string | undefined,
): AsyncIterable<Uint8Array> {
  const lines = changedLines(body, change)
  return {
    async *[Symbol.asyncIterator]() {
      for await (const bytes of lines) if (bytes.length > 1 || bytes[0] !== 10) yield bytes
    },
  }
}
