import { isObject, type Json, number } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'

/** What a request says of itself in `metadata.lar1`, as far as it decides who is asked. */
export type Lar1 = { confidence: number; unverified: boolean; remembered: boolean }

/** Where one kind of deployment ends and the next begins; 0 < low < medium < high < 1. */
export type Lar1Thresholds = { low: number; medium: number; high: number }
export const lar1Thresholds: Lar1Thresholds = { low: 0.3, medium: 0.5, high: 0.7 }

/** What holds where a request says nothing. */
export const lar1Silent: Lar1 = { confidence: 0.5, unverified: false, remembered: false }

/** Undefined where something in it is not of the protocol: nothing of it counts then, as in LiteLLM. */
export function readLar1(value: Json | undefined): Lar1 | undefined {
  if (value === undefined) return lar1Silent
  if (!isObject(value)) return undefined
  const { confidence = lar1Silent.confidence, evidence = [], ...dimensions } = value
  const sure = number(confidence)
  if (sure === undefined || !(sure >= 0 && sure <= 1) || !Array.isArray(evidence)) return undefined
  if (!evidence.every((each) => typeof each === 'string' && evidences.has(each))) return undefined
  for (const [name, words] of Object.entries(dimensionsOf)) {
    const said = dimensions[name]
    if (said !== undefined && (typeof said !== 'string' || !words.has(said))) return undefined
  }
  return {
    confidence: sure,
    unverified: evidence.includes('UNVERIFIED'),
    remembered: dimensions['time'] === 'MEM',
  }
}

const evidences = new Set(['SYNTH', 'RETRIEVED', 'UNVERIFIED', 'CONFIRMED'])
const dimensionsOf: Readonly<Record<string, ReadonlySet<string>>> = {
  act: new Set(['INF', 'OBS', 'RET', 'GEN']),
  time: new Set(['NOW', 'MEM', 'CTX', 'PRE']),
  mind: new Set(['REF', 'REC', 'HYP', 'ACT']),
}

export type Lar1Kind = 'cloud-smart' | 'cloud-fast' | 'local' | 'deep'

/** The kind of deployment a request is for: what is not sure goes to the best. */
export function lar1Kind(
  { confidence, unverified, remembered }: Lar1,
  { low, medium, high }: Lar1Thresholds,
): Lar1Kind {
  if (unverified) return 'cloud-smart'
  if (remembered) return 'cloud-fast'
  if (confidence < low) return 'cloud-smart'
  if (confidence < medium) return 'cloud-fast'
  return confidence < high ? 'local' : 'deep'
}

/** The first row whose `model_info.type` is of that kind, else the first of all. */
export const byLar1 = (
  level: readonly Deployment[],
  said: Lar1,
  thresholds: Lar1Thresholds,
): Deployment | undefined => {
  const kind = lar1Kind(said, thresholds)
  return level.find(({ info }) => info['type'] === kind) ?? level[0]
}
