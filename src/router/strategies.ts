import { number } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { byLar1, type Lar1, type Lar1Thresholds, lar1Silent, lar1Thresholds } from './lar1.ts'
import type { Meter } from './meter.ts'

/** How one of several that may serve is picked, by LiteLLM's name. */
export type StrategyName =
  | 'simple-shuffle'
  | 'least-busy'
  | 'usage-based-routing'
  | 'usage-based-routing-v2'
  | 'latency-based-routing'
  | 'cost-based-routing'
  | 'lar1'

export type Choosing = {
  /** Requests under way. */
  inFlight(deployment: Deployment): number
  meter: Meter
  stream: boolean
  /** Slower than the fastest by this share of it is as good: 0.1 is ten percent. */
  latencyBuffer: number
  random: () => number
  hints?: { lar1?: Lar1 | undefined } | undefined
  lar1?: Lar1Thresholds | undefined
}

/** Undefined where none is left: all have used up their minute. */
export type Strategy = (level: readonly Deployment[], choosing: Choosing) => Deployment | undefined

export const strategies: Readonly<Record<StrategyName, Strategy>> = {
  'simple-shuffle': (level, { random }) => shuffle(level, random),
  'least-busy': (level, { inFlight, random }) => shuffle(least(level, inFlight), random, 'evenly'),
  'usage-based-routing': byUsage,
  'usage-based-routing-v2': byUsage,
  'latency-based-routing': byLatency,
  'cost-based-routing': (level, { meter, random }) =>
    shuffle(least(withinLimits(level, meter), priceOf), random, 'evenly'),
  lar1: (level, { hints, lar1 = lar1Thresholds }) => byLar1(level, hints?.lar1 ?? lar1Silent, lar1),
}

/** Those that look at requests and tokens, or at times: only for them is anything measured. */
export const measures = (name: StrategyName): boolean =>
  name !== 'simple-shuffle' && name !== 'least-busy' && name !== 'lar1'

function byUsage(level: readonly Deployment[], { meter, random }: Choosing) {
  const free = withinLimits(level, meter)
  return shuffle(
    least(free, ({ id }) => meter.tokens(id)),
    random,
    'evenly',
  )
}

/** One that nobody has measured yet is tried before all others, as LiteLLM does. */
function byLatency(
  level: readonly Deployment[],
  { meter, stream, latencyBuffer, random }: Choosing,
): Deployment | undefined {
  const free = withinLimits(level, meter)
  const seconds = ({ id }: Deployment) => meter.latency(id, stream) ?? 0
  const best = Math.min(...free.map(seconds))
  const near = free.filter((one) => seconds(one) <= best * (1 + Math.max(0, latencyBuffer)))
  return shuffle(near, random, 'evenly')
}

/** Requests and tokens a minute that a row states. */
export const withinLimits = (level: readonly Deployment[], meter: Meter): readonly Deployment[] =>
  level.filter(
    ({ id, rpm, tpm }) =>
      (rpm === undefined || meter.requests(id) < rpm) &&
      (tpm === undefined || meter.tokens(id) < tpm),
  )

/** LiteLLM's: a price nobody knows is so high that everything known comes first. */
const unknownPrice = 5
const priceOf = ({ info }: Deployment): number =>
  (number(info['input_cost_per_token']) ?? unknownPrice) +
  (number(info['output_cost_per_token']) ?? unknownPrice)

function least(
  level: readonly Deployment[],
  of: (deployment: Deployment) => number,
): readonly Deployment[] {
  const lowest = Math.min(...level.map(of))
  return level.filter((one) => of(one) === lowest)
}

/** Weighted by the first of weight, rpm and tpm that any deployment states; those without it are then not drawn. */
export function shuffle(
  level: readonly Deployment[],
  random: () => number,
  how: 'weighted' | 'evenly' = 'weighted',
): Deployment | undefined {
  const only = level[0]
  if (!only || level.length === 1) return only
  const metric =
    how === 'evenly'
      ? undefined
      : (['weight', 'rpm', 'tpm'] as const).find((key) => level.some((one) => (one[key] ?? 0) > 0))
  const weightOf = (one: Deployment) => (metric ? Math.max(0, one[metric] ?? 0) : 1)
  let dart = random() * level.reduce((sum, one) => sum + weightOf(one), 0)
  for (const one of level) {
    dart -= weightOf(one)
    if (dart < 0) return one
  }
  return level.findLast((one) => weightOf(one) > 0) ?? only
}
