import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { asBase64, asNumbers, embeddings } from './embeddings.ts'
import { batchEmbedContents, embedContent } from './gemini-embeddings.ts'
import type { Answered } from './media.ts'

const ask = (more: JsonObject = {}): JsonObject => ({ model: 'public', input: ['a', 'b'], ...more })
const two = [
  [1, 2],
  [3, 4],
]

type Row = {
  name: string
  wire: string
  model: string
  provider?: string
  values?: Record<string, string>
  body?: JsonObject
  answers: readonly (readonly Answered[])[]
  paths: string[]
  bodies: Json[]
  tokens?: number
  vectors?: number[][]
  dropped?: string[]
}
const rows: Row[] = [
  {
    name: 'watsonx is told whose project pays',
    wire: 'watsonx',
    model: 'ibm/slate-125m',
    values: { project_id: 'p-1' },
    body: { user: 'u' },
    answers: [
      [
        answered({
          results: [{ embedding: [1, 2] }, { embedding: [3, 4] }],
          input_token_count: 4,
        }),
      ],
    ],
    paths: ['/ml/v1/text/embeddings'],
    bodies: [{ model_id: 'ibm/slate-125m', project_id: 'p-1', inputs: ['a', 'b'] }],
    tokens: 4,
    dropped: ['user'],
  },
  {
    name: 'SAP has OpenAI’s answer in an envelope',
    wire: 'sap',
    model: 'text-embedding-3-small',
    body: { user: 'u', dimensions: 2, input_type: 'search_query', x: 1, masking: { m: 1 } },
    answers: [
      [
        answered({
          request_id: 'r',
          final_result: {
            data: [{ embedding: [1, 2] }, { embedding: [3, 4] }],
            usage: { prompt_tokens: 4, total_tokens: 4 },
          },
        }),
      ],
    ],
    paths: ['/v2/embeddings'],
    bodies: [
      {
        config: {
          modules: {
            embeddings: {
              model: {
                name: 'text-embedding-3-small',
                version: 'latest',
                params: { dimensions: 2 },
              },
            },
            masking: { m: 1 },
          },
        },
        input: { text: ['a', 'b'], type: 'query' },
      },
    ],
    tokens: 4,
    dropped: ['user', 'x'],
  },
  {
    name: 'Oracle has Cohere’s words in capitals',
    wire: 'oci',
    model: 'cohere.embed-v4.0',
    values: { oci_compartment_id: 'c-1' },
    body: { input_type: 'search_query', truncate: 'END' },
    answers: [[answered({ embeddings: two, usage: { promptTokens: 3 } })]],
    paths: ['/20231130/actions/embedText'],
    bodies: [
      {
        compartmentId: 'c-1',
        servingMode: { servingType: 'ON_DEMAND', modelId: 'cohere.embed-v4.0' },
        inputs: ['a', 'b'],
        inputType: 'SEARCH_QUERY',
        truncate: 'END',
      },
    ],
    tokens: 3,
  },
  {
    name: 'Triton’s tensor is cut into vectors',
    wire: 'triton',
    model: 'm',
    answers: [[answered({ outputs: [{ name: 'e', shape: [2, 2], data: [1, 2, 3, 4] }] })]],
    paths: ['/infer'],
    bodies: [{ inputs: [{ name: 'input_text', shape: [2], datatype: 'BYTES', data: ['a', 'b'] }] }],
  },
  {
    name: 'an endpoint of SageMaker',
    wire: 'sagemaker',
    model: 'my-endpoint',
    answers: [[answered({ embedding: two })]],
    paths: ['/endpoints/my-endpoint/invocations'],
    bodies: [{ inputs: ['a', 'b'] }],
  },
  {
    name: 'chunks of one document know of each other',
    wire: 'voyage',
    model: 'voyage-context-3',
    body: { dimensions: 256, input_type: 'document' },
    answers: [
      [
        answered({
          data: [{ data: [{ embedding: [1, 2] }, { embedding: [3, 4] }] }],
          usage: { total_tokens: 4 },
        }),
      ],
    ],
    paths: ['/contextualizedembeddings'],
    bodies: [
      {
        model: 'voyage-context-3',
        inputs: [['a', 'b']],
        input_type: 'document',
        output_dimension: 256,
      },
    ],
    tokens: 4,
  },
  {
    name: 'questions about documents stand alone',
    wire: 'voyage',
    model: 'voyage-context-3',
    body: { input_type: 'query' },
    answers: [
      [
        answered({
          data: [{ data: [{ embedding: [1, 2] }] }, { data: [{ embedding: [3, 4] }] }],
          usage: { total_tokens: 4 },
        }),
      ],
    ],
    paths: ['/contextualizedembeddings'],
    bodies: [{ model: 'voyage-context-3', inputs: [['a'], ['b']], input_type: 'query' }],
    tokens: 4,
  },
  {
    name: 'Voyage sees pictures beside words',
    wire: 'voyage',
    model: 'voyage-multimodal-3',
    body: {
      input: [
        'data:image/png;base64,AA',
        {
          content: [
            { type: 'text', text: 'a' },
            { type: 'image_url', image_url: 'https://x/y' },
          ],
        },
      ],
    },
    answers: [
      [
        answered({
          data: [{ embedding: [1, 2] }, { embedding: [3, 4] }],
          usage: { text_tokens: 1, image_pixels: 900, total_tokens: 5 },
        }),
      ],
    ],
    paths: ['/multimodalembeddings'],
    bodies: [
      {
        model: 'voyage-multimodal-3',
        inputs: [
          { content: [{ type: 'image_base64', image_base64: 'data:image/png;base64,AA' }] },
          {
            content: [
              { type: 'text', text: 'a' },
              { type: 'image_url', image_url: 'https://x/y' },
            ],
          },
        ],
      },
    ],
    tokens: 5,
  },
  {
    name: 'Cohere is told what the texts are for',
    wire: 'cohere',
    model: 'embed-v4.0',
    body: { dimensions: 256, truncate: 'END' },
    answers: [
      [answered({ embeddings: { float: two }, meta: { billed_units: { input_tokens: 4 } } })],
    ],
    paths: ['/v2/embed'],
    bodies: [
      {
        embedding_types: ['float'],
        truncate: 'END',
        model: 'embed-v4.0',
        texts: ['a', 'b'],
        input_type: 'search_document',
        output_dimension: 256,
      },
    ],
    tokens: 4,
  },
  {
    name: 'Cohere sees pictures as pictures',
    wire: 'cohere',
    model: 'embed-v4.0',
    body: { input: ['data:image/png;base64,AA'] },
    answers: [[answered({ embeddings: { float: [[1]] }, meta: { billed_units: { images: 1 } } })]],
    paths: ['/v2/embed'],
    bodies: [
      {
        embedding_types: ['float'],
        model: 'embed-v4.0',
        images: ['data:image/png;base64,AA'],
        input_type: 'image',
      },
    ],
    vectors: [[1]],
  },
  {
    name: 'Gemini takes a batch, and OpenAI’s words in its own',
    wire: 'gemini',
    model: 'gemini-embedding-001',
    body: { input: 'a', dimensions: 8, input_type: 'query', user: 'u' },
    answers: [[answered({ embeddings: [{ values: [1, 2] }] })]],
    paths: ['/models/gemini-embedding-001:batchEmbedContents'],
    bodies: [
      {
        requests: [
          {
            model: 'models/gemini-embedding-001',
            content: { parts: [{ text: 'a' }] },
            taskType: 'RETRIEVAL_QUERY',
            outputDimensionality: 8,
          },
        ],
      },
    ],
    vectors: [[1, 2]],
    dropped: ['user'],
  },
  {
    name: 'Vertex predicts many texts at once',
    wire: 'vertex',
    model: 'text-embedding-005',
    body: { dimensions: 8 },
    answers: [
      [
        answered({
          predictions: two.map((values) => ({
            embeddings: { values, statistics: { token_count: 3, truncated: false } },
          })),
        }),
      ],
    ],
    paths: ['/models/text-embedding-005:predict'],
    bodies: [
      { instances: [{ content: 'a' }, { content: 'b' }], parameters: { outputDimensionality: 8 } },
    ],
    tokens: 6,
  },
  {
    name: 'gemini-embedding-001 on Vertex takes one text a call',
    wire: 'vertex',
    model: 'gemini-embedding-001',
    answers: [
      two.map((values) =>
        answered({ predictions: [{ embeddings: { values, statistics: { token_count: 1 } } }] }),
      ),
    ],
    paths: ['/models/gemini-embedding-001:predict', '/models/gemini-embedding-001:predict'],
    bodies: [
      { instances: [{ content: 'a' }], parameters: {} },
      { instances: [{ content: 'b' }], parameters: {} },
    ],
    tokens: 2,
  },
  {
    name: 'Titan takes one text a call, and sizes from version 2 on',
    wire: 'bedrock',
    model: 'amazon.titan-embed-text-v2:0',
    body: { dimensions: 256 },
    answers: [two.map((embedding) => answered({ embedding, inputTextTokenCount: 2 }))],
    paths: Array(2).fill('/model/amazon.titan-embed-text-v2%3A0/invoke'),
    bodies: [
      { inputText: 'a', dimensions: 256 },
      { inputText: 'b', dimensions: 256 },
    ],
    tokens: 4,
  },
  {
    name: 'the first Titan has one size',
    wire: 'bedrock',
    model: 'amazon.titan-embed-text-v1',
    body: { input: 'a', dimensions: 256 },
    answers: [[answered({ embedding: [1], inputTextTokenCount: 2 })]],
    paths: ['/model/amazon.titan-embed-text-v1/invoke'],
    bodies: [{ inputText: 'a' }],
    vectors: [[1]],
    tokens: 2,
    dropped: ['dimensions'],
  },
  {
    name: 'Cohere on Bedrock tells its tokens in a header',
    wire: 'bedrock',
    model: 'cohere.embed-english-v3',
    answers: [[answered({ embeddings: two }, { 'x-amzn-bedrock-input-token-count': '5' })]],
    paths: ['/model/cohere.embed-english-v3/invoke'],
    bodies: [{ texts: ['a', 'b'], input_type: 'search_document' }],
    tokens: 5,
  },
  {
    name: 'Ollama',
    wire: 'ollama',
    model: 'nomic-embed-text',
    answers: [[answered({ embeddings: two, prompt_eval_count: 6 })]],
    paths: ['/api/embed'],
    bodies: [{ model: 'nomic-embed-text', input: ['a', 'b'] }],
    tokens: 6,
  },
  {
    name: 'Text Embeddings Inference answers with a list',
    wire: 'tei',
    model: 'org/m',
    answers: [[answered(two)]],
    paths: ['/embed'],
    bodies: [{ inputs: ['a', 'b'] }],
  },
  {
    name: 'Snowflake has each vector in a list',
    wire: 'snowflake',
    model: 'm',
    answers: [
      [answered({ data: two.map((one) => ({ embedding: [one] })), usage: { total_tokens: 7 } })],
    ],
    paths: ['/cortex/inference:embed'],
    bodies: [{ model: 'm', text: ['a', 'b'] }],
    tokens: 7,
  },
  {
    name: 'OpenAI’s bytes pass, unknown fields too',
    wire: 'openai',
    model: 'text-embedding-3-small',
    body: { x: 1 },
    answers: [
      [
        answered({
          object: 'list',
          model: 'm',
          y: 2,
          data: two.map((embedding, index) => ({ object: 'embedding', index, embedding })),
          usage: { prompt_tokens: 2, total_tokens: 2 },
        }),
      ],
    ],
    paths: ['/embeddings'],
    bodies: [{ model: 'text-embedding-3-small', input: ['a', 'b'], x: 1 }],
    tokens: 2,
  },
  {
    name: 'Voyage calls sizes otherwise and has no format but base64',
    wire: 'voyage',
    model: 'voyage-3',
    body: { dimensions: 256, encoding_format: 'float', user: 'u' },
    answers: [
      [
        answered({
          data: two.map((embedding, index) => ({ index, embedding })),
          usage: { total_tokens: 9 },
        }),
      ],
    ],
    paths: ['/embeddings'],
    bodies: [{ model: 'voyage-3', input: ['a', 'b'], output_dimension: 256 }],
    tokens: 9,
  },
  {
    name: 'Jina calls formats otherwise, and names pictures',
    wire: 'jina',
    model: 'jina-clip-v2',
    body: { input: ['a', 'data:image/png;base64,AA'], encoding_format: 'float' },
    answers: [
      [
        answered({
          data: two.map((embedding, index) => ({ index, embedding })),
          usage: { total_tokens: 9, prompt_tokens: 9 },
        }),
      ],
    ],
    paths: ['/embeddings'],
    bodies: [
      { model: 'jina-clip-v2', input: [{ text: 'a' }, { image: 'AA' }], embedding_type: 'float' },
    ],
    tokens: 9,
  },
]

describe('embeddings, by provider', () => {
  for (const {
    name,
    wire,
    model,
    values,
    body,
    answers,
    paths,
    bodies,
    tokens,
    vectors,
    dropped,
  } of rows)
    test(name, () => {
      const to = targetOf('p', model, values ? { values } : {})
      const played = converse(embeddings, wire, to, ask(body), answers)
      deepEqual(
        played.sent.map(({ path }) => path),
        paths,
      )
      deepEqual(played.bodies, bodies)
      deepEqual(played.dropped, dropped ?? [])
      equal(played.told.usage?.input, tokens)
      const data = played.json['data'] as JsonObject[]
      deepEqual(
        data.map(({ embedding }) => embedding),
        vectors ?? two,
      )
      deepEqual(
        data.map(({ index }) => index),
        (vectors ?? two).map((_, at) => at),
      )
      if (tokens !== undefined)
        deepEqual((played.json['usage'] as JsonObject)['prompt_tokens'], tokens)
    })
})

test('numbers become base64 where a client asked for that and the server knew only numbers', () => {
  const data = [{ object: 'embedding', index: 0, embedding: [0.25, -0.5, 1] }]
  const body = ask({ input: 'a', encoding_format: 'base64' })
  for (const wire of ['openai', 'jina'])
    equal(
      (
        converse(embeddings, wire, targetOf('p', 'm'), body, [[answered({ data, model: 'm' })]])
          .json['data'] as JsonObject[]
      )[0]?.['embedding'],
      'AACAPgAAAL8AAIA/',
    )
})

test('base64 and back', () => {
  fc.assert(
    fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })), (vector) => {
      deepEqual(asNumbers(asBase64(vector)), vector)
    }),
  )
})

describe('what is wrong is said', () => {
  const rows: [name: string, body: JsonObject, wire: string, error: object][] = [
    ['no input', { model: 'm' }, 'cohere', { kind: 'bad_request', param: 'input' }],
    ['an empty list', { model: 'm', input: [] }, 'cohere', { param: 'input' }],
    ['a number', { model: 'm', input: 7 }, 'gemini', { param: 'input' }],
    [
      'tokens for one who takes text',
      { model: 'm', input: [[1, 2]] },
      'cohere',
      { param: 'input' },
    ],
    [
      'dimensions in words',
      { model: 'm', input: 'a', dimensions: 'x' },
      'cohere',
      { param: 'dimensions' },
    ],
  ]
  for (const [name, body, wire, error] of rows)
    test(name, () => {
      throws(() => converse(embeddings, wire, targetOf('p', 'm'), body, []), error)
    })

  const broken: [name: string, wire: string, answer: Answered][] = [
    ['no JSON', 'cohere', answered(new Uint8Array([60, 62]))],
    ['no embeddings', 'cohere', answered({ id: 'e' })],
    ['a vector that is none', 'gemini', answered({ embeddings: [{ values: 'x' }] })],
    ['a list of nothing', 'tei', answered({ a: 1 })],
    ['text for bytes that pass', 'openai', answered(new Uint8Array([123, 34]))],
  ]
  for (const [name, wire, answer] of broken)
    test(`the provider answers with ${name}`, () => {
      throws(
        () => converse(embeddings, wire, targetOf('p', 'm'), ask({ input: 'a' }), [[answer]]),
        {
          kind: 'bad_gateway',
        },
      )
    })

  test('an error in a success’s clothes is an error', () => {
    const answer = answered({ error: { message: 'slow down', code: 'rate_limit_exceeded' } })
    for (const wire of ['openai', 'cohere'])
      throws(() => converse(embeddings, wire, targetOf('p', 'm'), ask(), [[answer]]), {
        kind: 'rate_limit',
      })
  })
})

describe('clients of Google', () => {
  const content = (said: string) => ({ parts: [{ text: said }] })
  const openai = answered({
    data: [{ embedding: [1] }, { embedding: 'AACAPg==' }].slice(0, 1),
    usage: { prompt_tokens: 3 },
  })

  test('one content, from OpenAI', () => {
    const { sent, bodies, json, dropped } = converse(
      embedContent,
      'openai',
      targetOf('openai', 'm'),
      { content: content('a'), outputDimensionality: 1, taskType: 'RETRIEVAL_QUERY' },
      [[openai]],
    )
    equal(sent[0]?.path, '/embeddings')
    deepEqual(bodies[0], { model: 'm', input: ['a'], dimensions: 1 })
    deepEqual(dropped, ['taskType'])
    deepEqual(json, {
      embedding: { values: [1] },
      usageMetadata: { promptTokenCount: 3, totalTokenCount: 3 },
    })
  })

  test('a batch, from Gemini: what a text is for stays', () => {
    const { bodies, json } = converse(
      batchEmbedContents,
      'gemini',
      targetOf('gemini', 'm'),
      {
        requests: ['a', 'b'].map((said) => ({
          model: 'models/public',
          content: content(said),
          taskType: 'RETRIEVAL_QUERY',
          title: 't',
        })),
      },
      [[answered({ embeddings: [{ values: [1] }, { values: [2] }] })]],
    )
    const request = (said: string) => ({
      model: 'models/m',
      content: content(said),
      taskType: 'RETRIEVAL_QUERY',
      title: 't',
    })
    deepEqual(bodies[0], { requests: [request('a'), request('b')] })
    deepEqual(json, { embeddings: [{ values: [1] }, { values: [2] }] })
  })

  test('what is missing is named', () => {
    for (const [operation, body, param] of [
      [embedContent, {}, 'content'],
      [batchEmbedContents, {}, 'requests'],
    ] as const)
      throws(() => converse(operation, 'openai', targetOf('p', 'm'), body, []), { param })
  })
})
