import type { ChatResult, Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import { written } from '../cohere/written.ts'
import type { Notes } from '../wire.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const failure = failed(body)
  if (failure) throw failure
  const said = wordsOf(body.output)
  return {
    id: text(body.id) ?? '',
    created: decodeTime(body.created_at),
    model: notes.model,
    choices: [{ parts: said === '' ? [] : [{ type: 'text', text: said }], finish: 'stop' }],
    usage: decodeUsage(body.metrics),
  }
}

/** A prediction is answered whatever became of it. */
function failed({ status, error, id, detail }: JsonObject): GatewayError | undefined {
  switch (status) {
    case 'succeeded':
      return undefined
    case 'failed':
      return new GatewayError('provider', wordsOf(error) || 'the prediction failed')
    case 'starting':
    case 'processing':
    case 'canceled':
    case 'aborted':
      return new GatewayError(
        'timeout',
        `prediction ${text(id) ?? ''} was not done in time (${status}): ask for fewer tokens, or use a model that is warm`,
      )
    default:
      return new GatewayError(
        'bad_gateway',
        text(detail) ?? 'the upstream answered without a prediction',
      )
  }
}

/** Language models answer with the pieces of a text, some with the text, a few with an object. */
function wordsOf(output: Json | undefined): string {
  if (output === undefined || output === null) return ''
  if (typeof output === 'string') return output
  if (Array.isArray(output))
    return output.map((piece) => (typeof piece === 'string' ? piece : written(piece))).join('')
  return written(output)
}

function decodeTime(value: Json | undefined): number {
  const ms = Date.parse(text(value) ?? '')
  return Number.isFinite(ms) && ms > 0 ? Math.floor(ms / 1000) : 0
}

/** Official language models count tokens (cog, docs on metrics); of others only the time is known. */
function decodeUsage(value: Json | undefined): Usage {
  const metrics = object(value)
  const input = number(metrics.input_token_count)
  const output = number(metrics.output_token_count)
  return {
    input: count(input),
    cacheRead: 0,
    cacheWrite: 0,
    cacheWrite1h: 0,
    inputAudio: 0,
    inputImage: 0,
    output: count(output),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
    searches: 0,
    ...((input !== undefined || output !== undefined) && isObject(value) && { raw: value }),
  }
}

const count = (said = 0): number =>
  said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.floor(said) : 0
