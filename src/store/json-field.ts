import { type RawBuilder, sql } from 'kysely'
import type { Db } from './db.ts'

/**
 * The document's data as JSON that PostgreSQL reads to its end: it refuses a whole text for one NUL, or one half of a
 * surrogate pair, anywhere in it, and clients may put either into their metadata.
 */
const readable = sql`regexp_replace(data, ${'\\\\u(0000|d[89a-f][0-9a-f]{2})'}, ${'\\\\ufffd'}, 'g')::json`

/** A field of a document's `data`: text in PostgreSQL, text or number in SQLite; null where it is not there. */
export const jsonField = (dialect: Db['dialect'], name: string): RawBuilder<unknown> =>
  dialect === 'sqlite'
    ? sql`json_extract(data, ${`$.${name}`})`
    : sql`(${readable} ->> ${name}::text)`

export const isTrue = (dialect: Db['dialect'], name: string): RawBuilder<unknown> =>
  dialect === 'sqlite'
    ? sql`coalesce(json_extract(data, ${`$.${name}`}), 0) = 1`
    : sql`coalesce(${readable} ->> ${name}::text, 'false') = 'true'`

/** Is the text one of a list? */
export const lists = (dialect: Db['dialect'], name: string, value: string): RawBuilder<unknown> =>
  dialect === 'sqlite'
    ? sql`exists (select 1 from json_each(data, ${`$.${name}`}) where value = ${value})`
    : sql`exists (select 1 from json_array_elements_text(coalesce(${readable} -> ${name}::text, '[]'::json)) as one(value) where one.value = ${value})`
