import { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, sql, type Transaction } from 'kysely'
import { GatewayError } from '../errors.ts'
import type { Db } from './db.ts'
import { docTables, type Tables } from './tables.ts'

/** What is copied, in this order. What processes say to each other stays: nobody there has heard of it. */
export const movedTables = [
  ...(Object.keys(docTables) as (keyof typeof docTables)[]),
  'account',
  'lease',
  'meter',
  'node',
  'word',
  'spend_log',
  'spend_hour',
  'payload',
  'owned',
  'imported',
] as const
type Moved = (typeof movedTables)[number]

export type MoveOptions = {
  /** SQLite's file, of this version. It may be served meanwhile: it is read as it was at one instant, and not written. */
  from: string
  to: Db
  onProgress(table: string, done: number, of: number): void
}

/** Rows of each table, as they were found again on the other side. */
export type Moves = { table: Moved; rows: number }[]

/** Said once in the copy, so that it may be made anew, and nothing else be overwritten. */
const mark = 'moved from sqlite'
const chunkRows = 500
/** What is added up on both sides. Of documents and other texts it is their length. */
const summed: Readonly<Record<string, readonly string[]>> = {
  account: ['spend', 'total', 'leased'],
  lease: ['amount', 'busy'],
  meter: ['used'],
  node: ['flushed'],
  word: ['id'],
  spend_log: ['spend', 'input', 'output', 'started_at'],
  spend_hour: ['spend', 'input', 'output', 'requests', 'failures', 'duration'],
  payload: ['bytes'],
  owned: ['at'],
  imported: ['spend', 'total', 'at'],
}

/**
 * Copies a SQLite database into an empty PostgreSQL database (or over an earlier copy of the same, which nobody has served
 * yet), in one transaction that ends with a comparison of counts and sums. Throws where the target has other data, or the
 * copy is not the same: then nothing of it stays.
 */
export async function moveDatabase({ from, to, onProgress }: MoveOptions): Promise<Moves> {
  const source = new DatabaseSync(from)
  try {
    const id = identityOf(source)
    // One view of all tables, whatever is written meanwhile.
    source.exec('begin')
    return await to.query.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(7205759404)`.execute(tx)
      await clear(tx, id)
      const moves: Moves = []
      for (const table of movedTables) {
        const rows = await copy(source, tx, table, onProgress)
        await compare(source, tx, table)
        moves.push({ table, rows })
      }
      for (const [table, column] of [
        ['word', 'id'],
        ['spend_log', 'seq'],
        ['node', 'seq'],
      ] as const)
        await sql`select setval(pg_get_serial_sequence(${table}, ${column}),
          (select coalesce(max(${sql.ref(column)}), 0) + 1 from ${sql.table(table)}), false)`.execute(
          tx,
        )
      const said = `${id} ${await stateOf(tx)}`
      await tx
        .insertInto('change')
        .values({ kind: mark, id: said, node: '', at: Date.now() })
        .execute()
      return moves
    })
  } finally {
    source.close()
  }
}

/** A number of its own for the file, in the place SQLite has for it. */
function identityOf(source: DatabaseSync): string {
  const read = (): number =>
    Number(
      (source.prepare('pragma application_id').get() as { application_id?: number } | undefined)
        ?.application_id ?? 0,
    )
  if (read() === 0)
    source.exec(`pragma application_id = ${1 + Math.floor(Math.random() * 2_000_000_000)}`)
  return String(read())
}

/** Empties an earlier copy. Throws where there is anything else. */
async function clear(tx: Transaction<Tables>, id: string): Promise<void> {
  const marks = await tx.selectFrom('change').select(['kind', 'id']).execute()
  const isCopy =
    marks.length === 1 && marks[0]?.kind === mark && marks[0].id === `${id} ${await stateOf(tx)}`
  if (!isCopy)
    for (const table of [...movedTables, 'change'] as const) {
      const { rows } = await sql`select 1 from ${sql.table(table)} limit 1`.execute(tx)
      if (rows.length > 0)
        throw new GatewayError(
          'internal',
          `the target has data of its own (in "${table}"): nothing was copied. Name an empty database, or one that holds an earlier copy of this data folder and that no gateway has served yet`,
        )
    }
  for (const table of [...movedTables, 'change'] as const)
    await sql`delete from ${sql.table(table)}`.execute(tx)
}

/** What a gateway on the copy would change: its processes, and what was spent. */
async function stateOf(tx: Transaction<Tables>): Promise<string> {
  const { rows } = await sql<{ state: string }>`select concat_ws('/',
    (select count(*) from node), (select coalesce(max(seq), 0) from spend_log),
    (select coalesce(sum(total), 0) from account)) as state`.execute(tx)
  return rows[0]?.state ?? ''
}

type Column = { name: string; type: string }

/** The columns of the copy, with the types PostgreSQL has for them. Throws where the original has others. */
async function columnsOf(
  source: DatabaseSync,
  tx: Transaction<Tables>,
  table: Moved,
): Promise<Column[]> {
  const { rows } = await sql<Column>`select column_name as name, data_type as type
    from information_schema.columns
    where table_schema = current_schema() and table_name = ${table} order by column_name`.execute(
    tx,
  )
  const own = (source.prepare(`select name from pragma_table_info('${table}')`).all() as Column[])
    .map(({ name }) => name)
    .sort()
  const theirs = rows.map(({ name }) => name).sort()
  if (own.join() !== theirs.join())
    throw new GatewayError(
      'internal',
      `"${table}" has other columns in the two databases: run \`throughway migrate\` on both with this version first`,
    )
  return rows
}

async function copy(
  source: DatabaseSync,
  tx: Transaction<Tables>,
  table: Moved,
  onProgress: MoveOptions['onProgress'],
): Promise<number> {
  const columns = await columnsOf(source, tx, table)
  const names = columns.map(({ name }) => `"${name}"`).join(', ')
  const into = `insert into "${table}" (${names}) select * from unnest(${columns
    .map(({ type }, at) => `$${at + 1}::${type}[]`)
    .join(', ')})`
  const total = Number(
    (source.prepare(`select count(*) as n from "${table}"`).get() as { n: number }).n,
  )
  let done = 0
  const write = async (rows: readonly Record<string, unknown>[]): Promise<void> => {
    if (rows.length === 0) return
    const parameters = columns.map(({ name }) => rows.map((row) => keepable(row[name])))
    await tx.executeQuery(CompiledQuery.raw(into, parameters))
    done += rows.length
    onProgress(table, done, total)
  }
  let chunk: Record<string, unknown>[] = []
  const select = source.prepare(`select ${names} from "${table}"`)
  // Nano-dollars may pass what a double holds.
  select.setReadBigInts(true)
  for (const row of select.iterate()) {
    chunk.push(row as Record<string, unknown>)
    if (chunk.length < chunkRows) continue
    await write(chunk)
    chunk = []
  }
  await write(chunk)
  return done
}

/** PostgreSQL's texts hold no NUL. */
const keepable = (value: unknown): unknown =>
  typeof value === 'bigint'
    ? String(value)
    : typeof value === 'string'
      ? value.replaceAll('\u0000', '')
      : (value ?? null)

async function compare(source: DatabaseSync, tx: Transaction<Tables>, table: Moved): Promise<void> {
  const sums = (summed[table] ?? []).map((name) => `coalesce(sum("${name}"), 0)`)
  // Both count characters, NUL excepted.
  if (sums.length === 0) sums.push(`coalesce(sum(length("data")), 0)`)
  const what = `select count(*) as s0${sums.map((sum, nth) => `, ${sum} as s${nth + 1}`).join('')} from "${table}"`
  const select = source.prepare(what)
  select.setReadBigInts(true)
  const ours = select.get() as Record<string, unknown>
  const theirs = (await tx.executeQuery<Record<string, unknown>>(CompiledQuery.raw(what))).rows[0]
  for (const name of Object.keys(ours))
    if (Number(ours[name]) !== Number(theirs?.[name]))
      throw new GatewayError(
        'internal',
        `the copy of "${table}" is not the same (${String(ours[name])} here, ${String(theirs?.[name])} there): nothing was kept of it, and the original is as it was`,
      )
}
