import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { decodeError } from '../gemini/errors.ts'
import { decodeUsage } from '../gemini/usage.ts'
import { secondsOf } from './batch-words.ts'
import { problemIn } from './gemini-batch.ts'
import {
  type Answered,
  askOnce,
  type Exchange,
  invalid,
  jsonBody,
  missing,
  othersOf,
  readJob,
  readJson,
  type Sent,
  step,
} from './media.ts'
import { decodeFilter, googleFilter, writeFilter } from './store-filters.ts'
import {
  countOf,
  encodeStore,
  encodeStoredFile,
  type Hit,
  listed,
  type StoreAsk,
  type StoredFile,
  type StoreSearch,
  type StoreWire,
  storeStep,
} from './stores.ts'

/** The Gemini API's File Search (ai.google.dev/gemini-api/docs/file-search, 2026-11): a model looks, and its sources are what is found. */
export const geminiStores: StoreWire = {
  name: 'the Gemini API',
  own: new Set(),
  *search({ store, query, max, filters, threshold, to, lacks }) {
    if (threshold !== undefined) lacks('ranking_options.score_threshold')
    const filter = typeof filters === 'string' ? filters : written(filters)
    const fileSearch: JsonObject = {
      fileSearchStoreNames: [nameOf(store)],
      ...(max !== undefined && { topK: max }),
      ...(filter !== undefined && { metadataFilter: filter }),
    }
    const body = {
      contents: [{ role: 'user', parts: [{ text: query }] }],
      tools: [{ fileSearch }],
    }
    const model = to.model.replace(/^models\//, '')
    const told = readJson(
      yield* askOnce({ path: `/models/${step(model)}:generateContent`, body: jsonBody(body) }),
    )
    const usage = decodeUsage(told['usageMetadata'])
    const hits = listed(told['candidates']).flatMap(hitsIn)
    return { hits: max === undefined ? hits : hits.slice(0, max), ...(usage && { usage }) }
  },
  stores: {
    *create({ body, lacks }) {
      const others = Object.keys(othersOf(body, storeFields))
      if (others.length > 0) lacks(...others)
      const { name, embedding_model } = body
      const sent = {
        ...(text(name) && { displayName: text(name) }),
        ...(text(embedding_model) && { embeddingModel: text(embedding_model) }),
      }
      return storeOf(readJson(yield* askOnce({ path: '/fileSearchStores', body: jsonBody(sent) })))
    },
    *find({ store }) {
      return storeOf(readJson(yield* askOnce({ method: 'GET', path: `/${nameOf(store)}` })))
    },
    *remove({ store }) {
      // With what is in it, as OpenAI does.
      yield* askOnce({ method: 'DELETE', path: `/${nameOf(store)}?force=true` })
    },
    *page(_, token) {
      const told = readJson(
        yield* askOnce({ method: 'GET', path: `/fileSearchStores?${page(token)}` }),
      )
      return {
        items: listed(told['fileSearchStores']).map(storeOf),
        next: text(told['nextPageToken']) || undefined,
      }
    },
  },
  files: {
    *create({ store, body, lacks }) {
      const others = Object.keys(othersOf(body, new Set(['file_id', 'attributes'])))
      if (others.length > 0) lacks(...others)
      const file = text(body['file_id'])?.replace(/^(?:file_|files\/)?/, '')
      if (!file) throw missing('file_id')
      if (!/^[\w-]{1,100}$/.test(file))
        throw invalid('file_id', "'file_id' is none of a file at the Gemini API.")
      const sent = {
        fileName: `files/${file}`,
        ...(isObject(body['attributes']) && { customMetadata: metadataOf(body['attributes']) }),
      }
      const path = `/${nameOf(store)}:importFile`
      const begun = yield* askOnce({ path, body: jsonBody(sent) })
      const { response } = yield* finished(begun, (name) => ({ method: 'GET', path: `/${name}` }))
      const made = text(object(response)['documentName'])?.split('/').at(-1)
      return encodeStoredFile({
        id: made ?? file,
        store,
        status: made === undefined ? 'in_progress' : 'completed',
      })
    },
    *find(ask) {
      return fileOf(readJson(yield* askOnce({ method: 'GET', path: documentPath(ask) })), ask.store)
    },
    *remove(ask) {
      yield* askOnce({ method: 'DELETE', path: `${documentPath(ask)}?force=true` })
    },
    *page({ store }, token) {
      const path = `/${nameOf(store)}/documents?${page(token)}`
      const told = readJson(yield* askOnce({ method: 'GET', path }))
      return {
        items: listed(told['documents']).map((one) => fileOf(one, store)),
        next: text(told['nextPageToken']) || undefined,
      }
    },
  },
  decodeError,
}
const storeFields = new Set(['name', 'embedding_model', 'model', 'custom_llm_provider'])

const nameOf = (store: string): string =>
  `fileSearchStores/${storeStep(store.replace(/^fileSearchStores\//, ''))}`
const documentPath = ({ store, file }: StoreAsk): string =>
  `/${nameOf(store)}/documents/${storeStep(file)}`

/** Twenty are the most it tells at once. */
const page = (token: string | undefined): string =>
  String(new URLSearchParams({ pageSize: '20', ...(token !== undefined && { pageToken: token }) }))

function written(filters: StoreSearch['filters']): string | undefined {
  const filter = decodeFilter(filters)
  return filter && writeFilter(filter, googleFilter)
}

function storeOf(told: JsonObject): JsonObject {
  return encodeStore({
    id: lastStep(told['name']),
    name: text(told['displayName']),
    created: secondsOf(told['createTime']),
    active: secondsOf(told['updateTime']),
    bytes: countOf(told['sizeBytes']),
    counts: {
      completed: countOf(told['activeDocumentsCount']),
      pending: countOf(told['pendingDocumentsCount']),
      failed: countOf(told['failedDocumentsCount']),
    },
  })
}

export function lastStep(name: JsonObject[string]): string {
  const last = text(name)?.split('/').at(-1)
  if (last) return last
  throw new GatewayError('bad_gateway', 'the provider told a vector store or file without a name')
}

const fileOf = (told: JsonObject, store: string): JsonObject =>
  encodeStoredFile({
    id: lastStep(told['name']),
    store: store.replace(/^fileSearchStores\//, ''),
    created: secondsOf(told['createTime']),
    bytes: countOf(told['sizeBytes']),
    status: states.get(text(told['state']) ?? '') ?? 'in_progress',
    ...(told['state'] === 'STATE_FAILED' && { error: 'the provider could not read the file' }),
    attributes: {
      ...(text(told['displayName']) && { filename: text(told['displayName']) }),
      ...attributesOf(told['customMetadata']),
    },
  })
const states: ReadonlyMap<string, StoredFile['status']> = new Map([
  ['STATE_ACTIVE', 'completed'],
  ['STATE_FAILED', 'failed'],
])

/** Google's `{key, stringValue}`, and `numericValue`. */
const metadataOf = (attributes: JsonObject): JsonObject[] =>
  Object.entries(attributes).flatMap(([key, value]): JsonObject[] =>
    typeof value === 'number'
      ? [{ key, numericValue: value }]
      : value === undefined || value === null
        ? []
        : [{ key, stringValue: text(value) ?? JSON.stringify(value) }],
  )
const attributesOf = (value: JsonObject[string]): JsonObject =>
  Object.fromEntries(
    listed(value).flatMap(({ key, stringValue, numericValue, stringListValue }) => {
      const said = stringValue ?? numericValue ?? object(stringListValue)['values']
      return text(key) && said !== undefined ? [[text(key) ?? '', said]] : []
    }),
  )

function hitsIn(candidate: JsonObject): Hit[] {
  const grounding = object(candidate['groundingMetadata'])
  const scores = new Map<number, number>()
  for (const { groundingChunkIndices, confidenceScores } of listed(grounding['groundingSupports']))
    for (const [at, index] of list(groundingChunkIndices).entries()) {
      const score = number(list(confidenceScores)[at])
      if (typeof index === 'number' && score !== undefined)
        scores.set(index, Math.max(score, scores.get(index) ?? 0))
    }
  return listed(grounding['groundingChunks']).flatMap(({ retrievedContext }, at): Hit[] => {
    if (!isObject(retrievedContext)) return []
    const { text: said, title, uri, customMetadata, pageNumber, fileSearchStore } = retrievedContext
    return [
      {
        text: text(said),
        score: scores.get(at),
        fileId: text(uri) || text(title),
        filename: text(title),
        attributes: {
          ...attributesOf(customMetadata),
          ...(pageNumber !== undefined && { pageNumber }),
          ...(fileSearchStore !== undefined && { fileSearchStore }),
        },
      },
    ]
  })
}

/** Waits for a long-running operation of Google's; what is not over by then is told as it is. */
export function* finished(begun: Answered, look: (name: string) => Sent): Exchange<JsonObject> {
  // Not as an answer with an error in it: its codes are none of HTTP's.
  let told = readJob(begun)
  for (let times = 0; told['done'] !== true && times < timesMax; times++) {
    const name = text(told['name']) ?? ''
    if (!/^[\w-]+(?:\/[\w.@-]+)*$/.test(name) || name.length > 500) break
    // The first look is early: most are over at once.
    const sent = { ...look(name), afterMs: times === 0 ? 200 : 1000 }
    told = readJob(yield* askOnce(sent))
  }
  if (isObject(told['error'])) throw problemIn(told['error'])
  return told
}
const timesMax = 60
