import { beneath, callBeside } from '../call/beside.ts'
import type { Limits } from '../call/transport.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeUsage } from '../wire/openai-responses/usage.ts'
import { readObject, relayStream } from '../wire/relay.ts'
import { wires } from '../wire/wires.ts'
import { paced } from './admission.ts'
import { callIdOf } from './headers.ts'
import type { Kept } from './kept.ts'
import {
  isOwed,
  nativeOf,
  notFound,
  openId,
  parsedAnswer,
  parsedItems,
  payOff,
  runningKey,
  sealerFor,
  type There,
} from './memory.ts'
import { json } from './models.ts'
import { replayed } from './replay.ts'
import type { Rooms } from './rooms.ts'
import type { Visit } from './routes.ts'

type Action = 'get' | 'delete' | 'cancel' | 'input_items'

/** What is asked about an answer given before: of the provider that keeps it, or of what is kept here. */
export const storedResponse =
  (action: Action) =>
  async (visit: Visit): Promise<Outgoing> => {
    const { rooms, caller, incoming } = visit
    const end = await paced(incoming, undefined, '', caller, rooms)
    try {
      return await ask(action, visit)
    } finally {
      end()
    }
  }

async function ask(action: Action, visit: Visit): Promise<Outgoing> {
  const { rooms, caller, params, incoming } = visit
  const id = params['id'] ?? ''
  const there = openId(rooms, caller.keyId, id)
  if (there) return atProvider(action, id, there, visit)
  const kept = await rooms.memory.answers.find(caller.keyId, id)
  if (!kept) throw notFound(id)
  const query = new URLSearchParams(incoming.query)
  switch (action) {
    case 'get':
      if (query.get('stream') === 'true') return replayed(visit, id, query)
      return json(parsedAnswer(kept.answer))
    case 'delete':
      await rooms.memory.answers.remove(caller.keyId, id)
      stop(rooms, caller.keyId, id)
      return json({ id, object: 'response', deleted: true })
    case 'cancel':
      return json(await cancel(rooms, caller.keyId, id, kept))
    case 'input_items':
      return json(pageOf(withIds(parsedItems(kept.input), id), query))
  }
}

function stop({ memory }: Rooms, owner: string, id: string): void {
  const key = runningKey(owner, id)
  memory.running.get(key)?.abort()
  memory.running.delete(key)
}

async function cancel(rooms: Rooms, owner: string, id: string, kept: Kept): Promise<JsonObject> {
  const answer = parsedAnswer(kept.answer)
  if (answer['background'] !== true)
    throw new GatewayError('bad_request', 'Cannot cancel a synchronous response.', {
      type: 'invalid_request_error',
    })
  // Who cancels what is over hears how it ended.
  if (!pending.has(text(answer['status']) ?? '')) return answer
  stop(rooms, owner, id)
  const cancelled = { ...answer, status: 'cancelled' }
  await rooms.memory.answers.save(owner, id, { ...kept, answer: JSON.stringify(cancelled) })
  return cancelled
}
const pending = new Set(['queued', 'in_progress'])

const withIds = (items: readonly JsonObject[], id: string): JsonObject[] =>
  items.map((item, at) => ({ id: `item_${id.replace(/^resp_/, '')}_${at}`, ...item }))

/** OpenAI's pages: newest first unless asked otherwise. */
function pageOf(items: readonly JsonObject[], query: URLSearchParams): JsonObject {
  const order = query.get('order') ?? 'desc'
  const limit = Number(query.get('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw new GatewayError('bad_request', "'limit' must be a whole number from 1 to 100.", {
      param: 'limit',
      type: 'invalid_request_error',
    })
  const all = order === 'asc' ? [...items] : [...items].reverse()
  const after = query.get('after')
  const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1
  const data: Json[] = all.slice(from, from + limit)
  const idOf = (item: Json | undefined): Json => (isObject(item) ? (item['id'] ?? null) : null)
  return {
    object: 'list',
    data,
    first_id: idOf(data[0]),
    last_id: idOf(data.at(-1)),
    has_more: from + limit < all.length,
  }
}

const asked = {
  get: {
    method: 'GET',
    tail: '',
    query: ['include', 'include[]', 'stream', 'starting_after', 'include_obfuscation'],
  },
  delete: { method: 'DELETE', tail: '', query: [] },
  cancel: { method: 'POST', tail: '/cancel', query: [] },
  input_items: {
    method: 'GET',
    tail: '/input_items',
    query: ['include', 'include[]', 'after', 'before', 'limit', 'order'],
  },
} as const satisfies Record<
  Action,
  { method: 'GET' | 'POST' | 'DELETE'; tail: string; query: readonly string[] }
>

async function atProvider(
  action: Action,
  id: string,
  { deployment, id: theirs, model }: There,
  { rooms, caller, incoming }: Visit,
): Promise<Outgoing> {
  const to = nativeOf(deployment)
  if (!to) throw notFound(id)
  const { method, tail, query: names } = asked[action]
  const query = new URLSearchParams()
  for (const [name, value] of new URLSearchParams(incoming.query))
    if (names.some((known) => known === name)) query.append(name, value)
  const place = `/${encodeURIComponent(theirs)}`
  const how = { signal: incoming.signal, limits: limitsOf(to, rooms) }
  // Once it is forgotten nobody tells what it came to.
  if (action === 'delete' && isOwed(rooms.memory, caller.keyId, id)) {
    const look = beneath(to.url.whole, place, new URLSearchParams())
    const { reply } = await callBeside(to, { method: 'GET', url: look }, rooms.calls.transport, how)
    const made = readObject(await reply.bytes(rooms.calls.maxAnswerBytes))
    payOff(rooms.memory, caller.keyId, id, decodeUsage(made))
  }
  const url = beneath(to.url.whole, place + tail, query)
  const { reply, at } = await callBeside(to, { method, url }, rooms.calls.transport, how)
  const seal = sealerFor(rooms, caller.keyId, deployment, model)
  const headers = {
    'x-litellm-call-id': callIdOf(incoming.header('x-litellm-call-id')),
    'x-litellm-model-id': deployment.id,
  }
  if (reply.header('content-type')?.startsWith('text/event-stream')) {
    const relay = relayStream(
      {
        from: wire,
        to: wire,
        native: wire.native,
        target: at.target,
        notes: { model: at.target.model },
        context: { model, requestId: id, created: 0, streamUsage: true, choices: 1, seal },
        secrets: at.credentials,
      },
      rooms.calls.maxLineBytes,
    )
    return {
      status: 200,
      headers: { ...headers, 'content-type': 'text/event-stream; charset=utf-8' },
      body: passed(reply.body, relay, () => {
        const usage = relay.usage()
        if (usage) payOff(rooms.memory, caller.keyId, id, usage)
      }),
    }
  }
  const body = readObject(await reply.bytes(rooms.calls.maxAnswerBytes))
  if (action !== 'input_items' && !pending.has(text(body['status']) ?? ''))
    payOff(rooms.memory, caller.keyId, id, decodeUsage(body))
  const told = json(action === 'input_items' ? body : ours(body, model, seal))
  return { ...told, headers: { ...told.headers, ...headers } }
}
const wire = wires['openai-responses']

/** The provider's answer under the names the client knows. */
function ours(body: JsonObject, model: string, seal: (id: string) => string): JsonObject {
  const out = { ...body }
  for (const key of ['id', 'previous_response_id']) {
    const id = text(body[key])
    if (id) out[key] = seal(id)
  }
  if (body['model'] !== undefined) out['model'] = model
  return out
}

export function limitsOf(to: Deployment, { settings }: Rooms): Limits {
  const ms = (to.timeout ?? settings.timeoutSeconds) * 1000
  return { firstByteMs: ms, idleMs: ms }
}

/** By hand, as every body: a generator that is left before its first step would not tell the connection. */
function passed(
  body: AsyncIterable<Uint8Array>,
  relay: ReturnType<typeof relayStream>,
  onEnd: () => void,
): AsyncIterable<Uint8Array> {
  const reads = body[Symbol.asyncIterator]()
  let ended = false
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (!ended) {
          const { done, value } = await reads.next()
          ended = done === true || relay.fault !== undefined
          const out = done ? (relay.flush() ?? relay.end(undefined)) : relay.push(value)
          if (ended || relay.complete) onEnd()
          if (out && out.length > 0) return { done: false, value: out }
        }
        return { done: true, value: undefined }
      },
      async return() {
        ended = true
        await reads.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
}
