import { sql } from 'kysely'
import type { Db } from './db.ts'
import type { Reader } from './docs.ts'
import { nextReset, type ResetClock } from './durations.ts'
import type { Tx } from './store.ts'

/** What has been spent, and when it starts again from nothing. Nano-dollars, milliseconds since the epoch. */
export type Account = {
  id: string
  spend: number
  total: number
  leased: number
  duration: string | null
  resetsAt: number | null
}

/** Names of accounts; every other place makes them by these. */
/** A bar begins what lies beside an account, so none of a name's own may be one: customers choose their names themselves. */
const plain = (id: string): string =>
  id.includes('|') || id.includes('%') ? id.replace(/[%|]/g, encodeURIComponent) : id

export const accountOf = {
  key: (id: string) => `key:${plain(id)}`,
  keyModel: (id: string, model: string) => `key:${plain(id)}|model:${model}`,
  keyWindow: (id: string, duration: string) => `key:${plain(id)}|window:${duration}`,
  user: (id: string) => `user:${plain(id)}`,
  userModel: (id: string, model: string) => `user:${plain(id)}|model:${model}`,
  team: (id: string) => `team:${plain(id)}`,
  teamModel: (id: string, model: string) => `team:${plain(id)}|model:${model}`,
  teamWindow: (id: string, duration: string) => `team:${plain(id)}|window:${duration}`,
  member: (team: string, user: string) => `member:${plain(team)}/${plain(user)}`,
  organization: (id: string) => `org:${plain(id)}`,
  organizationMember: (organization: string, user: string) =>
    `orgmember:${plain(organization)}/${plain(user)}`,
  project: (id: string) => `project:${plain(id)}`,
  customer: (id: string) => `customer:${plain(id)}`,
  customerModel: (id: string, model: string) => `customer:${plain(id)}|model:${model}`,
  tag: (name: string) => `tag:${plain(name)}`,
  provider: (name: string) => `provider:${plain(name)}`,
  proxy: () => 'proxy',
} as const

/** Where a key's spend is kept. Requests that still run on the former key settle there too. */
export const keyAccount = ({
  id,
  columns,
}: {
  id: string
  columns: { account?: string | null }
}): string => accountOf.key(columns.account ?? id)

/** Accounts that are not there have spent nothing and are left out. */
export async function readAccounts(
  db: Reader,
  ids: readonly string[],
): Promise<Map<string, Account>> {
  const found = new Map<string, Account>()
  for (let at = 0; at < ids.length; at += 500)
    for (const row of await db
      .selectFrom('account')
      .selectAll()
      .where('id', 'in', ids.slice(at, at + 500))
      .execute())
      found.set(row.id, {
        id: row.id,
        spend: Number(row.spend),
        total: Number(row.total),
        leased: Number(row.leased),
        duration: row.duration,
        resetsAt: row.resets_at === null ? null : Number(row.resets_at),
      })
  return found
}

/**
 * Gives an account its period (null: it never resets). A period that stays the same keeps its next reset; a new one
 * begins to count from here, with what was spent. Returns the next reset.
 */
export async function configureAccount(
  tx: Tx,
  id: string,
  duration: string | null,
  clock: ResetClock,
): Promise<number | null> {
  const [was] = (await readAccounts(tx.db, [id])).values()
  if (was && was.duration === duration) return was.resetsAt
  const resetsAt = duration === null ? null : nextReset(duration, clock)
  await tx.db
    .insertInto('account')
    .values({ id, spend: 0, total: 0, leased: 0, duration, resets_at: resetsAt })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ duration, resets_at: resetsAt }))
    .execute()
  tx.changed('account', id)
  return resetsAt
}

/** Says what has been spent in the running period; `total` stays. */
export async function setSpend(tx: Tx, id: string, nanoDollars: number): Promise<void> {
  await tx.db
    .insertInto('account')
    .values({ id, spend: nanoDollars, total: 0, leased: 0, duration: null, resets_at: null })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ spend: nanoDollars }))
    .execute()
  tx.changed('account', id)
}

/** Begins a new period where the old one has ended; whichever process comes first does it. */
export async function resetAccount(
  { query }: Db,
  id: string,
  duration: string | undefined,
  clock: ResetClock,
): Promise<void> {
  await query
    .updateTable('account')
    .set({ spend: 0, resets_at: duration === undefined ? null : nextReset(duration, clock) })
    .where('id', '=', id)
    .where('resets_at', '<=', clock.now)
    .execute()
}

/** What a deleted thing leaves: its account and those beside it. */
export async function removeAccounts(tx: Tx, id: string): Promise<void> {
  const beside = (column: string) =>
    sql<boolean>`(${sql.ref(column)} = ${id} or substr(${sql.ref(column)}, 1, ${id.length + 1}) = ${`${id}|`})`
  await tx.db.deleteFrom('account').where(beside('id')).execute()
  await tx.db.deleteFrom('lease').where(beside('account')).execute()
  tx.changed('account', id)
}
