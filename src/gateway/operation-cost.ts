import { noUsage, type Usage } from '../chat/chat.ts'
import type { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import type { Kinds, Worst } from '../policy/admit.ts'
import { costOf, type Units } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import { isPricedBySize, sizedPrice } from '../provider/sized.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Measures } from '../wire/media/media.ts'
import type { Operation, Told } from '../wire/media/operation.ts'
import type { Upload } from '../wire/media/upload.ts'
import { isLeft } from './chat.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/** What an operation was asked: its body, and the form where it is one. */
export type Heard = { said: Inbound; upload: Upload | undefined }

/** What a request may use at most, as far as its body tells. */
export async function worstOf(
  operation: Operation,
  { said, upload }: Heard,
  incoming: Incoming,
  group: string,
  rooms: Rooms,
): Promise<Worst> {
  const bytes = Number(incoming.header('content-length') ?? 0) || 0
  const {
    textCharacters = 0,
    pictureTokens = 0,
    output,
    unknown,
    ...units
  } = operation.bound(said, bytes, upload)
  // A character is at most as many tokens as it has bytes.
  const text = Math.min(textCharacters * 4, Math.max(said.bytes.length, textCharacters))
  return {
    input: () => text + pictureTokens,
    async exactInput() {
      await rooms.tokens.ready()
      const model = rooms.router.groups.find(group)[0]?.target.model ?? group
      const words = operation.begun?.(said, upload).text ?? operation.text(said)
      const read = rooms.tokens.counter.countText(words, model) + 16
      // A form that is too large to be held has as many as it may.
      if (pictureTokens > 0) await upload?.hold(heldBytes).catch(() => {})
      const seen = pictureTokens > 0 ? operation.bound(said, bytes, upload).pictureTokens : 0
      return Math.min(text, read) + Math.min(pictureTokens, seen ?? 0)
    },
    output: () => output,
    modelOutput: () => undefined,
    ...(Object.keys(units).length > 0 && { units }),
    ...(unknown && { unknown }),
    ...(pictureTokens > 0 && { kinds: () => ofPictures }),
    ...(await sizedPrices(said, units, group, rooms)),
  }
}

/** What is held of a form to count its pictures. */
const heldBytes = 64 * 1024 * 1024
const ofPictures: Kinds = {
  audio: false,
  images: true,
  longCache: false,
  searches: 0,
  raw: undefined,
}

/** Pictures that have a price for each size cost nothing by their own entry. */
async function sizedPrices(
  said: Inbound,
  units: Units,
  group: string,
  rooms: Rooms,
): Promise<Pick<Worst, 'prices'>> {
  const deployments = rooms.router.groups.find(group)
  if (!units.images || !deployments.some(hasNoPrice)) return {}
  const catalogue = await rooms.catalogue()
  return {
    prices: deployments.map((to) => (hasNoPrice(to) ? sizedPrice(to, said, catalogue) : to).price),
  }
}
const hasNoPrice = ({ price }: Deployment): boolean => !price.priced

/** A request that was sent and whose answer nobody has seen. */
export type Begun = {
  said: Inbound
  upload: Upload | undefined
  to: Deployment
  times: number
  ownTime: boolean
}

/** As of a conversation: whoever leaves before the answer, or gives it no time, pays for what is known of it. */
export async function billBegun(
  error: GatewayError,
  { said, upload, to, times, ownTime }: Begun,
  operation: Operation,
  receipt: Receipt,
  rooms: Rooms,
): Promise<void> {
  if (times === 0 || !isLeft(error) || (error.kind === 'timeout' && !ownTime)) return
  // Whoever leaves while it still sends has asked nothing yet.
  if (upload && !upload.ended) return
  try {
    const { usage, units, deployment } = await usedBy({ said, upload, to }, operation, rooms)
    receipt.usage = { ...usage, input: usage.input * times }
    receipt.units = units && timesOver(units, times)
    receipt.deployment = deployment
    receipt.group = to.group
  } catch (cause) {
    // What cannot be read has not been read by a provider either.
    rooms.log('debug', 'a request that was left could not be counted', { cause })
  }
}

/** What a request uses by being sent; of text and pieces whichever costs more, where a price counts one of them only. */
export async function usedBy(
  { said, upload, to }: Pick<Begun, 'said' | 'upload' | 'to'>,
  operation: Operation,
  rooms: Rooms,
): Promise<{ usage: Usage; units: Measures | undefined; deployment: Deployment }> {
  const { text, units } = operation.begun?.(said, upload) ?? { text: operation.text(said) }
  const deployment = await pricedBySize(to, { units }, said, rooms)
  const none: Usage = { ...noUsage, estimated: true }
  const read = (await countText(text, to, rooms)) ?? none
  const cost = (usage: Usage): number => costOf(usage, deployment.price, { units }).nanoDollars
  return { usage: cost(none) > cost(read) ? none : read, units, deployment }
}

const timesOver = (units: Measures, times: number): Measures =>
  Object.fromEntries(
    Object.entries(units).map(([name, value]) => [
      name,
      typeof value === 'number' && name !== 'maxResults' ? value * times : value,
    ]),
  )

export async function pricedBySize(
  to: Deployment,
  told: Pick<Told, 'usage' | 'units'>,
  said: Inbound,
  rooms: Rooms,
): Promise<Deployment> {
  return isPricedBySize(to, told) ? sizedPrice(to, said, await rooms.catalogue()) : to
}

/** Nobody told the usage: what was read is counted, where it is text. */
export const count = (
  operation: Operation,
  said: Inbound,
  to: Deployment,
  rooms: Rooms,
): Promise<Usage | undefined> => countText(operation.text(said), to, rooms)

async function countText(
  text: string,
  to: Deployment,
  { tokens }: Rooms,
): Promise<Usage | undefined> {
  if (text === '') return undefined
  await tokens.ready()
  return { ...noUsage, input: tokens.counter.countText(text, to.target.model), estimated: true }
}
