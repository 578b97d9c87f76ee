import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { infoOf } from '../provider/catalogue.ts'
import { priceOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Passed } from './pass-count.ts'
import { paidFor } from './pass-paid.ts'
import type { PassTarget } from './passthrough.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import { type Learnt, nothingLearnt } from './tap.ts'
import { noteUnpriced, refuseUnpriced } from './unpriced.ts'

/** Is it for the answer to tell what it costs? Looking and forgetting cost nothing, nor do files that are sent, and counts. */
export const costsUntold = (
  { method, path }: Incoming,
  { deployment, cost }: PassTarget,
): boolean =>
  deployment !== undefined &&
  cost === undefined &&
  (method === 'POST' || method === 'PUT' || method === 'PATCH') &&
  !free.test(path)
const free =
  /\/(?:files|uploads)(?:\/|$)|\/upload\/|(?:count_tokens|countTokens|input_tokens|tokenize|cancel)$/

/** `unpriced_models: deny`: what nobody could price, were it answered, is not asked. */
export async function refuseUntold(
  incoming: Incoming,
  { deployment: to }: PassTarget,
  asked: Passed,
  rooms: Rooms,
): Promise<void> {
  if (rooms.settings.unpriced !== 'deny' || !to) return
  // Only here: to refuse a model its name has to be read before the body passes.
  asked.through(await incoming.body())
  const model = asked.model()
  if (model !== undefined) return refuseUnpriced(await pricedAs(to, model, rooms), rooms)
  throw new GatewayError(
    'permission',
    `nobody here can tell what ${incoming.path.slice(0, 200)} costs, and what has no price is refused here: ask a route that names its model`,
    { type: 'model_cost_map_missing', param: 'model' },
  )
}

/** Once for each kind of path: what is free by an oversight is seen. */
function noteUntold({ deployment, model }: Receipt, { log }: Rooms): void {
  const kind = `${deployment?.provider} ${model.replace(/\/[^/]*\d[^/]{6,}/g, '/…').slice(0, 200)}`
  if (untold.has(kind)) return
  if (untold.size > 1000) untold.clear()
  untold.add(kind)
  log(
    'warn',
    `what ${kind} used was not told, and nobody here can count it: it counts as free. general_settings.unpriced_models refuses such requests (deny) or prices them ({price_as: model})`,
  )
}
const untold = new Set<string>()
const freePrice = priceOf({ input_cost_per_request: 0 }, { ownPrices: true })

/** What passed is over: priced by what its answer told, by what is counted, or by nobody. */
export async function settlePassed(
  to: Deployment,
  learnt: Learnt,
  { asked, pays }: { asked: Passed; pays: boolean },
  receipt: Receipt,
  rooms: Rooms,
): Promise<void> {
  const model = learnt.model ?? (pays ? asked.model() : undefined)
  const known = model === undefined ? to : await pricedAs(to, model, rooms)
  const told = learnt.usage !== undefined && learnt.ended
  receipt.deployment = known
  const dollars = learnt.said && (await paidFor(to.provider, learnt.said, rooms))
  if (dollars !== undefined && (pays || (await isOwed(to, learnt, rooms)))) {
    const info = { input_cost_per_request: dollars }
    receipt.deployment = { ...to, info, price: priceOf(info, { ownPrices: true }) }
    return
  }
  if (!pays) {
    // What was paid when it was made is not paid again by looking at it.
    if (learnt.usage && (await isOwed(to, learnt, rooms))) return
    receipt.usage = noUsage
    // To look is free, which is a price too.
    receipt.deployment = { ...known, price: freePrice }
    return
  }
  if (told) return noteUnpriced(receipt, rooms)
  // It is told once it is made, to whoever looks then.
  if (await owe(to, learnt, rooms)) {
    receipt.deployment = { ...known, price: freePrice }
    return
  }
  // What has the price of another (`price_as`) has it for whatever was read.
  if (learnt.written !== '' || asked.isConversation() || to.price.priced)
    receipt.usage = await asked.count(learnt, model ?? to.target.model)
  else {
    // By nobody's price, so that it is told apart from what cost nothing.
    receipt.deployment = { ...known, price: priceOf({}) }
    noteUntold(receipt, rooms)
  }
}

/** Whoever leaves before the answer pays for what was read, as in a conversation. */
export async function billPassed(
  { asked, to }: { asked: Passed; to: Deployment },
  receipt: Receipt,
  rooms: Rooms,
): Promise<void> {
  if (!asked.ended() || !asked.isConversation()) return
  const model = asked.model()
  try {
    receipt.deployment = model === undefined ? to : await pricedAs(to, model, rooms)
    receipt.usage = await asked.count(nothingLearnt, model ?? to.target.model)
  } catch (cause) {
    rooms.log('debug', 'a request that was left could not be counted', { cause })
  }
}

/** An answer made in the background, or a run: it has no usage yet. Noted once, and taken away by who looks at its end. */
async function owe(to: Deployment, { id, status }: Learnt, { calls }: Rooms): Promise<boolean> {
  const waits = pending.has(status ?? '') || (to.provider === 'tinyfish_agent' && !status)
  if (id === undefined || !waits || !calls.shelf) return false
  await calls.shelf.save(owedName(to, id), '')
  return true
}
const isOwed = async (to: Deployment, { id }: Learnt, { calls }: Rooms): Promise<boolean> =>
  id !== undefined && ((await calls.shelf?.remove(owedName(to, id))) ?? false)
const owedName = ({ id: keeper }: Deployment, id: string): string =>
  `owed ${keeper} ${id.slice(0, 300)}`
const pending: ReadonlySet<string> = new Set([
  'queued',
  'in_progress',
  'processing',
  'PENDING',
  'RUNNING',
])

/** The model is known only once it has answered. */
async function pricedAs(to: Deployment, model: string, rooms: Rooms): Promise<Deployment> {
  // A row's own prices are meant.
  if (to.target.model === model && to.price.priced) return to
  const own = infoOf(await rooms.catalogue(), to.provider, model, {})
  const hasOwn = Object.keys(own).some((key) => key.includes('cost'))
  // A provider as such has prices only by `price_as`.
  const info = hasOwn || !to.price.priced ? own : { ...to.info, ...own }
  const price = priceOf(info, { provider: to.provider })
  return {
    ...to,
    target: { ...to.target, model },
    info,
    price,
    priceOptions: { provider: to.provider },
  }
}
