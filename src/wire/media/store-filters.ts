import { isObject, type Json, type JsonObject, list, text } from '../../json/json.ts'
import { invalid } from './media.ts'

/** Which of a store's files may be found, as OpenAI has it: by what was said of them when they were put in. */
export type Filter =
  | { type: 'and' | 'or'; filters: readonly Filter[] }
  | { type: Comparison; key: string; value: Json }
type Comparison = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'nin'

const comparisons: ReadonlySet<string> = new Set('eq ne gt gte lt lte in nin'.split(' '))
const depthMax = 8

/** Throws 400 for what is none. LiteLLM's users write `operator`, and `and` or `or` with the list behind it, too. */
export function decodeFilter(value: Json | undefined, depth = 0): Filter | undefined {
  if (value === undefined || value === null) return undefined
  if (!isObject(value) || depth > depthMax) throw wrong()
  const type = text(value['type']) ?? text(value['operator'])
  const joined = (['and', 'or'] as const).find((word) => type === word || word in value)
  if (joined !== undefined && (type === undefined || type === joined)) {
    const all = list(value['filters'] ?? value[joined])
    const filters = all
      .map((one) => decodeFilter(one, depth + 1))
      .filter((one) => one !== undefined)
    if (filters.length === 0 || filters.length > 100) throw wrong()
    return { type: joined, filters }
  }
  const key = text(value['key'])
  const said = value['value']
  if (!isComparison(type) || !key || said === undefined || said === null) throw wrong()
  const isList = type === 'in' || type === 'nin'
  const values = [said].flat()
  if (isList !== Array.isArray(said) || values.length === 0 || !values.every(isPlain)) throw wrong()
  return { type, key, value: said }
}

const isComparison = (type: string | undefined): type is Comparison =>
  type !== undefined && comparisons.has(type)
const isPlain = (value: Json): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

const wrong = () =>
  invalid(
    'filters',
    "'filters' must be {type, key, value}, with eq, ne, gt, gte, lt, lte, in or nin as its type, or {type, filters} with and or or.",
  )

/** The same in JSON of a provider's. */
export function encodeFilter(
  filter: Filter,
  one: (filter: Extract<Filter, { key: string }>) => JsonObject,
  joined: (type: 'and' | 'or', filters: JsonObject[]) => JsonObject,
): JsonObject {
  if ('key' in filter) return one(filter)
  const filters = filter.filters.map((inner) => encodeFilter(inner, one, joined))
  const [only] = filters
  // A list of one is refused where lists are wanted of two.
  return filters.length === 1 && only ? only : joined(filter.type, filters)
}

/** A provider's way to write it as a text. `has`: one of several values. */
export type Grammar = {
  and: string
  or: string
  /** Signs between a key and its value; a sign that is missing is written with the others. */
  signs: Readonly<Record<Exclude<Comparison, 'in' | 'nin'>, string>>
  quoted(text: string): string
  has?(key: string, values: readonly string[], not: boolean): string
  /** Texts are compared otherwise than numbers. */
  same?(key: string, quoted: string, not: boolean): string
}

/** Throws 400 for a key that could be more than a key there. */
export function writeFilter(filter: Filter, grammar: Grammar): string {
  if (!('key' in filter)) {
    const all = filter.filters.map((one) => writeFilter(one, grammar))
    const word = filter.type === 'and' ? grammar.and : grammar.or
    return all.length === 1 ? (all[0] ?? '') : `(${all.join(` ${word} `)})`
  }
  const { type, key, value } = filter
  if (!/^[A-Za-z_][\w.]{0,255}$/.test(key))
    throw invalid('filters', `'${key.slice(0, 100)}' cannot be a name in a filter here.`)
  const literal = (one: Json): string =>
    typeof one === 'string' ? grammar.quoted(one) : JSON.stringify(one)
  if (type === 'in' || type === 'nin') {
    const values = list(value).map(literal)
    if (grammar.has) return grammar.has(key, values, type === 'nin')
    const sign = type === 'in' ? grammar.signs.eq : grammar.signs.ne
    const all = values.map((one) => `${key} ${sign} ${one}`)
    return `(${all.join(` ${type === 'in' ? grammar.or : grammar.and} `)})`
  }
  if (typeof value === 'string' && grammar.same && (type === 'eq' || type === 'ne'))
    return grammar.same(key, literal(value), type === 'ne')
  return `${key} ${grammar.signs[type]} ${literal(value)}`
}

const signs = { eq: '=', ne: '!=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const
const json = (said: string): string => JSON.stringify(said)

/** Google's for documents (google.aip.dev/160). */
export const googleFilter: Grammar = { and: 'AND', or: 'OR', signs, quoted: json }

/** Vertex AI Search's, where a text is one of several (cloud.google.com/generative-ai-app-builder/docs/filter-search-metadata, 2026-11). */
export const searchFilter: Grammar = {
  ...googleFilter,
  has: (key, values, not) => `${not ? 'NOT ' : ''}${key}: ANY(${values.join(', ')})`,
  same: (key, quoted, not) => `${not ? 'NOT ' : ''}${key}: ANY(${quoted})`,
}

/** Milvus's (milvus.io/docs/boolean.md, 2026-11). */
export const milvusFilter: Grammar = {
  and: 'and',
  or: 'or',
  signs: { ...signs, eq: '==' },
  quoted: json,
  has: (key, values, not) => `${key} ${not ? 'not in' : 'in'} [${values.join(', ')}]`,
}

/** OData's, as Azure AI Search has it (learn.microsoft.com/azure/search/search-query-odata-filter, 2026-11). */
export const odataFilter: Grammar = {
  and: 'and',
  or: 'or',
  signs: { eq: 'eq', ne: 'ne', gt: 'gt', gte: 'ge', lt: 'lt', lte: 'le' },
  quoted: (said) => `'${said.replaceAll("'", "''")}'`,
}
