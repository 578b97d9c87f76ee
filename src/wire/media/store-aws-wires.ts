import { isObject, type Json, type JsonObject, number, object, text } from '../../json/json.ts'
import { decodeError } from '../bedrock-converse/errors.ts'
import type { Target } from '../wire.ts'
import { secondsOf } from './batch-words.ts'
import { askOnce, invalid, jsonBody, readJson, type Sent } from './media.ts'
import { decodeFilter, encodeFilter } from './store-filters.ts'
import { encodeStore, type Hit, listed, type StoreWire, storeStep } from './stores.ts'

/** Knowledge bases of Bedrock (docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html, 2026-11). They are made in AWS. */
export const bedrockStores: StoreWire = {
  name: 'Amazon Bedrock',
  own: new Set([
    'retrievalConfiguration',
    'retrieval_configuration',
    'guardrailConfiguration',
    'userContext',
    'user_context',
    'nextToken',
  ]),
  *search({ store, query, max, filters, threshold, extras, to, lacks }) {
    if (threshold !== undefined) lacks('ranking_options.score_threshold')
    const { retrieval_configuration, user_context, ...others } = extras
    const said = object(others['retrievalConfiguration'] ?? retrieval_configuration)
    const vector = {
      ...object(said['vectorSearchConfiguration']),
      ...(max !== undefined && { numberOfResults: max }),
      ...(filters !== undefined && { filter: baseFilter(filters) }),
    }
    const hasVector = Object.keys(vector).length > 0
    const config = { ...said, ...(hasVector && { vectorSearchConfiguration: vector }) }
    const body = {
      ...(user_context !== undefined && { userContext: user_context }),
      ...others,
      retrievalQuery: { text: query },
      ...(Object.keys(config).length > 0 && { retrievalConfiguration: config }),
    }
    const path = `/knowledgebases/${storeStep(store)}/retrieve`
    const told = readJson(
      yield* askOnce({ ...agents('POST', path, to, true), body: jsonBody(body) }),
    )
    return {
      hits: listed(told['retrievalResults']).map(foundInBase),
      next: text(told['nextToken']) || undefined,
    }
  },
  stores: {
    *find({ store, to }) {
      const path = `/knowledgebases/${storeStep(store)}`
      const told = readJson(yield* askOnce(agents('GET', path, to, false)))
      return baseOf(object(told['knowledgeBase']))
    },
    *page({ to }, token) {
      const body = { maxResults: 100, ...(token !== undefined && { nextToken: token }) }
      const sent = { ...agents('POST', '/knowledgebases/', to, false), body: jsonBody(body) }
      const told = readJson(yield* askOnce(sent))
      return {
        items: listed(told['knowledgeBaseSummaries']).map(baseOf),
        next: text(told['nextToken']) || undefined,
      }
    },
  },
  decodeError,
}

/** Beside the models: another host, which takes no key of Bedrock's but a signature. `AWS_ENDPOINT_URL_…` are AWS's own. */
function agents(method: 'GET' | 'POST', path: string, { values }: Target, isSearch: boolean): Sent {
  const host = isSearch ? 'bedrock-agent-runtime' : 'bedrock-agent'
  const said = values?.[isSearch ? 'agent_runtime_endpoint' : 'agent_endpoint']
  return {
    method,
    path: '',
    service: 'bedrock',
    address: (base) => {
      const own = said ?? base.replace(/\/\/bedrock-runtime(?=[.-])/, `//${host}`)
      return own.replace(/\/+$/, '') + path
    },
  }
}

/** Filters in AWS's own words pass. */
function baseFilter(filters: Json): JsonObject {
  if (isObject(filters) && !isOpenai(filters)) return filters
  const filter = decodeFilter(filters)
  if (!filter) return {}
  return encodeFilter(
    filter,
    ({ type, key, value }) => ({ [baseWords[type]]: { key, value } }),
    (type, filters) => ({ [type === 'and' ? 'andAll' : 'orAll']: filters }),
  )
}
const isOpenai = (filters: JsonObject): boolean =>
  ['type', 'operator', 'and', 'or'].some((name) => name in filters)
const baseWords = {
  eq: 'equals',
  ne: 'notEquals',
  gt: 'greaterThan',
  gte: 'greaterThanOrEquals',
  lt: 'lessThan',
  lte: 'lessThanOrEquals',
  in: 'in',
  nin: 'notIn',
} as const

function foundInBase({ content, location, metadata, score }: JsonObject): Hit {
  const said = object(content)
  const attributes = object(metadata)
  const uri = text(attributes['x-amz-bedrock-kb-source-uri']) || uriOf(object(location))
  const chunk = text(attributes['x-amz-bedrock-kb-chunk-id'])
  const source = text(attributes['x-amz-bedrock-kb-data-source-id'])
  return {
    text:
      text(said['text']) ?? (said['row'] === undefined ? undefined : JSON.stringify(said['row'])),
    score: number(score),
    fileId: uri ?? (chunk && `bedrock-kb-${chunk}`),
    filename: uri === undefined ? source && `bedrock-kb-document-${source}` : fileNameOf(uri),
    attributes: {
      ...attributes,
      ...(uri === undefined && location !== undefined && { location }),
    },
  }
}

/** Each kind of source has a word of its own around it. */
function uriOf(location: JsonObject): string | undefined {
  for (const inner of Object.values(location)) {
    const found = text(object(inner)['uri']) || text(object(inner)['url'])
    if (found) return found
  }
  return undefined
}

function fileNameOf(uri: string): string {
  if (!URL.canParse(uri)) return uri
  const { pathname, hostname } = new URL(uri)
  return pathname.split('/').at(-1) || hostname
}

const baseOf = (told: JsonObject): JsonObject =>
  encodeStore({
    id: text(told['knowledgeBaseId']) ?? '',
    name: text(told['name']),
    created: secondsOf(told['createdAt']),
    active: secondsOf(told['updatedAt']),
    isReady: told['status'] === 'ACTIVE',
    ...(text(told['description']) && { metadata: { description: told['description'] } }),
  })

/** Amazon S3 Vectors (docs.aws.amazon.com/AmazonS3/latest/API/API_S3VectorBuckets_QueryVectors.html, 2026-11); a store is `bucket:index`. */
export const s3Vectors: StoreWire = {
  name: 'Amazon S3 Vectors',
  byVector: true,
  own: new Set(),
  *search({ store, vector, max, filters, threshold, to, lacks }) {
    if (threshold !== undefined) lacks('ranking_options.score_threshold')
    const { bucket = '', text_field = 'source_text' } = to.values ?? {}
    const at = store.indexOf(':')
    const name = at === -1 ? bucket : store.slice(0, at)
    if (name === '')
      throw invalid(
        'vector_store_id',
        "a store of S3 Vectors is named 'bucket:index', or vector_bucket_name is set in its litellm_params.",
      )
    const body = {
      vectorBucketName: name,
      indexName: store.slice(at + 1),
      queryVector: { float32: [...vector] },
      topK: max ?? 10,
      ...(filters !== undefined && { filter: vectorFilter(filters) }),
      returnDistance: true,
      returnMetadata: true,
    }
    const told = readJson(yield* askOnce({ path: '/QueryVectors', body: jsonBody(body) }))
    return { hits: listed(told['vectors']).map((one) => foundInIndex(one, text_field)) }
  },
  decodeError,
}

function vectorFilter(filters: Json): JsonObject {
  if (isObject(filters) && !isOpenai(filters)) return filters
  const filter = decodeFilter(filters)
  if (!filter) return {}
  return encodeFilter(
    filter,
    ({ type, key, value }) => ({ [key]: { [`$${type}`]: value } }),
    (type, filters) => ({ [`$${type}`]: filters }),
  )
}

/** Distances begin at 0; what is put in by Bedrock has its text under a name of Bedrock's. */
function foundInIndex({ key, distance, metadata }: JsonObject, field: string): Hit {
  const attributes = object(metadata)
  const away = number(distance)
  const chunk = attributes['chunk_index']
  return {
    text: text(attributes[field]) ?? text(attributes['AMAZON_BEDROCK_TEXT']),
    score: away === undefined ? undefined : Math.max(0, Math.min(1, 1 - away)),
    fileId: text(key) ?? (chunk === undefined ? undefined : `s3-vectors-chunk-${String(chunk)}`),
    filename: text(attributes['filename']),
    attributes,
  }
}
