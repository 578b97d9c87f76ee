import type { FaultKind, GatewayError } from '../errors.ts'
import { GatewayError as Fault } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import { number } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type AffinitySettings, type Belonging, createAffinity, type Pins } from './affinity.ts'
import { type Groups, groupsOf } from './groups.ts'
import { createHealth, type Health, type HealthMemory, secondsAsked } from './health.ts'
import type { Lar1, Lar1Thresholds } from './lar1.ts'
import { createMeter, type Meter } from './meter.ts'
import { measures, type StrategyName, strategies, withinLimits } from './strategies.ts'

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
  /** Absent: simple-shuffle. */
  strategy?: StrategyName
  strategyArgs?: StrategyArgs
  /** A row's rpm and tpm are limits, not only weights: beyond them it is not asked. */
  enforceLimits?: boolean
  /** Rows whose context is too small for the request, or whose rpm is used up, are left out. */
  preCallChecks?: boolean
  /** Requests at a time of a row that states no limit of any kind. */
  parallelDefault?: number | undefined
  /** Who is kept at one deployment of a group; absent: nobody. */
  affinity?: AffinitySettings | undefined
}
export type StrategyArgs = {
  ttlSeconds?: number
  /** Share of the lowest latency by which others may be slower. */
  latencyBuffer?: number
  latencyListMax?: number
  firstPercentile?: number | undefined
  lar1?: Lar1Thresholds
}
/** What some strategies and stickiness look at: worked out only where the settings have one of them. */
export type RouteHints = Belonging & { lar1?: Lar1 | undefined }
/** Numbers by LiteLLM's error class, e.g. `{RateLimitError: 3}`. */
export type RetryPolicy = Readonly<Partial<Record<FaultKind | 'default', number>>>
/** Group → groups tried after it; the key may be `*`. */
export type Fallbacks = Readonly<Record<string, readonly string[]>>

export type RouterOptions = {
  deployments: readonly Deployment[]
  settings: RouterSettings
  /** Makes a deployment for a name that a wildcard row matches. */
  expand: (wildcard: Deployment, publicName: string, upstreamName: string) => Deployment
  /** What an earlier router knew of deployments that stay as they were. */
  memory?: HealthMemory
  /** Who was given which, by an earlier router. */
  pins?: Pins | undefined
  /** Why a deployment is not asked now, whatever it can: its provider has had its money. Undefined: it may be. */
  passOver?: ((deployment: Deployment) => string | undefined) | undefined
  now?: () => number
  random?: () => number
  sleep?: (ms: number, signal: Signal) => Promise<void>
}

export type Router = {
  readonly settings: RouterSettings
  readonly groups: Groups
  readonly health: Health
  /** For the router that takes this one's place. */
  readonly pins: Pins
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
  /** The same after these two kinds of error; absent: as the settings say. */
  contextWindowFallbacks?: readonly string[] | undefined
  contentPolicyFallbacks?: readonly string[] | undefined
  disableFallbacks: boolean
  /** A fallback never opens what the caller may not use. */
  mayUse?: (group: string) => boolean
  /** Somebody tries the fallbacks out: the group fails in this way, unasked and unblamed. */
  failFirst?: GatewayError | undefined
  /** Others do not know what was said before, and neither do fallback groups. */
  only?: ((deployment: Deployment) => boolean) | undefined
  /** The answer is to be streamed. */
  stream?: boolean
  /** Told of each attempt that fails. */
  failed?(error: GatewayError): void
  /** How long the request is, for those who look before they ask. */
  inputTokens?: () => number | undefined
  hints?: RouteHints | undefined
  /** The client set the time limit: passing it is not the deployment's fault. */
  ownTimeout?: boolean
  signal: Signal
  attempt(deployment: Deployment): Promise<T>
}
export type Routed<T> = {
  answer: T
  deployment: Deployment
  retries: number
  fallbacks: number
  /** To be called once, when the answer has ended: frees the deployment's slot and remembers how it went. */
  release(error: GatewayError | undefined): void
  /** To be called once its tokens are known, where somebody wants to know; absent: nobody does. */
  measured?: ((tokens: { input: number; output: number }) => void) | undefined
}

export function createRouter(options: RouterOptions): Router {
  const { settings, now = Date.now, random = Math.random, sleep = wait, passOver } = options
  const groups = groupsOf(options)
  const health = createHealth(settings, groups, now, options.memory)
  const { strategy = 'simple-shuffle', strategyArgs = {}, enforceLimits, preCallChecks } = settings
  const { latencyListMax: sizeMax, latencyBuffer = 0, lar1: _, ...times } = strategyArgs
  const meter =
    measures(strategy) || enforceLimits || preCallChecks
      ? createMeter({ now, ...times, ...(sizeMax !== undefined && { sizeMax }) })
      : undefined
  const idle = createMeter({ now })
  const pins: Pins = options.pins ?? new Map()
  const affinity = settings.affinity && createAffinity(settings.affinity, now, pins)

  /** Who of a group may be asked. */
  function membersOf(name: string, ask: RouteAsk<unknown>): readonly Deployment[] {
    const found = groups.find(name)
    const all = ask.only ? found.filter(ask.only) : found
    if (all.length === 0) throw unknownModel(name)
    const tagged = settings.tagFiltering ? byTags(all, ask.tags, settings.tagMatchAny) : all
    if (tagged.length === 0)
      throw new Fault('authentication', 'Not allowed to access model due to tags configuration', {
        type: 'auth_error',
      })
    const level = passOver ? tagged.filter((one) => passOver(one) === undefined) : tagged
    if (level.length === 0)
      throw new Fault(
        'rate_limit',
        `No deployments available - crossed budget for provider. ${(tagged[0] && passOver?.(tagged[0])) ?? ''}`,
        { type: 'budget_exceeded', code: '429' },
      )
    return level
  }

  function triesOf<T>(name: string, ask: RouteAsk<T>, fallbacks: number): Tries<T> {
    const level = membersOf(name, ask)
    const at = pick(name, level, undefined, undefined, ask)
    const none = undefined
    return {
      name,
      ask,
      fallbacks,
      level,
      at,
      since: 0,
      retries: 0,
      order: none,
      failed: none,
      last: none,
    }
  }

  /** Nearly every request is answered here, for the price of one promise: an `async` function would cost four times that. */
  function routeFirst<T>(tries: Tries<T>): Promise<Routed<T>> {
    const lost = (cause: unknown): Promise<Routed<T>> =>
      goOn(tries, cause).catch((last) => fallBack(tries.name, tries.ask, Fault.from(last)))
    try {
      return attempt(tries).then((answer) => routed(tries, answer), lost)
    } catch (cause) {
      return lost(cause)
    }
  }

  async function routeNext<T>(tries: Tries<T>): Promise<Routed<T>> {
    let answer: T
    try {
      answer = await attempt(tries)
    } catch (cause) {
      return goOn(tries, cause)
    }
    return routed(tries, answer)
  }

  function attempt<T>(tries: Tries<T>): Promise<T> {
    const { at, ask } = tries
    health.started(at)
    if (meter) {
      meter.started(at.id)
      tries.since = now()
    }
    return ask.attempt(at)
  }

  function routed<T>(tries: Tries<T>, answer: T): Routed<T> {
    const { at, ask, since, retries, fallbacks } = tries
    const measured = meter && measuring(meter, at, since, ask.stream === true, now)
    const release = (error: GatewayError | undefined) => health.ended(at, blamed(error, ask))
    return { answer, deployment: at, retries, fallbacks, release, measured }
  }

  /** After a failure: the group again, its next level, or what went wrong last. */
  async function goOn<T>(tries: Tries<T>, cause: unknown): Promise<Routed<T>> {
    const { name, ask } = tries
    let error = Fault.from(cause)
    for (;;) {
      try {
        await afterFailure(tries, error)
        tries.at = pick(name, tries.level, tries.failed, tries.last, ask)
        tries.retries++
      } catch (out) {
        const level = nextLevel(tries, Fault.from(out))
        if (!level) throw out
        tries.at = pick(name, level, undefined, undefined, ask)
        tries.level = level
        tries.retries = 0
        tries.failed = undefined
        tries.last = undefined
      }
      try {
        return routed(tries, await attempt(tries))
      } catch (later) {
        error = Fault.from(later)
      }
    }
  }

  /** Notes a failure. Resolves when the level is to be tried again, and throws when it is out. */
  async function afterFailure(tries: Tries<unknown>, error: GatewayError): Promise<void> {
    const { name, ask, level, at, retries } = tries
    tries.order = Math.max(tries.order ?? orderOf(at), orderOf(at))
    tries.last = error
    ask.failed?.(error)
    health.ended(at, blamed(error, ask))
    // So slow that everything else is faster.
    if (error.kind === 'timeout' && !ask.ownTimeout) meter?.took(at.id, 'whole', timedOutSeconds)
    const seen = (tries.failed ??= new Set()).add(at)
    const warm = level.filter((one) => !health.cooling(one))
    const others = warm.filter((one) => !seen.has(one))
    if (warm.length === 0 || !again(name, at, error, retries, level.length, others.length, ask))
      throw error
    if (others.length > 0) return
    tries.failed = undefined
    await sleep(backoffMs(error, retries), ask.signal)
    if (ask.signal.aborted) throw gone()
  }

  /** Lower orders first; the next when all of the lower are out. */
  function nextLevel(
    { level, order, ask }: Tries<unknown>,
    error: GatewayError,
  ): readonly Deployment[] | undefined {
    if (order === undefined || stays.has(error.kind) || ask.signal.aborted) return undefined
    const next = level.filter((one) => orderOf(one) > order)
    return next.some((one) => !health.cooling(one) && health.hasSlot(one)) ? next : undefined
  }

  function pick(
    name: string,
    all: readonly Deployment[],
    failed: ReadonlySet<Deployment> | undefined,
    last: GatewayError | undefined,
    ask: RouteAsk<unknown>,
  ): Deployment {
    // The everyday group: one deployment, with nothing to choose.
    const only = all[0]
    if (only && all.length === 1 && !meter && !health.cooling(only) && health.hasSlot(only))
      return only
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
    const able = preCallChecks ? fitting(name, free, ask) : free
    const open = meter && (enforceLimits || preCallChecks) ? withinLimits(able, meter) : able
    if (open.length === 0) throw last ?? usedUp(name, now())
    const fresh = open.filter((one) => !failed?.has(one))
    const candidates = fresh.length > 0 ? fresh : open
    const { hints } = ask
    const kept = hints && affinity?.find(name, hints, candidates)
    if (kept) {
      affinity?.given(name, hints, kept)
      return kept
    }
    const first = Math.min(...candidates.map(orderOf))
    const level = candidates.filter((one) => orderOf(one) === first)
    const picked = strategies[strategy](level, {
      inFlight: health.inFlight,
      meter: meter ?? idle,
      stream: ask.stream === true,
      latencyBuffer,
      random,
      hints,
      lar1: strategyArgs.lar1,
    })
    if (picked && hints) affinity?.given(name, hints, picked)
    if (picked) return picked
    throw last ?? usedUp(name, now())
  }

  /** Rows whose context is known to be too small are left out; when none is left, the request is too long. */
  function fitting(
    name: string,
    free: readonly Deployment[],
    ask: RouteAsk<unknown>,
  ): readonly Deployment[] {
    const limits = free.map(({ info }) => number(info['max_input_tokens']))
    if (limits.every((limit) => limit === undefined)) return free
    const tokens = ask.inputTokens?.()
    if (tokens === undefined) return free
    const able = free.filter((_, at) => tokens <= (limits[at] ?? Number.POSITIVE_INFINITY))
    if (able.length > 0) return able
    throw new Fault(
      'context_window',
      `the request has about ${tokens} tokens, and no deployment of ${name} takes more than ${Math.max(...limits.map((limit) => limit ?? 0))}: shorten it, or ask a model with a larger context`,
    )
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
    const { contextWindowFallbacks = ask.contextWindowFallbacks } = settings
    const { contentPolicyFallbacks = ask.contentPolicyFallbacks } = settings
    if (error.kind === 'context_window' && contextWindowFallbacks) return false
    if (error.kind === 'content_policy' && contentPolicyFallbacks) return false
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
    if (error.kind === 'context_window' && ask.contextWindowFallbacks)
      return ask.contextWindowFallbacks
    if (error.kind === 'content_policy' && ask.contentPolicyFallbacks)
      return ask.contentPolicyFallbacks
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

  async function fallBack<T>(
    asked: string,
    ask: RouteAsk<T>,
    error: GatewayError,
  ): Promise<Routed<T>> {
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
        return await routeNext(triesOf(next, ask, depth))
      } catch (cause) {
        const later = Fault.from(cause)
        if (later.kind === 'canceled') throw later
        if (!ask.fallbacks) queue.push(...fallbacksOf(next, later, ask))
      }
    }
    // What went wrong first is what the client asked about.
    throw error
  }

  return {
    settings,
    groups,
    health,
    pins,
    knows: (name) => groups.find(name).length > 0,
    route(ask) {
      const asked = groups.nameOf(ask.model)
      try {
        if (ask.failFirst) throw ask.failFirst
        return routeFirst(triesOf(asked, ask, 0))
      } catch (cause) {
        return fallBack(asked, ask, Fault.from(cause))
      }
    },
  }
}

/** One request's tries of one group, as far as they have come. */
type Tries<T> = {
  readonly name: string
  readonly ask: RouteAsk<T>
  /** Groups that have failed before. */
  readonly fallbacks: number
  /** Who may be asked. */
  level: readonly Deployment[]
  /** Who is asked now, and since when, if that is measured. */
  at: Deployment
  since: number
  /** Of this level. */
  retries: number
  /** The highest one that has failed. */
  order: number | undefined
  failed: Set<Deployment> | undefined
  last: GatewayError | undefined
}

/** A limit that the client set is not passed by fault of the deployment. */
const blamed = (
  error: GatewayError | undefined,
  { ownTimeout }: RouteAsk<unknown>,
): GatewayError | undefined => (ownTimeout && error?.kind === 'timeout' ? gone() : error)

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

/** LiteLLM's: what timed out counts as this slow. */
const timedOutSeconds = 1000

/** How long it took, and what it came to. The first words of a stream come with the answer, its tokens with its end. */
function measuring(
  meter: Meter,
  { id }: Deployment,
  startedAt: number,
  stream: boolean,
  now: () => number,
): (tokens: { input: number; output: number }) => void {
  const answered = (now() - startedAt) / 1000
  if (stream) meter.took(id, 'first', answered)
  return ({ input, output }) => {
    meter.used(id, input + output)
    const seconds = stream ? (now() - startedAt) / 1000 : answered
    meter.took(id, 'whole', output > 0 ? seconds / output : seconds)
  }
}

/** Until the next minute. */
function usedUp(name: string, now: number): GatewayError {
  const seconds = 60 - (Math.floor(now / 1000) % 60)
  return new Fault(
    'rate_limit',
    `No deployments available for selected model, Try again in ${seconds} seconds. The rpm or tpm of every deployment is used up. Passed model=${name}. pre-call-checks=True, cooldown_list=[]`,
    { type: 'throttling_error', retryAfter: String(seconds) },
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

const wait = (ms: number, signal: Signal): Promise<void> =>
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
