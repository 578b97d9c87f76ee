import { type Answer, call } from '../call/call.ts'
import type { Ask } from '../call/prepare.ts'
import type { Limits } from '../call/transport.ts'
import type { Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { number, object } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type RouteAsk, type RouteHints, unknownModel } from '../router/router.ts'
import { type Inbound, listen, type Said } from '../wire/inbound.ts'
import type { ClientContext, Wire } from '../wire/wire.ts'
import { admission, admissionWithin, groupFor, hasBudgetFallbacks, mayGoOn } from './admission.ts'
import { idOfAnswer } from './answer-id.ts'
import { forClient, ownWay } from './bridge.ts'
import { streamBody } from './chat-stream.ts'
import { counted, countInput } from './counted.ts'
import { type Controls, readControls, refuseUpstreamElsewhere } from './fields.ts'
import {
  answerHeaders,
  callIdOf,
  costOfAnswer,
  dialectHeaders,
  errorHeaders,
  forwarded,
} from './headers.ts'
import { hintsOf } from './hints.ts'
import { mayNameThings, namedThings } from './named-things.ts'
import { atOwnPrices } from './own-price.ts'
import { openReceipt, type Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import { shaped } from './shaped.ts'
import { noteUnpriced, refuseUnpriced } from './unpriced.ts'
import { pricesFor } from './worst.ts'

/** One request, door to ledger. Read this and you have read the gateway. */
export async function serveChat(
  incoming: Incoming,
  wire: Wire,
  rooms: Rooms,
  caller: Caller,
  path: Said = {},
  recall?: Recall,
): Promise<Outgoing> {
  const receipt = openReceipt(rooms, 'chat', callIdOf(incoming.header('x-litellm-call-id')))
  receipt.keyId = caller.keyId
  let sending: Sending | undefined
  try {
    refuseUpstreamElsewhere(incoming.query, incoming.headerNames())
    let heard = listen(await incoming.body(), wire, path, rooms.settings.jsonDepth)
    const things = mayNameThings(heard) ? namedThings(heard, caller, rooms) : undefined
    if (things?.bytes) heard = listen(things.bytes, wire, path, rooms.settings.jsonDepth)
    const recalled = recall && (await recall(heard, receipt.requestId))
    if (recalled?.answer) return recalled.answer
    const said = recalled?.said ?? heard
    const controls = readControls(said, rooms.settings.fields, incoming)
    const model = rooms.settings.completionModel ?? said.model
    receipt.model = said.model
    receipt.stream = said.stream
    receipt.serviceTier = tierAsked(said)
    let group = groupFor(model, caller, rooms)
    if (!rooms.router.knows(group)) throw noSuchModel(incoming.path, model)
    refuseImplausible(said)
    if (hasBudgetFallbacks(caller, group))
      group = await admissionWithin(incoming, said, controls, group, caller, receipt, rooms)
    else {
      const admitted = admission(incoming, said, controls, group, caller, receipt, rooms)
      if (admitted) await admitted
    }
    if (things) await things.check()

    const only = recalled?.only ?? things?.only
    const sent = { incoming, said, controls, caller, receipt, rooms, recalled, only }
    sending = new Sending(group, sent)
    const routed = await rooms.router.route(sending)
    const { answer, deployment, release } = routed
    receipt.measured = routed.measured
    receipt.deployment = atOwnPrices(deployment, controls)
    receipt.group = deployment.group
    receipt.retries = routed.retries
    receipt.fallbacks = routed.fallbacks
    if (answer.type === 'stream') return streamed(answer, said, receipt, rooms, release)
    release(undefined)
    if (!answer.result.unfinished)
      receipt.usage =
        answer.result.usage ?? (await counted(said, answer.result.text(), answer.deployment, rooms))
    const out = whole(answer, receipt, rooms)
    if (answer.result.unfinished && recalled?.defer)
      settleLater(recalled.defer, said, answer.deployment, receipt, rooms)
    else {
      const written = receipt.settle()
      if (written) await written
    }
    return out
  } catch (cause) {
    const error = receipt.failed(cause)
    if (sending) await sending.billBegun(error)
    receipt.settle()
    if (error.kind === 'internal')
      rooms.log('error', 'a request failed inside the gateway', {
        cause: error.cause,
        requestId: receipt.requestId,
      })
    return refusal(error, wire, receipt.requestId, rooms)
  }
}

type Sent = {
  incoming: Incoming
  said: Inbound
  controls: Controls
  caller: Caller
  receipt: Receipt
  rooms: Rooms
  recalled: Recalled | undefined
  only: Recalled['only']
}

/**
 * A request that has been let in, on its way to whoever answers: what the router asks by, and each attempt at one it picks. A
 * class, since every request has one: its functions as closures would be 700 bytes more.
 */
class Sending implements RouteAsk<Answer> {
  readonly model: string
  readonly tags: readonly string[]
  readonly failFirst: GatewayError | undefined
  readonly retries: number | undefined
  readonly fallbacks: readonly string[] | undefined
  readonly contextWindowFallbacks: readonly string[] | undefined
  readonly contentPolicyFallbacks: readonly string[] | undefined
  readonly disableFallbacks: boolean
  readonly stream: boolean
  readonly hints: RouteHints | undefined
  readonly ownTimeout: boolean
  readonly signal: Incoming['signal']
  readonly only: Recalled['only']
  readonly #sent: Sent
  readonly #ask: Ask
  /** The last one that was sent to, how many have not refused, and whether this one has begun. */
  #to: Deployment | undefined
  #times = 0
  #begun = false

  constructor(group: string, sent: Sent) {
    const { incoming, said, controls, caller, rooms } = sent
    this.model = group
    this.tags = controls.tags
    this.failFirst = controls.failFirst
    this.retries = controls.retries
    this.fallbacks = controls.fallbacks
    this.contextWindowFallbacks = controls.contextWindowFallbacks
    this.contentPolicyFallbacks = controls.contentPolicyFallbacks
    this.disableFallbacks = controls.disableFallbacks
    this.stream = said.stream
    this.hints = hintsOf(incoming, said, caller, rooms)
    this.ownTimeout = hasOwnTime(controls)
    this.signal = incoming.signal
    this.only = sent.only
    this.#sent = sent
    this.#ask = {
      remove: controls.remove,
      dropParams: controls.dropParams,
      headers: forwarded(incoming, group, rooms.settings, controls.headers),
      dialectHeaders: said.wire.id === 'anthropic' ? dialectHeaders(incoming) : nothing,
      context: contextOf(said, sent.receipt, rooms),
    }
  }

  mayUse(group: string): boolean {
    const { caller, receipt, rooms } = this.#sent
    return mayGoOn(group, caller, receipt, rooms)
  }

  inputTokens(): number {
    const { said, rooms } = this.#sent
    return countInput(said, rooms.settings.completionModel ?? said.model, rooms)
  }

  attempt(to: Deployment): Promise<Answer> {
    const { said, controls, receipt, rooms } = this.#sent
    this.#begun = false
    const paid = atOwnPrices(to, controls)
    refuseUnpriced(paid, rooms)
    const covered = receipt.pass?.cover(to.group, pricesFor(paid, said))
    return covered ? this.#sendAfter(covered, to, paid) : this.#send(to, paid)
  }

  /** Apart, so that only who needs its function makes it; and so below. */
  #sendAfter(covered: Promise<void>, to: Deployment, paid: Deployment): Promise<Answer> {
    return covered.then(() => this.#send(to, paid))
  }

  #send(to: Deployment, paid: Deployment): Promise<Answer> {
    const { said, controls, rooms, recalled } = this.#sent
    this.#begun = true
    this.#to = paid
    this.#times++
    const how = { signal: this.signal, limits: limitsOf(said, controls, to, rooms) }
    const meant = brought(to, controls, rooms)
    if (recalled?.as) return this.#speak(recalled.as(meant), how)
    return ownWay(said, meant) === meant ? this.#speak(meant, how) : this.#speakIts(meant, how)
  }

  #speakIts(to: Deployment, how: How): Promise<Answer> {
    const { said, rooms } = this.#sent
    return forClient(said, to, rooms.now, (as) => this.#speak(as, how))
  }

  #speak(as: Deployment, how: How): Promise<Answer> {
    const { said, rooms, recalled } = this.#sent
    const more = recalled?.context?.(as)
    const { context } = this.#ask
    const ask = more ? { ...this.#ask, context: { ...context, ...more } } : this.#ask
    return call(said, as, ask, rooms.calls, how)
  }

  /** What a provider refuses it does not bill. */
  failed(error: GatewayError): void {
    if (this.#begun && !isLeft(error)) this.#times--
  }

  /** Whoever leaves before the answer, or gives it no time, pays for what was read: the provider bills it too. */
  async billBegun(error: GatewayError): Promise<void> {
    const { said, receipt, rooms } = this.#sent
    const to = this.#to
    if (!receipt.pass || !to || this.#times === 0 || !isLeft(error)) return
    if (error.kind === 'timeout' && !this.ownTimeout) return
    try {
      const usage = await counted(said, '', to, rooms)
      receipt.usage = { ...usage, input: usage.input * this.#times, estimated: true }
      receipt.deployment = to
      receipt.group = to.group
    } catch (cause) {
      // What cannot be read has not been read by a provider either.
      rooms.log('debug', 'a request that was left could not be counted', { cause })
    }
  }
}

type How = { signal: Incoming['signal']; limits: Limits }

const left: ReadonlySet<string> = new Set(['canceled', 'timeout'])
/** Did the client leave, or give it no time? */
export const isLeft = ({ kind }: GatewayError): boolean => left.has(kind)
export const hasOwnTime = ({ timeoutSeconds, streamTimeoutSeconds }: Controls): boolean =>
  timeoutSeconds !== undefined || streamTimeoutSeconds !== undefined

/**
 * What a dialect with a memory adds to a request: asked once the body has been heard. It may put another body in its
 * place (the whole conversation), or answer by itself.
 */
export type Recall = (said: Inbound, requestId: string) => Promise<Recalled>
export type Recalled = {
  said?: Inbound
  /** Only these know the conversation; no fallback does. */
  only?: ((deployment: Deployment) => boolean) | undefined
  /** The deployment as it is to be asked, where that is not as usual. */
  as?: (deployment: Deployment) => Deployment
  /** What an encoder should know besides, by who answers. */
  context?: (answering: Deployment) => Partial<ClientContext>
  answer?: Outgoing
  /** Takes over an answer that is not made yet: `settle` it once its usage is known, or never will be. */
  defer?: ((settle: (usage: Usage | undefined) => void) => void) | undefined
}

/** An error in the client's own dialect. What the gateway itself says carries `detail` too, where older clients look. */
export function refusal(
  error: GatewayError,
  wire: Wire,
  requestId: string,
  rooms: Rooms,
): Outgoing {
  const body = wire.encodeError(error)
  if (error.provider === undefined) body['detail'] = error.message
  if (rooms.settings.callIdInErrors) body['litellm_call_id'] = requestId
  return {
    status: error.status,
    headers: errorHeaders(error, requestId),
    body: JSON.stringify(body),
  }
}

export function noSuchModel(path: string, model: string): GatewayError {
  const { kind, message, type } = unknownModel(model)
  return new GatewayError(kind, `${path.replace(/^\/v1(?=\/)/, '')}: ${message}`, { type })
}

/** A body that passes unread is looked at just enough to know that it is a conversation. */
function refuseImplausible(said: Inbound): void {
  for (const key of said.wire.native?.lists ?? []) {
    const span = said.glance?.keys.get(key)
    if (!span || said.glance?.text[span.valueStart] !== '[') {
      said.request()
      return
    }
  }
}

const tierAsked = (said: Inbound): string | undefined => {
  if (!said.has('service_tier')) return undefined
  const tier = said.field('service_tier')
  return typeof tier === 'string' ? tier : undefined
}

function contextOf(said: Inbound, receipt: Receipt, rooms: Rooms): ClientContext {
  const asked =
    said.has('stream_options') && object(said.field('stream_options'))['include_usage'] === true
  const choices = said.has('n') ? (number(said.field('n')) ?? 1) : 1
  return {
    model: said.model,
    requestId: receipt.requestId,
    created: Math.floor(receipt.startedAt / 1000),
    streamUsage: asked || rooms.settings.alwaysStreamUsage,
    choices,
    said: said.field,
  }
}

export function brought(to: Deployment, controls: Controls, rooms: Rooms): Deployment {
  const { clientSide } = controls
  return shaped(isEmpty(clientSide) ? to : rooms.override(to, clientSide), controls)
}

const isEmpty = (record: object): boolean => {
  for (const _ in record) return false
  return true
}

/** LiteLLM's order: what the request says, the deployment, the settings. A stream has its own numbers first. */
export function limitsOf(
  said: Inbound,
  controls: Controls,
  to: Deployment,
  { settings }: Rooms,
): Limits {
  const normal = controls.timeoutSeconds ?? to.timeout ?? settings.timeoutSeconds
  if (!said.stream)
    return { firstByteMs: normal * 1000, idleMs: normal * 1000, totalMs: normal * 1000 }
  const streaming =
    controls.streamTimeoutSeconds ?? to.streamTimeout ?? settings.streamTimeoutSeconds ?? normal
  return { firstByteMs: streaming * 1000, idleMs: streaming * 1000 }
}

function whole(
  answer: Extract<Answer, { type: 'whole' }>,
  receipt: Receipt,
  rooms: Rooms,
): Outgoing {
  const { result } = answer
  noteUnpriced(receipt, rooms)
  const headers = answerHeaders(answer, receipt)
  headers['content-type'] = 'application/json'
  headers['x-litellm-response-cost'] = costOfAnswer(receipt)
  const { body, encoding } = result.encode(result.usage ? undefined : receipt.usage)
  if (receipt.pass) receipt.answerId = idOfAnswer(body)
  if (receipt.keep) receipt.said = { body, encoding }
  return { status: 200, headers, body, encoding }
}

/** An answer that is made after it was promised: it settles when what it came to is known, or will never be. */
function settleLater(
  defer: NonNullable<Recalled['defer']>,
  said: Inbound,
  to: Deployment,
  receipt: Receipt,
  rooms: Rooms,
): void {
  defer((usage) => {
    receipt.usage = usage ?? receipt.usage
    if (usage) return void receipt.settle()
    // Nobody asked what it came to: what was read is known.
    counted(said, '', to, rooms)
      .then((read) => {
        receipt.usage = { ...read, estimated: true }
      })
      .catch(() => {})
      .finally(() => receipt.settle())
  })
}

function streamed(
  answer: Extract<Answer, { type: 'stream' }>,
  said: Inbound,
  receipt: Receipt,
  rooms: Rooms,
  release: (error: GatewayError | undefined) => void,
): Outgoing {
  receipt.firstByteAt = rooms.now()
  if (receipt.pass) receipt.written = () => answer.relay.text()
  return {
    status: 200,
    headers: Object.assign(answerHeaders(answer, receipt), sse),
    body: streamBody(answer, said, receipt, rooms, release),
    // Of what passes as text.
    encoding: 'latin1',
  }
}

const sse = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Proxies in between must not collect the stream.
  'x-accel-buffering': 'no',
}
const nothing = {}
