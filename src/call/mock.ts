import { faults, GatewayError } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject } from '../json/parse.ts'
import type { Deployment } from '../provider/deployment.ts'
import { decodeContent } from '../wire/openai-chat/request.ts'
import { type Reply, readAll, type Transport, type Upstream } from './transport.ts'

/**
 * A provider that lives in the process: for a first try without an account, and for rows with `mock_response`.
 * It speaks openai-chat. By default it echoes the last user message, calls a tool when one is demanded or named in the
 * message, and gives its final word once a tool has answered. Settings of a row:
 * `mock_response` (text, a whole answer, or the name of a LiteLLM error), `mock_tool_calls`, `mock_delay` (seconds),
 * `mock_latency_ms` (before the answer, and a tenth of it between pieces), `mock_error` (a status), `mock_timeout`.
 * Model names do the same without a config: `mock/latency-500`, `mock/error-429`.
 */
export function mockTransport(to: Deployment, sleep: Sleep = wait): Transport {
  return async (request) => {
    const body = parseObject(await bytesOf(request))
    const plan = planOf(to, body)
    await waitFor(plan.timeout ? 2 ** 31 - 1 : plan.latencyMs, sleep, request)
    if (plan.error) return whole(plan.error.status, { error: plan.error })
    const answer = answerOf(plan, body, to)
    if (body.stream !== true) return whole(200, answer)
    return streamed(
      piecesOf(answer, object(body.stream_options).include_usage === true, plan),
      plan.latencyMs / 10,
      sleep,
      request,
    )
  }
}

/** The answer's first byte, or the limit that is passed before. */
async function waitFor(ms: number, sleep: Sleep, { limits, signal }: Upstream): Promise<void> {
  const stated = [limits?.firstByteMs, limits?.totalMs].filter((limit) => limit)
  const limit = Math.min(...stated.map(Number))
  if (ms < limit) return sleep(ms, signal)
  await sleep(limit, signal)
  throw new GatewayError(
    'timeout',
    `Timeout: the upstream did not begin to answer within ${limit} ms (first byte limit)`,
    { status: 408 },
  )
}

type Sleep = (ms: number, signal: Signal | undefined) => Promise<void>
type MockError = { status: number; message: string; type: string; code: string | null }
type Plan = {
  latencyMs: number
  timeout: boolean
  error: MockError | undefined
  response: Json | undefined
  calls: readonly Json[]
  breaks: boolean
}

function planOf(to: Deployment, body: JsonObject): Plan {
  const settings = to.mock ?? {}
  const { model } = to.target
  const latency = /(?:^|[/-])latency-(\d{1,6})/.exec(model)?.[1]
  const status = /(?:^|[/-])error-([45]\d\d)/.exec(model)?.[1] ?? settings['mock_error']
  const response = settings['mock_response']
  return {
    latencyMs:
      number(settings['mock_latency_ms']) ??
      (latency !== undefined ? Number(latency) : (number(settings['mock_delay']) ?? 0) * 1000),
    timeout: settings['mock_timeout'] === true,
    error: errorOf(status, response),
    response,
    calls: list(settings['mock_tool_calls'] ?? body['mock_tool_calls']),
    breaks: response === 'Exception: mock_streaming_error',
  }
}

function errorOf(status: Json | undefined, response: Json | undefined): MockError | undefined {
  const code = Number(status)
  if (Number.isInteger(code) && code >= 400 && code < 600)
    return { status: code, message: `mock error ${code}`, type: 'mock_error', code: null }
  const name =
    typeof response === 'string'
      ? /^litellm\.(RateLimitError|InternalServerError|ContextWindowExceededError)$/.exec(
          response,
        )?.[1]
      : undefined
  if (name !== undefined) {
    const row = Object.values(faults).find(({ className }) => className === name)
    const context = name === 'ContextWindowExceededError'
    return {
      status: row?.status ?? 500,
      message: context
        ? "this model's maximum context length is exceeded (mock)"
        : `this is a mock ${name}`,
      type: 'mock_error',
      code: context ? 'context_length_exceeded' : null,
    }
  }
  if (typeof response === 'string' && response.startsWith('Exception: content_filter_policy'))
    return {
      status: 400,
      message: 'content policy violation (mock)',
      type: 'mock_error',
      code: 'content_policy_violation',
    }
  return undefined
}

function answerOf(plan: Plan, body: JsonObject, to: Deployment): JsonObject {
  if (isObject(plan.response)) return plan.response
  const canned = typeof plan.response === 'string'
  const said = canned ? String(plan.response) : lastWords(body)
  const calls = plan.calls.length > 0 ? plan.calls : canned ? [] : toolCalls(body)
  const prompt = canned ? 10 : Math.ceil(JSON.stringify(body.messages ?? []).length / 4)
  const completion = canned ? 20 : Math.max(1, Math.ceil(said.length / 4))
  const n = Math.min(Math.max(number(body.n) ?? 1, 1), 16)
  const choice = (index: number): JsonObject => ({
    index,
    message: {
      role: 'assistant',
      content: calls.length > 0 ? null : said,
      ...(calls.length > 0 && { tool_calls: [...calls] }),
    },
    finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
  })
  return {
    id: `chatcmpl-mock-${crypto.randomUUID()}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: to.target.model,
    choices: Array.from({ length: n }, (_, index) => choice(index)),
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion * n,
      total_tokens: prompt + completion * n,
    },
  }
}

const wordsOf = (message: Json | undefined): string =>
  decodeContent(object(message).content)
    .map((part) =>
      part.type === 'text' ? part.text : part.type === 'media' ? `[${part.media}]` : '',
    )
    .join(' ')

function lastWords(body: JsonObject): string {
  const messages = list(body.messages)
  const last = messages.at(-1)
  if (object(last).role === 'tool') return `The tool answered: ${wordsOf(last)}`
  return (
    wordsOf(messages.findLast((message) => object(message).role === 'user')) ||
    'Hello from the mock provider.'
  )
}

/** A call of the tool that is demanded, or named in what the user said; none once a tool has answered. */
function toolCalls(body: JsonObject): JsonObject[] {
  const functions = list(body.tools).map((tool) => object(object(tool).function))
  if (functions.length === 0 || body.tool_choice === 'none') return []
  const messages = list(body.messages)
  if (object(messages.at(-1)).role === 'tool') return []
  const forced = text(object(object(body.tool_choice).function).name)
  const words = wordsOf(messages.findLast((message) => object(message).role === 'user'))
  const chosen =
    functions.find(({ name }) => name === forced) ??
    functions.find(({ name }) => typeof name === 'string' && name !== '' && words.includes(name)) ??
    (body.tool_choice === 'required' ? functions[0] : undefined)
  if (!chosen) return []
  return [
    {
      id: `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`,
      type: 'function',
      function: {
        name: text(chosen.name) ?? '',
        arguments: JSON.stringify(example(object(chosen.parameters), 0)),
      },
    },
  ]
}

/** A small value that fits a JSON schema, required fields only. */
function example(schema: JsonObject, depth: number): Json {
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type) {
    case 'string':
      return 'example'
    case 'number':
    case 'integer':
      return number(schema.minimum) ?? 1
    case 'boolean':
      return true
    case 'array':
      return depth > 4 ? [] : [example(object(schema.items), depth + 1)]
    case 'null':
      return null
    default: {
      const properties = object(schema.properties)
      const required = list(schema.required).filter((key) => typeof key === 'string')
      return Object.fromEntries(
        depth > 4 ? [] : required.map((key) => [key, example(object(properties[key]), depth + 1)]),
      )
    }
  }
}

function* piecesOf(answer: JsonObject, usage: boolean, plan: Plan): Generator<string> {
  const { id, created, model } = answer
  const head = { id, object: 'chat.completion.chunk', created, model }
  const line = (body: JsonObject) => `data: ${JSON.stringify({ ...head, ...body })}\n\n`
  const delta = (index: number, said: JsonObject, reason: Json = null) =>
    line({ choices: [{ index, delta: said, finish_reason: reason }] })
  for (const value of list(answer.choices)) {
    const choice = object(value)
    const index = number(choice.index) ?? 0
    const message = object(choice.message)
    yield delta(index, { role: 'assistant', content: '' })
    for (const piece of text(message.content)?.match(/[\s\S]{1,3}/g) ?? []) {
      yield delta(index, { content: piece })
      if (plan.breaks) {
        yield `data: ${JSON.stringify({ error: { message: 'mock streaming error', type: 'server_error', code: 500 } })}\n\n`
        return
      }
    }
    for (const [at, call] of list(message.tool_calls).entries()) {
      const fn = object(object(call).function)
      yield delta(index, {
        tool_calls: [{ index: at, ...object(call), function: { name: fn.name, arguments: '' } }],
      })
      for (const piece of text(fn.arguments)?.match(/[\s\S]{1,12}/g) ?? [])
        yield delta(index, { tool_calls: [{ index: at, function: { arguments: piece } }] })
    }
    yield delta(index, {}, choice.finish_reason)
  }
  if (usage) yield line({ choices: [], usage: answer.usage })
  yield 'data: [DONE]\n\n'
}

function whole(status: number, body: JsonObject): Reply {
  const bytes = toUtf8(JSON.stringify(body))
  return reply(status, 'application/json', async function* () {
    yield bytes
  })
}

function streamed(
  pieces: Generator<string>,
  pauseMs: number,
  sleep: Sleep,
  { signal }: Upstream,
): Reply {
  return reply(200, 'text/event-stream', async function* () {
    for (const piece of pieces) {
      if (pauseMs > 0) await sleep(pauseMs, signal)
      yield toUtf8(piece)
    }
  })
}

function reply(status: number, type: string, body: () => AsyncIterable<Uint8Array>): Reply {
  return {
    status,
    header: (name) => (name === 'content-type' ? type : undefined),
    headers: () => ({ 'content-type': type }),
    body: body(),
    bytes: () => readAll(body()),
  }
}

async function bytesOf({ body }: Upstream): Promise<Uint8Array> {
  if (body === undefined) return toUtf8('{}')
  return typeof body === 'string'
    ? toUtf8(body)
    : body instanceof Uint8Array
      ? body
      : await readAll(body)
}

const wait: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const left = () => {
      clearTimeout(timer)
      reject(new GatewayError('canceled', 'the client has gone'))
    }
    if (signal?.aborted) return reject(new GatewayError('canceled', 'the client has gone'))
    if (ms <= 0) return resolve()
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', left)
        resolve()
      },
      Math.min(ms, 2 ** 31 - 1),
    )
    signal?.addEventListener('abort', left)
  })
