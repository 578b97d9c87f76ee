import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { after } from 'node:test'
import { isObject, type JsonObject } from '../../src/json/json.ts'

/** A request as the fake provider saw it. */
export type Asked = {
  method: string
  /** With the query. */
  path: string
  headers: IncomingHttpHeaders
  text: string
  json: JsonObject
  /** The gateway hung up before the answer was complete; false once it was. */
  gone: Promise<boolean>
}

export type Told =
  | { type: 'whole'; status: number; headers: Record<string, string>; body: string | Uint8Array }
  | {
      type: 'stream'
      status: number
      headers: Record<string, string>
      /** Bytes to write, or milliseconds to wait. */
      steps: Iterable<string | Uint8Array | number>
      end: 'end' | 'cut' | 'hang'
    }
  /** No answer at all. */
  | { type: 'hang' }
  | { type: 'cut' }

/** A test, or a whole file. */
export type Scope = { after(end: () => unknown): void }

/** To be made where a file begins: an `after` that is first called within a hook would end with the hook. */
export function fileScope(): Scope {
  const ends: (() => unknown)[] = []
  after(async () => {
    for (const end of ends.reverse()) await end()
  })
  return { after: (end) => void ends.push(end) }
}

export type Script = (asked: Asked, nth: number) => Told | Promise<Told>

export type Provider = {
  /** Without a path. */
  origin: string
  /** For `api_base`. */
  base: string
  asked: Asked[]
  /** What it does from now on. */
  tell(script: Script): void
  last(): Asked
}

type More = { status?: number; headers?: Record<string, string> }

export const whole = (body: unknown, { status = 200, headers = {} }: More = {}): Told => ({
  type: 'whole',
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
})

export const stream = (
  steps: Iterable<string | Uint8Array | number>,
  { status = 200, headers = {}, end = 'end' }: More & { end?: 'end' | 'cut' | 'hang' } = {},
): Told => ({
  type: 'stream',
  status,
  headers: { 'content-type': 'text/event-stream', ...headers },
  steps,
  end,
})

export const refusal = (status: number, error: JsonObject, headers = {}): Told =>
  whole({ error }, { status, headers })

/** A provider on loopback that answers as it is told and remembers what it was asked. */
export async function startProvider(t: Scope, script: Script): Promise<Provider> {
  const asked: Asked[] = []
  let current = script
  const server = createServer({ maxHeaderSize: 262_144 }, (request, response) => {
    void answer(request, response, asked, () => current)
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1024, resolve))
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('the fake provider has no port')
  const origin = `http://127.0.0.1:${at.port}`
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    origin,
    base: `${origin}/v1`,
    asked,
    tell(next) {
      current = next
    },
    last() {
      const one = asked.at(-1)
      if (!one) throw new Error('the provider was not asked')
      return one
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked[],
  script: () => Script,
): Promise<void> {
  const gone = new Promise<boolean>((resolve) =>
    response.once('close', () => resolve(!response.writableFinished)),
  )
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return
  }
  const text = Buffer.concat(chunks).toString()
  const { method = '', url: path = '', headers } = request
  const one: Asked = { method, path, headers, text, json: objectOf(text), gone }
  asked.push(one)
  await say(await script()(one, asked.length), request, response)
}

async function say(told: Told, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (told.type === 'hang') return
  if (told.type === 'cut') return void request.socket.destroy()
  response.writeHead(told.status, told.headers)
  if (told.type === 'whole') return void response.end(told.body)
  response.flushHeaders()
  for (const step of told.steps) {
    if (response.destroyed) return
    if (typeof step === 'number') await sleep(step)
    else if (!response.write(step)) await room(response)
  }
  if (told.end === 'end') response.end()
  else if (told.end === 'cut') request.socket.destroy()
}

const room = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })

function objectOf(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms))

/** What OpenAI's servers say, as short as it may be. */
export const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }

export const chatAnswer = (message: JsonObject, more: JsonObject = {}): JsonObject => ({
  id: 'chatcmpl-upstream',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'upstream-model-2026',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', ...message },
      finish_reason: message['tool_calls'] ? 'tool_calls' : 'stop',
    },
  ],
  usage,
  ...more,
})

export const sse = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

export const chunk = (delta: JsonObject, more: JsonObject = {}, top: JsonObject = {}): string =>
  sse({
    id: 'chatcmpl-upstream',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'upstream-model-2026',
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
    ...top,
  })

/** A whole stream; the usage chunk comes where it was asked for, as OpenAI does it. */
export function chatStream(
  asked: Asked,
  deltas: readonly JsonObject[],
  finish = 'stop',
): (string | number)[] {
  const options = asked.json['stream_options']
  const counted = isObject(options) && options['include_usage'] === true
  return [
    chunk({ role: 'assistant', content: '' }),
    ...deltas.map((delta) => chunk(delta)),
    chunk({}, { finish_reason: finish }),
    ...(counted ? [chunk({}, {}, { choices: [], usage })] : []),
    'data: [DONE]\n\n',
  ]
}

/** The usual provider: says hello, whole or streamed as it was asked. */
export const hello: Script = (asked) =>
  asked.json['stream'] === true
    ? stream(chatStream(asked, [{ content: 'Hel' }, { content: 'lo' }]))
    : whole(chatAnswer({ content: 'Hello' }))
