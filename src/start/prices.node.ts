import { GatewayError } from '../errors.ts'
import type { Prices } from '../gateway/prices.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { number } from '../json/json.ts'
import { originOf, refreshCatalogue, refreshUrl } from '../provider/catalogue.node.ts'
import type { CatalogueHolder } from '../provider/catalogue.ts'
import type { Store } from '../store/store.ts'

export type PricesOptions = {
  env: (name: string) => string | undefined
  dataDir: string
  holder: CatalogueHolder
  store: Store
  /** Prices the models anew. */
  served(): Promise<void>
  fetch: typeof globalThis.fetch
  log: Rooms['log']
  now?: () => number
  /** Milliseconds before the second try to fetch it. */
  retryMs?: number
}

/** The document of the schedule, and what processes tell each other. */
const name = 'model_cost_map_reload'
const told = 'prices'
const lookMs = 60_000
const hourMs = 3_600_000

/** Fetches newer prices at the start, when asked to, and by the clock; every process its own. */
export function openPrices({
  env,
  dataDir,
  holder,
  store,
  served,
  fetch,
  log,
  now = Date.now,
  retryMs,
}: PricesOptions): Prices & { look(): Promise<void>; close(): void } {
  const ended = new AbortController()
  let loadedAt = now()
  let lookedAt: number | undefined
  let problem: string | undefined
  let running: Promise<void> | undefined

  async function load(): Promise<void> {
    const url = refreshUrl(env)
    if (url === undefined)
      throw new GatewayError(
        'bad_request',
        'There is no address to fetch prices from: set LITELLM_MODEL_COST_MAP_URL, and LITELLM_LOCAL_MODEL_COST_MAP to nothing',
      )
    lookedAt = now()
    try {
      const next = await refreshCatalogue({
        ...{ url, dataDir, fetch, log, now },
        current: holder.current,
        signal: ended.signal,
        ...(retryMs !== undefined && { retryMs }),
      })
      problem = undefined
      if (!next) return
      holder.replace(next)
      loadedAt = now()
      await served()
    } catch (cause) {
      problem = cause instanceof Error ? cause.message : String(cause)
      throw new GatewayError(
        'unavailable',
        `The prices could not be fetched, the present ones stay: ${problem}`,
        { status: 502, cause },
      )
    }
  }

  /** One at a time; whoever asks meanwhile gets the same. */
  const fetchNow = (): Promise<void> => {
    running ??= load().finally(() => {
      running = undefined
    })
    return running
  }
  const quietly = (): Promise<void> =>
    fetchNow().catch((cause: unknown) => {
      if (!ended.signal.aborted)
        log('warn', GatewayError.is(cause) ? cause.message : 'the prices could not be fetched')
    })

  const interval = async (): Promise<number | undefined> =>
    number((await store.docs.setting.find(name))?.data['interval_hours'])

  async function look(): Promise<void> {
    if (refreshUrl(env) === undefined) return
    const hours = await interval()
    if (hours !== undefined && now() - (lookedAt ?? loadedAt) >= hours * hourMs) await quietly()
  }
  const timer = setInterval(() => {
    // A database that is away is looked at again in a minute.
    look().catch(() => {})
  }, lookMs)
  timer.unref()
  // What this process tells the others it does not hear itself.
  store.onChange((kind) => {
    if (kind === told && !ended.signal.aborted) void quietly()
  })
  if (refreshUrl(env) !== undefined) void quietly()

  return {
    source: () => ({
      models: holder.current.size,
      url: originOf(holder.current)?.url,
      etag: originOf(holder.current)?.etag,
      localOnly: env('LITELLM_LOCAL_MODEL_COST_MAP')?.toLowerCase() === 'true',
      loadedAt,
      lookedAt,
      problem,
    }),
    async refresh() {
      await fetchNow()
      await store.announce(told, name)
    },
    interval,
    async setInterval(hours) {
      await store.write(async (tx) => {
        const was = await tx.setting.find(name)
        const data = hours === undefined ? {} : { interval_hours: hours }
        if (was) await tx.setting.update(name, (doc) => void (doc.data = data))
        else await tx.setting.insert({ id: name, data })
      })
    },
    look,
    close() {
      clearInterval(timer)
      ended.abort()
    },
  }
}
