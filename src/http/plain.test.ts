import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readPlainHead } from './plain.ts'

const head = (first: string, ...lines: string[]): string =>
  [first, 'Host: gateway', ...lines].join('\r\n')
const get = 'GET /v1/models HTTP/1.1'
const post = 'POST /v1/chat/completions?a=b HTTP/1.1'

test('a plain head: names in lower case, values without their blanks', () => {
  const read = readPlainHead(
    head(post, 'Content-Length: 12', 'X-API-Key:  k \t', 'Connection: keep-alive', 'x-empty:'),
  )
  assert.deepEqual(read, {
    method: 'POST',
    target: '/v1/chat/completions?a=b',
    headers: [
      ...['host', 'gateway', 'content-length', '12', 'x-api-key', 'k'],
      ...['connection', 'keep-alive', 'x-empty', ''],
    ],
    length: 12,
    last: false,
  })
  assert.equal(readPlainHead(head(get, 'connection: Close'))?.last, true)
})

/** All of these are for a reader that knows all of HTTP, be it to serve them or to refuse them. */
const others: [name: string, head: string][] = [
  ['nothing', ''],
  ['no headers', get],
  ['no host', `${get}\r\nA: b`],
  ['two hosts', head(get, 'Host: gateway')],
  ['two hosts in one line', `${get}\r\nHost: a, b`],
  ['an empty host', `${get}\r\nHost:`],
  ['HTTP/1.0', head('GET / HTTP/1.0')],
  ['HTTP/2', head('GET / HTTP/2')],
  ['a target that is a whole URL', head('GET http://other/ HTTP/1.1')],
  ['a target without a slash', head('GET v1/models HTTP/1.1')],
  ['a space in the target', head('GET /a b HTTP/1.1')],
  ['a fragment in the target', head('GET /a#b HTTP/1.1')],
  ['a target that is not ASCII', head('GET /\xe9 HTTP/1.1')],
  ['two spaces', head('GET  / HTTP/1.1')],
  ['HEAD', head('HEAD / HTTP/1.1')],
  ['CONNECT', head('CONNECT other:443 HTTP/1.1')],
  ['a method in lower case', head('get / HTTP/1.1')],
  ['two lengths', head(post, 'Content-Length: 5', 'Content-Length: 5')],
  ['two lengths in one line', head(post, 'Content-Length: 5, 5')],
  ['a signed length', head(post, 'Content-Length: +5')],
  ['a length with a fraction', head(post, 'Content-Length: 5.0')],
  ['a hexadecimal length', head(post, 'Content-Length: 0x5')],
  ['an empty length', head(post, 'Content-Length:')],
  ['a length of ten digits', head(post, 'Content-Length: 1000000000')],
  ['chunks', head(post, 'Transfer-Encoding: chunked')],
  ['a length and chunks', head(post, 'Content-Length: 5', 'Transfer-Encoding: chunked')],
  ['a compressed body', head(post, 'Content-Length: 5', 'Content-Encoding: gzip')],
  ['a client that asks whether to send', head(post, 'Expect: 100-continue')],
  ['an upgrade', head(get, 'Connection: Upgrade', 'Upgrade: websocket')],
  ['an upgrade without its connection', head(get, 'Upgrade: websocket')],
  ['a header that is for the connection', head(get, 'Connection: keep-alive, x-a', 'x-a: b')],
  ['trailers', head(post, 'Trailer: x-a')],
  ['a header twice', head(get, 'X-A: 1', 'x-a: 1')],
  ['a blank before the colon', head(get, 'X-A : 1')],
  ['a line without a colon', head(get, 'X-A')],
  ['a name that is none', head(get, 'X(A): 1')],
  ['a name that is empty', head(get, ': 1')],
  ['a folded line', head(get, 'X-A: 1', ' 2')],
  ['a folded first line', `${get}\r\n Host: gateway`],
  ['a bare line feed', `${get}\nHost: gateway`],
  ['a bare line feed in a value', head(get, 'X-A: 1\nX-B: 2')],
  ['a bare carriage return', head(get, 'X-A: 1\rX-B: 2')],
  ['a NUL in a value', head(get, 'X-A: 1\0')],
  ['a DEL in a value', head(get, 'X-A: 1\x7f')],
  ['an empty line within', head(get, 'X-A: 1', '', 'X-B: 2')],
  ['the name of a prototype', head(get, '__proto__: x')],
  ['very many headers', head(get, ...Array.from({ length: 100 }, (_, i) => `x-${i}: 1`))],
]
for (const [name, text] of others)
  test(`not plain: ${name}`, () => assert.equal(readPlainHead(text), undefined))

test('law: whatever is inserted into a plain head, it is read as it stands there or not at all', () => {
  const plain = head(post, 'Content-Length: 12', 'X-Key: k')
  fc.assert(
    fc.property(
      fc.nat({ max: plain.length }),
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)) }),
      (at, more) => {
        const text = plain.slice(0, at) + more + plain.slice(at)
        const read = readPlainHead(text)
        if (!read) return
        const lines = text.split('\r\n')
        assert.equal(lines.shift(), `${read.method} ${read.target} HTTP/1.1`)
        assert.equal(lines.length * 2, read.headers.length)
        for (const [i, line] of lines.entries()) {
          const colon = line.indexOf(':')
          assert.equal(read.headers[2 * i], line.slice(0, colon).toLowerCase())
          assert.equal(
            read.headers[2 * i + 1],
            line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ''),
          )
        }
      },
    ),
    { numRuns: 500 },
  )
})
