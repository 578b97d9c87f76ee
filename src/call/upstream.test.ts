import type { Json, JsonObject } from '../json/json.ts'
import { object } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { createDeployment, type Deployment, type Row } from '../provider/deployment.ts'
import { resolve } from '../provider/resolve.ts'
import { type Inbound, listen } from '../wire/inbound.ts'
import { wires } from '../wire/wires.ts'
import type { Ask } from './prepare.ts'
import { join, type Reply, type Transport, type Upstream } from './transport.ts'

/** A provider for tests: says what it is told to say, remembers what it was asked. */
export type Told = {
  status?: number
  headers?: Record<string, string>
  /** Reads of the answer; an error is thrown where it stands, `wait` waits until the reader has left. */
  body: string | readonly (string | Error | 'wait')[]
}
export type Asked = Upstream & { json: JsonObject }
export type Provider = {
  transport: Transport
  asked: Asked[]
  /** Answers whose reader left before the end. */
  left: number
}

/** The last answer is given again and again. */
export function provider(...answers: (Told | Error)[]): Provider {
  const asked: Asked[] = []
  const self: Provider = {
    asked,
    left: 0,
    async transport(request) {
      const answer = answers[Math.min(asked.length, answers.length - 1)]
      const body = request.body instanceof Uint8Array ? utf8(request.body) : ''
      asked.push({ ...request, json: body === '' ? {} : object(JSON.parse(body)) })
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer')
      return replyOf(answer, self)
    },
  }
  return self
}

function replyOf({ status = 200, headers = {}, body }: Told, self: Provider): Reply {
  const reads = typeof body === 'string' ? [body] : body
  async function* read(): AsyncGenerator<Uint8Array> {
    let whole = false
    try {
      for (const one of reads) {
        if (one instanceof Error) throw one
        if (one === 'wait') await new Promise((resolve) => setTimeout(resolve, 5))
        else yield toUtf8(one)
      }
      whole = true
    } finally {
      if (!whole) self.left++
    }
  }
  const all = {
    'content-type': typeof body === 'string' ? 'application/json' : 'text/event-stream',
    ...headers,
  }
  const stream = read()
  return {
    status,
    header: (name) => all[name as keyof typeof all], // absent ones are undefined
    headers: () => ({ ...all }),
    body: stream,
    bytes: async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of stream) chunks.push(chunk)
      return join(chunks)
    },
  }
}

export const event = (data: Json): string =>
  `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
export const chunk = (delta: JsonObject, more: JsonObject = {}, top: JsonObject = {}): string =>
  event({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 5,
    model: 'gpt-x',
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
    ...top,
  })
export const stopped = chunk({}, { finish_reason: 'stop' })
export const tokens = { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
export const usage = event({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 5,
  model: 'gpt-x',
  choices: [],
  usage: tokens,
})
export const done = event('[DONE]')
export const answer = (content: string, more: JsonObject = {}): string =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion',
    created: 5,
    model: 'gpt-x',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: tokens,
    ...more,
  })

export function deployment(
  params: JsonObject = {},
  more: Partial<Row> = {},
  env: Record<string, string> = {},
): Deployment {
  const row: Row = {
    modelName: 'public',
    params: { model: 'openai/gpt-x', api_key: 'sk-1234567890', ...params },
    defaults: {},
    prices: {},
    info: {},
    unset: {},
    ...more,
  }
  return createDeployment(
    row,
    {
      env: (name) => env[name],
      resolve: (model, custom, base) => resolve(model, custom, { base }),
      infoOf: (_provider, _model, overrides) => overrides,
      dropParams: false,
      modifyParams: false,
      schemes: {},
    },
    'id-1',
  )
}

export const hear = (
  more: JsonObject = {},
  wire: keyof typeof clientWires = 'openai-chat',
): Inbound =>
  listen(
    toUtf8(
      JSON.stringify({ model: 'public', messages: [{ role: 'user', content: 'hi' }], ...more }),
    ),
    clientWires[wire],
  )
const clientWires = {
  'openai-chat': wires['openai-chat'],
  anthropic: wires.anthropic,
  gemini: wires.gemini,
}

export const ask = (more: Partial<Ask> = {}): Ask => ({
  remove: [],
  dropParams: false,
  headers: {},
  dialectHeaders: {},
  context: { model: 'public', requestId: 'r-1', created: 1, streamUsage: false, choices: 1 },
  ...more,
})
