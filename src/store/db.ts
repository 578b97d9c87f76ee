import type { CompiledQuery, Kysely, QueryResult } from 'kysely'
import { GatewayError } from '../errors.ts'
import type { Packed } from './packed.ts'
import type { Tables } from './tables.ts'

/** An open database. Both dialects run the same schema and the same queries. */
export type Db = {
  readonly dialect: 'sqlite' | 'postgres'
  readonly query: Kysely<Tables>
  /**
   * Statements in one transaction, in order, in one message to where the database is: what is written for every request
   * goes this way. Rejects, with nothing written, if one of them fails or `expect`s another number of rows. Where the
   * database goes away meanwhile (`isAway`), nobody knows whether it was written.
   */
  batch(statements: readonly Statement[]): Promise<QueryResult<unknown>[]>
  /** Something was said by another process on this database, or by this one. Absent: there is nothing to hear. */
  listen?(hear: (message: string) => void): Promise<void>
  /** SQLite: grows with every commit of another process; asking costs nothing. Absent: `listen` tells. */
  version?(): Promise<number>
  close(): Promise<void>
}

export type Statement = {
  query: CompiledQuery<unknown> | { sql: string; parameters: readonly unknown[] }
  /** The same statement once for each of these, instead of `query.parameters`. */
  many?: readonly (readonly unknown[])[]
  /** The same as `many`, in words of SQLite. */
  packed?: Packed
  /** The transaction is given up when the statement touches another number of rows. */
  expect?: number
}

/** A transaction that `expect`ed otherwise: somebody else was there first. */
export class Superseded extends Error {}

/** The database does not answer, or cannot write: what LiteLLM's clients know as `no_db_connection`. */
export const away = (cause: unknown, why = 'cannot be reached'): GatewayError =>
  new GatewayError(
    'unavailable',
    `the database ${why} now: try again in a moment. Calls of keys that were used lately go on as far as their budgets are in hand`,
    { type: awayType, code: '503', cause },
  )
const awayType = 'no_db_connection'

export const isAway = (cause: unknown): boolean => GatewayError.is(cause) && cause.type === awayType

export const isUniqueViolation = (cause: unknown): boolean => {
  const { code, message, errcode } = cause as {
    code?: unknown
    message?: unknown
    errcode?: unknown
  }
  return (
    code === '23505' ||
    errcode === 2067 ||
    errcode === 1555 ||
    (typeof message === 'string' && message.includes('UNIQUE constraint failed'))
  )
}

/** The database understood and does not take what it was given: data it has no room or no form for. */
export const isRefusal = (cause: unknown): boolean => {
  const { code, errcode } = cause as { code?: unknown; errcode?: unknown }
  return (
    // 22: no such data. 23: against the rules. 54: too large.
    (typeof code === 'string' && /^(22|23|54)[0-9A-Z]{3}$/.test(code)) ||
    (typeof errcode === 'number' && sqliteRefusals.has(errcode & 0xff)) ||
    cause instanceof TypeError
  )
}
/** Too big, a constraint, a mismatch, out of range. */
const sqliteRefusals: ReadonlySet<number> = new Set([18, 19, 20, 25])
