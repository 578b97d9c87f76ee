import { isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { decodeError as decodeAnthropic } from '../anthropic/errors.ts'
import type { Named } from '../named.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import type { Target } from '../wire.ts'
import { anthropicKept } from './anthropic-batch.ts'
import { changeLines, nameIn, withModel } from './batch-lines.ts'
import { cloudKept } from './cloud-batch.ts'
import { cloudWires, isCloudWire } from './cloud-wires.ts'
import { filmUnits, jobOf, runTap } from './job.ts'
import {
  type Answered,
  askOnce,
  type Exchange,
  jsonBody,
  type Measured,
  readJson,
  type Sent,
  undatedAzure,
} from './media.ts'
import type { Operation, OperationAsk, OperationBody, Told } from './operation.ts'
import { isStoreWire, storeWires } from './store-wires.ts'
import { storesKept } from './stores.ts'
import { vertexTuning } from './vertex-tuning.ts'
import { filmKept, isFilmWire } from './video.ts'
import { videoWires } from './video-wires.ts'

/**
 * Things a provider keeps for a client: files, batches, vector stores, films in the making. The request passes to the
 * deployment as it is; what is changed is who keeps it. An id that is told carries the deployment, as LiteLLM's ids do,
 * so that the next request finds it again.
 */
export type ResourceAsk = {
  /** The operation's name in a provider's row. */
  id: string
  method: NonNullable<Sent['method']>
  /** Below the base, as OpenAI has it: `/files/file-abc/content`; ids already the provider's own. */
  path: string
  query: string
  /** The answer is bytes. */
  live: boolean
  /** `model` of the body is the provider's to see. */
  model: boolean
  /** Of the query, where a vector store is looked into by one. */
  vector?: readonly number[]
}

export function createResource(ask: ResourceAsk): Operation {
  return {
    id: ask.id,
    dialect: openaiChat,
    form: true,
    // OpenAI's own fields of these names.
    keeps: ['metadata', 'timeout'],
    bare: ask.method === 'GET' || ask.method === 'DELETE',
    knows: (wire) => wire === 'openai' || wordsOf(ask.id, wire) !== undefined,
    reads: (wire) => wordsOf(ask.id, wire) !== undefined,
    bound: (body) =>
      isFree(ask) ? { output: 0 } : { output: 0, unknown: true, ...filmBound(ask, body) },
    text: () => '',
    start(operation) {
      const words = wordsOf(ask.id, operation.wire)
      return words
        ? { exchange: inWords(ask, operation, words.kept), decodeError: words.decodeError }
        : { exchange: passing(ask, operation), decodeError }
    },
  }
}
/** To look, to forget, to stop and to send a file costs nothing; what is begun will cost something later. */
const isFree = ({ method, path }: ResourceAsk): boolean =>
  method === 'GET' || method === 'DELETE' || path === '/files' || path.endsWith('/cancel')

/** The seconds of a film are known before it is made. */
function filmBound({ id }: ResourceAsk, body: OperationBody): ReturnType<typeof filmUnits> {
  if (id !== 'video') return {}
  const [seconds, size] = ['seconds', 'size'].map((key) => body.field(key) ?? null)
  return { seconds: 8, ...filmUnits({ seconds: seconds ?? null, size: size ?? null }) }
}

/** Deployments of `vector_store_registry`, by the id of the store. */
export const storePrefix = 'vector_store:'

const forBatches: ReadonlySet<string> = new Set(['files', 'batch'])

/** Who keeps such things in other words than OpenAI's. */
function wordsOf(id: string, wire: string): Words | undefined {
  if (id === 'video')
    return isFilmWire(wire)
      ? { kept: filmKept, decodeError: videoWires[wire].decodeError }
      : undefined
  if (id === 'vector_stores') {
    if (!isStoreWire(wire)) return undefined
    const stores = storeWires[wire]
    return {
      kept: (ask, operation) => storesKept(stores, ask, operation),
      decodeError: stores.decodeError,
    }
  }
  if (id === 'fine_tuning')
    return wire === 'vertex'
      ? { kept: vertexTuning, decodeError: cloudWires.vertex.decodeError }
      : undefined
  if (!forBatches.has(id)) return undefined
  if (wire === 'anthropic') return { kept: anthropicKept, decodeError: decodeAnthropic }
  if (!isCloudWire(wire)) return undefined
  const cloud = cloudWires[wire]
  return {
    kept: (ask, operation) => cloudKept(cloud, ask, operation),
    decodeError: cloud.decodeError,
  }
}
type Words = {
  kept(ask: ResourceAsk, operation: OperationAsk): Exchange<Told>
  decodeError: typeof decodeError
}

/** What was put into OpenAI's words, with ids that lead back. */
function* inWords(ask: ResourceAsk, operation: OperationAsk, kept: Words['kept']): Exchange<Told> {
  const { keeper, plain } = operation
  const told = yield* kept(ask, {
    ...operation,
    plain: () =>
      Object.fromEntries(
        Object.entries(plain()).map(([key, value]) => [key, withBareIds(key, value)]),
      ),
  })
  if (told.type === 'live' || told.mime !== 'application/json') return told
  // What is found names things of the provider's, and a store of the config has the id it has there.
  if (ask.path.endsWith('/search') || keeper.startsWith(storePrefix)) return told
  return {
    ...told,
    encode(counted) {
      const out = told.encode(counted)
      if (out instanceof Uint8Array) return out
      const body = withIds(object(JSON.parse(out.body)), keeper)
      return { body: JSON.stringify(body), encoding: 'utf8' }
    },
  }
}

function* passing(
  { id, method, path, query, live, model }: ResourceAsk,
  { to, upload, form, plain, keeper, stream }: OperationAsk,
): Exchange<Told> {
  const bare = method === 'GET' || method === 'DELETE'
  // A provider without a deployment knows the client's name for it.
  const place = model ? modelPlaces.get(placeWithin(path)) : undefined
  const own =
    place === 'needed' && to.model !== '*'
      ? { set: { model: to.model }, remove: forUs }
      : { set: {}, remove: place ? forUs : forUsAll }
  // Lines of a batch name the public model; whose deployment it is asks for its own.
  const named: Named = { things: new Set(), containers: new Set() }
  const purpose = upload?.fields.get('purpose')?.[0] ?? 'batch'
  const rewrite =
    id === 'files' && (to.model !== '*' || purpose === 'batch')
      ? () => changeLines(asSent(named, to.model === '*' ? undefined : withModel(to.model)))
      : undefined
  const passes = live || (id === 'assistants' && stream)
  const asked = bare || upload ? {} : plain()
  const answer = yield* askOnce({
    method,
    // Without it OpenAI does not know the paths (platform.openai.com/docs/assistants, 2026-11).
    ...(id === 'assistants' && { headers: { 'openai-beta': 'assistants=v2' } }),
    ...placeOf(to, id, `${path}${query === '' ? '' : `?${query}`}`),
    ...(!bare && {
      body: upload
        ? form(undefined, { ...own, ...(rewrite && { rewrite }) })
        : jsonBody(sentBody(asked, to, place)),
    }),
    ...(passes && { live: true as const }),
  })
  const mime = answer.header('content-type') ?? 'application/json'
  if (answer.live && live) return { type: 'live', mime, body: answer.live }
  if (answer.live) {
    const tap = runTap({ method, path }, (said) => readKept(said)?.id ?? said)
    return { type: 'live', mime, body: eventsWithIds(answer.live, keeper), tap }
  }
  if (!/json/i.test(mime)) return { type: 'whole', mime, encode: () => answer.bytes }
  const out = told(answer, keeper, { id, method, path }, asked)
  return named.things.size + named.containers.size > 0 ? { ...out, named } : out
}

/** A line of a batch with the provider's own ids; what it names is noted. */
const asSent =
  (named: Named, change: ((line: string) => string | undefined) | undefined) =>
  (line: string): string | undefined => {
    const changed = change?.(line)
    const here: Named = { things: new Set(), containers: new Set() }
    if (!nameIn(line, here)) return changed
    let said = changed ?? line
    for (const id of [...here.things, ...here.containers]) {
      const kept = readKept(id)
      if (kept) said = said.replaceAll(`"${id}"`, () => JSON.stringify(kept.id))
    }
    for (const id of here.things) named.things.add(id)
    for (const id of here.containers) named.containers.add(id)
    return said
  }

function told(
  answer: Answered,
  keeper: string,
  { id, method, path }: Pick<ResourceAsk, 'id' | 'method' | 'path'>,
  asked: JsonObject,
): Extract<Told, { type: 'whole' }> {
  const said = answer.bytes.length === 0 ? {} : readJson(answer)
  const body = withIds(said, keeper)
  const own = text(said['id'])
  const fresh = method === 'POST' && path === '/batches'
  const job = jobOf(id, { method, path }, said, asked)
  return {
    // What is over when it is told of for the first time is paid for at once.
    ...(job && (job.fresh && job.ended ? measuredOf(job) : { job })),
    ...(id === 'batch' &&
      own !== undefined && {
        batch: { id: own, ended: over.has(text(said['status']) ?? ''), fresh },
      }),
    type: 'whole',
    mime: 'application/json',
    encode: () => ({ body: JSON.stringify(body), encoding: 'utf8' }),
  }
}

const measuredOf = ({ usage, units }: Measured): Measured => ({
  ...(usage && { usage }),
  ...(units && { units }),
})

const over: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled'])

const forUsAll: ReadonlySet<string> = new Set([
  'model',
  'target_model_names',
  'custom_llm_provider',
  'litellm_metadata',
])
const forUs: ReadonlySet<string> = new Set([...forUsAll].filter((name) => name !== 'model'))

/** Where OpenAI knows a `model`: anywhere else it is an unknown parameter, which is refused. */
const modelPlaces: ReadonlyMap<string, 'needed' | 'may be'> = new Map([
  ['/fine_tuning/jobs', 'needed'],
  ['/videos', 'needed'],
  ['/assistants', 'needed'],
  ['/assistants/*', 'may be'],
  ['/threads/runs', 'may be'],
  ['/threads/*/runs', 'may be'],
] as const)
const placeWithin = (path: string): string =>
  path.replace(/^\/(threads|assistants)\/(?!runs$)[^/]+/, '/$1/*')

function sentBody(
  body: JsonObject,
  to: Target,
  place: 'needed' | 'may be' | undefined,
): JsonObject {
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(body))
    if (!forUsAll.has(key)) out[key] = withBareIds(key, value)
  const said = body['model']
  const model = to.model === '*' ? said : to.model
  const has = place === 'needed' || (place === 'may be' && said !== undefined)
  return has && model !== undefined ? { ...out, model } : out
}

/** Azure keeps them beside its deployments, and what came last in its API without versions by date only (2026-11). */
function placeOf({ quirks }: Target, id: string, path: string): Pick<Sent, 'path' | 'address'> {
  if (!quirks.chatPath?.startsWith('/openai/deployments/')) return { path }
  if (!undated.has(id)) return { path: `/openai${path}` }
  return { path, address: (base) => `${undatedAzure(base)}${path}` }
}
const undated: ReadonlySet<string> = new Set(['video', 'containers'])

/** Fields that name what a provider keeps. */
const idFields: ReadonlySet<string> = new Set(
  `id input_file_id output_file_id error_file_id file_id file_ids training_file validation_file vector_store_id
  vector_store_ids batch_id first_id last_id assistant_id thread_id run_id message_id step_id`.split(
    /\s+/,
  ),
)
/** Where assistants and threads speak of what is kept, below the top. */
const containers: ReadonlySet<string> = new Set(
  `data thread messages additional_messages tool_resources code_interpreter file_search attachments content image_file
  text annotations file_citation file_path delta step_details message_creation video characters`.split(
    /\s+/,
  ),
)

/** `file-` and base64url of `litellm:<the provider's id>;model,<deployment>`: LiteLLM's clients know ids like these. */
export function keptId(id: string, keeper: string): string {
  if (readKept(id)) return id
  const kind = /^[a-z]+(?=[-_])/.exec(id)?.[0] ?? 'id'
  return `${kind}-${base64url(`litellm:${id};model,${keeper}`)}`
}

/** The provider's own id, and who keeps it; undefined for an id that says nothing of it. */
export function readKept(id: string): { id: string; keeper: string } | undefined {
  const coded = /^[a-z]{2,12}-([A-Za-z0-9_-]{16,1024})$/.exec(id)?.[1]
  if (coded === undefined) return undefined
  try {
    const said = utf8(bytesOf(atob(coded.replaceAll('-', '+').replaceAll('_', '/'))))
    const found = /^litellm:([\x21-\x7e]{1,300});model,([\x20-\x7e]{1,300})$/.exec(said)
    return found?.[1] && found[2] ? { id: found[1], keeper: found[2] } : undefined
  } catch {
    return undefined
  }
}

const base64url = (said: string): string =>
  btoa(latin1(toUtf8(said)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')

const bareIds = (value: Json | undefined): Json => {
  if (typeof value === 'string') return readKept(value)?.id ?? value
  return Array.isArray(value) ? value.map(bareIds) : (value ?? null)
}

function withBareIds(key: string, value: Json | undefined): Json {
  if (idFields.has(key)) return bareIds(value)
  if (!containers.has(key)) return value ?? null
  if (Array.isArray(value)) return value.map((item) => withBareIds(key, item))
  if (!isObject(value)) return value ?? null
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withBareIds(name, item)]),
  )
}

/** Ids of an answer, of the items of a list, and of what is inside them. */
function withIds(body: JsonObject, keeper: string): JsonObject {
  const sealed = (key: string, value: Json | undefined): Json | undefined => {
    if (idFields.has(key)) {
      if (Array.isArray(value)) return value.map((item) => sealed(key, item) ?? null)
      return text(value) ? keptId(text(value) ?? '', keeper) : value
    }
    if (!containers.has(key)) return value
    if (Array.isArray(value)) return value.map((item) => sealed(key, item) ?? null)
    return isObject(value) ? withIds(value, keeper) : value
  }
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(body)) out[key] = sealed(key, value)
  return out
}

/** The same in the events of a stream. A line that is no JSON, or too long, passes as it is. */
async function* eventsWithIds(
  body: AsyncIterable<Uint8Array>,
  keeper: string,
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder()
  let rest = ''
  const told = (line: string): string => {
    if (!line.startsWith('data:')) return line
    try {
      const value: Json = JSON.parse(line.slice(5))
      return isObject(value) ? `data: ${JSON.stringify(withIds(value, keeper))}` : line
    } catch {
      return line
    }
  }
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) yield toUtf8(lines.map((line) => `${told(line)}\n`).join(''))
    if (rest.length > lineMax) {
      yield toUtf8(rest)
      rest = ''
    }
  }
  if (rest !== '') yield toUtf8(told(rest))
}
const lineMax = 4 * 1024 * 1024
