import type { FaultKind, GatewayError } from '../errors.ts'
import { GatewayError as Fault } from '../errors.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type Groups, groupsOf } from './groups.ts'
import { createHealth, type Health, secondsAsked } from './health.ts'

export type RouterSettings = {
  /** Tries after the first one, inside one model group. */
  retries: number
  /** Tries by kind of error; wins over `retries`. By group first, then for all. */
  retryPolicy: RetryPolicy
  groupRetryPolicy: Readonly<Record<string, RetryPolicy>>
  /** Least wait between two tries of one deployment, seconds. */
  retryAfterSeconds: number
  cooldownSeconds: number
  disableCooldowns: boolean
  /** Failures before a cooldown, within its time; absent: the default rule (see health.ts). */
  allowedFails: number | undefined
  allowedFailsPolicy: RetryPolicy
  fallbacks: Fallbacks
  contextWindowFallbacks: Fallbacks | undefined
  contentPolicyFallbacks: Fallbacks | undefined
  maxFallbacks: number
  /** Alias → model group. A hidden one is not listed. */
  aliases: Readonly<Record<string, { group: string; hidden: boolean }>>
  tagFiltering: boolean
  tagMatchAny: boolean
}
/** Numbers by LiteLLM's error class, e.g. `{RateLimitError: 3}`. */
export type RetryPolicy = Readonly<Partial<Record<FaultKind | 'default', number>>>
/** Group → groups tried after it; the key may be `*`. */
export type Fallbacks = Readonly<Record<string, readonly string[]>>

export type RouterOptions = {
  deployments: readonly Deployment[]
  settings: RouterSettings
  /** Makes a deployment for a name that a wildcard row matches. */
  expand: (wildcard: Deployment, publicName: string, upstreamName: string) => Deployment
  now?: () => number
  random?: () => number
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

export type Router = {
  readonly settings: RouterSettings
  readonly groups: Groups
  readonly health: Health
  /** Is there anything by this name? */
  knows(name: string): boolean
  /** Tries deployments and fallback groups until one answers. */
  route<T>(ask: RouteAsk<T>): Promise<Routed<T>>
}

export type RouteAsk<T> = {
  /** The name the client asked for. */
  model: string
  tags: readonly string[]
  /** Overrides of the request. */
  retries: number | undefined
  fallbacks: readonly string[] | undefined
  disableFallbacks: boolean
  /** A fallback never opens what the caller may not use. */
  mayUse?: (group: string) => boolean
  /** Others do not know what was said before, and neither do fallback groups. */
  only?: ((deployment: Deployment) => boolean) | undefined
  /** The client set the time limit: passing it is not the deployment's fault. */
  ownTimeout?: boolean
  signal: AbortSignal
  attempt(deployment: Deployment): Promise<T>
}
export type Routed<T> = {
  answer: T
  deployment: Deployment
  retries: number
  fallbacks: number
  /** To be called once, when the answer has ended: frees the deployment's slot and remembers how it went. */
  release(error: GatewayError | undefined): void
}

export function createRouter(options: RouterOptions): Router {
  const { settings, now = Date.now, random = Math.random, sleep = wait } = options
  const groups = groupsOf(options)
  const health = createHealth(settings, groups, now)

  /** All of a group: when a level of `order` has failed, the next one gets its own tries. */
  /** No function more than needed between a request and its answer: each that is `async` costs every request. */
  function routeGroup<T>(name: string, ask: RouteAsk<T>, fallbacks: number): Promise<Routed<T>> {
    const found = groups.find(name)
    const all = ask.only ? found.filter(ask.only) : found
    if (all.length === 0) throw unknownModel(name)
    const level = settings.tagFiltering ? byTags(all, ask.tags, settings.tagMatchAny) : all
    if (level.length === 0)
      throw new Fault('authentication', 'Not allowed to access model due to tags configuration', {
        type: 'auth_error',
      })
    const order = level[0] && orderOf(level[0])
    return level.every((one) => orderOf(one) === order)
      ? routeLevel(name, level, ask, fallbacks, {})
      : routeLevels(name, level, ask, fallbacks)
  }

  /** Lower orders first; the next when all of the lower are out. */
  async function routeLevels<T>(
    name: string,
    all: readonly Deployment[],
    ask: RouteAsk<T>,
    fallbacks: number,
  ): Promise<Routed<T>> {
    let level = all
    for (;;) {
      const reached: { order?: number } = {}
      try {
        return await routeLevel(name, level, ask, fallbacks, reached)
      } catch (cause) {
        const error = Fault.from(cause)
        const { order } = reached
        const next = order === undefined ? [] : level.filter((one) => orderOf(one) > order)
        const ready = next.some((one) => !health.cooling(one) && health.hasSlot(one))
        if (!ready || stays.has(error.kind) || ask.signal.aborted) throw error
        level = next
      }
    }
  }

  async function routeLevel<T>(
    name: string,
    all: readonly Deployment[],
    ask: RouteAsk<T>,
    fallbacks: number,
    reached: { order?: number },
  ): Promise<Routed<T>> {
    let failed: Set<Deployment> | undefined
    let last: GatewayError | undefined
    for (let tried = 0; ; tried++) {
      const deployment = pick(name, all, failed, last)
      const order = orderOf(deployment)
      reached.order = Math.max(reached.order ?? order, order)
      health.started(deployment)
      const blame = (error: GatewayError | undefined): GatewayError | undefined =>
        ask.ownTimeout && error?.kind === 'timeout' ? gone() : error
      try {
        const answer = await ask.attempt(deployment)
        const release = (error: GatewayError | undefined) => health.ended(deployment, blame(error))
        return { answer, deployment, retries: tried, fallbacks, release }
      } catch (cause) {
        const error = (last = Fault.from(cause))
        health.ended(deployment, blame(error))
        const seen = (failed ??= new Set()).add(deployment)
        const warm = all.filter((one) => !health.cooling(one))
        const others = warm.filter((one) => !seen.has(one))
        if (
          warm.length === 0 ||
          !again(name, deployment, error, tried, all.length, others.length, ask)
        )
          throw error
        if (others.length === 0) {
          failed = undefined
          await sleep(backoffMs(error, tried), ask.signal)
          if (ask.signal.aborted) throw gone()
        }
      }
    }
  }

  function pick(
    name: string,
    all: readonly Deployment[],
    failed: ReadonlySet<Deployment> | undefined,
    last: GatewayError | undefined,
  ): Deployment {
    // The everyday group: one deployment, with nothing to choose.
    const only = all[0]
    if (only && all.length === 1 && !health.cooling(only) && health.hasSlot(only)) return only
    const warm = all.filter((one) => !health.cooling(one))
    // What a deployment said tells more than that there is no other.
    if (warm.length === 0) throw last ?? allCooling(name, all, health, now())
    const free = warm.filter((one) => health.hasSlot(one))
    if (free.length === 0)
      throw (
        last ??
        new Fault(
          'rate_limit',
          `Model rate limit exceeded. All deployments of ${name} have max_parallel_requests in use.`,
          { type: 'throttling_error' },
        )
      )
    const fresh = free.filter((one) => !failed?.has(one))
    const candidates = fresh.length > 0 ? fresh : free
    const first = Math.min(...candidates.map(orderOf))
    const level = candidates.filter((one) => orderOf(one) === first)
    return shuffle(level, random)
  }

  function again(
    name: string,
    deployment: Deployment,
    error: GatewayError,
    tried: number,
    size: number,
    others: number,
    ask: RouteAsk<unknown>,
  ): boolean {
    if (ask.signal.aborted || error.kind === 'canceled') return false
    const bound =
      ask.retries ??
      policyOf(settings.groupRetryPolicy[name], error) ??
      policyOf(settings.retryPolicy, error) ??
      deployment.retries ??
      settings.retries
    if (tried >= bound) return false
    // What was wrong before anything was sent is wrong the next time too.
    if (error === deployment.problem) return others > 0
    if (error.kind === 'context_window' && settings.contextWindowFallbacks) return false
    if (error.kind === 'content_policy' && settings.contentPolicyFallbacks) return false
    if (
      ask.retries === undefined &&
      (policyOf(settings.groupRetryPolicy[name], error) ?? policyOf(settings.retryPolicy, error))
    )
      return true
    if (error.kind === 'authentication' || error.kind === 'permission')
      return size > 1 && others > 0
    if (error.status === 404) return false
    return error.status === 408 ||
      error.status === 409 ||
      error.status === 429 ||
      error.status >= 500
      ? error.kind !== 'not_offered' && error.kind !== 'internal'
      : false
  }

  function backoffMs(error: GatewayError, tried: number): number {
    const asked = secondsAsked(error.retryAfter, now()) ?? 0
    const jitter = random() * 0.75
    if (asked > 0 && asked <= 60) return (asked + jitter) * 1000
    const step = Math.min(0.5 * 2 ** tried, 8)
    return (Math.max(step, settings.retryAfterSeconds) + jitter) * 1000
  }

  /** The groups to try after one failed, in this way. */
  function fallbacksOf(
    name: string,
    error: GatewayError,
    ask: RouteAsk<unknown>,
  ): readonly string[] {
    const all = namedFallbacks(name, error, ask)
    return ask.mayUse ? all.filter((group) => ask.mayUse?.(groups.nameOf(group))) : all
  }

  function namedFallbacks(
    name: string,
    error: GatewayError,
    ask: RouteAsk<unknown>,
  ): readonly string[] {
    if (ask.disableFallbacks || ask.only || error.kind === 'canceled') return []
    if (ask.fallbacks) return ask.fallbacks
    const find = (table: Fallbacks): readonly string[] => {
      const own = (key: string) => (Object.hasOwn(table, key) ? table[key] : undefined)
      const bare = name.slice(name.indexOf('/') + 1)
      return own(name) ?? own(bare) ?? groups.wildcard(table, name) ?? own('*') ?? []
    }
    if (error.kind === 'context_window' && settings.contextWindowFallbacks)
      return find(settings.contextWindowFallbacks)
    if (error.kind === 'content_policy' && settings.contentPolicyFallbacks)
      return find(settings.contentPolicyFallbacks)
    return find(settings.fallbacks)
  }

  return {
    settings,
    groups,
    health,
    knows: (name) => groups.find(name).length > 0,
    async route(ask) {
      const asked = groups.nameOf(ask.model)
      let error: GatewayError
      try {
        return await routeGroup(asked, ask, 0)
      } catch (cause) {
        error = Fault.from(cause)
      }
      const seen = new Set([asked])
      const queue = [...fallbacksOf(asked, error, ask)]
      for (let depth = 1; queue.length > 0 && depth <= settings.maxFallbacks; depth++) {
        const next = groups.nameOf(queue.shift() ?? '')
        if (seen.has(next)) {
          depth--
          continue
        }
        seen.add(next)
        if (groups.find(next).length === 0) continue
        try {
          return await routeGroup(next, ask, depth)
        } catch (cause) {
          const later = Fault.from(cause)
          if (later.kind === 'canceled') throw later
          if (!ask.fallbacks) queue.push(...fallbacksOf(next, later, ask))
        }
      }
      // What went wrong first is what the client asked about.
      throw error
    },
  }
}

const policyOf = (policy: RetryPolicy | undefined, error: GatewayError): number | undefined =>
  policy?.[error.kind] ?? policy?.default

export const unknownModel = (name: string): GatewayError =>
  new Fault(
    'bad_request',
    `Invalid model name passed in model=${name.slice(0, 300)}. Call \`/v1/models\` to view available models for your key.`,
    { type: 'invalid_request_error' },
  )

function allCooling(
  name: string,
  group: readonly Deployment[],
  health: Health,
  now: number,
): GatewayError {
  const until = Math.min(...group.map((one) => health.coolUntil(one)))
  const seconds = Math.max(1, Math.ceil((until - now) / 1000))
  return new Fault(
    'rate_limit',
    `No deployments available for selected model, Try again in ${seconds} seconds. All deployments for selected model are in cooldown. Passed model=${name}. pre-call-checks=False, cooldown_list=[${group.map((one) => `'${one.id}'`).join(', ')}]`,
    { type: 'all_deployments_in_cooldown', retryAfter: String(seconds) },
  )
}

/** Deployments whose tags fit; those tagged `default` serve what fits nothing. No tags asked and none default: all; tags that fit nothing: none. */
function byTags(
  all: readonly Deployment[],
  tags: readonly string[],
  any: boolean,
): readonly Deployment[] {
  const fits = (one: Deployment) =>
    any ? tags.some((tag) => one.tags.includes(tag)) : tags.every((tag) => one.tags.includes(tag))
  const matching = tags.length > 0 ? all.filter(fits) : []
  if (matching.length > 0) return matching
  const byDefault = all.filter((one) => one.tags.includes('default'))
  if (byDefault.length > 0) return byDefault
  return tags.length > 0 ? [] : all
}

/** A row without one comes last. */
const orderOf = ({ order }: Deployment): number => order ?? Number.POSITIVE_INFINITY

/** Errors that another level of the same group would not mend, or that have their own fallbacks. */
const stays = new Set<FaultKind>(['canceled', 'context_window', 'content_policy'])

const gone = (): GatewayError => new Fault('canceled', 'the client has gone')

/** Weighted by the first of weight, rpm and tpm that any deployment states; those without it are then not drawn. */
export function shuffle(level: readonly Deployment[], random: () => number): Deployment {
  const only = level[0]
  if (only && level.length === 1) return only
  const metric = (['weight', 'rpm', 'tpm'] as const).find((key) =>
    level.some((one) => (one[key] ?? 0) > 0),
  )
  const weightOf = (one: Deployment) => (metric ? Math.max(0, one[metric] ?? 0) : 1)
  let dart = random() * level.reduce((sum, one) => sum + weightOf(one), 0)
  for (const one of level) {
    dart -= weightOf(one)
    if (dart < 0) return one
  }
  const last = level.findLast((one) => weightOf(one) > 0) ?? only
  if (!last) throw new Fault('internal', 'no deployment to choose from')
  return last
}

const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (ms <= 0 || signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
