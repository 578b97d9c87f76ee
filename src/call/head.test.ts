import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('what is frozen is put together once for each way out, what is not is read anew', () => {
  const headers: Record<string, string> = { 'x-a': '1' }
  const ask = (more: Partial<Upstream> = {}): Upstream => ({ url: '', headers, ...more })
  const first = headOf(ask(), target, direct)
  headers['x-a'] = '2'
  assert.match(headOf(ask(), target, direct).text, /x-a: 2\r\n/)
  assert.match(first.text, /x-a: 1\r\n/)

  Object.freeze(headers)
  const once = headOf(ask(), target, direct)
  assert.equal(headOf(ask(), target, direct), once)
  const other = targetOf('https://user:word@b.example/')
  assert.match(headOf(ask(), other, direct).text, /^POST \/ HTTP[\s\S]*authorization: Basic /)
  assert.deepEqual(headOf(ask(), target, direct), once)
  assert.match(headOf(ask({ method: 'GET' }), target, direct).text, /^GET \/v1/)
  const proxy = { pathPrefix: 'http://a.example', proxyLogin: 'Basic x' }
  const detour = headOf(ask(), target, proxy).text
  assert.match(detour, /^POST http:\/\/a\.example\/v1[\s\S]*proxy-authorization: Basic x\r\n$/)
  assert.deepEqual(headOf(ask(), target, direct), once)
})

test('what cannot be written is refused each time', () => {
  const headers = Object.freeze({ 'x-a': 'a\r\nb: c' })
  for (let at = 0; at < 2; at++)
    assert.throws(() => headOf({ url: '', headers }, target, direct), { code: 'HTTP_UNWRITABLE' })
})
