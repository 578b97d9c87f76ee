import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { request } from 'node:http'
import { before, describe, test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { readKept } from '../src/wire/media/resource.ts'
import { exchange } from './raw-client.ts'
import { eventsOf, eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import { startProcess } from './support/process.ts'
import {
  fileScope,
  type Provider,
  refusal,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** What is not chat, from the door to the provider and back. */
const scope = fileScope()
let provider: Provider
let second: Provider
let gateway: Gateway

const priced = (mode: string, prices: JsonObject) => ({ mode, ...prices })
const vectors = {
  object: 'list',
  model: 'up',
  data: [{ object: 'embedding', index: 0, embedding: [1, 2] }],
  usage: { prompt_tokens: 1000, total_tokens: 1000 },
}

before(async () => {
  provider = await startProvider(scope, () => whole(vectors))
  second = await startProvider(scope, () => whole(vectors))
  const row = (name: string, mode: string, prices: JsonObject) =>
    openaiRow(name, provider, { model: `openai/own-${name}` }, priced(mode, prices))
  gateway = await startGateway(scope, {
    models: [
      row('embed', 'embedding', { input_cost_per_token: 0.000_002 }),
      row('paint', 'image_generation', { input_cost_per_image: 0.04 }),
      row('speak', 'audio_speech', { input_cost_per_character: 0.000_01 }),
      row('hear', 'audio_transcription', { input_cost_per_second: 0.0001 }),
      openaiRow(
        'rank',
        provider,
        { model: 'hosted_vllm/own' },
        priced('rerank', { input_cost_per_query: 0.002 }),
      ),
      row('talk', 'chat', { input_cost_per_token: 0.000_001, output_cost_per_token: 0.000_002 }),
      row('omni-moderation-latest', 'moderation', { input_cost_per_token: 0 }),
      openaiRow('gpt-image-1', provider, { model: 'openai/gpt-image-1' }),
      openaiRow('pair', provider, { order: 1 }),
      openaiRow('pair', second, { order: 2 }),
      {
        model_name: 'redraw',
        litellm_params: {
          model: 'gemini/gemini-2.5-flash-image',
          api_key: 'k',
          api_base: `${provider.origin}/v1beta`,
        },
      },
      openaiRow('mocked', provider, { mock_response: 'hi' }),
      {
        model_name: 'only-vectors',
        litellm_params: { model: 'voyage/voyage-3', api_key: 'k', api_base: provider.base },
      },
    ],
    router: { num_retries: 2, retry_after: 0, fallbacks: [{ embed: ['pair'] }] },
    sections: {
      search_tools: [
        {
          search_tool_name: 'web',
          litellm_params: { search_provider: 'tavily', api_key: 'tvly', api_base: provider.origin },
        },
      ],
      files_settings: [
        { custom_llm_provider: 'openai', api_base: second.base, api_key: 'sk-files-credential' },
      ],
    },
  })
})

const form = (fields: Record<string, string>, file = 'sound', type = 'audio/wav') => {
  const out = new FormData()
  out.append('file', new Blob([file], { type }), 'a.wav')
  for (const [name, value] of Object.entries(fields)) out.append(name, value)
  return out
}
const postForm = (path: string, body: FormData, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, { method: 'POST', body, headers })
const spent = () => gateway.running.rooms.ledger.totals().nanoDollars

describe('the header and the ledger tell one price', () => {
  const rows: [
    name: string,
    run: () => Promise<Response>,
    answer: () => ReturnType<typeof whole>,
    dollars: string,
  ][] = [
    [
      'by token',
      () => gateway.post('/v1/embeddings', { model: 'embed', input: 'a' }),
      () => whole(vectors),
      '0.002',
    ],
    [
      'by picture',
      () => gateway.post('/v1/images/generations', { model: 'paint', prompt: 'a', n: 2 }),
      () => whole({ created: 1, data: [{ url: 'https://a/1' }, { url: 'https://a/2' }] }),
      '0.08',
    ],
    [
      'by size and quality, where no tokens are told',
      () =>
        gateway.post('/v1/images/generations', {
          model: 'gpt-image-1',
          prompt: 'a',
          quality: 'low',
          size: '1024x1024',
        }),
      () => whole({ created: 1, data: [{ b64_json: 'AA' }] }),
      '0.011',
    ],
    [
      'by character',
      () => gateway.post('/v1/audio/speech', { model: 'speak', input: 'Hällo', voice: 'alloy' }),
      () => whole('mp3', { headers: { 'content-type': 'audio/mpeg' } }),
      '0.00005',
    ],
    [
      'by second',
      () => postForm('/v1/audio/transcriptions', form({ model: 'hear' })),
      () => whole({ text: 'Hi', usage: { type: 'duration', seconds: 7 } }),
      '0.0007',
    ],
    [
      'by query',
      () => gateway.post('/v2/rerank', { model: 'rank', query: 'q', documents: ['a'] }),
      () => whole({ results: [{ index: 0, relevance_score: 1 }] }),
      '0.002',
    ],
    [
      'a text that is gone on with',
      () => gateway.post('/v1/completions', { model: 'talk', prompt: 'a' }),
      () =>
        whole({
          choices: [
            { index: 0, message: { role: 'assistant', content: 'b' }, finish_reason: 'stop' },
          ],
          usage: { prompt_tokens: 10, completion_tokens: 10 },
        }),
      '0.00003',
    ],
  ]
  for (const [name, run, answer, dollars] of rows)
    test(name, async () => {
      provider.tell(answer)
      const before = spent()
      const response = await run()
      await response.arrayBuffer()
      equal(response.status, 200)
      equal(response.headers.get('x-litellm-response-cost'), dollars)
      await eventually(() => spent() !== before)
      equal((spent() - before) / 1e9, Number(dollars))
    })
})

describe('the path of chat, for what is not chat', () => {
  test('a deployment that fails is followed by the next, and a group by its fallback', async () => {
    provider.tell(() => refusal(500, { message: 'down' }))
    const response = await gateway.post('/v1/embeddings', {
      model: 'embed',
      input: 'a',
      num_retries: 0,
    })
    equal(response.status, 200)
    equal(response.headers.get('x-litellm-attempted-fallbacks'), '1')
    equal((await response.json()).model, 'embed')
    equal(second.last().json['model'], 'upstream-model')
  })

  test('the gateway’s own fields stay, a caller’s upstream is refused', async () => {
    provider.tell(() => whole(vectors))
    await gateway.post('/v1/embeddings', {
      model: 'embed',
      input: 'a',
      tags: ['x'],
      metadata: { a: 1 },
      timeout: 9,
      unknown: 1,
    })
    deepEqual(provider.last().json, { model: 'own-embed', input: 'a', unknown: 1 })
    const asked = provider.asked.length
    const refused = await gateway.post('/v1/embeddings', {
      model: 'embed',
      input: 'a',
      api_base: 'http://x',
    })
    equal(refused.status, 401)
    const inForm = await postForm(
      '/v1/audio/transcriptions',
      form({ model: 'hear', api_key: 'sk' }),
    )
    equal(inForm.status, 401)
    equal(provider.asked.length, asked)
  })

  test('a form passes with another model, and again to the next deployment', async () => {
    let nth = 0
    provider.tell(() => (nth++ === 0 ? refusal(500, { message: 'oops' }) : whole({ text: 'Hi' })))
    const response = await postForm(
      '/v1/audio/transcriptions',
      form({ model: 'hear', language: 'de', tags: '["a"]' }),
    )
    equal(response.status, 200)
    equal(response.headers.get('x-litellm-attempted-retries'), '1')
    const { text, headers } = provider.last()
    match(String(headers['content-type']), /^multipart\/form-data; boundary=/)
    match(text, /name="model"\r\n\r\nown-hear\r\n/)
    match(text, /name="language"\r\n\r\nde\r\n/)
    ok(text.includes('sound') && !text.includes('tags'))
  })

  test('a form larger than is held is read whole where a provider wants its pictures in JSON', async () => {
    provider.tell(() =>
      whole({
        candidates: [
          { content: { parts: [{ inlineData: { mimeType: 'image/png', data: 'AA' } }] } },
        ],
      }),
    )
    const body = new FormData()
    body.append('model', 'redraw')
    body.append('prompt', 'blue')
    for (const name of ['a.png', 'b.png'])
      body.append(
        'image[]',
        new Blob([new Uint8Array(3 * 1024 * 1024)], { type: 'image/png' }),
        name,
      )
    const response = await postForm('/v1/images/edits', body)
    equal(response.status, 200)
    const contents = provider.last().json['contents'] as {
      parts: { inlineData?: { data: string } }[]
    }[]
    deepEqual(
      contents[0]?.parts.map(({ inlineData }) => inlineData?.data.length),
      [4 * 1024 * 1024, 4 * 1024 * 1024, undefined],
    )
  })

  test('a row that mocks chat never calls its provider', async () => {
    const asked = provider.asked.length
    equal((await gateway.post('/v1/embeddings', { model: 'mocked', input: 'a' })).status, 501)
    equal(provider.asked.length, asked)
  })

  test('what a provider does not offer is said, and rests nobody', async () => {
    const image = await gateway.post('/v1/images/generations', {
      model: 'only-vectors',
      prompt: 'a',
    })
    equal(image.status, 501)
    match((await image.json()).error.message, /Voyage AI does not offer image/)
    const chat = await gateway.post('/v1/chat/completions', {
      model: 'only-vectors',
      messages: [{ role: 'user', content: 'a' }],
    })
    equal(chat.status, 501)
    match((await chat.json()).error.message, /does not converse; it offers embeddings, rerank/)
  })

  test('what is wrong is answered in OpenAI’s shape', async () => {
    for (const [path, body, status, param] of [
      ['/v1/embeddings', { input: 'a' }, 400, 'model'],
      ['/v1/embeddings', { model: 'nobody', input: 'a' }, 400, null],
      ['/v1/rerank', '{', 400, 'request_body'],
    ] as const) {
      const response = await gateway.post(path, body)
      equal(response.status, status, path)
      equal((await response.json()).error.param, param)
    }
    const noForm = await gateway.post('/v1/audio/transcriptions', 'x', {
      'content-type': 'text/plain',
    })
    equal(noForm.status, 415)
    const noModel = await postForm('/v1/audio/transcriptions', form({ language: 'de' }))
    deepEqual([noModel.status, (await noModel.json()).error.param], [400, 'model'])
    const header = await postForm('/v1/audio/transcriptions', form({}), {
      'x-litellm-model': 'hear',
    })
    equal(header.status, 200)
  })

  test('a moderation without a model is OpenAI’s latest', async () => {
    provider.tell(() => whole({ id: 'modr', model: 'x', results: [] }))
    const response = await gateway.post('/v1/moderations', { input: 'a' })
    equal((await response.json()).model, 'omni-moderation-latest')
    equal(provider.last().json['model'], 'own-omni-moderation-latest')
  })

  test('sound comes as it is made; a client that hangs up ends the provider’s work', async () => {
    provider.tell(() =>
      stream(['one', 20, 'two'], { headers: { 'content-type': 'audio/mpeg' }, end: 'hang' }),
    )
    const abort = new AbortController()
    const before = gateway.running.rooms.ledger.totals()
    const response = await fetch(`${gateway.url}/v1/audio/speech`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'speak', input: 'abc', voice: 'alloy' }),
      signal: abort.signal,
    })
    equal(response.headers.get('content-type'), 'audio/mpeg')
    const reader = response.body?.getReader()
    equal(new TextDecoder().decode((await reader?.read())?.value), 'one')
    abort.abort()
    equal(await provider.last().gone, true)
    await eventually(() => gateway.running.rooms.ledger.totals().requests > before.requests)
    equal(gateway.running.rooms.ledger.totals().failures, before.failures + 1)
  })

  test('the old completions stream through a model that converses', async () => {
    provider.tell(() =>
      stream([
        'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}\n\n',
        'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        'data: [DONE]\n\n',
      ]),
    )
    const response = await gateway.post('/v1/completions', {
      model: 'talk',
      prompt: 'x',
      stream: true,
    })
    const events = await eventsOf(response)
    match(provider.last().path, /\/chat\/completions$/)
    deepEqual(
      events.map(({ data }) =>
        typeof data === 'string'
          ? data
          : (data as { choices: { text: string }[] }).choices[0]?.text,
      ),
      ['a', '', '[DONE]'],
    )
  })
})

describe('what a provider keeps', () => {
  test('an upload’s id leads back to where it is kept', async () => {
    second.tell(({ path, method }) =>
      path.endsWith('/content')
        ? whole('line\n', { headers: { 'content-type': 'application/jsonl' } })
        : whole(
            path.includes('batches')
              ? { id: 'batch_1', input_file_id: 'file-1', object: 'batch' }
              : { id: 'file-1', object: 'file', deleted: method === 'DELETE' },
          ),
    )
    const deployments = gateway.running.rooms.router.groups.find('pair')
    const kept = deployments.find(({ url }) => url.whole.startsWith(second.origin))
    const upload = new FormData()
    upload.append('purpose', 'batch')
    upload.append('target_model_names', kept?.id ?? '')
    upload.append('file', new Blob(['line\n']), 'in.jsonl')
    const file = await (await postForm('/v1/files', upload)).json()
    deepEqual(readKept(file.id), { id: 'file-1', keeper: kept?.id })
    ok(!second.last().text.includes('target_model_names'))
    equal(second.last().headers.authorization, 'Bearer sk-upstream-credential')

    const content = await gateway.get(`/v1/files/${file.id}/content`)
    deepEqual([await content.text(), second.last().path], ['line\n', '/v1/files/file-1/content'])
    const batch = await gateway.post(`/v1/batches?model=${kept?.id}`, {
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { a: 'b' },
    })
    deepEqual(second.last().json, {
      input_file_id: 'file-1',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { a: 'b' },
    })
    const { id } = await batch.json()
    await gateway.post(`/v1/batches/${id}/cancel`, '')
    deepEqual([second.last().method, second.last().path], ['POST', '/v1/batches/batch_1/cancel'])
    await fetch(`${gateway.url}/v1/files/${file.id}`, { method: 'DELETE' })
    deepEqual([second.last().method, second.last().path], ['DELETE', '/v1/files/file-1'])
  })

  test('without a model the credentials of files_settings are used, and its ids lead back to them', async () => {
    second.tell(({ path }) =>
      whole(path.includes('?') ? { object: 'list', data: [{ id: 'file-2' }] } : { id: 'file-2' }),
    )
    const { data } = await (await gateway.get('/v1/files?purpose=batch')).json()
    equal(second.last().path, '/v1/files?purpose=batch')
    equal(second.last().headers.authorization, 'Bearer sk-files-credential')
    equal((await gateway.get(`/v1/files/${data[0].id}`)).status, 200)
    equal(second.last().path, '/v1/files/file-2')
    equal((await gateway.get('/nobody/v1/files')).status, 400)
  })

  test('threads: their ids lead back, inside of what is told and in streams, and functions keep theirs', async () => {
    second.tell(({ path, json }) => {
      if (json['stream'] === true)
        return stream([
          'event: thread.run.created\ndata: {"id":"run_2","thread_id":"thread_1"}\n\n',
          'event: thread.run.completed\ndata: {"id":"run_2","usage":{"prompt_tokens":1000,',
          '"completion_tokens":1000,"total_tokens":2000}}\n\nevent: done\ndata: [DONE]\n\n',
        ])
      return whole(
        path.endsWith('/runs/run_1')
          ? {
              id: 'run_1',
              thread_id: 'thread_1',
              required_action: { submit_tool_outputs: { tool_calls: [{ id: 'call_1' }] } },
            }
          : {
              id: 'thread_1',
              metadata: { id: 'mine' },
              tool_resources: { file_search: { vector_store_ids: ['vs_1'] } },
            },
      )
    })
    const kept = gateway.running.rooms.router.groups
      .find('pair')
      .find(({ url }) => url.whole.startsWith(second.origin))
    const made = await (
      await gateway.post(`/v1/threads?model=${kept?.id}`, { messages: [] })
    ).json()
    equal(second.last().headers['openai-beta'], 'assistants=v2')
    const store = made.tool_resources.file_search.vector_store_ids[0]
    deepEqual(
      [readKept(made.id)?.id, made.metadata.id, readKept(store)?.id],
      ['thread_1', 'mine', 'vs_1'],
    )
    await gateway.post(`/v1/threads/${made.id}`, {
      tool_resources: { file_search: { vector_store_ids: [store] } },
    })
    deepEqual(second.last().json['tool_resources'], {
      file_search: { vector_store_ids: ['vs_1'] },
    })
    const run = await (await gateway.get(`/v1/threads/${made.id}/runs/run_1`)).json()
    equal(second.last().path, '/v1/threads/thread_1/runs/run_1')
    equal(run.required_action.submit_tool_outputs.tool_calls[0].id, 'call_1')
    const said = await gateway.post(`/v1/threads/${made.id}/runs`, {
      assistant_id: 'asst_1',
      stream: true,
    })
    const events = await said.text()
    const [first] = /"run-[\w-]+"/.exec(events) ?? []
    equal(readKept(first?.slice(1, -1) ?? '')?.id, 'run_2')
    match(events, /event: done\ndata: \[DONE\]\n\n$/)
  })

  test('an id cannot lead elsewhere', async () => {
    const asked = provider.asked.length
    // `fetch` would tidy the path.
    for (const id of ['..', '%2e%2e', '..%2f..%2fmodels'])
      await exchange(
        gateway.port,
        `GET /v1/files/${id}?model=pair HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      )
    deepEqual(
      provider.asked.slice(asked).map(({ path }) => path),
      ['/v1/files/..%2F..%2Fmodels'],
    )
  })
})

test('health asks each deployment in its own way, and for no pictures', async () => {
  provider.tell(() => whole(vectors))
  const asked = provider.asked.length
  const key = gateway.running.admin?.key ?? ''
  const response = await gateway.get('/health?model=embed', { authorization: `Bearer ${key}` })
  equal((await response.json()).healthy_count, 1)
  equal(provider.last().path, '/v1/embeddings')
  await gateway.get('/health?model=paint', { authorization: `Bearer ${key}` })
  equal(provider.asked.length, asked + 1)
})

test('a search tool answers for the web, at its price', async () => {
  provider.tell(() => whole({ results: [{ title: 'T', url: 'https://a', content: 'S' }] }))
  for (const path of ['/v1/search/web', '/search']) {
    const response = await gateway.post(path, { query: 'q', max_results: 1 })
    equal(response.headers.get('x-litellm-response-cost'), '0.008')
    deepEqual(await response.json(), {
      object: 'search',
      results: [{ title: 'T', url: 'https://a', snippet: 'S' }],
    })
    deepEqual(provider.last().json, { query: 'q', max_results: 1 })
    equal(provider.last().headers.authorization, 'Bearer tvly')
  }
  equal((await gateway.post('/v1/search/other', { query: 'q' })).status, 404)
  deepEqual((await (await gateway.get('/v1/search/tools')).json()).data, [
    { search_tool_name: 'web', search_provider: 'tavily' },
  ])
})

test('an upload of 100 MB is not held', { skip: process.env['HEAVY'] !== '1' }, async (t) => {
  let received = 0
  const { createServer } = await import('node:http')
  const server = createServer((req, res) => {
    req.on('data', (chunk) => {
      received += chunk.length
    })
    req.on('end', () =>
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"Hi"}'),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const at = server.address()
  const port = at !== null && typeof at === 'object' ? at.port : 0
  const running = await startProcess(t, {
    model_list: [openaiRow('hear', { base: `http://127.0.0.1:${port}/v1` })],
  })
  const send = (mb: number) =>
    new Promise<number | undefined>((resolve, reject) => {
      const req = request(`${running.url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=edge' },
      })
      req.on('error', reject)
      req.on('response', (res) => {
        res.resume()
        res.on('end', () => resolve(res.statusCode))
      })
      req.write('--edge\r\nContent-Disposition: form-data; name="model"\r\n\r\nhear\r\n')
      req.write('--edge\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n')
      const chunk = Buffer.alloc(1024 * 1024, 'x')
      let left = mb
      const more = (): void => {
        while (left-- > 0) if (!req.write(chunk)) return void req.once('drain', more)
        req.end('\r\n--edge--\r\n')
      }
      more()
    })
  // Small ones before, so that what every process allocates once is there.
  for (let sent = 0; sent < 20; sent++) equal(await send(1), 200)
  const before = await running.residentMb()
  let most = before
  const watching = setInterval(async () => {
    most = Math.max(most, await running.residentMb())
  }, 20)
  equal(await send(100), 200)
  clearInterval(watching)
  t.diagnostic(`${before.toFixed(0)} MB, ${most.toFixed(0)} MB at most`)
  ok(received > 120 * 1024 * 1024)
  ok(most - before < 20, `${(most - before).toFixed(1)} MB more`)
})
