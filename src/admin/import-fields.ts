import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { durationMs, nextReset, type ResetClock } from '../store/durations.ts'
import { looksSealed, type OpenSealed } from '../store/litellm.ts'
import type { Sealer } from '../store/seal.ts'
import type { DocKind } from '../store/tables.ts'
import { withSealed } from './team-secrets.ts'

/** What all rows of LiteLLM's tables have in common when they become documents. */

/** A document to be written, and what LiteLLM knows of its spend. */
export type Made = {
  kind: DocKind
  id: string
  uniqueName: string | null
  columns: Readonly<Record<string, string | null>>
  data: JsonObject
  createdAt: number
  updatedAt: number
  /** The row it was made of, for what has changed when it comes again. */
  source: JsonObject
  books?: Books
}

/** Nano-dollars, milliseconds since the epoch. */
export type Books = {
  account: string
  spend: number
  /** Since ever, as far as LiteLLM knows it. */
  total: number
  duration: string | null
  resetsAt: number | null
  /** Windows of `budget_limits`. */
  beside: readonly { account: string; spend: number; duration: string; resetsAt: number }[]
}

/** A row that stays where it is, and why, in words that hold no secret. */
export type Left = { left: string; id: string }

export type MakeDeps = { sealer: Sealer; open: OpenSealed; clock: ResetClock }

/** Rows that bear on a row, by their ids. */
export type Beside = {
  budgets?: ReadonlyMap<string, JsonObject>
  /** `LiteLLM_ObjectPermissionTable`. */
  permissions?: ReadonlyMap<string, JsonObject>
  /** `LiteLLM_BudgetWindowSpend`, by whom it belongs to. */
  windows?: ReadonlyMap<string, JsonObject[]>
}

/**
 * A map with every text of it opened. Texts may stand there unsealed, so one that cannot be opened is taken as it is
 * where another one could; where none could and one looks sealed, the key is another: undefined.
 */
export function unsealed(value: Json | undefined, open: OpenSealed): JsonObject | undefined {
  let opened = 0
  let suspects = 0
  const read = (one: Json | undefined): Json | undefined => {
    if (typeof one === 'string') {
      const plain = open(one)
      if (plain !== undefined) opened++
      else if (looksSealed(one)) suspects++
      return plain ?? one
    }
    if (Array.isArray(one)) return one.map((item) => read(item) ?? null)
    if (!isObject(one)) return one
    return Object.fromEntries(Object.entries(one).map(([key, item]) => [key, read(item)]))
  }
  const whole = object(read(value))
  return opened === 0 && suspects > 0
    ? undefined
    : Object.fromEntries(Object.entries(whole).filter(([, one]) => one !== null))
}

/** Credentials of callbacks, which LiteLLM marks where they are sealed, under the key of this house. */
export function resealed(data: JsonObject, { open, sealer }: MakeDeps): JsonObject {
  const read = (one: Json | undefined): Json | undefined => {
    if (typeof one === 'string')
      return one.startsWith(callbackMark) ? (open(one.slice(callbackMark.length)) ?? one) : one
    if (Array.isArray(one)) return one.map((item) => read(item) ?? null)
    if (!isObject(one)) return one
    return Object.fromEntries(Object.entries(one).map(([key, item]) => [key, read(item)]))
  }
  // What was JSON stays JSON.
  return withSealed(object(read(data)), {}, sealer) as JsonObject
}
const callbackMark = 'litellm_enc::'

export const base = (
  kind: DocKind,
  id: string,
  source: JsonObject,
): Omit<Made, 'books'> & { columns: Made['columns'] } => {
  const createdAt = instantOf(source['created_at']) ?? 0
  return {
    kind,
    id,
    uniqueName: null,
    columns: {},
    data: {},
    createdAt,
    updatedAt: instantOf(source['updated_at']) ?? createdAt,
    source,
  }
}

export const idOf = (row: JsonObject, column: string): string => text(row[column]) ?? ''
export const budgetId = (row: JsonObject): string | null => text(row['budget_id']) ?? null
export const instantOf = (value: Json | undefined): number | null => {
  const ms = Date.parse(text(value) ?? '')
  return Number.isNaN(ms) ? null : ms
}
export const shared = (row: JsonObject, { budgets }: Beside): JsonObject =>
  budgets?.get(budgetId(row) ?? '') ?? {}

/** What the account says, and not the document. */
export const spent = ['spend', 'total_spend', 'budget_reset_at']

/** A row as data: what nobody has said is left out, as null, empty lists and empty maps are. */
export function fieldsOf(row: JsonObject, without: readonly string[]): JsonObject {
  const gone = new Set([
    ...without,
    'created_at',
    'updated_at',
    'object_permission_id',
    '__proto__',
  ])
  return Object.fromEntries(
    Object.entries(said(row))
      .filter(([column]) => !gone.has(column))
      .map(([column, value]) => [column, maps.has(column) ? jsonOf(value) : value])
      .filter(([, value]) => !isEmpty(value)),
  )
}

export const said = (row: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0)

/** Columns of JSON, in which some versions of LiteLLM wrote JSON within a text. */
const maps: ReadonlySet<unknown> = new Set([
  ...['metadata', 'aliases', 'config', 'permissions', 'router_settings', 'model_spend'],
  ...['model_max_budget', 'budget_limits', 'budget_fallbacks', 'model_rpm_limit'],
  ...['model_tpm_limit', 'credential_info'],
])
export function jsonOf(value: Json | undefined): Json | undefined {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

export const permissionOf = (row: JsonObject, { permissions }: Beside): JsonObject => {
  const found = permissions?.get(text(row['object_permission_id']) ?? '')
  return found ? { object_permission: fieldsOf(found, []) } : {}
}

/** `counts`: the row or the shared budget that says the period. */
export function booksOf(
  account: string,
  row: JsonObject,
  counts: JsonObject,
  { clock }: MakeDeps,
  windows: readonly JsonObject[] = [],
): Books {
  const duration = text(counts['budget_duration']) ?? null
  const spend = nanoOf(row['spend'])
  return {
    account,
    spend,
    total: Math.max(spend, nanoOf(row['total_spend'])),
    duration,
    resetsAt:
      duration === null
        ? null
        : (instantOf(counts['budget_reset_at']) ?? nextReset(duration, clock)),
    beside: list(jsonOf(row['budget_limits'])).flatMap((one) => {
      const { budget_duration, reset_at } = object(one)
      const period = text(budget_duration)
      if (period === undefined) return []
      const seen = windows.find((window) => window['window_duration'] === period)
      const began = instantOf(seen?.['window_start']) ?? 0
      const lasts = durationMs(period) ?? 0
      return [
        {
          account: `${account}|window:${period}`,
          // A window that has ended without a request since.
          spend: began + lasts > clock.now ? nanoOf(seen?.['spend']) : 0,
          duration: period,
          resetsAt: instantOf(reset_at) ?? nextReset(period, clock),
        },
      ]
    }),
  }
}

/** Nano-dollars of LiteLLM's dollars, which are floating; nothing for what is no amount. */
export const nanoOf = (dollars: Json | undefined): number => {
  const nano = Math.round((number(dollars) ?? 0) * 1e9)
  return Number.isSafeInteger(nano) && nano > 0 ? nano : 0
}
