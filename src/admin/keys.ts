import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import { keyAccount, readAccounts, setSpend } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import { durationMs } from '../store/durations.ts'
import type { Store, Tx } from '../store/store.ts'
import { effective } from './budget-table.ts'
import {
  generateKey,
  jsonOf,
  keyAnswer,
  manyKeys,
  metadataFields,
  oneKey,
  regenerateKey,
  resetSpend,
  updateKey,
} from './key-fields.ts'
import { alterKey, makeKey } from './key-make.ts'
import { envelope, refuseMember, refuseStranger, refuseUnprivileged } from './key-rights.ts'
import { accountsBeside, keyAccounts, keyRow } from './key-row.ts'
import { changeKey, endKeys, keyNotFound, newSecret, replaceKey } from './key-write.ts'
import {
  type AdminRoute,
  badRequest,
  booksOf,
  dollarsOf,
  forbidden,
  json,
  nanoOf,
  readBody,
  storeOf,
} from './route.ts'
import { refuseNobody, standingOf } from './standing.ts'
import { writerOf } from './written.ts'

type Key = Doc<'virtual_key'>
type Docs = Pick<Tx | Store['docs'], 'virtual_key' | 'team' | 'budget'>

/** The id of a key by what a client says of it: the key, or its SHA-256. */
export const keyIdOf = (store: Store, said: string): string =>
  said.startsWith('sk-') ? store.sealer.digest(said) : said

/** Throws 404. */
export async function findKey(
  docs: Pick<Docs, 'virtual_key'>,
  store: Store,
  said: string,
): Promise<Key> {
  const key = await docs.virtual_key.find(keyIdOf(store, said))
  if (!key) throw keyNotFound()
  return key
}
const teamOf = async (docs: Pick<Docs, 'team'>, { columns }: Key) =>
  columns.team_id ? docs.team.find(columns.team_id) : undefined

/** A key as answers show it, with what it has spent by now. */
export async function shown(visit: Visit, key: Key): Promise<JsonObject> {
  const own = keyAccount(key)
  const [accounts, budget] = await Promise.all([
    booksOf(visit).accounts([own]),
    key.columns.budget_id ? storeOf(visit).docs.budget.find(key.columns.budget_id) : undefined,
  ])
  return keyRow(key, accounts.get(own), budget)
}

/** What only this answer shows: the key itself. Fields that live in the metadata are said as they came too. */
export async function told(
  visit: Visit,
  { doc, secret }: { doc: Key; secret: string },
  said: JsonObject,
): Promise<JsonObject> {
  const row = await shown(visit, doc)
  const metadata = object(row['metadata'])
  const echoed = metadataFields.filter((field) => metadata[field] !== undefined)
  return {
    ...row,
    ...Object.fromEntries(echoed.map((field) => [field, metadata[field]])),
    ...(said['duration'] !== undefined && { duration: said['duration'] }),
    key: secret,
    token: doc.id,
    token_id: doc.id,
  }
}

const generate =
  (route: string, service: boolean) =>
  async (visit: Visit): Promise<Outgoing> => {
    refuseNobody(visit)
    const said = jsonOf(await readBody(visit, generateKey))
    const standing = await standingOf(visit)
    const made = await storeOf(visit).write((tx) =>
      makeKey(visit, tx, standing, said, { route, service }),
    )
    return json(await told(visit, made, said))
  }

async function update(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const said = jsonOf(await readBody(visit, updateKey))
  const standing = await standingOf(visit)
  const doc = await storeOf(visit).write(async (tx) =>
    alterKey(visit, tx, standing, await meantBy(visit, tx, said), said, '/key/update'),
  )
  return json({ ...(await shown(visit, doc)), key: text(said['key']) ?? doc.id })
}

/** By the key or its SHA-256; by its alias where neither is said. */
async function meantBy(visit: Visit, tx: Tx, said: JsonObject): Promise<Key> {
  const key = text(said['key'])
  if (key !== undefined) return findKey(tx, storeOf(visit), key)
  const alias = text(said['key_alias'])
  if (alias === undefined) throw badRequest('either key or key_alias must be provided', 'key')
  const found = await tx.virtual_key.first({ unique_name: alias })
  if (!found) throw keyNotFound()
  return found
}

async function remove(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const { keys, key_aliases } = await readBody(visit, manyKeys)
  const asked = [
    ...(keys ?? []).map((key) => ({ said: key, key })),
    ...(key_aliases ?? []).map((alias) => ({ said: alias, alias })),
  ]
  if (asked.length === 0)
    throw badRequest('say which keys to delete: keys or key_aliases is a list', 'keys')
  const standing = await standingOf(visit)
  const books = booksOf(visit)
  const { store } = books
  await books.flush()
  const deleted = await store.write(async (tx) => {
    const found = new Map<string, Key>()
    const said: string[] = []
    for (const one of asked) {
      const key =
        'key' in one
          ? await tx.virtual_key.find(keyIdOf(store, one.key))
          : await tx.virtual_key.first({ unique_name: one.alias })
      if (!key) continue
      refuseStranger(standing, key, await teamOf(tx, key), 'delete')
      found.set(key.id, key)
      said.push(one.said)
    }
    if (found.size === 0) throw keyNotFound()
    const ending = [...found.values()]
    const accounts = await readAccounts(tx.db, keyAccounts(ending))
    await endKeys(tx, ending, { by: writerOf(visit.caller), now: store.now(), accounts })
    return said
  })
  return json({ deleted_keys: deleted })
}

async function regenerate(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const { new_key, grace_period, new_master_key, key, ...rest } = await readBody(
    visit,
    regenerateKey,
  )
  if (new_master_key !== undefined)
    throw new GatewayError(
      'not_offered',
      'the master key is not kept in the database: set LITELLM_MASTER_KEY (or general_settings.master_key) to another one and start again; with LITELLM_SALT_KEY set, what is sealed stays readable',
      { code: '501', param: 'new_master_key' },
    )
  const said = key ?? visit.params['key']
  if (said === undefined) throw badRequest('No key passed in: say which one as key', 'key')
  const standing = await standingOf(visit)
  const store = storeOf(visit)
  if (new_key != null && visit.rooms.settings.said.general['disable_custom_api_keys'] === true)
    throw forbidden('Custom API key values are disabled by your administrator.')
  const secret = new_key ?? newSecret()
  const change = jsonOf(rest)
  const doc = await store.write(async (tx) => {
    const was = await findKey(tx, store, said)
    const team = await teamOf(tx, was)
    refuseStranger(standing, was, team, 'regenerate')
    if (team && !standing.admin) refuseMember(standing, team, '/key/regenerate')
    const now = await replaceKey(tx, was, {
      secret,
      said: said.startsWith('sk-') ? said : undefined,
      graceMs: grace_period == null ? undefined : durationMs(grace_period),
      by: writerOf(visit.caller),
      now: store.now(),
      sealer: store.sealer,
    })
    const changes = Object.keys(change).some((field) => !envelope.has(field))
    return changes ? alterKey(visit, tx, standing, now, change, '/key/update') : now
  })
  return json(await told(visit, { doc, secret }, change))
}

const block =
  (route: string, blocked: boolean) =>
  async (visit: Visit): Promise<Outgoing> => {
    refuseNobody(visit)
    const { key } = await readBody(visit, oneKey)
    const standing = await standingOf(visit)
    const store = storeOf(visit)
    const doc = await store.write(async (tx) => {
      const one = await findKey(tx, store, key)
      refuseUnprivileged(standing, one, await teamOf(tx, one), route)
      return changeKey(visit, tx, one.id, { body: { blocked }, by: writerOf(visit.caller) })
    })
    return json(await shown(visit, doc))
  }

async function spendAgain(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const { reset_to } = await readBody(visit, resetSpend)
  const standing = await standingOf(visit)
  const books = booksOf(visit)
  const { store } = books
  const key = await findKey(store.docs, store, visit.params['key'] ?? '')
  refuseUnprivileged(standing, key, await teamOf(store.docs, key), '/key/reset_spend')
  const own = keyAccount(key)
  const account = (await books.accounts([own])).get(own)
  const spent = dollarsOf(account?.spend ?? 0)
  if (reset_to > spent)
    throw badRequest(`reset_to (${reset_to}) must be <= current spend (${spent})`, 'reset_to')
  const budget = key.columns.budget_id
    ? await store.docs.budget.find(key.columns.budget_id)
    : undefined
  const counts = effective(key.data, budget)
  const most = counts['max_budget']
  if (typeof most === 'number' && reset_to > most)
    throw badRequest(`reset_to (${reset_to}) must be <= budget (${most})`, 'reset_to')
  await store.write(async (tx) => {
    await setSpend(tx, own, nanoOf(reset_to))
    for (const { id, of } of accountsBeside(own, counts))
      if (of === 'window') await setSpend(tx, id, 0)
  })
  const row = await shown(visit, key)
  return json({
    key_hash: key.id,
    spend: row['spend'],
    previous_spend: spent,
    max_budget: row['max_budget'],
    budget_reset_at: row['budget_reset_at'],
  })
}

const post = (
  path: string,
  row: Omit<AdminRoute, 'method' | 'path' | 'permission'>,
): AdminRoute => ({
  method: 'POST',
  path,
  permission: 'self_write',
  ...row,
})

export const keyRoutes: readonly AdminRoute[] = [
  post('/key/generate', {
    summary: 'Make a key',
    input: generateKey,
    output: keyAnswer,
    run: generate('/key/generate', false),
  }),
  post('/key/service-account/generate', {
    summary: 'Make a key that belongs to a team and to no user',
    input: generateKey,
    output: keyAnswer,
    run: generate('/key/service-account/generate', true),
  }),
  post('/key/update', { summary: 'Change a key', input: updateKey, run: update }),
  post('/key/delete', {
    summary: 'Delete keys, by key, SHA-256 or alias',
    input: manyKeys,
    run: remove,
  }),
  post('/key/regenerate', {
    summary: 'The same key by a new secret; with a grace_period the old one goes on for a while',
    input: regenerateKey,
    output: keyAnswer,
    run: regenerate,
  }),
  post('/key/{key+}/regenerate', {
    summary: 'The same, with the key in the path',
    input: regenerateKey,
    output: keyAnswer,
    run: regenerate,
  }),
  post('/key/{key+}/reset_spend', {
    summary: 'Say what a key has spent in the running period',
    input: resetSpend,
    run: spendAgain,
  }),
  post('/key/block', {
    summary: 'Refuse a key from now on',
    input: oneKey,
    run: block('/key/block', true),
  }),
  post('/key/unblock', {
    summary: 'Let a key in again',
    input: oneKey,
    run: block('/key/unblock', false),
  }),
]
