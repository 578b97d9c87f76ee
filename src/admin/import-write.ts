import { GatewayError } from '../errors.ts'
import { type Account, accountOf, readAccounts } from '../store/accounts.ts'
import type { Doc } from '../store/docs.ts'
import type { Store, Tx } from '../store/store.ts'
import { type DocKind, docTables, type Tables } from '../store/tables.ts'
import type { Books, Made } from './import-fields.ts'

/** How many rows of one kind ended how. Spend in nano-dollars. */
export type Placed = {
  written: number
  /** As they were brought over before. */
  same: number
  /** Changed, made or ended here: what is here counts. */
  kept: number
  /** Written without their alias, which another one has. */
  nameless: number
  /** What was added to accounts. */
  spend: number
}

type Mark = Tables['imported']
type Row = { made: Made; doc: Doc | undefined; mark: Mark | undefined; print: string }

/** Writes documents of one kind and what they have spent, in one transaction, which ends with reading them again. */
export function place(
  store: Store,
  source: string,
  kind: DocKind,
  made: readonly Made[],
): Promise<Placed> {
  return store.write(async (tx) => {
    const rows = await rowsOf(tx, store, kind, made)
    const fresh = rows.filter((row) => isDue(row))
    const nameless = await write(tx, store, source, kind, fresh)
    // Whoever was ended here has no account any more.
    const there = rows.filter((row) => row.doc !== undefined || fresh.includes(row))
    const spend = await addSpend(tx, there, {
      source,
      now: store.now(),
      fresh: new Set(fresh.map((row) => row.made.id)),
    })
    const kept = rows.filter(({ doc, mark }) => (doc ? !mark || mark.at !== doc.updatedAt : mark))
    return {
      written: fresh.length,
      same: rows.length - fresh.length - kept.length,
      kept: kept.length,
      nameless,
      spend,
    }
  })
}

/** New, or changed there since and not here. */
const isDue = ({ doc, mark, print }: Row): boolean =>
  doc ? mark !== undefined && mark.at === doc.updatedAt && mark.print !== print : !mark

async function rowsOf(
  tx: Tx,
  { sealer }: Store,
  kind: DocKind,
  made: readonly Made[],
): Promise<Row[]> {
  const ids = made.map(({ id }) => id)
  const marks = await marksOf(tx, kind, ids)
  // Kysely's types do not follow a table that is a parameter.
  const docs = new Map((await tx[kind as 'team'].many(ids)).map((doc) => [doc.id, doc as Doc]))
  // A key that ended here does not come back.
  const ended =
    kind === 'virtual_key'
      ? new Set((await tx.former_key.many(ids)).map(({ id }) => id))
      : new Set<string>()
  return made.map((one) => ({
    made: one,
    doc: docs.get(one.id),
    mark: marks.get(one.id) ?? (ended.has(one.id) ? nobodysMark(kind, one.id) : undefined),
    print: sealer.digest(
      JSON.stringify(one.source, (name, value) => (moves.has(name) ? 0 : value)),
    ),
  }))
}

const nobodysMark = (kind: string, id: string, source = ''): Mark => ({
  kind,
  id,
  source,
  print: '',
  at: never,
  spend: 0,
  total: 0,
})
/** A document that was there before LiteLLM's row came is never written over. */
const never = -1

/** What changes by use alone, or by a period that ends. */
const moves: ReadonlySet<string> = new Set([
  ...['spend', 'total_spend', 'model_spend', 'updated_at', 'last_active', 'budget_reset_at'],
  ...['reset_at', 'soft_budget_cooldown'],
])

async function marksOf(tx: Tx, kind: string, ids: readonly string[]): Promise<Map<string, Mark>> {
  const found = new Map<string, Mark>()
  for (let at = 0; at < ids.length; at += 500)
    for (const row of await tx.db
      .selectFrom('imported')
      .selectAll()
      .where('kind', '=', kind)
      .where('id', 'in', ids.slice(at, at + 500))
      .execute())
      found.set(row.id, {
        ...row,
        at: Number(row.at),
        spend: Number(row.spend),
        total: Number(row.total),
      })
  return found
}

/** Resolves with how many had to go without their alias. */
async function write(
  tx: Tx,
  store: Store,
  source: string,
  kind: DocKind,
  rows: readonly Row[],
): Promise<number> {
  if (rows.length === 0) return 0
  const taken = await takenNames(tx, kind, rows)
  let nameless = 0
  const values = rows.map(({ made, doc }) => {
    const { id, uniqueName, columns, data } = made
    const free = uniqueName !== null && (taken.get(uniqueName) ?? id) === id
    if (free) taken.set(uniqueName, id)
    else if (uniqueName !== null) nameless++
    const createdAt = made.createdAt || store.now()
    return {
      // Of a key that was used here its lookup and its books stay.
      ...Object.fromEntries(docTables[kind].map((name) => [name, null])),
      ...(doc && ours(doc)),
      ...columns,
      id,
      unique_name: free ? uniqueName : null,
      data: JSON.stringify(data),
      created_at: createdAt,
      updated_at: made.updatedAt || createdAt,
    }
  })
  const names = ['unique_name', 'data', 'created_at', 'updated_at', ...docTables[kind]]
  for (let at = 0; at < values.length; at += 100)
    await tx.db
      // Kysely's types do not follow a table that is a parameter.
      .insertInto(kind as 'team')
      .values(values.slice(at, at + 100) as never)
      .onConflict((conflict) =>
        conflict
          .column('id')
          .doUpdateSet(
            (row) =>
              Object.fromEntries(
                names.map((name) => [name, row.ref(`excluded.${name}` as 'excluded.data')]),
              ) as never,
          ),
      )
      .execute()
  for (const { id } of values) tx.changed(kind, id)
  await mark(
    tx,
    rows.map(({ made, print }, nth) => ({
      ...nobodysMark(kind, made.id, source),
      print,
      at: values[nth]?.updated_at ?? never,
    })),
  )
  await compare(tx, kind, values)
  return nameless
}

const ours = ({ columns }: Doc): Record<string, string | null | undefined> => ({
  ...('lookup' in columns && { lookup: columns.lookup }),
  ...('account' in columns && { account: columns.account }),
})

/** Whose the names are that nobody may take twice. */
async function takenNames(
  tx: Tx,
  kind: DocKind,
  rows: readonly Row[],
): Promise<Map<string, string>> {
  const names = rows.flatMap(({ made }) => made.uniqueName ?? [])
  if (names.length === 0) return new Map()
  const docs = await tx[kind as 'team'].list({ where: { unique_name: names } })
  return new Map(docs.map((doc) => [doc.uniqueName ?? '', doc.id]))
}

async function compare(
  tx: Tx,
  kind: DocKind,
  values: readonly { id: string; data: string }[],
): Promise<void> {
  const found = new Map(
    (await tx[kind as 'team'].many(values.map(({ id }) => id))).map((doc) => [doc.id, doc.data]),
  )
  for (const { id, data } of values)
    if (JSON.stringify(found.get(id)) !== data)
      throw new GatewayError(
        'internal',
        `a ${kind.replaceAll('_', ' ')} was not found again as it was written (${id.slice(0, 80)}): nothing of its page was kept`,
      )
}

async function mark(tx: Tx, marks: readonly Mark[]): Promise<void> {
  for (let at = 0; at < marks.length; at += 100)
    await tx.db
      .insertInto('imported')
      .values(marks.slice(at, at + 100))
      .onConflict((conflict) =>
        conflict.columns(['kind', 'id']).doUpdateSet((row) => ({
          source: row.ref('excluded.source'),
          print: row.ref('excluded.print'),
          at: row.ref('excluded.at'),
          spend: row.ref('excluded.spend'),
          total: row.ref('excluded.total'),
        })),
      )
      .execute()
}

type Spent = Omit<Books, 'beside'> & { fresh: boolean }
type Adding = { source: string; now: number; fresh: ReadonlySet<string> }

/**
 * Adds what has been spent there since it was added last; never sets, for requests may be settled here meanwhile. Returns
 * what was added, nano-dollars.
 */
async function addSpend(tx: Tx, rows: readonly Row[], adding: Adding): Promise<number> {
  const all = rows.flatMap((row) => spentBy(row, adding))
  const ids = all.map(({ account }) => account)
  const [marks, accounts] = [await marksOf(tx, 'account', ids), await readAccounts(tx.db, ids)]
  let added = 0
  const changed: Mark[] = []
  for (const one of all) {
    const { account: id, spend, total, duration, resetsAt } = one
    const before = marks.get(id)
    const there = accounts.get(id)
    const { more, begins } = sinceThen(one, before, there, adding.now)
    const moreTotal = Math.max(0, total - (before?.total ?? 0))
    const period = begins || (one.fresh && (there?.duration ?? null) !== duration)
    if (more === 0 && moreTotal === 0 && !period) continue
    added += more
    changed.push({
      ...nobodysMark('account', id, adding.source),
      at: resetsAt ?? never,
      spend,
      total: Math.max(total, before?.total ?? 0),
    })
    await tx.db
      .insertInto('account')
      .values({ id, spend: more, total: moreTotal, leased: 0, duration, resets_at: resetsAt })
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet((row) => ({
          spend: row('account.spend', '+', more),
          total: row('account.total', '+', moreTotal),
          ...(period && { duration, resets_at: resetsAt }),
        })),
      )
      .execute()
    tx.changed('account', id)
  }
  await mark(tx, changed)
  return added
}

function spentBy({ made, doc }: Row, { fresh }: Adding): Spent[] {
  if (!made.books) return []
  const { beside, ...own } = made.books
  // A key that was made anew goes on with its first books.
  const account = doc && 'account' in doc.columns ? doc.columns.account : undefined
  const is = fresh.has(made.id)
  return [
    { ...own, ...(account != null && { account: accountOf.key(account) }), fresh: is },
    ...beside.map((one) => ({ ...one, total: one.spend, fresh: is })),
  ]
}

/**
 * What comes to an account that may have been spent from here, and whose period may have ended there, here, or in both
 * places since it was added to last. `begins`: the period that runs there is the one that runs here from now on.
 */
function sinceThen(
  { spend, resetsAt }: Spent,
  before: Mark | undefined,
  there: Account | undefined,
  now: number,
): { more: number; begins: boolean } {
  const least = -(there?.spend ?? 0)
  if (!before || !there || before.at === (resetsAt ?? never))
    return { more: Math.max(spend - (before?.spend ?? 0), least), begins: false }
  // It has begun again in both places: what is here was spent here.
  if (there.resetsAt !== before.at) return { more: spend, begins: false }
  const over = there.resetsAt !== null && there.resetsAt <= now
  return { more: Math.max(spend - (over ? there.spend : before.spend), least), begins: true }
}
