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
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { decodeError } from '../openai-chat/errors.ts'
import type { Target } from '../wire.ts'
import { parsedLine } from './batch-lines.ts'
import {
  type Answered,
  askOnce,
  invalid,
  jsonBody,
  type Lacks,
  type MediaWire,
  readJson,
  type Sent,
} from './media.ts'
import type { Found, SearchRequest, SearchResult } from './search.ts'

/** Search engines, by the name a provider's row gives them. */
export const searchWires = {
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
  /** Instant answers: a summary and what is related, and no list of pages (duckduckgo.com/api, 2026-11). */
  duckduckgo: engine(({ queries, domains, country, extras }, lacks) => {
    if (country !== undefined) lacks('country')
    const query = { q: withSites(queries, domains), format: 'json', no_html: 1, ...extras }
    return asked('/', query)
  }, instantIn),
  you: engine(
    ({ queries, maxResults, domains, country, extras }, _, to) => ({
      path: '',
      // Without a key there is a free way with a place of its own, for a hundred questions a day (you.com/docs, 2026-11).
      address: (base) =>
        /\/v1\/(agents\/)?search\/?$/.test(base)
          ? base
          : to.values?.['key'] === undefined && base === 'https://ydc-index.io'
            ? 'https://api.you.com/v1/agents/search'
            : `${base.replace(/\/+$/, '')}/v1/search`,
      // The free one says that it compresses, and does not.
      headers: { 'accept-encoding': 'identity' },
      body: jsonBody({
        query: queries.join(' '),
        ...(maxResults !== undefined && { count: maxResults }),
        ...sites(domains, 'include_domains', 'exclude_domains'),
        ...(country !== undefined && { country: country.toLowerCase() }),
        ...extras,
      }),
    }),
    (body) => {
      const found = object(body['results'])
      if (!isObject(body['results'])) return undefined
      // What it found on a page says more than how the page describes itself.
      return [...list(found['web']), ...list(found['news'])].map(object).map((one) => {
        const said = list(one['snippets']).flatMap((part) => text(part) ?? [])
        return said.length > 0 ? { ...one, snippet: said.join('\n\n') } : one
      })
    },
  ),
  /** The mode of its earlier API is kept: what it does without one costs more (docs.parallel.ai, 2026-11). */
  parallel: engine(({ queries, maxResults, domains, country, extras }) => {
    const { processor, advanced_settings, ...others } = extras
    const mode = text(processor) === 'pro' ? 'advanced' : text(processor)
    const policy = sites(domains, 'include_domains', 'exclude_domains')
    const settings = {
      ...(maxResults !== undefined && { max_results: maxResults }),
      ...(country !== undefined && { location: country }),
      ...(Object.keys(policy).length > 0 && { source_policy: policy }),
      ...object(advanced_settings),
    }
    return posted('/v1/search', {
      search_queries: queries,
      ...(queries.length === 1 && { objective: queries[0] ?? '' }),
      mode: mode === undefined || mode === 'base' ? 'basic' : mode,
      ...(Object.keys(settings).length > 0 && { advanced_settings: settings }),
      ...others,
    })
  }),
  searchapi: engine(
    ({ queries, maxResults, domains, country, extras }) =>
      asked('/api/v1/search', {
        engine: 'google',
        q: withSites(queries, domains),
        num: maxResults === undefined ? undefined : Math.min(maxResults, 10),
        gl: country?.toLowerCase(),
        ...extras,
      }),
    (body) => body['organic_results'] ?? (body['search_metadata'] === undefined ? undefined : []),
  ),
  /** Google's pages by way of DataForSEO: one task in a list (docs.dataforseo.com/v3/serp/google/organic/live/advanced, 2026-11). */
  dataforseo: engine(
    ({ queries, maxResults, domains, country, extras }) => {
      const placed = ['location_code', 'location_name', 'location_coordinate'].some(
        (name) => extras[name] !== undefined,
      )
      const spoken = ['language_code', 'language_name'].some((name) => extras[name] !== undefined)
      const task = {
        keyword: withSites(queries, domains),
        ...(maxResults !== undefined && { depth: Math.min(maxResults, 700) }),
        ...(!spoken && { language_code: 'en' }),
        ...(placed
          ? {}
          : country === undefined
            ? { location_code: 2840 }
            : { location_name: countryName(country) }),
        ...extras,
      }
      return {
        path: '/v3/serp/google/organic/live/advanced',
        body: {
          type: 'bytes',
          bytes: toUtf8(JSON.stringify([task])),
          mime: 'application/json',
        },
      }
    },
    (body) => {
      const task = object(list(body['tasks'])[0])
      const code = number(task['status_code']) ?? number(body['status_code'])
      if (code !== undefined && (code < 20_000 || code >= 30_000))
        throw taskRefused(code, text(task['status_message']) ?? text(body['status_message']))
      return body['tasks'] === undefined
        ? undefined
        : list(task['result'])
            .flatMap((one) => list(object(one)['items']))
            .filter((item) => text(object(item)['type']) === 'organic')
    },
  ),
  tinyfish: engine(({ queries, domains, country, extras }) =>
    asked('/', { query: withSites(queries, domains), location: country, ...extras }),
  ),
  nimble: engine(({ queries, maxResults, domains, country, extras }) =>
    posted('/search', {
      query: queries.join(' '),
      ...(maxResults !== undefined && { max_results: maxResults }),
      ...sites(domains, 'include_domains', 'exclude_domains'),
      ...(country !== undefined && { country: country.toUpperCase() }),
      ...extras,
    }),
  ),
  fastcrw: engine(({ queries, maxResults, domains, country, extras }, lacks) => {
    if (country !== undefined) lacks('country')
    return posted('/search', {
      query: withSites(queries, domains),
      ...(maxResults !== undefined && { limit: maxResults }),
      scrapeOptions: { formats: ['markdown'], onlyMainContent: true },
      ...extras,
    })
  }),
  apiserpent: engine(
    ({ queries, maxResults, domains, country, extras }) => {
      const { deep, ...others } = extras
      const least = deep === true ? 10 : 1
      return asked(deep === true ? '/api/search' : '/api/search/quick', {
        engine: 'google',
        q: withSites(queries, domains),
        num: Math.max(least, Math.min(maxResults ?? 10, 100)),
        country: country?.toLowerCase() ?? 'us',
        format: 'full',
        ...others,
      })
    },
    ({ results }) => (isObject(results) ? (results['organic'] ?? []) : results),
  ),
  /** A model in a Foundry project that searches with Bing: what it cites are the results (learn.microsoft.com, bing-grounding, 2026-11). */
  bing: engine(({ queries, maxResults, domains, country, extras }, lacks, { values = {} }) => {
    const connection = values['connection_id']
    if (connection !== undefined && country !== undefined) lacks('country')
    return posted('/openai/v1/responses', {
      model: values['search_model'] ?? '',
      input: withSites(queries, domains),
      tools: [
        connection === undefined
          ? {
              type: 'web_search',
              ...(country !== undefined && {
                user_location: { type: 'approximate', country: country.toUpperCase() },
              }),
            }
          : {
              type: 'bing_grounding',
              bing_grounding: {
                search_configurations: [
                  {
                    project_connection_id: connection,
                    ...(maxResults !== undefined && { count: maxResults }),
                  },
                ],
              },
            },
      ],
      ...extras,
    })
  }, citedIn),
  /** The web search of an AgentCore gateway: a tool called over MCP, with no handshake (docs.aws.amazon.com/bedrock-agentcore, 2026-11). */
  agentcore: toolEngine(),
} as const satisfies Readonly<Record<string, MediaWire<SearchRequest, SearchResult>>>

/** One question; what comes back is much alike everywhere. */
function engine(
  encode: (request: SearchRequest, lacks: Lacks, to: Target) => Sent,
  listIn: (body: JsonObject) => Json | undefined = usualList,
): MediaWire<SearchRequest, SearchResult> {
  return {
    decodeError,
    *exchange(request, to, lacks) {
      const results = decodeFound(readJson(yield* askOnce(encode(request, lacks, to))), listIn)
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
function usualList(body: JsonObject): Json | undefined {
  const data = object(body['data'])
  return (
    body['results'] ??
    body['organic'] ??
    body['items'] ??
    object(body['web'])['results'] ??
    (Array.isArray(body['data']) ? body['data'] : (data['web'] ?? data['news']))
  )
}

function decodeFound(body: JsonObject, listIn: (body: JsonObject) => Json | undefined): Found[] {
  const found = listIn(body)
  // Engines leave the list out where they found nothing.
  if (found === undefined && !answersAnyway(body))
    throw new GatewayError('bad_gateway', 'the upstream answered without results')
  return list(found)
    .filter(isObject)
    .map((item) => {
      const date =
        first(item, [
          'date',
          'publishedDate',
          'published_date',
          'publish_date',
          'page_age',
          'pubdate',
        ]) ?? first(object(item['additional_data']), ['publish_date'])
      const updated = first(item, ['last_updated', 'fetched_content_timestamp'])
      return {
        title: first(item, ['title', 'name']) ?? '',
        url: first(item, ['url', 'link']) ?? '',
        snippet:
          first(item, ['snippet', 'content', 'text', 'markdown', 'description', 'summary']) ??
          ['highlights', 'excerpts', 'snippets']
            .flatMap((key) => list(item[key]))
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

/** The summary, and what is related: some of it in groups. */
function instantIn(body: JsonObject): Json | undefined {
  if (!Array.isArray(body['RelatedTopics'])) return undefined
  const summary = text(body['AbstractText'])
  const topics = body['RelatedTopics'].map(object).flatMap((one) => [one, ...list(one['Topics'])])
  return [
    ...(summary
      ? [{ title: body['Heading'] ?? '', url: body['AbstractURL'] ?? '', snippet: summary }]
      : []),
    ...topics.map(object).flatMap((one) => {
      const [said, url] = [text(one['Text']), text(one['FirstURL'])]
      if (!said || !url) return []
      const at = said.indexOf(' - ')
      return [
        at === -1
          ? { title: said, url, snippet: said }
          : { title: said.slice(0, at), url, snippet: said.slice(at + 3) },
      ]
    }),
  ]
}

/** `Germany` of `DE`; what is no code is a name already. */
function countryName(country: string): string {
  if (!/^[a-z]{2}$/i.test(country)) return country
  return new Intl.DisplayNames(['en'], { type: 'region' }).of(country.toUpperCase()) ?? country
}

/** Their codes begin as those of HTTP: 40100 is 401. */
function taskRefused(code: number, said = 'the search failed'): GatewayError {
  const status = Math.floor(code / 100)
  return decodeError({
    status: status >= 400 && status < 600 ? status : 502,
    header: () => undefined,
    body: JSON.stringify({ error: { message: said, code: String(code) } }),
  })
}

/** Each address once, with the sentence it was cited for. */
function citedIn(body: JsonObject): Json | undefined {
  if (!Array.isArray(body['output'])) return undefined
  const cited = new Map<string, JsonObject>()
  for (const item of body['output'].map(object))
    for (const part of list(item['content']).map(object)) {
      const said = text(part['text']) ?? ''
      for (const note of list(part['annotations']).map(object)) {
        const url = text(note['url'])
        if (note['type'] !== 'url_citation' || !url || cited.has(url)) continue
        // The mark comes behind what it speaks for.
        const before = said.slice(0, number(note['start_index']) ?? said.length)
        const claim = before.slice(before.lastIndexOf('\n') + 1).trim()
        const snippet = claim === '' ? said.slice(0, snippetMax) : claim.slice(-snippetMax)
        cited.set(url, { title: note['title'] ?? '', url, snippet })
      }
    }
  const status = text(body['status'])
  if (cited.size === 0 && (status === 'failed' || status === 'incomplete'))
    throw new GatewayError('bad_gateway', `the search ended as ${status}`)
  return [...cited.values()]
}
const snippetMax = 300

function toolEngine(): MediaWire<SearchRequest, SearchResult> {
  return {
    decodeError,
    *exchange({ queries, maxResults = 10, domains, country, extras }, { values = {} }, lacks) {
      if (country !== undefined) lacks('country')
      const { tool_name, ...others } = extras
      const name = text(tool_name) ?? values['tool_name'] ?? 'web-search-tool___WebSearch'
      // Other tools of the gateway are not for those who may search.
      if (!name.endsWith('___WebSearch'))
        throw invalid('tool_name', "'tool_name' must end with '___WebSearch'.")
      const answer = yield* askOnce({
        path: '',
        address: (base) => base,
        headers: {
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': values['protocol_version'] ?? '2025-03-26',
        },
        body: jsonBody({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            name,
            arguments: { query: withSites(queries, domains), maxResults, ...others },
          },
        }),
      })
      const told = rpcAnswer(answer)
      const result = object(told['result'])
      const texts = list(result['content']).flatMap((one) => text(object(one)['text']) ?? [])
      if (result['isError'] === true)
        throw new GatewayError('bad_gateway', `the search failed: ${texts.join(' ').slice(0, 500)}`)
      const said = texts.flatMap((one) => listOf(parsedLine(one)))
      const found = said.length > 0 ? said : listOf(result['structuredContent'])
      const results = decodeFound({ results: found }, usualList).slice(0, maxResults)
      return { results, units: { queries: queries.length, maxResults } }
    },
  }
}

const listOf = (value: Json | undefined): Json[] =>
  list(Array.isArray(value) ? value : object(value)['results'])

/** The answer, which may come among other events. */
function rpcAnswer(answer: Answered): JsonObject {
  const said = utf8(answer.bytes)
  const events = said.trimStart().startsWith('{')
    ? [object(parsedLine(said))]
    : said.split(/\r?\n\r?\n/).map((event) =>
        object(
          parsedLine(
            event
              .split(/\r?\n/)
              .flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []))
              .join('\n'),
          ),
        ),
      )
  const told = events.find((one) => one['result'] !== undefined || one['error'] !== undefined)
  if (!told) throw new GatewayError('bad_gateway', 'the upstream answered without results')
  const error = object(told['error'])
  if (told['error'] !== undefined)
    throw new GatewayError(
      'bad_gateway',
      `the search failed: ${(text(error['message']) ?? 'no reason was told').slice(0, 500)}`,
    )
  return told
}
