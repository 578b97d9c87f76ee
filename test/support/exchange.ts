import type { GatewayError } from '../../src/errors.ts'
import type { Json, JsonObject } from '../../src/json/json.ts'
import { toUtf8 } from '../../src/json/latin1.ts'
import type { Answered, Exchange, Sent } from '../../src/wire/media/media.ts'
import type { Operation, OperationAsk, Told } from '../../src/wire/media/operation.ts'
import type { Target } from '../../src/wire/wire.ts'

export const targetOf = (provider: string, model: string, more: Partial<Target> = {}): Target => ({
  provider,
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
  ...more,
})

/** An answer of a provider's: JSON, or bytes with their type. */
export function answered(value: Json | Uint8Array, headers: Record<string, string> = {}): Answered {
  const bytes = value instanceof Uint8Array ? value : toUtf8(JSON.stringify(value))
  const all: Record<string, string> = { 'content-type': 'application/json', ...headers }
  return { status: 200, header: (name) => all[name], bytes, live: undefined }
}

/** Plays the provider: what was sent, in rounds, and what came of it. */
export function play<T>(
  exchange: Exchange<T>,
  rounds: readonly (readonly Answered[])[],
): { sent: Sent[]; result: T } {
  const sent: Sent[] = []
  let step = exchange.next([])
  for (const answers of rounds) {
    if (step.done) break
    sent.push(...step.value)
    step = exchange.next(answers)
  }
  if (!step.done) throw new Error('the exchange asks more than it was answered')
  return { sent, result: step.value }
}

export type Played = {
  sent: Sent[]
  /** The bodies that were sent as JSON. */
  bodies: Json[]
  told: Told
  /** What the client hears, as JSON. */
  json: JsonObject
  dropped: string[]
}

/** One request of a client, as JSON, through an operation to a provider that answers as given. */
export function converse(
  operation: Operation,
  wire: string,
  to: Target,
  body: JsonObject,
  rounds: readonly (readonly Answered[])[],
  more: Partial<OperationAsk> = {},
): Played {
  const dropped: string[] = []
  const asked = {
    has: (key: string) => Object.hasOwn(body, key),
    field: (key: string) => body[key],
  }
  const own = { ...body, model: to.model }
  const { exchange } = operation.start({
    wire,
    to,
    asked,
    bytes: () => toUtf8(JSON.stringify(own)),
    json: () => structuredClone(own),
    plain: () => structuredClone(body),
    upload: undefined,
    form: () => ({ type: 'form', fields: {}, files: [] }),
    stream: body['stream'] === true,
    context: { model: 'public', requestId: 'r-1', created: 1_700_000_000 },
    lacks: (...fields) => void dropped.push(...fields),
    keeper: 'd-1',
    ...more,
  })
  const { sent, result: told } = play(exchange, rounds)
  return { sent, bodies: sent.map(bodyOf), told, json: jsonOf(told), dropped }
}

function bodyOf({ body }: Sent): Json {
  if (body?.type === 'json') return JSON.parse(JSON.stringify(body.value))
  if (body?.type === 'form') return JSON.parse(JSON.stringify(body.fields))
  if (body?.type === 'bytes' && body.bytes instanceof Uint8Array && /json\b/.test(body.mime))
    return JSON.parse(new TextDecoder().decode(body.bytes))
  return null
}

function jsonOf(told: Told): JsonObject {
  if (told.type === 'live' || told.mime !== 'application/json') return {}
  const out = told.encode(undefined)
  if (out instanceof Uint8Array) return {}
  const text =
    out.encoding === 'latin1'
      ? new TextDecoder().decode(Uint8Array.from(out.body, (c) => c.charCodeAt(0)))
      : out.body
  return JSON.parse(text)
}

export const kindOf = (run: () => unknown): string | undefined => {
  try {
    run()
  } catch (cause) {
    return (cause as GatewayError).kind
  }
  return undefined
}
