import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { chatAnswer, fileScope, startProvider, stream, whole } from '../../test/support/provider.ts'
import { openPlace } from '../../test/support/sdk.ts'
import { bytesOf, utf8 } from '../json/latin1.ts'

const scope = fileScope()
const provider = await startProvider(scope, () => whole({}))
const { sdk } = openPlace(scope, {})
const here = { api_base: provider.base, api_key: 'sk-any-key' }

/** A call, the answer the provider gives, the path it is asked at, what it hears, and what the call cost. */
const calls: [
  name: string,
  call: () => Promise<{ _hidden_params: { response_cost: number | null } }>,
  answer: object,
  path: string,
  heard: object,
  cost: number | null,
][] = [
  [
    'embedding',
    () =>
      sdk.embedding({
        ...here,
        model: 'openai/text-embedding-3-small',
        input: ['a', 'b'],
        encodingFormat: 'float',
      }),
    { object: 'list', data: [], model: 'x', usage: { prompt_tokens: 100, total_tokens: 100 } },
    '/v1/embeddings',
    { model: 'text-embedding-3-small', input: ['a', 'b'], encoding_format: 'float' },
    0.000002,
  ],
  [
    'image_generation, by its size where tokens are not told',
    () =>
      sdk.image_generation({
        ...here,
        model: 'openai/gpt-image-1',
        prompt: 'A cat',
        size: '1024x1536',
        quality: 'low',
      }),
    { created: 1, data: [{ url: 'https://x/1.png' }] },
    '/v1/images/generations',
    { model: 'gpt-image-1', prompt: 'A cat', size: '1024x1536', quality: 'low' },
    0.016,
  ],
  [
    'rerank in the words of another provider',
    () =>
      sdk.rerank({
        ...here,
        model: 'voyage/rerank-2',
        query: 'q',
        documents: ['a', 'b'],
        topN: 1,
      }),
    { data: [{ index: 1, relevance_score: 0.9 }], usage: { total_tokens: 1000 } },
    '/v1/rerank',
    { model: 'rerank-2', query: 'q', documents: ['a', 'b'], top_k: 1 },
    0.00005,
  ],
  [
    'moderation, without a model',
    () => sdk.moderation({ ...here, input: 'Hi', custom_llm_provider: 'openai' }),
    { id: 'm', model: 'omni', results: [{ flagged: false }] },
    '/v1/moderations',
    { model: 'omni-moderation-latest', input: 'Hi' },
    0,
  ],
  [
    'ocr',
    () =>
      sdk.ocr({
        ...here,
        model: 'mistral/mistral-ocr-latest',
        document: { type: 'document_url', document_url: 'https://x/a.pdf' },
      }),
    { pages: [{ index: 0, markdown: '# A' }], model: 'x', usage_info: { pages_processed: 2 } },
    '/v1/ocr',
    {
      model: 'mistral-ocr-latest',
      document: { type: 'document_url', document_url: 'https://x/a.pdf' },
    },
    0.008,
  ],
  [
    'text_completion',
    () => sdk.text_completion({ ...here, model: 'openai/gpt-3.5-turbo-instruct', prompt: 'Once' }),
    {
      id: 'c',
      object: 'text_completion',
      created: 1,
      model: 'x',
      choices: [{ text: ' upon', index: 0, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1000, completion_tokens: 1000, total_tokens: 2000 },
    },
    '/v1/completions',
    { model: 'gpt-3.5-turbo-instruct', prompt: 'Once', stream: false },
    0.0035,
  ],
]
for (const [name, call, answer, path, heard, cost] of calls)
  test(`${name}: what is heard, and what it cost`, async () => {
    provider.tell(() => whole(answer))
    const told = await call()
    const asked = provider.last()
    equal(asked.path, path)
    equal(asked.headers.authorization, 'Bearer sk-any-key')
    deepEqual(asked.json, heard)
    equal(told._hidden_params.response_cost, cost)
    ok(!JSON.stringify(told).includes('_hidden'))
  })

test('both names of everything are one function, and the answers are the provider’s', async () => {
  equal(sdk.aimage_generation, sdk.imageGeneration)
  equal(sdk.atranscription, sdk.transcription)
  provider.tell(() => whole({ object: 'list', data: [], model: 'x', extra: 7 }))
  const { extra, _hidden_params: hidden } = await sdk.aembedding({
    ...here,
    model: 'openai/text-embedding-3-small',
    input: 'one two',
  })
  equal(extra, 7)
  // Counted, since the provider told nothing: two tokens.
  equal(hidden.response_cost, 4e-8)
  equal(hidden.api_base, provider.base)
})

test('speech: sound as it is made, paid for when it has ended', async () => {
  provider.tell(() => stream(['one', 5, 'two'], { headers: { 'content-type': 'audio/mpeg' } }))
  const ask = { ...here, model: 'openai/tts-1', input: 'Hello', voice: 'alloy' }
  const sound = await sdk.speech(ask)
  equal(sound.headers.get('content-type'), 'audio/mpeg')
  equal(sound._hidden_params.response_cost, null)
  equal(utf8(new Uint8Array(await sound.arrayBuffer())), 'onetwo')
  equal(sound._hidden_params.response_cost, 0.000075)

  provider.tell(() => stream(['one', 100, 'two'], { end: 'hang' }))
  const left = await sdk.speech(ask)
  await left.body?.cancel()
  equal(await provider.last().gone, true)
})

const riff = bytesOf('RIFF\x24\0\0\0WAVEfmt ').slice()
test('transcription: a form, sent again as it was', async () => {
  provider.tell((_, nth) =>
    nth === 1 ? whole({ error: { message: 'busy' } }, { status: 503 }) : whole({ text: 'Hello' }),
  )
  provider.asked.length = 0
  const { text } = await sdk.transcription({
    ...here,
    model: 'openai/whisper-1',
    file: riff,
    timestampGranularities: ['word', 'segment'],
    temperature: 0,
  })
  equal(text, 'Hello')
  const forms = provider.asked.map(({ text: form }) => form)
  equal(forms.length, 2)
  equal(forms[0], forms[1])
  const form = forms[0] ?? ''
  match(form, /name="file"; filename="file\.wav"\r\nContent-Type: audio\/wav\r\n\r\nRIFF/)
  match(form, /name="model"\r\n\r\nwhisper-1\r\n/)
  match(form, /name="temperature"\r\n\r\n0\r\n/)
  deepEqual(
    [...form.matchAll(/name="timestamp_granularities\[\]"\r\n\r\n(\w+)/g)].map(([, one]) => one),
    ['word', 'segment'],
  )
})

test('transcription: what is no JSON is text; another provider is asked in its own words', async () => {
  provider.tell(() =>
    whole('1\n00:00 --> 00:01\nHi\n', { headers: { 'content-type': 'text/plain' } }),
  )
  const said = await sdk.transcription({
    ...here,
    model: 'openai/whisper-1',
    file: new Blob([riff], { type: 'audio/wav' }),
    response_format: 'srt',
  })
  equal(said.text, '1\n00:00 --> 00:01\nHi\n')

  provider.tell(() =>
    whole({
      metadata: { duration: 60 },
      results: { channels: [{ alternatives: [{ transcript: 'Hi', words: [] }] }] },
    }),
  )
  const file = new File([riff], 'call.wav', { type: 'audio/wav' })
  const other = await sdk.transcription({ ...here, model: 'deepgram/nova-3', file })
  equal(other.text, 'Hi')
  match(provider.last().path, /^\/v1\/listen\?model=nova-3/)
  equal(provider.last().text.slice(0, 4), 'RIFF')
  equal(other._hidden_params.response_cost, 0.0043002)
})

test('image_edit: several pictures and a mask', async () => {
  provider.tell(() => whole({ created: 1, data: [{ b64_json: 'AA==' }] }))
  const png = bytesOf('\x89PNG\r\n\x1a\n').slice()
  const { data } = await sdk.image_edit({
    ...here,
    model: 'openai/gpt-image-1',
    prompt: 'A hat',
    image: [png, new File([png], 'two.png', { type: 'image/png' })],
    mask: png,
  })
  equal(data[0]?.b64_json, 'AA==')
  const form = provider.last().text
  deepEqual(
    [...form.matchAll(/name="([\w[\]]+)"(?:; filename="([\w.]+)")?/g)].map(([, a, b]) => [a, b]),
    [
      ['prompt', undefined],
      ['image[]', 'image.png'],
      ['image[]', 'two.png'],
      ['mask', 'mask.png'],
      ['model', undefined],
    ],
  )
})

test('text_completion and responses stream, in their own shapes', async () => {
  const piece = (text: string) =>
    `data: ${JSON.stringify({ id: 'c', object: 'text_completion', choices: [{ text, index: 0 }] })}\n\n`
  provider.tell(() => stream([piece('a'), piece('b'), 'data: [DONE]\n\n']))
  const chunks = await sdk.textCompletion({
    ...here,
    model: 'openai/gpt-3.5-turbo-instruct',
    prompt: 'x',
    stream: true,
  })
  let said = ''
  for await (const { choices } of chunks) said += choices[0]?.text ?? ''
  equal(said, 'ab')

  // A provider without the Responses API is asked in chat, and its answer told as a response.
  provider.tell(() => whole(chatAnswer({ content: 'Hello' })))
  const ask = { ...here, model: 'groq/openai/gpt-oss-20b', input: 'Hi' }
  const answer = await sdk.responses({ ...ask, max_output_tokens: 5 })
  equal(provider.last().path, '/v1/chat/completions')
  deepEqual([answer.object, answer.status, answer['store']], ['response', 'completed', false])
  match(JSON.stringify(answer.output), /"text":"Hello"/)
  ok(answer._hidden_params.response_cost !== null)
  await rejects(sdk.responses({ ...ask, previous_response_id: 'resp_1' }), {
    name: 'UnsupportedParamsError',
    message: /previous_response_id/,
  })
})

/** What cannot be. */
const wrong: [name: string, call: () => Promise<unknown>, error: object][] = [
  [
    'a provider that has no such operation',
    () => sdk.embedding({ ...here, model: 'anthropic/claude-x', input: 'a' }),
    { message: /does not offer embeddings/ },
  ],
  [
    'a stream of what comes whole',
    () => sdk.embedding({ ...here, model: 'openai/x', input: 'a', stream: true }),
    { name: 'BadRequestError', param: 'stream' },
  ],
  [
    'a file that is none',
    // @ts-expect-error a path is no file
    () => sdk.transcription({ ...here, model: 'openai/whisper-1', file: './a.wav' }),
    { name: 'BadRequestError', param: 'file' },
  ],
  [
    'no model',
    // @ts-expect-error a model is needed
    () => sdk.embedding({ ...here, input: 'a' }),
    { name: 'BadRequestError', param: 'model' },
  ],
  [
    'what the provider refuses',
    () => sdk.embedding({ ...here, model: 'openai/refuse', input: 'a' }),
    { name: 'RateLimitError', llm_provider: 'openai', model: 'refuse' },
  ],
]
for (const [name, call, error] of wrong)
  test(`${name} is an error that says so`, async () => {
    provider.tell(() => whole({ error: { message: 'slow down' } }, { status: 429 }))
    await rejects(call(), error)
  })

test('a Router has them all, with its fallbacks', async () => {
  provider.tell(({ json }) =>
    json['model'] === 'down'
      ? whole({ error: { message: 'down' } }, { status: 500 })
      : whole({ object: 'list', data: [{ embedding: [1], index: 0 }], model: 'x' }),
  )
  const router = new sdk.Router({
    model_list: [
      { model_name: 'vectors', litellm_params: { ...here, model: 'openai/down' } },
      { model_name: 'spare', litellm_params: { ...here, model: 'openai/up' } },
    ],
    fallbacks: [{ vectors: ['spare'] }],
    num_retries: 0,
  })
  equal(router.aimage_generation, router.imageGeneration)
  const answer = await router.embedding({ model: 'vectors', input: 'a' })
  deepEqual(answer.data[0]?.embedding, [1])
  equal(answer._hidden_params.litellm_model_name, 'up')
  equal(answer._hidden_params.additional_headers['x-litellm-attempted-fallbacks'], '1')
})

test('a picture by its address is fetched for a provider that fetches none', async () => {
  const asked: unknown[] = []
  const place = openPlace(
    scope,
    {},
    {
      media: (rules) => async (url) => {
        asked.push([rules, url])
        return { base64: 'iVBORw==', mime: 'image/png' }
      },
    },
  )
  place.sdk.settings.user_url_allowed_hosts = ['pictures.example']
  provider.tell(() => whole({ message: { role: 'assistant', content: 'A cat' }, done: true }))
  const url = 'https://pictures.example/cat.png'
  await place.sdk.completion({
    model: 'ollama/llava',
    api_base: provider.origin,
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
  })
  deepEqual(asked, [[{ validate: undefined, allowedHosts: ['pictures.example'] }, url]])
  match(provider.last().text, /"images":\["iVBORw=="\]/)
})
