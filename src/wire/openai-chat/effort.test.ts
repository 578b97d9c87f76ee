import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Reasoning } from '../../chat/chat.ts'
import type { JsonObject } from '../../json/json.ts'
import type { Quirks } from '../quirks.ts'
import { target } from './chunks.test.ts'
import { encodeRequest } from './request.ts'

const thinker = { litellm_provider: 'openai', supports_reasoning: true }
const denies = { ...thinker, supports_none_reasoning_effort: false }
const grants = {
  ...thinker,
  supports_none_reasoning_effort: true,
  supports_xhigh_reasoning_effort: true,
}
const plain = { litellm_provider: 'openai' }
const off: Reasoning = { budget: 0 }

const rows: [
  name: string,
  reasoning: Reasoning,
  info: JsonObject,
  quirks: Quirks,
  sent: JsonObject,
  dropped?: 'thinking',
][] = [
  ['a budget', { budget: 5000 }, thinker, {}, { reasoning_effort: 'high' }],
  ['a small budget', { budget: 500 }, denies, {}, { reasoning_effort: 'low' }],
  ['left to the model', { adaptive: true }, thinker, {}, { reasoning_effort: 'medium' }],
  ['the most there is', { effort: 'max' }, thinker, {}, { reasoning_effort: 'high' }],
  ['the most it knows', { effort: 'max' }, grants, {}, { reasoning_effort: 'xhigh' }],
  ['off, where it can be', off, grants, {}, { reasoning_effort: 'none' }],
  ['off, where it cannot', off, denies, {}, { reasoning_effort: 'low' }],
  ['off, of a model nobody knows', off, {}, {}, {}, 'thinking'],
  [
    'off, in the words of the row',
    off,
    {},
    { effortAsThinking: true },
    { thinking: { type: 'disabled' } },
  ],
  ['off, where nothing is on', off, plain, {}, {}],
  ['a budget, where nothing thinks', { budget: 5000 }, plain, {}, {}, 'thinking'],
  ['a budget, of a model nobody knows', { budget: 5000 }, {}, {}, { reasoning_effort: 'high' }],
]
for (const [name, reasoning, info, quirks, sent, lost] of rows)
  test(`thoughts of another dialect: ${name}`, () => {
    const { body, dropped } = encodeRequest(
      {
        model: 'm',
        dialect: 'anthropic',
        messages: [],
        tools: [],
        stream: false,
        extras: {},
        reasoning,
      },
      { ...target, info, quirks },
    )
    const { reasoning_effort, thinking } = body
    assert.deepEqual(JSON.parse(JSON.stringify({ reasoning_effort, thinking })), sent)
    assert.deepEqual(dropped, lost ? [lost] : [])
  })

test("OpenAI's own clients are taken at their word", () => {
  const { body } = encodeRequest(
    {
      model: 'm',
      dialect: 'openai-chat',
      messages: [],
      tools: [],
      stream: false,
      extras: {},
      reasoning: { effort: 'none' },
    },
    { ...target, info: plain },
  )
  assert.equal(body.reasoning_effort, 'none')
})
