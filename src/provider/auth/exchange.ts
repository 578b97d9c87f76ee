import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import type { AuthDeps, AuthFetch } from './auth.ts'

/** A question to a token endpoint or a secret manager. */
export type Question = {
  /** Whose endpoint it is, for error texts: `Azure`. */
  who: string
  method?: AuthFetch['method']
  url: string
  headers?: Record<string, string>
  /** Sent as `application/x-www-form-urlencoded`. */
  form?: Record<string, string>
  json?: JsonObject
  /** What must not come back in an error text. The values of `form` are left out of it anyway, short words apart. */
  secrets?: readonly string[]
  timeoutMs?: number
}

export type Told = { status: number; body: string; challenge?: string }

/** Asks; any answer is an answer. No answer is a GatewayError that names the host and no more. */
export async function ask(question: Question, { fetch }: Pick<AuthDeps, 'fetch'>): Promise<Told> {
  const { who, url, headers = {}, form, json, timeoutMs = 10_000 } = question
  const host = hostOf(url)
  if (host === undefined)
    throw new GatewayError(
      'authentication',
      `${who}: an address to ask is not an http or https URL`,
    )
  const body = form ? new URLSearchParams(form).toString() : json ? JSON.stringify(json) : undefined
  const contentType = form ? 'application/x-www-form-urlencoded' : 'application/json'
  try {
    return await fetch({
      method: question.method ?? (body === undefined ? 'GET' : 'POST'),
      url,
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': contentType }),
        ...headers,
      },
      ...(body !== undefined && { body }),
      timeoutMs,
    })
  } catch (cause) {
    throw new GatewayError('authentication', `${who}: ${host} did not answer${whyOf(cause)}`, {
      cause,
    })
  }
}

/** Asks for a JSON object; everything else is a GatewayError with the endpoint's own words, secrets taken out. */
export async function askJson(
  question: Question,
  deps: Pick<AuthDeps, 'fetch'>,
): Promise<JsonObject> {
  const told = await ask(question, deps)
  if (told.status < 200 || told.status > 299) throw refusal(question, told)
  const said = parsed(told.body)
  if (!isObject(said)) {
    const host = hostOf(question.url) ?? ''
    throw new GatewayError(
      'authentication',
      `${question.who}: ${host} answered with something other than a JSON object`,
    )
  }
  return said
}

/** Why an endpoint refused, as it says itself. */
export function refusal(question: Question, { status, body }: Told): GatewayError {
  const { who, url, form, secrets = [] } = question
  const hidden = [...secrets, ...Object.values(form ?? {}).filter((value) => value.length > 60)]
  const said = cleaned(wordsOf(parsed(body)), hidden)
  const redirect = status >= 300 && status < 400 ? 'a redirect, which is not followed' : ''
  const why = said || redirect
  return new GatewayError(
    'authentication',
    `${who}: ${hostOf(url) ?? ''} refused with status ${status}${why && `: ${why}`}`,
    { cause: cleaned(body.slice(0, 2000), hidden) },
  )
}

/** `access_token` and its life, as RFC 6749 §5.1 has them. Of the two ways to say its end, the one that needs no common clock is believed. */
export function readToken(
  said: JsonObject,
  { who, url }: Pick<Question, 'who' | 'url'>,
  askedAt: number,
): { token: string; expiresAt: number } {
  const token = text(said.access_token) ?? text(said.token) ?? text(said.accessToken)
  if (token === undefined || !isHeaderValue(token))
    throw new GatewayError(
      'authentication',
      `${who}: ${hostOf(url) ?? ''} answered without an access token`,
    )
  return { token, expiresAt: endOf(said, askedAt) }
}

function endOf(said: JsonObject, askedAt: number): number {
  const life = digits(said.expires_in)
  if (life !== undefined) return askedAt + Math.min(life * 1000, lifeMsMax)
  const at = digits(said.expires_on) ?? digits(said.expires_at) ?? digits(said.expiration)
  if (at !== undefined) return Math.min(at > 1e11 ? at : at * 1000, askedAt + lifeMsMax)
  const date = Date.parse(text(said.expireTime) ?? '')
  return Number.isNaN(date) ? askedAt + unsaidMs : Math.min(date, askedAt + lifeMsMax)
}

/** A number, or digits in a string: Azure has both. */
const digits = (value: unknown): number | undefined =>
  number(value) ??
  (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined)

/** Nothing that ends a header's line or cannot stand in one. */
export const isHeaderValue = (value: string): boolean => /^[\x21-\x7e]+$/.test(value)

export const hostOf = (url: string): string | undefined => {
  if (!URL.canParse(url)) return undefined
  const { protocol, host } = new URL(url)
  return protocol === 'http:' || protocol === 'https:' ? host : undefined
}

export function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The vendors' many spellings: OAuth's two fields, Google's object, IBM's, Vault's list, AWS's capitals. */
function wordsOf(said: unknown): string {
  if (!isObject(said)) return ''
  const { error } = said
  const words = [
    text(error) ?? text(object(error).code) ?? text(object(error).status) ?? text(said.errorCode),
    text(said.error_description) ??
      text(object(error).message) ??
      text(said.errorMessage) ??
      text(said.message) ??
      text(said.Message) ??
      (list(said.errors).map(text).filter(Boolean).join('; ') || undefined),
  ]
  return words.filter((word) => word !== undefined && word !== '').join(': ')
}

/** One line without secrets and control characters. The secrets go first: a text cut short could end in half of one. */
export function cleaned(said: string, secrets: readonly string[]): string {
  let out = said
  // The long ones first: one that is part of another would leave the rest of it standing.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) {
    if (secret.length < 4) continue
    for (const spelling of new Set([
      secret,
      secret.trim(),
      encodeURIComponent(secret),
      new URLSearchParams({ '': secret }).toString().slice(1),
      JSON.stringify(secret).slice(1, -1),
    ]))
      if (spelling !== '') out = out.replaceAll(spelling, '[redacted]')
  }
  const line =
    out
      .replace(/eyJ[\w-]{8,}[\w.-]*/g, '[redacted]')
      .trim()
      .split(/[\r\n]/, 1)[0] ?? ''
  const shown = line.replace(/[\x00-\x1f\x7f]+/g, ' ').trim()
  return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown
}

function whyOf(cause: unknown): string {
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  return typeof code === 'string' && /^\w{1,40}$/.test(code) ? ` (${code})` : ''
}

/** For a token whose endpoint does not say how long it lives. */
const unsaidMs = 5 * 60_000
/** Whatever an endpoint says: nobody's token is good for longer without a new look. */
const lifeMsMax = 7 * 24 * 3600_000
