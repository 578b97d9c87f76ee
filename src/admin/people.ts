import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { JsonObject } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import { isAdmin } from '../policy/caller.ts'
import { accountOf } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { email, id } from './fields.ts'
import { badRequest, forbidden } from './route.ts'
import { defaultsOf } from './settings.ts'
import { membershipsOf, userAccounts, userRow } from './user-row.ts'
import { insertUser } from './user-write.ts'

/** By which a member is named: the id, the e-mail address, or both. */
export const named = { user_id: id.nullish(), user_email: email.nullish() }
export type Named = { user_id?: string | null | undefined; user_email?: string | null | undefined }
export const isNamed = ({ user_id, user_email }: Named): boolean =>
  user_id != null || user_email != null
export const nameless = 'Either user_id or user_email must be provided'
export const member = z
  .object({ role: z.enum(['admin', 'user'], "role must be 'admin' or 'user'"), ...named })
  .refine(isNamed, nameless)
  .meta({ id: 'TeamMember' })

type Users = { readonly gateway_user: Tx['gateway_user'] }

/**
 * The user a member is named by. Undefined: there is none yet. Throws 400 where the two names are not of one user, or an
 * address is several people's.
 */
export async function findPerson(
  { gateway_user }: { readonly gateway_user: Pick<Users['gateway_user'], 'find' | 'list'> },
  { user_id, user_email }: Named,
): Promise<Doc<'gateway_user'> | undefined> {
  const byId = user_id != null ? await gateway_user.find(user_id) : undefined
  if (user_email == null) return byId
  const sharing = await gateway_user.list({ where: { email: user_email.toLowerCase() }, limit: 2 })
  if (sharing.length > 1 && !byId)
    throw badRequest(
      `Multiple users found with email '${user_email}'. Please use 'user_id' instead.`,
      'user_email',
    )
  const [byEmail] = sharing
  if (user_id == null) return byEmail
  if (byEmail ? byEmail.id !== user_id : byId !== undefined)
    throw badRequest(
      `user_email '${user_email}' and user_id '${user_id}' do not belong to the same user.`,
      'user_email',
    )
  return byId
}

/**
 * The user a member is named by, made where there is none. An id nobody has yet is for proxy administrators to give:
 * whoever may only invite does it by e-mail address. Throws 403.
 */
export async function personFor(visit: Visit, tx: Tx, who: Named): Promise<Doc<'gateway_user'>> {
  const found = await findPerson(tx, who)
  if (found) return found
  if (who.user_id != null && !isAdmin(visit.caller))
    throw forbidden(
      `Only proxy admins can add a user_id that does not exist yet: ${who.user_id}. Add the member by user_email to invite a new user, or ask a proxy admin to create the user first.`,
    )
  const defaults = defaultsOf(visit, 'default_internal_user_params')
  return insertUser(visit, tx, {
    user_role: 'internal_user',
    ...Object.fromEntries(
      ['models', 'max_budget', 'budget_duration']
        .filter((field) => defaults[field] != null)
        .map((field) => [field, defaults[field]]),
    ),
    ...(who.user_id != null && { user_id: who.user_id }),
    ...(who.user_email != null && { user_email: who.user_email }),
  })
}

/** Users beside something else, as lists show them. */
export async function peopleRows(
  { store, accounts }: Pick<Books, 'store' | 'accounts'>,
  users: readonly Doc<'gateway_user'>[],
): Promise<JsonObject[]> {
  const [spent, memberships] = await Promise.all([
    accounts(userAccounts(users)),
    membershipsOf(
      store,
      users.map((user) => user.id),
    ),
  ])
  return users.map((user) =>
    userRow(user, spent.get(accountOf.user(user.id)), memberships.get(user.id)),
  )
}
