import { noUsage, type Usage } from '../chat/chat.ts'
import { costOf, type Price, textAtMost } from '../provider/cost.ts'
import type { Kinds, Worst } from './admit.ts'

/** Nano-dollars that so much input and output cost at most, whatever of it is cached, thought, drawn or spoken. */
export function mostOf(
  price: Price | undefined,
  input: number,
  output: number,
  worst: Pick<Worst, 'units' | 'kinds'>,
): number {
  if (!price) return 0
  const kinds = worst.kinds?.() ?? plainKinds
  // What has no price is told by the answer, or costs nothing.
  if (!price.priced && !kinds.raw) return 0
  if (isPlain(kinds) && !worst.units) {
    const most = textAtMost(Math.min(input, countMax), Math.min(output, countMax), price)
    if (most !== undefined) return most
  }
  return dearestOf(price, Math.min(input, countMax), Math.min(output, countMax), kinds, worst)
}

/** As if all of it were of the dearest kind. */
function dearestOf(
  price: Price,
  input: number,
  output: number,
  { audio, images, longCache, searches, raw }: Kinds,
  { units }: Pick<Worst, 'units'>,
): number {
  const into: Tokens[] = [...texts.into]
  const out: Tokens[] = [...texts.out]
  if (longCache) into.push('cacheWrite1h')
  if (audio) {
    into.push('inputAudio')
    out.push('outputAudio')
  }
  if (images) into.push('inputImage')
  if (images || price.makes === 'images') out.push('outputImage')
  let most = 0
  for (const read of into)
    for (const written of out) {
      const usage: Usage = { ...noUsage, [read]: input, [written]: output, searches }
      if (raw) usage.raw = raw
      most = Math.max(most, costOf(usage, price, units ? { units } : undefined).nanoDollars)
    }
  return most
}

const texts = { into: ['input', 'cacheWrite'], out: ['output', 'reasoning'] } as const
type Tokens = Exclude<
  { [K in keyof Usage]-?: Usage[K] extends number ? K : never }[keyof Usage],
  'searches'
>
/** Beyond what is a count at all, it would cost nothing. */
const countMax = 1e12

/** Nothing but text. */
export const plainKinds: Kinds = Object.freeze({
  audio: false,
  images: false,
  longCache: false,
  searches: 0,
  raw: undefined,
})
const isPlain = ({ audio, images, longCache, searches, raw }: Kinds): boolean =>
  !audio && !images && !longCache && searches === 0 && !raw

/** The price that makes an ordinary request dearest. */
export function dearest(prices: readonly Price[], input: number): Price | undefined {
  if (prices.length <= 1) return prices[0]
  let most: Price | undefined
  let cost = -1
  for (const price of prices) {
    const one = mostOf(price, Math.max(input, 1000), 1000, onlyText)
    if (one > cost) {
      cost = one
      most = price
    }
  }
  return most
}

/** A request of nothing but text, whatever else it may be. */
export const onlyText: Pick<Worst, 'units' | 'kinds'> = Object.freeze({})

/** Nano-dollars set aside where the answer alone tells what it cost. */
export const unknownCost = 100_000_000
/** Nobody here knows its price, and the provider will say it. */
export const isToldLater = ({ priced, reported }: Price): boolean =>
  !priced && reported !== undefined
