import { deepEqual, equal, rejects } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { boundaryOf, formBounds, readForm } from './form.ts'
import { joined } from './upload.ts'

const boundary = 'b0undary'
async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size)
}

type Part = { name: string; filename?: string; mime?: string; bytes: Uint8Array }
const written = (parts: readonly Part[]): Uint8Array =>
  joined([
    ...parts.flatMap(({ name, filename, mime, bytes }) => [
      toUtf8(
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${mime === undefined ? '' : `Content-Type: ${mime}\r\n`}\r\n`,
      ),
      bytes,
      toUtf8('\r\n'),
    ]),
    toUtf8(`--${boundary}--\r\n`),
  ])

async function read(bytes: Uint8Array, size = 7, bounds = formBounds): Promise<Part[]> {
  const parts: Part[] = []
  for await (const piece of readForm(cut(bytes, size), boundary, bounds)) {
    const last = parts.at(-1)
    if (piece.type === 'field') parts.push({ name: piece.name, bytes: toUtf8(piece.value) })
    else if (piece.type === 'file') {
      const { name, filename, mime } = piece
      parts.push({ name, filename, mime, bytes: new Uint8Array(0) })
    } else if (piece.type === 'data' && last) last.bytes = joined([last.bytes, piece.bytes])
  }
  return parts
}

test('a form means the same however it is cut, whatever its files hold', async () => {
  const nasty = fc.constantFrom('\r\n', `\r\n--${boundary}`.slice(0, -1), '--', '\r', boundary, 'é')
  const bytes = fc
    .array(fc.oneof(nasty, fc.string()), { maxLength: 8 })
    .map((texts) => toUtf8(texts.join('')))
    .filter((one) => !utf8(one).includes(`\r\n--${boundary}`))
  const part = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), bytes, file: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 5 }),
      fc.integer({ min: 1, max: 40 }),
      async (all, size) => {
        const parts = all.map(
          ({ name, bytes: said, file }): Part =>
            file
              ? { name, filename: 'f.bin', mime: 'a/b', bytes: said }
              : { name, bytes: toUtf8(utf8(said)) },
        )
        deepEqual(await read(written(parts), size), parts)
      },
    ),
    { numRuns: 150 },
  )
})

describe('heads', () => {
  const rows: [disposition: string, name: string, filename: string][] = [
    ['form-data; name="a"; filename="b c.wav"', 'a', 'b c.wav'],
    ['form-data; name=a; filename=b.wav', 'a', 'b.wav'],
    ['form-data; filename="b.wav"; name="a"', 'a', 'b.wav'],
    ['form-data; name="a\\"b"; filename="x%22y"', 'a"b', 'x"y'],
    [`form-data; name="a"; filename="b"; filename*=UTF-8''n%C3%A4me.wav`, 'a', 'näme.wav'],
  ]
  for (const [disposition, name, filename] of rows)
    test(disposition, async () => {
      const form = toUtf8(
        `--${boundary}\r\ncontent-disposition: ${disposition}\r\n\r\nx\r\n--${boundary}--`,
      )
      const [part] = await read(form)
      deepEqual([part?.name, part?.filename], [name, filename])
    })
})

describe('what is no form is refused', () => {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="a"`
  const rows: [name: string, form: string, message: RegExp][] = [
    ['nothing', '', /not valid/],
    ['another boundary', '--other\r\n\r\n', /not valid/],
    ['cut in a head', head, /not valid/],
    ['cut in a value', `${head}\r\n\r\nvalue`, /not valid/],
    ['a part without a name', `--${boundary}\r\nx-y: z\r\n\r\nv\r\n--${boundary}--`, /no name/],
    ['a head without end', `${head}${'x'.repeat(40_000)}`, /not valid/],
  ]
  for (const [name, form, message] of rows)
    test(name, () => rejects(read(toUtf8(form), 1000), message))

  test('too many parts, and a field that is too large, by its name', async () => {
    const bounds = { ...formBounds, parts: 3, fieldBytes: 10 }
    const many = Array.from({ length: 4 }, () => ({ name: 'a', bytes: toUtf8('1') }))
    await rejects(read(written(many), 64, bounds), { kind: 'too_large' })
    const large = [{ name: 'prompt', bytes: toUtf8('x'.repeat(11)) }]
    await rejects(read(written(large), 64, bounds), { kind: 'too_large', param: 'prompt' })
  })
})

test('boundaries', () => {
  equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  equal(boundaryOf('Multipart/Form-Data; charset=x; boundary="a b"'), 'a b')
  equal(boundaryOf('application/json'), undefined)
  equal(boundaryOf(undefined), undefined)
})
