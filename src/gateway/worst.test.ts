import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { anthropic } from '../wire/anthropic/wire.ts'
import { listen } from '../wire/inbound.ts'
import { openaiChat } from '../wire/openai-chat/wire.ts'
import type { Wire } from '../wire/wire.ts'
import type { Rooms } from './rooms.ts'
import { worstOfChat } from './worst.ts'

// Of the rooms only the groups are asked here.
const rooms = { router: { groups: { find: () => [] } } } as unknown as Rooms

const of = (body: JsonObject, wire: Wire = openaiChat) => {
  const bytes = new TextEncoder().encode(JSON.stringify({ model: 'm', ...body }))
  const worst = worstOfChat(listen(bytes, wire), 'm', rooms)
  return { beside: worst.input() - bytes.length, output: worst.output(), kinds: worst.kinds?.() }
}
const says = (...content: JsonObject[]): JsonObject => ({
  messages: [{ role: 'user', content }],
  max_tokens: 10,
})

test('text alone is no more than its bytes, whatever it talks of', () => {
  for (const words of [
    'hello',
    'a file, a document, an input and a video',
    'http and data',
    '/pd f',
  ]) {
    const { beside, output, kinds } = of(says({ type: 'text', text: words }))
    assert.equal(beside, 0, words)
    assert.equal(output, 10)
    assert.deepEqual(kinds, {
      audio: false,
      images: false,
      longCache: false,
      searches: 0,
      raw: undefined,
    })
  }
})

const pictures: [name: string, part: JsonObject][] = [
  ['an address', { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }],
  ['an address without TLS', { type: 'image_url', image_url: { url: 'http://example.com/a.png' } }],
  ['in the body', { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
  [
    "Anthropic's",
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA' } },
  ],
  ["Google's", { inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
  ["Google's other spelling", { inline_data: { mime_type: 'image/png', data: 'AAAA' } }],
]
for (const [name, part] of pictures)
  test(`a picture counts as one: ${name}`, () => {
    const { beside, output, kinds } = of(says(part))
    assert.equal(beside, 5000)
    assert.equal(output, 10)
    assert.equal(kinds?.images, true)
  })

const unseen: [name: string, part: JsonObject][] = [
  ['a file', { type: 'file', file: { file_id: 'f' } }],
  ['a file by its id alone', { type: 'odd', file_id: 'f' }],
  ["Google's file", { fileData: { fileUri: 'gs://a' } }],
  ['a document', { type: 'document', source: { type: 'text', data: 'a' } }],
  ["Responses' file", { type: 'input_file', file_id: 'f' }],
  ["Responses' video", { type: 'input_video', video: 'a' }],
  ['a video', { type: 'video_url', video_url: { url: 'gs://a' } }],
  ['an upload', { type: 'container_upload' }],
  ['a PDF', { type: 'odd', media_type: 'application/pdf', data: 'a' }],
  ['a PDF in capitals', { type: 'odd', MIME_TYPE: 'application/pdf', data: 'a' }],
  ['a film', { type: 'odd', mimeType: 'video/mp4', data: 'a' }],
]
for (const [name, part] of unseen)
  test(`what the gateway cannot see has no bound: ${name}`, () => {
    const { beside, output, kinds } = of(says(part))
    assert.ok(beside >= 16_384, String(beside))
    assert.equal(output, undefined)
    assert.ok((kinds?.searches ?? 0) > 0)
  })

const outputs: [name: string, body: JsonObject, wire: Wire, output: number | undefined][] = [
  ['nothing said', {}, openaiChat, undefined],
  ['the larger of two', { max_tokens: 5, max_completion_tokens: 9.5 }, openaiChat, 10],
  ['one of them null', { max_tokens: 5, max_completion_tokens: null }, openaiChat, 5],
  ['one of them no bound', { max_tokens: 5, max_completion_tokens: 0 }, openaiChat, undefined],
  ['a word of another dialect', { max_completion_tokens: 5 }, anthropic, undefined],
  ['several choices', { max_tokens: 5, n: 3 }, openaiChat, 15],
]
for (const [name, body, wire, output] of outputs)
  test(`the most it may write: ${name}`, () =>
    assert.equal(of({ messages: [], ...body }, wire).output, output))
