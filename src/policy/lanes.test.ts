import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { type Caller, nobody, type Permission } from './caller.ts'
import type { Grant } from './grant.ts'
import { refuseOtherLane, refusePass } from './lanes.ts'

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

const denied = (...denied_passthrough_routes: string[]): JsonObject => ({
  metadata: { denied_passthrough_routes },
})
const allowed = (...allowed_passthrough_routes: string[]): JsonObject => ({
  metadata: { allowed_passthrough_routes },
})
const passes: [key: JsonObject, team: JsonObject, path: string, own: boolean, may: boolean][] = [
  [{}, {}, '/openai/v1/evals', false, true],
  [{}, {}, '/own/api', true, true],
  [denied('/openai'), {}, '/openai/v1/evals', false, false],
  [{}, denied('/openai/v1/evals'), '/openai/v1/evals/x', false, false],
  [denied('/openai/v1/evals'), {}, '/openai/v1/evals2', false, true],
  [denied('/openai/*'), {}, '/openai/v1/evals', false, false],
  [denied('/openai/{version}/evals'), {}, '/openai/v1/evals', false, false],
  [denied('/'), {}, '/anthropic/v1/x', false, false],
  [denied('/openai/v1/evals'), {}, '/openai/v1/ev%61ls/x', false, false],
  [denied('/openai/v1/evals'), {}, '/openai/v1/ev%2561ls', false, false],
  [denied('/openai/v1/evals'), {}, '/openai//v1///evals', false, false],
  [denied('/openai/v1/evals'), {}, '/openai/v1/evals;x=1', false, false],
  [denied('/openai/v1/evals'), {}, '/openai/%E0%A4%A', false, true],
  [{ denied_passthrough_routes: ['/own'] }, {}, '/own/api', true, false],
  [allowed('/own'), {}, '/own/api', true, true],
  [allowed('/own'), {}, '/other', true, false],
  [allowed('/own'), {}, '/openai/v1/evals', false, true],
  [{}, allowed('/own'), '/other', true, false],
  [allowed('/other'), allowed('/own'), '/other', true, true],
  [{ ...allowed('/own'), ...denied('/own/api') }, {}, '/own/api/x', true, false],
  [allowed('/own'), denied('/own'), '/own', true, false],
  [allowed('/own'), {}, '/%6fwn/api', true, false],
]
for (const [key, team, path, own, may] of passes)
  test(`${JSON.stringify(key)} of ${JSON.stringify(team)} ${may ? 'passes' : 'does not pass'} ${path}`, () => {
    const grant = { key: { data: key }, team: { data: team } } as unknown as Grant
    const ask = () => refusePass({ ...nobody, role: 'none', grant }, path, own)
    if (may) ask()
    else assert.throws(ask, /access(?: to)? passthrough route/)
  })
