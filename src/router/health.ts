import { faults, type GatewayError } from '../errors.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Groups } from './groups.ts'
import type { RouterSettings } from './router.ts'

/** By the id of each row of the config: what is made from a wildcard has the wildcard's id. */
export type HealthMemory = Map<string, State>

/** What the router remembers of deployments: who rests, and how many requests each has open. */
export type Health = {
  /** For the router that takes this one's place: it goes on with what is known of those that stay. */
  readonly memory: HealthMemory
  started(deployment: Deployment): void
  /** An error that is not the deployment's fault is told as `canceled`: it frees the slot and counts for nothing. */
  ended(deployment: Deployment, error: GatewayError | undefined): void
  cooling(deployment: Deployment): boolean
  /** Milliseconds since the epoch; 0 when it does not rest. */
  coolUntil(deployment: Deployment): number
  hasSlot(deployment: Deployment): boolean
  inFlight(deployment: Deployment): number
}

type State = {
  open: number
  coolUntil: number
  minute: number
  requests: number
  failures: number
  fails: number
  failsUntil: number
}

/** The share of failures in a minute, and the least number of requests, from which a deployment of a larger group rests. */
const failureShare = 0.5
const failureRequests = 5
/** Where so many requests of one minute failed and none succeeded, a lone deployment rests too. */
const deadRequests = 1000

export function createHealth(
  settings: RouterSettings,
  groups: Pick<Groups, 'find' | 'isOwn'>,
  now: () => number,
  states: HealthMemory = new Map(),
): Health {
  function of({ id }: Deployment): State {
    let state = states.get(id)
    if (!state) {
      state = {
        open: 0,
        coolUntil: 0,
        minute: 0,
        requests: 0,
        failures: 0,
        fails: 0,
        failsUntil: 0,
      }
      states.set(id, state)
    }
    return state
  }

  function count(state: State, failed: boolean): void {
    const minute = Math.floor(now() / 60_000)
    if (state.minute !== minute) {
      state.minute = minute
      state.requests = 0
      state.failures = 0
    }
    state.requests++
    if (failed) state.failures++
  }

  function rests(deployment: Deployment, state: State, error: GatewayError): boolean {
    const named = deployment.failsPolicy?.[error.kind]
    if (settings.disableCooldowns) return false
    // A row that names a kind of error means it, also where nobody else would rest for it.
    if (!mayCool(error) && (named === undefined || error.provider === undefined)) return false
    // A wildcard's deployments share one row: a name that somebody made up must not close it for all others.
    if (!groups.isOwn(deployment.group)) return false
    const size = groups.find(deployment.group).length
    const allowed =
      named ??
      deployment.allowedFails ??
      settings.allowedFailsPolicy[error.kind] ??
      settings.allowedFails
    if (allowed !== undefined) {
      if (state.failsUntil <= now()) state.fails = 0
      state.fails++
      state.failsUntil = now() + (deployment.cooldownSeconds ?? settings.cooldownSeconds) * 1000
      return state.fails > allowed
    }
    // A wrong credential or a missing model will not mend itself with the next request.
    if (error.status === 401 || error.status === 404) return true
    if (state.failures === state.requests && state.requests >= deadRequests) return true
    if (size <= 1) return false
    if (error.status === 429 || error.status === 402) return true
    return state.requests >= failureRequests && state.failures / state.requests > failureShare
  }

  return {
    memory: states,
    started(deployment) {
      of(deployment).open++
    },
    ended(deployment, error) {
      const state = of(deployment)
      state.open = Math.max(0, state.open - 1)
      if (error?.kind === 'canceled') return
      count(state, error !== undefined)
      if (error && rests(deployment, state, error)) {
        const seconds =
          deployment.cooldownSeconds ??
          secondsAsked(error.retryAfter, now()) ??
          settings.cooldownSeconds
        state.coolUntil = now() + seconds * 1000
      }
    },
    cooling({ id }) {
      const until = states.get(id)?.coolUntil ?? 0
      return until > 0 && until > now()
    },
    coolUntil: (deployment) => states.get(deployment.id)?.coolUntil ?? 0,
    hasSlot(deployment) {
      const slots = slotsOf(deployment, settings.parallelDefault)
      return slots === undefined || (states.get(deployment.id)?.open ?? 0) < slots
    },
    inFlight: (deployment) => states.get(deployment.id)?.open ?? 0,
  }
}

/** As LiteLLM counts them: what a row says of a minute bounds what it does at a time. */
function slotsOf(
  { maxParallel, rpm, tpm }: Deployment,
  otherwise: number | undefined,
): number | undefined {
  if (maxParallel !== undefined) return maxParallel
  if (rpm !== undefined) return rpm
  if (tpm !== undefined) return Math.max(1, Math.floor((tpm / 1000) * 6))
  return otherwise
}

/** A `retry-after`: seconds, or the date until which to wait; a day at most. */
export function secondsAsked(retryAfter: string | undefined, now: number): number | undefined {
  const said = retryAfter?.trim() ?? ''
  const seconds = /^\d{1,9}(\.\d{1,9})?$/.test(said)
    ? Number(said)
    : httpDate.test(said)
      ? (Date.parse(said) - now) / 1000
      : Number.NaN
  return seconds >= 0 ? Math.min(seconds, 86_400) : undefined
}

/** Date.parse takes nearly anything for a date. */
const httpDate = /^[A-Z][a-z]{2,8},? .{5,30}\d\d:\d\d:\d\d/

/** 401, 402, 404, 408, 429 and whatever the server's side did; other refusals are the request's fault. */
const mayCool = (error: GatewayError): boolean =>
  error.provider !== undefined &&
  (faults[error.kind].cool || error.status === 402 || error.status >= 500) &&
  error.status !== 403
