import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { type Caller, nobody, type Permission } from './caller.ts'
import type { Grant } from './grant.ts'
import { refuseOtherLane } from './lanes.ts'

const caller = (data: JsonObject): Caller => ({
  ...nobody,
  role: 'none',
  grant: { key: { data } } as unknown as Grant,
})
const cases: [
  data: JsonObject,
  permission: Exclude<Permission, 'public'>,
  method: string,
  path: string,
  may: boolean,
][] = [
  [{}, 'admin', 'POST', '/key/generate', true],
  [{ key_type: 'default' }, 'self_write', 'POST', '/key/generate', true],
  [{ key_type: 'llm_api' }, 'llm', 'POST', '/v1/chat/completions', true],
  [{ key_type: 'llm_api' }, 'info', 'GET', '/v1/models', true],
  [{ key_type: 'llm_api' }, 'self_write', 'POST', '/key/generate', false],
  [{ key_type: 'llm_api' }, 'self', 'GET', '/spend/logs', false],
  [{ key_type: 'management' }, 'llm', 'POST', '/v1/chat/completions', false],
  [{ key_type: 'management' }, 'self_write', 'POST', '/key/generate', true],
  [{ key_type: 'read_only' }, 'info', 'GET', '/model/info', true],
  [{ key_type: 'read_only' }, 'self', 'GET', '/key/info', true],
  [{ key_type: 'read_only' }, 'llm', 'POST', '/v1/chat/completions', false],
  [{ key_type: 'read_only' }, 'self_write', 'POST', '/key/update', false],
  [{ allowed_routes: ['/v1/models'] }, 'info', 'GET', '/v1/models', true],
  [{ allowed_routes: ['/v1/models'] }, 'llm', 'POST', '/v1/embeddings', false],
  [{ allowed_routes: ['/v1/*'] }, 'llm', 'POST', '/v1/embeddings', true],
  [{ allowed_routes: ['/v1/*'] }, 'llm', 'POST', '/v2/rerank', false],
  [{ allowed_routes: ['/v1/models/{id}'] }, 'info', 'GET', '/v1/models/x', true],
  [{ allowed_routes: ['/v1/models/{id}'] }, 'info', 'GET', '/v1/models/x/y', false],
  [{ key_type: 'constructor' }, 'llm', 'POST', '/v1/embeddings', true],
  [{ allowed_routes: ['spend_tracking_routes'] }, 'self', 'GET', '/spend/logs', true],
  [
    { allowed_routes: ['spend_tracking_routes'] },
    'llm',
    'POST',
    '/engines/openai/spend/chat/completions',
    false,
  ],
  [{ allowed_routes: ['llm_api_routes'], key_type: 'management' }, 'llm', 'POST', '/v1/x', true],
]
for (const [data, permission, method, path, may] of cases)
  test(`${JSON.stringify(data)} ${may ? 'may' : 'may not'} ${method} ${path}`, () => {
    const ask = () => refuseOtherLane(caller(data), permission, method, path)
    if (may) ask()
    else assert.throws(ask, /not allowed to call this route/)
  })

test('the master key has no lane', () => {
  refuseOtherLane({ ...nobody, role: 'proxy_admin' }, 'admin', 'POST', '/anything')
})
