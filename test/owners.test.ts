import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type Json, type JsonObject, list, object, text } from '../src/json/json.ts'
import { readKept } from '../src/wire/media/resource.ts'
import { type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import { fileScope, type Provider, sse, startProvider, stream, whole } from './support/provider.ts'
import { makeKey, masterKey } from './support/spending.ts'

/** Whose the things are that a provider keeps: all callers share the gateway's account there. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway
const keys: Record<string, string> = { master: masterKey }
/** What the provider keeps, by its own ids, the newest first. */
const kept: JsonObject[] = []

before(async () => {
  provider = await startProvider(scope, ({ method, path, json }) => {
    const url = new URL(path, 'http://provider')
    const [, , kind = '', id, more] = url.pathname.split('/')
    if (method === 'POST' && url.pathname.endsWith('/threads/runs'))
      return stream(sse([{ id: 'run_1', object: 'thread.run', thread_id: 'thread_streamed' }]))
    if (method === 'POST' && id === undefined) {
      const prefix = { files: 'file', batches: 'batch', vector_stores: 'vs' }[kind] ?? kind
      const made = {
        id: `${prefix}-${kept.length + 1}`,
        object: kind,
        status: 'completed',
        ...(kind === 'batches' && {
          input_file_id: json['input_file_id'] ?? null,
          output_file_id: `file-out-of-${kept.length + 1}`,
        }),
      }
      kept.unshift(made)
      return whole(made)
    }
    if (more === 'content') return whole('{"secret":"line"}\n')
    if (id !== undefined) return whole({ id, object: kind, status: 'completed' })
    const all = kept.filter(({ object }) => object === kind)
    const limit = Number(url.searchParams.get('limit') ?? 20)
    const after = url.searchParams.get('after')
    const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1
    const data = all.slice(from, from + limit)
    return whole({
      object: 'list',
      data,
      first_id: data[0]?.['id'] ?? null,
      last_id: data.at(-1)?.['id'] ?? null,
      has_more: from + limit < all.length,
    })
  })
  gateway = await startGateway(scope, {
    models: [
      openaiRow('mini', provider, { model: 'openai/gpt-4o-mini' }, { id: 'mini-row' }),
      openaiRow('big', provider, { model: 'openai/gpt-5' }, { id: 'big-row' }),
    ],
    general: { master_key: masterKey },
    env: { OPENAI_API_KEY: 'sk-openai-credential', OPENAI_BASE_URL: provider.base },
  })
  const manage = (path: string, body: JsonObject) =>
    gateway.post(path, body, { authorization: `Bearer ${masterKey}` })
  for (const user_id of ['ann', 'bob', 'vic'])
    await manage('/user/new', {
      user_id,
      user_role: user_id === 'vic' ? 'proxy_admin_viewer' : 'internal_user',
      auto_create_key: false,
    })
  await manage('/team/new', { team_id: 'team' })
  const make = async (name: string, more: JsonObject) => {
    keys[name] = await makeKey(gateway.url, more)
  }
  await make('ann', { user_id: 'ann' })
  await make('ann again', { user_id: 'ann' })
  await make('bob', { user_id: 'bob' })
  await make('viewer', { user_id: 'vic' })
  await make('nobody', {})
  await make('stranger', {})
  await make('team', { team_id: 'team' })
  await make('team too', { team_id: 'team' })
  await make('team, of mini', { team_id: 'team', models: ['mini'] })
})

const asked = async (
  who: string,
  method: string,
  path: string,
  body?: JsonObject,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: JsonObject; text: string }> => {
  const response = await fetch(gateway.url + path, {
    method,
    headers: {
      authorization: `Bearer ${keys[who]}`,
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const said = await response.text()
  let read: Json = {}
  try {
    read = JSON.parse(said)
  } catch {
    // A file's own lines.
  }
  return { status: response.status, body: object(read), text: said }
}

async function upload(who: string, headers: Record<string, string> = {}): Promise<string> {
  const form = new FormData()
  form.append('purpose', 'batch')
  form.append('file', new Blob(['{"body":{"model":"x"}}\n']), 'in.jsonl')
  const response = await fetch(`${gateway.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${keys[who]}`, ...headers },
    body: form,
  })
  const id = text(object(await response.json())['id']) ?? ''
  notEqual(id, '')
  return id
}
const own = (id: string): string => readKept(id)?.id ?? ''

describe('a file is its maker’s', () => {
  const whose: [maker: string, found: string[], hidden: string[]][] = [
    ['ann', ['ann', 'ann again', 'master', 'viewer'], ['bob', 'nobody', 'team']],
    ['nobody', ['nobody', 'master'], ['ann', 'stranger', 'team']],
    ['team', ['team', 'team too', 'master'], ['ann', 'nobody']],
    ['master', ['master', 'viewer'], ['ann', 'nobody', 'team']],
  ]
  for (const [maker, found, hidden] of whose)
    test(`made by ${maker}`, async () => {
      const id = await upload(maker)
      for (const who of found) {
        equal((await asked(who, 'GET', `/v1/files/${id}`)).status, 200, who)
        match((await asked(who, 'GET', `/v1/files/${id}/content`)).text, /secret/, who)
      }
      const before = provider.asked.length
      for (const who of hidden)
        for (const name of [id, own(id)])
          for (const [method, path] of [
            ['GET', `/v1/files/${name}`],
            ['GET', `/v1/files/${name}/content`],
            ['GET', `/openai/v1/files/${name}/content`],
            ['DELETE', `/v1/files/${name}`],
            ['GET', `/v1/vector_stores/${name}/files/anything`],
          ] as const) {
            const { status, body } = await asked(who, method, path)
            equal(status, 404, `${who} ${method} ${path}`)
            equal(object(body['error'])['type'], 'invalid_request_error')
          }
      equal(provider.asked.length, before, 'nothing of it was asked of the provider')
    })

  test('whoever may look only takes nothing away', async () => {
    const id = await upload('ann')
    equal((await asked('viewer', 'DELETE', `/v1/files/${id}`)).status, 404)
    equal((await asked('ann', 'DELETE', `/v1/files/${id}`)).status, 200)
    equal((await asked('ann', 'GET', `/v1/files/${id}`)).status, 404)
  })

  test('an id that says another keeper opens nothing', async () => {
    const id = own(await upload('ann'))
    const forged = Buffer.from(`litellm:${id};model,mini-row`).toString('base64url')
    equal((await asked('ann', 'GET', `/v1/files/file-${forged}`)).status, 404)
    equal((await asked('ann', 'GET', `/v1/files/${id}`)).status, 200, 'the provider’s own id does')
  })

  test('a key that was made anew finds what it made before', async () => {
    keys['old'] = await makeKey(gateway.url)
    const id = await upload('old')
    const { body } = await asked('master', 'POST', '/key/regenerate', { key: keys['old'] })
    keys['new'] = text(body['key']) ?? ''
    equal((await asked('new', 'GET', `/v1/files/${id}`)).status, 200)
  })

  test('a bound key finds what it sent to its model', async () => {
    const id = await upload('team, of mini', { 'x-litellm-model': 'mini' })
    equal((await asked('team, of mini', 'GET', `/v1/files/${id}`)).status, 200)
  })
})

describe('what is named in a body', () => {
  const bodies: [path: string, body: (id: string) => JsonObject][] = [
    ['/v1/batches', (id) => ({ input_file_id: id, endpoint: '/v1/chat/completions' })],
    ['/v1/vector_stores', (id) => ({ file_ids: [id] })],
    ['/v1/fine_tuning/jobs', (id) => ({ model: 'gpt-4o-mini', training_file: id })],
    [
      '/v1/threads',
      (id) => ({ messages: [{ role: 'user', content: 'x', attachments: [{ file_id: id }] }] }),
    ],
    [
      '/v1/assistants',
      (id) => ({ model: 'm', tool_resources: { file_search: { vector_store_ids: [id] } } }),
    ],
  ]
  for (const [path, body] of bodies)
    test(`${path}: another's is not there`, async () => {
      const id = await upload('ann')
      for (const name of [id, own(id)]) {
        const refused = await asked('bob', 'POST', path, body(name))
        equal(refused.status, 404, refused.text)
        equal((await asked('ann', 'POST', path, body(name))).status, 200)
      }
    })

  test('a batch whose requests name another’s file is of no use to who uploads it', async () => {
    const id = await upload('ann')
    const content = [{ type: 'file', file: { file_id: id } }]
    const body = { model: 'mini', messages: [{ role: 'user', content }] }
    const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body }
    const send = async (who: string, more: Record<string, string>) => {
      const form = new FormData()
      form.append('purpose', 'batch')
      form.append('file', new Blob([`${JSON.stringify(line)}\n`]), 'lines.jsonl')
      const headers = { authorization: `Bearer ${keys[who]}`, ...more }
      const response = await fetch(`${gateway.url}/v1/files`, {
        method: 'POST',
        body: form,
        headers,
      })
      return { status: response.status, file: object(await response.json()) }
    }
    for (const more of [{ 'x-litellm-model': 'mini' }, {}] as Record<string, string>[]) {
      const refused = await send('bob', more)
      deepEqual(
        [refused.status, object(refused.file['error'])['type']],
        [404, 'invalid_request_error'],
      )
      const orphan = `file-${kept.length}`
      equal((await asked('bob', 'GET', `/v1/files/${orphan}`)).status, 404)
      const own = await send('ann', more)
      equal(own.status, 200)
      // As the provider calls it.
      match(provider.last().text, new RegExp(`"file_id":"${readKept(id)?.id}"`))
      equal((await asked('ann', 'GET', `/v1/files/${own.file['id']}`)).status, 200)
    }
  })

  test('metadata names nothing', async () => {
    const said = { metadata: { file_id: 'whatever' } }
    equal((await asked('bob', 'POST', '/v1/vector_stores', said)).status, 200)
  })

  test('a batch of a bound key runs on a model it may use', async () => {
    const other = await upload('team too', { 'x-litellm-model': 'big' })
    const loose = await upload('team too')
    const fit = await upload('team too', { 'x-litellm-model': 'mini' })
    const run = (id: string) =>
      asked(
        'team, of mini',
        'POST',
        '/v1/batches',
        { input_file_id: id, endpoint: '/v1/chat/completions' },
        { 'x-litellm-model': 'mini' },
      )
    equal((await run(other)).status, 403)
    equal((await run(loose)).status, 403)
    equal((await run(fit)).status, 200)
  })
})

test('what comes of a batch is whose the batch is', async () => {
  const input = await upload('ann')
  const { body } = await asked('ann', 'POST', '/v1/batches', {
    input_file_id: input,
    endpoint: '/v1/chat/completions',
  })
  const id = text(body['id']) ?? ''
  equal((await asked('bob', 'GET', `/v1/batches/${id}`)).status, 404)
  equal((await asked('bob', 'POST', `/v1/batches/${id}/cancel`)).status, 404)
  const batches = (await asked('ann again', 'GET', '/v1/batches')).body
  equal(object(list(batches['data'])[0])['id'], id)
  const output = text(body['output_file_id']) ?? ''
  match((await asked('ann', 'GET', `/v1/files/${output}/content`)).text, /secret/)
  equal((await asked('bob', 'GET', `/v1/files/${output}/content`)).status, 404)
})

test('a thread that begins with a streamed run is found again', async () => {
  const { text: said } = await asked('ann', 'POST', '/v1/threads/runs', {
    assistant_id:
      text((await asked('ann', 'POST', '/v1/assistants', { model: 'm' })).body['id']) ?? '',
    stream: true,
  })
  const id = /"thread_id":"([^"]+)"/.exec(said)?.[1] ?? ''
  equal((await asked('ann', 'GET', `/v1/threads/${id}`)).status, 200)
  equal((await asked('bob', 'GET', `/v1/threads/${id}`)).status, 404)
})

describe('lists', () => {
  const listed = async (who: string, query = ''): Promise<JsonObject> =>
    (await asked(who, 'GET', `/v1/vector_stores${query}`)).body
  const idsOf = (page: JsonObject): string[] =>
    list(page['data']).map((one) => text(object(one)['id']) ?? '')

  test('show what is the caller’s, over as many pages as it takes', async () => {
    const make = async (who: string) =>
      text((await asked(who, 'POST', '/v1/vector_stores', { name: 'x' })).body['id']) ?? ''
    const first = await make('nobody')
    for (let n = 0; n < 25; n++) await make('stranger')
    const later = [await make('nobody'), await make('nobody')]
    deepEqual(idsOf(await listed('nobody')), [...later.reverse(), first])
    const page = await listed('nobody', '?limit=2')
    deepEqual(idsOf(page), later)
    equal(page['has_more'], true)
    equal(page['last_id'], later[1])
    const next = await listed('nobody', `?limit=2&after=${later[1]}`)
    deepEqual(idsOf(next), [first])
    equal(next['has_more'], false)
    const all = idsOf(await listed('master', '?limit=100'))
    ok(all.length >= 28 && all.includes(first))
  })

  test('and where there is nothing, nothing', async () => {
    keys['new one'] = await makeKey(gateway.url)
    const page = await listed('new one')
    deepEqual([page['data'], page['has_more'], page['first_id']], [[], false, null])
  })
})

test('without a master key this machine sees what nobody has made too', async () => {
  const open = await startGateway(scope, {
    env: { OPENAI_API_KEY: 'sk-openai-credential', OPENAI_BASE_URL: provider.base },
  })
  kept.unshift({ id: 'file-from-elsewhere', object: 'files' })
  equal((await open.get('/v1/files/file-from-elsewhere')).status, 200)
  const page = (await (await open.get('/v1/files')).json()) as JsonObject
  ok(list(page['data']).some((one) => own(text(object(one)['id']) ?? '') === 'file-from-elsewhere'))
})

describe('a provider’s own API knows the same owners', () => {
  const own = async (who: string): Promise<string> => {
    const { body } = await asked(who, 'POST', '/openai/v1/vector_stores', { name: 'x' })
    return text(body['id']) ?? ''
  }
  test('what was made there is found by its maker only, there and here', async () => {
    const id = await own('ann')
    for (const path of [`/openai/v1/vector_stores/${id}`, `/v1/vector_stores/${id}`]) {
      equal((await asked('ann again', 'GET', path)).status, 200, path)
      equal((await asked('master', 'GET', path)).status, 200, path)
      const before = provider.asked.length
      const { status, body } = await asked('bob', 'GET', path)
      deepEqual([status, object(body['error'])['type']], [404, 'invalid_request_error'], path)
      equal(provider.asked.length, before)
    }
    equal((await asked('bob', 'GET', `/openai/v1/vector_stores/${id}/files`)).status, 404)
    equal((await asked('bob', 'POST', `/openai/v1/vector_stores/${id}/search`, {})).status, 404)
    equal((await asked('bob', 'DELETE', `/openai/v1/vector_stores/${id}`)).status, 404)
    equal((await asked('ann', 'DELETE', `/openai/v1/vector_stores/${id}`)).status, 200)
    equal((await asked('ann', 'GET', `/openai/v1/vector_stores/${id}`)).status, 404)
  })

  test('lists show what is the caller’s', async () => {
    keys['newest'] = await makeKey(gateway.url)
    const id = await own('newest')
    await own('ann')
    const listed = async (who: string): Promise<unknown[]> =>
      list((await asked(who, 'GET', '/openai/v1/vector_stores?limit=100')).body['data']).map(
        (one) => object(one)['id'],
      )
    deepEqual(await listed('newest'), [id])
    ok((await listed('master')).length > 2)
  })

  test('a body that names another’s file is refused, and passes untouched otherwise', async () => {
    const id = readKept(await upload('ann'))?.id ?? ''
    const said = { file_ids: [id], name: 'ü' }
    equal((await asked('bob', 'POST', '/openai/v1/vector_stores', said)).status, 404)
    equal((await asked('ann', 'POST', '/openai/v1/vector_stores', said)).status, 200)
    equal(provider.last().text, JSON.stringify(said))
  })

  test('a conversation that names another’s file is refused there too', async () => {
    const form = new FormData()
    form.append('purpose', 'user_data')
    form.append('file', new Blob(['x']), 'x.txt')
    const headers = { authorization: `Bearer ${keys['ann']}` }
    const made = await fetch(`${gateway.url}/openai/v1/files`, {
      method: 'POST',
      body: form,
      headers,
    })
    const { id } = object(await made.json())
    const part = { type: 'file', file: { file_id: id } }
    const said = { model: 'gpt-5', messages: [{ role: 'user', content: [part] }] }
    const before = provider.asked.length
    equal((await asked('bob', 'POST', '/openai/v1/chat/completions', said)).status, 404)
    equal(provider.asked.length, before)
    equal((await asked('ann', 'POST', '/openai/v1/chat/completions', said)).status, 200)
    equal(provider.last().text, JSON.stringify(said))
  })

  test('a thing of the same id elsewhere is another thing', async () => {
    const id = readKept(await upload('ann'))?.id ?? ''
    // Whoever has a provider of its own may have it say any id.
    await gateway.running.rooms.books?.store.db.query
      .insertInto('owned')
      .values({
        id,
        keeper: 'mini-row',
        key_id: 'k',
        owner: 'user:bob',
        team_id: null,
        model: 'mini',
        at: 0,
      })
      .execute()
    equal((await asked('bob', 'GET', `/openai/v1/vector_stores/${id}`)).status, 404)
    equal((await asked('ann', 'GET', `/openai/v1/vector_stores/${id}`)).status, 200)
  })
})
