import { named, refusalOf } from '../call/call.ts'
import type { SocketLine } from '../call/dial.ts'
import { GatewayError } from '../errors.ts'
import type { Socket } from '../http/socket.ts'
import type { ParseOptions } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { infoOf } from '../provider/catalogue.ts'
import { costOf, priceOf, type Units } from '../provider/cost.ts'
import { type Deployment, join } from '../provider/deployment.ts'
import { sentSecrets } from '../provider/secrets.ts'
import {
  type Conversation,
  geminiLive,
  modelOfSetup,
  openaiRealtime,
  type RealtimeTold,
} from '../wire/media/realtime.ts'
import { encodeError } from '../wire/openai-chat/errors.ts'
import { admission, groupFor, mayGoOn } from './admission.ts'
import { noSuchModel } from './chat.ts'
import { readControls, refuseUpstreamElsewhere } from './fields.ts'
import { callIdOf } from './headers.ts'
import { heardOf } from './operation.ts'
import { openReceipt, type Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import type { Visit } from './routes.ts'
import { noteUnpriced, refuseUnpriced } from './unpriced.ts'

/**
 * OpenAI's Realtime over a WebSocket: the provider is called before the client's handshake is answered, so what is wrong
 * is an HTTP status. Messages pass both ways; what its responses used is summed, and settled once when it ends.
 */
export async function connectRealtime(visit: Visit): Promise<(client: Socket) => Promise<void>> {
  const query = new URLSearchParams(visit.incoming.query)
  const model = query.get('model') ?? query.get('deployment') ?? ''
  if (model === '')
    throw new GatewayError('bad_request', "Missing required parameter: 'model'.", {
      param: 'model',
      type: 'invalid_request_error',
    })
  const transcribes = query.get('intent') === 'transcription'
  const session = await openSession(visit, model, (to) => ({
    url: realtimeUrl(to, query, isBeta(visit)),
    headers: isBeta(visit) ? { 'openai-beta': 'realtime=v1' } : {},
    conversation: openaiRealtime(
      { here: model, there: to.target.model },
      boundsOf(visit.rooms),
      transcribes,
    ),
  }))
  return (client) => pump(session, client, visit.rooms)
}

/**
 * Google's Live API, at the path its clients know. The first message names the model, so the provider is called then; what
 * is wrong closes the connection, as Google's servers do it.
 */
export async function serveGeminiLive(visit: Visit, client: Socket): Promise<void> {
  const messages = client.messages[Symbol.asyncIterator]()
  const first = await messages.next()
  if (first.done) return
  try {
    const model = modelOfSetup(first.value, boundsOf(visit.rooms))
    if (model === undefined)
      throw new GatewayError('bad_request', 'the first message has to be a setup with its model')
    const session = await openSession(visit, model, (to) => ({
      url: liveUrl(to, visit.incoming.path),
      headers: {},
      conversation: geminiLive({ here: model, there: to.target.model }, boundsOf(visit.rooms)),
    }))
    await pump(session, client, visit.rooms, first.value)
  } catch (cause) {
    const error = GatewayError.from(cause)
    if (error.kind === 'internal')
      visit.rooms.log('error', 'a live session failed', { cause: error.cause })
    client.close(error.status >= 500 ? 1011 : 1008, error.message)
  }
}

type Session = {
  line: SocketLine
  conversation: Conversation
  /** The client is there; until then its leaving ends the session. */
  begin(): void
  /** More has been used. Throws once the budget is. */
  goOn(): Promise<void>
  /** Settles what was used. Only the first call counts. */
  finish(cause?: unknown): Promise<void>
}

type Place = { url: string; headers: Record<string, string>; conversation: Conversation }

/** From a model's name to an open line: who may, who is let in, which deployment answers. */
async function openSession(
  visit: Visit,
  model: string,
  placeAt: (to: Deployment) => Place,
): Promise<Session> {
  const { incoming, rooms, caller } = visit
  const receipt = openReceipt(rooms, 'realtime', callIdOf(incoming.header('x-litellm-call-id')))
  receipt.keyId = caller.keyId
  receipt.model = model
  receipt.stream = true
  try {
    refuseUpstreamElsewhere(incoming.query, incoming.headerNames())
    const group = groupFor(model, caller, rooms)
    if (!rooms.router.knows(group)) throw noSuchModel(incoming.path, model)
    const said = heardOf({}, model)
    const controls = readControls(said, rooms.settings.fields, incoming)
    const worst = {
      input: () => 0,
      exactInput: async () => 0,
      output: () => undefined,
      modelOutput: () => undefined,
      unknown: true,
      kinds: () => ({ audio: true, images: false, longCache: false, searches: 0, raw: undefined }),
    } as const
    const admitted = admission(incoming, said, controls, group, caller, receipt, rooms, worst)
    if (admitted) await admitted
    const { answer, deployment, retries, fallbacks, release } = await rooms.router.route({
      model: group,
      ...(rooms.access && { mayUse: (name) => mayGoOn(name, caller, receipt, rooms) }),
      tags: controls.tags,
      retries: controls.retries,
      fallbacks: controls.fallbacks,
      disableFallbacks: controls.disableFallbacks,
      stream: true,
      signal: incoming.signal,
      attempt: async (to) => {
        refuseUnpriced(to, rooms)
        await receipt.pass?.cover(to.group, [to.price])
        return dialTo(to, placeAt, visit)
      },
    })
    receipt.deployment = deployment
    receipt.group = deployment.group
    receipt.retries = retries
    receipt.fallbacks = fallbacks
    receipt.firstByteAt = rooms.now()
    return sessionOf(answer, deployment, receipt, visit, release)
  } catch (cause) {
    const error = receipt.failed(cause)
    receipt.settle()
    throw error
  }
}

type Answered = { line: SocketLine; conversation: Conversation }

async function dialTo(
  to: Deployment,
  placeAt: (to: Deployment) => Place,
  { incoming, rooms }: Visit,
): Promise<Answered> {
  const { dial } = rooms.calls
  if (to.problem) throw to.problem
  if (!dial || to.mock || !to.spec.operations.includes('realtime'))
    throw new GatewayError(
      'not_offered',
      dial
        ? `${to.spec.name} does not offer realtime here; docs/providers.md says who does`
        : 'realtime needs WebSockets to providers, which this gateway has on Node only',
      { param: 'model' },
    )
  const { url, headers: own, conversation } = placeAt(to)
  const { 'content-type': _, ...mine } = to.headers
  const headers = { ...mine, ...own }
  let at = to
  if (to.authorize) {
    const signing = to.authorize({ method: 'GET', url, headers, body: new Uint8Array(0) })
    if (signing) await signing
    at = { ...to, secrets: [...to.secrets, ...sentSecrets(headers)] }
  }
  const opening = new AbortController()
  const left = (): void => opening.abort(incoming.signal.reason)
  incoming.signal.addEventListener('abort', left, { once: true })
  if (incoming.signal.aborted) left()
  try {
    const dialed = await dial({
      url,
      headers,
      signal: opening.signal,
      connectMs,
      messageBytes,
      connection: to.connection,
    })
    if (dialed.type === 'open') return { line: dialed.line, conversation }
    throw await refusalOf(dialed.reply, at, to.wire.decodeError)
  } catch (cause) {
    throw named(cause, at)
  } finally {
    // Once it is open, the session says when it ends.
    incoming.signal.removeEventListener('abort', left)
  }
}
const connectMs = 15_000
/** What OpenAI allows is 15 MiB; a message is held whole. */
const messageBytes = 32 * 1024 * 1024

function sessionOf(
  { line, conversation }: Answered,
  deployment: Deployment,
  receipt: Receipt,
  { incoming, rooms }: Visit,
  release: (error: GatewayError | undefined) => void,
): Session {
  let finished = false
  async function finish(cause?: unknown): Promise<void> {
    if (finished) return
    finished = true
    begin()
    const error = cause === undefined ? undefined : receipt.failed(cause)
    release(error)
    line.close()
    const told = conversation.told()
    const units = unitsOf(told)
    receipt.usage = told.usage
    if (units) receipt.units = units
    noteUnpriced(receipt, rooms)
    try {
      await recordTranscripts(told, deployment, receipt, rooms)
    } finally {
      await receipt.settle()
    }
  }
  async function goOn(): Promise<void> {
    const { pass } = receipt
    if (!pass) return
    const told = conversation.told()
    receipt.usage = told.usage
    receipt.units = unitsOf(told)
    const transcripts = await transcriptsOf(told, deployment, receipt, rooms)
    await pass.goOn(receipt.cost().nanoDollars + (transcripts?.nanoDollars ?? 0))
  }
  /** A handshake that never becomes a connection ends here. */
  const left = (): void => void finish(new GatewayError('canceled', 'the client has gone'))
  incoming.signal.addEventListener('abort', left, { once: true })
  if (incoming.signal.aborted) left()
  const begin = (): void => incoming.signal.removeEventListener('abort', left)
  return { line, conversation, begin, goOn, finish }
}

function unitsOf({ cachedAudio, seconds }: RealtimeTold): Units | undefined {
  if (cachedAudio === 0 && seconds === 0) return undefined
  return { ...(cachedAudio > 0 && { cachedAudio }), ...(seconds > 0 && { seconds }) }
}

/** Another model may write down what the user says; the provider bills it by that model's price. */
async function transcriptsOf(
  { transcripts: { model, usage, seconds } }: RealtimeTold,
  to: Deployment,
  { startedAt }: Receipt,
  rooms: Rooms,
) {
  if (model === undefined || (usage.raw === undefined && seconds === 0)) return undefined
  const info = infoOf(await rooms.catalogue(), to.provider, model, {})
  const units = seconds > 0 ? { seconds } : undefined
  const price = priceOf(info, { provider: to.provider })
  const { nanoDollars, priced } = costOf(usage, price, { at: startedAt, units })
  return { model, usage, units, nanoDollars, priced }
}

async function recordTranscripts(
  told: RealtimeTold,
  to: Deployment,
  receipt: Receipt,
  rooms: Rooms,
): Promise<void> {
  const found = await transcriptsOf(told, to, receipt, rooms)
  if (!found) return
  const { model, usage, units, nanoDollars, priced } = found
  rooms.ledger.record({
    requestId: `${receipt.requestId}-transcripts`,
    startedAt: receipt.startedAt,
    firstByteAt: receipt.firstByteAt,
    endedAt: rooms.now(),
    operation: 'transcription',
    keyId: receipt.keyId,
    model: receipt.model,
    group: receipt.group,
    deploymentId: to.id,
    provider: to.provider,
    upstreamModel: model,
    stream: true,
    usage,
    ...(units && { units }),
    nanoDollars,
    priced,
    retries: 0,
    fallbacks: 0,
    fault: undefined,
    status: 200,
    payer: receipt.pass?.payer(),
  })
}

/** Both ways until one of them ends. Whoever reads slowly slows the other side. */
async function pump(session: Session, client: Socket, rooms: Rooms, first?: string): Promise<void> {
  const { line, conversation, begin, goOn, finish } = session
  begin()
  async function ask(message: string): Promise<void> {
    let said: string
    try {
      said = conversation.ask(message)
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'internal') throw error
      const { error: told } = encodeError(error)
      return client.send(JSON.stringify({ type: 'error', error: told }))
    }
    await line.send(said)
  }
  async function up(): Promise<void> {
    if (first !== undefined) await ask(first)
    for await (const message of client.messages) await ask(message)
  }
  async function down(): Promise<void> {
    let used = usedBy(conversation)
    for await (const message of line.messages) {
      await client.send(conversation.tell(message))
      const now = usedBy(conversation)
      if (now.every((one, at) => one === used[at])) continue
      used = now
      await goOn()
    }
  }
  const ways = [up(), down()]
  let cause: unknown
  try {
    await Promise.race(ways)
  } catch (failure) {
    cause = failure
  }
  // The other one ends with its connection; nobody waits for it.
  Promise.allSettled(ways)
  await lastWords(session)
  const { ended } = line
  if (GatewayError.is(cause) && !ended) {
    const error = encodeError(cause)['error'] ?? null
    await client.send(JSON.stringify({ type: 'error', error })).catch(() => {})
    client.close(cause.status >= 500 ? 1011 : 1008, cause.message)
  } else client.close(sendable(ended?.code ?? 1000), ended?.reason ?? '')
  await finish(faultOf(cause, ended, rooms))
}

/** Sums are made anew with every addition. */
const usedBy = (conversation: Conversation): readonly unknown[] => {
  const { usage, seconds, transcripts } = conversation.told()
  return [usage, seconds, transcripts.usage, transcripts.seconds]
}

/** Who hangs up in the middle of an answer has used it: it is ended, so that the provider tells how much it was. */
async function lastWords({ line, conversation }: Session): Promise<void> {
  const stop = conversation.unfinished()
  if (stop === undefined || line.ended) return
  const timer = setTimeout(() => line.close(), lastWordsMs)
  try {
    await line.send(stop)
    for await (const message of line.messages) {
      conversation.tell(message)
      if (conversation.unfinished() === undefined) return
    }
  } catch {
    // It has gone, too.
  } finally {
    clearTimeout(timer)
  }
}
const lastWordsMs = 2000

/** An end that either side chose is a normal one. */
function faultOf(cause: unknown, ended: SocketLine['ended'], rooms: Rooms): unknown {
  if (ended)
    return ended.code === 1000 || ended.code === 1001 || ended.code === 1005
      ? undefined
      : new GatewayError('provider', `the provider ended the session: ${ended.code}`)
  if (cause === undefined) return undefined
  const error = GatewayError.from(cause)
  if (error.kind === 'internal')
    rooms.log('error', 'a realtime session failed', { cause: error.cause })
  return error.kind === 'canceled' ? undefined : error
}

/** What stands for no code cannot be sent as one (RFC 6455 §7.4). */
const sendable = (code: number): number =>
  code === 1005
    ? 1000
    : (code >= 1000 && code < 1004) || (code > 1006 && code < 1015) || (code >= 3000 && code < 5000)
      ? code
      : 1011

/** Before 2025-08 the API had other events; its clients say so, in a header or, from a browser, among the subprotocols. */
const isBeta = ({ incoming }: Visit): boolean =>
  /realtime=v1/.test(incoming.header('openai-beta') ?? '') ||
  /openai-beta\.realtime-v1/.test(incoming.header('sec-websocket-protocol') ?? '')

function realtimeUrl(to: Deployment, asked: URLSearchParams, beta: boolean): string {
  if (to.wire.id !== 'openai-chat')
    throw new GatewayError(
      'not_offered',
      `${to.spec.name} has its own kind of live sessions: connect to /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent`,
      { param: 'model' },
    )
  const { base, query } = to.place
  const { model } = to.target
  const more: Record<string, string> = {}
  for (const [name, value] of asked) if (passes.has(name)) more[name] = value
  if (to.provider === 'azure') {
    const root = base.replace(/\/openai(?:\/v1)?\/?$/, '')
    // Azure's own two ways of saying it: by deployment and a version by date, or as OpenAI does.
    return beta
      ? join(root, '/openai/realtime', { ...query, deployment: model, ...more })
      : join(root, '/openai/v1/realtime', { model, ...more })
  }
  // OpenAI's own servers take `model` as the wish for a conversation.
  const unnamed = more['intent'] === 'transcription' && /\/\/api\.openai\.com[:/]/.test(base)
  return join(base, '/realtime', { ...query, ...(!unnamed && { model }), ...more })
}
const passes: ReadonlySet<string> = new Set(['intent', 'call_id'])

function liveUrl({ place, provider, spec }: Deployment, path: string): string {
  if (provider !== 'gemini')
    throw new GatewayError(
      'not_offered',
      `${spec.name} does not speak Google's Live API: connect to /v1/realtime`,
      { param: 'model' },
    )
  return new URL(place.base).origin + path
}

/** What these paths say to a plain request. */
export function needsWebSocket(): never {
  throw new GatewayError(
    'bad_request',
    'this path is for WebSockets: connect to it with ws:// or wss://',
    { status: 426 },
  )
}

const boundsOf = ({ settings }: Rooms): ParseOptions => ({
  ...requestBounds,
  maxDepth: settings.jsonDepth,
})
