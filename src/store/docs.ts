import { type Kysely, sql, type Transaction } from 'kysely'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject } from '../json/json.ts'
import { isUniqueViolation } from './db.ts'
import { type ColumnOf, type DocKind, docTables, type Tables } from './tables.ts'

/** One document of a kind: what the API shows of it is `data`, in LiteLLM's field names. */
export type Doc<K extends DocKind = DocKind> = {
  readonly kind: K
  id: string
  /** What may not be taken twice: a key's alias, an access group's name. */
  uniqueName: string | null
  /** What is looked up or sorted by. Instants as milliseconds in text. */
  columns: { [C in ColumnOf<K>]?: string | null }
  data: JsonObject
  createdAt: number
  updatedAt: number
}

export type Where<K extends DocKind> = {
  [C in ColumnOf<K> | 'id' | 'unique_name']?: string | null | readonly string[]
}

export type ListOptions<K extends DocKind> = {
  where?: Where<K>
  /** Part of the id, the unique name or `alias`, whatever the case. */
  containing?: string
  sort?: 'created_at' | 'updated_at' | 'id' | 'unique_name' | ColumnOf<K>
  descending?: boolean
  limit?: number
  offset?: number
}

/** Reads documents of one kind. */
export type Docs<K extends DocKind> = {
  find(id: string): Promise<Doc<K> | undefined>
  /** In no particular order; ids that are not there are left out. */
  many(ids: readonly string[]): Promise<Doc<K>[]>
  /** The first that fits. */
  first(where: Where<K>): Promise<Doc<K> | undefined>
  list(options?: ListOptions<K>): Promise<Doc<K>[]>
  count(options?: Pick<ListOptions<K>, 'where' | 'containing'>): Promise<number>
}

/** Writes too; lives within one transaction. */
export type WritableDocs<K extends DocKind> = Docs<K> & {
  /** Throws `conflict` where the id or the unique name is taken. */
  insert(doc: NewDoc<K>): Promise<Doc<K>>
  /** Reads, changes and writes one document that nobody else writes meanwhile. Undefined: it is not there. */
  update(id: string, change: (doc: Doc<K>) => void): Promise<Doc<K> | undefined>
  /** False: it was not there. */
  remove(id: string): Promise<boolean>
}
export type NewDoc<K extends DocKind> = Pick<Doc<K>, 'id' | 'data'> &
  Partial<Pick<Doc<K>, 'uniqueName' | 'columns'>>

export type Reader = Kysely<Tables> | Transaction<Tables>

export function readDocs<K extends DocKind>(kind: K, db: Reader): Docs<K> {
  // Kysely's types do not follow a table that is a parameter; rows are checked when they are read.
  const from = () => db.selectFrom(kind as 'team').selectAll()
  const filtered = ({ where = {}, containing }: Pick<ListOptions<K>, 'where' | 'containing'>) => {
    let query = from()
    for (const [column, value] of Object.entries(where as Record<string, unknown>)) {
      const name = column as 'id'
      if (value === undefined) continue
      if (value === null) query = query.where(name, 'is', null)
      else {
        const values = (Array.isArray(value) ? value : [value]).map(String).filter(isKeepable)
        if (values.length === 0) query = query.where('id', 'is', null)
        else query = query.where(name, 'in', values)
      }
    }
    if (containing !== undefined && containing !== '') {
      if (!isKeepable(containing)) return query.where('id', 'is', null)
      const like = `%${containing.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`
      const columns = ['id', 'unique_name', ...('alias' in columnsOf(kind) ? ['alias'] : [])]
      query = query.where((a) =>
        a.or(
          columns.map((column) => sql<boolean>`lower(${sql.ref(column)}) like ${like} escape '\\'`),
        ),
      )
    }
    return query
  }
  const docOf = (row: unknown): Doc<K> => read(kind, row as Record<string, unknown>)
  return {
    async find(id) {
      if (!isKeepable(id)) return undefined
      const row = await from().where('id', '=', id).executeTakeFirst()
      return row && docOf(row)
    },
    async many(ids) {
      const docs: Doc<K>[] = []
      const known = ids.filter(isKeepable)
      for (let at = 0; at < known.length; at += 500)
        docs.push(
          ...(
            await from()
              .where('id', 'in', known.slice(at, at + 500))
              .execute()
          ).map(docOf),
        )
      return docs
    },
    async first(where) {
      const row = await filtered({ where }).orderBy('created_at').limit(1).executeTakeFirst()
      return row && docOf(row)
    },
    async list({ sort = 'created_at', descending = false, limit, offset, ...which } = {}) {
      const way = descending ? 'desc' : 'asc'
      let query = filtered(which).orderBy(sort as 'id', way)
      if (sort !== 'id') query = query.orderBy('id', way)
      if (limit !== undefined) query = query.limit(limit)
      // SQLite knows no offset without a limit.
      if (offset !== undefined && offset > 0)
        query = (limit === undefined ? query.limit(1e15) : query).offset(offset)
      return (await query.execute()).map(docOf)
    },
    async count(which = {}) {
      const { n } = await filtered(which)
        .clearSelect()
        .select((a) => a.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
      return Number(n)
    },
  }
}

const columnsOf = (kind: DocKind): Record<string, true> =>
  Object.fromEntries(docTables[kind].map((name) => [name, true]))

function read<K extends DocKind>(kind: K, row: Record<string, unknown>): Doc<K> {
  const data: unknown = JSON.parse(String(row['data']))
  return {
    kind,
    id: String(row['id']),
    uniqueName: row['unique_name'] == null ? null : String(row['unique_name']),
    columns: Object.fromEntries(
      docTables[kind].map((name) => [name, row[name] == null ? null : String(row[name])]),
    ) as Doc<K>['columns'],
    data: isObject(data as never) ? (data as JsonObject) : {},
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
  }
}

export type WriteDeps = {
  dialect: 'sqlite' | 'postgres'
  now(): number
  /** Told of every document written, within the transaction. */
  changed(kind: DocKind, id: string): void
}

export function writeDocs<K extends DocKind>(
  kind: K,
  tx: Transaction<Tables>,
  { dialect, now, changed }: WriteDeps,
): WritableDocs<K> {
  const reading = readDocs(kind, tx)
  const table = kind as 'team'
  const valuesOf = (doc: Doc<K>): Record<string, unknown> => ({
    ...doc.columns,
    id: doc.id,
    unique_name: doc.uniqueName,
    data: JSON.stringify(doc.data),
    created_at: doc.createdAt,
    updated_at: doc.updatedAt,
  })
  return {
    ...reading,
    async insert({ id, data, uniqueName = null, columns = {} }) {
      const at = now()
      const doc: Doc<K> = { kind, id, uniqueName, columns, data, createdAt: at, updatedAt: at }
      await refuseTaken(kind, doc, () =>
        tx
          .insertInto(table)
          .values(valuesOf(doc) as never)
          .execute(),
      )
      changed(kind, id)
      return doc
    },
    async update(id, change) {
      let query = tx.selectFrom(table).selectAll().where('id', '=', id)
      // SQLite's transactions are alone from their first word.
      if (dialect === 'postgres') query = query.forUpdate()
      const row = await query.executeTakeFirst()
      if (!row) return undefined
      const doc = read(kind, row as unknown as Record<string, unknown>)
      change(doc)
      doc.updatedAt = now()
      const { id: _, ...values } = valuesOf(doc)
      await refuseTaken(kind, doc, () =>
        tx
          .updateTable(table)
          .set(values as never)
          .where('id', '=', id)
          .execute(),
      )
      changed(kind, id)
      return doc
    },
    async remove(id) {
      const { numDeletedRows } = await tx.deleteFrom(table).where('id', '=', id).executeTakeFirst()
      if (numDeletedRows === 0n) return false
      changed(kind, id)
      return true
    },
  }
}

/** PostgreSQL keeps no NUL, and no database half a character: it would read back as another name. */
const isKeepable = (text: string): boolean => !text.includes('\u0000') && text.isWellFormed()

async function refuseTaken(kind: DocKind, doc: Doc, work: () => Promise<unknown>): Promise<void> {
  const names = [doc.id, doc.uniqueName, ...Object.values(doc.columns)]
  if (!names.every((name) => typeof name !== 'string' || isKeepable(name)))
    throw new GatewayError(
      'bad_request',
      `a name or an id of this ${kind.replaceAll('_', ' ')} has a NUL or half a character in it: leave it out`,
      { type: 'bad_request_error', code: '400' },
    )
  try {
    await work()
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause
    throw new GatewayError(
      'bad_request',
      `${kind.replaceAll('_', ' ')} '${(doc.uniqueName ?? doc.id).slice(0, 200)}' exists already: choose another name`,
      { status: 409, type: 'bad_request_error', code: '409', cause },
    )
  }
}
