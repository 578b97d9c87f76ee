import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answer, event, provider } from '../call/upstream.test.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import { door, jsonOf, textOf } from './visit.test.ts'

const path = '/cursor/chat/completions'
const models = {
  thinker: { model: 'openai/gpt-x' },
  gemini: { model: 'gemini/gemini-x' },
}
const input = [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }]
const flat = { type: 'function', name: 'read', parameters: { type: 'object' } }
const nested = { type: 'function', function: { name: 'read', parameters: { type: 'object' } } }

const responsesAnswer: JsonObject = {
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status: 'completed',
  model: 'gpt-x',
  output: [{ type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'read', arguments: '{}' }],
  usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
}
const geminiAnswer: JsonObject = {
  candidates: [
    { content: { role: 'model', parts: [{ text: 'hello' }] }, finishReason: 'STOP', index: 0 },
  ],
  usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 4, totalTokenCount: 7 },
  modelVersion: 'gemini-x',
}

describe('what Cursor sends to the path of chat', () => {
  test('is asked in Responses where it is said so, and answered in chat', async () => {
    const from = provider({ body: JSON.stringify(responsesAnswer) })
    const body = {
      model: 'thinker',
      input,
      tools: [nested],
      stream_options: { include_usage: true },
    }
    const told = await jsonOf(await door({ models }, from).visit({ path, body }))
    assert.equal(told['object'], 'chat.completion')
    const [choice] = list(told['choices']).map(object)
    assert.equal(choice?.['finish_reason'], 'tool_calls')
    const [call] = list(object(choice?.['message'])['tool_calls']).map(object)
    assert.deepEqual([call?.['id'], object(call?.['function'])['name']], ['call_1', 'read'])
    assert.equal(object(told['usage'])['total_tokens'], 7)
    const asked = from.asked.at(-1)
    assert.match(asked?.url ?? '', /\/v1\/responses$/)
    const sent = asked?.json ?? {}
    assert.equal(sent['stream_options'], undefined)
    assert.equal(object(list(sent['tools'])[0])['name'], 'read')
  })

  test('streams in chunks of chat, with its usage', async () => {
    const events = [
      {
        type: 'response.created',
        response: { ...responsesAnswer, output: [], status: 'in_progress' },
      },
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { id: 'm', type: 'message', role: 'assistant', content: [] },
      },
      {
        type: 'response.output_text.delta',
        item_id: 'm',
        output_index: 0,
        content_index: 0,
        delta: 'hey',
      },
      { type: 'response.completed', response: { ...responsesAnswer, output: [] } },
    ]
    const from = provider({ body: events.map((one) => event(one)) })
    const body = { model: 'thinker', input, stream: true, stream_options: { include_usage: true } }
    const told = await textOf(await door({ models }, from).visit({ path, body }))
    assert.match(told, /"object":"chat.completion.chunk"/)
    assert.match(told, /"content":"hey"/)
    assert.match(told, /"total_tokens":7/)
    assert.match(told, /data: \[DONE\]\n\n$/)
  })

  test('reaches every other vendor too', async () => {
    const from = provider({ body: JSON.stringify(geminiAnswer) })
    const told = await jsonOf(
      await door({ models }, from).visit({ path, body: { model: 'gemini', input, tools: [flat] } }),
    )
    const [choice] = list(told['choices']).map(object)
    assert.equal(object(choice?.['message'])['content'], 'hello')
    const [tool] = list(from.asked.at(-1)?.json['tools']).map(object)
    assert.equal(object(list(tool?.['functionDeclarations'])[0])['name'], 'read')
  })

  test('may be chat whose tools are in the form of Responses', async () => {
    const from = provider({ body: answer('hi') })
    const grammar = { type: 'grammar', syntax: 'lark', definition: 'x' }
    const body = {
      model: 'thinker',
      messages: [{ role: 'user', content: 'hi' }],
      tools: [
        flat,
        nested,
        { type: 'custom', name: 'patch', format: grammar },
        { type: 'custom', custom: { name: 'other', format: grammar } },
        { type: 'web_search' },
      ],
      tool_choice: { type: 'function', name: 'read' },
    }
    assert.equal((await door({ models }, from).visit({ path, body })).status, 200)
    const sent = from.asked.at(-1)?.json ?? {}
    const about = { type: 'grammar', grammar: { syntax: 'lark', definition: 'x' } }
    assert.deepEqual(sent['tools'], [
      nested,
      nested,
      { type: 'custom', custom: { name: 'patch', format: about } },
      { type: 'custom', custom: { name: 'other', format: about } },
      { type: 'web_search' },
    ])
    assert.deepEqual(sent['tool_choice'], { type: 'function', function: { name: 'read' } })
  })

  const variants: [model: string, more: JsonObject, effort: unknown][] = [
    ['thinker-thinking-high', {}, 'high'],
    ['thinker-thinking-low-fast', {}, 'low'],
    ['thinker-fast', {}, undefined],
    ['thinker-thinking-high', { reasoning_effort: 'low' }, 'low'],
  ]
  for (const [model, more, effort] of variants)
    test(`${model} ${JSON.stringify(more)} thinks ${effort}`, async () => {
      const from = provider({ body: answer('hi') })
      const body = { model, messages: [{ role: 'user', content: 'hi' }], ...more }
      assert.equal((await door({ models }, from).visit({ path, body })).status, 200)
      const sent = from.asked.at(-1)?.json ?? {}
      assert.deepEqual([sent['model'], sent['reasoning_effort']], ['gpt-x', effort])
    })

  test('an unknown model stays unknown, and what is kept elsewhere is refused', async () => {
    const from = provider({ body: answer('hi') })
    const at = door({ models }, from)
    const unknown = await at.visit({ path, body: { model: 'nobody-fast', input } })
    assert.match(await textOf(unknown), /nobody-fast/)
    const body = { model: 'thinker', input, previous_response_id: 'resp_1' }
    const named = await at.visit({ path, body })
    assert.equal(named.status, 400)
    assert.match(await textOf(named), /previous_response_id/)
    assert.equal(from.asked.length, 0)
  })

  test('its models are the gateway’s', async () => {
    const told = await jsonOf(
      await door({ models }, provider()).visit({ method: 'GET', path: '/cursor/v1/models' }),
    )
    assert.deepEqual(
      list(told['data']).map((one) => object(one)['id']),
      ['thinker', 'gemini'],
    )
  })
})
