import { equal, match, ok } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { startGateway } from './support/gateway.ts'
import { fileScope, type Scope } from './support/provider.ts'

/**
 * A language model that really answers, in a folder named by REALMODEL_DIR with a `server.mjs` that serves OpenAI's API
 * (model `smollm2-135m`) at 127.0.0.1, port REALMODEL_PORT.
 */
const folder = process.env['REALMODEL_DIR']
const skip = folder
  ? false
  : 'no real model here: set REALMODEL_DIR to the folder of its server.mjs'
const scope = fileScope()

describe('a real model', { skip }, () => {
  let client: OpenAI
  before(async () => {
    const base = await startModel(scope, folder ?? '')
    const gateway = await startGateway(scope, {
      models: [
        {
          model_name: 'small',
          litellm_params: { model: 'openai/smollm2-135m', api_base: base, api_key: 'none-needed' },
        },
      ],
      litellm: { request_timeout: 60 },
    })
    client = new OpenAI({ apiKey: 'any', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  })

  const question = {
    model: 'small',
    messages: [{ role: 'user' as const, content: 'Say hello in one short sentence.' }],
    max_tokens: 24,
    temperature: 0,
  }

  test('answers, whole and streamed alike', async (t) => {
    const whole = await client.chat.completions.create(question)
    const said = whole.choices[0]?.message.content ?? ''
    match(said, /\w{2}/)
    equal(whole.model, 'small')
    ok((whole.usage?.prompt_tokens ?? 0) > 5 && (whole.usage?.completion_tokens ?? 0) > 0)
    t.diagnostic(`${JSON.stringify(said)} ${JSON.stringify(whole.usage)}`)

    let streamed = ''
    let chunks = 0
    let tokens = 0
    for await (const chunk of await client.chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      equal(chunk.model, 'small')
      chunks++
      streamed += chunk.choices[0]?.delta.content ?? ''
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    equal(streamed.trim(), said.trim())
    ok(chunks > 3 && tokens > 0)
  })

  test('is stopped when nobody listens any more: the next answer does not wait', async () => {
    const long = { ...question, max_tokens: 1000, stream: true as const }
    for await (const chunk of await client.chat.completions.create(long))
      if (chunk.choices[0]?.delta.content) break
    const before = performance.now()
    const next = await client.chat.completions.create({ ...question, max_tokens: 4 })
    ok(next.choices[0]?.message.content)
    ok(performance.now() - before < 10_000)
  })
})

async function startModel(t: Scope, from: string): Promise<string> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(from, 'server.mjs')], {
    env: { ...process.env, REALMODEL_PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  t.after(() => {
    child.kill('SIGKILL')
    return ended
  })
  const base = `http://127.0.0.1:${port}/v1`
  for (const until = Date.now() + 60_000; Date.now() < until; ) {
    if (child.exitCode !== null) throw new Error(`${from}/server.mjs ended with ${child.exitCode}`)
    const response = await fetch(`${base}/models`).catch(() => undefined)
    if (response?.ok) return base
    await new Promise((resolve) => void setTimeout(resolve, 100))
  }
  throw new Error(`${from}/server.mjs did not begin to serve within a minute`)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const at = server.address()
      server.close(() =>
        at !== null && typeof at === 'object' ? resolve(at.port) : reject(new Error('no port')),
      )
    })
  })
}
