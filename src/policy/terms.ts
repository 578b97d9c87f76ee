import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { accountOf, keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'

/** One budget of somebody. */
export type Budget = {
  /** Where its spend is kept. */
  account: string
  /** Nano-dollars per period. */
  max: number
  /** LiteLLM's grammar; undefined: never starts again. */
  duration: string | undefined
  /** `temp_budget_increase`, nano-dollars, until `temp_budget_expiry`, milliseconds since the epoch. */
  extra?: { amount: number; until: number }
}

/** What it bounds to at an instant. */
export const boundAt = ({ max, extra }: Budget, now: number): number =>
  extra && extra.until > now ? max + extra.amount : max

/** What somebody may spend and how fast. Absent: not bounded. */
export type Terms = {
  budget: Budget | undefined
  /** Nano-dollars at which somebody is told. */
  soft: number | undefined
  /** Several periods at once (`budget_limits`). */
  windows: readonly Budget[]
  /** By the model's public name (`model_max_budget`). */
  models: ReadonlyMap<string, Budget>
  rpm: number | undefined
  tpm: number | undefined
  /** Tokens a day. */
  tpd: number | undefined
  parallel: number | undefined
  modelRpm: ReadonlyMap<string, number>
  modelTpm: ReadonlyMap<string, number>
  /** Tokens a minute of one side (`model_itpm_limit`, `model_otpm_limit`). */
  modelSides: Readonly<Record<'input' | 'output', ReadonlyMap<string, number>>>
  /** Requests a minute that carry a tag (`tag_rpm_limit`). */
  tagRpm: ReadonlyMap<string, number>
}

export type HolderScope =
  | 'key'
  | 'user'
  | 'team'
  | 'member'
  | 'organization'
  | 'organization_member'
  | 'project'
  | 'customer'
  | 'tag'

/** Something that spends: the account its spend is added to, and its terms. */
export type Holder = {
  scope: HolderScope
  id: string
  /** As refusals name it. */
  name: string
  account: string
  terms: Terms
  /** Its spend is kept, but its budget does not bound this key. */
  unbounded?: boolean
}

type Accounts = {
  own: string
  model(name: string): string
  window(duration: string): string
}

function placeOf({ kind, id, data, columns }: Doc): Pick<Holder, 'scope' | 'name'> & Accounts {
  const beside = (own: string): Accounts => ({
    own,
    model: (name) => `${own}|model:${name}`,
    window: (duration) => `${own}|window:${duration}`,
  })
  switch (kind) {
    case 'virtual_key':
      return {
        scope: 'key',
        name: text(data['key_alias']) ?? text(data['key_name']) ?? 'key',
        ...beside(keyAccount({ id, columns: 'account' in columns ? columns : {} })),
      }
    case 'gateway_user':
      return { scope: 'user', name: id, ...beside(accountOf.user(id)) }
    case 'team':
      return { scope: 'team', name: id, ...beside(accountOf.team(id)) }
    case 'team_member': {
      const [team = '', ...user] = id.split('/')
      return { scope: 'member', name: id, ...beside(accountOf.member(team, user.join('/'))) }
    }
    case 'organization':
      return { scope: 'organization', name: id, ...beside(accountOf.organization(id)) }
    case 'organization_member': {
      const [organization = '', ...user] = id.split('/')
      return {
        scope: 'organization_member',
        name: id,
        ...beside(accountOf.organizationMember(organization, user.join('/'))),
      }
    }
    case 'project':
      return { scope: 'project', name: id, ...beside(accountOf.project(id)) }
    case 'customer':
      return { scope: 'customer', name: id, ...beside(accountOf.customer(id)) }
    case 'tag':
      return { scope: 'tag', name: id, ...beside(accountOf.tag(id)) }
    default:
      throw new Error(`a ${kind} spends nothing`)
  }
}

/** What a document says of its budget and limits, over what the shared budget it refers to says. */
export function holderOf(doc: Doc, shared?: Doc<'budget'>): Holder {
  const { scope, name, own, model, window } = placeOf(doc)
  return {
    scope,
    id: doc.id,
    name,
    account: own,
    terms: termsOf({ ...said(shared?.data), ...said(doc.data) }, { own, model, window }),
  }
}

/** Null means "not set here". */
const said = (data: JsonObject | undefined): JsonObject =>
  Object.fromEntries(Object.entries(data ?? {}).filter(([, value]) => value !== null))

export function termsOf(data: JsonObject, { own, model, window }: Accounts): Terms {
  const metadata = object(data['metadata'])
  const max = dollars(data['max_budget'])
  const duration = text(data['budget_duration'])
  return {
    budget: max === undefined ? undefined : { account: own, max, duration, ...extraOf(data) },
    soft: dollars(data['soft_budget']),
    windows: list(data['budget_limits']).flatMap((one) => {
      const { max_budget, budget_duration } = object(one)
      const bound = dollars(max_budget)
      const period = text(budget_duration)
      return bound === undefined || period === undefined
        ? []
        : [{ account: window(period), max: bound, duration: period }]
    }),
    models: new Map(
      Object.entries(object(data['model_max_budget'])).flatMap(([name, value]) => {
        const terms = object(value)
        const bound = dollars(
          isObject(value) ? (terms['budget_limit'] ?? terms['max_budget']) : value,
        )
        const period = text(terms['time_period']) ?? text(terms['budget_duration'])
        return bound === undefined
          ? []
          : [[name, { account: model(name), max: bound, duration: period }] as const]
      }),
    ),
    rpm: limit(data['rpm_limit']),
    tpm: limit(data['tpm_limit']),
    tpd: limit(data['tpd_limit']),
    parallel: limit(data['max_parallel_requests']),
    modelRpm: limits(data['model_rpm_limit'] ?? metadata['model_rpm_limit']),
    modelTpm: limits(data['model_tpm_limit'] ?? metadata['model_tpm_limit']),
    modelSides: {
      input: limits(data['model_itpm_limit'] ?? metadata['model_itpm_limit']),
      output: limits(data['model_otpm_limit'] ?? metadata['model_otpm_limit']),
    },
    tagRpm: limits(data['tag_rpm_limit'] ?? metadata['tag_rpm_limit']),
  }
}

function extraOf(data: JsonObject): Pick<Budget, 'extra'> {
  const metadata = object(data['metadata'])
  const amount = dollars(data['temp_budget_increase'] ?? metadata['temp_budget_increase'])
  const until = Date.parse(text(data['temp_budget_expiry'] ?? metadata['temp_budget_expiry']) ?? '')
  return amount === undefined || Number.isNaN(until) ? {} : { extra: { amount, until } }
}

const dollars = (value: Json | undefined): number | undefined => {
  const amount = number(value)
  return amount === undefined || !Number.isFinite(amount) ? undefined : Math.round(amount * 1e9)
}
const limit = (value: Json | undefined): number | undefined => {
  const count = number(value)
  return count === undefined || !Number.isFinite(count) || count < 0 ? undefined : count
}
const limits = (value: Json | undefined): ReadonlyMap<string, number> =>
  new Map(
    Object.entries(object(value)).flatMap(([name, count]) => {
      const bound = limit(count)
      return bound === undefined ? [] : [[name, bound] as const]
    }),
  )
