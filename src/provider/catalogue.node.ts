import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, number, object, text } from '../json/json.ts'
import { type Catalogue, createCatalogue, isPriceField } from './catalogue.ts'

/**
 * The catalogue that came with the gateway, or a newer one that a refresh left in the data folder. Reading it takes
 * some 40 ms, most of it JSON.parse, and happens once per process, at the first call.
 */
export function loadCatalogue({ dataDir, env }: LoadOptions): Promise<Catalogue> {
  const folder = refreshUrl(env) === undefined ? undefined : dataDir
  const key = folder ?? ''
  let loading = loaded.get(key)
  if (!loading) {
    loading = load(folder)
    loaded.set(key, loading)
    // A failure is not remembered: the next call tries again.
    loading.catch(() => loaded.delete(key))
  }
  return loading
}
const loaded = new Map<string, Promise<Catalogue>>()

export type LoadOptions = {
  dataDir?: string | undefined
  env: (name: string) => string | undefined
}

/**
 * Where a newer price list is fetched from, with LiteLLM's names of the switches. LiteLLM fetches from its project's
 * repository unless told not to; a gateway that nobody told to does not call home, so without LITELLM_MODEL_COST_MAP_URL
 * there is no refresh, and a file left by an earlier one is not read.
 */
export function refreshUrl(env: (name: string) => string | undefined): string | undefined {
  if (env('LITELLM_LOCAL_MODEL_COST_MAP')?.toLowerCase() === 'true') return undefined
  return env('LITELLM_MODEL_COST_MAP_URL')?.trim() || undefined
}

async function load(folder: string | undefined): Promise<Catalogue> {
  const shipped = await readShipped()
  if (folder === undefined) return createCatalogue(shipped.data)
  const kept = await readKept(folder)
  if (!kept || !(kept.fetched > shipped.date)) return createCatalogue(shipped.data)
  try {
    const models = checkCatalogue(kept.body, countModels(shipped.data))
    const catalogue = createCatalogue(adopt(models, shipped.data))
    origins.set(catalogue, kept)
    return catalogue
  } catch {
    return createCatalogue(shipped.data)
  }
}

type Shipped = { data: JsonObject; date: string }
let shippedOnce: Promise<Shipped> | undefined

function readShipped(): Promise<Shipped> {
  shippedOnce ??= (async () => {
    const folder = shippedFolder()
    try {
      const data = JSON.parse(
        (await unzip(await readFile(join(folder, 'models.json.gz')))).toString('utf8'),
      )
      const meta = JSON.parse(await readFile(join(folder, 'models.meta.json'), 'utf8'))
      return { data: object(data), date: text(object(meta).date) ?? '' }
    } catch (cause) {
      shippedOnce = undefined
      throw new GatewayError(
        'internal',
        `The model catalogue in ${folder} cannot be read: install the package again.`,
        { cause },
      )
    }
  })()
  return shippedOnce
}
const unzip = promisify(gunzip)

/** `data/` lies beside `src/` in a clone and beside `dist/` in the package, so it is looked for upwards. */
export function shippedFolder(): string {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    const folder = join(at, 'data')
    if (existsSync(join(folder, 'models.json.gz'))) return folder
    if (dirname(at) === at)
      throw new GatewayError(
        'internal',
        'data/models.json.gz is missing: install the package again.',
      )
  }
}

type Origin = { url: string | undefined; etag: string | undefined }
/** Where a catalogue was fetched, so that the server can say it has nothing newer than that one. */
const origins = new WeakMap<Catalogue, Origin>()
/** Undefined: it came with the gateway. */
export const originOf = (catalogue: Catalogue): Origin | undefined => origins.get(catalogue)

export type RefreshOptions = {
  url: string
  /** Where the last good list is kept; absent: it lives as long as the process. */
  dataDir?: string | undefined
  current: Catalogue
  fetch: typeof globalThis.fetch
  signal?: AbortSignal | undefined
  log?: (level: 'info' | 'warn', message: string) => void
  now?: () => number
  random?: () => number
  /** Milliseconds before the second attempt; doubled for the third. */
  retryMs?: number
}

const attempts = 3
const attemptMs = 30_000
const bytesMax = 50 * 1024 * 1024

/** A newer catalogue, or nothing where there is none. Throws where it cannot be had: then the present one is better than none. */
export async function refreshCatalogue(options: RefreshOptions): Promise<Catalogue | undefined> {
  const { url, dataDir, current, log, now = Date.now } = options
  const shipped = await readShipped()
  const origin = origins.get(current)
  const got = await fetchTries(options, origin?.url === url ? origin.etag : undefined)
  if (!got) {
    log?.('info', 'model catalogue: nothing newer')
    return undefined
  }
  const models = checkCatalogue(got.body, current.size)
  const next = createCatalogue(adopt(models, shipped.data))
  origins.set(next, { url, etag: got.etag })
  if (dataDir !== undefined) await keep(dataDir, got, url, new Date(now()).toISOString(), log)
  log?.('info', `model catalogue: refreshed, ${next.size} models`)
  return next
}

/** A regular expression from the network can hang the process, so the general rules are always those that were shipped. */
const adopt = (models: JsonObject, shipped: JsonObject): JsonObject => ({
  ...models,
  fallback_generalizations: shipped.fallback_generalizations,
})

type Fetched = { body: string; etag: string | undefined }

async function fetchTries(
  options: RefreshOptions,
  etag: string | undefined,
): Promise<Fetched | undefined> {
  const { random = Math.random, retryMs = 1000, signal } = options
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(options, etag)
    } catch (cause) {
      if (
        attempt === attempts ||
        signal?.aborted ||
        (GatewayError.is(cause) && cause.kind === 'bad_request')
      )
        throw cause
      // Full jitter: gateways that were started together do not come back together.
      await pause(retryMs * 2 ** (attempt - 1) * (0.5 + random() / 2), signal)
    }
  }
}

async function fetchOnce(
  { url, fetch, signal }: RefreshOptions,
  etag: string | undefined,
): Promise<Fetched | undefined> {
  const limit = AbortSignal.timeout(attemptMs)
  const answer = await fetch(url, {
    headers: etag === undefined ? {} : { 'if-none-match': etag },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  })
  if (answer.status === 304) return undefined
  if (!answer.ok) {
    await answer.body?.cancel()
    const again = answer.status >= 500 || answer.status === 429 || answer.status === 408
    throw new GatewayError(
      again ? 'unavailable' : 'bad_request',
      `the server answered ${answer.status}`,
    )
  }
  return { body: await readBody(answer), etag: answer.headers.get('etag') ?? undefined }
}

async function readBody(answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let size = 0
  let body = ''
  if (!answer.body) return body
  for await (const chunk of answer.body) {
    size += chunk.length
    if (size > bytesMax)
      throw new GatewayError('bad_request', `the list is larger than ${bytesMax} bytes`)
    body += decoder.decode(chunk, { stream: true })
  }
  return body + decoder.decode()
}

/** Throws when this is no list of models, or has lost so many that it cannot be meant. */
export function checkCatalogue(body: string, models: number): JsonObject {
  const data = parse(body)
  const wrong = Object.keys(data).find((key) => !isEntry(data[key]))
  if (wrong !== undefined)
    throw new GatewayError('bad_request', `the entry "${wrong.slice(0, 100)}" is not a model`)
  const found = countModels(data)
  if (found < 50) throw new GatewayError('bad_request', `the list has only ${found} models`)
  if (found < models / 2)
    throw new GatewayError(
      'bad_request',
      `the list has ${found} models, less than half of the ${models} known`,
    )
  return data
}

function parse(body: string): JsonObject {
  let data: unknown
  try {
    data = JSON.parse(body)
  } catch (cause) {
    throw new GatewayError('bad_request', 'the list is not JSON', { cause })
  }
  if (!isObject(data)) throw new GatewayError('bad_request', 'the list is not a JSON object')
  return data
}

function isEntry(value: unknown): boolean {
  if (!isObject(value)) return false
  for (const key of Object.keys(value)) {
    const field = value[key]
    if (
      (key === 'litellm_provider' || key === 'mode') &&
      typeof field !== 'string' &&
      field !== null
    )
      return false
    if (isPriceField(key) && typeof field === 'boolean') return false
    if (isPriceField(key) && typeof field === 'string' && Number.isNaN(Number(field))) return false
  }
  return true
}

const countModels = (data: JsonObject): number =>
  Object.keys(data).filter((key) => key !== 'sample_spec' && key !== 'fallback_generalizations')
    .length

const files = (folder: string) => ({
  list: join(folder, 'models.json'),
  about: join(folder, 'models.meta.json'),
})

type Kept = { body: string; fetched: string; etag: string | undefined; url: string | undefined }

async function readKept(folder: string): Promise<Kept | undefined> {
  try {
    const { list, about } = files(folder)
    const meta = object(JSON.parse(await readFile(about, 'utf8')))
    const body = await readFile(list, 'utf8')
    // A crash between the two renames leaves a list its notes do not describe.
    if (number(meta.length) !== body.length) return undefined
    return { body, fetched: text(meta.fetched) ?? '', etag: text(meta.etag), url: text(meta.url) }
  } catch {
    return undefined
  }
}

/** Not being able to write costs the next start its head start, and nothing now. */
async function keep(
  folder: string,
  { body, etag }: Fetched,
  url: string,
  fetched: string,
  log: RefreshOptions['log'],
): Promise<void> {
  const { list, about } = files(folder)
  try {
    await mkdir(folder, { recursive: true })
    await replace(list, body)
    await replace(about, JSON.stringify({ url, etag, fetched, length: body.length }))
  } catch (cause) {
    log?.('warn', `model catalogue: cannot be kept in ${folder}: ${reason(cause)}`)
  }
}

async function replace(path: string, body: string): Promise<void> {
  const beside = `${path}.${process.pid}.tmp`
  try {
    await writeFile(beside, body)
    await rename(beside, path)
  } finally {
    await rm(beside, { force: true })
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
