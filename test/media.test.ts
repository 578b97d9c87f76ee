import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { isObject, type JsonObject, list, object } from '../src/json/json.ts'
import { type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  chatAnswer,
  fileScope,
  type Provider,
  type Scope,
  startProvider,
  whole,
} from './support/provider.ts'

const png = Buffer.from('\x89PNG\r\n\x1a\n a picture', 'latin1')

/** Pictures on loopback, where no client may fetch from unless the operator says so. */
const startPictures = (t: Scope): Promise<Provider> =>
  startProvider(t, ({ path }) =>
    path.startsWith('/page')
      ? whole('<html>inside</html>', { headers: { 'content-type': 'text/html' } })
      : path.endsWith('.pdf')
        ? whole('%PDF-1.7', { headers: { 'content-type': 'application/pdf' } })
        : path.endsWith('.txt')
          ? whole('some words', { headers: { 'content-type': 'text/plain' } })
          : whole(png, { headers: { 'content-type': 'image/png' } }),
  )

const llava: JsonObject = {
  model: 'llava',
  created_at: '2026-11-21T00:00:00Z',
  message: { role: 'assistant', content: 'a picture' },
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 3,
  eval_count: 2,
}

type World = { gateway: Gateway; pictures: Provider; ollama: Provider; openai: Provider }

async function world(t: Scope, litellm: JsonObject, router: JsonObject = {}): Promise<World> {
  const pictures = await startPictures(t)
  const ollama = await startProvider(t, () => whole(llava))
  const openai = await startProvider(t, () => whole(chatAnswer({ content: 'a file' })))
  const gateway = await startGateway(t, {
    models: [
      {
        model_name: 'eyes',
        litellm_params: { model: 'ollama_chat/llava', api_base: ollama.origin },
      },
      openaiRow('gpt', openai),
    ],
    litellm,
    router,
  })
  return { gateway, pictures, ollama, openai }
}

const see = (...urls: string[]): JsonObject => ({
  model: 'eyes',
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is it?' },
        ...urls.map((url) => ({ type: 'image_url', image_url: { url } })),
      ],
    },
  ],
})

const scope = fileScope()
const open = await world(scope, { user_url_allowed_hosts: ['127.0.0.1'] })
const closed = await world(scope, {}, { disable_cooldowns: false, allowed_fails: 0 })

const errorOf = async (response: Response): Promise<JsonObject> => {
  const body: unknown = await response.json()
  return object(isObject(body) ? body['error'] : undefined)
}

test('a provider of bytes gets a picture that the client named by its address', async () => {
  const { gateway, pictures, ollama } = open
  const url = `${pictures.origin}/cat.png?a=1`
  const response = await gateway.post('/v1/chat/completions', see(url))
  equal(response.status, 200)
  const [message] = list(ollama.last().json['messages'])
  deepEqual(object(message)['images'], [png.toString('base64')])
  equal(ollama.asked.length, 1)
  const { method, headers } = pictures.last()
  equal(method, 'GET')
  equal(headers.authorization, undefined)

  const before = pictures.asked.length
  equal((await gateway.post('/v1/chat/completions', see(url, url))).status, 200)
  deepEqual(object(list(ollama.last().json['messages'])[0])['images'], [
    png.toString('base64'),
    png.toString('base64'),
  ])
  equal(pictures.asked.length, before, 'the next turn does not fetch it again')
})

test('in a stream, and within the result of a tool of another dialect', async () => {
  const { gateway, pictures, ollama } = open
  ollama.tell(() =>
    whole(`${JSON.stringify(llava)}\n`, { headers: { 'content-type': 'application/x-ndjson' } }),
  )
  const response = await gateway.post('/v1/messages', {
    model: 'eyes',
    max_tokens: 10,
    stream: true,
    messages: [
      { role: 'user', content: 'Look' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'see', input: {} }] },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result',
            tool_use_id: 'c',
            content: [
              { type: 'image', source: { type: 'url', url: `${pictures.origin}/dog.png` } },
            ],
          },
        ],
      },
    ],
  })
  equal(response.status, 200)
  match(await response.text(), /a picture/)
  const messages = list(ollama.last().json['messages']).map(object)
  const result = messages.find(({ role }) => role === 'tool')
  deepEqual(result?.['images'], [png.toString('base64')])
  ollama.tell(() => whole(llava))
})

test('a file of text becomes words, and a document bytes, where the provider knows files by no address', async () => {
  const { gateway, pictures, ollama, openai } = open
  const file = {
    type: 'file',
    file: { file_id: `${pictures.origin}/notes.txt`, filename: 'notes' },
  }
  const words = { ...see(), messages: [{ role: 'user', content: [file] }] }
  equal((await gateway.post('/v1/chat/completions', words)).status, 200)
  equal(object(list(ollama.last().json['messages'])[0])['content'], 'notes:\nsome words')

  const source = { type: 'url', url: `${pictures.origin}/a.pdf` }
  const document = { role: 'user', content: [{ type: 'document', source }] }
  const asked = { model: 'gpt', max_tokens: 9, messages: [document] }
  equal((await gateway.post('/v1/messages', asked)).status, 200)
  const [part] = list(object(list(openai.last().json['messages'])[0])['content'])
  deepEqual(object(part)['file'], {
    file_data: `data:application/pdf;base64,${btoa('%PDF-1.7')}`,
  })
})

test('the same dialect on both sides: an address passes, and nobody fetches it', async () => {
  const { gateway, pictures, openai } = closed
  const file = { type: 'file', file: { file_id: `${pictures.origin}/a.pdf` } }
  const image = { type: 'image_url', image_url: { url: `${pictures.origin}/cat.png` } }
  const asked = { model: 'gpt', messages: [{ role: 'user', content: [image, file] }] }
  equal((await gateway.post('/v1/chat/completions', asked)).status, 200)
  equal(pictures.asked.length, 0)
  deepEqual(openai.last().json['messages'], asked.messages)
})

const inside = (origin: string): [url: string, reason: RegExp][] => [
  [`${origin}/cat.png`, /only https addresses are fetched/],
  [`${origin.replace('http:', 'https:').replace(/:\d+$/, '')}/cat.png`, /no public address/],
  ['https://2130706433/cat.png', /no public address/],
  ['https://169.254.169.254/latest/meta-data/iam?token=hidden', /no public address/],
  ['https://[::ffff:169.254.169.254]/', /no public address/],
  ['https://localhost/', /no public address/],
  ['https://user:hidden@8.8.8.8/', /login/],
  ['https://8.8.8.8:22/', /port/],
]
test('an address inside the network: 400 that names the field, nothing is sent, and no deployment is blamed', async () => {
  const { gateway, pictures, ollama } = closed
  for (const [url, reason] of inside(pictures.origin)) {
    const response = await gateway.post('/v1/chat/completions', see(url))
    equal(response.status, 400, url)
    const { message, param, type } = await errorOf(response)
    equal(param, 'messages[0].content[1]')
    equal(type, 'invalid_request_error')
    match(String(message), /^messages\[0\]\.content\[1\]: the image at /)
    match(String(message), reason)
    ok(!/hidden|Exception/.test(String(message)), String(message))
  }
  equal(ollama.asked.length, 0)
  equal(pictures.asked.length, 0)
  const data = `data:image/png;base64,${png.toString('base64')}`
  equal((await gateway.post('/v1/chat/completions', see(data))).status, 200)
  equal(ollama.asked.length, 1)
})

test('what is no picture is not sent as one', async () => {
  const { gateway, pictures, ollama } = open
  const before = ollama.asked.length
  const response = await gateway.post('/v1/chat/completions', see(`${pictures.origin}/page`))
  equal(response.status, 400)
  const { message } = await errorOf(response)
  match(String(message), /its server says it is text\/html, and an image was expected/)
  equal(ollama.asked.length, before)
})

test('user_url_validation: false lets clients name what they like', async (t) => {
  const { gateway, pictures, ollama } = await world(t, { user_url_validation: false })
  const { port } = new URL(pictures.origin)
  const response = await gateway.post(
    '/v1/chat/completions',
    see(`http://localhost:${port}/cat.png`),
  )
  equal(response.status, 200)
  equal(ollama.asked.length, 1)
})
