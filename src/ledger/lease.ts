import { sql } from 'kysely'
import { type Json, number, object } from '../json/json.ts'
import type { Db, Statement } from '../store/db.ts'

/**
 * The rows by which processes share a budget. `account.leased` is the sum of `lease.amount`; nobody is granted more than
 * `max - spend - leased`, so what is spent and what may yet be never passes the budget together.
 *
 * Each process says what its own lease *is*, not by how much it changes: a transaction whose answer was lost with the
 * connection is put right by the next one.
 */
export type LeaseAsk = {
  account: string
  /** Nano-dollars. */
  max: number
  duration: string | null
  /** When a period that begins now would end. */
  resetsAt: number | null
  /** What the process goes on holding. */
  base: number
  /** What it needs besides. */
  need: number
  /** Nothing is granted where less than this is left: a part of what one needs only keeps it from another. */
  least: number
  /** More is granted while there is plenty: this share of what is left, in whole steps, and no more than `cap`. */
  share: number
  step: number
  cap: number
}

export type LeaseRow = { spend: number; leased: number; resetsAt: number | null; mine: number }

/** One transaction: keeps the base, leases more where there is more, and tells how the account stands. */
export function leaseStatements(
  { dialect, query }: Db,
  node: string,
  { account, max, duration, resetsAt, base, need, least, share, step, cap }: LeaseAsk,
): Statement[] {
  const [lesser, greater] = dialect === 'sqlite' ? ['min', 'max'] : ['least', 'greatest']
  const left = sql`(${max} - spend - leased)`
  const plenty = sql`${sql.raw(lesser ?? '')}(${cap}, ${left} / ${share} / ${step} * ${step})`
  const mine = sql`(select amount from lease where account = ${account} and node = ${node})`
  return [
    sql`insert into account (id, spend, total, leased, duration, resets_at)
      values (${account}, 0, 0, 0, ${duration}, ${resetsAt}) on conflict (id) do nothing`,
    ...(dialect === 'postgres'
      ? [sql`select 1 from account where id = ${account} for update`]
      : []),
    // A shared budget whose period has changed reaches its holders here. A reset that is further away than a whole
    // period was written while the clock was wrong.
    sql`update account set
        leased = leased - coalesce(${mine}, 0) + ${base},
        resets_at = case when coalesce(duration, '') <> coalesce(${duration}, '') or resets_at > ${resetsAt}
          then ${resetsAt} else resets_at end,
        duration = ${duration}
      where id = ${account}`,
    sql`insert into lease (account, node, amount, busy, recalled) values (${account}, ${node}, ${base}, 0, 0)
      on conflict (account, node) do update set amount = excluded.amount`,
    sql`update lease set amount = amount + coalesce((
        select case when ${left} <= 0 or ${left} < ${least} then 0
          else ${sql.raw(lesser ?? '')}(${left}, ${sql.raw(greater ?? '')}(${need}, ${plenty})) end
        from account where id = ${account}), 0)
      where account = ${account} and node = ${node}`,
    sql`update account set leased = leased + coalesce(${mine}, 0) - ${base} where id = ${account}`,
    sql`select account.spend, account.leased, account.resets_at, lease.amount as mine
      from account join lease on lease.account = account.id and lease.node = ${node}
      where account.id = ${account}`,
  ].map((statement) => ({ query: statement.compile(query) }))
}

export function readLease(rows: readonly unknown[]): LeaseRow {
  const row = object(rows[0] as Json)
  return {
    spend: number(row['spend']) ?? 0,
    leased: number(row['leased']) ?? 0,
    resetsAt: number(row['resets_at']) ?? null,
    mine: number(row['mine']) ?? 0,
  }
}

/** What a flush writes of one lease. */
export type Held = { account: string; amount: number; busy: number; recalled: number }

/**
 * Adds what was spent and says what is still held. Accounts are touched in one order, so that two processes that write
 * the same ones do not wait for each other crosswise.
 */
export function settleStatements(
  { dialect }: Pick<Db, 'dialect'>,
  node: string,
  spent: ReadonlyMap<string, number>,
  held: readonly Held[],
): Statement[] {
  const amounts = new Map(held.map(({ account, amount }) => [account, amount]))
  const accounts = [...new Set([...spent.keys(), ...amounts.keys()])].sort()
  if (accounts.length === 0) return []
  const conflict = `on conflict (id) do update set spend = account.spend + excluded.spend,
    total = account.total + excluded.total, leased = account.leased + excluded.leased`
  const into = 'insert into account (id, spend, total, leased)'
  if (dialect === 'sqlite')
    return [
      {
        query: {
          sql: `${into} values (?, ?, ?, coalesce(? - (select amount from lease where account = ? and node = ?), 0)) ${conflict}`,
          parameters: [],
        },
        many: accounts.map((id) => {
          const spend = spent.get(id) ?? 0
          return [id, spend, spend, amounts.get(id) ?? null, id, node]
        }),
      },
      {
        query: {
          sql: 'update lease set amount = ?, busy = ?, recalled = ? where account = ? and node = ?',
          parameters: [],
        },
        many: held.map(({ account, amount, busy, recalled }) => [
          amount,
          busy,
          recalled,
          account,
          node,
        ]),
      },
    ]
  const columns = <T>(of: (one: Held) => T): T[] => held.map(of)
  return [
    {
      query: {
        sql: `${into} select v.id, v.spend, v.spend,
            case when v.amount is null or lease.amount is null then 0 else v.amount - lease.amount end
          from unnest($1::text[], $2::bigint[], $3::bigint[]) as v(id, spend, amount)
          left join lease on lease.account = v.id and lease.node = $4 order by v.id ${conflict}`,
        parameters: [
          accounts,
          accounts.map((id) => spent.get(id) ?? 0),
          accounts.map((id) => amounts.get(id) ?? null),
          node,
        ],
      },
    },
    {
      query: {
        sql: `update lease set amount = v.amount, busy = v.busy, recalled = v.recalled
          from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as v(account, amount, busy, recalled)
          where lease.account = v.account and lease.node = $5`,
        parameters: [
          columns(({ account }) => account),
          columns(({ amount }) => amount),
          columns(({ busy }) => busy),
          columns(({ recalled }) => recalled),
          node,
        ],
      },
    },
  ]
}

/** What is leased of these accounts, counted anew. */
export function recountStatements(
  { dialect }: Pick<Db, 'dialect'>,
  accounts: readonly string[],
): Statement[] {
  if (accounts.length === 0) return []
  const sorted = [...accounts].sort()
  const sum =
    'update account set leased = (select coalesce(sum(amount), 0) from lease where lease.account = account.id)'
  return dialect === 'sqlite'
    ? [{ query: { sql: `${sum} where id = ?`, parameters: [] }, many: sorted.map((id) => [id]) }]
    : [
        // Locked by a statement of its own: the next one then sees every lease that was granted before.
        {
          query: {
            sql: 'select id from account where id = any($1::text[]) order by id for update',
            parameters: [sorted],
          },
        },
        { query: { sql: `${sum} where id = any($1::text[])`, parameters: [sorted] } },
      ]
}
