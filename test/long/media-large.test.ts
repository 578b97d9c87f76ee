import { equal, rejects, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { toUtf8 } from '../../src/json/latin1.ts'
import { changeLines, withModel } from '../../src/wire/media/batch-lines.ts'
import { heldForModelBytes, joined, openUpload } from '../../src/wire/media/upload.ts'

/* What may be large is passed on, and what must be held is held no further than its limit. */

test('a form that hides its model too long is refused, unless a header names it', async () => {
  const boundary = 'edge'
  async function* flow() {
    yield toUtf8(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n`,
    )
    for (let bytes = 0; bytes < heldForModelBytes + 100_000; bytes += 65_536)
      yield new Uint8Array(65_536)
    yield toUtf8(
      `\r\n--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\npublic\r\n--${boundary}--\r\n`,
    )
  }
  await rejects(openUpload(flow(), boundary, false), { kind: 'bad_request', param: 'model' })
  equal((await openUpload(flow(), boundary, true)).complete, false)
})

test('a picture passes, however long; a line of JSON that is too long does not', () => {
  const long = 'x'.repeat(17 * 1024 * 1024)
  const through = (said: string): Uint8Array => {
    const lines = changeLines(withModel('own'))
    return joined([...lines.push(toUtf8(said)), ...lines.end()])
  }
  equal(through(long).length, long.length)
  throws(() => through(` {${long}`), { kind: 'too_large' })
})
