import type { AuthDeps, AuthRow, AuthScheme } from './auth.ts'
import { askJson, type Question, readToken } from './exchange.ts'
import { refused, type Settings, secretsOf, settingsOf } from './settings.ts'
import { createTokenCache, type Fetched } from './token.ts'

/** What the settings of a row come to. */
export type Plan =
  | {
      /** Headers that are ready. */
      type: 'headers'
      headers: Record<string, string>
      secrets: readonly string[]
    }
  | {
      /** A bearer token that has to be had first. */
      type: 'token'
      fetch: () => Promise<Fetched<string>>
      /** All that the token depends on, whole. */
      key: readonly string[]
      secrets: readonly string[]
      /** Sent beside it. */
      headers?: Record<string, string>
      /** The address that `https://{name}` stands for, asked for with the token. */
      place?: { name: string; find: (token: string) => Promise<Fetched<string>> }
    }
  | { type: 'wrong'; message: string }

export type Planner = (settings: Settings, row: AuthRow, deps: AuthDeps) => Plan

/** A scheme out of a planner: tokens are kept, secrets are known, what is missing is said at once. */
export function createPlannedScheme(plan: Planner, deps: AuthDeps): AuthScheme {
  const cache = createTokenCache<string>(deps)
  const places = createTokenCache<string>(deps)
  return {
    open(row) {
      const settings = settingsOf(row, deps)
      const problem = settings.unset(...Object.keys(row.unset ?? {}).filter(isCredential))
      if (problem) return refused(problem)
      const planned = plan(settings, row, deps)
      if (planned.type === 'wrong') return refused(planned.message)
      const secrets = secretsOf(...planned.secrets)
      const sent = Object.entries(planned.headers ?? {})
      const bad = sent.find(([, value]) => !/^[\x20-\x7e]+$/.test(value))
      if (bad)
        return refused(
          `the credential for the header ${bad[0]} has characters no header may have: is it a file's content, or cut?`,
        )
      if (planned.type === 'headers')
        return {
          secrets,
          authorize({ headers }) {
            for (const [name, value] of sent) headers[name] = value
          },
        }
      const key = JSON.stringify(planned.key)
      const { place, fetch, headers = {} } = planned
      const placeKey = JSON.stringify([planned.key, headers])
      return {
        secrets,
        ...(place && {
          fills: place.name,
          async locate(url: string) {
            const mark = `https://{${place.name}}`
            if (!url.includes(mark)) return url
            const found = async () => place.find(await cache.get(key, fetch))
            const value = await places.get(placeKey, found)
            return url.replace(mark, () => value)
          },
        }),
        authorize({ headers }) {
          const sign = (token: string): void => {
            headers['authorization'] = `Bearer ${token}`
            for (const [name, value] of sent) headers[name] = value
          }
          const held = cache.get(key, fetch)
          return typeof held === 'string' ? sign(held) : held.then(sign)
        },
      }
    },
  }
}

/** A token for one question. */
export const exchanged =
  (question: Question, deps: AuthDeps): (() => Promise<Fetched<string>>) =>
  async () => {
    const askedAt = deps.now()
    const { token, expiresAt } = readToken(await askJson(question, deps), question, askedAt)
    return { value: token, expiresAt }
  }

/** A key that is sent as it is. */
export const asBearer = (key: string, headers: Record<string, string> = {}): Plan => ({
  type: 'headers',
  headers: { ...headers, authorization: `Bearer ${key}` },
  secrets: [key],
})

/** Parameters a row's identity is made of: where one of them is missing, no other identity takes its place. */
const isCredential = (name: string): boolean =>
  /(key|token|secret|password|credentials?|client_id|auth_url)$/.test(name)
