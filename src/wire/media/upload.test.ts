import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import type { SentBody } from './media.ts'
import { bodyOf, encodeForm, type FormEdits, heldBytes, joined, openUpload } from './upload.ts'

const boundary = 'edge'
const field = (name: string, value: string) =>
  toUtf8(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
const file = (name: string) =>
  toUtf8(
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n`,
  )
const end = toUtf8(`--${boundary}--\r\n`)
const lineEnd = toUtf8('\r\n')

async function* flow(chunks: readonly Uint8Array[], read: { bytes: number } = { bytes: 0 }) {
  for (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += 65_536) {
      const piece = chunk.subarray(at, at + 65_536)
      read.bytes += piece.length
      yield piece
    }
}
const edits = (more: Partial<FormEdits> = {}): FormEdits => ({
  set: { model: 'upstream' },
  remove: new Set(),
  append: {},
  check: () => {},
  ...more,
})
async function bytesOf(body: SentBody): Promise<string> {
  if (body.type !== 'bytes') throw new Error('bytes were expected')
  if (body.bytes instanceof Uint8Array) return utf8(body.bytes)
  const chunks: Uint8Array[] = []
  for await (const chunk of body.bytes) chunks.push(chunk)
  return utf8(joined(chunks))
}

test('a small form is held: read, changed, and sent as often as it takes', async () => {
  const form = [
    file('file'),
    toUtf8('sound'),
    lineEnd,
    field('model', 'public'),
    field('tags', '["a"]'),
    end,
  ]
  const upload = await openUpload(flow(form), boundary, false)
  ok(upload.complete)
  deepEqual(bodyOf(upload), { model: 'public', tags: ['a'] })
  const sent = edits({ remove: new Set(['tags']), append: { language: 'de', model: 'no' } })
  const first = await bytesOf(upload.encode(sent))
  equal(first, await bytesOf(upload.encode(sent)))
  ok(first.includes('\r\n\r\nupstream\r\n') && !first.includes('public') && !first.includes('tags'))
  ok(first.includes('name="language"\r\n\r\nde\r\n') && first.includes('sound'))
  equal(utf8(upload.file('file')?.bytes as Uint8Array), 'sound')
})

describe('a large file', () => {
  const large = new Uint8Array(heldBytes + 1024 * 1024).fill(120)

  test('behind its model passes as it comes, once', async () => {
    const read = { bytes: 0 }
    const form = [field('model', 'public'), file('file'), large, lineEnd, field('prompt', 'p'), end]
    const upload = await openUpload(flow(form, read), boundary, false)
    equal(upload.complete, false)
    ok(read.bytes < heldBytes + 200_000, 'no more is read than is held')
    const text = await bytesOf(upload.encode(edits()))
    equal(text.length, joined(form).length + 'upstream'.length - 'public'.length)
    ok(text.includes('name="prompt"'))
    throws(() => upload.encode(edits()), { kind: 'internal' })
  })

  test('before its model is held until that comes', async () => {
    const form = [file('file'), large, lineEnd, field('model', 'public'), end]
    const upload = await openUpload(flow(form), boundary, false)
    deepEqual(bodyOf(upload).model, 'public')
  })

  test('a field that is checked behind it ends the request', async () => {
    const form = [field('model', 'm'), file('file'), large, lineEnd, field('api_key', 'sk'), end]
    const upload = await openUpload(flow(form), boundary, false)
    const check = (name: string) => {
      if (name === 'api_key') throw new Error('refused')
    }
    await rejects(bytesOf(upload.encode(edits({ check }))), /refused/)
  })

  test('alone, for a provider that takes no form; a field behind it comes too late', async () => {
    const form = (more: Uint8Array[]) => [
      field('model', 'm'),
      file('file'),
      large,
      lineEnd,
      ...more,
      end,
    ]
    const upload = await openUpload(flow(form([])), boundary, false)
    const bytes = upload.file('file')?.bytes
    ok(bytes && !(bytes instanceof Uint8Array))
    let size = 0
    for await (const chunk of bytes) size += chunk.length
    equal(size, large.length)
    const late = await openUpload(flow(form([field('language', 'de')])), boundary, false)
    const sound = late.file('file')?.bytes
    ok(sound && !(sound instanceof Uint8Array))
    await rejects(
      async () => {
        for await (const _ of sound) {
          // Read to its end.
        }
      },
      { kind: 'bad_request', param: 'language' },
    )
  })
})

test('a new form cannot be broken out of', async () => {
  const bytes = toUtf8('x')
  const text = await bytesOf(
    encodeForm(
      { a: 1, b: undefined, c: null, 'd"\r\n': true },
      [{ field: 'f', file: { name: 'a"\r\nb', mime: 'a/b\r\nx: y', bytes } }],
      'B',
    ),
  )
  ok(
    text.includes('name="a"\r\n\r\n1\r\n') &&
      !text.includes('name="b"') &&
      !text.includes('name="c"'),
  )
  ok(text.includes('name="d%22 "') && text.includes('filename="a%22 b"'))
  ok(!text.includes('x: y') && text.endsWith('--B--\r\n'))
})
