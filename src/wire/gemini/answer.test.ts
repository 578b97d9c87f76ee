import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent, ChatResult, Usage } from '../../chat/chat.ts'
import { noUsage } from '../../chat/chat.ts'
import { type FaultKind, GatewayError } from '../../errors.ts'
import { type JsonObject, list, object } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { latin1Of } from '../edit.ts'
import { context } from '../testing.test.ts'
import type { Notes } from '../wire.ts'
import { framed, framesOf, targetOf } from './generators.test.ts'
import { encodeStreamArray } from './stream-out.ts'
import { decodeUsage, encodeUsage } from './usage.ts'
import { gemini } from './wire.ts'

const notes: Notes = { model: 'gemini-2.5-flash' }
const stop = (parts: JsonObject[], more: JsonObject = {}): JsonObject => ({
  candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0, ...more }],
})
const heard = (chunks: JsonObject[], with_: Notes = notes): ChatEvent[] => {
  const decoder = gemini.decodeStream(with_)
  return [...framed(chunks).flatMap((frame) => decoder.push(frame)), ...decoder.end()]
}
const faultOf = (run: () => unknown): GatewayError => {
  try {
    run()
  } catch (error) {
    if (GatewayError.is(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const usages: [name: string, said: JsonObject, buckets: Partial<Usage>][] = [
  [
    'plain',
    { promptTokenCount: 13, candidatesTokenCount: 8, totalTokenCount: 21 },
    { input: 13, output: 8 },
  ],
  [
    'thoughts stand beside the answer',
    { promptTokenCount: 13, candidatesTokenCount: 8, thoughtsTokenCount: 30, totalTokenCount: 51 },
    { input: 13, output: 8, reasoning: 30 },
  ],
  [
    'thoughts inside the answer, as the total shows',
    { promptTokenCount: 10, candidatesTokenCount: 38, thoughtsTokenCount: 30, totalTokenCount: 48 },
    { input: 10, output: 8, reasoning: 30 },
  ],
  [
    'read from the cache, and from tools',
    {
      promptTokenCount: 3000,
      cachedContentTokenCount: 2048,
      toolUsePromptTokenCount: 50,
      candidatesTokenCount: 1,
      totalTokenCount: 3051,
    },
    { input: 1002, cacheRead: 2048, output: 1 },
  ],
  [
    'sound and pictures, some of them from the cache',
    {
      promptTokenCount: 100,
      cachedContentTokenCount: 20,
      candidatesTokenCount: 60,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 10 },
        { modality: 'AUDIO', tokenCount: 50 },
        { modality: 'IMAGE', tokenCount: 40 },
      ],
      cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 20 }],
      candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 55 }],
    },
    { input: 10, cacheRead: 20, inputAudio: 30, inputImage: 40, output: 5, outputImage: 55 },
  ],
  [
    'nonsense stays within what was told',
    { promptTokenCount: 5, cachedContentTokenCount: 9, candidatesTokenCount: -3 },
    { cacheRead: 5 },
  ],
]
for (const [name, said, buckets] of usages)
  test(`usage: ${name}`, () => {
    const usage = decodeUsage(said)
    assert.deepEqual(usage, { ...noUsage, ...buckets, raw: said })
    assert.equal(usage && encodeUsage(usage), said, 'Google’s own words come back')
  })

test('usage of another provider in Google’s words', () => {
  assert.deepEqual(
    encodeUsage({
      ...noUsage,
      input: 10,
      cacheRead: 5,
      cacheWrite: 1,
      output: 7,
      reasoning: 3,
      inputImage: 2,
    }),
    {
      promptTokenCount: 18,
      candidatesTokenCount: 7,
      totalTokenCount: 28,
      cachedContentTokenCount: 5,
      thoughtsTokenCount: 3,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 16 },
        { modality: 'IMAGE', tokenCount: 2 },
      ],
    },
  )
})

const grounded: JsonObject = {
  groundingMetadata: {
    webSearchQueries: ['a', 'b'],
    groundingChunks: [{ web: { uri: 'https://a', title: 'A' } }, { maps: { uri: 'https://b' } }],
    groundingSupports: [
      { segment: { startIndex: 0, endIndex: 3 }, groundingChunkIndices: [0, 1, 7] },
      { segment: { startIndex: 3, endIndex: 8 }, groundingChunkIndices: [1] },
    ],
  },
}
const cited = (url: string, title: string, start_index: number, end_index: number) => ({
  type: 'url_citation',
  url_citation: { url, title, start_index, end_index },
})

const finishes: [reason: string | undefined, finish: string, encoded: string][] = [
  ['STOP', 'stop', 'STOP'],
  ['MAX_TOKENS', 'length', 'MAX_TOKENS'],
  ['SAFETY', 'content-filter', 'SAFETY'],
  ['RECITATION', 'content-filter', 'RECITATION'],
  ['SPII', 'content-filter', 'SPII'],
  ['MALFORMED_FUNCTION_CALL', 'other', 'MALFORMED_FUNCTION_CALL'],
  ['CONTINUATION', 'pause', 'CONTINUATION'],
  ['OF_NEXT_YEAR', 'other', 'OTHER'],
  ['constructor', 'other', 'OTHER'],
  [undefined, 'stop', 'STOP'],
]
for (const [reason, finish, encoded] of finishes)
  test(`finish: ${reason}`, () => {
    const result = gemini.decodeResult(stop([{ text: 'x' }], { finishReason: reason }), notes)
    assert.equal(result.choices[0]?.finish, finish)
    const [candidate] = list(gemini.encodeResult(result, context).candidates)
    assert.equal(object(candidate).finishReason, encoded)
  })

test('a whole answer: thoughts, signatures, calls under the client’s names, what Google ran', () => {
  const toolNames = new Map([['a_b', 'a/b']])
  const result = gemini.decodeResult(
    {
      ...stop([
        { text: 'Hm', thought: true },
        { text: 'Hi', thoughtSignature: 'QQ==' },
        { functionCall: { name: 'a_b', args: { x: 1 } }, thoughtSignature: 'Qg==' },
        { functionCall: { name: 'sh', args: { input: 'ls' }, id: 'given' } },
        { functionCall: { name: 'a_b' } },
        { executableCode: { code: '1' } },
        { inlineData: { mimeType: 'image/png', data: 'x' } },
      ]),
      usageMetadata: { promptTokenCount: 1 },
      modelVersion: 'v',
      responseId: 'r/1',
      createTime: '2026-01-01T00:00:00.5Z',
    },
    { ...notes, toolNames, customTools: new Set(['sh']) },
  )
  const { usage: _, ...rest } = result
  assert.deepEqual(rest, {
    id: 'r/1',
    model: 'v',
    created: 1_767_225_600,
    choices: [
      {
        parts: [
          { type: 'reasoning', text: 'Hm', signature: 'QQ==' },
          { type: 'text', text: 'Hi' },
          { type: 'tool-call', id: 'call_r1_0', name: 'a/b', input: '{"x":1}', signature: 'Qg==' },
          { type: 'tool-call', id: 'given', name: 'sh', input: 'ls', kind: 'custom' },
          { type: 'tool-call', id: 'call_r1_1', name: 'a/b', input: '{}' },
          { type: 'raw', wire: 'gemini', value: { executableCode: { code: '1' } } },
          {
            type: 'media',
            media: 'image',
            source: { type: 'bytes', base64: 'x', mime: 'image/png' },
          },
        ],
        finish: 'tool-calls',
        reason: 'STOP',
      },
    ],
  })
})

test('calls of several candidates, and of answers without an id, have ids of their own', () => {
  const part = { functionCall: { name: 'f', args: {} } }
  const ids = (body: JsonObject): string[] =>
    gemini
      .decodeResult(body, notes)
      .choices.flatMap(({ parts }) =>
        parts.flatMap((said) => (said.type === 'tool-call' ? [said.id] : [])),
      )
  const candidate = { content: { parts: [part, part] } }
  assert.deepEqual(ids({ responseId: 'r', candidates: [candidate, candidate] }), [
    'call_r_0',
    'call_r_1',
    'call_r_1_0',
    'call_r_1_1',
  ])
  const [first] = ids({ candidates: [candidate] })
  const other = { content: { parts: [{ functionCall: { name: 'f', args: { a: 1 } } }] } }
  assert.notEqual(first, ids({ candidates: [other] })[0])
  assert.ok(
    ids({ responseId: 'x'.repeat(500), candidates: [candidate] }).every((id) => id.length <= 40),
  )
})

test('sources in OpenAI’s shape, counted in characters, and all that Google said of them', () => {
  const result = gemini.decodeResult(stop([{ text: 'äb' }, { text: 'c€d' }], grounded), notes)
  const [choice] = result.choices
  assert.deepEqual(choice?.parts, [
    { type: 'text', text: 'äb' },
    {
      type: 'text',
      text: 'c€d',
      annotations: [
        cited('https://a', 'A', 0, 2),
        cited('https://b', '', 0, 2),
        cited('https://b', '', 2, 5),
      ],
    },
  ])
  assert.deepEqual(choice?.extras, {
    provider_specific_fields: { grounding_metadata: grounded.groundingMetadata },
  })
  assert.deepEqual(result.extras, { vertex_ai_grounding_metadata: [grounded.groundingMetadata] })
})

test('a search is paid by the prompt, and since Gemini 3 by the query', () => {
  const body = { ...stop([{ text: 'x' }], grounded), usageMetadata: { promptTokenCount: 1 } }
  assert.equal(gemini.decodeResult(body, notes).usage.searches, 1)
  assert.equal(gemini.decodeResult(body, { model: 'gemini-3-flash-preview' }).usage.searches, 2)
})

test('sources of another provider as Google’s clients show them, counted in bytes', () => {
  const result: ChatResult = {
    id: '',
    created: 0,
    model: 'm',
    usage: noUsage,
    choices: [
      {
        parts: [
          {
            type: 'text',
            text: 'äbc',
            annotations: [cited('https://a', 'A', 1, 3), cited('https://a', 'A', 0, 0)],
          },
          { type: 'text', text: '!', annotations: [{ type: 'other' }] },
        ],
        finish: 'stop',
      },
    ],
  }
  const encoded = gemini.encodeResult(result, context)
  assert.deepEqual(encoded.candidates, [
    {
      content: { parts: [{ text: 'äbc' }, { text: '!' }], role: 'model' },
      finishReason: 'STOP',
      index: 0,
      groundingMetadata: {
        groundingChunks: [{ web: { uri: 'https://a', title: 'A' } }],
        groundingSupports: [
          { segment: { startIndex: 2, endIndex: 4, text: 'bc' }, groundingChunkIndices: [0] },
        ],
      },
    },
  ])
  assert.equal(encoded.responseId, 'r-1')
})

test('logprobs there and back', () => {
  const logprobsResult = {
    chosenCandidates: [{ token: 'a', logProbability: -0.5 }],
    topCandidates: [
      {
        candidates: [
          { token: 'a', logProbability: -0.5 },
          { token: 'b', logProbability: -1 },
        ],
      },
    ],
  }
  const result = gemini.decodeResult(stop([{ text: 'a' }], { logprobsResult }), notes)
  assert.deepEqual(result.choices[0]?.logprobs, {
    content: [
      {
        token: 'a',
        logprob: -0.5,
        bytes: null,
        top_logprobs: [
          { token: 'a', logprob: -0.5, bytes: null },
          { token: 'b', logprob: -1, bytes: null },
        ],
      },
    ],
  })
  const [candidate] = list(gemini.encodeResult(result, context).candidates)
  assert.deepEqual(object(candidate).logprobsResult, logprobsResult)
})

const speech = { inlineData: { mimeType: 'audio/L16;codec=pcm;rate=24000', data: 'AAAA' } }

test('speech is told beside the parts, as OpenAI tells it, and back', () => {
  const result = gemini.decodeResult({ ...stop([speech]), responseId: 'r' }, notes)
  assert.deepEqual(result.choices[0]?.parts, [])
  assert.deepEqual(result.choices[0]?.extras, {
    audio: { id: 'audio_r_0', data: 'AAAA', expires_at: 0, transcript: '' },
  })
  const [candidate] = list(gemini.encodeResult(result, context).candidates)
  assert.deepEqual(object(object(candidate).content).parts, [speech])
})

test('an answer that is none', () => {
  assert.equal(faultOf(() => gemini.decodeResult({}, notes)).kind, 'bad_gateway')
  const error = { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' }
  assert.equal(faultOf(() => gemini.decodeResult({ error }, notes)).kind, 'unavailable')
  const blocked = { promptFeedback: { blockReason: 'SAFETY', blockReasonMessage: 'no' } }
  const fault = faultOf(() => gemini.decodeResult(blocked, notes))
  assert.equal(fault.kind, 'content_policy')
  assert.match(fault.message, /SAFETY.*no/)
})

test('a stream: usage grows, calls come whole, how it ended comes last though every chunk names it', () => {
  const chunk = (parts: JsonObject[], count: number): JsonObject => ({
    ...stop(parts),
    responseId: 'r',
    modelVersion: 'v',
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: count },
  })
  const usage = (output: number): ChatEvent => ({
    type: 'usage',
    usage: {
      ...noUsage,
      input: 1,
      output,
      raw: { promptTokenCount: 1, candidatesTokenCount: output },
    },
  })
  assert.deepEqual(
    heard([
      chunk([{ text: 'Hm', thought: true }], 1),
      chunk([{ text: 'Hi', thoughtSignature: 'QQ==' }], 2),
      chunk([{ functionCall: { name: 'f', args: {} }, thoughtSignature: 'Qg==' }], 3),
      chunk([{ text: '', thoughtSignature: 'Qw==' }], 4),
    ]),
    [
      { type: 'start', id: 'r', model: 'v', created: 0 },
      { type: 'reasoning', text: 'Hm' },
      usage(1),
      { type: 'text', text: 'Hi' },
      { type: 'signature', signature: 'QQ==' },
      usage(2),
      { type: 'tool-start', index: 0, id: 'call_r_0', name: 'f', signature: 'Qg==' },
      { type: 'tool-input', index: 0, text: '{}' },
      usage(3),
      { type: 'signature', signature: 'Qw==' },
      usage(4),
      { type: 'finish', finish: 'tool-calls', reason: 'STOP' },
    ],
  )
})

test('a stream of two candidates, with sources, speech, logprobs and an answer told by a tool', () => {
  const events = heard(
    [
      {
        candidates: [
          { content: { parts: [{ text: 'éb' }] } },
          { content: { parts: [speech] }, index: 1 },
        ],
      },
      {
        candidates: [
          {
            content: {
              parts: [
                { text: 'c€d' },
                { functionCall: { name: 'json_tool_call', args: { a: 1 } } },
              ],
            },
            finishReason: 'STOP',
            ...grounded,
          },
          { index: 1, finishReason: 'MAX_TOKENS', logprobsResult: { chosenCandidates: [] } },
        ],
      },
    ],
    { ...notes, outputTool: 'json_tool_call' },
  )
  assert.deepEqual(events, [
    { type: 'start', id: '', model: 'gemini-2.5-flash', created: 0 },
    { type: 'text', text: 'éb' },
    {
      type: 'audio',
      audio: { id: 'audio_answer_1', data: 'AAAA', expires_at: 0, transcript: '' },
      choice: 1,
    },
    { type: 'text', text: 'c€d' },
    { type: 'text', text: '{"a":1}' },
    { type: 'logprobs', logprobs: { content: [] }, choice: 1 },
    {
      type: 'extras',
      extras: { vertex_ai_grounding_metadata: [grounded.groundingMetadata] },
      of: 'result',
    },
    { type: 'annotation', annotation: cited('https://a', 'A', 0, 2) },
    { type: 'annotation', annotation: cited('https://b', '', 0, 2) },
    { type: 'annotation', annotation: cited('https://b', '', 2, 5) },
    {
      type: 'extras',
      extras: { provider_specific_fields: { grounding_metadata: grounded.groundingMetadata } },
      of: 'message',
    },
    { type: 'finish', finish: 'stop' },
    { type: 'finish', finish: 'length', reason: 'MAX_TOKENS', choice: 1 },
  ])
})

const broken: [name: string, chunks: JsonObject[], kind: FaultKind][] = [
  [
    'an error',
    [{ error: { code: 429, message: 'slow', status: 'RESOURCE_EXHAUSTED' } }],
    'rate_limit',
  ],
  ['an error by its word', [{ error: { message: 'x', status: 'UNAVAILABLE' } }], 'unavailable'],
  ['an error that says nothing', [{ error: {} }], 'provider'],
  ['a blocked prompt', [{ promptFeedback: { blockReason: 'OTHER' } }], 'content_policy'],
  ['no end', [{ candidates: [{ content: { parts: [{ text: 'x' }] } }] }], 'bad_gateway'],
  ['nothing', [], 'bad_gateway'],
]
for (const [name, chunks, kind] of broken)
  test(`a stream with ${name}`, () => {
    const fault = heard(chunks).at(-1)
    assert.equal(fault?.type === 'fault' && fault.error.kind, kind)
    const pass = gemini.native?.passStream(targetOf('m'), context)
    for (const { event, data } of framed(chunks)) pass?.push({ event, data })
    const ending = pass?.end(undefined)
    // To a client of this wire a refusal is an answer.
    if (kind === 'content_policy') assert.equal(pass?.fault, undefined)
    else assert.deepEqual([pass?.fault?.kind, ending], [kind, ''])
  })

test('an encoded stream: calls wait for their input, a fault ends it, in either form', () => {
  const events: ChatEvent[] = [
    { type: 'start', id: 'x', model: 'y', created: 0 },
    { type: 'tool-start', index: 0, id: 'c0', name: 'f' },
    { type: 'tool-input', index: 0, text: '{"a"' },
    { type: 'tool-input', index: 0, text: ':1}' },
    { type: 'text', text: 'then' },
    { type: 'fault', error: new GatewayError('unavailable', 'gone') },
    { type: 'text', text: 'never' },
  ]
  const chunk = (part: JsonObject): JsonObject => ({
    candidates: [{ content: { parts: [part, { text: 'then' }], role: 'model' }, index: 0 }],
    modelVersion: 'public',
    responseId: 'x',
  })
  const error = { error: { code: 503, message: 'gone', status: 'UNAVAILABLE' } }
  const expected = [chunk({ functionCall: { id: 'c0', name: 'f', args: { a: 1 } } }), error]
  const sse = gemini.encodeStream(context)
  const said = events.map((event) => sse.push(event)).join('') + sse.end()
  assert.deepEqual(
    framesOf(said).map(({ data }) => JSON.parse(data)),
    expected,
  )
  const array = encodeStreamArray(context)
  const list = events.map((event) => array.push(event)).join('') + array.end()
  assert.deepEqual(JSON.parse(list), expected)
})

/** A thought of OpenAI's, and what comes after it: where its encryption is told. */
const signed: [name: string, events: ChatEvent[], parts: JsonObject[]][] = [
  [
    'on the words after it',
    [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ],
    [{ text: 'Hm', thought: true }, { text: 'a', thoughtSignature: 'gAAAAs' }, { text: 'b' }],
  ],
  [
    'on the call after it',
    [
      { type: 'tool-start', index: 0, id: 'c', name: 'f' },
      { type: 'tool-input', index: 0, text: '{}' },
    ],
    [
      { text: 'Hm', thought: true },
      { functionCall: { id: 'c', name: 'f', args: {} }, thoughtSignature: 'gAAAAs' },
    ],
  ],
  [
    'on itself, where another thought comes after it',
    [
      { type: 'reasoning', text: 'So' },
      { type: 'signature', signature: 'gAAAAt' },
      { type: 'text', text: 'a' },
    ],
    [
      { text: 'Hm', thought: true },
      { text: '', thought: true, thoughtSignature: 'gAAAAs' },
      { text: 'So', thought: true },
      { text: 'a', thoughtSignature: 'gAAAAt' },
    ],
  ],
  [
    'on itself, where nothing comes after it',
    [],
    [
      { text: 'Hm', thought: true },
      { text: '', thought: true, thoughtSignature: 'gAAAAs' },
    ],
  ],
]
for (const [name, events, parts] of signed)
  test(`the encryption of a thought of OpenAI's stands ${name}`, () => {
    const stream = gemini.encodeStream(context)
    const said = [
      { type: 'reasoning', text: 'Hm' } as const,
      { type: 'signature', signature: 'gAAAAs' } as const,
      ...events,
    ]
    const told = framesOf(said.map((event) => stream.push(event)).join('') + stream.end())
      .flatMap(({ data }) => list(object(JSON.parse(data)).candidates))
      .flatMap((candidate) => list(object(object(candidate).content).parts))
    assert.deepEqual(
      told.filter((part) => JSON.stringify(part) !== '{"text":""}'),
      parts,
    )
  })

test('so it does in a whole answer; a signature of others stays on its thought', () => {
  const result = (signature: string): ChatResult => ({
    id: 'x',
    created: 0,
    model: 'm',
    choices: [
      {
        parts: [
          { type: 'reasoning', text: 'Hm', signature },
          { type: 'text', text: 'a' },
        ],
        finish: 'stop',
      },
    ],
    usage: noUsage,
  })
  const told = (signature: string) => {
    const [candidate] = list(gemini.encodeResult(result(signature), context).candidates)
    return object(object(candidate).content).parts
  }
  assert.deepEqual(told('gAAAAs'), [
    { text: 'Hm', thought: true },
    { text: 'a', thoughtSignature: 'gAAAAs' },
  ])
  assert.deepEqual(told('QQ=='), [
    { text: 'Hm', thought: true, thoughtSignature: 'QQ==' },
    { text: 'a' },
  ])
})

test('an encoded stream without a word still ends as one', () => {
  const stream = gemini.encodeStream(context)
  assert.deepEqual(JSON.parse(stream.end().slice(6)), {
    candidates: [
      { content: { parts: [{ text: '' }], role: 'model' }, finishReason: 'STOP', index: 0 },
    ],
    usageMetadata: { promptTokenCount: 0, candidatesTokenCount: 0, totalTokenCount: 0 },
    modelVersion: 'public',
    responseId: 'r-1',
  })
})

const errorOf = (status: number, word: string, message: string, more: JsonObject = {}): string =>
  JSON.stringify({ error: { code: status, message, status: word, ...more } })
const retry = {
  details: [
    { '@type': 'type.googleapis.com/google.rpc.QuotaFailure' },
    { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '16.2s' },
  ],
}
const errors: [
  name: string,
  status: number,
  body: string,
  kind: FaultKind,
  seen: Partial<GatewayError>,
][] = [
  [
    'a bad argument',
    400,
    errorOf(400, 'INVALID_ARGUMENT', 'no'),
    'bad_request',
    { message: 'no', status: 400, code: undefined },
  ],
  [
    'another precondition',
    400,
    errorOf(400, 'FAILED_PRECONDITION', 'no'),
    'bad_request',
    { code: 'FAILED_PRECONDITION' },
  ],
  [
    'too long a prompt',
    400,
    errorOf(
      400,
      'INVALID_ARGUMENT',
      'The input token count (3475108) exceeds the maximum number of tokens allowed (1048576).',
    ),
    'context_window',
    { status: 400 },
  ],
  [
    'a wrong key',
    400,
    errorOf(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.'),
    'authentication',
    { status: 401 },
  ],
  ['no permission', 403, errorOf(403, 'PERMISSION_DENIED', 'no'), 'permission', { status: 403 }],
  ['no such model', 404, errorOf(404, 'NOT_FOUND', 'no'), 'not_found', {}],
  [
    'too many',
    429,
    `[${errorOf(429, 'RESOURCE_EXHAUSTED', 'slow', retry)}]`,
    'rate_limit',
    { retryAfter: '17', message: 'slow' },
  ],
  ['given up', 499, errorOf(499, 'CANCELLED', 'no'), 'canceled', { status: 499 }],
  ['inside', 500, errorOf(500, 'INTERNAL', 'no'), 'provider', {}],
  ['overloaded', 503, errorOf(503, 'UNAVAILABLE', 'no'), 'unavailable', {}],
  ['too late', 504, errorOf(504, 'DEADLINE_EXCEEDED', 'no'), 'timeout', { status: 504 }],
  [
    'a proxy’s page',
    502,
    '<html><title>502 Bad Gateway</title>',
    'bad_gateway',
    { message: '502 Bad Gateway' },
  ],
  ['a word', 500, 'oops', 'provider', { message: 'oops' }],
  ['nothing', 500, '', 'provider', { message: 'the provider answered with HTTP 500' }],
]
for (const [name, status, body, kind, seen] of errors)
  test(`error: ${name}`, () => {
    const error = gemini.decodeError({ status, body, header: () => undefined, provider: 'Gemini' })
    assert.equal(error.kind, kind)
    assert.equal(error.provider, 'Gemini')
    for (const [key, value] of Object.entries(seen))
      assert.equal(Reflect.get(error, key), value, key)
  })

test('an error as Google tells it', () => {
  assert.deepEqual(
    gemini.encodeError(
      gemini.decodeError({
        status: 429,
        body: errorOf(429, 'RESOURCE_EXHAUSTED', 'slow', retry),
        header: () => undefined,
      }),
    ),
    {
      error: {
        code: 429,
        message: 'slow',
        status: 'RESOURCE_EXHAUSTED',
        details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '17s' }],
      },
    },
  )
  const own = gemini.encodeError(new GatewayError('bad_request', 'x', { code: 'constructor' }))
  assert.deepEqual(own, { error: { code: 400, message: 'x', status: 'INVALID_ARGUMENT' } })
})

const native = gemini.native
assert.ok(native)

const answered: [name: string, body: string, expected: string][] = [
  [
    'numbers, spaces and signatures as they were written',
    '{ "candidates": [{"content":{"parts":[{"text":"ü","thoughtSignature":"A+/="}]}}], "big": 12345678901234567890, "modelVersion": "up" ,"usageMetadata":{"promptTokenCount":1}}',
    '{ "candidates": [{"content":{"parts":[{"text":"ü","thoughtSignature":"A+/="}]}}], "big": 12345678901234567890, "modelVersion": "prü✓" ,"usageMetadata":{"promptTokenCount":1}}',
  ],
  [
    'a model name that belongs to a call',
    '{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"modelVersion":"mine"}}}]}}],"usageMetadata":{"promptTokenCount":1}}',
    '{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"modelVersion":"mine"}}}]}}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"prü✓"}',
  ],
  [
    'a refusal',
    '{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":1},"modelVersion":"x"}',
    '{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":1},"modelVersion":"prü✓"}',
  ],
  [
    'a key that is written oddly',
    '{"model\\u0056ersion":"up","candidates":[{}],"usageMetadata":{"promptTokenCount":1}}',
    '{"modelVersion":"prü✓","candidates":[{}],"usageMetadata":{"promptTokenCount":1}}',
  ],
]
const shown = { ...context, model: 'prü✓' }
for (const [name, body, expected] of answered)
  test(`passed: ${name}`, () => {
    const result = native.passResult(toUtf8(body), targetOf('m'), shown)
    assert.equal(utf8(bytesOf(latin1Of(result.encode(undefined)))), expected)
    assert.equal(result.usage?.input, 1)
    const pass = native.passStream(targetOf('m'), shown)
    const out = pass.push({ event: undefined, data: latin1(toUtf8(body)) })
    assert.equal(utf8(bytesOf(out)), `data: ${expected}\n\n`)
    assert.equal(pass.usage()?.input, 1)
  })

test('passed: counted where the provider does not tell, and what was written can be counted', () => {
  const body = toUtf8(
    '{"candidates":[{"content":{"parts":[{"text":"é"},{"functionCall":{"name":"f","args":{"a":1}}}]},"finishReason":"STOP"}]}',
  )
  const counted = { ...noUsage, input: 2, output: 3 }
  const result = native.passResult(body, targetOf('m'), context)
  assert.equal(result.usage, undefined)
  assert.equal(result.text(), 'éf{"a":1}')
  assert.deepEqual(
    JSON.parse(utf8(bytesOf(latin1Of(result.encode(counted))))).usageMetadata,
    encodeUsage(counted),
  )
  const pass = native.passStream(targetOf('m'), context)
  pass.push({ event: undefined, data: latin1(body) })
  assert.equal(pass.usage(), undefined)
  assert.equal(pass.text(), 'éf{"a":1}')
  assert.deepEqual(JSON.parse(pass.end(counted).slice(6)), {
    usageMetadata: encodeUsage(counted),
    modelVersion: 'public',
  })
})

test('passed: broken answers are errors', () => {
  const read = (body: string) =>
    faultOf(() => native.passResult(toUtf8(body), targetOf('m'), context))
  assert.equal(read('x').kind, 'bad_gateway')
  assert.equal(read('{}').kind, 'bad_gateway')
  assert.equal(read('{"candidates":[],"error":{"code":503,"message":"m"}}').kind, 'unavailable')
  assert.equal(read('{"candidates":[{}],"error":{"code":429,"message":"m"}}').kind, 'rate_limit')
})

const adapted: [
  name: string,
  body: JsonObject,
  model: string,
  expected: JsonObject,
  dropped?: string[],
][] = [
  [
    'the model is in the path',
    { model: 'm', stream: true, contents: [] },
    'gemini-3-pro',
    { contents: [] },
  ],
  [
    'a row’s parameters give way to the client’s',
    {
      contents: [],
      generation_config: { temperature: 0.1, max_output_tokens: 5 },
      temperature: 0.9,
      top_p: 0.5,
      reasoning_effort: 'low',
      user: 'u',
    },
    'gemini-2.5-flash',
    {
      contents: [],
      generationConfig: {
        temperature: 0.1,
        maxOutputTokens: 5,
        topP: 0.5,
        thinkingConfig: { thinkingBudget: 1024, includeThoughts: true },
      },
    },
  ],
  [
    'what OpenAI has encrypted stays here; a call that had it is one of another model',
    {
      contents: [
        { role: 'user', parts: [{ text: 'x' }] },
        {
          role: 'model',
          parts: [
            { text: 'a', thoughtSignature: 'gAAAAs' },
            { functionCall: { name: 'f' }, thought_signature: 'gAAAAt' },
          ],
        },
        { role: 'model', parts: [{ functionCall: { name: 'g' }, thoughtSignature: 'QQ==' }] },
      ],
    },
    'gemini-3-pro',
    {
      contents: [
        { role: 'user', parts: [{ text: 'x' }] },
        {
          role: 'model',
          parts: [
            { text: 'a' },
            {
              functionCall: { name: 'f' },
              thoughtSignature: 'skip_thought_signature_validator',
            },
          ],
        },
        { role: 'model', parts: [{ functionCall: { name: 'g' }, thoughtSignature: 'QQ==' }] },
      ],
    },
  ],
  [
    'one spelling of a field',
    { contents: [], safetySettings: [1], safety_settings: [2] },
    'gemini-3-pro',
    { contents: [], safetySettings: [1] },
  ],
  [
    'a level for an older model',
    {
      contents: [],
      generationConfig: { thinkingConfig: { thinkingLevel: 'HIGH', includeThoughts: true } },
    },
    'gemini-2.5-flash',
    {
      contents: [],
      generationConfig: { thinkingConfig: { thinkingBudget: 4096, includeThoughts: true } },
    },
  ],
  [
    'a level for a model that does not think',
    { contents: [], generationConfig: { thinkingConfig: { thinkingLevel: 'HIGH' } } },
    'gemini-2.0-flash',
    { contents: [] },
    ['generationConfig.thinkingConfig'],
  ],
  [
    'the usual sampling for a model that does its own',
    { contents: [], generationConfig: { temperature: 1, topP: 0.95, topK: 3 } },
    'own-sampling',
    { contents: [], generationConfig: { topK: 3 } },
  ],
  [
    'a body that is fine',
    { contents: [], generation_config: { top_k: 1 } },
    'gemini-3-pro',
    { contents: [], generation_config: { top_k: 1 } },
  ],
]
for (const [name, body, model, expected, dropped = []] of adapted)
  test(`adapted: ${name}`, () => {
    const info = model === 'own-sampling' ? { info: { supports_sampling_params: false } } : {}
    assert.deepEqual(native.adaptRequest(body, targetOf(model, info)), dropped)
    assert.deepEqual(body, expected)
  })

test('adapted: only bodies that need it are read', () => {
  const keys = native.requestKeys(targetOf('gemini-3-pro'))
  assert.ok(keys !== 'all' && keys.has('temperature') && keys.has('model') && !keys.has('contents'))
  assert.ok(!keys.has('generationConfig'))
  assert.deepEqual(native.requestWords?.(targetOf('gemini-3-pro')), ['"gAAAA'])
  assert.ok(native.requestWords?.(targetOf('gemini-2.5-pro')).includes('"thinkingLevel"'))
  const row = targetOf('gemini-3-pro', { quirks: { unsupported: ['seed'] } })
  const asked = native.requestKeys(row)
  assert.ok(asked !== 'all' && asked.has('generationConfig'))
  assert.throws(() => native.adaptRequest({ generationConfig: { seed: 1 } }, row), /'seed'/)
  const body = { generationConfig: { seed: 1 } }
  assert.deepEqual(native.adaptRequest(body, { ...row, dropParams: true }), ['seed'])
  assert.deepEqual(body, {})
})
