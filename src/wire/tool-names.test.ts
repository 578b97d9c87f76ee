import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ChatRequest } from '../chat/chat.ts'
import { isObject, type JsonObject, text } from '../json/json.ts'
import { openaiNames, wordNames } from './tool-names.ts'
import type { ProviderWire, Target } from './wire.ts'
import { wires } from './wires.ts'

/** What each API takes for a function's name; those that are not here take no functions, or any name. */
const patterns: Partial<Record<keyof typeof wires, RegExp>> = {
  'openai-chat': openaiNames.legal,
  'openai-responses': openaiNames.legal,
  anthropic: /^[a-zA-Z0-9_-]{1,128}$/,
  'bedrock-converse': openaiNames.legal,
  'bedrock-invoke': /^[a-zA-Z0-9_-]{1,128}$/,
  'bedrock-chat': openaiNames.legal,
  'bedrock-openai': openaiNames.legal,
  cohere: openaiNames.legal,
  'cohere-v1': wordNames.legal,
  gemini: /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/,
  chatgpt: openaiNames.legal,
  gigachat: openaiNames.legal,
  manus: openaiNames.legal,
  oci: openaiNames.legal,
  'sagemaker-chat': openaiNames.legal,
  sap: openaiNames.legal,
  'vertex-anthropic': /^[a-zA-Z0-9_-]{1,128}$/,
  'vertex-endpoint': openaiNames.legal,
  'vertex-predict': openaiNames.legal,
  watsonx: openaiNames.legal,
}
const targetOf = (model: string): Target => ({
  provider: 'p',
  model,
  quirks: {},
  info: {},
  dropParams: true,
  modifyParams: false,
})
const request = (names: readonly string[]): ChatRequest => ({
  model: 'public',
  dialect: 'elsewhere',
  stream: false,
  extras: {},
  maxTokens: 9,
  tools: names.map((name, at) => ({
    type: 'function',
    name,
    description: `tool ${at}`,
    schema: { type: 'object', properties: { q: { type: 'string' } } },
  })),
  messages: [
    { role: 'user', parts: [{ type: 'text', text: 'hi' }] },
    {
      role: 'assistant',
      parts: [{ type: 'tool-call', id: 'call_1', name: names[0] ?? '', input: '{"q":"1"}' }],
    },
    {
      role: 'tool',
      parts: [
        {
          type: 'tool-result',
          id: 'call_1',
          name: names[0] ?? '',
          parts: [{ type: 'text', text: 'r' }],
          failed: false,
        },
      ],
    },
  ],
})

/** Sent names of the tools, by the description each came with. */
function namesByTool(value: unknown, found: Map<string, string> = new Map()): Map<string, string> {
  if (Array.isArray(value)) for (const one of value) namesByTool(one, found)
  else if (isObject(value)) {
    const { name, description } = value as JsonObject // an object
    const said = text(description)
    if (typeof name === 'string' && said && /^tool \d+$/.test(said)) found.set(said, name)
    for (const one of Object.values(value)) namesByTool(one, found)
  }
  return found
}

const odd = fc.oneof(
  fc.constantFrom(
    'weather.get/now ☃',
    'a.b',
    'a_b',
    'a b',
    '1st',
    'ns:fn',
    'get-it',
    'x'.repeat(90),
  ),
  fc.string({ minLength: 1, maxLength: 80 }),
)
const all: [string, ProviderWire][] = Object.entries(wires)
for (const [id, wire] of all) {
  const pattern = new Map(Object.entries(patterns)).get(id)
  if (!pattern) continue
  test(`${id}: every name of a tool is legal, none is another's, and all come back`, () => {
    fc.assert(
      fc.property(fc.uniqueArray(odd, { minLength: 1, maxLength: 5 }), (names) => {
        const asked = request(names)
        const before = structuredClone(asked)
        const { body, notes } = wire.encodeRequest(asked, targetOf('claude-3-haiku'))
        assert.deepEqual(asked, before)
        const sent = namesByTool(body)
        assert.equal(sent.size, names.length)
        assert.equal(new Set(sent.values()).size, names.length)
        for (const [tool, name] of sent) {
          assert.match(name, pattern)
          assert.equal(notes.toolNames?.get(name) ?? name, names[Number(tool.slice(5))])
        }
        const again = wire.encodeRequest(asked, targetOf('claude-3-haiku')).body
        assert.deepEqual(namesByTool(again), sent)
      }),
      { numRuns: 60 },
    )
  })
}

const names = new Map([['a_b_1', 'a.b']])
const calls = [
  { id: 'c', type: 'function', function: { name: 'a_b_1', arguments: '{}' } },
  { id: 'd', type: 'function', function: { name: 'plain', arguments: '{}' } },
]
for (const id of ['openai-chat', 'bedrock-openai', 'vertex-endpoint', 'watsonx'] as const)
  test(`${id}: a call is told by the client's name, whole and streamed`, () => {
    const notes = { model: 'm', toolNames: names }
    const result = wires[id].decodeResult(
      { choices: [{ message: { role: 'assistant', tool_calls: calls }, finish_reason: 'stop' }] },
      notes,
    )
    assert.deepEqual(
      result.choices[0]?.parts.map((part) => (part.type === 'tool-call' ? part.name : part.type)),
      ['a.b', 'plain'],
    )
    const decoder = wires[id].decodeStream(notes)
    const chunk = JSON.stringify({
      choices: [
        { index: 0, delta: { tool_calls: calls.map((call, index) => ({ index, ...call })) } },
      ],
    })
    const data =
      id === 'bedrock-openai'
        ? JSON.stringify({ bytes: Buffer.from(chunk).toString('base64') })
        : chunk
    assert.deepEqual(
      decoder
        .push({ event: undefined, data })
        .flatMap((event) => (event.type === 'tool-start' ? [event.name] : [])),
      ['a.b', 'plain'],
    )
  })

test("names of OpenAI's own clients are theirs to choose", () => {
  for (const dialect of [undefined, 'openai-chat']) {
    const { dialect: _, ...asked } = request(['a.b'])
    const { body, notes } = wires['openai-chat'].encodeRequest(
      { ...asked, ...(dialect && { dialect }) },
      targetOf('m'),
    )
    assert.deepEqual([...namesByTool(body).values()], ['a.b'])
    assert.equal(notes.toolNames, undefined)
  }
})
