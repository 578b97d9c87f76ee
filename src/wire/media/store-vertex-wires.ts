import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeError } from '../gemini/errors.ts'
import type { Target } from '../wire.ts'
import { secondsOf } from './batch-words.ts'
import { askOnce, type Exchange, jsonBody, othersOf, readJson, type Sent } from './media.ts'
import { decodeFilter, searchFilter, writeFilter } from './store-filters.ts'
import { finished, lastStep } from './store-gemini-wires.ts'
import {
  countOf,
  encodeStore,
  encodeStoredFile,
  type Hit,
  listed,
  type StoreAsk,
  type StoreFound,
  type StoreSearch,
  type StoreWire,
  storeStep,
} from './stores.ts'
import { besideModels, projectOf } from './vertex-place.ts'

/**
 * Vertex AI's RAG Engine (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/rag-api-v1), and Vertex AI Search
 * where the store is told as `vertex_ai/search_api` (…/generative-ai-app-builder/docs/reference/rest/v1; both 2026-11).
 */
export const vertexStores: StoreWire = {
  name: 'Vertex AI',
  // None names a corpus, a data store or a serving config: the path and the row do.
  own: new Set(
    `filter orderBy boostSpec facetSpecs contentSearchSpec queryExpansionSpec spellCorrectionSpec userPseudoId userInfo
    languageCode regionCode params userLabels safeSearch offset relevanceThreshold searchAsYouTypeSpec displaySpec
    imageQuery naturalLanguageQueryUnderstandingSpec sessionSpec oneBoxPageSize pageToken canonicalFilter`.split(
      /\s+/,
    ),
  ),
  search: (ask) => (ask.to.model === 'search_api' ? searchApp(ask) : retrieve(ask)),
  stores: {
    *create({ body, to, lacks }) {
      const others = Object.keys(othersOf(body, storeFields))
      if (others.length > 0) lacks(...others)
      const sent = {
        displayName: text(body['name']) || 'vector-store',
        ...(text(body['description']) && { description: text(body['description']) }),
      }
      const place = at('POST', '/ragCorpora', to)
      const begun = yield* askOnce({ ...place, body: jsonBody(sent) })
      const { response, name } = yield* finished(begun, operation(to))
      // It is there before its operation is over.
      const made = /\/ragCorpora\/[^/]+/.exec(text(name) ?? '')?.[0] ?? null
      return corpusOf(isObject(response) ? response : { ...sent, name: made })
    },
    *find(ask) {
      return corpusOf(readJson(yield* askOnce(at('GET', corpus(ask), ask.to))))
    },
    *remove(ask) {
      const sent = at('DELETE', `${corpus(ask)}?force=true`, ask.to)
      yield* finished(yield* askOnce(sent), operation(ask.to))
    },
    *page({ to }, token) {
      const told = readJson(yield* askOnce(at('GET', `/ragCorpora?${page(token)}`, to)))
      return {
        items: listed(told['ragCorpora']).map(corpusOf),
        next: text(told['nextPageToken']) || undefined,
      }
    },
  },
  files: {
    *find(ask) {
      const told = readJson(yield* askOnce(at('GET', ragFile(ask), ask.to)))
      return fileOf(told, ask.store)
    },
    *remove(ask) {
      const begun = yield* askOnce(at('DELETE', ragFile(ask), ask.to))
      yield* finished(begun, operation(ask.to))
    },
    *page(ask, token) {
      const sent = at('GET', `${corpus(ask)}/ragFiles?${page(token)}`, ask.to)
      const told = readJson(yield* askOnce(sent))
      return {
        items: listed(told['ragFiles']).map((one) => fileOf(one, ask.store)),
        next: text(told['nextPageToken']) || undefined,
      }
    },
  },
  decodeError,
}
const storeFields = new Set(['name', 'description', 'model', 'custom_llm_provider'])

const at = (method: NonNullable<Sent['method']>, path: string, to: Target): Sent => ({
  method,
  path: '',
  address: besideModels(to, path),
})
const operation =
  (to: Target) =>
  (name: string): Sent =>
    at('GET', name.replace(/^projects\/[^/]+\/locations\/[^/]+/, ''), to)

/** A whole name is LiteLLM's users' way to write it too; its project and place are those of the row. */
const bare = (store: string): string =>
  storeStep(store.replace(/^projects\/[\w.:-]+\/locations\/[\w-]+\/ragCorpora\//, ''))
const corpus = ({ store }: Pick<StoreAsk, 'store'>): string => `/ragCorpora/${bare(store)}`
const ragFile = (ask: StoreAsk): string => `${corpus(ask)}/ragFiles/${storeStep(ask.file)}`
const page = (token: string | undefined): string =>
  String(new URLSearchParams({ pageSize: '100', ...(token !== undefined && { pageToken: token }) }))

function corpusOf(told: JsonObject): JsonObject {
  const state = text(object(told['corpusStatus'])['state'])
  const description = text(told['description'])
  return encodeStore({
    id: lastStep(told['name']),
    name: text(told['displayName']),
    created: secondsOf(told['createTime']),
    active: secondsOf(told['updateTime']),
    counts: { completed: countOf(told['ragFilesCount']) },
    isReady: state === undefined || state === 'ACTIVE',
    ...(description && { metadata: { description } }),
  })
}

function fileOf(told: JsonObject, store: string): JsonObject {
  const { state, errorStatus } = object(told['fileStatus'])
  return encodeStoredFile({
    id: lastStep(told['name']),
    store: bare(store),
    created: secondsOf(told['createTime']),
    bytes: countOf(told['sizeBytes']),
    status: state === 'ERROR' ? 'failed' : state === 'ACTIVE' ? 'completed' : 'in_progress',
    ...(state === 'ERROR' && {
      error: text(errorStatus) ?? 'the provider could not read the file',
    }),
    attributes: {
      ...(text(told['displayName']) && { filename: text(told['displayName']) }),
    },
  })
}

/** The grammar of a corpus's own filters is its database's, so they are taken as they are: a text, or Google's `filter`. */
function* retrieve(ask: StoreSearch): Exchange<StoreFound> {
  const { store, query, max, filters, threshold, extras, to, lacks } = ask
  const others = Object.keys(extras)
  if (others.length > 0) lacks(...others)
  if (isObject(filters) && (filters['type'] !== undefined || filters['operator'] !== undefined))
    lacks('filters')
  const own = isObject(filters) ? filters : {}
  const filter = {
    ...(typeof filters === 'string' && { metadataFilter: filters }),
    ...Object.fromEntries(Object.entries(own).filter(([name]) => ragFilters.has(name))),
    ...(threshold !== undefined && { vectorSimilarityThreshold: threshold }),
  }
  const config = {
    ...(max !== undefined && { topK: max }),
    ...(Object.keys(filter).length > 0 && { filter }),
  }
  const body = {
    vertexRagStore: { ragResources: [{ ragCorpus: yield* wholeName(store, to) }] },
    query: {
      text: query,
      ...(Object.keys(config).length > 0 && { ragRetrievalConfig: config }),
    },
  }
  const sent = { ...at('POST', ':retrieveContexts', to), body: jsonBody(body) }
  const told = readJson(yield* askOnce(sent))
  return { hits: listed(object(told['contexts'])['contexts']).map(contextOf) }
}
const ragFilters = new Set([
  'metadataFilter',
  'vectorDistanceThreshold',
  'vectorSimilarityThreshold',
])

/** With its project and place: where only the credential or the base knows them, the corpus tells. */
function* wholeName(store: string, to: Target): Exchange<string> {
  const { project, location = 'us-central1' } = to.values ?? {}
  if (project !== undefined) return `projects/${project}/locations/${location}${corpus({ store })}`
  const told = readJson(yield* askOnce(at('GET', corpus({ store }), to)))
  return text(told['name']) ?? ''
}

/** The score is a distance or a likeness, as the corpus's database has it. */
function contextOf(told: JsonObject): Hit {
  const { sourceUri, sourceDisplayName, score, distance, chunk } = told
  const pages = object(chunk)['pageSpan'] ?? told['pageSpan']
  return {
    text: text(told['text']) ?? text(object(chunk)['text']),
    score: number(score) ?? number(distance),
    fileId: text(sourceUri) || text(sourceDisplayName),
    filename: text(sourceDisplayName) || text(sourceUri)?.split('/').at(-1),
    attributes: {
      ...(sourceUri !== undefined && { sourceUri }),
      ...(sourceDisplayName !== undefined && { sourceDisplayName }),
      ...(pages !== undefined && { pageSpan: pages }),
    },
  }
}

/** Discovery Engine's: a data store, or an app over several where the row names one. */
function* searchApp(ask: StoreSearch): Exchange<StoreFound> {
  const { query, queries, max, filters, threshold, extras, lacks } = ask
  if (threshold !== undefined) lacks('ranking_options.score_threshold')
  const filter =
    typeof filters === 'string' ? filters : filters === undefined ? undefined : inWords(filters)
  const body = {
    query,
    pageSize: max ?? 10,
    ...extras,
    ...(filter !== undefined && { filter }),
  }
  const sent = { path: '', address: appOf(ask), body: jsonBody(body) }
  const told = readJson(yield* askOnce(sent))
  return {
    hits: listed(told['results']).map(resultOf),
    next: text(told['nextPageToken']) || undefined,
    units: { queries },
  }
}

function inWords(filters: Json): string | undefined {
  const filter = decodeFilter(filters)
  return filter && writeFilter(filter, searchFilter)
}

/** A base that names a serving config is the whole of it. */
const appOf =
  ({ store, to }: StoreSearch) =>
  (base: string): string => {
    const own = base.replace(/\/+$/, '')
    if (/\/servingConfigs\/[^/]+$/.test(own)) return `${own}:search`
    const {
      search_location: location = 'global',
      search_collection: collection = 'default_collection',
      search_engine: engine,
    } = to.values ?? {}
    const [, project = projectOf(to.values)] = /\/projects\/([^/]+)/.exec(own) ?? []
    const multi = location === 'us' || location === 'eu' ? `${location}-` : ''
    const host = /googleapis\.com/.test(own)
      ? `https://${multi}discoveryengine.googleapis.com/v1`
      : own.replace(/\/v1(?:beta1)?(?:\/.*)?$/, '/v1')
    const place = `projects/${project}/locations/${location}/collections/${collection}`
    const serving = engine
      ? `engines/${engine}/servingConfigs/default_serving_config`
      : `dataStores/${storeStep(store)}/servingConfigs/default_config`
    return `${host}/${place}/${serving}:search`
  }

/** Chunks where they were asked for, documents otherwise, with the longest words there are of them. */
function resultOf({ id, document, chunk, modelScores }: JsonObject): Hit {
  return isObject(chunk) ? chunkOf(chunk) : documentOf(text(id), object(document), modelScores)
}

function chunkOf(chunk: JsonObject): Hit {
  const { uri, title, structData } = object(chunk['documentMetadata'])
  const document = /\/documents\/([^/]+)/.exec(text(chunk['name']) ?? '')?.[1]
  return {
    text: text(chunk['content']),
    score: number(chunk['relevanceScore']),
    fileId: text(uri) || document,
    filename: text(title),
    attributes: told({
      document_id: document,
      chunk_id: chunk['id'],
      link: uri,
      title,
      structData,
      pageSpan: chunk['pageSpan'],
    }),
  }
}

function documentOf(id: string | undefined, document: JsonObject, scores: Json | undefined): Hit {
  const derived = object(document['derivedStructData'])
  const { link, title, displayLink, formattedUrl } = derived
  const contents = (name: string) =>
    listed(derived[name]).flatMap(({ content }) => text(content) || [])
  const snippets = listed(derived['snippets']).flatMap(
    ({ snippet, htmlSnippet }) => text(snippet) || text(htmlSnippet) || [],
  )
  const said =
    contents('extractive_segments').join('\n\n') ||
    contents('extractive_answers').join('\n\n') ||
    snippets.join(' ') ||
    text(title)
  const relevance = list(object(object(scores)['relevance_score'])['values'])[0]
  return {
    text: said,
    score: number(relevance),
    fileId: text(link) || id,
    filename: text(title),
    attributes: told({
      document_id: id,
      link,
      title,
      displayLink,
      formattedUrl,
      structData: document['structData'],
    }),
  }
}

const told = (facts: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(facts).filter(([, value]) => value !== undefined && value !== ''),
  )
