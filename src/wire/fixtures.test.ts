import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { prepare } from '../call/prepare.ts'
import { join } from '../call/transport.ts'
import type { ChatEvent, Usage } from '../chat/chat.ts'
import { eventsOf } from '../chat/fold.ts'
import { GatewayError } from '../errors.ts'
import { type Json, type JsonObject, object, text } from '../json/json.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'
import { createDeployment } from '../provider/deployment.ts'
import { resolve } from '../provider/resolve.ts'
import { openFrames } from './framing/frames.ts'
import { listen } from './inbound.ts'
import { type Crossing, relayResult, relayStream } from './relay.ts'
import type { ClientContext, ProviderWire, Wire } from './wire.ts'
import { wires } from './wires.ts'

/*
 * Recordings: `<wire>/fixtures/<case>/` holds `client.json` (what a client asked, in this wire's words or, where clients
 * do not speak it, in openai-chat's; its `model` names the provider), `upstream.*` (the provider's bytes; `upstream.json`
 * is a whole answer, any other a stream) and `expected.json`: what the provider is sent, what the client reads, what the
 * house understood. A case needs no code. With RECORD=1 in the environment `expected.json` is written; read it before you
 * believe it.
 */

const here = new URL('.', import.meta.url)
const isClient = (wire: ProviderWire): wire is Wire => 'decodeRequest' in wire

for (const wire of Object.values<ProviderWire>(wires)) {
  const folder = new URL(`${wire.id}/fixtures/`, here)
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : [])
    test(`${wire.id}: ${name}`, () => replay(wire, new URL(`${name}/`, folder)))
}

function replay(wire: ProviderWire, folder: URL): void {
  const client = isClient(wire) ? wire : wires['openai-chat']
  const upstream = readdirSync(folder).find((file) => file.startsWith('upstream.')) ?? ''
  const bytes = new Uint8Array(readFileSync(new URL(upstream, folder)))
  const said = listen(new Uint8Array(readFileSync(new URL('client.json', folder))), client)
  const { body, dropped, crossing } = prepared(said, wire)
  const seen = upstream === 'upstream.json' ? whole(bytes, crossing) : streamed(bytes, crossing)
  const told = {
    request: JSON.parse(utf8(body)),
    ...(dropped.length > 0 && { dropped: [...dropped] }),
    ...seen,
  }
  const at = new URL('expected.json', folder)
  if (process.env['RECORD'] === '1') writeFileSync(at, legible(told))
  assert.deepEqual(told, JSON.parse(readFileSync(fileURLToPath(at), 'utf8')))
}

/** A line for each frame, so that a change can be read. */
function legible(told: JsonObject): string {
  const members = Object.entries(told).map(([key, value]) => {
    const items = Array.isArray(value) ? value.map((item) => `\n    ${JSON.stringify(item)}`) : []
    return `  "${key}": ${Array.isArray(value) ? `[${items.join()}\n  ]` : JSON.stringify(value)}`
  })
  return `{\n${members.join(',\n')}\n}\n`
}

function prepared(said: ReturnType<typeof listen>, wire: ProviderWire) {
  const to = createDeployment(
    {
      modelName: 'public',
      params: {
        model: said.model,
        api_key: 'sk-recorded',
        api_base: 'https://upstream.invalid/v1',
      },
      defaults: {},
      prices: {},
      info: {},
      unset: {},
    },
    {
      env: () => undefined,
      resolve: (model, custom) => resolve(model, custom),
      infoOf: () => ({}),
      dropParams: true,
      modifyParams: false,
      schemes: {},
    },
    'id',
  )
  const context: ClientContext = {
    model: 'public',
    requestId: 'r-1',
    created: 1_700_000_000,
    streamUsage: object(said.field('stream_options'))['include_usage'] === true,
    choices: Number(said.field('n') ?? 1),
  }
  assert.equal(
    to.wire.id,
    wire.id,
    `client.json names a model of a provider that speaks ${wire.id}`,
  )
  return prepare(said, to, {
    remove: [],
    dropParams: false,
    headers: {},
    dialectHeaders: {},
    context,
  })
}

function whole(bytes: Uint8Array, crossing: Crossing): JsonObject {
  try {
    const result = relayResult(bytes, crossing)
    const { body, encoding } = result.encode(undefined)
    const { from, notes } = crossing
    return {
      client: JSON.parse(encoding === 'latin1' ? utf8(bytesOf(body)) : body),
      house: understood(eventsOf(from.decodeResult(JSON.parse(utf8(bytes)), notes))),
    }
  } catch (cause) {
    return { fault: faultOf(cause) }
  }
}

function streamed(bytes: Uint8Array, crossing: Crossing): JsonObject {
  const [first, ...others] = [Number.POSITIVE_INFINITY, 1, 7].map((size) =>
    carried(bytes, crossing, size),
  )
  for (const other of others) assert.deepEqual(other, first, 'cuts change nothing')
  const { from, notes } = crossing
  const decoder = from.decodeStream(notes)
  const frames = openFrames(from.framing, 1 << 20)
  const heard = [...frames.push(bytes), ...frames.end()].flatMap(({ event, data }) =>
    decoder.push({ event, data: utf8(bytesOf(data)) }),
  )
  return { ...first, house: understood([...heard, ...decoder.end()]) }
}

function carried(bytes: Uint8Array, crossing: Crossing, size: number): JsonObject {
  const relay = relayStream(crossing, 1 << 20)
  const out: Uint8Array[] = []
  const keep = (some: Uint8Array | undefined) => some && out.push(some)
  for (let at = 0; at < bytes.length && !relay.fault; at += size)
    keep(relay.push(bytes.subarray(at, at + size)))
  if (!relay.fault) keep(relay.flush())
  if (!relay.fault) keep(relay.end(undefined))
  const frames = openFrames('sse', 1 << 20)
  const shown = [...frames.push(join(out)), ...frames.end()].map(({ event, data }): Json => {
    const read: Json = data === '[DONE]' ? data : JSON.parse(utf8(bytesOf(data)))
    return event === undefined ? read : { event, data: read }
  })
  return { client: shown, ...(relay.fault && { fault: faultOf(relay.fault) }) }
}

function faultOf(cause: unknown): JsonObject {
  if (!GatewayError.is(cause)) throw cause
  return { kind: cause.kind, status: cause.status, message: cause.message }
}

/** What the house heard, each choice in one piece. */
function understood(events: readonly ChatEvent[]): JsonObject {
  const choices = new Map<number, JsonObject>()
  let usage: Usage | undefined
  let fault: JsonObject | undefined
  for (const event of events) {
    if (event.type === 'usage') usage = event.usage
    if (event.type === 'fault') fault = faultOf(event.error)
    const at = 'choice' in event ? (event.choice ?? 0) : 0
    const choice = choices.get(at) ?? {}
    if (event.type === 'text' || event.type === 'reasoning' || event.type === 'refusal')
      choice[event.type] = (text(choice[event.type]) ?? '') + event.text
    else if (event.type === 'tool-start')
      choice[`call ${event.index}`] = `${event.id} ${event.name} `
    else if (event.type === 'tool-input')
      choice[`call ${event.index}`] = (text(choice[`call ${event.index}`]) ?? '') + event.text
    else if (event.type === 'signature') choice['signature'] = event.signature
    else if (event.type === 'finish') choice['finish'] = event.finish
    else continue
    choices.set(at, choice)
  }
  const told = usage && Object.entries(usage).filter(([key, value]) => key !== 'raw' && value !== 0)
  return {
    choices: Object.fromEntries(choices),
    ...(told && { usage: Object.fromEntries(told) as JsonObject }),
    ...(fault && { fault }),
  } // counts are JSON
}
