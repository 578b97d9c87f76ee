import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChatRequest, MediaPart, Part } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Target } from '../wire/wire.ts'
import { type WireId, wires } from '../wire/wires.ts'
import { errandsOf, type FetchMedia, refuseMalformed, runErrands, withMedia } from './media.ts'

const media = (url: string, kind: MediaPart['media'] = 'image', mime?: string): MediaPart => ({
  type: 'media',
  media: kind,
  source: { type: 'url', url, ...(mime !== undefined && { mime }) },
})
const say = (...parts: Part[]): ChatRequest => ({
  model: 'm',
  messages: [{ role: 'user', parts }],
  tools: [],
  stream: false,
  extras: {},
  dialect: 'openai-chat',
})
const target = (provider: string, model = 'm'): Target => ({
  provider,
  model,
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
})

const https = 'https://example.com/a'
const http = 'http://example.com/a.png'
const cases: [wire: WireId, provider: string, model: string, part: MediaPart, fetched: boolean][] =
  [
    ['openai-chat', 'openai', 'gpt-5', media(https), false],
    ['openai-chat', 'openai', 'gpt-5', media(https, 'file'), true],
    ['openai-chat', 'azure', 'gpt-5', media(https, 'file', 'application/pdf'), true],
    ['openai-chat', 'openrouter', 'x', media(https, 'file'), false],
    ['openai-chat', 'groq', 'x', media(https, 'audio'), true],
    ['openai-chat', 'groq', 'x', media(https, 'video'), false],
    ['anthropic', 'anthropic', 'claude', media(https), false],
    ['anthropic', 'anthropic', 'claude', media('HTTPS://example.com/a'), false],
    ['anthropic', 'anthropic', 'claude', media(http), true],
    ['anthropic', 'anthropic', 'claude', media(https, 'file', 'application/pdf'), false],
    ['anthropic', 'anthropic', 'claude', media(https, 'file', 'text/plain'), true],
    ['anthropic', 'anthropic', 'claude', media(http, 'audio'), false],
    ['bedrock-converse', 'bedrock', 'amazon.nova-pro-v1:0', media(https), true],
    ['bedrock-converse', 'bedrock', 'amazon.nova-pro-v1:0', media(https, 'video'), true],
    ['bedrock-converse', 'bedrock', 'amazon.nova-pro-v1:0', media('s3://bucket/a.png'), false],
    ['bedrock-invoke', 'bedrock', 'anthropic.claude', media(https), true],
    ['bedrock-invoke', 'bedrock', 'anthropic.claude', media(https, 'file'), true],
    ['bedrock-invoke', 'bedrock', 'anthropic.claude', media(https, 'audio'), false],
    ['cohere', 'cohere', 'command', media(https), false],
    ['cohere', 'cohere', 'command', media(https, 'file'), true],
    ['cohere', 'cohere', 'command', media(https, 'file', 'text/csv'), true],
    ['cohere', 'cohere', 'command', media(https, 'file', 'application/pdf'), false],
    ['replicate', 'replicate', 'meta/llama', media(https), false],
    ['replicate', 'replicate', 'meta/llama', media(https, 'file', 'text/plain'), true],
    ['ollama', 'ollama', 'llava', media(https), true],
    ['ollama', 'ollama', 'llava', media(http), true],
    ['ollama', 'ollama', 'llava', media(https, 'file'), true],
    ['ollama', 'ollama', 'llava', media(https, 'audio'), false],
    ['ollama', 'ollama', 'llava', media('ftp://example.com/a'), false],
    ['gemini', 'gemini', 'gemini-2.5-flash', media(https), true],
    ['gemini', 'gemini', 'gemini-2.5-flash', media(`${https}.png`), false],
    ['gemini', 'gemini', 'gemini-3-pro', media(https, 'file', 'application/pdf'), false],
    ['gemini', 'gemini', 'gemini-2.0-flash', media(`${https}.png`), true],
    ['gemini', 'gemini', 'gemini-1.5-pro', media(`${https}.png`), true],
    ['gemini', 'gemini', 'gemini-2.5-flash', media(http), true],
    [
      'gemini',
      'gemini',
      'gemini-2.0-flash',
      media('https://www.youtube.com/watch?v=1', 'video'),
      false,
    ],
    ['gemini', 'gemini', 'gemini-2.0-flash', media('https://youtu.be/1', 'video'), false],
    ['gemini', 'gemini', 'gemini-2.5-flash', media('https://youtu.be.example/1'), true],
    [
      'gemini',
      'gemini',
      'gemini-2.0-flash',
      media('https://generativelanguage.googleapis.com/v1beta/files/a', 'file'),
      false,
    ],
    ['gemini', 'gemini', 'gemini-2.0-flash', media('gs://bucket/a.png'), false],
    ['gemini', 'vertex_ai', 'gemini-2.0-flash', media(http), false],
    ['gemini', 'vertex_ai', 'gemini-2.0-flash', media(https), true],
  ]
for (const [wire, provider, model, part, fetched] of cases) {
  const { url, mime } = part.source.type === 'url' ? part.source : { url: '', mime: '' }
  test(`${provider} ${model}: ${part.media} ${mime ?? ''} ${url} is ${fetched ? 'fetched' : 'left'}`, () =>
    equal(errandsOf(say(part), wires[wire], target(provider, model)).length, fetched ? 1 : 0))
}

const bytesOnly = { takesUrl: () => false }
const answer: FetchMedia = async (url) => ({ base64: btoa(url), mime: 'image/png' })
const signal = new AbortController().signal
const text: Part = { type: 'text', text: 'look' }

test('each address is fetched once and put in every place, tool results included, and the request stays as it was', async () => {
  const one = media('https://a.example/1')
  const request: ChatRequest = {
    ...say(text, one, media('https://a.example/2')),
    messages: [
      { role: 'system', parts: [text] },
      {
        role: 'user',
        parts: [text, one, { ...media('https://a.example/2'), name: 'two', detail: 'low' }],
      },
      { role: 'assistant', parts: [{ type: 'tool-call', id: 'c', name: 'see', input: '{}' }] },
      {
        role: 'tool',
        parts: [{ type: 'tool-result', id: 'c', parts: [text, one], failed: false }],
      },
    ],
  }
  const before = structuredClone(request)
  const asked: string[] = []
  const errands = errandsOf(request, bytesOnly, target('x'))
  deepEqual(
    errands.map(({ field, url }) => [field, url]),
    [
      ['messages[1].content[1]', 'https://a.example/1'],
      ['messages[1].content[2]', 'https://a.example/2'],
    ],
  )
  const fetched = await runErrands(
    errands,
    (url, wanted) => {
      asked.push(url)
      return answer(url, wanted)
    },
    { signal },
  )
  const { messages } = withMedia(request, fetched)
  deepEqual(request, before)
  deepEqual(asked, ['https://a.example/1', 'https://a.example/2'])
  const bytes = (url: string) => ({ type: 'bytes', base64: btoa(url), mime: 'image/png' })
  deepEqual(messages[1]?.parts, [
    text,
    { ...one, source: bytes('https://a.example/1') },
    { ...media(''), source: bytes('https://a.example/2'), name: 'two', detail: 'low' },
  ])
  const result = messages[3]?.parts[0]
  deepEqual(result?.type === 'tool-result' && result.parts[1], {
    ...one,
    source: bytes('https://a.example/1'),
  })
  equal(messages[0], request.messages[0], 'what holds no address is not copied')
  equal(withMedia(request, new Map()), request)
})

const fields: [
  dialect: string,
  role: 'user' | 'assistant' | 'tool',
  inResult: boolean,
  field: string,
][] = [
  ['openai-chat', 'user', false, 'messages[0].content[1]'],
  ['openai-chat', 'assistant', false, 'messages[0]'],
  ['openai-chat', 'tool', true, 'messages[0].content[1]'],
  ['anthropic', 'user', false, 'messages'],
  ['anthropic', 'user', true, 'messages'],
  ['gemini', 'user', false, 'contents'],
]
for (const [dialect, role, inResult, field] of fields)
  test(`${dialect}: an address of ${inResult ? 'a result' : `the ${role}`} is at ${field}`, () => {
    const parts: Part[] = [text, media(https)]
    const said: Part[] = inResult ? [{ type: 'tool-result', id: 'c', parts, failed: false }] : parts
    const request = { ...say(), messages: [{ role, parts: said }], dialect }
    equal(errandsOf(request, bytesOnly, target('x'))[0]?.field, field)
  })

const failing =
  (cause: unknown): FetchMedia =>
  () =>
    Promise.reject(cause)
const refusals: [name: string, url: string, fetch: FetchMedia, message: RegExp][] = [
  [
    'the reason and the field are told',
    'https://a.example/x.png?signature=secret',
    failing(new GatewayError('bad_request', 'it is empty')),
    /^messages\[0\]\.content\[1\]: the image at https:\/\/a\.example\/x\.png was not fetched: it is empty\. .*data:image\/png;base64/,
  ],
  [
    'a login is not told',
    'https://user:secret@a.example/x.png',
    failing(new GatewayError('bad_request', 'no')),
    /at https:\/\/a\.example\/x\.png was/,
  ],
  [
    'an unknown failure is told in general words',
    https,
    failing(new Error('secret')),
    /it could not be read/,
  ],
  [
    'another fault is told in general words',
    https,
    failing(new GatewayError('provider', 'secret')),
    /it could not be read/,
  ],
  [
    'what is no URL is not told',
    'https://[secret',
    failing(new Error()),
    /an address that is not a URL/,
  ],
  [
    'the whole request has its limit',
    https,
    async (_, { take }) => {
      for (let mib = 0; mib < 60; mib++) take(1024 * 1024)
      return { base64: '', mime: 'image/png' }
    },
    /more than 50 MiB together/,
  ],
]
for (const [name, url, fetch, message] of refusals)
  test(`refused: ${name}`, async () => {
    const errands = errandsOf(say(text, media(url)), bytesOnly, target('x'))
    await rejects(runErrands(errands, fetch, { signal }), (error) => {
      ok(GatewayError.is(error))
      equal(error.kind, 'bad_request')
      equal(error.param, 'messages[0].content[1]')
      match(error.message, message)
      ok(!error.message.includes('secret'), error.message)
      return true
    })
  })

const many = (count: number) =>
  errandsOf(
    say(...Array.from({ length: count }, (_, at) => media(`https://a.example/${at}`))),
    bytesOnly,
    target('x'),
  )

test('twenty addresses are fetched, four at a time, and one more is refused before any is', async () => {
  let running = 0
  let most = 0
  let asked = 0
  const fetch: FetchMedia = async (url, wanted) => {
    asked++
    most = Math.max(most, ++running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    return answer(url, wanted)
  }
  equal((await runErrands(many(20), fetch, { signal })).size, 20)
  deepEqual([asked, most], [20, 4])
  await rejects(runErrands(many(21), fetch, { signal }), /content\[20\].*at most 20 addresses/)
  equal(asked, 20)
})

test('the first that fails ends the others, and no more are begun', async () => {
  const ended: string[] = []
  let asked = 0
  const fetch: FetchMedia = (url, wanted) => {
    asked++
    if (url.endsWith('/2')) return Promise.reject(new GatewayError('bad_request', 'gone'))
    return new Promise((_, reject) =>
      wanted.signal.addEventListener('abort', () => {
        ended.push(url)
        reject(wanted.signal.reason)
      }),
    )
  }
  await rejects(
    runErrands(many(9), fetch, { signal }),
    /https:\/\/a\.example\/2 was not fetched: gone/,
  )
  equal(asked, 4)
  equal(ended.length, 3)
})

const never: FetchMedia = (_, wanted) =>
  new Promise((_, reject) =>
    wanted.signal.addEventListener('abort', () => reject(wanted.signal.reason)),
  )

test('a client that goes away: the fetch ends as canceled', async () => {
  const client = new AbortController()
  const running = runErrands(many(2), never, { signal: client.signal })
  client.abort()
  await rejects(running, (error) => GatewayError.is(error) && error.kind === 'canceled')
})

test('the time of the request bounds all fetches together', async () => {
  const waiting = setTimeout(() => {}, 1000)
  await rejects(runErrands(many(2), never, { signal, timeoutMs: 5 }), (error) => {
    ok(GatewayError.is(error))
    equal(error.kind, 'bad_request')
    match(error.message, /it took too long/)
    return true
  })
  clearTimeout(waiting)
})

test('bytes that are none are refused, with the field they stand in', () => {
  const read = (base64: string, dialect: WireId = 'openai-chat'): void =>
    refuseMalformed(
      say({ type: 'media', media: 'image', source: { type: 'bytes', base64, mime: 'image/png' } }),
      dialect,
    )
  const rows: [said: string, isFine: boolean][] = [
    ['', true],
    ['QUJD', true],
    ['QUI=', true],
    ['QUI', true],
    ['QQ==\n', true],
    ['-_8=', true],
    ['QUJD\r\nQUJD', true],
    ['Q', false],
    ['!!!', false],
    ['QU=JD', false],
    ['QUJDé', false],
    ['https://a.com/b.png', false],
  ]
  for (const [said, isFine] of rows)
    if (isFine) read(said)
    else
      throws(() => read(said), {
        kind: 'bad_request',
        param: 'messages[0].content[0]',
        message: /^messages\[0\]\.content\[0\]: the data of the image is not base64/,
      })
  throws(() => read('!', 'gemini'), { param: 'contents' })
  throws(() => read('!', 'openai-responses'), { param: 'input' })
  fc.assert(fc.property(fc.uint8Array(), (bytes) => read(Buffer.from(bytes).toString('base64'))))
})
