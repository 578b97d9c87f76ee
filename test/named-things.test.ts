import { deepEqual, equal, match } from 'node:assert/strict'
import { before, beforeEach, describe, test } from 'node:test'
import { type JsonObject, object } from '../src/json/json.ts'
import { keptId } from '../src/wire/media/resource.ts'
import { type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  chatAnswer,
  fileScope,
  type Provider,
  startProvider,
  type Told,
  whole,
} from './support/provider.ts'
import { makeKey, masterKey } from './support/spending.ts'

/** Conversations that name what a provider keeps: another key's is not there, one's own is sent by its own id. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway
const keys: Record<string, string> = { master: masterKey }
/** As they are told to the client, and the provider's own. */
let file = ''
let store = ''
let made = 0

function answer({ path, method }: Asked): Told {
  const { pathname } = new URL(path, 'http://p')
  if (method === 'POST' && pathname === '/v1/files')
    return whole({ id: `file-${++made}own`, object: 'file' })
  if (method === 'POST' && pathname === '/v1/vector_stores')
    return whole({ id: `vs_${++made}own`, object: 'vector_store' })
  if (method === 'POST' && pathname === '/v1/containers')
    return whole({ id: `cntr_${++made}own`, object: 'container' })
  if (pathname === '/v1/responses') return whole(response)
  if (pathname === '/v1/messages')
    return whole({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'c',
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 1, output_tokens: 1 },
    })
  return whole(chatAnswer({ content: 'hi' }))
}
const response = {
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status: 'completed',
  model: 'gpt-5',
  output: [
    {
      id: 'm',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'hi', annotations: [] }],
    },
  ],
  usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
}

before(async () => {
  provider = await startProvider(scope, answer)
  gateway = await startGateway(scope, {
    general: { master_key: masterKey },
    models: [
      openaiRow('m', provider, { model: 'openai/gpt-5' }, { id: 'row-1' }),
      openaiRow('m', provider, { model: 'openai/gpt-5-mini' }, { id: 'row-2' }),
      {
        model_name: 'claude',
        litellm_params: {
          model: 'anthropic/claude-sonnet-4-5',
          api_base: provider.origin,
          api_key: 'k',
        },
        model_info: { id: 'row-c' },
      },
    ],
    sections: {
      vector_store_registry: [
        {
          litellm_params: {
            vector_store_id: 'vs_handbook',
            custom_llm_provider: 'openai',
            api_base: provider.base,
            api_key: 'k',
          },
        },
      ],
    },
  })
  for (const name of ['mine', 'theirs']) keys[name] = await makeKey(gateway.url)
  keys['bound'] = await makeKey(gateway.url, { object_permission: { vector_stores: ['vs_else'] } })
  file = await upload('row-2')
  const told = await gateway.post(
    '/v1/vector_stores',
    { name: 'n' },
    { ...as('mine'), 'x-litellm-model': 'row-2' },
  )
  store = String(object(await told.json())['id'])
})
beforeEach(() => void (provider.asked.length = 0))

const as = (name: string) => ({ authorization: `Bearer ${keys[name]}` })
async function upload(keeper: string): Promise<string> {
  const form = new FormData()
  form.append('purpose', 'user_data')
  form.append('file', new Blob(['words']), 'a.txt')
  const headers = { ...as('mine'), 'x-litellm-model': keeper }
  const told = await fetch(`${gateway.url}/v1/files`, { method: 'POST', body: form, headers })
  return String(object(await told.json())['id'])
}

type Ask = [name: string, path: string, body: (id: string) => JsonObject, kind?: 'store']
const asks: Ask[] = [
  [
    'a file of a chat',
    '/v1/chat/completions',
    (file_id) => ({
      model: 'm',
      messages: [{ role: 'user', content: [{ type: 'file', file: { file_id } }] }],
    }),
  ],
  [
    'a file of Responses',
    '/v1/responses',
    (file_id) => ({
      model: 'm',
      input: [{ role: 'user', content: [{ type: 'input_file', file_id }] }],
    }),
  ],
  [
    'a picture of Responses',
    '/v1/responses',
    (file_id) => ({
      model: 'm',
      input: [{ role: 'user', content: [{ type: 'input_image', file_id }] }],
    }),
  ],
  [
    'a file that a tool answers with',
    '/v1/responses',
    (file_id) => ({
      model: 'm',
      input: [
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_file', file_id }] },
      ],
    }),
  ],
  [
    'a store to search',
    '/v1/responses',
    (id) => ({ model: 'm', input: 'q', tools: [{ type: 'file_search', vector_store_ids: [id] }] }),
    'store',
  ],
  [
    'a file of a container',
    '/v1/responses',
    (id) => ({
      model: 'm',
      input: 'q',
      tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [id] } }],
    }),
  ],
  [
    'a document of Messages',
    '/v1/messages',
    (file_id) => ({
      model: 'claude',
      max_tokens: 9,
      messages: [
        { role: 'user', content: [{ type: 'document', source: { type: 'file', file_id } }] },
      ],
    }),
  ],
]

describe('what a conversation names', () => {
  for (const [name, path, body, kind] of asks)
    test(`${name}: its maker's is sent by the provider's id, another's is not there`, async () => {
      const id = kind === 'store' ? store : file
      const bare = kind === 'store' ? /^vs_\d+own$/ : /^file-\d+own$/
      const own = await gateway.post(path, body(id), as('mine'))
      equal(own.status, 200, await own.clone().text())
      const [, sent] =
        /"(?:file_id|file_ids|vector_store_ids)":\[?"([^"]*)"/.exec(provider.last().text) ?? []
      match(sent ?? '', bare)
      provider.asked.length = 0
      for (const said of [id, sent ?? '', 'file-of-nobody']) {
        const refused = await gateway.post(path, body(said), as('theirs'))
        const text = await refused.text()
        equal(refused.status, 404, text)
        match(text, /there is nothing of the id/)
      }
      deepEqual(provider.asked, [])
      equal((await gateway.post(path, body(id), as('master'))).status, 200)
    })

  test('in letters written otherwise is found too', async () => {
    const said = `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"fil\\u0065_id":"${file}"}}]}]}`
    equal((await gateway.post('/v1/chat/completions', said, as('theirs'))).status, 404)
    deepEqual(provider.asked, [])
  })

  test('is asked of the deployment that keeps it', async () => {
    const [, path, body] = asks[0] ?? ['', '', () => ({})]
    for (let times = 0; times < 6; times++) {
      await gateway.post(path, body(file), as('mine'))
      equal(provider.last().json['model'], 'gpt-5-mini')
    }
  })

  test('the rest of the body stays as it is written', async () => {
    const said = `{"model":"m", "x": 1.0,"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"${file}"}}]}]}`
    await gateway.post('/v1/chat/completions', said, as('mine'))
    match(provider.last().text, /"x": 1\.0/)
  })

  test('a container of another’s is not there; one that an answer made is', async () => {
    const made = await gateway.post(
      '/v1/containers',
      { name: 'n' },
      { ...as('mine'), 'x-litellm-model': 'row-1' },
    )
    const id = String(object(await made.json())['id'])
    const body = (container: string) => ({
      model: 'm',
      input: 'q',
      tools: [{ type: 'code_interpreter', container }],
    })
    equal((await gateway.post('/v1/responses', body(id), as('theirs'))).status, 404)
    equal((await gateway.post('/v1/responses', body(id), as('mine'))).status, 200)
    equal(
      (await gateway.post('/v1/responses', body('cntr_of_an_answer'), as('theirs'))).status,
      200,
    )
  })

  test('a store of the config is there for who may use it', async () => {
    const body = {
      model: 'm',
      input: 'q',
      tools: [{ type: 'file_search', vector_store_ids: ['vs_handbook'] }],
    }
    equal((await gateway.post('/v1/responses', body, as('theirs'))).status, 200)
    equal((await gateway.post('/v1/responses', body, as('bound'))).status, 403)
  })

  test('what is cited, and arguments and schemas of tools, name nothing', async () => {
    const annotations = [
      { type: 'file_citation', file_id: 'file-of-the-operator', index: 0, filename: 'a' },
    ]
    const responses = {
      model: 'm',
      input: [
        {
          type: 'message',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'x', annotations }],
        },
        {
          type: 'file_search_call',
          id: 'fs_1',
          status: 'completed',
          queries: ['q'],
          results: [{ file_id: 'file-of-the-operator' }],
        },
        { role: 'user', content: 'and?' },
      ],
    }
    const messages = {
      model: 'claude',
      max_tokens: 9,
      messages: [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 't', name: 'read', input: { file_id: 'client-1' } }],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'ok' }] },
      ],
      tools: [
        {
          name: 'read',
          input_schema: { type: 'object', properties: { file_id: { type: 'string' } } },
        },
      ],
    }
    equal((await gateway.post('/v1/responses', responses, as('theirs'))).status, 200)
    equal((await gateway.post('/v1/messages', messages, as('theirs'))).status, 200)
  })

  test('is looked at where tokens are counted, too', async () => {
    for (const [at, count] of [
      [1, '/v1/responses/input_tokens'],
      [6, '/v1/messages/count_tokens'],
    ] as const) {
      const [, , body] = asks[at] ?? ['', '', () => ({})]
      equal((await gateway.post(count, body(file), as('theirs'))).status, 404, count)
      deepEqual(provider.asked, [])
      await gateway.post(count, body(file), as('mine'))
      match(provider.last().text, /"file_id":"file-\d+own"/)
      provider.asked.length = 0
    }
  })

  test('an id that was made up leads nowhere', async () => {
    const [, path, body] = asks[0] ?? ['', '', () => ({})]
    const forged = keptId('file-1own', 'provider:openai')
    equal((await gateway.post(path, body(forged), as('theirs'))).status, 404)
  })
})
