import { sql } from 'kysely'
import type { JsonObject } from '../json/json.ts'
import type { Db } from './db.ts'

/** LiteLLM's database, as it was at one instant. It is only ever read. */
export type LitellmSource = {
  /** Tells it from others: host, database and schema; never a password. */
  readonly name: string
  /** Its tables of LiteLLM, with their columns. */
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>
  /** Every row of a table in the order of its key, some at a time; nothing where there is no such table. Instants are ISO texts. */
  pages(table: string, key: readonly string[]): AsyncIterable<JsonObject[]>
  /** Rows whose column has one of these values. */
  where(table: string, column: string, values: readonly string[]): Promise<JsonObject[]>
  count(table: string): Promise<number>
  /** Dollars of all rows together. */
  sum(table: string, column: string): Promise<number>
  isEmpty(table: string): Promise<boolean>
  /** Requests that began from `from` on and before `until`, milliseconds, the oldest first, some at a time. `after`: further on than this one. */
  requests(range: RequestRange): AsyncIterable<JsonObject[]>
  countRequests(range: RequestRange): Promise<number>
  close(): Promise<void>
}

export type RequestRange = { from: number; until: number; after?: RequestPlace | undefined }
export type RequestPlace = { at: number; id: string }

/** LiteLLM's tables lie in this database, and nothing of them has been brought over yet. */
export async function holdsLitellm({ query, dialect }: Db): Promise<boolean> {
  if (dialect !== 'postgres') return false
  const { rows } = await sql<{ found: boolean }>`select exists (
    select 1 from information_schema.tables where table_name = 'LiteLLM_VerificationToken'
  ) and not exists (select 1 from imported) as found`.execute(query)
  return rows[0]?.found === true
}

/**
 * Opens what LiteLLM has sealed. Undefined: it is not sealed, or with another key; what it is then, only its neighbours
 * tell.
 */
export type OpenSealed = (text: string) => string | undefined

/** What LiteLLM seals with AES-256-GCM begins with it; a secretbox of NaCl has no mark. */
export const gcmMark = 'v2:gcm:'

/** Whether a text can be something sealed: nothing but base64, and long enough for a nonce and a tag. */
export const looksSealed = (text: string): boolean =>
  text.startsWith(gcmMark) || (text.length >= 54 && /^[\w+/-]+={0,2}$/.test(text))
