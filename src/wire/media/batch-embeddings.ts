import { GatewayError } from '../../errors.ts'
import type { JsonObject } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { stringify } from '../../json/parse.ts'
import type { Encoded, Target } from '../wire.ts'
import type { BatchLine } from './batch-lines.ts'
import { embeddings } from './embeddings.ts'
import { type Exchange, invalid, type MediaContext } from './media.ts'
import { bodyOfTold, type Told } from './operation.ts'

/**
 * Lines of a batch that ask for embeddings, in the words of the provider's own embeddings: what would be sent is what the
 * job reads, and what the job tells is what would be answered.
 */
export const forEmbeddings = '/v1/embeddings'

/** `wire`: one of embeddings'. Throws for a line that is more than one question to this provider. */
export function encodeEmbedding(line: BatchLine, wire: string, to: Target): Encoded {
  const dropped: string[] = []
  const step = begin(line, wire, to, nowhere, dropped).next([])
  const [sent, ...more] = step.done ? [] : step.value
  if (sent?.body?.type !== 'json' || more.length > 0)
    throw invalid('input', 'a line of a batch has one input here: write a line for each.')
  return { body: sent.body.value, notes: { model: to.model }, dropped }
}

/** OpenAI's list of the one vector. Throws GatewayError for an answer that is none. */
export function decodeEmbedding(
  answer: JsonObject,
  line: BatchLine,
  wire: string,
  to: Target,
  context: MediaContext,
): JsonObject {
  const exchange = begin(line, wire, to, context, [])
  exchange.next([])
  const bytes = toUtf8(stringify(answer))
  const step = exchange.next([{ status: 200, header: () => undefined, bytes, live: undefined }])
  if (step.done && step.value.type === 'whole') return bodyOfTold(step.value)
  throw new GatewayError('bad_gateway', 'the provider told no embedding')
}

const nowhere: MediaContext = { model: '', requestId: '', created: 0 }

function begin(
  { body }: BatchLine,
  wire: string,
  to: Target,
  context: MediaContext,
  dropped: string[],
): Exchange<Told> {
  const json = (): JsonObject => ({ ...structuredClone(body), model: to.model })
  const none = (): never => {
    throw new GatewayError('internal', 'a line of a batch is no form')
  }
  return embeddings.start({
    wire,
    to,
    asked: { has: (key) => Object.hasOwn(body, key), field: (key) => body[key] },
    bytes: () => toUtf8(stringify(json())),
    json,
    upload: undefined,
    form: none,
    plain: json,
    keeper: '',
    stream: false,
    context,
    lacks: (...fields) => void dropped.push(...fields),
  }).exchange
}
