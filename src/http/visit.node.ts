import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../errors.ts'
import { type ResponseWriter, sendAnswer, type Visit } from './answer.node.ts'
import { readBody, streamBody } from './body.node.ts'
import {
  type BodyLimits,
  bodyTaken,
  clientGone,
  faultAnswer,
  isUnexpected,
  targetOf,
  tooLarge,
} from './door.ts'
import { fieldIn } from './fields.ts'
import type { Handler, Incoming } from './http.ts'
import type { Lane } from './lane.node.ts'
import { LaneWriter, type LaneWriterOptions } from './lane-writer.node.ts'
import { createNodeWriter, type NodeExchange } from './node-writer.node.ts'
import type { PlainHead } from './plain.ts'
import { Stop } from './signal.ts'

export type VisitOptions = LaneWriterOptions & {
  /** Prefix to take off paths; empty for none. */
  root: string
  limitsOf: (path: string) => BodyLimits
  /** WebSocket handshakes are taken elsewhere, so one that comes here was not wanted. */
  upgrades: boolean
}

export type Visits = {
  /** A new connection. From one that is one too many, requests are refused politely. */
  greet(socket: Socket, crowded: boolean): Line
  /** A plain request, the only one of its connection at present. */
  acceptPlain(line: Line, head: PlainHead, body: Uint8Array, lane: Lane): void
  accept(req: IncomingMessage, res: ServerResponse, expects: boolean): void
  /** Something came that is no request. Answer it by hand, or cut the connection, or it has been told already. */
  refuse(socket: Socket): 'answer' | 'cut' | 'told'
  inFlight(): number
  /** Resolves when no request is in flight. */
  idle(): Promise<void>
}

export type Line = {
  socket: Socket
  peer: string
  crowded: boolean
  refused: boolean
  /** The answer being made; further requests of the same connection wait for it. */
  visit: Visit | undefined
  /** Nothing of that has been written, and its request is not complete. */
  mayAnswer: () => boolean
  busy: boolean
  waiting: [IncomingMessage, ServerResponse, boolean][]
}

/** Takes requests from connections to the handler, one at a time per connection, and answers back. */
export function createVisits(handler: Handler, options: VisitOptions): Visits {
  const lines = new Map<Socket, Line>()
  let inFlight = 0
  let waitingForIdle: (() => void)[] = []

  function open(line: Line, method: string): Visit {
    inFlight++
    return (line.visit = {
      method,
      socket: line.socket,
      writer: unopened,
      last: line.crowded,
      gone: false,
      onGone: undefined,
      leaving: new Stop(),
    })
  }

  function over(line: Line, visit: Visit): void {
    line.visit = undefined
    if (visit.last) closeLine(line)
    inFlight--
    if (inFlight === 0 && waitingForIdle.length > 0) {
      for (const tell of waitingForIdle) tell()
      waitingForIdle = []
    }
  }

  async function run(line: Line, req: IncomingMessage, res: ServerResponse, expects: boolean) {
    line.busy = true
    const visit = open(line, req.method ?? '')
    const exchange: NodeExchange = { req, res, expects }
    visit.writer = createNodeWriter(exchange, visit, options)
    line.mayAnswer = () => !res.headersSent && !req.complete
    const refusal = refusalOf(exchange, line, options)
    if (refusal) visit.last = true
    const incoming = refusal ?? incomingOf(exchange, visit, line.peer, options)
    await answerVisit(visit, incoming, handler, options, () => over(line, visit))
    if (line.waiting.length === 0) line.busy = false
    // Not before the last answer has left: else one slow reader could make any number of answers pile up.
    else if (res.writableFinished) runNext(line)
    else res.once('finish', () => runNext(line))
  }

  function closeLine(line: Line): void {
    line.refused = true
    line.waiting = []
  }

  function runNext(line: Line): void {
    const next = line.waiting.shift()
    if (next === undefined) line.busy = false
    else void run(line, ...next)
  }

  return {
    greet(socket, crowded) {
      const line: Line = {
        socket,
        peer: plainAddress(socket.remoteAddress ?? ''),
        crowded,
        refused: false,
        visit: undefined,
        mayAnswer: () => true,
        busy: false,
        waiting: [],
      }
      lines.set(socket, line)
      socket.once('close', () => {
        lines.delete(socket)
        closeLine(line)
        if (line.visit) leave(line.visit)
      })
      return line
    },
    acceptPlain(line, head, body, lane) {
      const visit = open(line, head.method)
      visit.last ||= head.last
      visit.writer = new LaneWriter(visit, options, lane)
      const incoming = plainIncoming(head, body, visit, line.peer, options)
      void answerVisit(visit, incoming, handler, options, () => {
        over(line, visit)
        lane.over()
      })
    },
    accept(req, res, expects) {
      const line = lines.get(req.socket)
      // What comes behind the last request is nobody's; the last answer may still be on its way.
      if (line?.refused) return
      if (line === undefined || line.waiting.length >= pipelinedMax) req.socket.destroy()
      else if (line.busy) line.waiting.push([req, res, expects])
      else void run(line, req, res, expects)
    },
    refuse(socket) {
      const line = lines.get(socket)
      if (line === undefined) return 'cut'
      if (line.refused) return 'told'
      line.refused = true
      // Written into an answer, or taken for the answer to a request before, it would mislead.
      return line.visit && !line.mayAnswer() ? 'cut' : 'answer'
    },
    inFlight: () => inFlight,
    idle: () =>
      inFlight === 0
        ? Promise.resolve()
        : new Promise((resolve) => void waitingForIdle.push(resolve)),
  }
}

/** Never throws: whatever goes wrong is an answer, or the end of the connection. `over` is called last. */
async function answerVisit(
  visit: Visit,
  incoming: Incoming | GatewayError,
  handler: Handler,
  options: VisitOptions,
  over: () => void,
): Promise<void> {
  try {
    const answer = GatewayError.is(incoming) ? faultAnswer(incoming) : await handler(incoming)
    const sending = sendAnswer(visit, answer, options)
    if (sending) await sending
  } catch (error) {
    if (visit.gone) return
    if (isUnexpected(error)) options.onError(error)
    try {
      if (visit.writer.begun) visit.socket.destroy()
      else {
        const sending = sendAnswer(visit, faultAnswer(GatewayError.from(error)), options)
        if (sending) await sending
      }
    } catch (second) {
      options.onError(second)
      visit.socket.destroy()
    }
  } finally {
    over()
  }
}

/** What is wrong with a request before anyone looks at what it asks. */
function refusalOf(
  { req }: NodeExchange,
  line: Line,
  { upgrades }: VisitOptions,
): GatewayError | undefined {
  const { headers, httpVersionMajor, httpVersionMinor } = req
  if (line.crowded)
    return new GatewayError('unavailable', 'Too many connections; try again in a moment', {
      retryAfter: '1',
    })
  if (httpVersionMajor !== 1)
    return new GatewayError('bad_request', 'Use HTTP/1.1', { status: 505 })
  if (req.rawHeaders.length > 2 * headersMax)
    return new GatewayError('bad_request', `Send at most ${headersMax} headers`, { status: 431 })
  // RFC 9112, 3.2 and 6.1: what two readers might understand differently is not guessed at.
  if (httpVersionMinor === 0 ? headers['transfer-encoding'] !== undefined : !oneHost(headers.host))
    return new GatewayError(
      'bad_request',
      httpVersionMinor === 0
        ? 'A transfer-encoding needs HTTP/1.1'
        : 'The request needs exactly one Host header',
    )
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return new GatewayError(
      'not_offered',
      'This transfer-encoding is not supported; use "chunked" or a content-length',
    )
  if (!upgrades && isWebSocket(req))
    return new GatewayError(
      'not_offered',
      'WebSocket connections are not offered here; use an HTTP request',
    )
  return undefined
}

/** Other upgrades are offers a server may ignore, and so we do. */
export const isWebSocket = ({ headers }: IncomingMessage): boolean =>
  headers.upgrade?.toLowerCase() === 'websocket'

/** Several are joined with ", ", and no name of a host has a space in it. */
export const oneHost = (host: string | undefined): boolean =>
  host !== undefined && !host.includes(' ')

function incomingOf(
  exchange: NodeExchange,
  visit: Visit,
  peer: string,
  { root, limitsOf }: VisitOptions,
): Incoming {
  const { req, res } = exchange
  const { path, query } = targetOf(req.url ?? '/', root)
  let whole: Promise<Uint8Array> | undefined
  let streamed = false
  const ready = () => {
    if (exchange.expects) res.writeContinue()
    exchange.expects = false
  }
  return {
    method: req.method ?? 'GET',
    path,
    query,
    header: (name) => headerOf(req.headers[name]),
    headerNames: () => Object.keys(req.headers),
    headers() {
      const all: Record<string, string> = {}
      for (const name of Object.keys(req.headers)) all[name] = headerOf(req.headers[name]) ?? ''
      return all
    },
    remoteAddress: peer,
    body() {
      if (streamed) return Promise.reject(bodyTaken())
      whole ??= readBody(req, limitsOf(path), ready)
      return whole
    },
    async *stream() {
      if (whole) yield await whole
      else if (streamed) throw bodyTaken()
      else {
        streamed = true
        yield* streamBody(req, limitsOf(path), ready)
      }
    },
    signal: visit.leaving,
  }
}

function plainIncoming(
  { method, target, headers }: PlainHead,
  bytes: Uint8Array,
  visit: Visit,
  peer: string,
  { root, limitsOf }: VisitOptions,
): Incoming {
  const { path, query } = targetOf(target, root)
  let isRead = false
  let streamed = false
  const within = (): Uint8Array => {
    const limit = limitsOf(path).bytes
    if (bytes.length > limit) throw tooLarge(limit)
    return bytes
  }
  return {
    method,
    path,
    query,
    header: (name) => fieldIn(headers, name),
    headerNames: () => headers.filter((_, at) => at % 2 === 0),
    headers() {
      const all: Record<string, string> = {}
      for (let at = 0; at < headers.length; at += 2) all[headers[at] ?? ''] = headers[at + 1] ?? ''
      return all
    },
    remoteAddress: peer,
    body: async () => {
      if (streamed) throw bodyTaken()
      isRead = true
      return within()
    },
    async *stream() {
      if (streamed && !isRead) throw bodyTaken()
      streamed = !isRead
      if (bytes.length > 0) yield within()
    },
    signal: visit.leaving,
  }
}

/** The signal first: it ends what the answer's body is waiting for, so that the body can end too. */
function leave(visit: Visit): void {
  visit.gone = true
  visit.leaving.abort(clientGone())
  visit.onGone?.()
}

/** Names such as "constructor" find things in Node's headers object that nobody sent. */
export function headerOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') : undefined
}

/** An IPv4 peer on an IPv6 socket is still an IPv4 peer. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address

/** The parser counts the bytes of a head, but not what separates them. */
const headersMax = 1000

/** Requests of one connection that may wait for the one being answered. */
const pipelinedMax = 256

/** Of a visit that has just been opened. */
const unopened: ResponseWriter = {
  begun: false,
  head: () => {},
  write: () => true,
  end: () => undefined,
  onRoom: () => () => {},
  cut: () => {},
}
