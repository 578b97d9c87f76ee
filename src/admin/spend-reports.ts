import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import type { JsonObject } from '../json/json.ts'
import { seesAll } from '../policy/caller.ts'
import type { Reader } from '../store/docs.ts'
import { spendRowSums } from '../store/spend.ts'
import { spendSums } from '../store/spend-sums.ts'
import { name } from './fields.ts'
import { type AdminRoute, booksOf, dollarsOf, forbidden, json, readQuery } from './route.ts'
import { dateOf, dates, keyIdOf, labelOf, neededDays } from './spend-sight.ts'
import { administeredBy, standingOf } from './standing.ts'

/** One thing a key spent on, as reports show it. */
type Detail = {
  key: string
  model: string
  team?: string
  spend: number
  input: number
  output: number
}

/** One entry per key with what it spent on each model, the dearest first. */
function byKey(details: readonly Detail[]): JsonObject[] {
  return [...Map.groupBy(details, ({ key }) => key)]
    .map(([api_key, of]) => ({ api_key, of, spend: of.reduce((sum, { spend }) => sum + spend, 0) }))
    .sort((a, b) => b.spend - a.spend)
    .map(({ api_key, of, spend }) => ({
      api_key,
      total_cost: dollarsOf(spend),
      total_input_tokens: of.reduce((sum, { input }) => sum + input, 0),
      total_output_tokens: of.reduce((sum, { output }) => sum + output, 0),
      model_details: of.map(({ team, model, spend: cost, input, output }) => ({
        ...(team !== undefined && { team_id: team }),
        model,
        total_cost: dollarsOf(cost),
        total_input_tokens: input,
        total_output_tokens: output,
      })),
    }))
}

type Days = { from: number; until: number }
type Party = { day: number; who: string; key: string; model: string; spend: number; tokens: number }

/** One entry per day with what each party spent, by key and model. */
function byDay(rows: readonly Party[], list: string, nameOf: (who: string) => JsonObject) {
  return [...Map.groupBy(rows, ({ day }) => day)]
    .sort(([a], [b]) => a - b)
    .map(([day, of]) => ({
      group_by_day: dateOf(day),
      [list]: [...Map.groupBy(of, ({ who }) => who)].map(([who, parts]) => ({
        ...nameOf(who),
        total_spend: dollarsOf(parts.reduce((sum, { spend }) => sum + spend, 0)),
        metadata: parts.map(({ model, key, spend, tokens }) => ({
          model,
          api_key: key,
          spend: dollarsOf(spend),
          total_tokens: tokens,
        })),
      })),
    }))
}

const partiesOf = async (
  db: Reader,
  scope: 'team' | 'customer',
  of: readonly string[] | undefined,
  days: Days,
): Promise<Party[]> =>
  (await spendSums(db, { scope, of, ...days }, ['day', 'who', 'key', 'model'])).map((row) => ({
    ...row,
    tokens: row.input + row.output,
  }))

const reportQuery = z.object({
  ...dates,
  group_by: z.enum(['team', 'customer', 'api_key']).default('team'),
  api_key: name.optional(),
  internal_user_id: name.optional(),
  team_id: name.optional(),
  customer_id: name.optional(),
})

async function globalReport(visit: Visit): Promise<Outgoing> {
  const asked = readQuery(visit, reportQuery)
  const days = neededDays(asked)
  const { api_key, internal_user_id: user, team_id: team, customer_id: customer } = asked
  const books = booksOf(visit)
  await books.flush()
  const db = books.store.db.query
  if (api_key !== undefined)
    return json(
      byKey(
        await spendSums(db, { scope: 'all', keys: [keyIdOf(visit, api_key)], ...days }, [
          'key',
          'model',
        ]),
      ),
    )
  if (user !== undefined)
    return json(
      byKey(await spendSums(db, { scope: 'user', of: [user], ...days }, ['key', 'model'])),
    )
  const teamName = async (ids: readonly string[]) => {
    const docs = await books.store.docs.team.many([...new Set(ids)])
    const alias = new Map(docs.map(({ id, columns }) => [id, columns.alias]))
    return (id: string) => ({ team_name: alias.get(id) ?? id, team_id: id })
  }
  if (team !== undefined && customer !== undefined) {
    const rows = await spendRowSums(db, { teams: [team], customers: [customer], ...days }, [
      'day',
      'team',
      'key',
      'model',
    ])
    const nameOf = await teamName([team])
    return json(
      byDay(
        rows.map((row) => ({ ...row, who: row.team, tokens: row.input + row.output })),
        'teams',
        (who) => ({ ...nameOf(who), customer }),
      ),
    )
  }
  if (customer !== undefined || asked.group_by === 'customer') {
    const of = customer === undefined ? undefined : [customer]
    const rows = await partiesOf(db, 'customer', of, days)
    return json(byDay(rows, 'customers', (who) => ({ customer: who })))
  }
  if (asked.group_by === 'api_key')
    return json(byKey(await spendSums(db, { scope: 'all', ...days }, ['key', 'model'])))
  const rows = await partiesOf(db, 'team', team === undefined ? undefined : [team], days)
  return json(byDay(rows, 'teams', await teamName(rows.map(({ who }) => who))))
}

/** Who a report is about: what was asked for, if the caller may, and what is the caller's where nothing was. */
function whose(visit: Visit, asked: string | undefined, own: string | undefined, param: string) {
  if (asked === undefined) {
    if (own === undefined || own === '')
      throw forbidden(`Nothing here belongs to this key: say ${param}`)
    return own
  }
  if (seesAll(visit.caller) || asked === own) return asked
  throw forbidden(`You may only see your own spend: leave ${param} out`)
}

const scoped =
  (run: (visit: Visit, days: Days, db: Reader) => Promise<Detail[]>) =>
  async (visit: Visit): Promise<Outgoing> => {
    const days = neededDays(readQuery(visit, z.object(dates)))
    const books = booksOf(visit)
    await books.flush()
    return json(byKey(await run(visit, days, books.store.db.query)))
  }

const asked = (visit: Visit, param: string): string | undefined =>
  readQuery(visit, z.object({ [param]: name.optional() }))[param]

const keyReport = scoped((visit, days, db) => {
  const said = asked(visit, 'api_key')
  const key = said === undefined ? undefined : keyIdOf(visit, said)
  const keys = [whose(visit, key, visit.caller.keyId, 'api_key')]
  return spendSums(db, { scope: 'all', keys, ...days }, ['key', 'model'])
})

const userReport = scoped((visit, days, db) => {
  const of = [
    whose(visit, asked(visit, 'internal_user_id'), visit.caller.userId, 'internal_user_id'),
  ]
  return spendSums(db, { scope: 'user', of, ...days }, ['key', 'model'])
})

const teamReport = scoped(async (visit, days, db) => {
  const said = asked(visit, 'team_id')
  const { teams } = await standingOf(visit)
  const own = said !== undefined && teams.get(said) === 'admin' ? said : visit.caller.teamId
  const of = [whose(visit, said, own, 'team_id')]
  return spendSums(db, { scope: 'team', of, ...days }, ['key', 'model'])
})

const organizationReport = scoped(async (visit, days, db) => {
  const said = asked(visit, 'organization_id') ?? visit.caller.organizationId
  const administered = administeredBy(await standingOf(visit))
  const own = said === undefined ? administered[0] : administered.find((id) => id === said)
  const organizations = [whose(visit, said, own, 'organization_id')]
  return spendRowSums(db, { organizations, ...days }, ['key', 'team', 'model'])
})

const faultsQuery = z.object({ ...dates, model_group: name })

async function rateLimited(visit: Visit) {
  const said = readQuery(visit, faultsQuery)
  const books = booksOf(visit)
  const days = neededDays(said)
  await books.flush()
  const rows = await spendRowSums(
    books.store.db.query,
    { ...days, groups: [said.model_group], status: 429 },
    ['day', 'deployment'],
  )
  return rows.sort((a, b) => a.day - b.day)
}

const faultsShown = (rows: Awaited<ReturnType<typeof rateLimited>>) => ({
  daily_data: [...Map.groupBy(rows, ({ day }) => day)].map(([day, of]) => ({
    date: labelOf(day),
    num_rate_limit_exceptions: of.reduce((sum, { count }) => sum + count, 0),
  })),
  sum_num_rate_limit_exceptions: rows.reduce((sum, { count }) => sum + count, 0),
})

async function faultsByDeployment(visit: Visit): Promise<Outgoing> {
  const rows = await rateLimited(visit)
  return json(
    [...Map.groupBy(rows, ({ deployment }) => deployment)]
      // By the deployment's id: its address may hold a login.
      .map(([deployment, of]) => ({ api_base: deployment, deployment, ...faultsShown(of) }))
      .sort((a, b) => b.sum_num_rate_limit_exceptions - a.sum_num_rate_limit_exceptions)
      .slice(0, 10),
  )
}

/** Every key and team starts again from nothing; rows, sums and totals stay. */
async function resetSpend(visit: Visit): Promise<Outgoing> {
  const { keyId } = visit.caller
  if (keyId !== 'master_key' && keyId !== 'admin_key')
    throw forbidden('Only the master key may reset the spend of everybody')
  const books = booksOf(visit)
  // What was answered before is part of what is reset.
  await books.flush()
  await books.store.write(async (tx) => {
    for (const kind of ['key:', 'team:']) {
      const reset = await tx.db
        .updateTable('account')
        .set({ spend: 0 })
        .where('id', 'like', `${kind}%`)
        .where('spend', '<>', 0)
        .returning('id')
        .execute()
      // What processes hold of their budgets, they look at again.
      for (const { id } of reset) tx.changed('account', id)
    }
  })
  return json({
    message: 'Spend for all API Keys and Teams reset successfully',
    status: 'success',
  })
}

const report = (
  path: string,
  permission: 'self' | 'view',
  summary: string,
  run: AdminRoute['run'],
): AdminRoute => ({ method: 'GET', path, permission, summary, run })

export const spendReportRoutes: readonly AdminRoute[] = [
  report('/global/spend/report', 'view', 'Spend by day and team, customer or key', globalReport),
  report('/key/spend/report', 'self', "A key's spend by model", keyReport),
  report('/user/spend/report', 'self', "A user's spend by key and model", userReport),
  report('/team/spend/report', 'self', "A team's spend by key and model", teamReport),
  report(
    '/organization/spend/report',
    'self',
    "An organisation's spend by key, team and model",
    organizationReport,
  ),
  report(
    '/global/activity/exceptions',
    'view',
    'Requests of a model refused for its rate limit, by day',
    async (visit) => json(faultsShown(await rateLimited(visit))),
  ),
  report(
    '/global/activity/exceptions/deployment',
    'view',
    'Requests of a model refused for its rate limit, by deployment and day',
    faultsByDeployment,
  ),
  {
    method: 'POST',
    path: '/global/spend/reset',
    permission: 'admin',
    // An administrator who is a user may not: LiteLLM asks for the master key itself.
    summary: 'Sets what keys and teams have spent to nothing; for the master key alone',
    run: resetSpend,
  },
  {
    method: 'POST',
    path: '/global/spend/refresh',
    permission: 'admin',
    summary: 'Writes what has been settled; sums are always current',
    run: async (visit) => {
      await booksOf(visit).flush()
      return json({ message: 'Spend is current', status: 'success' })
    },
  },
]
