import * as z from 'zod'
import type { Rooms } from '../gateway/rooms.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, number } from '../json/json.ts'
import { type Pace, type PaceBy, spendPace } from '../store/spend-pace.ts'
import { name } from './fields.ts'
import { type AdminRoute, booksOf, json, readQuery } from './route.ts'
import { dateOf, dayMs, keyIdOf, moment } from './spend-sight.ts'

/** How fast models answer, and how often they do not: LiteLLM's figures for a model group, from the requests themselves. */

const query = z.looseObject({
  _selected_model_group: name.optional(),
  startTime: moment.optional(),
  endTime: moment.optional(),
  api_key: name.optional(),
  customer: name.optional(),
})

/** LiteLLM's pages send these for nothing. */
const said = (value: string | undefined): string | undefined =>
  value === 'undefined' || value === 'null' ? undefined : value

async function paceOf(
  visit: Visit,
  by: readonly PaceBy[],
  { days = 30, failed }: { days?: number; failed?: boolean } = {},
): Promise<Pace[]> {
  const asked = readQuery(visit, query)
  const books = booksOf(visit)
  await books.flush()
  const group = said(asked._selected_model_group)
  const key = said(asked.api_key)
  const customer = said(asked.customer)
  const filter = {
    from: asked.startTime?.begin ?? visit.rooms.now() - days * dayMs,
    ...(asked.endTime && { until: asked.endTime.end }),
    ...(group !== undefined && { groups: [group] }),
    ...(key !== undefined && { keys: [keyIdOf(visit, key)] }),
    ...(customer !== undefined && { customers: [customer] }),
    ...(failed !== undefined && { failed }),
    cached: false,
  }
  return spendPace(books.store.db.query, filter, by, thresholdMs(visit.rooms))
}

/** `general_settings.alerting_threshold`, seconds: who takes as long is slow. */
const thresholdMs = ({ settings }: Rooms): number =>
  (number(settings.said.general['alerting_threshold']) ?? 300) * 1000

/** By the address a deployment is asked at, where it is still there; else by its model. */
function placeNames({ router }: Rooms): (pace: Pace) => string {
  const bases = new Map(router.groups.all().map(({ id, place }) => [id, place.base]))
  return ({ deployment, model }) => {
    const base = bases.get(deployment) ?? ''
    const shown = base.startsWith('https://') ? withoutSecrets(base) : model
    return shown.split('/openai/', 1)[0] ?? shown
  }
}

function withoutSecrets(base: string): string {
  if (!URL.canParse(base)) return ''
  const { origin, pathname } = new URL(base)
  return origin + pathname
}

/** A row for each day, with a column for each place. The mean of several there is that of all their requests. */
function table(
  rows: readonly Pace[],
  nameOf: (pace: Pace) => string,
  weigh: (pace: Pace) => { count: number; mean: number },
): Outgoing {
  const days = new Map<number, Map<string, { count: number; sum: number }>>()
  const places = new Set<string>()
  for (const pace of rows) {
    const { count, mean } = weigh(pace)
    if (count === 0) continue
    const place = nameOf(pace)
    places.add(place)
    const cells = days.get(pace.day) ?? new Map<string, { count: number; sum: number }>()
    const cell = cells.get(place) ?? { count: 0, sum: 0 }
    cells.set(place, { count: cell.count + count, sum: cell.sum + count * mean })
    days.set(pace.day, cells)
  }
  const data = [...days]
    .sort(([a], [b]) => a - b)
    .map(
      ([day, cells]): JsonObject => ({
        date: dateOf(day),
        ...Object.fromEntries([...cells].map(([place, { count, sum }]) => [place, sum / count])),
      }),
    )
  return json({ data, all_api_bases: [...places] })
}

const metrics = async (visit: Visit): Promise<Outgoing> =>
  table(
    await paceOf(visit, ['day', 'model', 'deployment'], { failed: false }),
    placeNames(visit.rooms),
    ({ wrote, msPerToken }) => ({ count: wrote, mean: msPerToken / 1000 }),
  )

const streamingMetrics = async (visit: Visit): Promise<Outgoing> =>
  table(
    await paceOf(visit, ['day', 'model', 'deployment'], { failed: false, days: 7 }),
    placeNames(visit.rooms),
    ({ streamed, msToFirst }) => ({ count: streamed, mean: msToFirst / 1000 }),
  )

async function slowResponses(visit: Visit): Promise<Outgoing> {
  const nameOf = placeNames(visit.rooms)
  const places = new Map<string, { total: number; slow: number }>()
  for (const pace of await paceOf(visit, ['model', 'deployment'])) {
    const { total, slow } = places.get(nameOf(pace)) ?? { total: 0, slow: 0 }
    places.set(nameOf(pace), { total: total + pace.count, slow: slow + pace.slow })
  }
  return json(
    [...places]
      .map(([place, { total, slow }]) => ({
        api_base: place,
        total_count: total,
        slow_count: slow,
      }))
      .sort((a, b) => b.slow_count - a.slow_count),
  )
}

async function exceptions(visit: Visit): Promise<Outgoing> {
  const nameOf = placeNames(visit.rooms)
  const places = new Map<string, Record<string, number>>()
  const kinds = new Set<string>()
  for (const pace of await paceOf(visit, ['model', 'deployment', 'fault'], { failed: true })) {
    const kind = pace.fault || 'unknown'
    kinds.add(kind)
    const counts = places.get(nameOf(pace)) ?? {}
    counts[kind] = (counts[kind] ?? 0) + pace.count
    places.set(nameOf(pace), counts)
  }
  const sum = (counts: Record<string, number>): number =>
    Object.values(counts).reduce((all, one) => all + one, 0)
  return json({
    data: [...places]
      .map(([model, counts]) => ({ ...counts, model, total_exceptions: sum(counts) }))
      .sort((a, b) => b.total_exceptions - a.total_exceptions)
      .slice(0, 200),
    exception_types: [...kinds],
  })
}

const row = (tail: string, summary: string, run: AdminRoute['run']): AdminRoute => ({
  method: 'GET',
  path: `/model/${tail}`,
  permission: 'view',
  summary,
  run,
})

export const modelMetricRoutes: readonly AdminRoute[] = [
  row('metrics', 'Seconds for each token, by day and deployment', metrics),
  row('streaming_metrics', 'Seconds to the first byte of streams, by day', streamingMetrics),
  row('metrics/slow_responses', 'Requests that took too long, by deployment', slowResponses),
  row('metrics/exceptions', 'Requests that failed, by deployment and kind', exceptions),
]
