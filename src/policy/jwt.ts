import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, list, text } from '../json/json.ts'

/** An issuer whose tokens are believed. */
export type Issuer = {
  /** `iss` exactly; undefined: whoever signs with these keys. */
  issuer: string | undefined
  /** Where its keys are, or its discovery document is; tried in this order. */
  keyUrls: readonly string[]
  /** One of these must be in `aud`; undefined: it is not looked at. */
  audience: readonly string[] | undefined
}

export type VerifyOptions = {
  /** A token is its issuer's where one says so; the last one without a name is for all others. */
  issuers: readonly Issuer[]
  /** Milliseconds that keys are used before they are asked for again, and that they serve after that when nobody answers. */
  keysMs: number
  staleMs: number
  fetch: typeof globalThis.fetch
  now(): number
}

/** Claims of a token that is signed, meant for us and not over. Throws 401, and 503 where its keys cannot be had. */
export type Verify = (token: string) => Promise<{ issuer: Issuer; claims: JsonObject }>

/** Signatures by key pairs only: with a shared secret, or none, anybody who knows the public key could sign. */
const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
/** A key that is not known is looked for at once, but not for every token that names one. */
const againMs = 10_000
const fetchMs = 5000
const documentMax = 1_000_000

/** Three parts, the first of which says how it is signed. Virtual keys may have dots too. */
export function isJwt(key: string): boolean {
  if (key.split('.', 4).length !== 3) return false
  try {
    decodeProtectedHeader(key)
    return true
  } catch {
    return false
  }
}

export function createVerify({ issuers, keysMs, staleMs, fetch, now }: VerifyOptions): Verify {
  const sets = new Map<string, Keys>()
  const keysAt = (url: string): Keys => {
    let keys = sets.get(url)
    if (!keys) sets.set(url, (keys = createKeys({ url, keysMs, staleMs, fetch, now })))
    return keys
  }

  async function verified(token: string, issuer: Issuer, url: string): Promise<JWTPayload> {
    const keys = keysAt(url)
    const options = {
      algorithms,
      ...(issuer.issuer !== undefined && { issuer: issuer.issuer }),
      ...(issuer.audience && { audience: [...issuer.audience] }),
      requiredClaims: ['exp'],
      currentDate: new Date(now()),
    }
    const check = async (set: JSONWebKeySet) =>
      (await jwtVerify(token, createLocalJWKSet(set), options)).payload
    try {
      return await check(await keys.now())
    } catch (cause) {
      // Rotated: the issuer signs with a key that came after we had asked.
      if (!(cause instanceof errors.JWKSNoMatchingKey) || !(await keys.again())) throw cause
      return await check(await keys.now())
    }
  }

  return async (token) => {
    const issuer = issuerOf(token, issuers)
    let last: unknown
    for (const url of issuer.keyUrls)
      try {
        // The claims of a JSON web token are a JSON object.
        return { issuer, claims: (await verified(token, issuer, url)) as JsonObject }
      } catch (cause) {
        last = cause
        if (!(cause instanceof errors.JWKSNoMatchingKey)) break
      }
    throw refusalOf(last)
  }
}

/** Whose rules hold. What the token says of itself is only believed once it has been verified by them. */
function issuerOf(token: string, issuers: readonly Issuer[]): Issuer {
  let said: string | undefined
  try {
    const claims: unknown = JSON.parse(
      new TextDecoder().decode(
        Uint8Array.from(
          atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')),
          (c) => c.charCodeAt(0),
        ),
      ),
    )
    said = isObject(claims) ? text(claims['iss']) : undefined
  } catch {
    throw refused('its claims cannot be read')
  }
  const own = issuers.find(({ issuer }) => issuer !== undefined && issuer === said)
  const other = issuers.at(-1)
  if (own) return own
  if (other && other.issuer === undefined) return other
  throw refused('its issuer is not one of those this gateway believes')
}

function refusalOf(cause: unknown): GatewayError {
  if (GatewayError.is(cause)) return cause
  if (cause instanceof errors.JWTExpired)
    return new GatewayError('authentication', 'Token Expired', {
      type: 'expired_key',
      param: 'None',
      code: '401',
      cause,
    })
  if (cause instanceof errors.JWTClaimValidationFailed)
    return refused(
      cause.reason === 'missing'
        ? `it has no ${cause.claim} claim`
        : `its ${cause.claim} claim is not the one this gateway expects`,
      cause,
    )
  if (cause instanceof errors.JOSEAlgNotAllowed)
    return refused('it is not signed by a way this gateway believes', cause)
  if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys)
    return refused('it is signed by a key its issuer does not show', cause)
  return refused('its signature does not fit', cause)
}

export const refused = (why: string, cause?: unknown): GatewayError =>
  new GatewayError('authentication', `Authentication Error, the token is refused: ${why}.`, {
    type: 'auth_error',
    param: 'None',
    code: '401',
    cause,
  })

type Keys = {
  now(): Promise<JSONWebKeySet>
  /** Asks again, unless that was just done. */
  again(): Promise<boolean>
}

/** The keys of an issuer, kept for a while, and for longer when it cannot be reached. One request at a time. */
function createKeys({
  url,
  keysMs,
  staleMs,
  fetch,
  now,
}: Omit<VerifyOptions, 'issuers'> & { url: string }): Keys {
  let kept: { set: JSONWebKeySet; at: number } | undefined
  let asking: Promise<void> | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let missedAt = Number.NEGATIVE_INFINITY

  async function load(): Promise<void> {
    askedAt = now()
    const first = await read(url, fetch)
    const set = Array.isArray(first['keys'])
      ? first
      : await read(text(first['jwks_uri']) ?? noKeys(url), fetch)
    if (!Array.isArray(set['keys'])) noKeys(url)
    // One that is not for signatures, or of a kind nobody knows, must not spoil the others.
    const keys = list(set['keys']).filter((key) => isObject(key) && typeof key['kty'] === 'string')
    kept = { set: { keys: keys as JSONWebKeySet['keys'] }, at: now() }
  }
  const ask = (): Promise<void> =>
    (asking ??= load().finally(() => {
      asking = undefined
    }))

  return {
    async now() {
      if (kept && now() - kept.at < keysMs) return kept.set
      try {
        if (!kept || now() - askedAt > againMs) await ask()
      } catch (cause) {
        if (!kept) throw unreachable(cause)
      }
      if (!kept || now() - kept.at > keysMs + staleMs) throw unreachable(undefined)
      return kept.set
    },
    async again() {
      if (!asking && now() - missedAt < againMs) return false
      if (!asking) missedAt = now()
      await ask().catch(() => {})
      return true
    },
  }
}

const noKeys = (url: string): never => {
  throw new Error(`${url} shows neither keys nor where they are`)
}

const unreachable = (cause: unknown): GatewayError =>
  new GatewayError(
    'unavailable',
    'the keys by which tokens are checked cannot be had from their issuer now: try again in a moment',
    { type: 'auth_error', code: '503', cause },
  )

async function read(url: string, fetch: typeof globalThis.fetch): Promise<JsonObject> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(fetchMs),
  })
  if (!answer.ok) {
    await answer.body?.cancel()
    throw new Error(`${url} answers ${answer.status}`)
  }
  let said = ''
  const decoder = new TextDecoder()
  for await (const chunk of answer.body ?? []) {
    said += decoder.decode(chunk, { stream: true })
    if (said.length > documentMax) throw new Error(`${url} is too long`)
  }
  const value: unknown = JSON.parse(said)
  if (!isObject(value)) throw new Error(`${url} is no JSON object`)
  return value
}
