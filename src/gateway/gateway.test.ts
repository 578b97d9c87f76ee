import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, provider } from '../call/upstream.test.ts'
import { object } from '../json/json.ts'
import { type Asked, door, hi, jsonOf } from './visit.test.ts'

const refusals: [what: string, asked: Partial<Asked>, status: number, message: RegExp][] = [
  ['a path of nobody', { path: '/v1/nothing' }, 404, /there is no POST/],
  ['another method', { method: 'DELETE', path: '/v1/models' }, 405, /takes GET/],
  [
    'a path that is not percent-encoding',
    { path: '/openai/deployments/%E0%A4%A/chat/completions' },
    400,
    /percent-encoding/,
  ],
  ['no key', { headers: { authorization: '' } }, 401, /No api key/],
  ['another key', { headers: { authorization: 'Bearer sk-other' } }, 401, /Invalid proxy server/],
  ['a preflight of nobody’s path', { method: 'OPTIONS', path: '/v1/nothing' }, 404, /there is no/],
]
for (const [what, asked, status, message] of refusals)
  test(`${what} is refused as an answer, not as an exception`, async () => {
    const out = await door({ models: { g: {} } }, provider()).visit(asked)
    assert.equal(out.status, status)
    assert.match(String(object((await jsonOf(out))['error'])['message']), message)
    assert.ok(out.headers['x-litellm-call-id'])
  })

test('a web page of an origin that may is told so, also of a refusal it is not', async () => {
  const at = door({ models: { g: {} } }, provider({ body: answer('hi') }))
  const headers = { origin: 'https://app' }
  at.rooms.settings = { ...at.rooms.settings, corsOrigins: ['https://app'] }
  const out = await at.visit({ body: hi('g'), headers })
  assert.deepEqual(
    [out.status, out.headers['access-control-allow-origin'], out.headers['vary']],
    [200, 'https://app', 'origin'],
  )
  const other = await at.visit({ path: '/v1/nothing', headers })
  assert.equal(other.headers['access-control-allow-origin'], undefined)
})
