import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { search } from './search.ts'

const ask = {
  query: 'q',
  max_results: 3,
  search_domain_filter: ['a.com', '-b.com'],
  country: 'DE',
}
const found = [{ title: 'T', url: 'https://a.com', snippet: 'S' }]
const rows: [wire: string, answer: Json, path: string, body: Json][] = [
  [
    'perplexity',
    { results: found },
    '/search',
    { query: 'q', max_results: 3, search_domain_filter: ['a.com', '-b.com'], country: 'DE' },
  ],
  [
    'tavily',
    { results: [{ title: 'T', url: 'https://a.com', content: 'S' }] },
    '/search',
    {
      query: 'q',
      max_results: 3,
      include_domains: ['a.com'],
      exclude_domains: ['b.com'],
      country: 'de',
    },
  ],
  [
    'exa',
    { results: [{ title: 'T', url: 'https://a.com', text: 'S' }] },
    '/search',
    {
      query: 'q',
      numResults: 3,
      includeDomains: ['a.com'],
      excludeDomains: ['b.com'],
      userLocation: 'DE',
      contents: { text: true },
    },
  ],
  [
    'linkup',
    { results: [{ name: 'T', url: 'https://a.com', content: 'S', type: 'text' }] },
    '/search',
    {
      q: 'q',
      depth: 'standard',
      outputType: 'searchResults',
      maxResults: 3,
      includeDomains: ['a.com'],
      excludeDomains: ['b.com'],
    },
  ],
  [
    'firecrawl',
    { success: true, data: { web: [{ title: 'T', url: 'https://a.com', description: 'S' }] } },
    '/search',
    { query: 'q (site:a.com) -site:b.com', limit: 3, country: 'DE' },
  ],
  [
    'serper',
    { organic: [{ title: 'T', link: 'https://a.com', snippet: 'S' }] },
    '/search',
    { q: 'q (site:a.com) -site:b.com', num: 3, gl: 'de' },
  ],
  [
    'brave',
    { web: { results: [{ title: 'T', url: 'https://a.com', description: 'S' }] } },
    '/res/v1/web/search?q=q+%28site%3Aa.com%29+-site%3Ab.com&count=3&country=DE',
    null,
  ],
  [
    'searxng',
    { results: [{ title: 'T', url: 'https://a.com', content: 'S' }] },
    '/search?q=q+%28site%3Aa.com%29+-site%3Ab.com&format=json',
    null,
  ],
  [
    'google',
    { items: [{ title: 'T', link: 'https://a.com', snippet: 'S' }] },
    '/customsearch/v1?q=q+%28site%3Aa.com%29+-site%3Ab.com&num=3&gl=de',
    null,
  ],
]
describe('search, by engine', () => {
  for (const [wire, answer, path, body] of rows)
    test(wire, () => {
      const played = converse(search, wire, targetOf(wire, 'search'), ask, [[answered(answer)]])
      equal(played.sent[0]?.path, path)
      deepEqual(played.bodies[0], body && { ...(body as JsonObject) })
      deepEqual(played.json, { object: 'search', results: found })
      deepEqual(played.told.units, { queries: 1, maxResults: 3 })
    })
})

test('nothing found is an answer, nothing said is none', () => {
  const run = (answer: Json) =>
    converse(search, 'serper', targetOf('serper', 'search'), ask, [[answered(answer)]]).json
  deepEqual(run({ searchParameters: { q: 'q' } }), { object: 'search', results: [] })
  throws(() => run({ a: 1 }), { kind: 'bad_gateway' })
})

test('what is wrong is named', () => {
  for (const body of [{}, { query: [] }, { query: 7 }, { query: '' }])
    throws(() => converse(search, 'tavily', targetOf('t', 's'), body, []), { param: 'query' })
})
