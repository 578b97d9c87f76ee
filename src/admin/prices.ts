import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Prices } from '../gateway/prices.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import { supportedOpenAiParams } from '../provider/params.ts'
import { name } from './fields.ts'
import { type AdminRoute, badRequest, iso, json, readQuery } from './route.ts'

/** The price list: what it says of a model, which models end soon, where it came from, and how it is fetched anew. */

function pricesOf({ rooms }: Visit): Prices {
  if (!rooms.prices)
    throw new GatewayError('internal', 'this gateway cannot fetch prices while it serves', {
      status: 503,
    })
  return rooms.prices
}

const instant = (at: number | undefined): string | null => (at === undefined ? null : iso(at))
const provenanceOf = (prices: Prices): JsonObject => ({
  source_revision: null,
  etag: prices.source().etag ?? null,
})

async function reload(visit: Visit): Promise<Outgoing> {
  const prices = pricesOf(visit)
  await prices.refresh()
  const { models, lookedAt } = prices.source()
  return json({
    message: `Price data reloaded successfully! ${models} models updated.`,
    status: 'success',
    models_count: models,
    timestamp: instant(lookedAt),
    ...provenanceOf(prices),
  })
}

function source(visit: Visit): Outgoing {
  const prices = pricesOf(visit)
  const { models, url, localOnly, problem, loadedAt } = prices.source()
  return json({
    source: url === undefined ? 'local' : 'remote',
    url: url ?? null,
    is_env_forced: localOnly,
    fallback_reason: problem ?? null,
    loaded_at: iso(loadedAt),
    ...provenanceOf(prices),
    model_count: models,
  })
}

const hoursQuery = z.object({ hours: z.coerce.number('expected a number of hours').int() })

async function schedule(visit: Visit): Promise<Outgoing> {
  const { hours } = readQuery(visit, hoursQuery)
  if (hours <= 0) throw badRequest('Hours must be greater than 0', 'hours')
  // Ten years: more is never.
  await pricesOf(visit).setInterval(Math.min(hours, 87_600))
  return json({
    message: `Model cost map reload scheduled for every ${hours} hours`,
    status: 'success',
    interval_hours: hours,
    timestamp: iso(visit.rooms.now()),
  })
}

async function cancel(visit: Visit): Promise<Outgoing> {
  await pricesOf(visit).setInterval(undefined)
  return json({
    message: 'Model cost map reload schedule cancelled',
    status: 'success',
    timestamp: iso(visit.rooms.now()),
  })
}

async function status(visit: Visit): Promise<Outgoing> {
  const prices = pricesOf(visit)
  const hours = await prices.interval()
  const { lookedAt, loadedAt } = prices.source()
  return json({
    scheduled: hours !== undefined,
    interval_hours: hours ?? null,
    last_run: instant(lookedAt),
    next_run: hours === undefined ? null : iso((lookedAt ?? loadedAt) + hours * 3_600_000),
    ...provenanceOf(prices),
  })
}

const modelQuery = z.object({ model: name, custom_llm_provider: name.optional() })

/** What the list says of any model, served here or not. */
async function modelFacts(visit: Visit): Promise<Outgoing> {
  const { model, custom_llm_provider: said } = readQuery(visit, modelQuery)
  const catalogue = await visit.rooms.catalogue()
  const slash = model.indexOf('/')
  const prefix = slash > 0 ? model.slice(0, slash) : undefined
  const tries: [provider: string | undefined, bare: string][] = said
    ? [[said, prefix === said ? model.slice(slash + 1) : model]]
    : [
        [prefix, model.slice(slash + 1)],
        [catalogue.providerOf(model), model],
      ]
  for (const [provider, bare] of tries) {
    const found = provider === undefined ? undefined : catalogue.find(provider, bare)
    if (!found || provider === undefined) continue
    const owner = text(found.info['litellm_provider']) ?? provider
    return json({
      model,
      custom_llm_provider: owner,
      model_info: {
        ...found.info,
        key: found.key,
        supported_openai_params: supportedOpenAiParams(provider, bare, found.info),
      },
    })
  }
  throw new GatewayError(
    'not_found',
    `model=${model}, custom_llm_provider=${said ?? 'None'} is not in the model cost map`,
    { type: 'not_found_error', param: 'model', code: '404' },
  )
}

const withinQuery = z.object({
  warn_within_days: z.coerce.number().int().min(0).max(36_500).default(30),
})

const dayMs = 86_400_000

/** Models of this gateway that their provider ends, the soonest first. */
function deprecations(visit: Visit): Outgoing {
  const { warn_within_days: within } = readQuery(visit, withinQuery)
  const { rooms, caller } = visit
  const today = Math.floor(rooms.now() / dayMs) * dayMs
  const rows = new Map<string, JsonObject>()
  for (const one of rooms.router.groups.all()) {
    if (!(rooms.access?.mayUse(caller, one.group) ?? true)) continue
    const date = text(one.row.info['deprecation_date']) ?? text(one.info['deprecation_date'])
    const ends = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(date?.trim() ?? '') ? `${date}` : '')
    if (Number.isNaN(ends)) continue
    const days = Math.round((ends - today) / dayMs)
    rows.set(`${one.group} ${date}`, {
      model_name: one.group,
      litellm_model: text(one.row.params['model']) ?? null,
      deprecation_date: iso(ends).slice(0, 10),
      days_until_deprecation: days,
      status: days < 0 ? 'deprecated' : days <= within ? 'imminent' : 'upcoming',
      litellm_provider: text(one.info['litellm_provider']) ?? one.provider,
    })
  }
  const all = [...rows.values()].sort(
    (a, b) => Number(a['days_until_deprecation']) - Number(b['days_until_deprecation']),
  )
  const of = (wanted: string): JsonObject[] => all.filter((row) => object(row)['status'] === wanted)
  return json({
    deprecated: of('deprecated'),
    imminent: of('imminent'),
    upcoming: of('upcoming'),
    warn_within_days: within,
    checked_at: iso(rooms.now()),
  })
}

const row = (
  method: AdminRoute['method'],
  path: string,
  permission: AdminRoute['permission'],
  summary: string,
  run: AdminRoute['run'],
): AdminRoute => ({ method, path, permission, summary, run })

const scheduled = '/schedule/model_cost_map_reload'

export const priceRoutes: readonly AdminRoute[] = [
  row('POST', '/reload/model_cost_map', 'admin', 'Fetch the price list anew', reload),
  row('POST', scheduled, 'admin', 'Fetch it every so many hours', schedule),
  row('DELETE', scheduled, 'admin', 'No longer', cancel),
  row('GET', `${scheduled}/status`, 'view', 'When it was fetched and will be', status),
  row('GET', '/model/cost_map/source', 'view', 'Where the prices came from', source),
  row('GET', '/utils/model_info', 'info', 'What the price list says of a model', modelFacts),
  ...['/model/deprecations', '/v1/model/deprecations'].map((path) =>
    row('GET', path, 'info', 'Models that their provider ends', deprecations),
  ),
]
