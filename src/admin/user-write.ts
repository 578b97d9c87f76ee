import { sql } from 'kysely'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import { hashPassword } from '../policy/password.ts'
import { accountOf, configureAccount, readAccounts, setSpend } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { effective } from './budget-table.ts'
import { closeAccounts } from './ending.ts'
import { accountsBeside, keyAccounts } from './key-row.ts'
import { endKeys } from './key-write.ts'
import { badRequest, nanoOf, notFound, storeOf } from './route.ts'
import { clockOf } from './settings.ts'
import { withSealed } from './team-secrets.ts'
import { userDerived, userMetadata } from './user-fields.ts'
import { merged, shownOnly, writerOf } from './written.ts'

/** Users as they are written: made, changed, ended. */

type User = Doc<'gateway_user'>
const derived: ReadonlySet<string> = new Set([...shownOnly, ...userDerived])

/** A user's data after a body has been applied to it. */
function applied(visit: Visit, was: JsonObject, body: JsonObject): JsonObject {
  const before = object(was['metadata'])
  const sealed = withSealed(body, before, storeOf(visit).sealer) as JsonObject
  const data = merged(was, sealed, derived)
  data['metadata'] = userMetadata(before, sealed, object(sealed['metadata']))
  data['updated_by'] = writerOf(visit.caller)
  return data
}

const columnsOf = (data: JsonObject) => ({
  email: text(data['user_email'])?.toLowerCase() ?? null,
  sso_id: text(data['sso_user_id']) ?? null,
  role: text(data['user_role']) ?? null,
  budget_id: text(data['budget_id']) ?? null,
})

/** Throws 409 where somebody has the address. People who come at once are asked one after the other. */
async function refuseTakenEmail(
  visit: Visit,
  tx: Tx,
  email: string | undefined,
  own: string,
): Promise<void> {
  if (email === undefined) return
  const small = email.toLowerCase()
  if (storeOf(visit).db.dialect === 'postgres')
    await sql`select pg_advisory_xact_lock(hashtext(${`email:${small}`}))`.execute(tx.db)
  const other = (await tx.gateway_user.list({ where: { email: small }, limit: 2 })).find(
    ({ id }) => id !== own,
  )
  if (other) throw taken(`User with email ${email} already exists`, 'user_email')
}
const taken = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, {
    status: 409,
    type: 'bad_request_error',
    param,
    code: '409',
  })

async function refuseUnknownBudget(tx: Tx, { budget_id }: JsonObject): Promise<void> {
  if (typeof budget_id === 'string' && !(await tx.budget.find(budget_id)))
    throw badRequest(
      `Budget not found for budget_id=${budget_id}: create it with /budget/new first`,
      'budget_id',
    )
}

/** Writes a new user. Throws 409 where the id or the address is taken. */
export async function insertUser(visit: Visit, tx: Tx, body: JsonObject): Promise<User> {
  const id = text(body['user_id']) ?? crypto.randomUUID()
  if (await tx.gateway_user.find(id)) throw taken(`User with id ${id} already exists`, 'user_id')
  await refuseTakenEmail(visit, tx, text(body['user_email']), id)
  await refuseUnknownBudget(tx, body)
  const data = {
    ...applied(visit, {}, body),
    user_id: id,
    created_by: writerOf(visit.caller),
  }
  const doc = await tx.gateway_user.insert({ id, columns: columnsOf(data), data })
  await configureUser(visit, tx, doc)
  const spend = number(body['spend'])
  if (spend !== undefined && spend > 0) await setSpend(tx, accountOf.user(id), nanoOf(spend))
  return doc
}

/** The hash of a new password takes a moment, which nobody else's writing should have to wait for. */
export const passwordOf = async ({ password }: JsonObject): Promise<string | undefined> =>
  typeof password === 'string' ? hashPassword(password) : undefined

/** Changes a user who is there. Throws 404, or 409 for an address that is taken. */
export async function changeUser(
  visit: Visit,
  tx: Tx,
  id: string,
  body: JsonObject,
  hash?: string,
): Promise<User> {
  await refuseTakenEmail(visit, tx, text(body['user_email']), id)
  await refuseUnknownBudget(tx, body)
  const doc = await tx.gateway_user.update(id, (user) => {
    user.data = applied(visit, user.data, body)
    if (hash !== undefined)
      user.data = { ...user.data, password: hash, password_reset_required: true }
    user.columns = columnsOf(user.data)
  })
  if (!doc) throw userNotFound(id)
  await configureUser(visit, tx, doc)
  const spend = number(body['spend'])
  if (spend !== undefined) await setSpend(tx, accountOf.user(id), nanoOf(spend))
  return doc
}

export const userNotFound = (id: string): GatewayError =>
  notFound(`User not found, passed user_id=${id.slice(0, 200)}`)

async function configureUser(visit: Visit, tx: Tx, { id, data, columns }: User): Promise<void> {
  const shared = columns.budget_id ? await tx.budget.find(columns.budget_id) : undefined
  const counts = effective(data, shared)
  const own = accountOf.user(id)
  const clock = clockOf(visit)
  await configureAccount(tx, own, text(counts['budget_duration']) ?? null, clock)
  for (const beside of accountsBeside(own, counts))
    await configureAccount(tx, beside.id, beside.duration, clock)
}

/** Ends users: their keys open nothing from the next request on, and they are in no team and no organisation. */
export async function endUsers(visit: Visit, tx: Tx, ids: readonly string[]): Promise<void> {
  const where = { user_id: ids }
  const keys = await tx.virtual_key.list({ where })
  const accounts = await readAccounts(tx.db, keyAccounts(keys))
  await endKeys(tx, keys, { by: writerOf(visit.caller), now: storeOf(visit).now(), accounts })
  const teams = await tx.team_member.list({ where })
  const organizations = await tx.organization_member.list({ where })
  for (const { id } of teams) await tx.team_member.remove(id)
  for (const { id } of organizations) await tx.organization_member.remove(id)
  for (const id of ids) await tx.gateway_user.remove(id)
  await closeAccounts(tx, [
    ...ids.map(accountOf.user),
    ...teams.map(({ columns }) => accountOf.member(columns.team_id ?? '', columns.user_id ?? '')),
    ...organizations.map(({ columns }) =>
      accountOf.organizationMember(columns.organization_id ?? '', columns.user_id ?? ''),
    ),
  ])
}

export type TeamOfNew = { teamId: string; role: 'admin' | 'user'; maxBudget: number | undefined }

/** Teams a body names, as ids or with a role and a budget in them. */
export const teamsIn = (teams: unknown): TeamOfNew[] =>
  list(teams).flatMap((one) => {
    const more = isObject(one) ? one : {}
    const teamId = text(one) ?? text(more['team_id'])
    return teamId === undefined
      ? []
      : [
          {
            teamId,
            role: more['user_role'] === 'admin' ? 'admin' : 'user',
            maxBudget: number(more['max_budget_in_team']),
          },
        ]
  })
