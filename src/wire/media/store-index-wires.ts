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
import { type Answered, askOnce, invalid, jsonBody, missing, othersOf, readJson } from './media.ts'
import { decodeFilter, milvusFilter, odataFilter, writeFilter } from './store-filters.ts'
import {
  encodeStore,
  type Hit,
  listed,
  type StoreSearch,
  type StoreWire,
  storeStep,
} from './stores.ts'

/** Vector databases, and what finds documents for itself. They are filled by whoever runs them. */

/** Milvus and Zilliz Cloud (milvus.io/api-reference/restful/v2.5.x/v2/Vector%20(v2)/Search.md, 2026-11). */
export const milvus: StoreWire = {
  name: 'Milvus',
  byVector: true,
  // Neither the database nor its partitions: the row bounds them.
  own: new Set(
    'annsField limit filter offset groupingField outputFields searchParams consistencyLevel'.split(
      ' ',
    ),
  ),
  *search({ store, vector, max, filters, threshold, extras, to }) {
    const { text_field, vector_field, database, partitions, output_fields } = to.values ?? {}
    const filter = filterOf(filters, milvusFilter)
    const { filter: own, searchParams } = extras
    const both = [text(own), filter].filter((one) => one !== undefined && one !== '')
    const params = {
      ...object(searchParams),
      ...(threshold !== undefined && {
        params: { ...object(object(searchParams)['params']), radius: threshold },
      }),
    }
    const body: JsonObject = {
      ...(vector_field !== undefined && { annsField: vector_field }),
      limit: max ?? 10,
      outputFields: stringsOf(output_fields) ?? ['*'],
      ...extras,
      ...(Object.keys(params).length > 0 && { searchParams: params }),
      ...(both.length > 0 && { filter: both.length === 1 ? both[0] : `(${both.join(') and (')})` }),
      collectionName: store,
      data: [[...vector]],
      ...(database !== undefined && { dbName: database }),
      ...(partitions !== undefined && { partitionNames: stringsOf(partitions) ?? [partitions] }),
    }
    const told = accepted(
      yield* askOnce({ path: '/v2/vectordb/entities/search', body: jsonBody(body) }),
      milvusKinds,
    )
    const vectors = text(body['annsField'])
    return {
      hits: listed(told['data']).map(({ id, distance, ...fields }): Hit => {
        const found = text_field ?? ['text', 'content'].find((name) => name in fields) ?? 'text'
        return {
          text: text(fields[found]),
          score: number(distance),
          fileId: nameOf(id),
          filename: text(fields['filename']),
          attributes: without(fields, [found, vectors ?? '']),
        }
      }),
    }
  },
  decodeError,
}
/** Its errors come as successes (milvus.io/docs/error-codes, 2026-11). */
const milvusKinds: ReadonlyMap<number, 'authentication' | 'not_found' | 'bad_request'> = new Map([
  [100, 'not_found'],
  [800, 'not_found'],
  [1100, 'bad_request'],
  [1800, 'authentication'],
  [80000, 'authentication'],
])

/** Azure AI Search (learn.microsoft.com/rest/api/searchservice/documents/search-post, 2026-11). */
export const azureSearch: StoreWire = {
  name: 'Azure AI Search',
  byVector: true,
  own: new Set(
    'search searchFields select semanticConfiguration queryType captions answers scoringProfile orderby facets skip top_k'.split(
      ' ',
    ),
  ),
  *search({ store, vector, max, filters, threshold, extras, to, lacks }) {
    if (threshold !== undefined) lacks('ranking_options.score_threshold')
    const { vector_field = 'contentVector', text_field = 'content' } = to.values ?? {}
    const { top_k, ...others } = extras
    const most = max ?? number(top_k) ?? 10
    const filter = filterOf(filters, odataFilter)
    const body = {
      ...others,
      vectorQueries: [{ kind: 'vector', vector: [...vector], fields: vector_field, k: most }],
      top: most,
      ...(filter !== undefined && { filter }),
    }
    const path = `/indexes/${storeStep(store)}/docs/search?api-version=2024-07-01`
    const told = readJson(yield* askOnce({ path, body: jsonBody(body) }))
    return {
      hits: listed(told['value']).map((found): Hit => {
        const id = nameOf(found['id'])
        const own = ['id', text_field, vector_field, '@search.score']
        return {
          text: text(found[text_field]),
          score: number(found['@search.score']),
          fileId: id,
          filename: text(found['filename']) ?? text(found['title']) ?? (id && `Document ${id}`),
          attributes: { ...without(found, own), ...(id && { document_id: id }) },
        }
      }),
    }
  },
  decodeError,
}

/** LiteLLM's server beside MongoDB, which looks into Atlas for it: in OpenAI's words, with the vector. */
export const mongodb: StoreWire = {
  name: 'MongoDB',
  byVector: true,
  own: new Set(),
  *search({ store, query, vector, max = 10, filters, threshold, to, lacks }) {
    if (filters !== undefined) lacks('filters')
    if (threshold !== undefined) lacks('ranking_options.score_threshold')
    const { database, collection, vector_field, text_field, candidates } = to.values ?? {}
    if (database === undefined || collection === undefined)
      throw new GatewayError(
        'bad_request',
        'a store of MongoDB needs mongodb_database and mongodb_collection in its litellm_params',
        { status: 500 },
      )
    const body = {
      query,
      query_vector: [...vector],
      mongodb_database: database,
      mongodb_collection: collection,
      mongodb_embedding_field: vector_field ?? 'embedding',
      mongodb_text_field: text_field ?? 'text',
      mongodb_num_candidates: Number(candidates) || Math.min(Math.max(max * 10, 100), 10_000),
      max_num_results: max,
      timeout_ms: 30_000,
    }
    const path = `/v1/vector_stores/${encodeURIComponent(store)}/search`
    const told = readJson(yield* askOnce({ path, body: jsonBody(body) }))
    return {
      hits: listed(told['data']).map(
        ({ content, score, file_id, filename, attributes }): Hit => ({
          text: text(object(list(content)[0])['text']),
          score: number(score),
          fileId: text(file_id),
          filename: text(filename),
          attributes: object(attributes),
        }),
      ),
    }
  },
  decodeError,
}

/** RAGFlow's datasets (ragflow.io/docs/http_api_reference, 2026-11). */
export const ragflow: StoreWire = {
  name: 'RAGFlow',
  own: new Set(
    `vector_similarity_weight top_k rerank_id keyword highlight cross_languages use_kg toc_enhance page`.split(
      ' ',
    ),
  ),
  *search({ store, query, max, filters, threshold, extras }) {
    const condition = conditionOf(filters)
    const body = {
      ...extras,
      question: query,
      dataset_ids: [store],
      page_size: max ?? 10,
      ...(threshold !== undefined && { similarity_threshold: threshold }),
      ...(condition && { metadata_condition: condition }),
    }
    const told = accepted(
      yield* askOnce({ path: '/api/v1/retrieval', body: jsonBody(body) }),
      ragflowKinds,
    )
    return {
      hits: listed(object(told['data'])['chunks']).map(
        ({ content, similarity, document_id, document_keyword, ...others }): Hit => ({
          text: text(content),
          score: number(similarity),
          fileId: text(document_id),
          filename: text(document_keyword),
          attributes: others,
        }),
      ),
    }
  },
  stores: {
    *create({ body, lacks }) {
      const name = text(body['name'])
      if (!name) throw missing('name')
      const others = Object.keys(othersOf(body, storeFields))
      if (others.length > 0) lacks(...others)
      const own = Object.entries(object(body['metadata'])).filter(([key]) => datasetFields.has(key))
      const sent = { name, ...Object.fromEntries(own) }
      const told = yield* askOnce({ path: '/api/v1/datasets', body: jsonBody(sent) })
      return datasetOf(object(accepted(told, ragflowKinds)['data']))
    },
    *find({ store }) {
      const path = `/api/v1/datasets?id=${encodeURIComponent(store)}`
      const told = accepted(yield* askOnce({ method: 'GET', path }), ragflowKinds)
      const [found] = listed(told['data'])
      if (found) return datasetOf(found)
      throw new GatewayError('not_found', `there is no vector store '${store.slice(0, 100)}'`, {
        type: 'invalid_request_error',
      })
    },
    *remove({ store }) {
      const body = jsonBody({ ids: [store] })
      accepted(yield* askOnce({ method: 'DELETE', path: '/api/v1/datasets', body }), ragflowKinds)
    },
    *page(_, token = '1') {
      const path = `/api/v1/datasets?page=${token}&page_size=${pageSize}`
      const told = accepted(yield* askOnce({ method: 'GET', path }), ragflowKinds)
      const items = listed(told['data']).map(datasetOf)
      return { items, next: items.length < pageSize ? undefined : String(Number(token) + 1) }
    },
  },
  decodeError,
}
const pageSize = 30
const storeFields = new Set(['name', 'metadata', 'model', 'custom_llm_provider'])
const datasetFields = new Set(
  'avatar description embedding_model permission chunk_method parser_config parse_type pipeline_id'.split(
    ' ',
  ),
)
const ragflowKinds: ReadonlyMap<
  number,
  'authentication' | 'permission' | 'not_found' | 'bad_request'
> = new Map([
  [101, 'bad_request'],
  [102, 'bad_request'],
  [103, 'bad_request'],
  [108, 'permission'],
  [109, 'authentication'],
  [400, 'bad_request'],
  [401, 'authentication'],
  [403, 'permission'],
  [404, 'not_found'],
])

/** Times are milliseconds. */
function datasetOf(told: JsonObject): JsonObject {
  const seconds = (value: Json | undefined) => {
    const at = number(value)
    return at === undefined ? null : Math.floor(at / 1000)
  }
  return encodeStore({
    id: text(told['id']) ?? '',
    name: text(told['name']),
    created: seconds(told['create_time']),
    active: seconds(told['update_time']),
    counts: { completed: number(told['document_count']) ?? 0 },
    ...(text(told['description']) && { metadata: { description: told['description'] } }),
  })
}

/** Its conditions are a list that all or any of must hold. */
function conditionOf(filters: StoreSearch['filters']): JsonObject | undefined {
  const filter = decodeFilter(filters)
  if (!filter) return undefined
  const all = 'key' in filter ? [filter] : filter.filters
  const conditions = all.map((one): JsonObject => {
    const sign = 'key' in one ? ragflowSigns.get(one.type) : undefined
    if (!('key' in one) || sign === undefined)
      throw invalid(
        'filters',
        'RAGFlow takes comparisons with eq, ne, gt, gte, lt and lte, joined once by and or or.',
      )
    return { name: one.key, comparison_operator: sign, value: one.value }
  })
  return { logic: filter.type === 'or' ? 'or' : 'and', conditions }
}
const ragflowSigns: ReadonlyMap<string, string> = new Map([
  ['eq', '='],
  ['ne', '≠'],
  ['gt', '>'],
  ['gte', '≥'],
  ['lt', '<'],
  ['lte', '≤'],
])

const filterOf = (
  filters: StoreSearch['filters'],
  grammar: Parameters<typeof writeFilter>[1],
): string | undefined => {
  if (typeof filters === 'string') return filters
  const filter = decodeFilter(filters)
  return filter && writeFilter(filter, grammar)
}

/** An answer whose `code` is 0; any other is an error, whatever the status. */
function accepted<Kind extends 'authentication' | 'permission' | 'not_found' | 'bad_request'>(
  answer: Answered,
  kinds: ReadonlyMap<number, Kind>,
): JsonObject {
  const told = readJson(answer)
  const code = number(told['code']) ?? 0
  if (code === 0 || code === 200) return told
  const message = text(told['message']) || `the provider answered with its code ${code}`
  throw new GatewayError(kinds.get(code) ?? 'bad_gateway', message, { code: String(code) })
}

const nameOf = (id: Json | undefined): string | undefined =>
  text(id) ?? (id === undefined || isObject(id) ? undefined : String(id))

const without = (found: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(found).filter(([name]) => !names.includes(name)))

/** Values of a row are texts: a list is written as JSON. */
function stringsOf(said: string | undefined): string[] | undefined {
  if (said === undefined || !said.startsWith('[')) return undefined
  try {
    return list(JSON.parse(said)).filter((one) => typeof one === 'string')
  } catch {
    return undefined
  }
}
