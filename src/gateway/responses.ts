import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, text } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { patch } from '../json/patch.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type Inbound, listen } from '../wire/inbound.ts'
import { openEnvelope, responseId } from '../wire/openai-responses/envelope.ts'
import { encodeFault } from '../wire/openai-responses/errors.ts'
import type { ClientContext } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { groupFor } from './admission.ts'
import { isKeptThere, lacksRoute, mayNameItems } from './bridge.ts'
import { type Recall, serveChat } from './chat.ts'
import {
  conversationTo,
  itemsOf,
  keptItems,
  nativeOf,
  notFound,
  openId,
  owe,
  runningKey,
  sealerFor,
  type There,
} from './memory.ts'
import { json } from './models.ts'
import { replayed } from './replay.ts'
import type { Rooms } from './rooms.ts'
import type { Visit } from './routes.ts'

const wire = wires['openai-responses']

type Responding = Pick<Visit, 'incoming' | 'rooms' | 'caller'>

/** `POST /v1/responses`: a conversation as any other, whose earlier turns may be named instead of repeated. */
export const createResponse = (visit: Responding): Promise<Outgoing> =>
  serveChat(visit.incoming, wire, visit.rooms, visit.caller, {}, recallFor(visit))

export function recallFor(visit: Responding): Recall {
  const { rooms, caller } = visit
  return async (told, requestId) => {
    const owner = caller.keyId
    const group = rooms.router.groups.find(groupFor(modelOf(told, rooms), caller, rooms))
    const isNative = (one: Deployment) => nativeOf(one) !== undefined && !lacksRoute(one, rooms.now)
    const heard = await withItems(told, rooms, owner, group.some(isNative))
    // Whoever keeps no answers can make none in the background either: that is done here.
    if (heard.has('background') && heard.field('background') === true && !group.every(isNative))
      return { answer: await startInBackground(visit, heard, requestId) }
    const { said, only, previous, theirs } = await recollect(heard, rooms, owner, group, isNative)
    let sealed: string | undefined
    const keeps = !(heard.has('store') && heard.field('store') === false)
    const remembering =
      (seal: (id: string) => string) =>
      (id: string): string =>
        id === theirs && previous !== undefined ? previous : (sealed = seal(id))
    return {
      said,
      only,
      defer: (settle) =>
        sealed === undefined ? settle(undefined) : owe(rooms.memory, owner, sealed, settle),
      context: (answering): Partial<ClientContext> =>
        answering.wire === wire
          ? { seal: remembering(sealerFor(rooms, owner, answering, heard.model)) }
          : {
              said: (key) =>
                key === 'store'
                  ? keeps
                  : key === 'previous_response_id'
                    ? previous
                    : said.has(key)
                      ? said.field(key)
                      : undefined,
              ...(keeps && { keep: (answer) => keep(rooms, owner, heard, previous, answer) }),
            },
    }
  }
}

const modelOf = (said: Inbound, { settings }: Rooms): string =>
  settings.completionModel ?? said.model

/** Items that are only named are told in full where they are kept here; all others are their provider's to know. */
async function withItems(
  heard: Inbound,
  rooms: Rooms,
  owner: string,
  native: boolean,
): Promise<Inbound> {
  if (!mayNameItems(heard)) return heard
  const find = keptItems(rooms.memory, owner)
  const named = new Set<string>()
  const input: Json[] = []
  let found = false
  for (const item of list(heard.field('input'))) {
    const id = isObject(item) && item['type'] === 'item_reference' ? text(item['id']) : undefined
    const kept = id === undefined ? undefined : await find(id)
    input.push(kept ?? item)
    found ||= kept !== undefined
    if (id === undefined) continue
    // A name is short, and what it stands for may be long.
    if (named.has(id)) throw refusedItem(`Duplicate item found with id '${id.slice(0, 200)}'.`)
    named.add(id)
    // A thought that is gone is no loss to a model that did not have it; words and calls are.
    if (!kept && !native && !id.startsWith('rs_'))
      throw refusedItem(
        `Item with id '${id.slice(0, 200)}' not found: items are kept for a day, and not where 'store' is false. Send the item itself.`,
      )
  }
  return found ? changed(heard, rooms, { input }) : heard
}

const refusedItem = (message: string): GatewayError =>
  new GatewayError('bad_request', message, { param: 'input', type: 'invalid_request_error' })

type Recollected = {
  /** As the provider is to hear it. */
  said: Inbound
  only?: (deployment: Deployment) => boolean
  /** The answer before, by the client's name for it. */
  previous?: string
  /** The same by the provider's. */
  theirs?: string
}

/** Finds what the client only names: at the deployment that keeps it, or here. */
async function recollect(
  heard: Inbound,
  rooms: Rooms,
  owner: string,
  group: readonly Deployment[],
  isNative: (one: Deployment) => boolean,
): Promise<Recollected> {
  if (!isKeptThere(heard) || group.length === 0) return { said: heard }
  const previous = heard.has('previous_response_id')
    ? text(heard.field('previous_response_id'))
    : undefined
  if (previous !== undefined) {
    const there = openPrevious(rooms, owner, previous)
    if (there) return atItsMaker(heard, rooms, there, group, previous)
    const before = await conversationTo(rooms.memory, owner, previous)
    if (before) return { said: withInput(heard, rooms, before), previous }
  }
  // An id of the provider's own, which it alone can judge.
  if (group.some(isNative)) return { said: heard, only: isNative, ...(previous && { previous }) }
  if (previous !== undefined) throw notFound(previous, 400)
  const name = heard.has('conversation') ? 'conversation' : 'prompt'
  throw new GatewayError(
    'bad_request',
    `'${name}' is kept by providers that have the Responses API, and ${heard.model.slice(0, 200)} has none of them: send the whole conversation in 'input'.`,
    { param: name, type: 'invalid_request_error' },
  )
}

function openPrevious(rooms: Rooms, owner: string, id: string): There | undefined {
  try {
    return openId(rooms, owner, id)
  } catch {
    throw notFound(id, 400)
  }
}

function atItsMaker(
  heard: Inbound,
  rooms: Rooms,
  { deployment, id }: There,
  group: readonly Deployment[],
  previous: string,
): Recollected {
  const only = (one: Deployment): boolean => sharesAccount(one, deployment)
  if (!group.some(only))
    throw new GatewayError(
      'bad_request',
      `The response before was made by another provider than ${heard.model.slice(0, 200)} has: leave previous_response_id out and send the whole conversation in 'input'.`,
      {
        param: 'previous_response_id',
        type: 'invalid_request_error',
        code: 'previous_response_not_found',
      },
    )
  const said = changed(heard, rooms, { previous_response_id: id })
  return { said, only, previous, theirs: id }
}

/** What one of them keeps the other finds: the same address with the same credential. */
function sharesAccount(one: Deployment, other: Deployment): boolean {
  if (one.id === other.id) return true
  const [a, b] = [nativeOf(one), nativeOf(other)]
  if (!a || !b || a.url.whole !== b.url.whole) return false
  const credential = ({ headers, secrets }: Deployment) => JSON.stringify([headers, secrets])
  return credential(a) === credential(b)
}

/** The conversation so far, and then what the client said now. */
function withInput(heard: Inbound, rooms: Rooms, before: JsonObject[]): Inbound {
  const input: Json[] = [...before, ...itemsOf(heard.field('input'))]
  return changed(heard, rooms, { input }, ['previous_response_id'])
}

function changed(
  heard: Inbound,
  { settings }: Rooms,
  set: JsonObject,
  remove: readonly string[] = [],
): Inbound {
  const { glance, model, stream } = heard
  let bytes: Uint8Array
  if (glance) {
    const raw: Record<string, string> = {}
    for (const [key, value] of Object.entries(set)) raw[key] = stringify(value ?? null)
    bytes = patch(glance, { set: raw, remove })
  } else {
    const body = { ...heard.json(), ...set }
    for (const key of remove) delete body[key]
    bytes = toUtf8(stringify(body))
  }
  return listen(bytes, wire, { model, stream }, settings.jsonDepth)
}

function keep(
  { memory, log }: Rooms,
  owner: string,
  heard: Inbound,
  previous: string | undefined,
  answer: JsonObject,
): void {
  const input = JSON.stringify(itemsOf(heard.field('input')))
  memory.answers
    .save(owner, text(answer['id']) ?? '', { answer: JSON.stringify(answer), input, previous })
    .catch((cause: unknown) => log('error', 'an answer could not be kept', { cause }))
}

/** An answer nobody waits for: it is made as any other, kept, and asked for by its id. */
async function startInBackground(
  { incoming, rooms, caller }: Responding,
  heard: Inbound,
  requestId: string,
): Promise<Outgoing> {
  const { memory } = rooms
  if (heard.has('store') && heard.field('store') === false)
    throw unsupported("'background' needs 'store': an answer that is not kept cannot be fetched.")
  if (memory.running.size >= runningMax)
    throw new GatewayError(
      'unavailable',
      'too many responses are being made in the background: try again in a moment',
      { retryAfter: '5' },
    )
  const previous = heard.has('previous_response_id')
    ? text(heard.field('previous_response_id'))
    : undefined
  const created = Math.floor(rooms.now() / 1000)
  const said = (field: string): Json | undefined =>
    field === 'store' ? true : heard.has(field) ? heard.field(field) : undefined
  const { model } = heard
  const context = { model, requestId, created, streamUsage: true, choices: 1, said }
  const id = responseId('', context)
  const owner = caller.keyId
  const key = runningKey(owner, id)
  const envelope = openEnvelope(context)
  const waiting = {
    ...envelope({ id, created, status: 'in_progress', output: [] }),
    status: 'queued',
  }
  const input = JSON.stringify(itemsOf(heard.field('input')))
  const save = (answer: JsonObject): Promise<void> =>
    memory.answers.save(owner, id, { answer: JSON.stringify(answer), input, previous })
  await save(waiting)
  const body = heard.json()
  delete body['background']
  delete body['stream']
  body['store'] = false
  const controller = new AbortController()
  memory.running.set(key, controller)
  const inner: Incoming = {
    ...incoming,
    body: async () => toUtf8(stringify(body)),
    signal: controller.signal,
  }
  serveChat(inner, wire, rooms, caller, {}, recallFor({ incoming: inner, rooms, caller }))
    .then(async (out) => {
      const told = answerOf(out)
      if (controller.signal.aborted) return
      await save(
        out.status === 200
          ? { ...told, id, background: true, store: true, previous_response_id: previous ?? null }
          : { ...waiting, status: 'failed', error: failureOf(told) },
      )
    })
    .catch((cause: unknown) =>
      rooms.log('error', 'a response in the background was lost', { cause }),
    )
    .finally(() => memory.running.delete(key))
  // Whoever leaves comes back to it by its id.
  return heard.stream
    ? replayed({ incoming, rooms, caller }, id, new URLSearchParams())
    : json(waiting)
}

/** Each holds a connection to a provider. */
const runningMax = 500

function answerOf({ body }: Outgoing): JsonObject {
  if (typeof body === 'string') return parseObject(body)
  return body instanceof Uint8Array ? parseObject(utf8(body)) : {}
}

function failureOf(told: JsonObject): JsonObject {
  const said = isObject(told['error']) ? told['error'] : {}
  const fault = encodeFault(new GatewayError('provider', text(said['message']) ?? 'it failed'))
  return { code: text(said['code']) ?? fault['code'], message: fault['message'] }
}

const unsupported = (message: string): GatewayError =>
  new GatewayError('bad_request', message, { param: 'background', type: 'invalid_request_error' })
