import { type OperationAnswer, operate, wayOf } from '../call/operate.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { type Json, object, text } from '../json/json.ts'
import { type Glance, peek, value } from '../json/peek.ts'
import type { OwnedRow } from '../store/owned.ts'
import { createResource, readKept } from '../wire/media/resource.ts'
import type { Named } from '../wire/named.ts'
import { wires } from '../wire/wires.ts'
import { batchHeard } from './batches.ts'
import { callIdOf } from './headers.ts'
import { jobHeard, refuseUnpricedTraining, settleFirst } from './jobs.ts'
import { heardOf, serveOperation, unnamed } from './operation.ts'
import { type Heard, heardOfKept, isNaming, type Owners, ownersFor } from './owners.ts'
import { passTo } from './passthrough.ts'
import type { Route, Visit } from './routes.ts'
import { limitsOf } from './stored.ts'
import { type RegisteredStore, refusalOfStore, registeredStore, vectorOf } from './vector-stores.ts'

/**
 * Files, batches and whatever else a provider keeps: passed to the deployment that keeps it. Which one is said by the id,
 * by the header `x-litellm-model`, by `model` or `target_model_names`, or by the provider's name; OpenAI's otherwise.
 */
const kept: readonly [id: string, paths: string, model?: true][] = [
  ['files', 'POST /files|GET /files|GET /files/{id}|DELETE /files/{id}|GET /files/{id}/content'],
  ['batch', 'POST /batches|GET /batches|GET /batches/{id}|POST /batches/{id}/cancel'],
  [
    'fine_tuning',
    `POST /fine_tuning/jobs|GET /fine_tuning/jobs|GET /fine_tuning/jobs/{id}|POST /fine_tuning/jobs/{id}/cancel
    |GET /fine_tuning/jobs/{id}/events|GET /fine_tuning/jobs/{id}/checkpoints`,
    true,
  ],
  [
    'vector_stores',
    `POST /vector_stores|GET /vector_stores|GET /vector_stores/{id}|POST /vector_stores/{id}|DELETE /vector_stores/{id}
    |POST /vector_stores/{id}/search|POST /vector_stores/{id}/files|GET /vector_stores/{id}/files
    |GET /vector_stores/{id}/files/{file}|POST /vector_stores/{id}/files/{file}|DELETE /vector_stores/{id}/files/{file}
    |GET /vector_stores/{id}/files/{file}/content`,
  ],
  [
    'video',
    `POST /videos|GET /videos|GET /videos/{id}|DELETE /videos/{id}|GET /videos/{id}/content|POST /videos/{id}/remix
    |POST /videos/edits|POST /videos/extensions|POST /videos/characters|GET /videos/characters/{id}`,
    true,
  ],
  [
    'containers',
    `POST /containers|GET /containers|GET /containers/{id}|DELETE /containers/{id}|POST /containers/{id}/files
    |GET /containers/{id}/files|GET /containers/{id}/files/{file}|DELETE /containers/{id}/files/{file}
    |GET /containers/{id}/files/{file}/content`,
  ],
  [
    'assistants',
    `POST /assistants|GET /assistants|GET /assistants/{id}|POST /assistants/{id}|DELETE /assistants/{id}
    |POST /threads|GET /threads/{id}|POST /threads/{id}|DELETE /threads/{id}|POST /threads/runs
    |POST /threads/{id}/messages|GET /threads/{id}/messages|GET /threads/{id}/messages/{message}
    |POST /threads/{id}/messages/{message}|DELETE /threads/{id}/messages/{message}
    |POST /threads/{id}/runs|GET /threads/{id}/runs|GET /threads/{id}/runs/{run}|POST /threads/{id}/runs/{run}
    |POST /threads/{id}/runs/{run}/cancel|POST /threads/{id}/runs/{run}/submit_tool_outputs
    |GET /threads/{id}/runs/{run}/steps|GET /threads/{id}/runs/{run}/steps/{step}`,
    true,
  ],
]
/** LiteLLM has these with the provider in the path too. */
const byProvider = new Set(['files', 'batch', 'fine_tuning'])

const methods: Readonly<Record<string, 'GET' | 'POST' | 'DELETE'>> = {
  GET: 'GET',
  POST: 'POST',
  DELETE: 'DELETE',
}
const summaries: Readonly<Record<string, string>> = {
  files: 'Files',
  batch: 'Batches',
  fine_tuning: 'Fine-tuning jobs',
  vector_stores: 'Vector stores',
  video: 'Videos',
  containers: 'Containers',
  assistants: 'Assistants and threads',
}

export const resourceRoutes: readonly Route[] = kept.flatMap(([id, rows, model]) =>
  rows.split('|').flatMap((row): Route[] => {
    const [method = '', path = ''] = row.trim().split(' ')
    const places = [`/v1${path}`, path, ...(byProvider.has(id) ? [`/{provider}/v1${path}`] : [])]
    return places.map((place) => ({
      method: methods[method] ?? 'GET',
      path: place,
      permission: 'llm',
      summary: `${summaries[id] ?? id}: passed to the provider that keeps them`,
      run: (visit) =>
        id === 'files' && visit.incoming.header('anthropic-version') !== undefined
          ? passTo(visit, 'anthropic', wires.anthropic, visit.params['provider'])
          : serveResource(visit, id, path, model === true),
    }))
  }),
)

async function serveResource(
  visit: Visit,
  id: string,
  pattern: string,
  model: boolean,
): Promise<Outgoing> {
  const { incoming, rooms, caller, params } = visit
  const method = methods[incoming.method] ?? 'GET'
  const owners = ownersFor(caller, rooms)
  const first = firstId(pattern, params)
  const registered = id === 'vector_stores' ? registeredStore(first, rooms) : undefined
  if (registered) return serveRegistered(visit, registered, pattern)
  const opened = await openOwned(owners, first, method !== 'GET' && !pattern.endsWith('/search'))
  const { row } = opened
  // An id of the provider's own is looked for where its maker has it.
  let keeper = row?.keeper
  const path = pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const said = params[name] ?? ''
    const found = readKept(said)
    keeper ??= found?.keeper
    return step(found?.id ?? said)
  })
  const input = method === 'POST' ? await inputOf(path, visit, owners) : {}
  keeper ??= input.keeper
  const query = new URLSearchParams(incoming.query)
  for (const name of ['after', 'before']) {
    const said = query.get(name)
    if (said !== null) query.set(name, readKept(said)?.id ?? said)
  }
  const byName = keeper?.startsWith('provider:') ? keeper.slice('provider:'.length) : undefined
  const named =
    (byName === undefined ? keeper : undefined) ??
    incoming.header('x-litellm-model') ??
    (query.get('model') || firstOf(query.get('target_model_names')))
  const provider =
    byName ??
    params['provider'] ??
    query.get('provider') ??
    query.get('custom_llm_provider') ??
    incoming.header('custom-llm-provider')
  for (const name of ours) query.delete(name)
  const live = path.endsWith('/content')
  const operation = createResource({ id, method, path, query: query.toString(), live, model })
  const heard: Heard = {
    asked: `${method} ${pattern}`,
    row,
    limit: limitIn(query, id),
    next: (answer, after) => nextPage(answer, after, { id, path, query }, visit),
  }
  return serveOperation(incoming, operation, rooms, caller, {
    ...(named && { model: named, alone: named === keeper }),
    ...(row && row.model !== '' && named === row.keeper && { through: row.model }),
    ...(input.through !== undefined && { through: input.through }),
    ...(row && { owner: row.key_id }),
    keptBy: (said) =>
      rooms.provider(provider ?? text(said.field('custom_llm_provider')) ?? 'openai', id),
    ...(owners && { late: isNaming }),
    async before(said) {
      if (opened.refusal) throw opened.refusal
      if (owners && !operation.bare) await owners.check(said.json())
      if (method === 'POST' && path === '/fine_tuning/jobs')
        refuseUnpricedTraining(said.model, rooms)
      if (id === 'video' && method === 'DELETE' && keeper !== undefined)
        await settleFirst(id, keeper, readKept(first ?? '')?.id ?? first ?? '', rooms)
    },
    async heard(answer, receipt) {
      if (answer.told.type === 'whole' && answer.told.named)
        await checkNamed(answer.told.named, owners)
      if (id === 'batch') await batchHeard(answer, receipt, rooms)
      const told = await jobHeard(answer, receipt, id, rooms)
      return owners ? heardOfKept(told, receipt, heard, owners, rooms) : told
    },
  })
}

/** Of a batch that runs over another's file nothing is noted: nobody but administrators can use what was uploaded. */
async function checkNamed({ things, containers }: Named, owners: Owners | undefined) {
  await owners?.checkIds([...things].filter((id) => !id.includes('://')))
  await owners?.checkIds([...containers], { lenient: true })
}

/** A store of the config: the operator's, whoever asks. */
async function serveRegistered(
  { incoming, rooms, caller, params }: Visit,
  store: RegisteredStore,
  pattern: string,
): Promise<Outgoing> {
  const method = methods[incoming.method] ?? 'GET'
  const searches = pattern.endsWith('/search')
  const refusal = refusalOfStore(store, method !== 'GET' && !searches, caller, rooms)
  const made = searches && !refusal ? await vectorOf(store, incoming, caller, rooms) : undefined
  if (made && 'refusal' in made) return made.refusal
  const path = pattern.replace(/\{(\w+)\}/g, (_, name: string) =>
    step(name === 'id' ? store.id : (readKept(params[name] ?? '')?.id ?? params[name] ?? '')),
  )
  const query = new URLSearchParams(incoming.query)
  for (const name of ours) query.delete(name)
  const live = path.endsWith('/content')
  const ask = { id: 'vector_stores', method, path, query: query.toString(), live, model: false }
  const operation = createResource({ ...ask, ...(made && { vector: made.vector }) })
  return serveOperation(incoming, operation, rooms, caller, {
    model: unnamed,
    granted: true,
    keptBy: () => store.to,
    async before() {
      if (refusal) throw refusal
    },
  })
}

/** What a body is about, where that is kept: a batch is made where its requests lie, a film where the one before it is. */
const inputs: ReadonlyMap<string, (body: Glance) => Json | undefined> = new Map([
  ['/batches', (body: Glance) => value(body, 'input_file_id')],
  ['/videos/edits', (body: Glance) => object(value(body, 'video'))['id']],
  ['/videos/extensions', (body: Glance) => object(value(body, 'video'))['id']],
])

type Input = { keeper?: string; through?: string | undefined }

/** Whatever model is named beside it, by the right to the model it was made with. */
async function inputOf(
  path: string,
  { incoming, rooms }: Visit,
  owners: Owners | undefined,
): Promise<Input> {
  const read = inputs.get(path)
  if (!read || /^multipart\//i.test(incoming.header('content-type') ?? '')) return {}
  const glance = peek(await incoming.body())
  const said = glance && read(glance)
  const keeper = typeof said === 'string' ? readKept(said)?.keeper : undefined
  if (keeper === undefined || typeof said !== 'string') return {}
  if (keeper.startsWith('provider:')) return { keeper }
  if (!rooms.router.knows(keeper)) return {}
  const { row } = await openOwned(owners, said, false)
  return { keeper, through: row?.model || rooms.router.groups.find(keeper)[0]?.group }
}

/** Of what is within another thing the outer one tells whose it is. */
function firstId(pattern: string, params: Visit['params']): string | undefined {
  const name = /\{(\w+)\}/.exec(pattern)?.[1]
  return name === undefined ? undefined : params[name]
}

/** Refused only once it has been let in: who guesses ids has the pace of its key. */
async function openOwned(
  owners: Owners | undefined,
  id: string | undefined,
  changes: boolean,
): Promise<{ row?: OwnedRow | undefined; refusal?: GatewayError }> {
  if (!owners || id === undefined) return {}
  try {
    return { row: await owners.open(id, changes) }
  } catch (cause) {
    const refusal = GatewayError.from(cause)
    if (refusal.kind !== 'not_found') throw refusal
    return { refusal }
  }
}

/** As many of a list as a client wants, else OpenAI's usual numbers. */
function limitIn(query: URLSearchParams, id: string): number {
  const said = Number(query.get('limit') ?? '')
  return Number.isInteger(said) && said > 0 ? said : id === 'files' ? 10_000 : 20
}

/** Of the same deployment, with whatever credentials it was asked with before. */
function nextPage(
  { deployment: to }: OperationAnswer,
  after: string,
  { id, path, query }: { id: string; path: string; query: URLSearchParams },
  { incoming, rooms, caller }: Visit,
): Promise<OperationAnswer> {
  const page = new URLSearchParams(query)
  page.set('after', after)
  page.set('limit', '100')
  const operation = createResource({
    id,
    method: 'GET',
    path,
    query: page.toString(),
    live: false,
    model: false,
  })
  const context = {
    model: to.group,
    requestId: callIdOf(incoming.header('x-litellm-call-id')),
    created: Math.floor(rooms.now() / 1000),
    owner: caller.keyId,
  }
  return operate(
    operation,
    wayOf(to, operation),
    { said: heardOf({}, to.group, operation), upload: undefined, context, check() {} },
    to,
    {
      remove: [],
      dropParams: false,
      headers: {},
      dialectHeaders: {},
      context: { ...context, streamUsage: false, choices: 1 },
    },
    rooms.calls,
    { signal: incoming.signal, limits: limitsOf(to, rooms) },
  )
}

const ours = ['model', 'target_model_names', 'provider', 'custom_llm_provider', 'key']

const firstOf = (names: string | null): string | undefined =>
  names?.split(',')[0]?.trim() || undefined

/** An id stays one step of the path. */
function step(id: string): string {
  if (/^\.+$/.test(id)) throw new GatewayError('not_found', 'there is nothing of this id')
  return encodeURIComponent(id)
}
