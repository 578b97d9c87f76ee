import { sql } from 'kysely'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import { bool, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import {
  type Account,
  accountOf,
  configureAccount,
  keyAccount,
  setSpend,
} from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { durationMs } from '../store/durations.ts'
import type { Sealer } from '../store/seal.ts'
import type { Tx } from '../store/store.ts'
import { effective } from './budget-table.ts'
import { keyTypes, metadataFields, routesOfType } from './key-fields.ts'
import { accountsBeside, keyAccounts } from './key-row.ts'
import { badRequest, dollarsOf, iso, nanoOf, storeOf } from './route.ts'
import { clockOf } from './settings.ts'
import { merged, shownOnly } from './written.ts'

/** Keys as they are written: made, changed, made anew, ended. */

/** Of the request, or shown in rows and not the caller's to say. */
const derived: ReadonlySet<string> = new Set([
  ...shownOnly,
  ...metadataFields,
  'metadata',
  'key',
  'keys',
  'new_key',
  'new_master_key',
  'grace_period',
  'send_invite_email',
  'duration',
  'token',
  'token_id',
  'key_name',
  'expires',
  'org_id',
  'status',
  'rotation_count',
  'last_rotation_at',
  'key_rotation_at',
  'settings_updated_at',
  'last_active',
  'object_permission_id',
  'budget_limits_usage',
  'model_max_budget_usage',
  'user',
  'created_by_user',
  'team_alias',
])

/** A key's data after a body has been applied to it. Throws 400. */
export function applied(was: JsonObject, body: JsonObject, now: number): JsonObject {
  const type = keyTypes.find((one) => one === body['key_type'])
  const routes =
    type !== undefined && body['allowed_routes'] === undefined
      ? { allowed_routes: [...routesOfType[type]] }
      : {}
  const data = merged(was, { ...routes, ...body }, derived)
  data['metadata'] = appliedMetadata(object(was['metadata']), body)
  data['settings_updated_at'] = iso(now)
  return rotating(was, data, now)
}

/** Fields that live in the metadata, and those of the metadata that nobody may take back. */
function appliedMetadata(was: JsonObject, body: JsonObject): JsonObject {
  const said = body['metadata'] === undefined ? was : object(body['metadata'])
  const account = was['service_account_id']
  if (account !== undefined && said['service_account_id'] !== undefined)
    if (said['service_account_id'] !== account)
      throw badRequest(
        'service_account_id is immutable once set and cannot be changed via update',
        'metadata',
      )
  const metadata: JsonObject = {
    ...said,
    ...(account !== undefined && { service_account_id: account }),
  }
  for (const field of metadataFields) {
    const value = body[field]
    if (value === null) delete metadata[field]
    else if (value !== undefined) metadata[field] = value
  }
  return metadata
}

function rotating(was: JsonObject, data: JsonObject, now: number): JsonObject {
  if (bool(data['auto_rotate']) !== true) {
    delete data['key_rotation_at']
    return data
  }
  const interval = text(data['rotation_interval'])
  if (interval === undefined)
    throw badRequest('auto_rotate needs a rotation_interval, such as 30d', 'rotation_interval')
  if (was['auto_rotate'] !== true || was['rotation_interval'] !== interval)
    data['key_rotation_at'] = iso(now + (durationMs(interval) ?? 0))
  return data
}

/** When a key that is told to live for `duration` from now on ends. Undefined: the body says nothing of it. */
export function expiryOf({ duration }: JsonObject, now: number): string | null | undefined {
  if (duration === undefined) return undefined
  const ms = typeof duration === 'string' ? durationMs(duration) : undefined
  return ms === undefined ? null : String(now + ms)
}

const columnsOf = (data: JsonObject) => ({
  user_id: text(data['user_id']) ?? null,
  team_id: text(data['team_id']) ?? null,
  organization_id: text(data['organization_id']) ?? null,
  project_id: text(data['project_id']) ?? null,
  budget_id: text(data['budget_id']) ?? null,
})

/** `sk-` and 22 characters: 16 random bytes. */
export function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `sk-${btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')}`
}

const nameOf = (secret: string): string => `sk-...${secret.slice(-4)}`

/** Throws 409 where there is such a key, or was one that still goes on. */
async function refuseTakenKey(tx: Tx, secret: string, sealer: Sealer, now: number): Promise<void> {
  const id = sealer.digest(secret)
  const former = await tx.former_key.find(id)
  const until = Date.parse(String(former?.data['revoke_at']))
  if (until > now || (await tx.virtual_key.find(id)))
    throw new GatewayError('bad_request', 'This key exists already: choose another one', {
      status: 409,
      type: 'bad_request_error',
      param: 'key',
      code: '409',
    })
}

/** Throws 400 where another key has the alias. */
async function refuseTakenAlias(tx: Tx, alias: string | undefined, id: string): Promise<void> {
  if (alias === undefined) return
  const other = await tx.virtual_key.first({ unique_name: alias })
  if (other && other.id !== id)
    throw badRequest(
      `Key with alias '${alias}' already exists. Unique key aliases across all keys are required.`,
      'key_alias',
    )
}

/** Writes a new key. `body` has been checked; `secret` is not kept. */
export async function insertKey(
  visit: Visit,
  tx: Tx,
  { secret, body, by }: { secret: string; body: JsonObject; by: string },
): Promise<Doc<'virtual_key'>> {
  const { sealer, now } = storeOf(visit)
  const id = sealer.digest(secret)
  const data: JsonObject = {
    ...applied({}, body, now()),
    key_name: nameOf(secret),
    created_by: by,
    updated_by: by,
  }
  const alias = text(data['key_alias'])
  await refuseTakenKey(tx, secret, sealer, now())
  await refuseTakenAlias(tx, alias, id)
  await tx.former_key.remove(id)
  // Somebody chose a key that was one before, and whose books another goes on with.
  const kept = await tx.virtual_key.first({ account: id })
  if (!kept) await closeBooks(tx, [accountOf.key(id)])
  const doc = await tx.virtual_key.insert({
    id,
    uniqueName: alias ?? null,
    columns: {
      ...columnsOf(data),
      lookup: sealer.lookup(secret),
      account: kept ? sealer.digest(crypto.randomUUID()) : null,
      expires_at: expiryOf(body, now()) ?? null,
    },
    data,
  })
  await configureKey(visit, tx, doc)
  await joinGroups(tx, id, [], list(data['access_group_ids']))
  const spend = number(body['spend'])
  if (spend !== undefined && spend > 0) await setSpend(tx, keyAccount(doc), nanoOf(spend))
  return doc
}

/** Changes a key that is there. */
export async function changeKey(
  visit: Visit,
  tx: Tx,
  id: string,
  { body, by }: { body: JsonObject; by: string },
): Promise<Doc<'virtual_key'>> {
  const now = storeOf(visit).now()
  await refuseTakenAlias(tx, text(body['key_alias']), id)
  let groups: Json[] = []
  const doc = await tx.virtual_key.update(id, (one) => {
    groups = list(one.data['access_group_ids'])
    one.data = { ...applied(one.data, body, now), updated_by: by }
    one.uniqueName = text(one.data['key_alias']) ?? null
    const expires = expiryOf(body, now)
    one.columns = {
      ...one.columns,
      ...columnsOf(one.data),
      ...(expires !== undefined && { expires_at: expires }),
    }
  })
  if (!doc) throw keyNotFound()
  await configureKey(visit, tx, doc)
  await joinGroups(tx, id, groups, list(doc.data['access_group_ids']))
  const spend = number(body['spend'])
  if (spend !== undefined) await setSpend(tx, keyAccount(doc), nanoOf(spend))
  return doc
}

/** Gives a key's accounts their periods, so that the next resets show at once. */
async function configureKey(visit: Visit, tx: Tx, doc: Doc<'virtual_key'>) {
  const { data, columns } = doc
  const shared = columns.budget_id ? await tx.budget.find(columns.budget_id) : undefined
  const counts = effective(data, shared)
  const clock = clockOf(visit)
  const own = keyAccount(doc)
  await configureAccount(tx, own, text(counts['budget_duration']) ?? null, clock)
  for (const beside of accountsBeside(own, counts))
    await configureAccount(tx, beside.id, beside.duration, clock)
}

/**
 * The same key by another secret: it goes on with its books, and with what is said of it. `graceMs`: for so long the old one goes on
 * beside it. `said`: the old secret, where the caller gave it.
 */
export async function replaceKey(
  tx: Tx,
  was: Doc<'virtual_key'>,
  {
    secret,
    said,
    graceMs = 0,
    by,
    now,
    sealer,
  }: {
    secret: string
    said?: string | undefined
    graceMs?: number | undefined
    by: string
    now: number
    sealer: Sealer
  },
): Promise<Doc<'virtual_key'>> {
  const id = sealer.digest(secret)
  await refuseTakenKey(tx, secret, sealer, now)
  await tx.former_key.remove(id)
  await tx.db
    .updateTable('virtual_key')
    .set({ id, lookup: sealer.lookup(secret) })
    .where('id', '=', was.id)
    .execute()
  tx.changed('virtual_key', was.id)
  const doc = await tx.virtual_key.update(id, (one) => {
    one.columns.account = was.columns.account ?? was.id
    one.data = {
      ...one.data,
      key_name: nameOf(secret),
      updated_by: by,
      settings_updated_at: iso(now),
    }
  })
  if (!doc) throw keyNotFound()
  const groups = list(was.data['access_group_ids'])
  await joinGroups(tx, was.id, groups, [])
  await joinGroups(tx, id, [], groups)
  for (const former of await tx.former_key.list({ where: { key_id: was.id } }))
    await tx.former_key.update(former.id, (one) => {
      one.columns.key_id = id
    })
  const known = was.columns.lookup ?? (said === undefined ? null : sealer.lookup(said))
  await tx.former_key.remove(was.id)
  await tx.former_key.insert({
    id: was.id,
    columns: { ...formerColumns(was), key_id: id, lookup: graceMs > 0 ? known : null },
    data: {
      ...nameFields(was.data),
      deleted_at: iso(now),
      deleted_by: by,
      replaced_by: id,
      ...(graceMs > 0 && { revoke_at: iso(now + graceMs) }),
    },
  })
  return doc
}

const formerColumns = ({ columns }: Doc<'virtual_key'>) => ({
  user_id: columns.user_id ?? null,
  team_id: columns.team_id ?? null,
  organization_id: columns.organization_id ?? null,
  project_id: columns.project_id ?? null,
  expires_at: columns.expires_at ?? null,
})

const nameFields = (data: JsonObject): JsonObject =>
  Object.fromEntries(
    ['key_alias', 'key_name', 'user_id', 'team_id', 'organization_id', 'project_id', 'created_by']
      .map((field) => [field, data[field]] as const)
      .filter(([, value]) => value !== undefined),
  )

/**
 * Ends keys: they open nothing from the next request on. Their rows are kept as they were, with what they had spent, for
 * /key/info and /key/list?status=deleted.
 */
export async function endKeys(
  tx: Tx,
  keys: readonly Doc<'virtual_key'>[],
  { by, now, accounts }: { by: string; now: number; accounts?: ReadonlyMap<string, Account> },
): Promise<void> {
  await closeBooks(tx, keyAccounts(keys))
  for (const key of keys) {
    const account = accounts?.get(keyAccount(key))
    await tx.virtual_key.remove(key.id)
    await tx.former_key.remove(key.id)
    await tx.former_key.insert({
      id: key.id,
      columns: formerColumns(key),
      data: {
        ...key.data,
        created_at: iso(key.createdAt),
        deleted_at: iso(now),
        deleted_by: by,
        spend: dollarsOf(account?.spend ?? 0),
        total_spend: dollarsOf(account?.total ?? 0),
      },
    })
    // What went on for it ends with it.
    for (const former of await tx.former_key.list({ where: { key_id: key.id } }))
      await tx.former_key.update(former.id, (one) => {
        one.columns.key_id = null
        one.columns.lookup = null
        delete one.data['revoke_at']
      })
    await joinGroups(tx, key.id, list(key.data['access_group_ids']), [])
  }
}

/** A key's id is 64 digits, so its accounts all begin with the same 68 characters. */
async function closeBooks(tx: Tx, own: readonly string[]): Promise<void> {
  for (let at = 0; at < own.length; at += 500) {
    const of = (column: 'id' | 'account') =>
      sql<boolean>`substr(${sql.ref(column)}, 1, 68) in (${sql.join(own.slice(at, at + 500))})`
    const closed = await tx.db.selectFrom('account').select('id').where(of('id')).execute()
    await tx.db.deleteFrom('account').where(of('id')).execute()
    await tx.db.deleteFrom('lease').where(of('account')).execute()
    for (const { id } of closed) tx.changed('account', id)
  }
}

/** Access groups list the keys they are given to. Throws 400 where a key is given a group that is not there. */
async function joinGroups(
  tx: Tx,
  key: string,
  was: readonly unknown[],
  is: readonly unknown[],
): Promise<void> {
  const assign = (id: unknown, change: (keys: Json[]) => Json[]) =>
    tx.access_group.update(String(id), ({ data }) => {
      data['assigned_key_ids'] = change(list(data['assigned_key_ids']).filter((one) => one !== key))
    })
  for (const id of was) if (!is.includes(id)) await assign(id, (keys) => keys)
  for (const id of is)
    if (!was.includes(id) && !(await assign(id, (keys) => [...keys, key])))
      throw badRequest(
        `Access group '${String(id).slice(0, 100)}' does not exist: create it first`,
        'access_group_ids',
      )
}

/** Never with the key itself: whoever mistypes one has still nearly said it. */
export const keyNotFound = (): GatewayError =>
  new GatewayError('not_found', 'Key not found: /key/list shows the keys there are', {
    type: 'not_found_error',
    param: 'key',
    code: '404',
  })
