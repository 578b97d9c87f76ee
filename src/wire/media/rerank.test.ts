import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { rerank } from './rerank.ts'

const ask = (more: JsonObject = {}): JsonObject => ({
  model: 'public',
  query: 'q',
  documents: ['a', { text: 'b' }],
  ...more,
})
const found = [
  [1, 0.9],
  [0, 0.2],
]

const rows: [
  name: string,
  wire: string,
  to: [provider: string, model: string],
  more: JsonObject,
  answer: Json,
  path: string,
  body: JsonObject,
  tokens: number | undefined,
][] = [
  [
    'watsonx',
    'watsonx',
    ['watsonx', 'ms-marco'],
    { top_n: 2 },
    {
      results: [
        { index: 1, score: 0.9 },
        { index: 0, score: 0.2 },
      ],
      input_token_count: 7,
    },
    '/ml/v1/text/rerank',
    {
      model_id: 'ms-marco',
      query: 'q',
      inputs: [{ text: 'a' }, { text: 'b' }],
      parameters: { return_options: { top_n: 2, inputs: false } },
    },
    7,
  ],
  [
    'Cohere speaks version 2',
    'cohere',
    ['cohere', 'rerank-v3.5'],
    {},
    {
      id: 'r',
      results: [
        { index: 1, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.2 },
      ],
      meta: { billed_units: { search_units: 2 } },
    },
    '/v2/rerank',
    { model: 'rerank-v3.5', query: 'q', documents: ['a', { text: 'b' }] },
    undefined,
  ],
  [
    'Cohere speaks version 1 where documents are wanted back',
    'cohere',
    ['cohere', 'm'],
    { return_documents: true },
    {
      results: [
        { index: 1, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.2 },
      ],
    },
    '/v1/rerank',
    { model: 'm', query: 'q', documents: ['a', { text: 'b' }], return_documents: true },
    undefined,
  ],
  [
    'Voyage counts by top_k and tokens',
    'voyage',
    ['voyage', 'rerank-2'],
    { top_n: 2 },
    {
      data: [
        { index: 1, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.2 },
      ],
      usage: { total_tokens: 8 },
    },
    '/rerank',
    { model: 'rerank-2', query: 'q', documents: ['a', 'b'], top_k: 2 },
    8,
  ],
  [
    'Text Embeddings Inference is sorted here',
    'tei',
    ['huggingface', 'm'],
    {},
    [
      { index: 0, score: 0.2 },
      { index: 1, score: 0.9 },
    ],
    '/rerank',
    { query: 'q', texts: ['a', 'b'] },
    undefined,
  ],
  [
    'Bedrock invokes',
    'bedrock',
    ['bedrock', 'arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0'],
    {},
    {
      results: [
        { index: 1, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.2 },
      ],
    },
    '/model/cohere.rerank-v3-5%3A0/invoke',
    { query: 'q', documents: ['a', 'b'], api_version: 2 },
    undefined,
  ],
  [
    'NVIDIA tells logits',
    'nvidia',
    ['nvidia_nim', 'nvidia/m'],
    {},
    {
      rankings: [
        { index: 1, logit: 0.9 },
        { index: 0, logit: 0.2 },
      ],
    },
    '/ranking',
    { model: 'nvidia/m', query: { text: 'q' }, passages: [{ text: 'a' }, { text: 'b' }] },
    undefined,
  ],
  [
    'DeepInfra tells a score for each',
    'deepinfra',
    ['deepinfra', 'Qwen/m'],
    {},
    { scores: [0.2, 0.9], input_tokens: 5 },
    '/v1/inference/Qwen/m',
    { queries: ['q', 'q'], documents: ['a', 'b'] },
    5,
  ],
  [
    'Vertex ranks records',
    'vertex',
    ['vertex_ai', 'semantic-ranker-default-004'],
    {},
    {
      records: [
        { id: '1', score: 0.9 },
        { id: '0', score: 0.2 },
      ],
    },
    '/rankingConfigs/default_ranking_config:rank',
    {
      model: 'semantic-ranker-default-004',
      query: 'q',
      records: [
        { id: '0', content: 'a' },
        { id: '1', content: 'b' },
      ],
      ignoreRecordDetailsInResponse: true,
    },
    undefined,
  ],
]
for (const [name, wire, [provider, model], more, answer, path, body, tokens] of rows)
  test(name, () => {
    const played = converse(rerank, wire, targetOf(provider, model), ask(more), [
      [answered(answer)],
    ])
    equal(played.sent[0]?.path, path)
    deepEqual(played.bodies[0], body)
    equal(played.told.usage?.input, tokens)
    equal(played.told.units?.queries, name.includes('version 2') ? 2 : 1)
    const results = played.json['results'] as JsonObject[]
    deepEqual(
      results.map(({ index, relevance_score }) => [index, relevance_score]),
      found,
    )
  })

test('documents come back where they were asked for and the provider keeps them', () => {
  const { json } = converse(
    rerank,
    'tei',
    targetOf('huggingface', 'm'),
    ask({ return_documents: true, top_n: 1 }),
    [
      [
        answered([
          { index: 1, score: 1 },
          { index: 0, score: 0 },
        ]),
      ],
    ],
  )
  deepEqual(json['results'], [{ index: 1, relevance_score: 1, document: { text: 'b' } }])
})

test('what is wrong is named', () => {
  for (const [body, param] of [
    [{ model: 'm', documents: [] }, 'query'],
    [{ model: 'm', query: 'q' }, 'documents'],
    [{ model: 'm', query: 'q', documents: 'a' }, 'documents'],
    [{ model: 'm', query: 'q', documents: [1] }, 'documents'],
  ] as const)
    throws(
      () => converse(rerank, 'voyage', targetOf('p', 'm'), body as unknown as JsonObject, []),
      { param },
    )
  throws(() => converse(rerank, 'voyage', targetOf('p', 'm'), ask(), [[answered({})]]), {
    kind: 'bad_gateway',
  })
})
