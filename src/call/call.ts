import { eventsOf } from '../chat/fold.ts'
import { GatewayError, saidBy } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import { toUtf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { credentialsIn, sentSecrets, unmistakable } from '../provider/secrets.ts'
import { hide } from '../wire/hide.ts'
import type { Inbound } from '../wire/inbound.ts'
import {
  type Crossing,
  gatherResult,
  readObject,
  relayResult,
  relayStream,
  type StreamRelay,
} from '../wire/relay.ts'
import type { PassedResult } from '../wire/wire.ts'
import type { Dial } from './dial.ts'
import { followed } from './follow.ts'
import type { InboxReader, Receiver } from './inbox.ts'
import { errandsOf, type Fetched, type FetchMedia, runErrands } from './media.ts'
import { type Ask, nativeOf, type Prepared, prepare } from './prepare.ts'
import { headersBack, scrub } from './scrub.ts'
import type { Shelf } from './shelf.ts'
import type { Limits, Reply, Transport } from './transport.ts'

export type CallDeps = {
  transport: Transport
  /** Answers for deployments with mock settings; the request never leaves the process. */
  mock: (settings: Deployment) => Transport
  /** A longer line of a provider's stream is a fault. */
  maxLineBytes: number
  /** A larger whole answer is a fault. */
  maxAnswerBytes: number
  /** Fetches what a client names by its address, for providers that take bytes only. Absent: they refuse it. */
  media?: FetchMedia
  /** Opens WebSockets to providers; absent where the runtime has none. */
  dial?: Dial
  /** What is kept for clients whose provider cannot. */
  shelf?: Shelf
}

export type Answer = {
  deployment: Deployment
  /** Parameters that could not be sent, by name. */
  dropped: readonly string[]
  /** The provider's headers as the client may see them. */
  headers: Record<string, string>
} & ({ type: 'whole'; result: PassedResult } | ({ type: 'stream' } & StreamAnswer))

export type StreamAnswer = {
  relay: StreamRelay
  /** What the first reads gave the client. */
  head: readonly Uint8Array[]
  /** The reads that follow. */
  rest: Reads
}
/** Network reads, one at a time; `stop` ends the upstream request. */
export type Reads = {
  next(): Promise<Uint8Array | undefined>
  /** Instead of asking read by read: see `InboxBody`. Absent, or undefined, where that cannot be. */
  flow?(to: Receiver): { resume(): void } | undefined
  stop(): void
}

/** The answer is complete but its connection may not be: reading to its end lets it be used again; a provider that keeps it open loses it. */
export function drain(rest: Reads): void {
  const timer = setTimeout(() => rest.stop(), 1000)
  const step = (): Promise<void> =>
    rest.next().then((chunk) => (chunk === undefined ? undefined : step()))
  step()
    .catch(() => {})
    .finally(() => clearTimeout(timer))
}

/** An answer is begun for the client when something was said, or this long after the first byte. */
const patienceMs = 2000

/** Speaks to one deployment, once. Throws GatewayError; a stream that fails before it says anything is such an error too. */
export async function call(
  said: Inbound,
  to: Deployment,
  ask: Ask,
  deps: CallDeps,
  { signal, limits }: { signal: Signal; limits: Limits },
): Promise<Answer> {
  if (to.problem ?? to.noChat) throw to.problem ?? to.noChat
  // Before the try: what cannot be fetched is no error of the provider's.
  const fetching =
    deps.media && to.wire.takesUrl && !to.mock && !nativeOf(said, to)
      ? fetchMedia(said, to, deps.media, signal, limits)
      : undefined
  const fetched = fetching && (await fetching)
  const route: Route = { at: to, url: said.stream ? to.url.stream : to.url.whole }
  try {
    const sent = prepare(said, to, ask, fetched)
    const vouching = to.mock ? undefined : vouch(route, sent)
    if (vouching) await vouching
    const { body, headers, dropped, crossing } = sent
    const transport = to.mock ? deps.mock(to) : deps.transport
    const { url } = route
    let reply = await transport({ url, headers, body, signal, limits, connection: to.connection })
    if (to.wire.follow) {
      const { stream } = said
      const maxBytes = deps.maxAnswerBytes
      const how = { to, url, headers, stream, transport, maxBytes, signal, limits }
      reply = await followed(reply, how)
    }
    const { at } = route
    if (reply.status >= 400 || reply.status < 200)
      throw await refusalOf(reply, at, at.wire.decodeError)
    if (to.wire.readsHeaders) readHeaders(reply, crossing)
    if (said.stream) {
      const { relay, head, rest } = await stream(reply, crossing, deps)
      const back = headersBack(reply, at.secrets)
      return { type: 'stream', deployment: at, dropped, headers: back, relay, head, rest }
    }
    const result =
      to.wire.streamOnly && !isJson(reply)
        ? await gathered(reply, crossing, deps)
        : relayResult(
            reply.ready?.(deps.maxAnswerBytes) ?? (await reply.bytes(deps.maxAnswerBytes)),
            crossing,
          )
    const back = headersBack(reply, at.secrets)
    return { type: 'whole', deployment: at, dropped, headers: back, result }
  } catch (cause) {
    throw named(cause, route.at)
  }
}

/** Where a request goes, and the deployment with what must not be shown of it. */
type Route = { at: Deployment; url: string }

/**
 * What has to be asked for before each request, where it is not in the deployment: the rest of its address, its signature.
 * Undefined without a wait where both are at hand, as nearly always.
 */
function vouch(route: Route, sent: Prepared): Promise<void> | undefined {
  const located = route.at.locate?.(route.url) ?? route.url
  if (typeof located === 'string') {
    route.url = located
    return sign(route, sent)
  }
  return located.then((url) => {
    route.url = url
    return sign(route, sent)
  })
}

function sign(route: Route, sent: Prepared): Promise<void> | undefined {
  const { at, url } = route
  const { headers, body } = sent
  const signing = at.authorize?.({ method: 'POST', url, headers, body })
  if (signing) return signing.then(() => conceal(route, sent))
  if (at.authorize) conceal(route, sent)
  return undefined
}

/** A token that was fetched is as secret as a key that was configured. */
function conceal(route: Route, { headers, crossing }: Prepared): void {
  const to = route.at
  const credentials = credentialsIn(headers)
  let known = concealed.get(to)
  if (known?.credentials !== credentials) {
    const fetched = sentSecrets(headers)
    known = {
      credentials,
      at: { ...to, secrets: [...to.secrets, ...fetched] },
      secrets: [...to.credentials, ...unmistakable(fetched)],
    }
    concealed.set(to, known)
  }
  route.at = known.at
  crossing.secrets = known.secrets
}
/** Most send the same key each time, or a token for an hour: to work it out anew is 2 KB of a request. */
const concealed = new WeakMap<Deployment, Concealed>()
type Concealed = { credentials: string; at: Deployment; secrets: readonly string[] }

/** Beside `call`: what its function holds on to is kept from one wait to the next. */
function readHeaders(reply: Reply, { notes }: Crossing): void {
  notes.header = (name) => reply.header(name)
}
/** Undefined without a wait where there is nothing to fetch, as nearly always. */
function fetchMedia(
  said: Inbound,
  to: Deployment,
  media: FetchMedia,
  signal: Signal,
  limits: Limits,
): Promise<Fetched> | undefined {
  const errands = errandsOf({ ...said.request(), dialect: said.wire.id }, to.wire, to.target)
  if (errands.length === 0) return undefined
  return runErrands(errands, media, { signal, timeoutMs: limits.totalMs || limits.firstByteMs })
}

/** Errors from this side of the provider keep the gateway's voice; all others are the provider's, without its secrets. */
export function named(cause: unknown, to: Deployment): GatewayError {
  const error = GatewayError.from(cause)
  if (ours.has(error.kind) || error === to.problem) return error
  return saidBy(scrub(error, to.secrets), to.errorName)
}
const ours = new Set(['canceled', 'unsupported_params', 'internal', 'not_offered'])

/** What a provider said instead of an answer. */
export async function refusalOf(
  reply: Reply,
  to: Deployment,
  decodeError: Deployment['wire']['decodeError'],
): Promise<GatewayError> {
  const text = new TextDecoder().decode(await reply.bytes(1_000_000).catch(() => new Uint8Array()))
  const { status } = reply
  const header = (name: string) => reply.header(name)
  const error = decodeError({ status, body: text, header, provider: to.errorName })
  const { kind, message, type, param, code, retryAfter } = error
  return new GatewayError(kind, message, {
    status: error.status,
    provider: to.errorName,
    type,
    param,
    code,
    retryAfter: retryAfter ?? header('retry-after'),
    headers: headersBack(reply, to.secrets),
  })
}

async function stream(
  reply: Reply,
  crossing: Crossing,
  deps: CallDeps,
): Promise<{ type: 'stream' } & StreamAnswer> {
  if (isJson(reply) && crossing.from.framing === 'sse')
    return { type: 'stream', ...(await retold(reply, crossing, deps)) }
  const relay = relayStream(crossing, deps.maxLineBytes)
  const rest = reads(reply.body)
  const head: Uint8Array[] = []
  let patience: Promise<'waited'> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    for (;;) {
      const next = rest.next()
      const chunk = patience ? await Promise.race([next, patience]) : await next
      if (chunk === 'waited') {
        rest.putBack(next)
        break
      }
      if (chunk === undefined) {
        const out = relay.flush()
        if (out) head.push(out)
        if (relay.fault && !relay.content) throw relay.fault
        rest.putBack(Promise.resolve(undefined))
        break
      }
      const out = relay.push(chunk)
      if (out) head.push(out)
      if (relay.content || relay.complete) break
      if (relay.fault) throw relay.fault
      patience ??= new Promise((resolve) => {
        timer = setTimeout(() => resolve('waited'), patienceMs)
      })
    }
  } catch (cause) {
    rest.stop()
    throw cause
  } finally {
    clearTimeout(timer)
  }
  return { type: 'stream', relay, head, rest }
}

function reads(
  body: Reply['body'],
): Reads & { putBack(next: Promise<Uint8Array | undefined>): void } {
  const iterator: AsyncIterator<Uint8Array> & Partial<Pick<InboxReader, 'flow'>> =
    body[Symbol.asyncIterator]()
  let waiting: Promise<Uint8Array | undefined> | undefined
  return {
    next() {
      if (waiting) {
        const next = waiting
        waiting = undefined
        return next
      }
      return iterator.next().then(({ done, value }) => (done ? undefined : value))
    },
    flow: (to) => (waiting ? undefined : iterator.flow?.(to)),
    putBack(next) {
      next.catch(() => {})
      waiting = next
    },
    stop() {
      Promise.resolve(iterator.return?.()).catch(() => {})
    },
  }
}

const isJson = (reply: Reply): boolean =>
  reply.header('content-type')?.startsWith('application/json') === true

/** Asked for whole, answered as a stream: read to its end, and no further than a whole answer may be long. */
async function gathered(reply: Reply, crossing: Crossing, deps: CallDeps): Promise<PassedResult> {
  const gather = gatherResult(crossing, deps.maxLineBytes)
  let size = 0
  for await (const chunk of reply.body) {
    size += chunk.length
    if (size > deps.maxAnswerBytes)
      throw new GatewayError(
        'bad_gateway',
        `the upstream's answer is longer than ${deps.maxAnswerBytes} bytes`,
      )
    gather.push(chunk)
  }
  return gather.end()
}

/** Asked to stream, answered whole: the client gets its stream all the same. */
async function retold(reply: Reply, crossing: Crossing, deps: CallDeps): Promise<StreamAnswer> {
  const { from, to, target, notes, context, secrets } = crossing
  const bytes = await reply.bytes(deps.maxAnswerBytes)
  // Read by the wire's own pass first: it refuses what is broken or an error.
  const result = relayResult(bytes, crossing)
  const events = eventsOf(from.decodeResult(readObject(bytes), notes))
  const encoder = to.encodeStream({ ...context, model: context.model || target.model })
  const told = events.map((event) => encoder.push(event)).join('')
  return {
    head: [toUtf8(hide(told, secrets))],
    rest: { next: async () => undefined, stop: () => {} },
    relay: {
      push: () => undefined,
      flush: () => undefined,
      content: true,
      complete: true,
      fault: undefined,
      fail: () => undefined,
      usage: () => result.usage,
      text: () => result.text(),
      end: (counted) =>
        toUtf8((counted ? encoder.push({ type: 'usage', usage: counted }) : '') + encoder.end()),
    },
  }
}
