import type { OperationAnswer } from '../call/operate.ts'
import { noUsage, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, number, text } from '../json/json.ts'
import { type Catalogue, infoOf, type ModelInfo } from '../provider/catalogue.ts'
import { costOf, type Price, priceOf, type Units } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import { parsedLine } from '../wire/media/batch-lines.ts'
import type { Job } from '../wire/media/job.ts'
import type { Tap } from '../wire/media/operation.ts'
import { askKeeper, keeperOf, lookAgain, type Owed, owedIn, settledBy } from './owed.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/**
 * What a provider goes on working at is paid for when it is over: films by their seconds, runs of assistants by their
 * tokens, fine-tunings by what was trained on. Until then a note on the shelf says whose it is, and whoever takes the note
 * away settles it: once, whoever looks first, and also after a restart (batches.ts does the same with batches).
 */
type Note = Owed & {
  operation: string
  /** The provider's id of it, and where it is looked at. */
  id: string
  look: string
  /** The provider's model. */
  upstream: string
  /** What it will have used, as far as the request told. */
  units?: Units
  /** And it is that, whatever the answer says of its length. */
  asked?: true
}

const prefix = 'job '
const nameOf = (operation: string, deploymentId: string, id: string): string =>
  `${prefix}${operation} ${deploymentId} ${id}`

/** An answer about a job, or a stream that will tell of one at its end. Answers what is sent. */
export async function jobHeard(
  answer: OperationAnswer,
  receipt: Receipt,
  operation: string,
  rooms: Rooms,
): Promise<OperationAnswer> {
  const { told, deployment } = answer
  if (told.type === 'whole') {
    if (told.job) await heardJob(told.job, deployment, receipt, operation, rooms)
    return answer
  }
  if (!told.tap) return answer
  const { tap } = told
  const end: Tap['end'] = () => {
    const measured = tap.end()
    if (measured.job) void heardJob(measured.job, deployment, receipt, operation, rooms)
    return measured
  }
  return { ...answer, told: { ...told, tap: { push: tap.push, end } } }
}

/** Begun: noted. Over: settled, before the client hears of it. */
async function heardJob(
  job: Job,
  to: Deployment,
  { keyId, model, group, startedAt, pass, requestId }: Receipt,
  operation: string,
  rooms: Rooms,
): Promise<void> {
  const { shelf } = rooms.calls
  if (!shelf) return
  const name = nameOf(operation, to.id, job.id)
  if (job.fresh && !job.ended) {
    const note: Note = {
      operation,
      deploymentId: to.id,
      id: job.id,
      look: job.look,
      keyId,
      model,
      group,
      upstream: job.model ?? to.target.model,
      madeAt: startedAt,
      ...(job.units && { units: job.units }),
      ...(job.asked && { asked: true }),
      ...(pass && { payer: pass.payer() }),
    }
    try {
      await shelf.save(name, JSON.stringify(note))
    } catch (cause) {
      // It has been begun: whoever asked must hear of it, and would begin another one otherwise.
      rooms.log('error', `a job was begun that nobody will be charged for: ${operation}`, {
        cause,
        requestId,
      })
    }
  } else if (job.ended) await settle(name, rooms, { job, to })
}

/** Looks at every job that is not settled, now and then; the returned function ends it. */
export function watchJobs(rooms: Rooms, leads: () => boolean, everyMs = 300_000): () => void {
  return lookAgain(async () => {
    if (leads()) await lookAtJobs(rooms)
  }, everyMs)
}

/** One look at each. Never throws. */
export async function lookAtJobs(rooms: Rooms): Promise<void> {
  const { shelf } = rooms.calls
  if (!shelf) return
  try {
    for (const name of await shelf.names(prefix)) await settle(name, rooms)
  } catch (cause) {
    rooms.log('warn', 'jobs that may be over could not be looked at; it is tried again', { cause })
  }
}

/** Before something is deleted: afterwards nobody tells what it came to. */
export async function settleFirst(
  operation: string,
  deploymentId: string,
  id: string,
  rooms: Rooms,
): Promise<void> {
  await settle(nameOf(operation, deploymentId, id), rooms)
}

/** Settles a job if it is over and nobody else does. `seen`: what has just been told of it. Never throws. */
async function settle(
  name: string,
  rooms: Rooms,
  seen?: { job: Job; to: Deployment },
): Promise<void> {
  const { shelf } = rooms.calls
  try {
    const note = readNote(await shelf?.find(name))
    const to = seen?.to ?? (note && keeperOf(note, note.operation, rooms))
    if (!shelf || !note || !to) return
    const job = seen?.job ?? (await jobAt(note, to, rooms))
    if (!job?.ended) return
    const cost = await costOfJob(job, note, to, rooms)
    // Whoever takes it away is the one who pays it in.
    if (!(await shelf.remove(name)) || !cost) return
    if (!cost.priced) noteUnpriced(note, to, rooms)
    const written = rooms.ledger.record({
      requestId: `${note.operation}-${note.id}`,
      answerId: note.id,
      startedAt: note.madeAt,
      endedAt: rooms.now(),
      operation: operations.get(note.operation) ?? note.operation,
      ...settledBy(note, to),
      ...cost,
    })
    if (written) await written
  } catch (cause) {
    if (GatewayError.is(cause) && cause.kind === 'not_found' && !seen) {
      // The provider has forgotten it, and will not tell what it came to.
      await shelf?.remove(name).catch(() => undefined)
      rooms.log('warn', 'a job is gone at its provider and counts as free', { job: name })
    } else rooms.log('warn', 'a job could not be settled; it is tried again', { cause, job: name })
  }
}
/** Once for each deployment: what is free by an oversight is seen. */
function noteUnpriced(
  { operation }: Note,
  { id, provider, target }: Deployment,
  { settings, log }: Rooms,
): void {
  const key = `${operation} ${id}`
  if (settings.unpriced !== 'free' || warned.has(key)) return
  if (warned.size > 10_000) warned.clear()
  warned.add(key)
  const field = operation === 'fine_tuning' ? trainingPrice : 'output_cost_per_second'
  log(
    'warn',
    `no price is known for ${operation.replaceAll('_', ' ')} of ${provider}/${target.model}: it counts as free. Set ${field} in its model_info.`,
  )
}
const warned = new Set<string>()
/** No catalogue has it. */
const trainingPrice = 'training_cost_per_token'

/** `unpriced_models: deny`: what nobody could price when it is over is not begun. */
export function refuseUnpricedTraining(group: string, { settings, router }: Rooms): void {
  if (settings.unpriced !== 'deny') return
  const all = router.groups.find(router.groups.nameOf(group))
  if (all.length > 0 && all.every(({ info }) => number(info[trainingPrice]) !== undefined)) return
  throw new GatewayError(
    'permission',
    `no price is known for training ${group.slice(0, 200)}, and models without a price are refused here: set ${trainingPrice} in its model_info`,
    { type: 'model_cost_map_missing', param: 'model' },
  )
}

/** As LiteLLM calls them. */
const operations: ReadonlyMap<string, string> = new Map([
  ['video', 'avideo_generation'],
  ['assistants', 'arun_thread'],
  ['fine_tuning', 'acreate_fine_tuning_job'],
])

function readNote(said: string | undefined): Note | undefined {
  const value = said === undefined ? undefined : parsedLine(said)
  if (!isObject(value)) return undefined
  const [operation, deploymentId, id, look] = ['operation', 'deploymentId', 'id', 'look'].map(
    (key) => text(value[key]),
  )
  if (!operation || !deploymentId || !id || !look) return undefined
  return {
    operation,
    deploymentId,
    id,
    look,
    ...owedIn(value),
    upstream: text(value['upstream']) ?? '',
    // As `heardJob` wrote them.
    ...(isObject(value['units']) && { units: value['units'] as Units }),
    ...(value['asked'] === true && { asked: true }),
  }
}

async function jobAt(note: Note, to: Deployment, rooms: Rooms): Promise<Job | undefined> {
  const { operation: id, look: path } = note
  const asked = { id, path, live: false, requestId: `${id}-${note.id}`, wholeMs }
  const { told } = await askKeeper(to, note, asked, rooms)
  return told.type === 'whole' ? told.job : undefined
}
const wholeMs = 5 * 60_000

type JobCost = {
  upstreamModel: string
  usage: Usage
  units?: Units
  nanoDollars: number
  priced: boolean
}

/** Undefined: it failed, and used nothing. */
async function costOfJob(
  job: Job,
  note: Note,
  to: Deployment,
  rooms: Rooms,
): Promise<JobCost | undefined> {
  const upstream = job.model || note.upstream || to.target.model
  const known = to.target.model !== '*'
  const catalogue = await rooms.catalogue()
  const infoFor = (model: string): ModelInfo => infoOf(catalogue, to.provider, model, {})
  const info = known ? to.info : infoFor(upstream)
  const listOf = (of: ModelInfo): Price =>
    priceOf(of, { ...to.priceOptions, provider: to.provider })
  if (note.operation === 'fine_tuning') {
    if (!job.trained) return undefined
    const each = number(info[trainingPrice])
    return {
      upstreamModel: upstream,
      usage: { ...noUsage, input: job.trained },
      nanoDollars: Math.round((each ?? 0) * 1e9 * job.trained),
      priced: each !== undefined,
    }
  }
  const { usage = noUsage } = job
  const units = !job.units
    ? undefined
    : note.asked
      ? { ...job.units, ...note.units }
      : { ...note.units, ...job.units }
  if (!units && usage === noUsage) return undefined
  const charged = saysCost.has(to.provider) && !to.priceOptions.ownPrices ? job.charged : undefined
  if (charged !== undefined) {
    const nanoDollars = Math.round(charged * 1e9)
    return { upstreamModel: upstream, usage, nanoDollars, priced: true, ...(units && { units }) }
  }
  const { nanoDollars, priced } = costOf(
    usage,
    listOf(finer(upstream, units, to, catalogue) ?? info),
    {
      at: rooms.now(),
      units,
    },
  )
  return { upstreamModel: upstream, usage, nanoDollars, priced, ...(units && { units }) }
}

/** Providers whose films say what they cost: Eden AI, in dollars (docs.edenai.co, 2026-11). */
const saysCost: ReadonlySet<string> = new Set(['edenai'])

/** Larger films of some models have an entry of their own: `sora-2-pro-high-res`. */
function finer(
  model: string,
  units: Units | undefined,
  { provider, priceOptions }: Deployment,
  catalogue: Catalogue,
): ModelInfo | undefined {
  if (priceOptions.ownPrices || !/^(1080p|4k)$/.test(units?.resolution ?? '')) return undefined
  const found = catalogue.find(provider, `${model}-high-res`)?.info
  return found && text(found['mode']) === 'video_generation' ? found : undefined
}
