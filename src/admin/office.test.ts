import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Asked, answer, provider } from '../call/upstream.test.ts'
import { createGateway } from '../gateway/gateway.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { door, incoming, masterKey, textOf } from '../gateway/visit.test.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import { createAccess } from '../policy/access.ts'
import { createGrants } from '../policy/grant.ts'
import { createIdentify } from '../policy/identify.ts'
import { type Account, readAccounts } from '../store/accounts.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import { createStore, type Store } from '../store/store.ts'
import { createLive, type LiveOptions } from './live.ts'
import type { AdminRoute } from './route.ts'

/** A gateway without a port over a database of its own, as managers and their users meet it. */
export type Office = {
  store: Store
  rooms: Rooms
  /** What providers were asked. */
  asked: Asked[]
  /** `who` is a key's name given to `person`, or `admin`, the holder of the master key. */
  ask(who: string, method: string, path: string, body?: JsonObject | string): Promise<Told>
  /** A user with a key by which `ask` knows them. */
  person(name: string, role?: string, key?: KeyOf): Promise<void>
  /** Any key: what it says of its user, team and organisation. */
  key(name: string, of?: KeyOf): Promise<string>
  /** Sets the clock. */
  at(instant: number): void
}
type KeyOf = {
  user_id?: string
  team_id?: string
  organization_id?: string
  project_id?: string
  budget_id?: string
}
export type Told = { status: number; body: JsonObject; list: Json[] }

/** Making the tables takes longer than most tests: it is done once for each file of tests. */
let empty: Promise<Uint8Array> | undefined
async function emptyDatabase(): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'office-'))
  const file = join(folder, 'empty.sqlite')
  const db = openSqlite(file)
  await migrate(db)
  await db.close()
  const bytes = await readFile(file)
  await rm(folder, { recursive: true })
  return bytes
}

export const noon = Date.UTC(2026, 0, 14, 12)

export async function openOffice(
  routes: readonly AdminRoute[],
  config: JsonObject = {},
  /** Serves what the database says, and only to whom it is for. */
  serving?: { env?: Record<string, string>; read?: LiveOptions['read'] },
): Promise<Office> {
  const folder = await mkdtemp(join(tmpdir(), 'office-'))
  const file = join(folder, 'db.sqlite')
  await writeFile(file, await (empty ??= emptyDatabase()))
  let now = noon
  const db = openSqlite(file)
  const store = await createStore({ db, node: 'one', sealer: createSealer('test'), now: () => now })
  after(async () => {
    await db.close()
    await rm(folder, { recursive: true })
  })
  const models = { 'gpt-a': { model_info: { id: 'dep-a', access_groups: ['beta'] } }, 'gpt-b': {} }
  const from = provider({ body: answer('hi') })
  const opened = door({ models, ...config }, from, serving)
  const grants = createGrants(store, { userBudgetOnTeamKeys: false }, () => now)
  const books: Pick<Books, 'store' | 'accounts' | 'flush'> = {
    store,
    accounts: async (ids) => {
      const found = await readAccounts(db.query, ids)
      return new Map(ids.map((id) => [id, found.get(id) ?? nothingSpent(id)]))
    },
    flush: async () => {},
  }
  const identify = createIdentify({
    masterKey,
    adminKey: undefined,
    open: false,
    headerName: undefined,
    find: (key) => grants.find(key),
  })
  // Management asks the books for no more than this.
  const rooms: Rooms = { ...opened.rooms, identify, books: books as Books, now: () => now }
  if (serving) {
    const { deps, config: file } = opened
    const { read } = serving
    rooms.access = createAccess(() => rooms.router.groups, undefined)
    rooms.live = createLive({ rooms, deps, config: file, store, ...(read && { read }) })
    await rooms.live.refresh()
  }
  const handler = createGateway(rooms, routes)
  const secretOf = (who: string) => (who === 'admin' ? masterKey : `sk-${who}-0123456789`)
  const key: Office['key'] = async (name, of = {}) => {
    const secret = secretOf(name)
    const id = store.sealer.digest(secret)
    await store.write((tx) =>
      tx.virtual_key.insert({
        id,
        uniqueName: name,
        columns: { lookup: store.sealer.lookup(secret), ...of },
        data: { key_alias: name, key_name: 'sk-...6789', ...of },
      }),
    )
    return id
  }
  return {
    store,
    rooms,
    asked: from.asked,
    async ask(who, method, path, body) {
      const [bare = '', query = ''] = path.split('?')
      const out = await handler(
        incoming({
          method,
          path: bare,
          query,
          headers: { authorization: `Bearer ${secretOf(who)}` },
          body: body ?? '',
        }),
      )
      const text = await textOf(out)
      const told: unknown = text === '' ? {} : JSON.parse(text)
      return {
        status: out.status,
        body: Array.isArray(told) ? {} : (told as JsonObject),
        list: Array.isArray(told) ? told : [],
      }
    },
    async person(name, role = 'internal_user', of = {}) {
      await store.write((tx) =>
        tx.gateway_user.insert({
          id: name,
          columns: { email: `${name}@example.org`, role },
          data: {
            user_id: name,
            user_email: `${name}@example.org`,
            user_role: role,
            password: 'hash',
          },
        }),
      )
      await key(name, { user_id: name, ...of })
    },
    key,
    at: (instant) => void (now = instant),
  }
}

const nothingSpent = (id: string): Account => ({
  id,
  spend: 0,
  total: 0,
  leased: 0,
  duration: null,
  resetsAt: null,
})
