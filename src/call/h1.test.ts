import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, latin1 } from '../json/latin1.ts'
import { type AnswerReader, createAnswerReader, HttpFault } from './h1.ts'

/** All that a listener hears of one answer; `said` has it in its order, so that nothing comes twice or too late. */
type Heard = {
  said: string
  status: number | undefined
  headers: string
  body: string
  keep: number | undefined | false
  fault: string | undefined
}

type Way = { closes?: boolean; headMax?: number }

/** `behind`: what else the memory holds that the pieces are read from. */
function hear(pieces: Iterable<Uint8Array>, { closes, headMax }: Way = {}, behind = ''): Heard {
  const heard: Heard = {
    said: '',
    status: undefined,
    headers: '',
    body: '',
    keep: undefined,
    fault: undefined,
  }
  const tell = (what: string) => {
    if (!(what === 'data' && heard.said.endsWith(what))) heard.said += ` ${what}`
  }
  const reader: AnswerReader = createAnswerReader(
    {
      head(status, headers) {
        tell('head')
        heard.status = status
        for (let i = 0; i < headers.length; i += 2)
          heard.headers += `${headers[i]}: ${headers[i + 1]}\n`
      },
      data(bytes, from, to) {
        assert.ok(to > from && to <= bytes.length)
        tell('data')
        heard.body += latin1(bytes, from, to)
      },
      end(keep) {
        tell('end')
        heard.keep = keep
      },
    },
    headMax,
  )
  reader.expect()
  try {
    for (const piece of pieces)
      if (behind === '') reader.push(piece)
      else reader.push(bytesOf(latin1(piece) + behind), piece.length)
    if (closes) reader.close()
  } catch (error) {
    assert.ok(error instanceof HttpFault, `not an HttpFault: ${error}`)
    heard.fault = error.code
  }
  return heard
}

const ok = 'HTTP/1.1 200 OK\r\n'
const chunked = `${ok}transfer-encoding: chunked\r\n\r\n`

type Expected = { status?: number; headers?: string; body?: string; keep?: number | false }
type Row = [name: string, bytes: string, expected: Expected]

const answers: Row[] = [
  [
    'a length',
    `${ok}Content-Length: 5\r\n\r\nhello`,
    { headers: 'content-length: 5\n', body: 'hello' },
  ],
  ['a length of nothing', `${ok}content-length: 0\r\n\r\n`, {}],
  ['chunks', `${chunked}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`, { body: 'hello world' }],
  ['no chunks', `${chunked}0\r\n\r\n`, {}],
  [
    'sizes in both cases, with zeros',
    `${chunked}0A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n`,
    { body: '01234567890123456789a' },
  ],
  ['line ends inside of chunks', `${chunked}4\r\n\r\n\r\n\r\n0\r\n\r\n`, { body: '\r\n\r\n' }],
  ['extensions', `${chunked}3;a=b;c="d;e"\r\nabc\r\n0;last\r\n\r\n`, { body: 'abc' }],
  [
    'trailers',
    `${chunked}3\r\nabc\r\n0\r\nx-checksum: 1\r\nset-cookie: a=b\r\n\r\n`,
    { headers: 'transfer-encoding: chunked\n', body: 'abc' },
  ],
  [
    'chunked, written otherwise',
    `${ok}Transfer-Encoding:\t Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n`,
    { body: 'a' },
  ],
  [
    '204 has no body, whatever it says',
    'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n',
    { status: 204 },
  ],
  [
    '204 in chunks',
    'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n',
    { status: 204 },
  ],
  [
    '304 tells the length of another',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 999\r\n\r\n',
    { status: 304 },
  ],
  [
    'informational answers before',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${ok}content-length: 1\r\n\r\nx`,
    { headers: 'content-length: 1\n', body: 'x' },
  ],
  [
    'HTTP/1.0 ends its connection',
    'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx',
    { body: 'x', keep: false },
  ],
  [
    'HTTP/1.0 that keeps it',
    'HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nx',
    { body: 'x' },
  ],
  [
    'HTTP/1.0 in chunks is read, and not trusted with another',
    'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    { body: 'x', keep: false },
  ],
  ['it closes', `${ok}Connection: Close\r\ncontent-length: 0\r\n\r\n`, { keep: false }],
  [
    'it closes, says a list',
    `${ok}connection: x-a ,close\r\ncontent-length: 0\r\n\r\n`,
    { keep: false },
  ],
  [
    'it closes, says the second',
    `${ok}connection: keep-alive\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    { keep: false },
  ],
  ['a word that only begins so', `${ok}connection: closed\r\ncontent-length: 0\r\n\r\n`, {}],
  [
    'for how long it is kept',
    `${ok}keep-alive: max=100, Timeout=5\r\ncontent-length: 0\r\n\r\n`,
    { keep: 5000 },
  ],
  ['kept for no time', `${ok}keep-alive: timeout=0\r\ncontent-length: 0\r\n\r\n`, { keep: 0 }],
  [
    'kept for a time that is none',
    `${ok}keep-alive: timeout=, xtimeout=3\r\ncontent-length: 0\r\n\r\n`,
    {},
  ],
  [
    'a header several times',
    `${ok}X-A: 1\r\nx-b: 2\r\nx-a: 3\r\nX-A:\r\ncontent-length: 0\r\n\r\n`,
    { headers: 'x-a: 1, 3, \nx-b: 2\ncontent-length: 0\n' },
  ],
  [
    'blanks around a value, and inside',
    `${ok}a:  \t b \tc \t \r\nb:\r\nc: \r\ncontent-length: 0\r\n\r\n`,
    { headers: 'a: b \tc\nb: \nc: \ncontent-length: 0\n' },
  ],
  [
    'colons in a value',
    `${ok}a: b:c\r\nd::\r\ncontent-length: 0\r\n\r\n`,
    { headers: 'a: b:c\nd: :\ncontent-length: 0\n' },
  ],
  [
    'bytes that are not ASCII',
    'HTTP/1.1 200 \xe9\r\nx-a: \x80\xff\r\ncontent-length: 2\r\n\r\n\x00\xff',
    { headers: 'x-a: \x80\xff\ncontent-length: 2\n', body: '\x00\xff' },
  ],
  [
    'every sign a name may have',
    `${ok}!#$%&'*+-.^_\`|~09AZaz: 1\r\ncontent-length: 0\r\n\r\n`,
    { headers: "!#$%&'*+-.^_`|~09azaz: 1\ncontent-length: 0\n" },
  ],
  [
    'a name that every object has',
    `${ok}__proto__: 1\r\nconstructor: 2\r\ncontent-length: 0\r\n\r\n`,
    { headers: '__proto__: 1\nconstructor: 2\ncontent-length: 0\n' },
  ],
  [
    'a name of 65 letters',
    `${ok}${'A'.repeat(65)}: 1\r\ncontent-length: 0\r\n\r\n`,
    { headers: `${'a'.repeat(65)}: 1\ncontent-length: 0\n` },
  ],
  ['a status without words', 'HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n', { status: 404 }],
  ['a status without even the blank', 'HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n', { status: 404 }],
  ['a status of no class', 'HTTP/1.1 999 Denied\r\ncontent-length: 0\r\n\r\n', { status: 999 }],
]
/** Complete when the connection ends. */
const endings: Row[] = [
  ['without a length', `${ok}\r\nall of it`, { headers: '', body: 'all of it', keep: false }],
  ['without a body', `${ok}x-a: 1\r\n\r\n`, { headers: 'x-a: 1\n', keep: false }],
  [
    'HTTP/1.0',
    'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n0\r\n\r\n',
    { body: '0\r\n\r\n', keep: false },
  ],
]
/** Read here; Node's client refuses the second half of them. */
const lenient: Row[] = [
  [
    'blanks after sizes',
    `${chunked}3  \t\r\nabc\r\n3 ; a=b\r\ndef\r\n0 \r\n\r\n`,
    { body: 'abcdef' },
  ],
]

const checked = (heard: Heard, { status = 200, headers, body = '', keep }: Expected) => {
  const said = body === '' ? ' head end' : ' head data end'
  const fault = undefined
  assert.deepEqual(heard, { said, status, headers: headers ?? heard.headers, body, keep, fault })
}

describe('answers mean what they say', () => {
  for (const [name, bytes, expected] of [...answers, ...lenient])
    test(name, () => checked(hear([bytesOf(bytes)]), expected))
  for (const [name, bytes, expected] of endings)
    test(`until the end: ${name}`, () => {
      checked(hear([bytesOf(bytes)], { closes: true }), expected)
      assert.equal(hear([bytesOf(bytes)]).said.includes('end'), false)
    })
  test('one after the other', () => {
    const heard: number[] = []
    const reader = createAnswerReader({ head: (status) => heard.push(status), data() {}, end() {} })
    for (const [, bytes] of answers) {
      reader.expect()
      reader.push(bytesOf(bytes))
      // The connection may end between two of them.
      reader.close()
    }
    assert.equal(heard.length, answers.length)
  })
})

const refused: [name: string, bytes: string, code?: string][] = [
  ['another protocol', 'SSH-2.0-OpenSSH\r\n'],
  ['another version', 'HTTP/2 200 OK\r\n\r\n'],
  ['a version that never was', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['HTTP/0.9', '<html>'],
  ['small letters', 'http/1.1 200 OK\r\n\r\n'],
  ['an empty line first', `\r\n${ok}\r\n`],
  ['a request', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['two blanks', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['another protocol than asked', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
  ['line ends of one character', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n\r\n\r\n'],
  ['one of them', `${ok}a: b\nc: d\r\n\r\n`],
  ['the other half', `${ok}a: b\rc: d\r\n\r\n`],
  ['the other half at the end', `${ok}a: b\r\r\n\r\n`],
  ['the other half in the status line', 'HTTP/1.1 200 O\rK\r\n\r\n'],
  ['a folded header', `${ok}a: b\r\n c: d\r\n\r\n`],
  ['a folded header without a colon', `${ok}a: b\r\n\tc\r\n\r\n`],
  ['a blank before the first header', `HTTP/1.1 200 OK\r\n a: b\r\n\r\n`],
  ['a blank before the colon', `${ok}content-length : 0\r\n\r\n`],
  ['no colon', `${ok}ab\r\n\r\n`],
  ['no name', `${ok}: b\r\n\r\n`],
  ['a name of other letters', `${ok}\xe9: b\r\n\r\n`],
  ['a name in brackets', `${ok}(a): b\r\n\r\n`],
  ['NUL in a value', `${ok}a: b\0c\r\n\r\n`],
  ['DEL in a value', `${ok}a: b\x7fc\r\n\r\n`],
  ['NUL in a name', `${ok}a\0: b\r\n\r\n`],
  ['a backspace in the words', 'HTTP/1.1 200 O\bK\r\n\r\n'],
  ['two lengths', `${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
  ['a length twice', `${ok}content-length: 1\r\ncontent-length: 1\r\n\r\na`],
  ['a list of lengths', `${ok}content-length: 1, 1\r\n\r\na`],
  ['length and chunks', `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks and length', `${ok}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`],
  ['a length with a sign', `${ok}content-length: +1\r\n\r\na`],
  ['a length below zero', `${ok}content-length: -1\r\n\r\na`],
  ['a length in hex', `${ok}content-length: 0x1\r\n\r\na`],
  ['a length in parts', `${ok}content-length: 1.0\r\n\r\na`],
  ['no length', `${ok}content-length:\r\n\r\na`],
  ['a length in other digits', `${ok}content-length: \xb2\r\n\r\na`],
  ['a huge length', `${ok}content-length: 99999999999999999999\r\n\r\na`],
  ['coded twice', `${ok}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  [
    'chunked twice',
    `${ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['chunked, and then something', `${ok}transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n`],
  ['a coding nobody knows', `${ok}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['no size', `${chunked}\r\n`],
  ['no size before an extension', `${chunked};a\r\n`],
  ['a blank before the size', `${chunked} 1\r\na\r\n0\r\n\r\n`],
  ['a size in other letters', `${chunked}1g\r\n`],
  ['a size in hex with its sign', `${chunked}0x1\r\n`],
  ['a size below zero', `${chunked}-1\r\n`],
  ['a size in two parts', `${chunked}1 1\r\n`],
  ['a huge size', `${chunked}ffffffffffffffff\r\n`],
  ['a size of zeros', `${chunked}${'0'.repeat(100)}1\r\na\r\n`],
  ['half a line end after the size', `${chunked}1\na\r\n0\r\n\r\n`],
  ['the other half after the size', `${chunked}1\rxa\r\n0\r\n\r\n`],
  ['a line end inside of an extension', `${chunked}1;a\n0\r\n\r\n`],
  ['NUL in an extension', `${chunked}1;\0\r\na\r\n0\r\n\r\n`],
  ['DEL in an extension', `${chunked}1;\x7f\r\na\r\n0\r\n\r\n`],
  ['a chunk longer than its size', `${chunked}1\r\nab\r\n0\r\n\r\n`],
  ['a chunk longer than its size by half a line end', `${chunked}1\r\nab\n0\r\n\r\n`],
  ['half a line end after a chunk', `${chunked}1\r\na\n0\r\n\r\n`],
  ['the other half after a chunk', `${chunked}1\r\na\rx0\r\n\r\n`],
  ['half a line end for the last', `${chunked}0\r\n\n`],
  ['half a line end in a trailer', `${chunked}0\r\na: b\n\r\n`],
  ['the other half in a trailer', `${chunked}0\r\na: b\rc\r\n\r\n`],
  ['half of the last line end', `${chunked}0\r\n\rx`],
  ['NUL in a trailer', `${chunked}0\r\n\0\r\n\r\n`],
]
const long = 2000
/** With a limit of 2,000 bytes. */
const tooLong: [name: string, bytes: string, code?: string][] = [
  ['a head without end', `${ok}a: ${'b'.repeat(long)}`, 'HTTP_HEAD_TOO_LARGE'],
  ['a head', `${ok}a: ${'b'.repeat(long)}\r\n\r\n`, 'HTTP_HEAD_TOO_LARGE'],
  ['a status line', `HTTP/1.1 200 ${'b'.repeat(long)}\r\n\r\n`, 'HTTP_HEAD_TOO_LARGE'],
  ['something else', 'b'.repeat(long * 2)],
  ['informational answers', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100), 'HTTP_HEAD_TOO_LARGE'],
  ['an extension', `${chunked}1;${'a'.repeat(long + 1)}`],
  ['blanks after a size', `${chunked}1${' '.repeat(long + 2)}`],
  ['a trailer', `${chunked}0\r\na: ${'b'.repeat(long)}`],
  ['trailers', `${chunked}0\r\n${'a: b\r\n'.repeat(long / 4 + 1)}`],
  ['trailers of next to nothing', `${chunked}0\r\n${'a\r\n'.repeat(long + 1)}`],
]

describe('what is not HTTP/1.1 is refused', () => {
  for (const [name, bytes, code = 'HTTP_MALFORMED'] of refused)
    test(name, () => assert.equal(hear([bytesOf(bytes)], { closes: true }).fault, code))
  for (const [name, bytes, code = 'HTTP_MALFORMED'] of tooLong)
    test(`too long: ${name}`, () =>
      assert.equal(hear([bytesOf(bytes)], { headMax: long }).fault, code))

  test('a head may have 64 KB and 1,000 lines', () => {
    const text = (length: number) => `${ok}a: ${'b'.repeat(length - ok.length - 3)}`
    const many = (lines: number, name: (at: number) => string) =>
      `${ok}${Array.from({ length: lines }, (_, at) => `${name(at)}: 1\r\n`).join('')}\r\n`
    const cases: [bytes: string, fault: string | undefined][] = [
      [`${text(65_536)}\r\n\r\n`, undefined],
      [`${text(65_537)}\r\n\r\n`, 'HTTP_HEAD_TOO_LARGE'],
      [many(1000, (at) => `x-${at}`), undefined],
      [many(1001, (at) => `x-${at}`), 'HTTP_HEAD_TOO_LARGE'],
      [many(1001, () => 'x'), 'HTTP_HEAD_TOO_LARGE'],
    ]
    for (const [bytes, fault] of cases) {
      assert.equal(hear([bytesOf(bytes)]).fault, fault)
      assert.equal(hear([bytesOf(bytes.slice(0, -1)), bytesOf(bytes.slice(-1))]).fault, fault)
    }
  })

  test('many chunks, each with an extension, are no endless one', () => {
    const one = `1;signature=${'0'.repeat(100)}\r\na\r\n`
    const heard = hear([bytesOf(`${chunked}${one.repeat(1000)}0\r\n\r\n`)])
    assert.deepEqual([heard.body.length, heard.fault], [1000, undefined])
    let ends = 0
    const reader = createAnswerReader({ head() {}, data() {}, end: () => void ends++ }, 100)
    for (let at = 0; at < 100; at++) {
      reader.expect()
      reader.push(bytesOf(`${chunked}0\r\nsignature: ${'0'.repeat(50)}\r\n\r\n`))
    }
    assert.equal(ends, 100)
  })

  test('what was not asked for', () => {
    const reader = createAnswerReader({ head() {}, data() {}, end() {} })
    assert.throws(() => reader.push(bytesOf(ok)), { code: 'HTTP_MALFORMED' })
    for (const [name, bytes] of answers) {
      // Where it comes with the answer, that is complete: only the connection is of no more use.
      for (const more of ['x', '\r\n', ok]) {
        const heard = hear([bytesOf(bytes + more)])
        assert.deepEqual([heard.keep, heard.fault], [false, undefined], name)
        assert.equal(hear([bytesOf(bytes), bytesOf(more)]).fault, 'HTTP_MALFORMED', name)
      }
    }
  })

  test('an answer is not complete before its last byte', () => {
    for (const [name, bytes] of [...answers, ...lenient])
      for (let to = 0; to < bytes.length; to++) {
        const heard = hear([bytesOf(bytes.slice(0, to))], { closes: true })
        assert.equal(heard.fault, 'HTTP_CLOSED', `${name}, cut at ${to}`)
        assert.equal(heard.said.includes('end'), false)
      }
    for (const [name, bytes] of endings)
      for (let to = 0; to < bytes.indexOf('\r\n\r\n') + 4; to++)
        assert.equal(
          hear([bytesOf(bytes.slice(0, to))], { closes: true }).fault,
          'HTTP_CLOSED',
          name,
        )
  })
})

const everything: [bytes: string, way: Way][] = [
  ...[...answers, ...lenient].map(([, bytes]): [string, Way] => [bytes, {}]),
  ...endings.map(([, bytes]): [string, Way] => [bytes, { closes: true }]),
  ...refused.map(([, bytes]): [string, Way] => [bytes, {}]),
  ...tooLong.map(([, bytes]): [string, Way] => [bytes, { headMax: long }]),
]

describe('however it is cut', () => {
  test('in two, and byte by byte, it means the same', () => {
    for (const [text, way] of everything) {
      const bytes = bytesOf(text)
      const whole = hear([bytes], way)
      const same = (pieces: Uint8Array[], how: string) =>
        assert.deepEqual(hear(pieces, way), whole, `${JSON.stringify(text.slice(0, 300))} ${how}`)
      // The long ones are long by repetition.
      const step = bytes.length > 1000 ? 41 : 1
      for (let at = 1; at < bytes.length; at += step)
        same([bytes.subarray(0, at), bytes.subarray(at)], `at ${at}`)
      same(
        Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
        'byte by byte',
      )
    }
  })

  test('what stands behind the bytes of a read is of no meaning', () => {
    for (const [text, way] of everything) {
      const whole = hear([bytesOf(text)], way)
      for (const behind of ['\r\n\r\n', text])
        for (const at of [0, 1, 3, 9, text.indexOf('\r\n\r\n') + 2, text.length])
          assert.deepEqual(
            hear([text.slice(0, at), text.slice(at)].map(bytesOf), way, behind),
            whole,
          )
    }
  })

  test('in any pieces, and the pieces are not touched nor kept', () => {
    const cuts = fc.array(fc.nat(200), { maxLength: 8 })
    fc.assert(
      fc.property(fc.constantFrom(...everything), cuts, ([text, way], sizes) => {
        const bytes = bytesOf(text)
        function* pieces() {
          let at = 0
          for (const size of [...sizes, bytes.length]) {
            const piece = bytesOf(text.slice(at, at + size))
            yield piece
            assert.equal(latin1(piece), text.slice(at, at + size))
            piece.fill(0)
            at += size
          }
        }
        assert.deepEqual(hear(pieces(), way), hear([bytes], way))
      }),
      { numRuns: 500 },
    )
  })
})

describe('laws', () => {
  const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/).map((said) => `x-${said}`)
  const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/)
  const bytes = (maxLength: number) =>
    fc.uint8Array({ minLength: 1, maxLength }).map((all) => latin1(all))

  test('what was written is what is heard', () => {
    const headers = fc.uniqueArray(fc.tuple(name, value), {
      maxLength: 6,
      selector: ([written]) => written.toLowerCase(),
    })
    const framing = fc.constantFrom<'length' | 'chunks' | 'end'>('length', 'chunks', 'end')
    const parts = fc.array(bytes(40), { maxLength: 5 })
    fc.assert(
      fc.property(fc.integer({ min: 205, max: 303 }), headers, framing, parts, (...written) => {
        const [status, listed, by, said] = written
        const lines = listed.map(([key, text]) => `${key}: ${text}\r\n`).join('')
        const hex = said.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
        const framed = {
          length: `content-length: ${said.join('').length}\r\n\r\n${said.join('')}`,
          chunks: `transfer-encoding: chunked\r\n\r\n${hex}0\r\n\r\n`,
          end: `\r\n${said.join('')}`,
        }
        const text = `HTTP/1.1 ${status} x\r\n${lines}${framed[by]}`
        const heard = hear([bytesOf(text)], { closes: by === 'end' })
        assert.deepEqual(
          [heard.status, heard.body, heard.fault],
          [status, said.join(''), undefined],
        )
        const told = listed.map(([key, of]) => `${key.toLowerCase()}: ${of}\n`).join('')
        assert.ok(heard.headers.startsWith(told), heard.headers)
      }),
      { numRuns: 300 },
    )
  })

  test('whatever comes, it is an answer or an HttpFault', () => {
    const edits = fc.array(
      fc.tuple(
        fc.nat(400),
        fc.nat(3),
        fc.oneof(bytes(3), fc.constantFrom('\r', '\n', '\r\n', ' ', ':', ';', '0', ',', ok)),
      ),
      { minLength: 1, maxLength: 4 },
    )
    const damaged = fc
      .tuple(fc.constantFrom(...everything), edits)
      .map(([[text], all]) =>
        all.reduce(
          (to, [at, cut, put]) => to.slice(0, at) + put + to.slice(at + cut),
          text.slice(0, 400),
        ),
      )
    const anything = fc.oneof(
      bytes(60),
      bytes(60).map((more) => ok + more),
      bytes(60).map((more) => chunked + more),
      damaged,
    )
    fc.assert(
      fc.property(anything, fc.boolean(), (text, closes) => {
        const { said, fault } = hear([bytesOf(text)], { closes })
        assert.match(said, /^(?: head(?: data)?(?: end)?)?$/)
        // One way or the other it is over when the connection is.
        if (closes) assert.notEqual(said.endsWith('end'), fault !== undefined, text)
      }),
      { numRuns: 3000 },
    )
  })
})

describe("Node's own client", () => {
  let bytes = ''
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes, 'latin1'))
  })
  after(() => void server.close())

  const ask = async (): Promise<Pick<Heard, 'status' | 'headers' | 'body'>> => {
    const { port } = server.address() as AddressInfo
    const asked = request({ port, host: '127.0.0.1', agent: false })
    asked.end()
    const [answer] = await once(asked, 'response')
    let body = ''
    for await (const chunk of answer) body += chunk.toString('latin1')
    const said = new Map<string, string>()
    for (let i = 0; i < answer.rawHeaders.length; i += 2) {
      const key = answer.rawHeaders[i].toLowerCase()
      const before = said.get(key)
      said.set(key, (before === undefined ? '' : `${before}, `) + answer.rawHeaders[i + 1])
    }
    const headers = [...said].map(([key, value]) => `${key}: ${value}\n`).join('')
    return { status: answer.statusCode, headers, body }
  }

  test('hears the same', async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (const [name, text] of [...answers, ...endings]) {
      bytes = text
      const { status, headers, body } = hear([bytesOf(text)], { closes: true })
      assert.deepEqual(await ask(), { status, headers, body }, name)
    }
  })
})
