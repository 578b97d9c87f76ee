import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { lookAtBatches } from '../src/gateway/batches.ts'
import { isObject, type JsonObject, list, object, text } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { keptId, readKept } from '../src/wire/media/resource.ts'
import { eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import { fileScope, type Provider, startProvider, whole } from './support/provider.ts'

/** Batches: OpenAI's lines go in and come out, whoever answers; paid once, when the results are there. */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway
const entries: Entry[] = []

before(async () => {
  provider = await startProvider(scope, () => whole({}))
  gateway = await startGateway(scope, {
    general: { master_key: key },
    models: [
      {
        model_name: 'claude',
        litellm_params: {
          model: 'anthropic/claude-haiku-4-5-20251001',
          api_key: 'sk-ant-upstream',
          api_base: provider.origin,
        },
        model_info: { id: 'claude-row' },
      },
      openaiRow('mini', provider, { model: 'openai/gpt-4o-mini' }),
    ],
    key,
  })
  const { ledger } = gateway.running.rooms
  const { record } = ledger
  ledger.record = (entry) => {
    entries.push(entry)
    return record(entry)
  }
})

async function upload(lines: readonly JsonObject[], model: string, purpose = 'batch') {
  const form = new FormData()
  form.append('purpose', purpose)
  form.append('file', new Blob([lines.map((line) => JSON.stringify(line)).join('\n')]), 'in.jsonl')
  const headers = { authorization: `Bearer ${key}`, 'x-litellm-model': model }
  const response = await fetch(`${gateway.url}/v1/files`, { method: 'POST', body: form, headers })
  return { status: response.status, file: (await response.json()) as JsonObject }
}
const create = async (id: unknown, model: string, more: JsonObject = {}) => {
  const body = {
    input_file_id: String(id),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { run: '7' },
    ...more,
  }
  const response = await gateway.post('/v1/batches', body, { 'x-litellm-model': model })
  return { status: response.status, batch: (await response.json()) as JsonObject }
}
const get = async (path: string) => (await (await gateway.get(path)).json()) as JsonObject
const linesOf = async (id: unknown) =>
  (await (await gateway.get(`/v1/files/${String(id)}/content`)).text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => object(JSON.parse(line)))

const line = (id: string, body: JsonObject, url = '/v1/chat/completions'): JsonObject => ({
  custom_id: id,
  method: 'POST',
  url,
  body: { model: 'claude', max_tokens: 10, ...body },
})
const user = (content: string) => [{ role: 'user', content }]
const schema = {
  type: 'json_schema',
  json_schema: { name: 'n', schema: { type: 'object', properties: { a: { type: 'number' } } } },
}

const made = {
  id: 'msgbatch_1',
  type: 'message_batch',
  processing_status: 'in_progress',
  request_counts: { processing: 3, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
  created_at: '2026-11-20T10:00:00Z',
  expires_at: '2026-11-21T10:00:00Z',
  ended_at: null,
  results_url: null,
}
const ended = {
  ...made,
  processing_status: 'ended',
  request_counts: { processing: 0, succeeded: 2, errored: 1, canceled: 0, expired: 0 },
  ended_at: '2026-11-20T11:00:00Z',
  results_url: 'https://api.anthropic.com/v1/messages/batches/msgbatch_1/results',
}
const message = (content: JsonObject[], tokens = 1_000_000) => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-haiku-4-5-20251001',
  content,
  stop_reason: 'end_turn',
  usage: { input_tokens: tokens, output_tokens: 0, cache_read_input_tokens: tokens },
})

/** Anthropic, with the state of its one batch. */
function anthropic(state: () => JsonObject): void {
  provider.asked.length = 0
  provider.tell(({ path, method, json }) => {
    if (path.endsWith('/results')) {
      const ids = list(requests['requests']).map((one) => text(object(one)['custom_id']))
      const results: JsonObject[] = [
        {
          custom_id: ids[2],
          result: {
            type: 'errored',
            error: { type: 'error', error: { type: 'invalid_request_error', message: 'too odd' } },
          },
        },
        { custom_id: ids[1], result: { type: 'succeeded', message: message([answered]) } },
        {
          custom_id: ids[0],
          result: { type: 'succeeded', message: message([{ type: 'text', text: 'Hello' }]) },
        },
      ]
      const told = results.map((one) => JSON.stringify(one)).join('\n')
      return whole(`${told}\n`, { headers: { 'content-type': 'application/x-jsonl' } })
    }
    if (method === 'POST' && path === '/v1/messages/batches') requests = json
    return whole(state())
  })
}
let requests: JsonObject = {}
/** How structured output comes back, by what was asked. */
let answered: JsonObject = {}

describe('Anthropic', () => {
  test('a batch from the upload to the results, and its price', async () => {
    let state: JsonObject = made
    anthropic(() => state)
    const { file } = await upload(
      [
        line('first one, with a space', { messages: user('Hi') }),
        line('second', { messages: user('Hi'), response_format: schema }),
        line('third', { messages: user('Hi') }),
      ],
      'claude',
    )
    equal(file['object'], 'file')
    equal(readKept(String(file['id']))?.keeper, 'claude-row')
    equal(provider.asked.length, 0, 'it is held here')

    const { batch } = await create(file['id'], 'claude')
    equal(provider.last().path, '/v1/messages/batches')
    equal(provider.last().headers['x-api-key'], 'sk-ant-upstream')
    const [first, second] = list(requests['requests']).map(object)
    match(String(first?.['custom_id']), /^[\w-]{1,64}$/)
    deepEqual(first?.['params'], {
      model: 'claude-haiku-4-5-20251001',
      max_tokens: 10,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
    })
    const tool = object(list(object(second?.['params'])['tools'])[0])
    answered = isObject(object(second?.['params'])['output_config'])
      ? { type: 'text', text: '{"a":1}' }
      : tool['name']
        ? { type: 'tool_use', id: 't', name: tool['name'], input: { a: 1 } }
        : { type: 'text', text: '{"a":1}' }
    deepEqual(
      [batch['status'], batch['endpoint'], batch['input_file_id'], batch['metadata']],
      ['in_progress', '/v1/chat/completions', file['id'], { run: '7' }],
    )
    deepEqual(batch['request_counts'], { total: 3, completed: 0, failed: 0 })

    // The input may be thrown away by now.
    await fetch(`${gateway.url}/v1/files/${file['id']}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${key}` },
    })
    equal((await gateway.get(`/v1/files/${file['id']}`)).status, 404)

    entries.length = 0
    await lookAtBatches(gateway.running.rooms)
    equal(entries.length, 0, 'it is not over')
    state = ended
    const done = await get(`/v1/batches/${batch['id']}`)
    equal(done['status'], 'completed')
    deepEqual(done['request_counts'], { total: 3, completed: 2, failed: 1 })

    const results = await linesOf(done['output_file_id'])
    deepEqual(
      results.map(({ custom_id, error }) => [custom_id, error]),
      [
        ['second', null],
        ['first one, with a space', null],
      ],
    )
    const bodies = results.map(({ response }) => object(object(response)['body']))
    deepEqual(
      bodies.map(({ object: kind, model, choices }) => [
        kind,
        model,
        object(object(list(choices)[0])['message'])['content'],
      ]),
      [
        ['chat.completion', 'claude', '{"a":1}'],
        ['chat.completion', 'claude', 'Hello'],
      ],
    )
    equal(object(bodies[1]?.['usage'])['prompt_tokens'], 2_000_000)
    const failed = await linesOf(done['error_file_id'])
    deepEqual(
      failed.map(({ custom_id, response }) => [
        custom_id,
        object(response)['status_code'],
        object(object(object(response)['body'])['error'])['message'],
      ]),
      [['third', 400, 'too odd']],
    )

    // Half of $1 and of $0.10 a million, twice.
    const paid = () => entries.filter(({ operation }) => operation === 'aretrieve_batch')
    await eventually(() => paid().length > 0)
    await get(`/v1/batches/${batch['id']}`)
    await lookAtBatches(gateway.running.rooms)
    equal(paid().length, 1, 'once, however often it is asked')
    const [entry] = paid()
    equal(entry?.nanoDollars, 1.1e9)
    equal(entry?.answerId, 'msgbatch_1')
    deepEqual([entry?.usage.input, entry?.usage.cacheRead], [2_000_000, 2_000_000])
    ok(entry?.keyId)
  })

  test('cancelled, and listed', async () => {
    anthropic(() => ({ ...made, id: 'msgbatch_9' }))
    const { file } = await upload([line('a', { messages: user('Hi') })], 'claude')
    const { batch } = await create(file['id'], 'claude')
    provider.tell(({ path }) =>
      path.includes('?')
        ? whole({
            data: [
              { ...made, id: 'msgbatch_9' },
              { ...made, id: 'of-others' },
            ],
          })
        : whole({ ...made, id: 'msgbatch_9', processing_status: 'canceling' }),
    )
    const cancelled = await gateway.post(`/v1/batches/${batch['id']}/cancel`, '')
    equal(provider.last().path, '/v1/messages/batches/msgbatch_9/cancel')
    equal((await cancelled.json()).status, 'cancelling')
    const { data } = await get('/v1/batches?model=claude&limit=5')
    equal(provider.last().path, '/v1/messages/batches?limit=5')
    deepEqual(
      list(data).map((one) => object(one)['id']),
      [batch['id']],
    )
  })

  test('files that were uploaded for it are listed', async () => {
    anthropic(() => made)
    const { file } = await upload([line('a', { messages: user('Hi') })], 'claude')
    const { data } = await get('/v1/files?model=claude&limit=100')
    const found = list(data)
      .map(object)
      .filter(({ id }) => id === file['id'])
    deepEqual(
      found.map(({ purpose, used }) => [purpose, used]),
      [['batch', undefined]],
    )
    equal(provider.asked.length, 0)
  })

  const wrong: [name: string, lines: JsonObject[], more: JsonObject, said: RegExp][] = [
    ['a line without an id', [{ url: 'x', body: {} }], {}, /line 1 .*'custom_id'/],
    [
      'an id twice',
      [line('a', { messages: user('x') }), line('a', { messages: user('x') })],
      {},
      /line 2 .* repeats/,
    ],
    [
      'another path than the batch’s',
      [line('a', {}, '/v1/responses')],
      {},
      /'a' is for '\/v1\/responses'/,
    ],
    [
      'a path that is no conversation',
      [line('a', {}, '/v1/embeddings')],
      { endpoint: '/v1/embeddings' },
      /not for '\/v1\/embeddings'/,
    ],
    ['a request that is none', [line('a', { messages: 5 })], {}, /messages/],
    [
      'what Anthropic lacks',
      [line('a', { messages: user('x'), n: 2 })],
      {},
      /does not support parameters: n|n/,
    ],
  ]
  for (const [name, lines, more, said] of wrong)
    test(`${name} is refused before anything is sent`, async () => {
      anthropic(() => made)
      const { status, file } = await upload(lines, 'claude')
      const refused = status === 200 ? await create(file['id'], 'claude', more) : undefined
      equal(refused?.status ?? status, 400)
      match(String(object((refused?.batch ?? file)['error'])['message']), said)
      equal(provider.asked.length, 0)
    })

  test('files for anything else, and files of nobody', async () => {
    const { status, file } = await upload([line('a', {})], 'claude', 'assistants')
    equal(status, 400)
    match(String(object(file['error'])['message']), /purpose must be 'batch'/)
    equal((await create('file_nobody', 'claude')).status, 404)
    equal((await gateway.get('/v1/files/file_out_msgbatch_7/content?model=claude')).status, 404)
  })
})

test('OpenAI: the lines name the deployment’s model, and the results are paid by line', async () => {
  let status = 'validating'
  provider.tell(({ path }) =>
    path.endsWith('/content')
      ? whole(
          [
            {
              custom_id: 'a',
              response: {
                status_code: 200,
                body: {
                  model: 'gpt-4o-mini-2024-07-18',
                  usage: {
                    prompt_tokens: 1_000_000,
                    completion_tokens: 0,
                    total_tokens: 1_000_000,
                  },
                },
              },
            },
            { custom_id: 'b', response: null, error: { code: 'batch_expired' } },
          ]
            .map((one) => JSON.stringify(one))
            .join('\n'),
          { headers: { 'content-type': 'application/octet-stream' } },
        )
      : path.includes('/files')
        ? whole({ id: 'file-1', object: 'file' })
        : whole({ id: 'batch_1', object: 'batch', status, output_file_id: 'file-2' }),
  )
  const lines = [line('a', { model: 'mini', messages: user('x') }), { plain: 1 }]
  const { file } = await upload(lines, 'mini')
  const sent = provider.last().text
  match(sent, /"custom_id":"a".*"model":"gpt-4o-mini"/)
  ok(sent.includes('\n{"plain":1}\r\n--'), 'other lines stay')
  ok(!sent.includes('"model":"mini"'))
  const { batch } = await create(file['id'], 'mini')
  entries.length = 0
  status = 'completed'
  await lookAtBatches(gateway.running.rooms)
  const paid = entries.filter(({ operation }) => operation === 'aretrieve_batch')
  // Half of $0.15 a million.
  deepEqual(
    paid.map(({ nanoDollars, priced, upstreamModel }) => [nanoDollars, priced, upstreamModel]),
    [[75_000_000, true, 'gpt-4o-mini-2024-07-18']],
  )
  equal((await get(`/v1/batches/${batch['id']}`))['status'], 'completed')
  equal(readKept(String(batch['id']))?.id, 'batch_1')
})

test('what one deployment keeps is asked of no other, whatever is to be fallen back to', async () => {
  const refusing = await startProvider(scope, () => whole({ error: {} }, { status: 503 }))
  const other = await startProvider(scope, () => whole({ id: 'file-1', object: 'file' }))
  const { get } = await startGateway(scope, {
    general: { master_key: key },
    key,
    litellm: { default_fallbacks: ['two'] },
    models: [
      openaiRow('one', refusing, {}, { id: 'row-one' }),
      openaiRow('two', other, {}, { id: 'row-two' }),
    ],
  })
  equal((await get(`/v1/files/${keptId('file-1', 'row-one')}`)).status, 503)
  equal(other.asked.length, 0)
  equal((await get('/v1/files/file-1', { 'x-litellm-model': 'one' })).status, 200)
})
