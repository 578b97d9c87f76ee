import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
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
  [
    'parallel',
    { results: [{ title: 'T', url: 'https://a.com', excerpts: ['S'] }] },
    '/v1/search',
    {
      search_queries: ['q'],
      objective: 'q',
      mode: 'basic',
      advanced_settings: {
        max_results: 3,
        location: 'DE',
        source_policy: { include_domains: ['a.com'], exclude_domains: ['b.com'] },
      },
    },
  ],
  [
    'searchapi',
    { organic_results: [{ title: 'T', link: 'https://a.com', snippet: 'S' }] },
    '/api/v1/search?engine=google&q=q+%28site%3Aa.com%29+-site%3Ab.com&num=3&gl=de',
    null,
  ],
  [
    'tinyfish',
    { results: found, total_results: 1 },
    '/?query=q+%28site%3Aa.com%29+-site%3Ab.com&location=DE',
    null,
  ],
  [
    'nimble',
    { results: [{ title: 'T', url: 'https://a.com', content: 'S' }] },
    '/search',
    {
      query: 'q',
      max_results: 3,
      include_domains: ['a.com'],
      exclude_domains: ['b.com'],
      country: 'DE',
    },
  ],
  [
    'fastcrw',
    { success: true, data: [{ title: 'T', url: 'https://a.com', markdown: 'S' }] },
    '/search',
    {
      query: 'q (site:a.com) -site:b.com',
      limit: 3,
      scrapeOptions: { formats: ['markdown'], onlyMainContent: true },
    },
  ],
  [
    'apiserpent',
    { results: { organic: found } },
    '/api/search/quick?engine=google&q=q+%28site%3Aa.com%29+-site%3Ab.com&num=3&country=de&format=full',
    null,
  ],
  [
    'duckduckgo',
    {
      AbstractText: '',
      RelatedTopics: [{ Name: 'group', Topics: [{ Text: 'T - S', FirstURL: 'https://a.com' }] }],
    },
    '/?q=q+%28site%3Aa.com%29+-site%3Ab.com&format=json&no_html=1',
    null,
  ],
  [
    'bing',
    {
      status: 'completed',
      output: [
        { type: 'web_search_call' },
        {
          type: 'message',
          content: [
            {
              type: 'output_text',
              text: 'Before.\nS (a.com) and more (a.com)',
              annotations: [1, 2].map(() => ({
                type: 'url_citation',
                url: 'https://a.com',
                title: 'T',
                start_index: 10,
                end_index: 17,
              })),
            },
          ],
        },
      ],
    },
    '/openai/v1/responses',
    {
      model: '',
      input: 'q (site:a.com) -site:b.com',
      tools: [{ type: 'web_search', user_location: { type: 'approximate', country: 'DE' } }],
    },
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

/** One engine, with what it has of its own. */
const run = (wire: string, body: JsonObject, answer: Json, values: Record<string, string> = {}) =>
  converse(search, wire, targetOf(wire, 'search', { values }), { query: 'q', ...body }, [
    [answered(answer)],
  ])

test('You.com: pages and news, at the place for its key, the free one, or the one that is given', () => {
  const { sent, bodies, json } = run(
    'you',
    ask,
    {
      results: {
        web: found,
        news: [{ title: 'N', url: 'https://n', description: 'd', snippets: ['a', 'b'] }],
      },
    },
    { key: 'k' },
  )
  deepEqual(bodies[0], {
    query: 'q',
    count: 3,
    include_domains: ['a.com'],
    exclude_domains: ['b.com'],
    country: 'de',
  })
  deepEqual(json['results'], [...found, { title: 'N', url: 'https://n', snippet: 'a\n\nb' }])
  const home = 'https://ydc-index.io'
  const free = run('you', {}, { results: {} })
  const places: [string | undefined, string][] = [
    [sent[0]?.address?.(home), 'https://ydc-index.io/v1/search'],
    [free.sent[0]?.address?.(home), 'https://api.you.com/v1/agents/search'],
    [free.sent[0]?.address?.('https://proxy/'), 'https://proxy/v1/search'],
    [free.sent[0]?.address?.('https://proxy/v1/search'), 'https://proxy/v1/search'],
  ]
  for (const [place, wanted] of places) equal(place, wanted)
})

describe('DataForSEO', () => {
  const task = (more: JsonObject): Json => ({
    status_code: 20_000,
    tasks: [{ status_code: 20_000, ...more }],
  })
  test('one task, and of its items the pages', () => {
    const items = [{ type: 'people_also_ask' }, { type: 'organic', ...found[0] }]
    const { bodies, json } = run('dataforseo', ask, task({ result: [{ items }] }))
    deepEqual(bodies[0], [
      {
        keyword: 'q (site:a.com) -site:b.com',
        depth: 3,
        language_code: 'en',
        location_name: 'Germany',
      },
    ])
    deepEqual(json['results'], found)
  })
  test('what is given besides comes before what is usual', () => {
    const own = { location_code: 2276, language_name: 'German' }
    const [usual] = run('dataforseo', {}, task({ result: null })).bodies
    const [given] = run('dataforseo', own, task({ result: null })).bodies
    deepEqual(usual, [{ keyword: 'q', language_code: 'en', location_code: 2840 }])
    deepEqual(given, [{ keyword: 'q', ...own }])
  })
  for (const [code, kind] of [
    [40_100, 'authentication'],
    [40_501, 'bad_request'],
    [50_000, 'provider'],
  ] as const)
    test(`a task refused with ${code} is no empty answer`, () => {
      const refused = task({ status_code: code, status_message: 'no' })
      throws(() => run('dataforseo', {}, refused), { kind, message: /no/ })
    })
})

test('DuckDuckGo: its summary comes first', () => {
  const { json } = run(
    'duckduckgo',
    {},
    {
      Heading: 'H',
      AbstractText: 'A',
      AbstractURL: 'https://h',
      RelatedTopics: [{ Text: 'no dash', FirstURL: 'https://b' }, { Text: 'no address' }],
    },
  )
  deepEqual(json['results'], [
    { title: 'H', url: 'https://h', snippet: 'A' },
    { title: 'no dash', url: 'https://b', snippet: 'no dash' },
  ])
})

test('Bing by a connection of the project, and a search that failed', () => {
  const values = { search_model: 'gpt-4.1', connection_id: 'c' }
  const { bodies, json, dropped } = run(
    'bing',
    { max_results: 3, country: 'DE' },
    { output: [], status: 'completed' },
    values,
  )
  deepEqual(bodies[0], {
    model: 'gpt-4.1',
    input: 'q',
    tools: [
      {
        type: 'bing_grounding',
        bing_grounding: { search_configurations: [{ project_connection_id: 'c', count: 3 }] },
      },
    ],
  })
  deepEqual([json['results'], dropped], [[], ['country']])
  throws(() => run('bing', {}, { output: [], status: 'failed' }, values), { kind: 'bad_gateway' })
})

test('the mode of Parallel’s earlier API, and several questions', () => {
  const { bodies } = run('parallel', { query: ['a', 'b'], processor: 'pro', x: 1 }, { results: [] })
  deepEqual(bodies[0], { search_queries: ['a', 'b'], mode: 'advanced', x: 1 })
})

test('a deep search of APISerpent has a place and a least of its own', () => {
  const { sent } = run('apiserpent', { max_results: 3, deep: true }, { results: [] })
  equal(sent[0]?.path, '/api/search?engine=google&q=q&num=10&country=us&format=full')
})

describe('AgentCore', () => {
  const result = (said: JsonObject): JsonObject => ({ jsonrpc: '2.0', id: 1, result: said })
  const text = JSON.stringify([{ title: 'T', url: 'https://a.com', text: 'S' }])
  const stream = (...events: JsonObject[]) =>
    toUtf8(events.map((one) => `event: message\r\ndata: ${JSON.stringify(one)}\r\n\r\n`).join(''))
  const answers: [string, Json | Uint8Array][] = [
    ['as JSON in a text', result({ content: [{ type: 'text', text }] })],
    [
      'as an object beside prose',
      result({
        content: [{ type: 'text', text: 'I found' }],
        structuredContent: { results: found },
      }),
    ],
    [
      'among events',
      stream({ method: 'notifications/progress' }, result({ content: [{ type: 'text', text }] })),
    ],
  ]
  const call = (body: JsonObject, answer: Json | Uint8Array) =>
    converse(search, 'agentcore', targetOf('agentcore', 'search'), { query: 'q', ...body }, [
      [answered(answer)],
    ])
  for (const [name, answer] of answers)
    test(name, () => {
      const { sent, bodies, json } = call({ max_results: 3 }, answer)
      equal(sent[0]?.address?.('https://g/mcp'), 'https://g/mcp')
      deepEqual(bodies[0], {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'web-search-tool___WebSearch',
          arguments: { query: 'q', maxResults: 3 },
        },
      })
      deepEqual(json['results'], found)
    })
  const failed: [string, Json][] = [
    ['a fault of the protocol', { jsonrpc: '2.0', id: 1, error: { message: 'no' } }],
    ['a fault of the tool', result({ isError: true, content: [{ type: 'text', text: 'no' }] })],
  ]
  for (const [name, answer] of failed)
    test(name, () => {
      throws(() => call({}, answer), { kind: 'bad_gateway', message: /: no$/ })
    })
  test('no other tool of the gateway is called', () => {
    throws(() => call({ tool_name: 'delete___Everything' }, {}), { param: 'tool_name' })
  })
})
