import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import type { ErrorAnswer, Target } from '../wire.ts'
import { whole } from './batch-words.ts'
import {
  type Exchange,
  invalid,
  type Lacks,
  type Measured,
  missing,
  numberOf,
  othersOf,
} from './media.ts'
import type { OperationAsk, Told } from './operation.ts'

/** Vector stores of a provider that has other words for them than OpenAI: what it cannot do is absent. */
export interface StoreWire {
  /** As people call it. */
  name: string
  /** It looks for a vector, which the gateway makes of the query first. */
  byVector?: true
  /** Fields of its own that a client may send beside OpenAI's: none that would lead to another store. */
  own: ReadonlySet<string>
  search(ask: StoreSearch): Exchange<StoreFound>
  stores?: Collection
  files?: Collection
  decodeError(answer: ErrorAnswer): GatewayError
}

export type StoreSearch = {
  store: string
  query: string
  /** How many were asked at once. */
  queries: number
  vector: readonly number[]
  max: number | undefined
  filters: Json | undefined
  threshold: number | undefined
  /** Of `own`, what the client sent. */
  extras: JsonObject
  to: Target
  lacks: Lacks
}
export type Hit = {
  text: string | undefined
  score: number | undefined
  fileId: string | undefined
  filename: string | undefined
  attributes: JsonObject
}
export type StoreFound = Measured & { hits: readonly Hit[]; next?: string | undefined }

/** What there is of stores, or of the files within one, told in OpenAI's words. */
export type Collection = {
  create?(ask: StoreAsk): Exchange<JsonObject>
  find?(ask: StoreAsk): Exchange<JsonObject>
  change?(ask: StoreAsk): Exchange<JsonObject>
  remove?(ask: StoreAsk): Exchange<unknown>
  page?(ask: StoreAsk, token: string | undefined): Exchange<StorePage>
}
export type StoreAsk = {
  store: string
  file: string
  body: JsonObject
  created: number
  to: Target
  lacks: Lacks
}
export type StorePage = { items: readonly JsonObject[]; next: string | undefined }

type Asked = { method: string; path: string; query: string; vector?: readonly number[] }

/** OpenAI's vector stores over a provider's own. */
export function* storesKept(
  wire: StoreWire,
  { method, path, query, vector }: Asked,
  { to, plain, lacks, context }: OperationAsk,
): Exchange<Told> {
  const [, , name = '', act, file = '', more] = path.split('/').map(decodeURIComponent)
  const ask: StoreAsk = {
    store: wire.stores ? name.replace(/^vs_/, '') : name,
    file: file.replace(/^file_/, ''),
    body: method === 'POST' ? plain() : {},
    created: context.created,
    to,
    lacks,
  }
  if (method === 'POST' && act === 'search') return yield* searchIn(wire, ask, vector ?? [])
  const within = act === 'files' && more === undefined ? wire.files : undefined
  const collection = act === undefined ? wire.stores : within
  const id = act === undefined ? name : file
  const { create, find, change, remove, page } = collection ?? {}
  if (method === 'GET' && id !== '' && find) return whole({ ...(yield* find(ask)), id })
  if (method === 'GET' && id === '' && page) return whole(yield* listOf(page, ask, query))
  if (method === 'POST' && id === '' && create) return whole(yield* create(ask))
  if (method === 'POST' && id !== '' && change) return whole({ ...(yield* change(ask)), id })
  if (method === 'DELETE' && id !== '' && remove) {
    yield* remove(ask)
    const kind = act === undefined ? 'vector_store' : 'vector_store.file'
    return whole({ id, object: `${kind}.deleted`, deleted: true })
  }
  throw new GatewayError(
    'not_offered',
    `${wire.name} does not offer ${method} ${act === undefined ? '/v1/vector_stores' : `/v1/vector_stores/…/${act}`} here: ${whatThereIs(wire)}`,
  )
}

function whatThereIs({ stores, files }: StoreWire): string {
  const said = ({ create, find, change, remove, page }: Collection = {}, of = '') =>
    Object.entries({ create, list: page, retrieve: find, update: change, delete: remove })
      .filter(([, can]) => can)
      .map(([verb]) => `${verb}${of}`)
  return ['search', ...said(stores), ...said(files, ' files')].join(', ')
}

function* searchIn(wire: StoreWire, ask: StoreAsk, vector: readonly number[]): Exchange<Told> {
  const { body, to, lacks } = ask
  const queries = queriesOf(body)
  const max = numberOf(body['max_num_results'], 'max_num_results')
  if (max !== undefined && (!Number.isInteger(max) || max < 1 || max > 50))
    throw invalid('max_num_results', "'max_num_results' must be a whole number from 1 to 50.")
  const ranking = object(body['ranking_options'])
  const threshold = numberOf(ranking['score_threshold'], 'ranking_options.score_threshold')
  const ranker = text(ranking['ranker']) ?? 'auto'
  if (ranker !== 'auto' && ranker !== 'none') lacks('ranking_options.ranker')
  if (body['rewrite_query'] === true) lacks('rewrite_query')
  const others = Object.keys(othersOf(body, known)).filter((name) => !wire.own.has(name))
  if (others.length > 0) lacks(...others)
  if (wire.byVector && vector.length === 0) throw noVector(wire)
  const { hits, next, usage, units } = yield* wire.search({
    store: ask.store,
    query: queries.join(' '),
    queries: queries.length,
    vector,
    max,
    filters: body['filters'] ?? undefined,
    threshold: threshold === 0 ? undefined : threshold,
    extras: Object.fromEntries(Object.entries(body).filter(([name]) => wire.own.has(name))),
    to,
    lacks,
  })
  const told = whole({
    object: 'vector_store.search_results.page',
    search_query: body['query'],
    data: hits.map(encodeHit),
    has_more: next !== undefined,
    next_page: next ?? null,
  })
  return { ...told, units: units ?? { queries: queries.length }, ...(usage && { usage }) }
}
const known: ReadonlySet<string> = new Set(
  `query max_num_results filters ranking_options rewrite_query model target_model_names custom_llm_provider litellm_metadata
  metadata`.split(/\s+/),
)

/** One text, or several. Throws 400. */
export function queriesOf({ query }: JsonObject): string[] {
  if (query === undefined || query === null) throw missing('query')
  const queries = (Array.isArray(query) ? query : [query]).map((one) => {
    if (typeof one === 'string' && one.trim() !== '') return one
    throw invalid('query', "'query' must be a text, or a list of texts.")
  })
  if (queries.length === 0) throw missing('query')
  return queries
}

const noVector = ({ name }: StoreWire): GatewayError =>
  new GatewayError(
    'bad_request',
    `${name} looks for vectors: name the store in vector_store_registry, with the litellm_embedding_model its vectors were made with`,
  )

const encodeHit = ({ text: said, score, fileId, filename, attributes }: Hit): JsonObject => ({
  file_id: fileId ?? null,
  filename: filename ?? null,
  score: score ?? null,
  attributes,
  content: said === undefined ? [] : [{ type: 'text', text: said }],
})

function* listOf(
  page: NonNullable<Collection['page']>,
  ask: StoreAsk,
  query: string,
): Exchange<JsonObject> {
  const asked = new URLSearchParams(query)
  const said = Number(asked.get('limit') ?? 20)
  const limit = Math.min(Math.max(Math.trunc(said) || 20, 1), 100)
  const after = asked.get('after')
  const others = ['before', 'filter'].filter((name) => asked.get(name))
  if (asked.get('order') === 'asc') others.push('order')
  if (others.length > 0) ask.lacks(...others)
  const found: JsonObject[] = []
  let passing = after !== null
  let token: string | undefined
  for (let pages = 0; pages < pagesMax && found.length <= limit; pages++) {
    const { items, next } = yield* page(ask, token)
    for (const item of items) {
      if (!passing) found.push(item)
      if (item['id'] === after) passing = false
    }
    token = next
    if (token === undefined) break
  }
  const data = found.slice(0, limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.['id'] ?? null,
    last_id: data.at(-1)?.['id'] ?? null,
    has_more: found.length > limit,
  }
}
const pagesMax = 50

export type StoreFacts = {
  id: string
  name?: string | undefined
  created?: number | null
  active?: number | null
  bytes?: number | undefined
  counts?: { completed?: number; pending?: number; failed?: number }
  isReady?: boolean
  metadata?: JsonObject | undefined
}

/** `vs_…`: what the provider calls it has no form of its own. */
export function encodeStore(facts: StoreFacts): JsonObject {
  const { completed = 0, pending = 0, failed = 0 } = facts.counts ?? {}
  return {
    id: `vs_${facts.id}`,
    object: 'vector_store',
    created_at: facts.created ?? 0,
    name: facts.name ?? null,
    usage_bytes: facts.bytes ?? 0,
    file_counts: {
      in_progress: pending,
      completed,
      failed,
      cancelled: 0,
      total: completed + pending + failed,
    },
    status: facts.isReady === false || pending > 0 ? 'in_progress' : 'completed',
    expires_after: null,
    expires_at: null,
    last_active_at: facts.active ?? null,
    metadata: facts.metadata ?? null,
  }
}

export type StoredFile = {
  id: string
  store: string
  created?: number | null
  bytes?: number | undefined
  status: 'in_progress' | 'completed' | 'failed'
  error?: string | undefined
  attributes?: JsonObject
}

export const encodeStoredFile = (file: StoredFile): JsonObject => ({
  id: `file_${file.id}`,
  object: 'vector_store.file',
  created_at: file.created ?? 0,
  usage_bytes: file.bytes ?? 0,
  vector_store_id: `vs_${file.store}`,
  status: file.status,
  last_error: file.error === undefined ? null : { code: 'server_error', message: file.error },
  attributes: file.attributes ?? {},
})

/** Counts that Google writes as texts. */
export const countOf = (value: Json | undefined): number => Math.max(0, Number(value ?? 0)) || 0

/** A step of a path that a client's id becomes. Throws 404 for what could be more. */
export function storeStep(id: string, form = /^[\w-]{1,200}$/): string {
  if (form.test(id)) return id
  throw new GatewayError('not_found', `there is no vector store '${id.slice(0, 100)}'`, {
    type: 'invalid_request_error',
    param: 'vector_store_id',
  })
}

export const listed = (value: Json | undefined): JsonObject[] => list(value).map(object)
