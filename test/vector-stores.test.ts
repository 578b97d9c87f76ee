import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, beforeEach, describe, test } from 'node:test'
import OpenAI from 'openai'
import { type JsonObject, list, object, text } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  type Asked,
  fileScope,
  type Provider,
  startProvider,
  type Told,
  whole,
} from './support/provider.ts'
import { makeKey, masterKey } from './support/spending.ts'

/** Vector stores of providers with other words than OpenAI's: those of the config, and those that keys make. */
const scope = fileScope()
let provider: Provider
let gateway: Gateway
const keys: Record<string, string> = { master: masterKey }
const entries: Entry[] = []
/** Stores at the Gemini API, by how many there are. */
let stores = 0

before(async () => {
  provider = await startProvider(scope, answer)
  const { origin, base } = provider
  gateway = await startGateway(scope, {
    general: { master_key: masterKey },
    models: [
      openaiRow('vectors', provider, { model: 'openai/text-embedding-3-small' }, { id: 'row-v' }),
      openaiRow('other', provider),
      {
        model_name: 'studio',
        litellm_params: {
          model: 'gemini/gemini-2.5-flash',
          api_base: `${origin}/v1beta`,
          api_key: 'g-key',
        },
        model_info: { id: 'row-of-studio' },
      },
    ],
    sections: {
      credential_list: [
        {
          credential_name: 'aws',
          credential_values: {
            aws_access_key_id: 'AKIDEXAMPLE',
            aws_secret_access_key: 'a-secret-of-aws',
          },
          credential_info: {},
        },
      ],
      vector_store_registry: [
        {
          vector_store_name: 'handbook',
          litellm_params: {
            vector_store_id: 'KB12345678',
            custom_llm_provider: 'bedrock',
            litellm_credential_name: 'aws',
            aws_region_name: 'eu-west-1',
            api_base: `${origin}/agents`,
            input_cost_per_query: 0.002,
          },
        },
        {
          vector_store_name: 'books',
          litellm_params: {
            vector_store_id: 'books',
            custom_llm_provider: 'milvus',
            api_base: `${origin}/milvus`,
            api_key: 'm-key',
            litellm_embedding_model: 'vectors',
            milvus_text_field: 'body',
            milvus_partition_names: ['ours'],
          },
        },
        {
          vector_store_name: 'plans',
          litellm_params: {
            vector_store_id: 'plans',
            custom_llm_provider: 'azure_ai',
            api_base: `${origin}/azure`,
            api_key: 'a-key',
            litellm_embedding_model: 'openai/text-embedding-3-large',
            litellm_embedding_config: { api_base: base, api_key: 'sk-of-the-store' },
          },
        },
        {
          vector_store_name: 'pg',
          litellm_params: {
            vector_store_id: 'vs-of-pg',
            custom_llm_provider: 'pg_vector',
            api_base: `${origin}/pg`,
            api_key: 'p-key',
          },
        },
      ],
    },
  })
  const { ledger } = gateway.running.rooms
  const { record } = ledger
  ledger.record = (entry) => {
    entries.push(entry)
    return record(entry)
  }
  const make = async (name: string, more: JsonObject) => {
    keys[name] = await makeKey(gateway.url, more)
  }
  await make('any', {})
  await make('second', {})
  await make('bound', { models: ['other'] })
  await make('granted', { object_permission: { vector_stores: ['books'] } })
})

beforeEach(() => {
  provider.asked.length = 0
  entries.length = 0
  refusal = undefined
})

function answer({ path, method, json }: Asked): Told {
  const { pathname } = new URL(path, 'http://p')
  if (refusal && !pathname.endsWith('/embeddings')) return refusal
  if (pathname.endsWith('/embeddings'))
    return whole({
      object: 'list',
      model: json['model'] ?? null,
      data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
      usage: { prompt_tokens: 3, total_tokens: 3 },
    })
  if (pathname === '/agents/knowledgebases/KB12345678/retrieve')
    return whole({ retrievalResults: [{ content: { text: 'from the handbook' }, score: 0.5 }] })
  if (pathname === '/agents/knowledgebases/KB12345678')
    return whole({ knowledgeBase: { knowledgeBaseId: 'KB12345678', status: 'ACTIVE' } })
  if (pathname === '/milvus/v2/vectordb/entities/search')
    return whole({ code: 0, data: [{ id: 1, distance: 0.9, body: 'from a book' }] })
  if (pathname === '/azure/indexes/plans/docs/search')
    return whole({ value: [{ id: 'd', content: 'from a plan', '@search.score': 0.8 }] })
  if (pathname === '/pg/v1/vector_stores/vs-of-pg/search')
    return whole({ object: 'vector_store.search_results.page', data: [{ content: [] }] })
  if (pathname === '/v1beta/fileSearchStores' && method === 'POST')
    return whole({ name: `fileSearchStores/mine-${++stores}` })
  if (pathname === '/v1beta/fileSearchStores')
    return whole({
      fileSearchStores: Array.from({ length: stores + 1 }, (_, at) => ({
        name: `fileSearchStores/mine-${at}`,
      })),
    })
  if (pathname.startsWith('/v1beta/fileSearchStores/'))
    return whole({ name: pathname.slice('/v1beta/'.length) })
  if (pathname.endsWith(':generateContent'))
    return whole({
      candidates: [
        {
          groundingMetadata: {
            groundingChunks: [{ retrievedContext: { text: 'mine', title: 't' } }],
          },
        },
      ],
      usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 100, totalTokenCount: 1100 },
    })
  return whole({ error: { message: `nothing at ${method} ${pathname}` } }, { status: 404 })
}

/** What is refused instead. */
let refusal: Told | undefined

const as = (name: string) => ({ authorization: `Bearer ${keys[name]}` })
const search = async (store: string, name = 'any', body: JsonObject = { query: 'q' }) => {
  const response = await gateway.post(`/v1/vector_stores/${store}/search`, body, as(name))
  return { status: response.status, json: object(await response.json()) }
}
const words = ({ json }: { json: JsonObject }) =>
  text(object(list(object(list(json['data'])[0])['content'])[0])['text'])

describe('a store of the config', () => {
  test('is looked into with its own credential, and paid for by the query', async () => {
    const found = await search('KB12345678')
    equal(found.status, 200)
    equal(words(found), 'from the handbook')
    match(
      provider.last().headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d+\/eu-west-1\/bedrock\//,
    )
    deepEqual(
      entries.map(({ operation, nanoDollars }) => [operation, nanoDollars]),
      [['vector_stores', 2_000_000]],
    )
  })
  test('is found by OpenAI’s SDK', async () => {
    const client = new OpenAI({
      apiKey: keys['any'] ?? '',
      baseURL: `${gateway.url}/v1`,
      maxRetries: 0,
    })
    const page = await client.vectorStores.search('KB12345678', { query: 'q', max_num_results: 3 })
    deepEqual(
      page.data.map(({ content }) => content[0]?.text),
      ['from the handbook'],
    )
    const store = await client.vectorStores.retrieve('KB12345678')
    deepEqual([store.id, store.status], ['KB12345678', 'completed'])
  })
  test('that knows vectors is asked with one, by a model of the config: both are requests of the key', async () => {
    const found = await search('books', 'any', { query: ['a', 'b'], dbName: undefined })
    equal(words(found), 'from a book')
    deepEqual(
      provider.asked.map(({ path }) => path),
      ['/v1/embeddings', '/milvus/v2/vectordb/entities/search'],
    )
    deepEqual(provider.asked[0]?.json['input'], ['a b'])
    const { data, partitionNames } = provider.last().json
    deepEqual([data, partitionNames], [[[0.5, -1]], ['ours']])
    deepEqual(
      entries.map(({ operation, model }) => [operation, model]),
      [
        ['embeddings', 'vectors'],
        ['vector_stores', 'books'],
      ],
    )
    equal(new Set(entries.map(({ requestId }) => requestId)).size, 2)
  })
  test('may have an embedding model of its own', async () => {
    equal(words(await search('plans')), 'from a plan')
    equal(provider.asked[0]?.headers.authorization, 'Bearer sk-of-the-store')
    equal(provider.asked[0]?.json['model'], 'text-embedding-3-large')
    equal(provider.last().headers['api-key'], 'a-key')
  })
  test('that speaks OpenAI’s words passes', async () => {
    equal((await search('vs-of-pg')).status, 200)
    equal(provider.last().headers.authorization, 'Bearer p-key')
  })
  test('is open to keys that are bound to models, and to no key that is bound to other stores', async () => {
    equal(words(await search('books', 'bound')), 'from a book')
    equal(words(await search('books', 'granted')), 'from a book')
    provider.asked.length = 0
    const refused = await search('KB12345678', 'granted')
    equal(refused.status, 403)
    match(JSON.stringify(refused.json), /object_permission\.vector_stores/)
    deepEqual(provider.asked, [])
  })
  test('is changed by administrators alone', async () => {
    const tried = await gateway.post('/v1/vector_stores/vs-of-pg', { name: 'n' }, as('any'))
    equal(tried.status, 403)
    deepEqual(provider.asked, [])
    await gateway.post('/v1/vector_stores/vs-of-pg', { name: 'n' }, as('master'))
    equal(provider.last().path, '/pg/v1/vector_stores/vs-of-pg')
  })
  const refusals: [store: string, status: number, said: JsonObject, told: number, why: RegExp][] = [
    [
      'KB12345678',
      404,
      { __type: 'ResourceNotFoundException', message: 'no base' },
      404,
      /no base/,
    ],
    ['KB12345678', 403, { message: 'not signed well' }, 403, /not signed well/],
    ['books', 200, { code: 1800, message: 'user is not there' }, 401, /user is not there/],
    ['plans', 404, { error: { code: '', message: 'no index' } }, 404, /no index/],
    ['plans', 429, { error: { message: 'slowly' } }, 429, /slowly/],
    ['vs-of-pg', 500, { detail: 'broken' }, 500, /./],
  ]
  for (const [store, status, said, told, why] of refusals)
    test(`${store} refuses with ${status}: told in OpenAI’s words, and free`, async () => {
      refusal = whole(said, { status })
      const { status: heard, json } = await search(store)
      equal(heard, told, JSON.stringify(json))
      match(text(object(json['error'])['message']) ?? '', why)
      equal(entries.filter(({ operation }) => operation === 'vector_stores').at(-1)?.nanoDollars, 0)
    })

  test('what a client may not choose is not sent on', async () => {
    const { status, json } = await search('books', 'any', {
      query: 'q',
      partitionNames: ['theirs'],
    })
    deepEqual([status, object(json['error'])['param']], [400, 'partitionNames'])
    const elsewhere = await search('books', 'any', { query: 'q', model: 'other' })
    equal(elsewhere.status, 200)
  })
})

describe('a store that a key makes at the Gemini API', () => {
  const made = async (name: string) => {
    const response = await gateway.post(
      '/v1/vector_stores',
      { name: 'mine' },
      { ...as(name), 'x-litellm-model': 'studio' },
    )
    return object(await response.json())
  }
  test('is its own, and looking into it is paid for as the model is', async () => {
    const { id } = await made('any')
    const mine = String(id)
    const found = await search(mine)
    equal(words(found), 'mine')
    equal(provider.last().path, '/v1beta/models/gemini-2.5-flash:generateContent')
    const last = entries.at(-1)
    deepEqual([last?.usage.input, last?.usage.output], [1000, 100])
    ok((last?.nanoDollars ?? 0) > 0)
    provider.asked.length = 0
    for (const path of ['', '/search'])
      equal(
        (path === ''
          ? await gateway.get(`/v1/vector_stores/${mine}`, as('second'))
          : await gateway.post(`/v1/vector_stores/${mine}${path}`, { query: 'q' }, as('second'))
        ).status,
        404,
      )
    deepEqual(provider.asked, [])
  })
  test('stands alone in its list', async () => {
    const { id } = await made('second')
    const response = await gateway.get('/v1/vector_stores?model=studio', as('second'))
    const { data, has_more } = object(await response.json())
    deepEqual(
      list(data).map((one) => object(one)['id']),
      [id],
    )
    equal(has_more, false)
  })
})

test('vector_store_deny_by_default: only who is granted a store finds it', async () => {
  const strict = await startGateway(scope, {
    general: { master_key: masterKey, vector_store_deny_by_default: true },
    sections: {
      vector_store_registry: [
        {
          litellm_params: {
            vector_store_id: 'vs-of-pg',
            custom_llm_provider: 'pg_vector',
            api_base: `${provider.origin}/pg`,
            api_key: 'p-key',
          },
        },
      ],
    },
  })
  const of = async (more: JsonObject) => {
    const key = await makeKey(strict.url, more)
    const path = '/v1/vector_stores/vs-of-pg/search'
    return (await strict.post(path, { query: 'q' }, { authorization: `Bearer ${key}` })).status
  }
  deepEqual(
    [await of({}), await of({ object_permission: { vector_stores: ['vs-of-pg'] } })],
    [403, 200],
  )
})
