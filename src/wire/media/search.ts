import { GatewayError } from '../../errors.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  type Answered,
  askOnce,
  invalid,
  jsonBody,
  type Lacks,
  type Measured,
  type MediaWire,
  missing,
  numberOf,
  othersOf,
  readJson,
  type Sent,
  textOf,
} from './media.ts'
import { createOperation, type Operation } from './operation.ts'

export type SearchRequest = {
  /** Several for those who take several. */
  queries: string[]
  maxResults?: number
  /** Only these sites; with a minus before it, all but these. */
  domains: string[]
  /** ISO 3166, two letters. */
  country?: string
  extras: JsonObject
}

export type Found = {
  title: string
  url: string
  snippet: string
  date?: string
  last_updated?: string
}
export type SearchResult = Measured & { results: Found[] }

/** Perplexity's search, as LiteLLM's clients know it, of any search engine. */
export const search: Operation = createOperation<SearchRequest, SearchResult>({
  id: 'search',
  dialect: openaiChat,
  passes: {},
  wires: {
    perplexity: engine(({ queries, maxResults, domains, country, extras }) =>
      posted('/search', {
        query: queries.length === 1 ? (queries[0] ?? '') : queries,
        ...(maxResults !== undefined && { max_results: maxResults }),
        ...(domains.length > 0 && { search_domain_filter: domains }),
        ...(country !== undefined && { country }),
        ...extras,
      }),
    ),
    tavily: engine(({ queries, maxResults, domains, country, extras }) =>
      posted('/search', {
        query: queries.join(' '),
        ...(maxResults !== undefined && { max_results: maxResults }),
        ...sites(domains, 'include_domains', 'exclude_domains'),
        ...(country !== undefined && { country: country.toLowerCase() }),
        ...extras,
      }),
    ),
    exa: engine(({ queries, maxResults, domains, country, extras }) =>
      posted('/search', {
        query: queries.join(' '),
        ...(maxResults !== undefined && { numResults: maxResults }),
        ...sites(domains, 'includeDomains', 'excludeDomains'),
        ...(country !== undefined && { userLocation: country }),
        contents: { text: true },
        ...extras,
      }),
    ),
    linkup: engine(({ queries, maxResults, domains, country, extras }, lacks) => {
      if (country !== undefined) lacks('country')
      return posted('/search', {
        q: queries.join(' '),
        depth: 'standard',
        outputType: 'searchResults',
        ...(maxResults !== undefined && { maxResults }),
        ...sites(domains, 'includeDomains', 'excludeDomains'),
        ...extras,
      })
    }),
    firecrawl: engine(({ queries, maxResults, domains, country, extras }) =>
      posted('/search', {
        query: withSites(queries, domains),
        ...(maxResults !== undefined && { limit: maxResults }),
        ...(country !== undefined && { country }),
        ...extras,
      }),
    ),
    serper: engine(({ queries, maxResults, domains, country, extras }) =>
      posted('/search', {
        q: withSites(queries, domains),
        ...(maxResults !== undefined && { num: maxResults }),
        ...(country !== undefined && { gl: country.toLowerCase() }),
        ...extras,
      }),
    ),
    brave: engine(({ queries, maxResults, domains, country, extras }) =>
      asked('/res/v1/web/search', {
        q: withSites(queries, domains),
        count: maxResults === undefined ? undefined : Math.min(maxResults, 20),
        country: country?.toUpperCase(),
        ...extras,
      }),
    ),
    searxng: engine(({ queries, domains, country, extras }, lacks) => {
      if (country !== undefined) lacks('country')
      return asked('/search', { q: withSites(queries, domains), format: 'json', ...extras })
    }),
    google: engine(({ queries, maxResults, domains, country, extras }) =>
      asked('/customsearch/v1', {
        q: withSites(queries, domains),
        num: maxResults === undefined ? undefined : Math.min(maxResults, 10),
        gl: country?.toLowerCase(),
        ...extras,
      }),
    ),
  },
  decodeRequest,
  encodeResult: ({ results }) => ({ type: 'json', value: { object: 'search', results } }),
  bound: (body) => {
    const maxResults = number(body.field('max_results'))
    return {
      queries: Math.max(1, list(body.field('query')).length),
      output: 0,
      ...(maxResults !== undefined && { maxResults }),
    }
  },
  text: () => '',
})

function decodeRequest(body: JsonObject): SearchRequest {
  const { query } = body
  if (query === undefined || query === null) throw missing('query')
  const queries = (Array.isArray(query) ? query : [query]).map((one) => {
    if (typeof one === 'string' && one !== '') return one
    throw invalid('query', "'query' must be a text, or a list of texts.")
  })
  if (queries.length === 0) throw missing('query')
  const maxResults = numberOf(body['max_results'], 'max_results')
  const country = textOf(body['country'], 'country')
  return {
    queries,
    domains: list(body['search_domain_filter']).flatMap((one) => text(one) ?? []),
    ...(maxResults !== undefined && { maxResults }),
    ...(country !== undefined && { country }),
    extras: othersOf(body, known),
  }
}
const known = new Set([
  'model',
  'query',
  'max_results',
  'search_domain_filter',
  'country',
  'search_tool_name',
])

/** One question; what comes back is much alike everywhere. */
function engine(
  encode: (request: SearchRequest, lacks: Lacks) => Sent,
): MediaWire<SearchRequest, SearchResult> {
  return {
    decodeError,
    *exchange(request, _, lacks) {
      const results = decodeFound(yield* askOnce(encode(request, lacks)))
      const { maxResults } = request
      return {
        results: maxResults === undefined ? results : results.slice(0, maxResults),
        units: { queries: request.queries.length, maxResults: maxResults ?? 10 },
      }
    },
  }
}

const posted = (path: string, body: JsonObject): Sent => ({ path, body: jsonBody(body) })

function asked(path: string, query: JsonObject): Sent {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== null)
      search.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value))
  return { method: 'GET', path: `${path}?${search.toString()}` }
}

function sites(domains: readonly string[], only: string, but: string): JsonObject {
  const kept = domains.filter((one) => !one.startsWith('-'))
  const left = domains.filter((one) => one.startsWith('-')).map((one) => one.slice(1))
  return { ...(kept.length > 0 && { [only]: kept }), ...(left.length > 0 && { [but]: left }) }
}

/** As words of the query, for engines that have no field for it. */
function withSites(queries: readonly string[], domains: readonly string[]): string {
  const said = queries.join(' ')
  const only = domains.filter((one) => !one.startsWith('-')).map((one) => `site:${one}`)
  const but = domains.filter((one) => one.startsWith('-')).map((one) => `-site:${one.slice(1)}`)
  return [said, ...(only.length > 0 ? [`(${only.join(' OR ')})`] : []), ...but].join(' ')
}

/** `results`, `organic`, `items`, `web.results`, `data` or `data.web`: the same few things by other names. */
function decodeFound(answer: Answered): Found[] {
  const body = readJson(answer)
  const data = object(body['data'])
  const found: Json | undefined =
    body['results'] ??
    body['organic'] ??
    body['items'] ??
    object(body['web'])['results'] ??
    (Array.isArray(body['data']) ? body['data'] : (data['web'] ?? data['news']))
  // Engines leave the list out where they found nothing.
  if (found === undefined && !answersAnyway(body))
    throw new GatewayError('bad_gateway', 'the upstream answered without results')
  return list(found)
    .filter(isObject)
    .map((item) => {
      const date = first(item, ['date', 'publishedDate', 'published_date', 'page_age', 'pubdate'])
      const updated = first(item, ['last_updated', 'fetched_content_timestamp'])
      return {
        title: first(item, ['title', 'name']) ?? '',
        url: first(item, ['url', 'link']) ?? '',
        snippet:
          first(item, ['snippet', 'content', 'text', 'markdown', 'description', 'summary']) ??
          list(item['highlights'])
            .flatMap((one) => text(one) ?? [])
            .join('\n\n'),
        ...(date !== undefined && { date }),
        ...(updated !== undefined && { last_updated: updated }),
      }
    })
}

const answersAnyway = (body: JsonObject): boolean =>
  ['searchParameters', 'searchInformation', 'query', 'success', 'type'].some(
    (key) => body[key] !== undefined,
  )

function first(item: JsonObject, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const said = text(item[key])
    if (said) return said
  }
  return undefined
}
