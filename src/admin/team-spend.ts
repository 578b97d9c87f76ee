import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { list, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { type SumsRow, spendSums } from '../store/spend-sums.ts'
import { teamFor } from './reach.ts'
import { type AdminRoute, badRequest, booksOf, dollarsOf, json, readQuery } from './route.ts'
import { commaList, dateOf, dates, neededDays } from './spend-sight.ts'
import { runsTeam } from './standing.ts'

const query = z.object({ team_ids: commaList.optional(), ...dates })
const daysMax = 400

/**
 * What each user has spent in teams. Whoever runs a team, and members it lets see its activity, see all of its users;
 * other members see themselves.
 */
async function byUser(visit: Visit): Promise<Outgoing> {
  const said = readQuery(visit, query)
  const { from, until } = neededDays(said)
  if (until <= from) throw badRequest('end_date must be on or after start_date', 'end_date')
  if (until - from > daysMax * 86_400_000)
    throw badRequest(`Date range must be at most ${daysMax} days`, 'end_date')
  const asked = [...new Set(said.team_ids)]
  if (asked.length === 0 || asked.length > 100)
    throw badRequest('Please provide team_ids, 100 at most', 'team_ids')
  const teams = new Map<string, { team: Doc<'team'>; all: boolean }>()
  for (const id of asked) {
    const { team, standing } = await teamFor(visit, id, 'see')
    const open = list(team.data['team_member_permissions']).includes('/team/daily/activity')
    const all = standing.sees || runsTeam(standing, team) || (open && standing.teams.has(id))
    teams.set(id, { team, all })
  }
  const books = booksOf(visit)
  await books.flush()
  const sums = await spendSums(books.store.db.query, { scope: 'team', of: asked, from, until }, [
    'who',
    'key',
  ])
  const owners = await ownersOf(visit, [...new Set(sums.map(({ key }) => key))])
  const rows = Map.groupBy(
    sums.filter(({ who, key }) => teams.get(who)?.all || owners.get(key) === visit.caller.userId),
    ({ who, key }) => JSON.stringify([who, owners.get(key) ?? '']),
  )
  const people = new Map(
    (await books.store.docs.gateway_user.many([...new Set(owners.values())])).map((user) => [
      user.id,
      user.data,
    ]),
  )
  return json({
    start_date: dateOf(from / 86_400_000),
    end_date: dateOf(until / 86_400_000 - 1),
    results: [...rows.values()]
      .map((some) => {
        const [{ who, key } = { who: '', key: '' }] = some
        const user = owners.get(key) ?? ''
        return {
          team_id: who,
          team_alias: text(teams.get(who)?.team.data['team_alias']) ?? null,
          user_id: user,
          user_email: people.get(user)?.['user_email'] ?? null,
          user_alias: people.get(user)?.['user_alias'] ?? null,
          ...totalOf(some),
        }
      })
      .sort((a, b) => b.spend - a.spend),
  })
}

/** Whose keys these are, also where they are no more. */
async function ownersOf(visit: Visit, keys: readonly string[]): Promise<Map<string, string>> {
  const { docs } = booksOf(visit).store
  const found = [...(await docs.former_key.many(keys)), ...(await docs.virtual_key.many(keys))]
  return new Map(
    found.flatMap(({ id, columns }) => (columns.user_id == null ? [] : [[id, columns.user_id]])),
  )
}

function totalOf(rows: readonly SumsRow[]) {
  const sum = (of: (row: SumsRow) => number): number =>
    rows.reduce((total, row) => total + of(row), 0)
  const requests = sum((row) => row.requests)
  const failed = sum((row) => row.failures)
  const prompt = sum((row) => row.input)
  const completion = sum((row) => row.output)
  return {
    spend: dollarsOf(sum((row) => row.spend)),
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    api_requests: requests,
    successful_requests: requests - failed,
    failed_requests: failed,
  }
}

export const teamSpendRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/team/spend/by_user',
    permission: 'self',
    summary: 'What each user has spent in teams',
    run: byUser,
  },
]
