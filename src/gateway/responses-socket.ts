import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import type { Socket } from '../http/socket.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { unknownModel } from '../router/router.ts'
import { openFrames } from '../wire/framing/frames.ts'
import { encodeError } from '../wire/openai-chat/errors.ts'
import { openEnvelope } from '../wire/openai-responses/envelope.ts'
import { groupFor } from './admission.ts'
import { itemsOf, outputOf } from './memory.ts'
import { createResponse } from './responses.ts'
import type { Visit } from './routes.ts'

/**
 * Responses over a WebSocket: each `response.create` is a request as any other, whose events are the messages that
 * come back. The connection remembers its last conversation, so that a client that keeps nothing with the provider
 * (`store: false`) need not repeat it.
 */
export async function serveResponsesSocket(visit: Visit, socket: Socket): Promise<void> {
  const turns = createTurns(visit, socket)
  for await (const message of socket.messages) {
    try {
      await turns.take(message)
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'canceled') return
      if (error.kind === 'internal')
        visit.rooms.log('error', 'a turn of a WebSocket failed', { cause: error.cause })
      await socket.send(JSON.stringify(errorEvent(error.status, encodeError(error))))
    }
  }
}

/** As OpenAI's servers say that a turn failed; the connection goes on. */
const errorEvent = (status: number, body: JsonObject): JsonObject => ({
  type: 'error',
  status,
  error: object(body['error']),
})

/** What this connection knows of the answer before: everything said up to it. */
type Last = { id: string; items: string; keptElsewhere: boolean }

function createTurns({ incoming, rooms }: Visit, socket: Socket) {
  const { settings } = rooms
  let last: Last | undefined

  async function take(message: string): Promise<void> {
    const frame = parseObject(message, { ...requestBounds, maxDepth: settings.jsonDepth })
    if (frame['type'] !== 'response.create')
      throw invalid(
        `Messages of the type '${String(text(frame['type']) ?? '').slice(0, 100)}' are not known here: send 'response.create'.`,
        'type',
      )
    const { type: _, response, ...flat } = frame
    const { generate, stream: __, background: ___, ...body } = isObject(response) ? response : flat
    const before = remembered(body)
    if (before) {
      const { previous_response_id: ____, ...rest } = body
      const input: Json[] = [...before, ...itemsOf(body['input'])]
      return generate === false ? warmUp(body, input) : ask({ ...rest, input }, input)
    }
    return generate === false ? warmUp(body, itemsOf(body['input'])) : ask(body, undefined)
  }

  /** The conversation before, where only this connection has it. */
  function remembered({ previous_response_id: id }: JsonObject): Json[] | undefined {
    if (id === undefined || id === null || !last || id !== last.id || last.keptElsewhere)
      return undefined
    const items: unknown = JSON.parse(last.items)
    return Array.isArray(items) ? items : undefined
  }

  function remember(id: string, items: readonly Json[], keptElsewhere: boolean): void {
    const said = keptElsewhere ? '[]' : JSON.stringify(items)
    // Of a conversation larger than a message may be, the client has to send all.
    last = said.length <= rememberedMax ? { id, items: said, keptElsewhere } : undefined
  }

  /** The client shows what it will ask for, so that a server could prepare it; nothing is asked of a model. */
  async function warmUp(body: JsonObject, input: readonly Json[]): Promise<void> {
    const caller = await rooms.identify(turnOf(body), 'llm')
    const model = text(body['model']) ?? ''
    if (!rooms.router.knows(groupFor(model, caller, rooms))) throw unknownModel(model)
    const created = Math.floor(rooms.now() / 1000)
    const id = `resp_${crypto.randomUUID().replaceAll('-', '')}`
    const envelope = openEnvelope({
      model,
      requestId: id,
      created,
      streamUsage: true,
      choices: 1,
      said: (key) => body[key],
    })
    const usage = { input_tokens: 0, output_tokens: 0, total_tokens: 0 }
    const begun = envelope({ id, created, status: 'in_progress', output: [] })
    const done = envelope({ id, created, status: 'completed', output: [], usage })
    remember(id, input, false)
    const events = [
      { type: 'response.created', sequence_number: 0, response: begun },
      { type: 'response.completed', sequence_number: 1, response: done },
    ]
    for (const event of events) await socket.send(JSON.stringify(event))
  }

  async function ask(body: JsonObject, before: readonly Json[] | undefined): Promise<void> {
    const turn = turnOf({ ...body, stream: true })
    const caller = await rooms.identify(turn, 'llm')
    const out = await createResponse({ incoming: turn, rooms, caller })
    if (out.status !== 200 || !isStream(out.body)) return refuse(out)
    const finished = await relay(out.body)
    if (!finished) return
    const said = before ?? itemsOf(body['input'])
    const isLinked = before === undefined && (body['previous_response_id'] ?? null) !== null
    const isKept = body['store'] !== false || isLinked
    remember(text(finished['id']) ?? '', [...said, ...outputOf(finished)], isKept)
  }

  async function refuse({ status, body, headers }: Outgoing): Promise<void> {
    const said = typeof body === 'string' ? parseObject(body) : {}
    const retry = headers['retry-after']
    const event = errorEvent(status, said)
    if (retry !== undefined) event['headers'] = { 'retry-after': retry }
    await socket.send(JSON.stringify(event))
  }

  /** Events as messages, at the pace of the reader. Answers with the response when it is over. */
  async function relay(body: AsyncIterable<Uint8Array | string>): Promise<JsonObject | undefined> {
    const frames = openFrames('sse', rooms.calls.maxLineBytes)
    const reads = body[Symbol.asyncIterator]()
    let finished: JsonObject | undefined
    const send = async (batch: ReturnType<typeof frames.push>): Promise<void> => {
      for (const { event, data } of batch) {
        if (data === '' || data === '[DONE]') continue
        const said = utf8(bytesOf(data))
        if (event !== undefined && endings.has(event))
          finished = object(object(JSON.parse(said))['response'])
        await socket.send(said)
      }
    }
    try {
      for (;;) {
        const { done, value } = await reads.next()
        await send(
          done ? frames.end() : frames.push(typeof value === 'string' ? toUtf8(value) : value),
        )
        if (done) return finished
      }
    } finally {
      await reads.return?.()
    }
  }

  /** One message as a request of its own: the handshake's headers, the message's body. */
  function turnOf(body: JsonObject): Incoming {
    const bytes = toUtf8(stringify(body))
    const { 'x-litellm-call-id': _, ...headers } = incoming.headers()
    return {
      method: 'POST',
      path: incoming.path,
      query: incoming.query,
      // A call's id is for one call.
      header: (name) => (name === 'x-litellm-call-id' ? undefined : incoming.header(name)),
      headers: () => ({ ...headers }),
      headerNames: () => Object.keys(headers),
      remoteAddress: incoming.remoteAddress,
      body: async () => bytes,
      async *stream() {
        yield bytes
      },
      signal: socket.signal,
    }
  }

  return { take }
}

const endings = new Set(['response.completed', 'response.incomplete'])
/** Characters. */
const rememberedMax = 16 * 1024 * 1024

const isStream = (body: Outgoing['body']): body is AsyncIterable<Uint8Array | string> =>
  typeof body !== 'string' && !(body instanceof Uint8Array)

const invalid = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, { param, type: 'invalid_request_error' })

/** What a path that is a WebSocket says to a plain request. */
export function needsSocket(): Outgoing {
  throw new GatewayError(
    'bad_request',
    'GET is for WebSockets here: upgrade the connection, or POST the request',
    { status: 426, headers: { allow: 'POST' } },
  )
}
