import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Route, Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import type { JsonObject } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import type { Books } from '../ledger/books.ts'
import type { Store } from '../store/store.ts'

/** An admin route is a row: handler, permission, OpenAPI and docs are read from it. */
export type AdminRoute = Route

export const json = (body: unknown, status = 200): Outgoing => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** The database behind this gateway. Throws where there is none. */
export function booksOf({ rooms }: Visit): Books {
  if (!rooms.books)
    throw new GatewayError(
      'internal',
      'this gateway runs without a database, so there are no keys to manage: start it with a data folder or DATABASE_URL',
      { status: 503, type: 'no_db_connection' },
    )
  return rooms.books
}
export const storeOf = (visit: Visit): Store => booksOf(visit).store

/** Management bodies are small; an absent one is an empty object. Unknown fields stay. Throws 422 naming the field. */
export async function readBody<T extends z.ZodType>(visit: Visit, schema: T): Promise<z.output<T>> {
  const bytes = await visit.incoming.body()
  const body: JsonObject = bytes.length === 0 ? {} : parseObject(bytes, { maxDepth: 100 })
  return check(schema, body, 'body')
}

/** The query as one object; a name said several times is a list. */
export function readQuery<T extends z.ZodType>(visit: Visit, schema: T): z.output<T> {
  const said: Record<string, string | string[]> = {}
  for (const [name, value] of new URLSearchParams(visit.incoming.query)) {
    const before = Object.hasOwn(said, name) ? said[name] : undefined
    said[name] = before === undefined ? value : [...[before].flat(), value]
  }
  return check(schema, said, 'query')
}

function check<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, 5).map(({ path, message, code }) => ({
    loc: [where, ...path.map((step) => (typeof step === 'number' ? step : String(step)))],
    msg: message,
    type: code,
  }))
  const [first] = issues
  throw new GatewayError(
    'unprocessable',
    issues.map(({ loc, msg }) => `${loc.slice(1).join('.') || where}: ${msg}`).join('; '),
    {
      type: 'invalid_request_error',
      ...(first && { param: first.loc.slice(1).join('.') }),
      code: '422',
    },
  )
}

export const notFound = (what: string): GatewayError =>
  new GatewayError('not_found', what, { type: 'not_found_error', code: '404' })
export const badRequest = (what: string, param?: string): GatewayError =>
  new GatewayError('bad_request', what, {
    type: 'bad_request_error',
    code: '400',
    ...(param !== undefined && { param }),
  })
export const forbidden = (what: string): GatewayError =>
  new GatewayError('permission', what, { type: 'auth_error', code: '403' })

/** Dollars of the API to nano-dollars of the books, and back. */
export const nanoOf = (dollars: number): number => Math.round(dollars * 1e9)
export const dollarsOf = (nanoDollars: number): number => nanoDollars / 1e9

/** Instants as LiteLLM writes them. */
export const iso = (ms: number): string => new Date(ms).toISOString()

/** A page's numbers: `page` from 1, `size` per page. */
export const pageOf = (page: number, size: number): { limit: number; offset: number } => ({
  limit: size,
  offset: (page - 1) * size,
})
export const pagesOf = (total: number, size: number): number => Math.ceil(total / size)

/** A number of a query. */
export const numberIn = (least: number, most: number, otherwise: number) =>
  z.coerce.number().int().min(least).max(most).default(otherwise)
export const flag = z
  .union([z.boolean(), z.string()])
  .transform(
    (value) => value === true || (typeof value === 'string' && /^(true|1|yes)$/i.test(value)),
  )
