import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../src/json/json.ts'
import type { Gateway } from '../support/gateway.ts'
import type { Asked, Provider, Script, Told } from '../support/provider.ts'
import { stream, whole } from '../support/provider.ts'
import { foldChat, foldResponses } from './fold.ts'
import { differences, valueAt } from './match.ts'

/**
 * Cases of the conformance kit's format (a folder per family, a file per case), of which this reads what the cases
 * beside it use: one request or several steps, JSON, server-sent events, lines and bytes of a provider's, and what
 * must have been asked and answered.
 */
export type Case = { name: string; family: string; why: string; value: JsonObject }

export const loadCases = (folder: string): Case[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const value = object(JSON.parse(readFileSync(join(folder, file), 'utf8')))
      const [name, family, why] = [text(value['name']), text(value['family']), text(value['why'])]
      if (name === undefined || family === undefined || why === undefined)
        throw new Error(`${file}: a case has a name, a family and a why`)
      if (file !== join(family, `${name}.json`))
        throw new Error(`${file} holds ${name} of ${family}: call the file so`)
      return { name, family, why, value }
    })

export type Values = Readonly<Record<string, string>>
export const valuesOf = ({ name }: Case, origin: string, key: string): Values => ({
  MODEL: `m-${name}`,
  UPSTREAM: `${origin}/c/${name}`,
  KEY: key,
  CASE: name,
})

/** `$MODEL`, `$UPSTREAM` and the like, in every text. */
export function filled(value: Json | undefined, values: Values): Json {
  if (typeof value === 'string')
    return value.replace(/\$([A-Z][A-Z0-9_]*)/g, (all, name: string) => values[name] ?? all)
  if (Array.isArray(value)) return value.map((each) => filled(each, values))
  if (!isObject(value)) return value ?? null
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filled(each, values)]))
}

/** The rows of all cases, for one gateway. */
export const modelsOf = (cases: readonly Case[], origin: string, key: string): JsonObject[] =>
  cases.flatMap((each) =>
    list(object(each.value['gateway'])['models']).map((row) =>
      object(filled(row, valuesOf(each, origin, key))),
    ),
  )

/** Lists of the configuration's top that cases add to, as `search_tools`. */
export function sectionsOf(cases: readonly Case[], origin: string, key: string): JsonObject {
  const out: Record<string, Json[]> = {}
  for (const each of cases) {
    const { config } = object(each.value['gateway'])
    for (const [name, value] of Object.entries(object(filled(config, valuesOf(each, origin, key)))))
      out[name] = [...(out[name] ?? []), ...list(value)]
  }
  return out
}

/** A request as a case speaks of it. */
type Seen = { method: string; path: string; query: JsonObject; headers: JsonObject; body: Json }
type Answer = { value: JsonObject; used: boolean }

export type Stage = {
  script: Script
  /** Runs a case and says what differs from what it expects. */
  run(one: Case, gateway: Gateway, provider: Provider, key: string): Promise<string[]>
}

/** One provider for all cases: the path says whose request it is. */
export function createStage(): Stage {
  const playing = new Map<string, { method: Json; answers: Answer[]; log: Seen[] }>()
  return {
    script(asked) {
      const [, name = ''] = /^\/c\/([^/]+)/.exec(asked.path) ?? []
      const play = playing.get(name)
      if (!play) return whole({ error: { message: `no case ${name}` } }, { status: 404 })
      const seen = seenOf(asked, `/c/${name}`)
      play.log.push(seen)
      const answer = play.answers.find(
        ({ value, used }) =>
          (!used || value['repeat'] === true) &&
          differences({ method: play.method, ...object(value['match']) }, seen).length === 0,
      )
      if (!answer)
        return whole(
          { error: { message: `nothing to answer ${seen.method} ${seen.path}` } },
          { status: 418 },
        )
      answer.used = true
      return toldOf(answer.value)
    },
    async run(one, gateway, provider, key) {
      let values = valuesOf(one, provider.origin, key)
      const steps = list(one.value['steps'])
      for (const [at, step] of (steps.length > 0 ? steps.map(object) : [one.value]).entries()) {
        const { request, upstream, expect } = object(filled(step, values))
        const log: Seen[] = []
        const answers = list(upstream).map((value) => ({ value: object(value), used: false }))
        // An answer that names no method is for the client's own.
        playing.set(one.name, { method: object(request)['method'] ?? 'POST', answers, log })
        const response = await sent(gateway, key, object(request))
        const said = await response.text()
        const found = [
          ...clientDifferences(object(object(expect)['client']), response, said, values),
          ...upstreamDifferences(object(expect)['upstream'], log, answers),
        ]
        if (found.length > 0)
          return found.map((each) => (steps.length > 0 ? `step ${at + 1}: ${each}` : each))
        for (const [name, path] of Object.entries(object(step['capture'])))
          values = { ...values, [name]: String(valueAt(jsonOf(said), text(path) ?? '') ?? '') }
      }
      return []
    },
  }
}

function seenOf({ method, path, headers, text: said }: Asked, prefix: string): Seen {
  const url = new URL(path, 'http://upstream')
  const form = (headers['content-type'] ?? '').includes('x-www-form-urlencoded')
  return {
    method,
    path: decodeURIComponent(url.pathname.slice(prefix.length)),
    query: Object.fromEntries(url.searchParams),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value}`])),
    body: form ? Object.fromEntries(new URLSearchParams(said)) : (jsonOf(said) ?? said),
  }
}

function jsonOf(said: string): Json | undefined {
  try {
    return JSON.parse(said)
  } catch {
    return undefined
  }
}

/** What the provider says: bytes in as many writes as the case has frames. */
function toldOf(answer: JsonObject): Told {
  const status = number(answer['status']) ?? 200
  const own = Object.fromEntries(
    Object.entries(object(answer['headers'])).map(([name, value]) => [name, `${value}`]),
  )
  for (const [kind, type, frame] of kinds) {
    const frames = answer[kind]
    if (frames === undefined) continue
    const steps = list(frames).map((each) => rawOf(each) ?? frame(each))
    return stream(steps, { status, headers: { 'content-type': type, ...own } })
  }
  if (answer['text'] !== undefined)
    return whole(`${answer['text']}`, { status, headers: { 'content-type': 'text/plain', ...own } })
  return whole(JSON.stringify(answer['json'] ?? null), { status, headers: own })
}

type Frame = (value: Json) => string | Uint8Array
const kinds: readonly [kind: string, type: string, frame: Frame][] = [
  [
    'sse',
    'text/event-stream; charset=utf-8',
    (value) => {
      const named = isObject(value) && '$event' in value
      const data = named ? value['data'] : value
      const event = named ? `event: ${value['$event']}\n` : ''
      return `${event}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
    },
  ],
  ['ndjson', 'application/x-ndjson', (value) => `${JSON.stringify(value)}\n`],
  ['awsstream', 'application/vnd.amazon.eventstream', awsMessage],
]

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (said) => Buffer.from(said),
)

/** `{event, payload}` or `{exception, payload}`, with AWS's lengths and checksums. */
function awsMessage(value: Json): Uint8Array {
  const { event, exception, payload } = object(value)
  const names =
    exception === undefined
      ? { ':event-type': `${event}`, ':message-type': 'event' }
      : { ':exception-type': `${exception}`, ':message-type': 'exception' }
  const headers = Object.entries({ ':content-type': 'application/json', ...names }).map(
    ([name, said]): [string, { type: 'string'; value: string }] => [
      name,
      { type: 'string', value: said },
    ],
  )
  return codec.encode({
    headers: Object.fromEntries(headers),
    body: Buffer.from(JSON.stringify(payload ?? null)),
  })
}

function rawOf(frame: Json): string | Uint8Array | undefined {
  if (!isObject(frame)) return undefined
  const bytes = text(frame['$b64'])
  return bytes === undefined ? text(frame['$raw']) : Buffer.from(bytes, 'base64')
}

function sent(gateway: Gateway, key: string, request: JsonObject): Promise<Response> {
  const { method, path, auth, headers, body, raw } = request
  const credential: Record<string, string> =
    auth === 'none'
      ? {}
      : auth === undefined || auth === 'bearer'
        ? { authorization: `Bearer ${key}` }
        : { [`${auth}`]: key }
  const own = Object.entries(object(headers)).map(([name, value]) => [name, `${value}`])
  return fetch(`${gateway.url}${path}`, {
    method: text(method) ?? 'POST',
    headers: { 'content-type': 'application/json', ...credential, ...Object.fromEntries(own) },
    ...(method !== 'GET' && { body: text(raw) ?? JSON.stringify(body) }),
  })
}

function clientDifferences(
  expected: JsonObject,
  response: Response,
  said: string,
  { MODEL = '' }: Values,
): string[] {
  const { status = 200, headers, body, absent, text: words, sse } = expected
  const statuses = Array.isArray(status) ? status : [status]
  if (!statuses.includes(response.status))
    return [`client: status ${response.status}, expected ${statuses.join(' or ')}: ${said}`]
  const heard = jsonOf(said)
  const out = [
    ...differences(object(headers), Object.fromEntries(response.headers), 'client.headers'),
    ...(body === undefined ? [] : differences(body, heard, 'client.body')),
    ...(words === undefined ? [] : differences(words, said, 'client.text')),
    ...list(absent).flatMap((path) => {
      const found = valueAt(heard, `${path}`)
      return found === undefined || found === null ? [] : [`client.body.${path} must be absent`]
    }),
  ]
  if (!isObject(sse)) return out
  const fold = sse['api'] === 'responses' ? foldResponses : foldChat
  const folded = fold(said, MODEL)
  return [
    ...out,
    ...folded.laws.map((law) => `law: ${law}`),
    ...differences(sse['fold'], folded.said, 'stream'),
  ]
}

function upstreamDifferences(
  expected: Json | undefined,
  log: readonly Seen[],
  answers: readonly Answer[],
): string[] {
  if (expected === undefined) {
    const unasked = answers.length > 0 && log.length === 0
    return unasked ? ['upstream: was never asked'] : []
  }
  const all = list(expected).map(object)
  if (all.length !== log.length)
    return [
      `upstream: expected ${all.length} requests, got ${log.map(({ method, path }) => `${method} ${path}`).join(', ') || 'none'}`,
    ]
  return all.flatMap(({ absent, ...each }, at) => [
    ...differences(each, log[at], `upstream[${at}]`),
    ...list(absent).flatMap((path) => {
      const found = valueAt(log[at]?.body, `${path}`)
      return found === undefined || found === null
        ? []
        : [`upstream[${at}].body.${path} must be absent, got ${JSON.stringify(found)}`]
    }),
  ])
}
