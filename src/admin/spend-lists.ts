import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, number } from '../json/json.ts'
import { seesAll } from '../policy/caller.ts'
import { accountOf, keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { spenders, spendSums } from '../store/spend-sums.ts'
import { budgetIdOf, budgetsOf, moneyOf } from './budget-table.ts'
import { instant, name } from './fields.ts'
import { keyRow } from './key-row.ts'
import {
  type AdminRoute,
  booksOf,
  dollarsOf,
  forbidden,
  iso,
  json,
  notFound,
  numberIn,
  readBody,
  readQuery,
} from './route.ts'
import {
  commaList,
  dateOf,
  dates,
  keyIdOf,
  labelOf,
  lastMonth,
  maybeDays,
  neededDays,
  ownKeys,
} from './spend-sight.ts'

/** More than anybody reads of a list that has no pages. */
const listMax = 10_000

/** The books, with every answered request in them. */
async function booksNow(visit: Visit) {
  const books = booksOf(visit)
  await books.flush()
  return books
}

async function spendKeys(visit: Visit): Promise<Outgoing> {
  const books = await booksNow(visit)
  const { docs } = books.store
  const { caller } = visit
  const where = seesAll(caller) ? {} : { id: await ownKeys(visit) }
  const keys = await docs.virtual_key.list({ where, descending: true, limit: listMax })
  const [accounts, budgets] = await Promise.all([
    books.accounts(keys.map(keyAccount)),
    budgetsOf(books.store, keys),
  ])
  const spendOf = (doc: Doc<'virtual_key'>) => accounts.get(keyAccount(doc))?.spend ?? 0
  const rows = [...keys]
    .sort((a, b) => spendOf(b) - spendOf(a))
    .map((doc) => keyRow(doc, accounts.get(keyAccount(doc)), budgets.get(budgetIdOf(doc) ?? '')))
  return truncated(json(rows), keys.length === listMax)
}

/** Says so where a list is not all there is. */
const truncated = (out: Outgoing, is: boolean): Outgoing =>
  is ? { ...out, headers: { ...out.headers, 'x-litellm-truncated': 'true' } } : out

async function spendUsers(visit: Visit): Promise<Outgoing> {
  const { user_id: asked } = readQuery(visit, z.object({ user_id: name.optional() }))
  const { caller } = visit
  const whole = seesAll(caller)
  if (!whole && asked !== undefined && asked !== caller.userId)
    throw forbidden('You may only see your own spend: leave user_id out, or give your own')
  const books = await booksNow(visit)
  const { docs } = books.store
  const id = asked ?? (whole ? undefined : (caller.userId ?? ''))
  const users = await docs.gateway_user.list({
    ...(id !== undefined && { where: { id } }),
    descending: true,
    limit: listMax,
  })
  if (asked !== undefined && users.length === 0)
    throw notFound(`User '${asked}' does not exist: /user/list has all of them`)
  const accounts = await books.accounts(users.map(({ id }) => accountOf.user(id)))
  const spendOf = (doc: Doc) => accounts.get(accountOf.user(doc.id))?.spend ?? 0
  const rows = [...users]
    .sort((a, b) => spendOf(b) - spendOf(a))
    .map((doc): JsonObject => {
      const { password: _, ...data } = doc.data
      return {
        ...data,
        user_id: doc.id,
        ...moneyOf(accounts.get(accountOf.user(doc.id))),
        created_at: iso(doc.createdAt),
        updated_at: iso(doc.updatedAt),
      }
    })
  return truncated(json(rows), users.length === listMax)
}

async function spendTags(visit: Visit): Promise<Outgoing> {
  const asked = readQuery(visit, z.object(dates))
  const { store } = await booksNow(visit)
  const sums = await spendSums(
    store.db.query,
    {
      scope: 'tag',
      ...maybeDays(asked),
      ...(!seesAll(visit.caller) && { keys: await ownKeys(visit) }),
    },
    ['who'],
    { top: listMax },
  )
  return json(
    sums.map(({ who, requests, spend }) => ({
      individual_request_tag: who,
      log_count: requests,
      total_spend: dollarsOf(spend),
    })),
  )
}

async function globalTags(visit: Visit): Promise<Outgoing> {
  const asked = readQuery(visit, z.object({ ...dates, tags: commaList.optional() }))
  const days = neededDays(asked)
  const { store } = await booksNow(visit)
  const of = asked.tags?.includes('all-tags') || asked.tags?.length === 0 ? undefined : asked.tags
  const sums = await spendSums(store.db.query, { scope: 'tag', of, ...days }, ['who'], {
    top: listMax,
  })
  return json({
    spend_per_tag: sums.map(({ who, requests, spend }) => ({
      name: who,
      spend: dollarsOf(spend),
      log_count: requests,
    })),
  })
}

async function globalSpend(visit: Visit): Promise<Outgoing> {
  const { store } = await booksNow(visit)
  const days = lastMonth(visit.rooms.now())
  const [sum] = await spendSums(store.db.query, { scope: 'all', ...days }, [])
  return json({
    spend: dollarsOf(sum?.spend ?? 0),
    max_budget: number(visit.rooms.settings.said.settings['max_budget']) ?? 0,
  })
}

async function globalLogs(visit: Visit): Promise<Outgoing> {
  const { api_key: key } = readQuery(visit, z.object({ api_key: name.optional() }))
  const { store } = await booksNow(visit)
  const keys = key === undefined ? undefined : [keyIdOf(visit, key)]
  const days = lastMonth(visit.rooms.now())
  const sums = await spendSums(store.db.query, { scope: 'all', keys, ...days }, ['day'])
  return json(
    sums
      .sort((a, b) => a.day - b.day)
      .map(({ day, spend }) => ({ date: dateOf(day), spend: dollarsOf(spend) })),
  )
}

const topQuery = (otherwise: number) => z.object({ limit: numberIn(1, listMax, otherwise) })

async function globalKeys(visit: Visit): Promise<Outgoing> {
  const { limit: top } = readQuery(visit, topQuery(listMax))
  const { store } = await booksNow(visit)
  const days = lastMonth(visit.rooms.now())
  const sums = await spendSums(store.db.query, { scope: 'all', ...days }, ['key'], { top })
  const docs = await store.docs.virtual_key.many(sums.map(({ key }) => key))
  const found = new Map(docs.map((doc) => [doc.id, doc]))
  return json(
    sums.map(({ key, spend }) => ({
      api_key: key,
      key_alias: found.get(key)?.data['key_alias'] ?? null,
      key_name: found.get(key)?.data['key_name'] ?? null,
      total_spend: dollarsOf(spend),
    })),
  )
}

async function globalModels(visit: Visit): Promise<Outgoing> {
  const { limit: top } = readQuery(visit, topQuery(10))
  const { store } = await booksNow(visit)
  const days = lastMonth(visit.rooms.now())
  const sums = await spendSums(store.db.query, { scope: 'all', ...days }, ['model'], { top })
  return json(
    sums.map(({ model, spend, input, output }) => ({
      model,
      total_spend: dollarsOf(spend),
      total_tokens: input + output,
    })),
  )
}

async function globalProviders(visit: Visit): Promise<Outgoing> {
  const days = neededDays(readQuery(visit, z.object(dates)))
  const { store } = await booksNow(visit)
  const sums = await spendSums(store.db.query, { scope: 'all', ...days }, ['provider'], {
    top: 1000,
  })
  return json(
    sums
      .filter(({ provider }) => provider !== '')
      .map(({ provider, spend }) => ({ provider, spend: dollarsOf(spend) })),
  )
}

/** Days by team, and the ten teams that spent most. What no team spent is `Unassigned`. */
async function globalTeams(visit: Visit): Promise<Outgoing> {
  const { store } = await booksNow(visit)
  const days = lastMonth(visit.rooms.now())
  const [sums, all] = await Promise.all([
    spendSums(store.db.query, { scope: 'team', ...days }, ['day', 'who']),
    spendSums(store.db.query, { scope: 'all', ...days }, ['day']),
  ])
  const docs = await store.docs.team.many([...new Set(sums.map(({ who }) => who))])
  const alias = new Map(docs.map(({ id, columns }) => [id, columns.alias]))
  const byDay = new Map<number, Map<string, number>>()
  const totals = new Map<string, number>()
  const add = (day: number, team: string, spend: number): void => {
    const of = byDay.get(day) ?? new Map<string, number>()
    byDay.set(day, of.set(team, (of.get(team) ?? 0) + spend))
    totals.set(team, (totals.get(team) ?? 0) + spend)
  }
  for (const { day, spend } of all) {
    const ofTeams = sums.filter((one) => one.day === day).reduce((sum, one) => sum + one.spend, 0)
    if (spend > ofTeams) add(day, 'Unassigned', spend - ofTeams)
  }
  for (const { day, who, spend } of sums) add(day, alias.get(who) ?? who, spend)
  return json({
    daily_spend: [...byDay]
      .sort(([a], [b]) => a - b)
      .map(([day, of]) => ({
        date: dateOf(day),
        ...Object.fromEntries([...of].map(([team, spend]) => [team, dollarsOf(spend)])),
      })),
    teams: [...totals.keys()],
    total_spend_per_team: [...totals]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 10)
      .map(([team_id, spend]) => ({ team_id, total_spend: dollarsOf(spend) })),
  })
}

const names = (scope: 'customer' | 'tag', field: string) => async (visit: Visit) => {
  const { store } = await booksNow(visit)
  return json({ [field]: await spenders(store.db.query, scope, listMax) })
}

const endUsersBody = z
  .object({
    api_key: name.nullish(),
    startTime: instant.nullish(),
    endTime: instant.nullish(),
  })
  .meta({ id: 'EndUsersSpendRequest' })

async function globalEndUsers(visit: Visit): Promise<Outgoing> {
  const { api_key, startTime, endTime } = await readBody(visit, endUsersBody)
  const { store } = await booksNow(visit)
  const sums = await spendSums(
    store.db.query,
    {
      scope: 'customer',
      ...lastMonth(visit.rooms.now()),
      ...(startTime != null && { from: Date.parse(startTime) }),
      ...(endTime != null && { until: Date.parse(endTime) }),
      ...(api_key != null && { keys: [keyIdOf(visit, api_key)] }),
    },
    ['who'],
    { top: 100 },
  )
  return json(
    sums.map(({ who, requests, spend }) => ({
      end_user: who,
      total_count: requests,
      total_spend: dollarsOf(spend),
    })),
  )
}

/** Requests and tokens by day; a caller who does not see everything sees their own. */
async function activityOf(visit: Visit, by: readonly ('day' | 'group')[]) {
  const days = neededDays(readQuery(visit, z.object(dates)))
  const { store } = await booksNow(visit)
  const { caller } = visit
  const whose = seesAll(caller)
    ? ({ scope: 'all' } as const)
    : caller.userId === undefined
      ? ({ scope: 'all', keys: [caller.keyId] } as const)
      : ({ scope: 'user', of: [caller.userId] } as const)
  const sums = await spendSums(store.db.query, { ...whose, ...days }, by)
  return sums.sort((a, b) => a.day - b.day)
}
type Activity = Awaited<ReturnType<typeof activityOf>>

const activityShown = (sums: Activity) => ({
  daily_data: sums.map(({ day, requests, input, output }) => ({
    date: labelOf(day),
    api_requests: requests,
    total_tokens: input + output,
  })),
  sum_api_requests: sums.reduce((sum, { requests }) => sum + requests, 0),
  sum_total_tokens: sums.reduce((sum, { input, output }) => sum + input + output, 0),
})

async function activityByModel(visit: Visit): Promise<Outgoing> {
  const sums = await activityOf(visit, ['day', 'group'])
  return json(
    [...Map.groupBy(sums, ({ group }) => group)]
      .map(([model, of]) => ({ model, ...activityShown(of) }))
      .sort((a, b) => b.sum_api_requests - a.sum_api_requests)
      .slice(0, 10),
  )
}

const view = (path: string, summary: string, run: AdminRoute['run']): AdminRoute => ({
  method: 'GET',
  path,
  permission: 'view',
  summary,
  run,
})
const own = (path: string, summary: string, run: AdminRoute['run']): AdminRoute => ({
  ...view(path, summary, run),
  permission: 'self',
})

export const spendListRoutes: readonly AdminRoute[] = [
  own('/spend/keys', 'Keys, those that spent most first', spendKeys),
  own('/spend/users', 'Users, those who spent most first', spendUsers),
  own('/spend/tags', 'What was spent by tag', spendTags),
  own('/global/activity', 'Requests and tokens by day', async (visit) =>
    json(activityShown(await activityOf(visit, ['day']))),
  ),
  own('/global/activity/model', 'Requests and tokens by model and day', activityByModel),
  view('/global/spend', 'What was spent in the last thirty days', globalSpend),
  view('/global/spend/logs', 'What was spent by day, for thirty days', globalLogs),
  view('/global/spend/keys', 'Keys that spent most in thirty days', globalKeys),
  view('/global/spend/models', 'Models that cost most in thirty days', globalModels),
  view('/global/spend/teams', 'What teams spent by day, for thirty days', globalTeams),
  view('/global/spend/provider', 'What was spent by provider', globalProviders),
  view('/global/spend/tags', 'What was spent by tag, for charts', globalTags),
  view('/global/spend/all_tag_names', 'Tags that were ever used', names('tag', 'tag_names')),
  view('/global/all_end_users', 'Customers that ever spent', names('customer', 'end_users')),
  {
    ...view('/global/spend/end_users', 'Customers that spent most', globalEndUsers),
    method: 'POST',
    input: endUsersBody,
  },
]
