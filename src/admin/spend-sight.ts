import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import { seesAll } from '../policy/caller.ts'
import type { Sight } from '../store/spend-filter.ts'
import { name } from './fields.ts'
import { badRequest, storeOf } from './route.ts'
import { administeredBy, standingOf } from './standing.ts'

/**
 * Whose spend a caller may see: their own, that of teams and organisations they administer, and their key's. Undefined:
 * everybody's.
 */
export async function sightOf(visit: Visit): Promise<Sight | undefined> {
  const { caller } = visit
  if (seesAll(caller)) return undefined
  const standing = await standingOf(visit)
  return {
    keys: caller.keyId === '' ? [] : [caller.keyId],
    users: caller.userId === undefined ? [] : [caller.userId],
    teams: [...standing.teams].flatMap(([id, role]) => (role === 'admin' ? [id] : [])),
    organizations: administeredBy(standing),
  }
}

/** Ids of the caller's keys: of their user, and the one they came with. */
export async function ownKeys(visit: Visit): Promise<string[]> {
  const { userId, keyId } = visit.caller
  const keys =
    userId === undefined
      ? []
      : await storeOf(visit).docs.virtual_key.list({ where: { user_id: userId } })
  return [...new Set([keyId, ...keys.map(({ id }) => id)])]
}

/** A key as clients name it: itself or its SHA-256. */
export const keyIdOf = (visit: Visit, key: string): string =>
  key.startsWith('sk-') ? storeOf(visit).sealer.digest(key) : key

/** One name in a query, or several. */
export const oneOrMore = z.union([name, z.array(name).max(1000)]).transform((said) => [said].flat())
/** Names with commas between. */
export const commaList = z
  .union([z.string().max(100_000), z.array(z.string().max(1000)).max(1000)])
  .transform((said) =>
    [said].flat().flatMap((part) => part.split(',').flatMap((one) => one.trim() || [])),
  )

export const dayMs = 86_400_000

/** `YYYY-MM-DD`; the value is its midnight in UTC, milliseconds. */
export const day = z
  .string()
  .transform((text, context) => dayOf(text) ?? refuse(context, "expected a date like '2026-01-31'"))

/** A day, or a second of it: `YYYY-MM-DD HH:MM:SS`, in UTC. The end is the first millisecond that is not part of it. */
export const moment = z.string().transform((text, context) => {
  const [date = '', time, ...rest] = text.trim().split(/[ T]/)
  const midnight = dayOf(date)
  const clock = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.\d{1,6})?(?:Z|\+00:00)?$/.exec(time ?? '')
  if (midnight === undefined || rest.length > 0 || (time !== undefined && !clock))
    return refuse(context, "expected a time like '2026-01-31' or '2026-01-31 23:59:59'")
  if (!clock) return { begin: midnight, end: midnight + dayMs }
  const [, hours, minutes, seconds] = clock.map(Number)
  const begin = midnight + ((hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0)) * 1000
  return { begin, end: begin + 1000 }
})

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

function dayOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined
  const ms = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(ms) || dateOf(ms / dayMs) !== text ? undefined : ms
}

/** Days since the epoch as a date. */
export const dateOf = (days: number): string => new Date(days * dayMs).toISOString().slice(0, 10)

/** `Jan 31`, as LiteLLM's charts label their days. */
export const labelOf = (days: number): string =>
  new Date(days * dayMs).toLocaleDateString('en-US', {
    month: 'short',
    day: '2-digit',
    timeZone: 'UTC',
  })

export const dates = { start_date: day.optional(), end_date: day.optional() }
type Dates = { start_date?: number | undefined; end_date?: number | undefined }

/** Whole days, the last one included, as a clock `offsetMinutes` behind UTC counts them. Throws 400 where one is missing. */
export function neededDays(said: Dates, offsetMinutes = 0): { from: number; until: number } {
  const { start_date, end_date } = said
  if (start_date === undefined || end_date === undefined)
    throw badRequest(
      'Please provide start_date and end_date',
      start_date === undefined ? 'start_date' : 'end_date',
    )
  const shift = offsetMinutes * 60_000
  return { from: start_date + shift, until: end_date + dayMs + shift }
}

/** The same where both may be missing. */
export const maybeDays = ({ start_date, end_date }: Dates): { from?: number; until?: number } => ({
  ...(start_date !== undefined && { from: start_date }),
  ...(end_date !== undefined && { until: end_date + dayMs }),
})

/** The last thirty days, today included. */
export const lastMonth = (now: number): { from: number } => ({
  from: Math.floor(now / dayMs) * dayMs - 29 * dayMs,
})
