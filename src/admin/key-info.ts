import * as z from 'zod'
import type { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type JsonObject, list, object } from '../json/json.ts'
import { keyAccount } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { budgetsOf, effective } from './budget-table.ts'
import { keyInfo, manyKeys } from './key-fields.ts'
import { mayRead } from './key-rights.ts'
import { accountsBeside, formerRow, keyRow, statusOf, usageOf } from './key-row.ts'
import { keyNotFound } from './key-write.ts'
import { keyIdOf } from './keys.ts'
import { type AdminRoute, booksOf, forbidden, json, readBody, readQuery, storeOf } from './route.ts'
import { type Standing, standingOf } from './standing.ts'

type Key = Doc<'virtual_key'>

async function info(visit: Visit): Promise<Outgoing> {
  const { key: said } = readQuery(visit, z.looseObject({ key: z.string().max(1000).optional() }))
  const store = storeOf(visit)
  const { docs } = store
  const asked = said === undefined || said === '' ? visit.caller.keyId : said
  const id = keyIdOf(store, asked)
  const [standing, key] = await Promise.all([standingOf(visit), docs.virtual_key.find(id)])
  if (key) {
    const team = key.columns.team_id ? await docs.team.find(key.columns.team_id) : undefined
    if (!mayRead(standing, key, team)) throw notYours(visit)
    const [row] = await rowsOf(visit, [key])
    return json({ key: asked, info: { ...row, status: statusOf(key, store.now()) } })
  }
  const former = await docs.former_key.find(id)
  if (!former) throw keyNotFound()
  if (!mayReadFormer(standing, former)) throw notYours(visit)
  const { token: _, ...row } = formerRow(former)
  return json({ key: asked, info: row })
}

const mayReadFormer = ({ sees, userId }: Standing, { columns }: Doc<'former_key'>): boolean =>
  sees || (userId !== undefined && columns.user_id === userId)

const notYours = ({ caller }: Visit): GatewayError =>
  forbidden(`You are not allowed to access this key's info. Your role=${caller.role}`)

/** Rows with what windows and models have seen, and without the id that the answer says beside them. */
async function rowsOf(visit: Visit, keys: readonly Key[]): Promise<JsonObject[]> {
  const budgets = await budgetsOf(storeOf(visit), keys)
  const counted = keys.map((key) => {
    const budget = budgets.get(key.columns.budget_id ?? '')
    return { key, budget, own: keyAccount(key), counts: effective(key.data, budget) }
  })
  const accounts = await booksOf(visit).accounts(
    counted.flatMap(({ own, counts }) => [own, ...accountsBeside(own, counts).map(({ id }) => id)]),
  )
  return counted.map(({ key, budget, own, counts }) => {
    const { token: _, ...row } = keyRow(key, accounts.get(own), budget)
    return { ...row, ...usageOf(own, counts, accounts) }
  })
}

/** Of the keys asked for, those the caller may see. */
async function infos(visit: Visit): Promise<Outgoing> {
  const { keys, key_aliases } = await readBody(visit, manyKeys)
  const store = storeOf(visit)
  const { docs } = store
  const [standing, named, aliased] = await Promise.all([
    standingOf(visit),
    docs.virtual_key.many((keys ?? []).map((key) => keyIdOf(store, key))),
    key_aliases?.length ? docs.virtual_key.list({ where: { unique_name: key_aliases } }) : [],
  ])
  const found = [...new Map([...named, ...aliased].map((key) => [key.id, key])).values()]
  const teams = new Map(
    (await docs.team.many(found.flatMap(({ columns }) => columns.team_id ?? []))).map((team) => [
      team.id,
      team,
    ]),
  )
  const seen = found.filter((key) => mayRead(standing, key, teams.get(key.columns.team_id ?? '')))
  return json({ key: keys ?? null, info: await rowsOf(visit, seen) })
}

/** The calling key works, or this would not have been reached; its own callbacks are not told of anything yet. */
function health({ caller }: Visit): Outgoing {
  const logging = list(object(caller.grant?.key.data['metadata'])['logging'])
  const callbacks = logging.flatMap((one) => (isObject(one) ? [one['callback_name'] ?? null] : []))
  return json(
    callbacks.length === 0
      ? { key: 'healthy', logging_callbacks: null }
      : {
          key: 'unhealthy',
          logging_callbacks: {
            callbacks,
            status: 'unhealthy',
            details: 'callbacks of single keys are kept, but this gateway does not call them',
          },
        },
  )
}

export const keyInfoRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/key/info',
    permission: 'self',
    summary: 'A key, by itself or its SHA-256; without one, the calling key',
    output: keyInfo,
    run: info,
  },
  {
    method: 'POST',
    path: '/v2/key/info',
    permission: 'self',
    summary: 'Several keys',
    input: manyKeys,
    run: infos,
  },
  {
    method: 'POST',
    path: '/key/health',
    permission: 'self',
    summary: 'Does the calling key work, and what it reports to?',
    run: health,
  },
]
