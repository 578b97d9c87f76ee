import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readPlainHead } from './plain.ts'
import { SameHead } from './same-head.node.ts'

const post = (length: string, more = 'X-Key: k'): string =>
  `POST /a HTTP/1.1\r\nHost: gateway\r\nContent-Length:  ${length} \r\n${more}\r\n\r\n`
const get = 'GET /a HTTP/1.1\r\nHost: gateway\r\nX-Key: content-length\r\n\r\n'

function sameAs(head: string): SameHead {
  const plain = readPlainHead(head.slice(0, -4))
  assert.ok(plain)
  return new SameHead(Buffer.from(`${head}and more`, 'latin1'), head.length, plain)
}

const cases: [name: string, first: string, second: string, body: string, isSame: boolean][] = [
  ['the same', post('12'), post('12'), 'hello', true],
  ['without a body', get, get, '', true],
  ['another length', post('12'), post('7'), 'hello', true],
  ['a longer length', post('7'), post('123456789'), '', true],
  ['another way to write it', post('7'), post('007'), '', true],
  ['a length of ten digits', post('7'), post('1234567890'), '', false],
  ['no digits', post('7'), post(''), '', false],
  ['two lengths', post('7'), post('7, 7'), '', false],
  ['another header', post('7'), post('7', 'X-Key: l'), '', false],
  ['one header more', post('7'), post('7', 'X-Key: k\r\nA: b'), '', false],
  ['another case', post('7'), post('7').toUpperCase(), '', false],
  ['not all of it', post('7'), post('7').slice(0, -1), '', false],
  ['hardly any of it', post('7'), 'P', '', false],
  ['another method', get, get.replace('GET', 'PUT'), '', false],
]
for (const [name, first, second, body, isSame] of cases)
  test(`${name}: ${isSame ? 'read' : 'left to others'}`, () => {
    const same = sameAs(first)
    const read = same.read(Buffer.from(second + body, 'latin1'))
    assert.deepEqual(read, isSame ? readPlainHead(second.slice(0, -4)) : undefined)
    if (isSame) assert.equal(same.bodyAt, second.length)
  })

test('law: whatever comes is read as its own head says, or not at all', () => {
  const character = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
  fc.assert(
    fc.property(
      fc.constantFrom(post('12'), get),
      fc.nat({ max: 100 }),
      fc.nat({ max: 4 }),
      fc.oneof(fc.string({ unit: character, maxLength: 6 }), fc.stringMatching(/^\d{0,11}$/)),
      (head, at, cut, more) => {
        const came = head.slice(0, at) + more + head.slice(at + cut)
        const same = sameAs(head)
        const read = same.read(Buffer.from(came, 'latin1'))
        if (!read) return
        const end = came.indexOf('\r\n\r\n')
        assert.equal(same.bodyAt, end + 4)
        assert.deepEqual(read, readPlainHead(came.slice(0, end)))
      },
    ),
    { numRuns: 2000 },
  )
})
