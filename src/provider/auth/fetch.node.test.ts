import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startEndpoint } from '../../../test/token-endpoint.ts'
import { createAuthDeps, createAuthFetch } from './fetch.node.ts'

const get = (url: string, timeoutMs = 2000) =>
  ({ method: 'GET', url, headers: {}, timeoutMs }) as const

test('a question and its answer, whatever the status; a redirect is an answer too', async (t) => {
  const { url, asked } = await startEndpoint(t, ({ path }) =>
    path === '/away'
      ? { status: 307, headers: { location: '/there' }, text: '' }
      : { status: 418, text: 'tëa' },
  )
  const fetch = createAuthFetch({})
  assert.deepEqual(
    await fetch({ ...get(`${url}/x?a=b`), method: 'POST', headers: { 'x-a': '1' }, body: 'ü' }),
    {
      status: 418,
      body: 'tëa',
    },
  )
  assert.equal(asked[0]?.body, 'ü')
  assert.equal(asked[0]?.headers['content-length'], '2')
  assert.equal(asked[0]?.headers['connection'], 'close')
  assert.deepEqual(await fetch(get(`${url}/away`)), { status: 307, body: '' })
  assert.equal(asked.length, 2)
})

test('it gives up: no answer, half an answer, too large an answer', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/half') response.write('{')
    if (request.url === '/large') response.end('x'.repeat(1024 * 1024 + 1))
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': '10' })
      response.write('x', () => response.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // it listens on a port
  const fetch = createAuthFetch({})
  const cases: [path: string, code: string][] = [
    ['/never', 'ETIMEDOUT'],
    ['/half', 'ETIMEDOUT'],
    ['/large', 'TOO_LARGE'],
    ['/cut', 'ECONNRESET'],
  ]
  await Promise.all(
    cases.map(([path, code]) =>
      assert.rejects(
        fetch(get(`http://127.0.0.1:${port}${path}`, code === 'ETIMEDOUT' ? 60 : 2000)),
        { code },
        path,
      ),
    ),
  )
})

test('a URL that is none, or is for another protocol, is refused', async () => {
  const fetch = createAuthFetch({})
  for (const url of ['nowhere', 'ftp://127.0.0.1/', 'file:///etc/passwd'])
    await assert.rejects(fetch(get(url)))
})

test('a proxy of the environment is used, but never for services of this machine', async (t) => {
  const proxy = await startEndpoint(t, () => ({ text: 'through the proxy' }))
  const near = await startEndpoint(t, () => ({ text: 'direct' }))
  const fetch = createAuthFetch({ HTTP_PROXY: proxy.url, NO_PROXY: 'other.example' })
  assert.equal((await fetch(get('http://token.example/x'))).body, 'through the proxy')
  assert.equal(proxy.asked[0]?.path, 'http://token.example/x')
  assert.equal((await fetch(get(near.url))).body, 'direct')
  assert.equal(proxy.asked.length, 1)
})

test('credential files: read whole, but not without end', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'auth-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'key'), 'content')
  const { readFile, env } = createAuthDeps({ env: { A: 'b' } })
  assert.equal(env('A'), 'b')
  assert.equal(await readFile?.(join(folder, 'key')), 'content')
  await assert.rejects(async () => readFile?.(join(folder, 'none')), { code: 'ENOENT' })
  await assert.rejects(async () => readFile?.('/dev/zero'), { code: 'TOO_LARGE' })
})
