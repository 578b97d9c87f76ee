import { deployment } from '../call/upstream.test.ts'
import { GatewayError, kindOfStatus } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { createRouter, type RouteAsk, type Router, type RouterSettings } from './router.ts'

/** A router over named deployments, with a clock, dice and sleep that stand still. */

export const settings: RouterSettings = {
  retries: 2,
  retryPolicy: {},
  groupRetryPolicy: {},
  retryAfterSeconds: 0,
  cooldownSeconds: 5,
  disableCooldowns: false,
  allowedFails: undefined,
  allowedFailsPolicy: {},
  fallbacks: {},
  contextWindowFallbacks: undefined,
  contentPolicyFallbacks: undefined,
  maxFallbacks: 5,
  aliases: {},
  tagFiltering: false,
  tagMatchAny: true,
}

export const row = (id: string, group = 'g', params: JsonObject = {}): Deployment => ({
  ...deployment(params),
  id,
  group,
})

export type Bench = {
  router: Router
  /** Ids in the order they were tried. */
  tried: string[]
  /** Milliseconds of each wait. */
  slept: number[]
  clock: { now: number; dice: number }
  ask(model: string, more?: Partial<RouteAsk<string>>): Promise<string>
}

/** `fails` says what a deployment answers with on its nth try; undefined is an answer. */
export function bench(
  deployments: Deployment[],
  more: Partial<RouterSettings> = {},
  fails: (id: string, nth: number) => GatewayError | undefined = () => undefined,
): Bench {
  const tried: string[] = []
  const slept: number[] = []
  const clock = { now: 1_000_000, dice: 0 }
  const router = createRouter({
    deployments,
    settings: { ...settings, ...more },
    expand: (wildcard, name, upstream) => ({
      ...wildcard,
      group: name,
      target: { ...wildcard.target, model: upstream },
    }),
    now: () => clock.now,
    random: () => clock.dice,
    sleep: async (ms) => {
      slept.push(ms)
      clock.now += ms
    },
  })
  return {
    router,
    tried,
    slept,
    clock,
    async ask(model, overrides = {}) {
      const { deployment: at, release } = await router.route<string>({
        model,
        tags: [],
        retries: undefined,
        fallbacks: undefined,
        disableFallbacks: false,
        signal: new AbortController().signal,
        attempt: async ({ id }) => {
          tried.push(id)
          const error = fails(id, tried.filter((one) => one === id).length)
          if (error) throw error
          return id
        },
        ...overrides,
      })
      release(undefined)
      return at.id
    },
  }
}

/** What a provider says with this status. */
export const said = (status: number, more: { retryAfter?: string } = {}): GatewayError =>
  new GatewayError(kindOfStatus(status), `said ${status}`, { status, provider: 'P', ...more })
