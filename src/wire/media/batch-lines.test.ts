import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { changeLines, readLines, withModel } from './batch-lines.ts'
import { joined } from './upload.ts'

const cut = (said: string, at: readonly number[]): Uint8Array[] => {
  const bytes = toUtf8(said)
  const places = [...new Set(at.map((one) => one % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, n) => bytes.subarray(from, places[n] ?? bytes.length))
}
const through = (
  chunks: readonly Uint8Array[],
  change: (line: string) => string | undefined,
): string => {
  const lines = changeLines(change)
  const out = chunks.flatMap((chunk) => {
    // The network's buffer is used again.
    const own = chunk.slice()
    const told = lines.push(own).map((bytes) => bytes.slice())
    own.fill(0)
    return told
  })
  return utf8(joined([...out, ...lines.end()]))
}

test('lines are the same however a file is cut, and all else stays to the byte', () => {
  const anyLine = fc.oneof(
    fc.constant('{"custom_id":"ä","body":{"model":"public","x":1}}'),
    fc.constant('{"custom_id":"b","body":{"mod\\u0065l":"public"}}'),
    fc.string({ unit: 'grapheme' }).filter((said) => !/[\r\n]/.test(said)),
  )
  fc.assert(
    fc.property(fc.array(anyLine), fc.array(fc.nat()), fc.boolean(), (lines, at, ends) => {
      const said = lines.join('\n') + (ends ? '\n' : '')
      const told = through(cut(said, at), withModel('own'))
      ok(!told.includes('public'))
      equal(told.split('\n').length, said.split('\n').length)
      equal(
        through(cut(said, at), () => undefined),
        said,
      )
    }),
  )
})

test('requests of a batch', () => {
  const line = '{"custom_id":"a","url":"/v1/x","body":{"m":1}}'
  deepEqual(readLines(`\ufeff${line}\r\n\n`), [{ customId: 'a', url: '/v1/x', body: { m: 1 } }])
  for (const [said, why] of [
    ['', /no requests/],
    ['[]', /line 1 .* no JSON object/],
    [`${line}\n{`, /line 2 .* no JSON object/],
    ['{"custom_id":"","body":{}}', /'custom_id'/],
    ['{"custom_id":"a","body":[]}', /'body'/],
    [`${line}\n${line}`, /line 2 .* repeats/],
  ] as const)
    throws(() => readLines(said), { kind: 'bad_request', message: why })
})
