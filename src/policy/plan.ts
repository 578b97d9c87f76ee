import type { AdmitSettings, Entering } from './admit.ts'
import { type Bounding, budgetsOf } from './budgets.ts'
import { hasSides, limitsMore, limitsOf } from './limit-asks.ts'
import type { LimitAsk } from './limits.ts'
import type { Budget, Holder, Terms } from './terms.ts'

/** What bounds a request, as far as those say it against whom it counts: the same for each request of a key. */
export type Plan = {
  readonly holders: readonly Holder[]
  /** The key's own terms, where it has any. */
  readonly key: Terms | undefined
  /** Undefined: they are others by the request's model, or by the time. */
  readonly budgets: readonly Bounding[] | undefined
  /** Undefined: they are others by the request's model or its tags. */
  readonly limits: readonly LimitAsk[] | undefined
  /** Does anybody limit the tokens of one side? */
  readonly sided: boolean
  /** Is anybody to be told at some spend? */
  readonly soft: boolean
  /** The key's own figures, as headers tell them. */
  readonly told: { rpm: string | undefined; tpm: string | undefined; max: string | undefined }
  /** What of the settings it was made with. */
  readonly proxy: Budget | undefined
  readonly parallel: number | undefined
}

const plans = new WeakMap<readonly Holder[], Plan>()

/** For holders that stay the same, those of a grant: worked out once, 700 bytes a request. */
export function planOf(holders: readonly Holder[], settings: AdmitSettings): Plan {
  const known = plans.get(holders)
  if (known && known.proxy === settings.proxy && known.parallel === settings.parallel) return known
  const plan = createPlan(holders, settings)
  plans.set(holders, plan)
  return plan
}

export function createPlan(holders: readonly Holder[], settings: AdmitSettings): Plan {
  const { proxy, parallel } = settings
  const key = holders.find(({ scope }) => scope === 'key')?.terms
  return {
    holders,
    key,
    budgets: holders.some(changes) ? undefined : budgetsOf(holders, nobodys, settings, 0),
    limits: holders.some(limitsMore) ? undefined : limitsOf(holders, nobodys, parallel),
    sided: holders.some(hasSides),
    soft: holders.some(({ terms }) => terms.soft !== undefined),
    told: {
      rpm: said(key?.rpm),
      tpm: said(key?.tpm),
      max: said(key?.budget && key.budget.max / 1e9),
    },
    proxy,
    parallel,
  }
}

/** Of no model, no tag and no customer: what bounds it bounds every request. */
const nobodys = {
  group: '',
  asked: '',
  keyLimits: undefined,
  tags: [],
  customerId: undefined,
} satisfies Partial<Entering>

const said = (figure: number | undefined): string | undefined =>
  figure === undefined ? undefined : String(figure)

const changes = ({ terms: { budget, windows, models } }: Holder): boolean =>
  models.size > 0 || budget?.extra !== undefined || windows.some(({ extra }) => extra !== undefined)

export function limitsBy(plan: Plan, entering: Entering): readonly LimitAsk[] {
  // A model may have limits for each key.
  const own = plan.limits !== undefined && !(plan.key && entering.keyLimits)
  return own ? plan.limits : limitsOf(plan.holders, entering, plan.parallel)
}

export function budgetsBy(
  plan: Plan,
  entering: Entering,
  settings: AdmitSettings,
  now: number,
): readonly Bounding[] {
  // Every customer may be bounded. And what a request was let in with may be other settings than there are by now.
  const own =
    plan.budgets !== undefined &&
    plan.proxy === settings.proxy &&
    !(settings.customerMax !== undefined && entering.customerId !== undefined)
  return own ? plan.budgets : budgetsOf(plan.holders, entering, settings, now)
}
