import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { latin1 } from '../json/latin1.ts'
import { headOf } from './head.ts'
import { targetOf } from './target.ts'
import type { Upstream } from './transport.ts'

const direct = { pathPrefix: '', proxyLogin: undefined }
const target = targetOf('https://a.example/v1/chat?x=1')

test('the head of a request: what the headers say, and what goes with every request', () => {
  const headers = { 'content-type': 'a/b', Host: 'b.example', te: 'x', 'Content-Length': '3' }
  assert.deepEqual(headOf({ url: '', headers, method: 'PUT' }, target, direct), {
    text: 'PUT /v1/chat?x=1 HTTP/1.1\r\nhost: b.example\r\nconnection: keep-alive\r\ncontent-type: a/b\r\naccept-encoding: identity\r\n',
    length: 3,
    host: 'b.example',
  })
})

test('the same is put together once for each way out, and what differs in anything is not the same', () => {
  const headers: Record<string, string> = { 'x-a': '1', 'x-b': '2' }
  const ask = (more: Partial<Upstream> = {}): Upstream => ({ url: '', headers, ...more })
  const once = headOf(ask(), target, direct)
  assert.match(once.text, /^POST \/v1\/chat\?x=1 HTTP\/1.1\r\nhost: a.example\r\n/)
  assert.equal(headOf(ask({ headers: { ...headers } }), target, direct), once)

  const other = targetOf('https://user:word@b.example/')
  assert.match(headOf(ask(), other, direct).text, /^POST \/ HTTP[\s\S]*authorization: Basic /)
  assert.match(headOf(ask({ method: 'GET' }), target, direct).text, /^GET \/v1/)
  const proxy = { pathPrefix: 'http://a.example', proxyLogin: 'Basic x' }
  const detour = headOf(ask(), target, proxy).text
  assert.match(detour, /^POST http:\/\/a\.example\/v1[\s\S]*proxy-authorization: Basic x\r\n$/)
  const login = headOf(ask(), target, { ...proxy, proxyLogin: 'Basic y' }).text
  assert.match(login, /proxy-authorization: Basic y\r\n$/)
  const others: [headers: Record<string, string>, lines: RegExp][] = [
    [{ 'x-a': '1' }, /x-a: 1\r\naccept/],
    [{ 'x-a': '1', 'x-b': '3' }, /x-a: 1\r\nx-b: 3\r\naccept/],
    [{ 'x-a': '1', 'x-c': '2' }, /x-a: 1\r\nx-c: 2\r\naccept/],
    [{ ...headers, 'x-c': '3' }, /x-a: 1\r\nx-b: 2\r\nx-c: 3\r\naccept/],
    [{}, /keep-alive\r\naccept/],
  ]
  for (const [more, lines] of others)
    assert.match(headOf(ask({ headers: more }), target, direct).text, lines)
  headers['x-a'] = '4'
  assert.match(headOf(ask(), target, direct).text, /x-a: 4\r\n/)
  headers['x-a'] = '1'
  assert.equal(headOf(ask(), target, direct), once)
})

test('only those of late are kept', () => {
  const of = (at: number) => headOf({ url: '', headers: { 'x-a': `${at}` } }, target, direct)
  const first = of(0)
  for (let at = 0; at < 100; at++) assert.match(of(at).text, new RegExp(`x-a: ${at}\r\n`))
  assert.notEqual(of(0), first)
  assert.deepEqual(of(0), first)
})

test('a head that is kept holds nothing of the client whose header it sends on', () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const targets = Array.from({ length: 30 }, (_, at) => targetOf(`https://a.example/${at}`))
  collect()
  const before = process.memoryUsage().heapUsed
  for (const to of targets)
    for (let at = 0; at < 16; at++) {
      const client = latin1(Buffer.alloc(30_000, `a beta of day ${at}, `))
      headOf({ url: '', headers: { 'x-a': client.slice(0, 20) } }, to, direct)
      headOf({ url: '', headers: { 'x-a': client } }, to, direct)
    }
  collect()
  const kept = process.memoryUsage().heapUsed - before
  assert.ok(kept < 3_000_000, `${kept} bytes`)
  assert.equal(targets.length, 30)
})

test('what cannot be written is refused each time', () => {
  const headers = { 'x-a': 'a\r\nb: c' }
  for (let at = 0; at < 2; at++)
    assert.throws(() => headOf({ url: '', headers }, target, direct), { code: 'HTTP_UNWRITABLE' })
})
