import { type JsonObject, list, number, text } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  invalid,
  type Measured,
  type Measures,
  missing,
  numberOf,
  othersOf,
  textOf,
} from './media.ts'
import { createOperation, type Operation, type OperationBody } from './operation.ts'
import { searchWires } from './search-wires.ts'

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
  wires: searchWires,
  decodeRequest,
  encodeResult: ({ results }) => ({ type: 'json', value: { object: 'search', results } }),
  bound: (body) => ({ ...unitsAsked(body), output: 0 }),
  text: () => '',
  begun: (body) => ({ text: '', units: unitsAsked(body) }),
})

function unitsAsked(body: OperationBody): Measures {
  const maxResults = number(body.field('max_results'))
  return {
    queries: Math.max(1, list(body.field('query')).length),
    ...(maxResults !== undefined && { maxResults }),
  }
}

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
