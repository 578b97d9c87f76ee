import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import * as face from '../src/index.node.ts'
import { shared } from '../src/sdk/runtime.ts'
import { sdkOf } from '../src/sdk/sdk.ts'
import { chatAnswer } from './support/provider.ts'

const index = join(import.meta.dirname, '..', 'src', 'index.ts')

/** `index.ts` as an edge runtime gets it: one file, in which a Node module would be an error. */
async function bundled(): Promise<{ code: string; face: typeof face }> {
  const { outputFiles } = await build({
    entryPoints: [index],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    minify: true,
    logLevel: 'silent',
  })
  const code = outputFiles[0]?.text ?? ''
  const folder = await mkdtemp(join(tmpdir(), 'throughway-face-'))
  try {
    const path = join(folder, 'index.mjs')
    await writeFile(path, code)
    return { code, face: await import(pathToFileURL(path).href) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('everything the library has is exported, by both of its names', () => {
  const all = sdkOf(shared)
  const exported = new Set(Object.keys(face))
  for (const name of Object.keys(all)) ok(exported.has(name), `${name} is missing in src/index.ts`)
  equal(all.get_model_info, all.getModelInfo)
  equal(all.acompletion, all.completion)
})

test('without Node: it bundles, calls with fetch, and says what it lacks', async () => {
  const { code, face: web } = await bundled()
  ok(!/from\s*"node:|require\("node:|import\("node:/.test(code))
  deepEqual(Object.keys(web).sort(), Object.keys(face).sort())

  const asked: Request[] = []
  const send: typeof fetch = async (input, init) => {
    asked.push(new Request(input, init))
    return Response.json(chatAnswer({ content: 'Hello' }))
  }
  const here = web.createSdk({ fetch: send, env: { GROQ_API_KEY: 'gsk-of-a-worker' } })
  const ask = {
    model: 'groq/openai/gpt-oss-20b',
    messages: [{ role: 'user' as const, content: 'Hi' }],
  }
  const { choices, _hidden_params: hidden } = await here.completion(ask)
  equal(choices[0]?.message.content, 'Hello')
  equal(asked[0]?.url, 'https://api.groq.com/openai/v1/chat/completions')
  equal(asked[0]?.headers.get('authorization'), 'Bearer gsk-of-a-worker')
  equal(hidden.response_cost, null)

  throws(() => here.get_model_info('gpt-4o'), /setCatalogue/)
  here.setCatalogue({
    'groq/openai/gpt-oss-20b': {
      litellm_provider: 'groq',
      input_cost_per_token: 0.5,
      output_cost_per_token: 1,
    },
  })
  equal((await here.completion(ask))._hidden_params.response_cost, 7.5)
  // Names survive a minifier.
  await rejects(here.completion({ ...ask, model: 'openai/x' }), { name: 'AuthenticationError' })
  equal(here.token_counter({ model: 'gpt-4o', text: 'Hello' }), 1)
})

test('createSdk: a place of its own', async () => {
  const warned: string[] = []
  const one = face.createSdk({
    env: { OPENAI_API_KEY: 'sk-any' },
    catalogue: { mine: { litellm_provider: 'openai', mode: 'chat', max_tokens: 7 } },
    warn: (message) => void warned.push(message),
  })
  equal(one.get_max_tokens('mine'), 7)
  deepEqual(one.get_valid_models(), ['openai/mine'])
  equal(one.validate_environment('openai/mine').keys_in_environment, true)
  new one.Router({ model_list: [], redis_url: 'redis://x' })
  equal(warned.length, 1)
  ok(Object.keys(face.createSdk({ env: {} }).model_cost).length > 4000)
})
