import type { OperationAnswer } from '../call/operate.ts'
import { noUsage, type Usage } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import { infoOf } from '../provider/catalogue.ts'
import { costOf, type Price, priceOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import { mediaWireOf } from '../provider/operations.ts'
import { decodeUsage as anthropicUsage } from '../wire/anthropic/response.ts'
import { changeLines, parsedLine } from '../wire/media/batch-lines.ts'
import { bodyOfTold, bytesOfTold } from '../wire/media/operation.ts'
import { readKept } from '../wire/media/resource.ts'
import { decodeUsage as chatUsage } from '../wire/openai-chat/response.ts'
import { decodeUsage as responsesUsage } from '../wire/openai-responses/usage.ts'
import { askKeeper, keeperOf, lookAgain, type Owed, owedIn, settledBy } from './owed.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/**
 * A batch is paid for when its results are there, hours after it was made: until then a note on the shelf says whose it
 * is. Whoever takes the note away settles it, so it is counted once, whichever gateway looks, and also after a restart.
 */
type Note = Owed & {
  /** The provider's id of it. */
  batch: string
}

const prefix = 'batch '
const nameOf = (deploymentId: string, batch: string): string => `${prefix}${deploymentId} ${batch}`

/** A batch was made: noted. One is over: settled, while the client hears of it. */
export async function batchHeard(
  { told, deployment }: OperationAnswer,
  { keyId, model, group, startedAt, pass, requestId }: Receipt,
  rooms: Rooms,
): Promise<void> {
  const batch = told.type === 'whole' ? told.batch : undefined
  const { shelf } = rooms.calls
  if (!batch || !shelf) return
  const name = nameOf(deployment.id, batch.id)
  if (batch.fresh) {
    const note: Note = {
      deploymentId: deployment.id,
      batch: batch.id,
      keyId,
      model,
      group,
      madeAt: startedAt,
      ...(pass && { payer: pass.payer() }),
    }
    try {
      await shelf.save(name, JSON.stringify(note))
    } catch (cause) {
      // It has been made: whoever asked must hear of it, and would make another one otherwise.
      rooms.log('error', 'a batch was made that nobody will be charged for', { cause, requestId })
    }
  } else if (batch.ended) void settleBatch(name, rooms)
}

/** Looks at every batch that is not settled, now and then; the returned function ends it. */
export function watchBatches(rooms: Rooms, leads: () => boolean, everyMs = 300_000): () => void {
  return lookAgain(async () => {
    if (leads()) await lookAtBatches(rooms)
  }, everyMs)
}

/** One look at each. Never throws. */
export async function lookAtBatches(rooms: Rooms): Promise<void> {
  const { shelf } = rooms.calls
  if (!shelf) return
  try {
    await shelf.sweep(keptMs)
    for (const name of await shelf.names(prefix)) await settleBatch(name, rooms)
  } catch (cause) {
    rooms.log('warn', 'batches that may be over could not be looked at; it is tried again', {
      cause,
    })
  }
}
/** Anthropic keeps results for 29 days, OpenAI for 30. */
const keptMs = 32 * 24 * 3_600_000

/** Settles a batch if it is over and nobody else does. Never throws: it is tried again at the next look. */
export async function settleBatch(name: string, rooms: Rooms): Promise<void> {
  const { shelf } = rooms.calls
  try {
    const note = readNote(await shelf?.find(name))
    const to = note && keeperOf(note, 'batch', rooms)
    if (!shelf || !note || !to) return
    const batch = await ask(to, note, 'batch', `/batches/${encodeURIComponent(note.batch)}`, rooms)
    const { told } = batch
    if (told.type !== 'whole' || !told.batch?.ended) return
    const { usage, nanoDollars, priced, model } = await sumOf(told, to, note, rooms)
    // Whoever takes it away is the one who pays it in.
    if (!(await shelf.remove(name))) return
    const now = rooms.now()
    const written = rooms.ledger.record({
      requestId: `batch-${note.batch}`,
      answerId: note.batch,
      startedAt: now,
      endedAt: now,
      operation: 'aretrieve_batch',
      ...settledBy(note, to),
      upstreamModel: model ?? to.target.model,
      usage,
      nanoDollars,
      priced,
    })
    if (written) await written
  } catch (cause) {
    rooms.log('warn', `the batch could not be settled; it is tried again`, { cause, batch: name })
  }
}

function readNote(said: string | undefined): Note | undefined {
  const value = said === undefined ? undefined : parsedLine(said)
  if (!isObject(value)) return undefined
  const batch = text(value['batch'])
  const deploymentId = text(value['deploymentId'])
  if (batch === undefined || deploymentId === undefined) return undefined
  return {
    batch,
    deploymentId,
    ...owedIn(value),
  }
}

/** A file of results may be gigabytes. */
const wholeMs = 30 * 60_000

const ask = (
  to: Deployment,
  note: Note,
  id: 'batch' | 'files',
  path: string,
  rooms: Rooms,
): Promise<OperationAnswer> =>
  askKeeper(
    to,
    note,
    { id, path, live: id === 'files', requestId: `batch-${note.batch}`, wholeMs },
    rooms,
  )

type Sum = { usage: Usage; nanoDollars: number; priced: boolean; model: string | undefined }

/** What the lines of the results come to, each at its model's price for batches. */
async function sumOf(
  told: Extract<OperationAnswer['told'], { type: 'whole' }>,
  to: Deployment,
  note: Note,
  rooms: Rooms,
): Promise<Sum> {
  const sum: Sum = { usage: { ...noUsage }, nanoDollars: 0, priced: true, model: undefined }
  const file = text(bodyOfTold(told)['output_file_id'])
  if (file === undefined) return sum
  const own = readKept(file)?.id ?? file
  const path = `/files/${encodeURIComponent(own)}/content`
  const { told: results } = await ask(to, note, 'files', path, rooms)
  const isPassed = to.target.model === '*' || mediaWireOf(to.spec, 'batch') === 'openai'
  const catalogue = await rooms.catalogue()
  const prices = new Map<string, Price>()
  const priceFor = (model: string): Price => {
    const fixed = to.target.model !== '*'
    const name = fixed ? to.target.model : model
    let price = prices.get(name)
    if (!price) {
      const { provider, priceOptions } = to
      const info = fixed ? to.info : infoOf(catalogue, provider, name, {})
      price = priceOf(info, { ...priceOptions, provider, serviceTier: 'batch' })
      prices.set(name, price)
    }
    return price
  }
  const add = (line: string): undefined => {
    const body = object(object(object(parsedLine(line))['response'])['body'])
    const used = usageIn(body)
    if (!used) return
    const model = text(body['model']) ?? to.target.model
    const { nanoDollars, priced } = costOf(used, priceFor(model), { at: rooms.now() })
    // Where answers were put into OpenAI's words they name the model as the client did.
    if (isPassed) sum.model = model
    sum.nanoDollars += nanoDollars
    sum.priced &&= priced
    for (const key of counts) sum.usage[key] += used[key]
  }
  const lines = changeLines(add)
  if (results.type === 'live') for await (const chunk of results.body) lines.push(chunk)
  else lines.push(bytesOfTold(results))
  lines.end()
  return sum
}

const counts = [
  'input',
  'cacheRead',
  'cacheWrite',
  'cacheWrite1h',
  'inputAudio',
  'inputImage',
  'output',
  'reasoning',
  'outputAudio',
  'outputImage',
  'searches',
] as const

/** Of chat, embeddings, Responses or Messages. */
function usageIn(body: JsonObject): Usage | undefined {
  const usage: Json | undefined = body['usage']
  if (!isObject(usage)) return undefined
  if (body['type'] === 'message') return anthropicUsage(usage)
  return usage['input_tokens'] === undefined ? chatUsage(body) : responsesUsage(body)
}
