import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { createResource, readKept } from './resource.ts'
import {
  decodeFilter,
  googleFilter,
  milvusFilter,
  odataFilter,
  searchFilter,
  writeFilter,
} from './store-filters.ts'
import { isStoreWire } from './store-wires.ts'

const vector = [0.5, -1]
type Ask = { method?: 'GET' | 'POST' | 'DELETE'; path: string; query?: string }
const kept = ({ method = 'POST', path, query = '' }: Ask) =>
  createResource({ id: 'vector_stores', method, path, query, live: false, model: false, vector })

/** One request, and what each of the provider's answers is. */
const run = (
  wire: string,
  ask: Ask,
  body: JsonObject,
  answers: readonly Json[],
  { model = 'm', base = 'https://p', ...values }: Record<string, string> = {},
) => {
  const target = { ...targetOf(wire, model), values }
  const told = converse(
    kept(ask),
    wire,
    target,
    body,
    answers.map((one) => [answered(one)]),
  )
  const urls = told.sent.map(
    ({ method = 'POST', path, address }) => `${method} ${address?.(base) ?? path}`,
  )
  return { ...told, urls }
}

type Row = {
  name: string
  wire: string
  values?: Record<string, string>
  store?: string
  ask: JsonObject
  url: string
  body: Json
  answer: Json
  hit: Json
  next?: string
}

const compound: Json = {
  type: 'and',
  filters: [
    { type: 'eq', key: 'team', value: 'a"b' },
    {
      type: 'or',
      filters: [
        { type: 'gte', key: 'year', value: 2025 },
        { type: 'in', key: 'kind', value: ['x', 'y'] },
      ],
    },
  ],
}

const searches: Row[] = [
  {
    name: 'a knowledge base, with filters and settings of its own',
    wire: 'bedrock',
    values: { base: 'https://bedrock-runtime.eu-west-1.amazonaws.com' },
    store: 'KB12345678',
    ask: {
      max_num_results: 3,
      filters: compound,
      retrievalConfiguration: { vectorSearchConfiguration: { overrideSearchType: 'HYBRID' } },
      userContext: { userId: 'u' },
    },
    url: 'POST https://bedrock-agent-runtime.eu-west-1.amazonaws.com/knowledgebases/KB12345678/retrieve',
    body: {
      userContext: { userId: 'u' },
      retrievalQuery: { text: 'q' },
      retrievalConfiguration: {
        vectorSearchConfiguration: {
          overrideSearchType: 'HYBRID',
          numberOfResults: 3,
          filter: {
            andAll: [
              { equals: { key: 'team', value: 'a"b' } },
              {
                orAll: [
                  { greaterThanOrEquals: { key: 'year', value: 2025 } },
                  { in: { key: 'kind', value: ['x', 'y'] } },
                ],
              },
            ],
          },
        },
      },
    },
    answer: {
      nextToken: 'more',
      retrievalResults: [
        {
          content: { type: 'TEXT', text: 'T' },
          location: { type: 'S3', s3Location: { uri: 's3://b/dir/doc.pdf' } },
          metadata: { team: 'a' },
          score: 0.7,
        },
      ],
    },
    hit: {
      file_id: 's3://b/dir/doc.pdf',
      filename: 'doc.pdf',
      score: 0.7,
      attributes: { team: 'a' },
      content: [{ type: 'text', text: 'T' }],
    },
    next: 'more',
  },
  {
    name: 'a knowledge base, in AWS’s own words, of pictures',
    wire: 'bedrock',
    values: { agent_runtime_endpoint: 'https://own/' },
    store: 'KB',
    ask: { filters: { startsWith: { key: 'k', value: 'v' } } },
    url: 'POST https://own/knowledgebases/KB/retrieve',
    body: {
      retrievalQuery: { text: 'q' },
      retrievalConfiguration: {
        vectorSearchConfiguration: { filter: { startsWith: { key: 'k', value: 'v' } } },
      },
    },
    answer: {
      retrievalResults: [
        {
          content: { type: 'IMAGE', byteContent: 'data:' },
          metadata: { 'x-amz-bedrock-kb-chunk-id': 'c1', 'x-amz-bedrock-kb-data-source-id': 'd1' },
        },
      ],
    },
    hit: {
      file_id: 'bedrock-kb-c1',
      filename: 'bedrock-kb-document-d1',
      score: null,
      attributes: { 'x-amz-bedrock-kb-chunk-id': 'c1', 'x-amz-bedrock-kb-data-source-id': 'd1' },
      content: [],
    },
  },
  {
    name: 'a file search store, through a model',
    wire: 'gemini',
    values: { model: 'gemini-2.5-flash' },
    store: 'vs_docs-1',
    ask: { max_num_results: 2, filters: compound },
    url: 'POST /models/gemini-2.5-flash:generateContent',
    body: {
      contents: [{ role: 'user', parts: [{ text: 'q' }] }],
      tools: [
        {
          fileSearch: {
            fileSearchStoreNames: ['fileSearchStores/docs-1'],
            topK: 2,
            metadataFilter: '(team = "a\\"b" AND (year >= 2025 OR (kind = "x" OR kind = "y")))',
          },
        },
      ],
    },
    answer: {
      usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 7, totalTokenCount: 12 },
      candidates: [
        {
          groundingMetadata: {
            groundingChunks: [
              {
                retrievedContext: {
                  text: 'T',
                  title: 'a.pdf',
                  customMetadata: [{ key: 'year', numericValue: 2025 }],
                },
              },
              { web: { uri: 'https://w' } },
            ],
            groundingSupports: [{ groundingChunkIndices: [0, 1], confidenceScores: [0.5, 0.9] }],
          },
        },
      ],
    },
    hit: {
      file_id: 'a.pdf',
      filename: 'a.pdf',
      score: 0.5,
      attributes: { year: 2025 },
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'a RAG corpus',
    wire: 'vertex',
    values: {
      base: 'https://eu-aiplatform/v1/projects/p-1/locations/europe-west4/publishers/google',
      project: 'p-1',
      location: 'europe-west4',
    },
    store: 'projects/p-1/locations/europe-west4/ragCorpora/77',
    ask: { max_num_results: 2, filters: 'x = 1', ranking_options: { score_threshold: 0.4 } },
    url: 'POST https://eu-aiplatform/v1/projects/p-1/locations/europe-west4:retrieveContexts',
    body: {
      vertexRagStore: {
        ragResources: [{ ragCorpus: 'projects/p-1/locations/europe-west4/ragCorpora/77' }],
      },
      query: {
        text: 'q',
        ragRetrievalConfig: {
          topK: 2,
          filter: { metadataFilter: 'x = 1', vectorSimilarityThreshold: 0.4 },
        },
      },
    },
    answer: {
      contexts: {
        contexts: [
          {
            text: 'T',
            sourceUri: 'gs://b/doc.txt',
            sourceDisplayName: 'doc.txt',
            score: 0.3,
            chunk: { text: 'T', pageSpan: { firstPage: 1, lastPage: 2 } },
          },
        ],
      },
    },
    hit: {
      file_id: 'gs://b/doc.txt',
      filename: 'doc.txt',
      score: 0.3,
      attributes: {
        sourceUri: 'gs://b/doc.txt',
        sourceDisplayName: 'doc.txt',
        pageSpan: { firstPage: 1, lastPage: 2 },
      },
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'Vertex AI Search, a data store',
    wire: 'vertex',
    values: {
      model: 'search_api',
      base: 'https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1/publishers/google',
      search_location: 'eu',
    },
    store: 'store-1',
    ask: {
      filters: { type: 'nin', key: 'kind', value: ['x', 'y'] },
      contentSearchSpec: { searchResultMode: 'CHUNKS' },
    },
    url: 'POST https://eu-discoveryengine.googleapis.com/v1/projects/p-1/locations/eu/collections/default_collection/dataStores/store-1/servingConfigs/default_config:search',
    body: {
      query: 'q',
      pageSize: 10,
      contentSearchSpec: { searchResultMode: 'CHUNKS' },
      filter: 'NOT kind: ANY("x", "y")',
    },
    answer: {
      nextPageToken: 'more',
      results: [
        {
          chunk: {
            id: 'c1',
            name: 'projects/p/documents/d-1/chunks/c1',
            content: 'T',
            relevanceScore: 0.8,
            documentMetadata: { uri: 'https://u', title: 'Title' },
            pageSpan: { pageStart: 1, pageEnd: 1 },
          },
        },
      ],
    },
    hit: {
      file_id: 'https://u',
      filename: 'Title',
      score: 0.8,
      attributes: {
        document_id: 'd-1',
        chunk_id: 'c1',
        link: 'https://u',
        title: 'Title',
        pageSpan: { pageStart: 1, pageEnd: 1 },
      },
      content: [{ type: 'text', text: 'T' }],
    },
    next: 'more',
  },
  {
    name: 'Vertex AI Search, an app, whose documents say most in their segments',
    wire: 'vertex',
    values: {
      model: 'search_api',
      base: 'https://p/v1/projects/p-1/locations/us-central1',
      search_engine: 'app-1',
    },
    store: 'any',
    ask: {},
    url: 'POST https://p/v1/projects/p-1/locations/global/collections/default_collection/engines/app-1/servingConfigs/default_serving_config:search',
    body: { query: 'q', pageSize: 10 },
    answer: {
      results: [
        {
          id: 'd-1',
          document: {
            structData: { a: 1 },
            derivedStructData: {
              title: 'Title',
              snippets: [{ snippet: 'short' }],
              extractive_segments: [{ content: 'A' }, { content: 'B' }],
            },
          },
          modelScores: { relevance_score: { values: [0.6] } },
        },
      ],
    },
    hit: {
      file_id: 'd-1',
      filename: 'Title',
      score: 0.6,
      attributes: { document_id: 'd-1', title: 'Title', structData: { a: 1 } },
      content: [{ type: 'text', text: 'A\n\nB' }],
    },
  },
  {
    name: 'an index of S3 Vectors',
    wire: 's3-vectors',
    store: 'bucket:index',
    ask: { max_num_results: 4, filters: compound },
    url: 'POST /QueryVectors',
    body: {
      vectorBucketName: 'bucket',
      indexName: 'index',
      queryVector: { float32: vector },
      topK: 4,
      filter: {
        $and: [
          { team: { $eq: 'a"b' } },
          { $or: [{ year: { $gte: 2025 } }, { kind: { $in: ['x', 'y'] } }] },
        ],
      },
      returnDistance: true,
      returnMetadata: true,
    },
    answer: {
      vectors: [
        { key: 'v1', distance: 0.25, metadata: { source_text: 'T', filename: 'a.txt', n: 1 } },
      ],
    },
    hit: {
      file_id: 'v1',
      filename: 'a.txt',
      score: 0.75,
      attributes: { source_text: 'T', filename: 'a.txt', n: 1 },
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'a collection of Milvus: its database and partitions are the row’s',
    wire: 'milvus',
    values: { database: 'db', partitions: '["p1","p2"]', vector_field: 'v', text_field: 'body' },
    store: 'books',
    ask: { max_num_results: 5, filters: compound, filter: 'a > 1', outputFields: ['body'] },
    url: 'POST /v2/vectordb/entities/search',
    body: {
      annsField: 'v',
      limit: 5,
      outputFields: ['body'],
      filter: '(a > 1) and ((team == "a\\"b" and (year >= 2025 or kind in ["x", "y"])))',
      collectionName: 'books',
      data: [vector],
      dbName: 'db',
      partitionNames: ['p1', 'p2'],
    },
    answer: { code: 0, data: [{ id: 7, distance: 0.9, body: 'T', v: [1], year: 2025 }] },
    hit: {
      file_id: '7',
      filename: null,
      score: 0.9,
      attributes: { year: 2025 },
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'an index of Azure AI Search',
    wire: 'azure-search',
    store: 'my-index',
    ask: { filters: { type: 'eq', key: 'team', value: "a'b" }, select: 'id,content,year' },
    url: 'POST /indexes/my-index/docs/search?api-version=2024-07-01',
    body: {
      select: 'id,content,year',
      vectorQueries: [{ kind: 'vector', vector, fields: 'contentVector', k: 10 }],
      top: 10,
      filter: "team eq 'a''b'",
    },
    answer: {
      value: [{ id: 'd1', content: 'T', '@search.score': 0.9, contentVector: [1], year: 2025 }],
    },
    hit: {
      file_id: 'd1',
      filename: 'Document d1',
      score: 0.9,
      attributes: { year: 2025, document_id: 'd1' },
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'MongoDB, by the server beside it',
    wire: 'mongodb',
    values: { database: 'films', collection: 'plots' },
    store: 'idx',
    ask: { max_num_results: 20 },
    url: 'POST /v1/vector_stores/idx/search',
    body: {
      query: 'q',
      query_vector: vector,
      mongodb_database: 'films',
      mongodb_collection: 'plots',
      mongodb_embedding_field: 'embedding',
      mongodb_text_field: 'text',
      mongodb_num_candidates: 200,
      max_num_results: 20,
      timeout_ms: 30_000,
    },
    answer: {
      data: [{ score: 0.4, content: [{ type: 'text', text: 'T' }], file_id: 'f', filename: null }],
    },
    hit: {
      file_id: 'f',
      filename: null,
      score: 0.4,
      attributes: {},
      content: [{ type: 'text', text: 'T' }],
    },
  },
  {
    name: 'a dataset of RAGFlow',
    wire: 'ragflow',
    store: 'vs_abc',
    ask: {
      max_num_results: 5,
      ranking_options: { score_threshold: 0.2 },
      filters: { type: 'ne', key: 'k', value: 'v' },
    },
    url: 'POST /api/v1/retrieval',
    body: {
      question: 'q',
      dataset_ids: ['abc'],
      page_size: 5,
      similarity_threshold: 0.2,
      metadata_condition: {
        logic: 'and',
        conditions: [{ name: 'k', comparison_operator: '≠', value: 'v' }],
      },
    },
    answer: {
      code: 0,
      data: {
        chunks: [
          { content: 'T', similarity: 0.6, document_id: 'd', document_keyword: 'd.pdf', id: 'c' },
        ],
      },
    },
    hit: {
      file_id: 'd',
      filename: 'd.pdf',
      score: 0.6,
      attributes: { id: 'c' },
      content: [{ type: 'text', text: 'T' }],
    },
  },
]

describe('a store is looked into in the provider’s words, and told in OpenAI’s', () => {
  for (const { name, wire, values, store = 's', ask, url, body, answer, hit, next } of searches)
    test(name, () => {
      const path = `/vector_stores/${encodeURIComponent(store)}/search`
      const told = run(wire, { path }, { query: 'q', ...ask }, [answer], values)
      deepEqual(told.urls, [url])
      deepEqual(told.bodies[0], body)
      deepEqual(told.json, {
        object: 'vector_store.search_results.page',
        search_query: 'q',
        data: [hit],
        has_more: next !== undefined,
        next_page: next ?? null,
      })
      deepEqual(told.dropped, [])
    })
})

test('a corpus whose project only the credential knows is asked for its name first', () => {
  const name = 'projects/found/locations/us-central1/ragCorpora/5'
  const { urls, bodies } = run(
    'vertex',
    { path: '/vector_stores/vs_5/search' },
    { query: ['q', 'r'] },
    [{ name }, { contexts: {} }],
    { base: 'https://p/v1/projects/{P}/locations/us-central1/publishers/google' },
  )
  equal(urls[0], 'GET https://p/v1/projects/{P}/locations/us-central1/ragCorpora/5')
  deepEqual(bodies[1], {
    vertexRagStore: { ragResources: [{ ragCorpus: name }] },
    query: { text: 'q r' },
  })
})

describe('what a store is, in OpenAI’s words', () => {
  const place = 'https://p/v1/projects/p-1/locations/l'
  const rows: [
    name: string,
    wire: string,
    ask: Ask,
    body: JsonObject,
    answers: Json[],
    urls: string[],
    told: JsonObject,
  ][] = [
    [
      'made at the Gemini API',
      'gemini',
      { path: '/vector_stores' },
      { name: 'Docs', custom_llm_provider: 'gemini' },
      [
        {
          name: 'fileSearchStores/docs-1',
          displayName: 'Docs',
          createTime: '2026-11-01T00:00:00Z',
        },
      ],
      ['POST /fileSearchStores'],
      {
        id: 'vs_docs-1',
        object: 'vector_store',
        name: 'Docs',
        created_at: 1793491200,
        status: 'completed',
      },
    ],
    [
      'found there, while files are read',
      'gemini',
      { method: 'GET', path: '/vector_stores/vs_docs-1' },
      {},
      [
        {
          name: 'fileSearchStores/docs-1',
          activeDocumentsCount: '2',
          pendingDocumentsCount: '1',
          sizeBytes: '9',
        },
      ],
      ['GET /fileSearchStores/docs-1'],
      {
        id: 'vs_docs-1',
        usage_bytes: 9,
        status: 'in_progress',
        file_counts: { in_progress: 1, completed: 2, failed: 0, cancelled: 0, total: 3 },
      },
    ],
    [
      'deleted there, with its files',
      'gemini',
      { method: 'DELETE', path: '/vector_stores/vs_docs-1' },
      {},
      [{}],
      ['DELETE /fileSearchStores/docs-1?force=true'],
      { id: 'vs_docs-1', object: 'vector_store.deleted', deleted: true },
    ],
    [
      'given a file there, once it is in',
      'gemini',
      { path: '/vector_stores/vs_docs-1/files' },
      { file_id: 'file_f-1', attributes: { year: 2025, kind: 'x' } },
      [
        { name: 'fileSearchStores/docs-1/operations/o1' },
        {
          name: 'fileSearchStores/docs-1/operations/o1',
          done: true,
          response: { documentName: 'fileSearchStores/docs-1/documents/d1' },
        },
      ],
      ['POST /fileSearchStores/docs-1:importFile', 'GET /fileSearchStores/docs-1/operations/o1'],
      {
        id: 'file_d1',
        object: 'vector_store.file',
        vector_store_id: 'vs_docs-1',
        status: 'completed',
      },
    ],
    [
      'its files there',
      'gemini',
      { method: 'GET', path: '/vector_stores/vs_docs-1/files', query: 'limit=1' },
      {},
      [
        {
          documents: [
            { name: 'fileSearchStores/docs-1/documents/d1', state: 'STATE_FAILED' },
            { name: 'x/d2' },
          ],
        },
      ],
      ['GET /fileSearchStores/docs-1/documents?pageSize=20'],
      { object: 'list', first_id: 'file_d1', last_id: 'file_d1', has_more: true },
    ],
    [
      'made at Vertex AI, when its operation is over',
      'vertex',
      { path: '/vector_stores' },
      { name: 'Docs', description: 'd' },
      [
        { name: 'projects/p-1/locations/l/ragCorpora/9/operations/1' },
        {
          done: true,
          response: { name: 'projects/p-1/locations/l/ragCorpora/9', displayName: 'Docs' },
        },
      ],
      [`POST ${place}/ragCorpora`, `GET ${place}/ragCorpora/9/operations/1`],
      { id: 'vs_9', name: 'Docs' },
    ],
    [
      'listed at Vertex AI, behind one',
      'vertex',
      { method: 'GET', path: '/vector_stores', query: 'after=vs_1' },
      {},
      [
        { ragCorpora: [{ name: 'a/ragCorpora/1' }], nextPageToken: 't' },
        { ragCorpora: [{ name: 'a/ragCorpora/2', corpusStatus: { state: 'ERROR' } }] },
      ],
      [`GET ${place}/ragCorpora?pageSize=100`, `GET ${place}/ragCorpora?pageSize=100&pageToken=t`],
      { first_id: 'vs_2', has_more: false },
    ],
    [
      'found at Bedrock',
      'bedrock',
      { method: 'GET', path: '/vector_stores/KB1' },
      {},
      [{ knowledgeBase: { knowledgeBaseId: 'KB1', name: 'n', status: 'CREATING' } }],
      ['GET https://p/knowledgebases/KB1'],
      { id: 'KB1', name: 'n', status: 'in_progress' },
    ],
    [
      'made at RAGFlow, with what it alone knows',
      'ragflow',
      { path: '/vector_stores' },
      { name: 'n', metadata: { chunk_method: 'qa', else: 1 } },
      [{ code: 0, data: { id: 'abc', name: 'n', create_time: 1_700_000_000_123 } }],
      ['POST /api/v1/datasets'],
      { id: 'vs_abc', created_at: 1_700_000_000 },
    ],
  ]
  for (const [name, wire, ask, body, answers, urls, expected] of rows)
    test(name, () => {
      const told = run(wire, ask, body, answers, {
        base: wire === 'vertex' ? `${place}/publishers/google` : 'https://p',
      })
      deepEqual(told.urls, urls)
      for (const [key, value] of Object.entries(expected))
        deepEqual(bareOf(told.json[key]), value, key)
    })
  const bareOf = (value: Json | undefined): Json | undefined =>
    typeof value === 'string' ? (readKept(value)?.id ?? value) : value
})

describe('what is refused', () => {
  const rows: [
    name: string,
    wire: string,
    ask: Ask,
    body: JsonObject,
    answers: Json[],
    error: object,
  ][] = [
    ['no query', 'bedrock', { path: '/vector_stores/K/search' }, {}, [], { param: 'query' }],
    [
      'a list of nothing',
      'milvus',
      { path: '/vector_stores/K/search' },
      { query: [] },
      [],
      { param: 'query' },
    ],
    [
      'too many',
      'ragflow',
      { path: '/vector_stores/K/search' },
      { query: 'q', max_num_results: 51 },
      [],
      { param: 'max_num_results' },
    ],
    [
      'a store that climbs',
      'bedrock',
      { path: '/vector_stores/..%2Fx/search' },
      { query: 'q' },
      [],
      { kind: 'not_found' },
    ],
    [
      'a filter that is none',
      'milvus',
      { path: '/vector_stores/K/search' },
      { query: 'q', filters: { type: 'like', key: 'a', value: 'b' } },
      [],
      { param: 'filters' },
    ],
    [
      'a key that is more',
      'milvus',
      { path: '/vector_stores/K/search' },
      { query: 'q', filters: { type: 'eq', key: 'a or true', value: 'b' } },
      [],
      { param: 'filters' },
    ],
    [
      'what Bedrock does not do',
      'bedrock',
      { path: '/vector_stores' },
      { name: 'n' },
      [],
      { kind: 'not_offered', message: /search, list, retrieve$/ },
    ],
    [
      'an error of Milvus that came as a success',
      'milvus',
      { path: '/vector_stores/K/search' },
      { query: 'q' },
      [{ code: 100, message: "can't find collection" }],
      { kind: 'not_found', message: /collection/ },
    ],
    [
      'an error of RAGFlow',
      'ragflow',
      { path: '/vector_stores/K/search' },
      { query: 'q' },
      [{ code: 109, message: 'key' }],
      { kind: 'authentication' },
    ],
    [
      'an operation that failed',
      'vertex',
      { path: '/vector_stores' },
      {},
      [{ name: 'a/operations/1', done: true, error: { code: 7, message: 'no right' } }],
      { kind: 'permission', message: 'no right' },
    ],
  ]
  for (const [name, wire, ask, body, answers, error] of rows)
    test(name, () => {
      throws(
        () =>
          run(wire, ask, body, answers, {
            base: 'https://p/v1/projects/p/locations/l',
            project: 'p',
          }),
        error,
      )
    })
  test('a query without the vector that is looked for', () => {
    const bare = createResource({
      id: 'vector_stores',
      method: 'POST',
      path: '/vector_stores/K/search',
      query: '',
      live: false,
      model: false,
    })
    throws(
      () => converse(bare, 'milvus', targetOf('milvus', 'm'), { query: 'q' }, []),
      /litellm_embedding_model/,
    )
  })
})

test('no field of a body leads to another store, database or config', () => {
  const asks: [wire: string, more: JsonObject, answer: Json][] = [
    ['milvus', { dbName: 'other', partitionNames: ['x'], collectionName: 'x' }, { data: [] }],
    ['vertex', { servingConfig: 'x', branch: 'y', dataStoreSpecs: [] }, { results: [] }],
    ['bedrock', { knowledgeBaseId: 'x' }, {}],
  ]
  for (const [wire, more, answer] of asks) {
    const { dropped, bodies } = run(
      wire,
      { path: '/vector_stores/K/search' },
      { query: 'q', ...more },
      [answer],
      { model: 'search_api', project: 'p' },
    )
    deepEqual(dropped, Object.keys(more))
    for (const name of Object.keys(more))
      ok(
        !JSON.stringify(bodies[0]).includes(`"${name}":"x"`) &&
          !/other/.test(JSON.stringify(bodies)),
      )
  }
})

test('LiteLLM’s spelling of filters is understood', () => {
  deepEqual(decodeFilter({ and: [{ operator: 'eq', key: 'a', value: 1 }] }), {
    type: 'and',
    filters: [{ type: 'eq', key: 'a', value: 1 }],
  })
})

test('no value of a filter leaves its quotes', () => {
  const grammars = { googleFilter, searchFilter, milvusFilter, odataFilter }
  const unquoted = (said: string, sign: string) =>
    sign === "'" ? said.replace(/'(?:[^']|'')*'/g, '') : said.replace(/"(?:[^"\\]|\\.)*"/g, '')
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('eq', 'ne', 'in', 'nin'), (value, type) => {
      const isList = type === 'in' || type === 'nin'
      const filter = decodeFilter({ type, key: 'k', value: isList ? [value] : value })
      const plain = decodeFilter({ type, key: 'k', value: isList ? ['v'] : 'v' })
      for (const [name, grammar] of Object.entries(grammars)) {
        const sign = name === 'odataFilter' ? "'" : '"'
        if (!filter || !plain) throw new Error('no filter')
        equal(
          unquoted(writeFilter(filter, grammar), sign),
          unquoted(writeFilter(plain, grammar), sign),
        )
      }
    }),
  )
})

test('names of ways are own ones', () => {
  deepEqual(
    [isStoreWire('gemini'), isStoreWire('__proto__'), isStoreWire('openai')],
    [true, false, false],
  )
})
