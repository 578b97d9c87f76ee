import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { type Caller, seesAll } from '../policy/caller.ts'
import type { Deployment, Row } from '../provider/deployment.ts'
import { mediaWireOf } from '../provider/operations.ts'
import { specOf } from '../provider/resolve.ts'
import { embeddings } from '../wire/media/embeddings.ts'
import { readKept, storePrefix } from '../wire/media/resource.ts'
import { isStoreWire, storeWires } from '../wire/media/store-wires.ts'
import { queriesOf } from '../wire/media/stores.ts'
import { serveOperation } from './operation.ts'
import type { Rooms } from './rooms.ts'

/** A vector store of the operator's, which somebody else fills: every key may look into it that has not been bound to others. */
export type RegisteredStore = {
  id: string
  to: Deployment
  /** What makes a vector of a query, where the store is looked into by one. */
  embedding: { model: string; own: Deployment } | undefined
  /** Only this team's. */
  teamId: string | undefined
}

/** `vector_store_registry`, by the id of the store. */
export function openStores(
  { raw, credentials }: Pick<Config, 'raw' | 'credentials'>,
  make: (row: Row, id: string) => Deployment,
): ReadonlyMap<string, RegisteredStore> {
  const stores = new Map<string, RegisteredStore>()
  for (const entry of list(raw['vector_store_registry']).map(object)) {
    const said = object(entry['litellm_params'])
    const named = text(said['litellm_credential_name'])
    const params = { ...(named ? credentials.get(named)?.values : {}), ...said }
    const id = text(params['vector_store_id'])
    if (!id) continue
    const open = (model: string, more: JsonObject, name: string): Deployment => {
      const prices = Object.entries(more).filter(([key]) => key.includes('cost'))
      const row = { params: { ...more, model }, defaults: {}, prices: Object.fromEntries(prices) }
      return make({ ...row, modelName: id, info: {}, unset: {} }, name)
    }
    const { custom_llm_provider, litellm_embedding_model, embedding_model, ...own } = params
    const model = text(litellm_embedding_model) || text(embedding_model)
    stores.set(id, {
      id,
      to: open(
        modelOf(text(custom_llm_provider) ?? 'openai', text(own['model'])),
        own,
        storePrefix + id,
      ),
      embedding: model
        ? {
            model,
            own: open(model, object(own['litellm_embedding_config']), `${storePrefix}${id}:query`),
          }
        : undefined,
      teamId: text(params['team_id']) ?? text(entry['team_id']),
    })
  }
  return stores
}

/** At Azure AI LiteLLM's stores are indexes of its search; at Gemini a model looks into them. */
function modelOf(provider: string, model: string | undefined): string {
  if (provider.includes('/')) return provider
  const name = provider === 'azure_ai' ? 'azure_ai_search' : provider
  const through = specOf(name)?.storeModel
  if (through === undefined) return `${name}/*`
  return `${name}/${model?.replace(/^[a-z_]+\//, '') || through}`
}

/** By the id of the config, or one that was told of it. */
export function registeredStore(
  id: string | undefined,
  { vectorStores }: Rooms,
): RegisteredStore | undefined {
  if (id === undefined || vectorStores.size === 0) return undefined
  const keeper = readKept(id)?.keeper
  return vectorStores.get(keeper?.startsWith(storePrefix) ? keeper.slice(storePrefix.length) : id)
}

/**
 * Who may look into it: whoever no list of `object_permission.vector_stores` leaves out, of the key's, its team's, its
 * project's or its organisation's; with `vector_store_deny_by_default` one of them has to name it. Only administrators
 * change it. Answers why not.
 */
export function refusalOfStore(
  { id, teamId }: RegisteredStore,
  changes: boolean,
  caller: Caller,
  { settings }: Rooms,
): GatewayError | undefined {
  const { role, grant } = caller
  if (role === 'proxy_admin' && !grant) return undefined
  if (changes && role !== 'proxy_admin')
    return new GatewayError('permission', 'only administrators change a store of the config')
  if (seesAll(caller) || role === 'open') return undefined
  const { key, team, project, organization } = grant ?? {}
  const lists = [key, team, project, organization]
    .map((one) => list(object(one?.data['object_permission'])['vector_stores']))
    .filter((names) => names.length > 0)
  const isGranted = lists.some((names) => names.includes(id))
  const isOpen = settings.said.general['vector_store_deny_by_default'] !== true || isGranted
  const isTeams = teamId === undefined || teamId === caller.teamId
  if (isOpen && isTeams && lists.every((names) => names.includes(id))) return undefined
  return new GatewayError(
    'permission',
    `this key may not use the vector store '${id.slice(0, 200)}': its object_permission.vector_stores, or its team's, must name it`,
    { type: 'key_vector_store_access_denied', param: 'vector_store_id', code: '403' },
  )
}

/** The query as a vector, asked for as a request of the caller's own; or the answer that says why there is none. Undefined: none is needed. */
export async function vectorOf(
  { embedding, to }: RegisteredStore,
  incoming: Incoming,
  caller: Caller,
  rooms: Rooms,
): Promise<{ vector: readonly number[] } | { refusal: Outgoing } | undefined> {
  const wire = mediaWireOf(to.spec, 'vector_stores') ?? ''
  if (!embedding || !isStoreWire(wire) || !storeWires[wire].byVector) return undefined
  const bounds = { ...requestBounds, maxDepth: rooms.settings.jsonDepth }
  const query = queriesOf(parseObject(await incoming.body(), bounds)).join(' ')
  const { model, own } = embedding
  const body = { model, input: [query], encoding_format: 'float' }
  const answer = await serveOperation(inner(incoming, body), embeddings, rooms, caller, {
    granted: true,
    keptBy: () => own,
  })
  if (answer.status >= 400) return { refusal: answer }
  const told = object(typeof answer.body === 'string' ? parsed(answer.body) : {})
  const vector = list(object(list(told['data'])[0])['embedding'])
  if (vector.length === 0 || !vector.every((one) => typeof one === 'number'))
    throw new GatewayError('bad_gateway', 'the embedding model told no vector for the query')
  return { vector }
}

const parsed = (body: string): JsonObject => {
  try {
    return parseObject(toUtf8(body))
  } catch {
    return {}
  }
}

/** The same request with another body: what was said of its own is not said of it. */
function inner(incoming: Incoming, body: JsonObject): Incoming {
  const bytes = toUtf8(JSON.stringify(body))
  const header = (name: string): string | undefined =>
    name === 'content-type'
      ? 'application/json'
      : name === 'content-length'
        ? String(bytes.length)
        : outer.has(name)
          ? undefined
          : incoming.header(name)
  const names = incoming.headerNames().filter((name) => header(name) !== undefined)
  return {
    method: 'POST',
    path: '/v1/embeddings',
    query: '',
    header,
    headers: () => Object.fromEntries(names.map((name) => [name, header(name) ?? ''])),
    headerNames: () => names,
    remoteAddress: incoming.remoteAddress,
    body: async () => bytes,
    async *stream() {
      yield bytes
    },
    signal: incoming.signal,
  }
}
const outer: ReadonlySet<string> = new Set([
  'content-encoding',
  'transfer-encoding',
  'x-litellm-call-id',
  'x-litellm-model',
])
