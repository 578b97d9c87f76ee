import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../src/json/json.ts'
import { eventsOf, type Gateway, startGateway } from './support/gateway.ts'
import {
  type Asked,
  fileScope,
  type Provider,
  refusal,
  type Script,
  sse,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/**
 * What a coding agent does, in every dialect, over every kind of provider: it asks, is thought about, gets two calls of
 * the same tool at once, and sends back what it was told together with the results. The providers are as strict as the
 * real ones: a signature that was changed, moved or lost is a 400, and so is a result without its call.
 */
const scope = fileScope()
const clientNames = ['chat', 'messages', 'responses', 'gemini'] as const
const upstreamNames = ['vllm', 'anthropic', 'openai', 'google'] as const
type ClientName = (typeof clientNames)[number]
type UpstreamName = (typeof upstreamNames)[number]

const thought = 'I should look at both files.'
const paths = ['/a "ü" \\ 世', '/b\n']
const signatures = {
  anthropic: 'EqQBCkYIARgCKkBthink+/==',
  openai: 'gAAAAABencrypted_content-of-a-thought==',
  google: 'CsoBthoughtSignature+of/a/call==',
}
const argumentsOf = (at: number): string => JSON.stringify({ file_path: paths[at] })

class Wrong extends Error {}
const must = (is: boolean, what: string): void => {
  if (!is) throw new Wrong(what)
}

/** A server's whole conversation: what it says first, and what it insists on hearing the second time. */
type Upstream = {
  row: (provider: Provider) => JsonObject
  isStreamed(asked: Asked): boolean
  calls(asked: Asked): { whole: JsonObject; stream: string[] }
  /** Throws what is wrong with the second request. */
  check(json: JsonObject): void
  answer(): { whole: JsonObject; stream: string[] }
  /** Is this the second request? */
  isSecond(json: JsonObject): boolean
}

const event = (type: string, more: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`

/** An argument text in three pieces, the second cut in the middle of an escape. */
const pieces = (said: string): string[] => {
  const at = said.indexOf('\\') + 1 || 5
  return [said.slice(0, 3), said.slice(3, at), said.slice(at)]
}

const vllm: Upstream = {
  row: ({ base }) => ({ model: 'hosted_vllm/qwen3', api_base: base, api_key: 'k' }),
  isStreamed: ({ json }) => json['stream'] === true,
  calls() {
    const calls = paths.map((_, at) => ({
      id: `call_${at}`,
      type: 'function',
      function: { name: 'read_file', arguments: argumentsOf(at) },
    }))
    const usage = {
      prompt_tokens: 30,
      completion_tokens: 12,
      total_tokens: 42,
      prompt_tokens_details: { cached_tokens: 10 },
    }
    const top = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'qwen3' }
    const delta = (said: JsonObject, more: JsonObject = {}): string =>
      sse({ ...top, choices: [{ index: 0, delta: said, finish_reason: null, ...more }] })
    return {
      whole: {
        ...top,
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: null, reasoning: thought, tool_calls: calls },
            finish_reason: 'tool_calls',
          },
        ],
        usage,
      },
      stream: [
        delta({ role: 'assistant', content: '' }),
        delta({ reasoning: thought }),
        ...calls.flatMap(({ function: called, ...call }, index) => [
          delta({
            tool_calls: [{ ...call, index, function: { name: called.name, arguments: '' } }],
          }),
          ...pieces(called.arguments).map((said) =>
            delta({ tool_calls: [{ index, function: { arguments: said } }] }),
          ),
        ]),
        delta({}, { finish_reason: 'tool_calls' }),
        sse({ ...top, choices: [], usage }),
        'data: [DONE]\n\n',
      ],
    }
  },
  isSecond: ({ messages }) => list(messages).some((one) => object(one)['role'] === 'tool'),
  check({ messages }) {
    const said = list(messages).map(object)
    const at = said.findIndex(({ role }) => role === 'assistant')
    const calls = list(said[at]?.['tool_calls']).map(object)
    const ids = calls.map(({ id }) => text(id))
    must(said[0]?.['role'] === 'system', 'the system message is first')
    must(ids.length === 2 && new Set(ids).size === 2, `two calls with ids of their own: ${ids}`)
    const results = said.slice(at + 1, at + 3)
    deepEqual(
      results.map(({ role, tool_call_id }) => [role, tool_call_id]),
      ids.map((id) => ['tool', id]),
      'messages with role "tool" must be a response to a preceding message with "tool_calls"',
    )
    calls.forEach((call, index) => {
      equal(object(call['function'])['arguments'], argumentsOf(index))
    })
    checkResults(results.map(({ content }) => content))
  },
  answer() {
    const top = { id: 'chatcmpl-2', object: 'chat.completion', created: 1, model: 'qwen3' }
    const usage = { prompt_tokens: 50, completion_tokens: 2, total_tokens: 52 }
    return {
      whole: {
        ...top,
        choices: [
          { index: 0, message: { role: 'assistant', content: 'Done.' }, finish_reason: 'stop' },
        ],
        usage,
      },
      stream: [
        sse({ ...top, choices: [{ index: 0, delta: { content: 'Done.' }, finish_reason: null }] }),
        sse({ ...top, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
        sse({ ...top, choices: [], usage }),
        'data: [DONE]\n\n',
      ],
    }
  },
}

/** What came of the tools: the text, however it is wrapped, and not as ASCII-escaped JSON. */
function checkResults(contents: readonly (Json | undefined)[]): void {
  contents.forEach((content, at) => {
    const said = JSON.stringify(content)
    must(said.includes(`Inhalt ${at} äöü 世界`), `the result ${at} as text: ${said}`)
  })
}

const anthropic: Upstream = {
  row: ({ origin }) => ({
    model: 'anthropic/claude-sonnet-4-5',
    api_base: origin,
    api_key: 'k',
  }),
  isStreamed: ({ json }) => json['stream'] === true,
  calls({ json }) {
    const thinks = object(json['thinking'])['type'] === 'enabled'
    const content = [
      ...(thinks ? [{ type: 'thinking', thinking: thought, signature: signatures.anthropic }] : []),
      ...paths.map((file_path, at) => ({
        type: 'tool_use',
        id: `toolu_${at}`,
        name: 'read_file',
        input: { file_path },
      })),
    ]
    const usage = { input_tokens: 20, cache_read_input_tokens: 10, output_tokens: 12 }
    const message = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      stop_sequence: null,
    }
    const block = (value: JsonObject, index: number): string[] => {
      const { type, id, name } = value
      const starting =
        type === 'thinking' ? { type, thinking: '', signature: '' } : { type, id, name, input: {} }
      const deltas =
        type === 'thinking'
          ? [
              { type: 'thinking_delta', thinking: thought },
              { type: 'signature_delta', signature: signatures.anthropic },
            ]
          : pieces(JSON.stringify(value['input'])).map((partial_json) => ({
              type: 'input_json_delta',
              partial_json,
            }))
      return [
        event('content_block_start', { index, content_block: starting }),
        ...deltas.map((delta) => event('content_block_delta', { index, delta })),
        event('content_block_stop', { index }),
      ]
    }
    return {
      whole: { ...message, content, stop_reason: 'tool_use', usage },
      stream: [
        event('message_start', {
          message: {
            ...message,
            content: [],
            stop_reason: null,
            usage: { ...usage, output_tokens: 1 },
          },
        }),
        ...content.flatMap(block),
        event('message_delta', {
          delta: { stop_reason: 'tool_use', stop_sequence: null },
          usage: { output_tokens: 12 },
        }),
        event('message_stop', {}),
      ],
    }
  },
  isSecond: ({ messages }) => JSON.stringify(messages).includes('"tool_result"'),
  check(json) {
    const messages = list(json['messages']).map(object)
    const said = list(messages.find(({ role }) => role === 'assistant')?.['content']).map(object)
    const thinks = object(json['thinking'])['type'] === 'enabled'
    const [first] = said
    must(
      !thinks || first?.['type'] === 'thinking',
      'Expected `thinking` or `redacted_thinking`, but found `tool_use`',
    )
    for (const block of said)
      if (block['type'] === 'thinking')
        must(
          block['signature'] === signatures.anthropic && block['thinking'] === thought,
          `Invalid signature in thinking block: ${JSON.stringify(block)}`,
        )
    const calls = said.filter(({ type }) => type === 'tool_use')
    deepEqual(
      calls.map(({ input }) => object(input)['file_path']),
      paths,
    )
    const after = messages[messages.findIndex(({ role }) => role === 'assistant') + 1]
    const results = list(after?.['content']).map(object)
    deepEqual(
      results.filter(({ type }) => type === 'tool_result').map(({ tool_use_id }) => tool_use_id),
      calls.map(({ id }) => id),
    )
    for (const { id } of calls) must(/^[a-zA-Z0-9_-]+$/.test(text(id) ?? ''), `id ${id}`)
    checkResults(results.map(({ content }) => content))
    must(JSON.stringify(json['system']).includes('Be careful.'), 'the system prompt')
  },
  answer() {
    const message = {
      id: 'msg_2',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      stop_sequence: null,
    }
    const usage = { input_tokens: 50, output_tokens: 2 }
    return {
      whole: {
        ...message,
        content: [{ type: 'text', text: 'Done.' }],
        stop_reason: 'end_turn',
        usage,
      },
      stream: [
        event('message_start', { message: { ...message, content: [], stop_reason: null, usage } }),
        event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
        event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Done.' } }),
        event('content_block_stop', { index: 0 }),
        event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }),
        event('message_stop', {}),
      ],
    }
  },
}

const openai: Upstream = {
  // By `responses/` every client's request goes there.
  row: ({ base }) => ({ model: 'openai/responses/gpt-5.5', api_base: base, api_key: 'k' }),
  isStreamed: ({ json }) => json['stream'] === true,
  calls() {
    const output: JsonObject[] = [
      {
        type: 'reasoning',
        id: 'rs_1',
        summary: [{ type: 'summary_text', text: thought }],
        encrypted_content: signatures.openai,
      },
      ...paths.map((_, at) => ({
        type: 'function_call',
        id: `fc_${at}`,
        call_id: `call_${at}`,
        name: 'read_file',
        arguments: argumentsOf(at),
        status: 'completed',
      })),
    ]
    const usage = {
      input_tokens: 30,
      input_tokens_details: { cached_tokens: 10 },
      output_tokens: 12,
      output_tokens_details: { reasoning_tokens: 4 },
      total_tokens: 42,
    }
    const response = { id: 'resp_1', object: 'response', model: 'gpt-5.5', created_at: 1 }
    const item = (value: JsonObject, output_index: number): string[] => [
      event('response.output_item.added', {
        output_index,
        item:
          value['type'] === 'reasoning'
            ? { type: 'reasoning', id: value['id'], summary: [] }
            : { ...value, arguments: '', status: 'in_progress' },
      }),
      ...(value['type'] === 'reasoning'
        ? [
            event('response.reasoning_summary_text.delta', {
              output_index,
              item_id: 'rs_1',
              summary_index: 0,
              delta: thought,
            }),
          ]
        : pieces(String(value['arguments'])).map((delta) =>
            event('response.function_call_arguments.delta', {
              output_index,
              item_id: value['id'],
              delta,
            }),
          )),
      event('response.output_item.done', { output_index, item: value }),
    ]
    return {
      whole: { ...response, status: 'completed', output, usage },
      stream: [
        event('response.created', { response: { ...response, status: 'in_progress', output: [] } }),
        ...output.flatMap(item),
        event('response.completed', {
          response: { ...response, status: 'completed', output, usage },
        }),
      ],
    }
  },
  isSecond: ({ input }) => JSON.stringify(input).includes('function_call_output'),
  check(json) {
    const items = list(json['input']).map(object)
    const from = items.findIndex(({ type }) => type === 'function_call')
    const calls = items.slice(from, from + 2)
    deepEqual(
      calls.map((call) => call['arguments']),
      [argumentsOf(0), argumentsOf(1)],
    )
    const before = items[from - 1] ?? {}
    if (before['type'] === 'reasoning')
      must(
        before['encrypted_content'] === signatures.openai,
        `The encrypted content could not be verified: ${before['encrypted_content']}`,
      )
    const results = items.filter(({ type }) => type === 'function_call_output')
    deepEqual(
      results.map(({ call_id }) => call_id),
      calls.map(({ call_id }) => call_id),
    )
    checkResults(results.map(({ output }) => output))
    must(JSON.stringify(json).includes('Be careful.'), 'the system prompt')
  },
  answer() {
    const usage = { input_tokens: 50, output_tokens: 2, total_tokens: 52 }
    const response = { id: 'resp_2', object: 'response', model: 'gpt-5.5', created_at: 1 }
    const item = {
      type: 'message',
      id: 'msg_2',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Done.', annotations: [] }],
    }
    const done = { ...response, status: 'completed', output: [item], usage }
    return {
      whole: done,
      stream: [
        event('response.created', { response: { ...response, status: 'in_progress', output: [] } }),
        event('response.output_text.delta', {
          item_id: 'msg_2',
          output_index: 0,
          content_index: 0,
          delta: 'Done.',
        }),
        event('response.output_item.done', { output_index: 0, item }),
        event('response.completed', { response: done }),
      ],
    }
  },
}

const google: Upstream = {
  row: ({ origin }) => ({
    model: 'gemini/gemini-3-pro-preview',
    api_base: `${origin}/v1beta`,
    api_key: 'k',
  }),
  isStreamed: ({ path }) => path.includes('streamGenerateContent'),
  calls() {
    const told = {
      candidates: [
        {
          index: 0,
          content: {
            role: 'model',
            parts: [
              { text: thought, thought: true },
              // Both in one chunk, the first of them signed.
              ...paths.map((file_path, at) => ({
                functionCall: { name: 'read_file', args: { file_path } },
                ...(at === 0 && { thoughtSignature: signatures.google }),
              })),
            ],
          },
          finishReason: 'STOP',
        },
      ],
      usageMetadata: {
        promptTokenCount: 30,
        cachedContentTokenCount: 10,
        candidatesTokenCount: 8,
        thoughtsTokenCount: 4,
        totalTokenCount: 42,
      },
      modelVersion: 'gemini-3-pro-preview',
      responseId: 'g1',
    }
    return { whole: told, stream: [sse(told)] }
  },
  isSecond: ({ contents }) => JSON.stringify(contents).includes('functionResponse'),
  check(json) {
    const contents = list(json['contents']).map(object)
    const parts = contents.flatMap((content) => list(content['parts']).map(object))
    const calls = parts.filter(({ functionCall }) => isObject(functionCall))
    deepEqual(
      calls.map(({ functionCall }) => object(object(functionCall)['args'])['file_path']),
      paths,
    )
    must(
      calls[0]?.['thoughtSignature'] === signatures.google,
      `Function call is missing a thought_signature: ${JSON.stringify(calls[0])}`,
    )
    const results = parts.filter(({ functionResponse }) => isObject(functionResponse))
    equal(results.length, 2)
    for (const { functionResponse } of results) equal(object(functionResponse)['name'], 'read_file')
    checkResults(results.map(({ functionResponse }) => object(functionResponse)['response']))
    must(JSON.stringify(json['systemInstruction']).includes('Be careful.'), 'the system prompt')
  },
  answer() {
    const told = {
      candidates: [
        { index: 0, content: { role: 'model', parts: [{ text: 'Done.' }] }, finishReason: 'STOP' },
      ],
      usageMetadata: { promptTokenCount: 50, candidatesTokenCount: 2, totalTokenCount: 52 },
    }
    return { whole: told, stream: [sse(told)] }
  },
}

const upstreams: Record<UpstreamName, Upstream> = { vllm, anthropic, openai, google }

/** As a server that only chats. */
const noRoute = whole({ detail: 'Not Found' }, { status: 404 })

/** What went wrong with second requests, by the provider's own words. */
const script = (upstream: Upstream): Script => {
  return (asked) => {
    const { json } = asked
    if (upstream === vllm && asked.path !== '/v1/chat/completions') return noRoute
    let told = upstream.calls(asked)
    if (upstream.isSecond(json)) {
      try {
        upstream.check(json)
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause)
        return refusal(400, { message, type: 'invalid_request_error' })
      }
      told = upstream.answer()
    }
    return upstream.isStreamed(asked) ? stream(told.stream) : whole(told.whole)
  }
}

let gateway: Gateway
before(async () => {
  const models: JsonObject[] = []
  for (const name of upstreamNames) {
    const provider = await startProvider(scope, script(upstreams[name]))
    models.push({ model_name: name, litellm_params: upstreams[name].row(provider) })
  }
  gateway = await startGateway(scope, { models })
})

/** What an agent knows after a turn. */
type Heard = {
  calls: { id: string; name: string; input: string }[]
  text: string
  thought: string
  usage: { input: number; cached: number; output: number }
  /** The turn as this agent sends it back. */
  history: JsonObject[]
}
type Client = {
  first(model: string, streamed: boolean): { path: string; body: JsonObject }
  second(first: JsonObject, heard: Heard): JsonObject
  hear(response: Response, streamed: boolean): Promise<Heard>
}

const schema = {
  type: 'object',
  properties: { file_path: { type: 'string' } },
  required: ['file_path'],
}
const results = [0, 1].map((at) => `Inhalt ${at} äöü 世界`)

async function dataOf(response: Response): Promise<JsonObject[]> {
  return (await eventsOf(response)).flatMap(({ data }) => (isObject(data) ? [data] : []))
}

const chat: Client = {
  first: (model, streamed) => ({
    path: '/v1/chat/completions',
    body: {
      model,
      stream: streamed,
      ...(streamed && { stream_options: { include_usage: true } }),
      reasoning_effort: 'low',
      messages: [
        { role: 'system', content: 'Be careful.' },
        { role: 'user', content: 'Read both files.' },
      ],
      tools: [{ type: 'function', function: { name: 'read_file', parameters: schema } }],
    },
  }),
  second: (first, heard) => ({
    ...first,
    messages: [
      ...list(first['messages']),
      ...heard.history,
      ...heard.calls.map(({ id }, at) => ({
        role: 'tool',
        tool_call_id: id,
        content: results[at],
      })),
    ],
  }),
  async hear(response, streamed) {
    const message: JsonObject = { role: 'assistant' }
    let usage: JsonObject = {}
    if (streamed) {
      const calls: JsonObject[] = []
      for (const chunk of await dataOf(response)) {
        if (isObject(chunk['usage'])) usage = chunk['usage']
        const delta = object(object(list(chunk['choices'])[0])['delta'])
        for (const key of ['content', 'reasoning_content'])
          if (text(delta[key])) message[key] = (text(message[key]) ?? '') + text(delta[key])
        if (Array.isArray(delta['thinking_blocks']))
          message['thinking_blocks'] = [
            ...list(message['thinking_blocks']),
            ...delta['thinking_blocks'],
          ]
        for (const piece of list(delta['tool_calls']).map(object)) {
          const index = number(piece['index']) ?? 0
          const call = (calls[index] ??= { function: { name: '', arguments: '' } })
          for (const key of ['id', 'type', 'provider_specific_fields'])
            if (piece[key] !== undefined) call[key] = piece[key]
          const fn = object(call['function'])
          const { name, arguments: said } = object(piece['function'])
          call['function'] = {
            name: text(fn['name']) || (text(name) ?? ''),
            arguments: `${text(fn['arguments'])}${text(said) ?? ''}`,
          }
        }
      }
      if (calls.length > 0) message['tool_calls'] = calls
    } else {
      const told = object(await response.json())
      Object.assign(message, object(object(list(told['choices'])[0])['message']))
      usage = object(told['usage'])
    }
    return {
      calls: list(message['tool_calls']).map((call) => ({
        id: text(object(call)['id']) ?? '',
        name: text(object(object(call)['function'])['name']) ?? '',
        input: text(object(object(call)['function'])['arguments']) ?? '',
      })),
      text: text(message['content']) ?? '',
      thought: text(message['reasoning_content']) ?? '',
      usage: {
        input: number(usage['prompt_tokens']) ?? 0,
        cached: number(object(usage['prompt_tokens_details'])['cached_tokens']) ?? 0,
        output: number(usage['completion_tokens']) ?? 0,
      },
      history: [{ content: null, ...message }],
    }
  },
}

const messages: Client = {
  first: (model, streamed) => ({
    path: '/v1/messages?beta=true',
    body: {
      model,
      stream: streamed,
      max_tokens: 32_000,
      thinking: { type: 'enabled', budget_tokens: 4000 },
      system: [
        { type: 'text', text: 'Be careful.', cache_control: { type: 'ephemeral' } },
        { type: 'text', text: 'You are an agent.' },
      ],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Read both files.' }] }],
      tools: [{ name: 'read_file', description: 'Reads', input_schema: schema }],
    },
  }),
  second: (first, heard) => ({
    ...first,
    messages: [
      ...list(first['messages']),
      { role: 'assistant', content: heard.history },
      {
        role: 'user',
        content: heard.calls.map(({ id }, at) => ({
          type: 'tool_result',
          tool_use_id: id,
          content: [{ type: 'text', text: results[at] }],
        })),
      },
    ],
  }),
  async hear(response, streamed) {
    let content: JsonObject[] = []
    let usage: JsonObject = {}
    if (streamed) {
      const inputs = new Map<number, string>()
      let open: number | undefined
      for (const said of await dataOf(response)) {
        const index = number(said['index']) ?? -1
        if (said['type'] === 'message_start')
          usage = { ...object(object(said['message'])['usage']) }
        if (said['type'] === 'message_delta') usage = { ...usage, ...object(said['usage']) }
        if (said['type'] === 'content_block_start') {
          equal(open, undefined, 'one open block at a time')
          open = index
          content[index] = { ...object(said['content_block']) }
        }
        if (said['type'] === 'content_block_stop') {
          equal(open, index)
          open = undefined
        }
        if (said['type'] !== 'content_block_delta') continue
        const delta = object(said['delta'])
        const block = content[index] ?? {}
        for (const key of ['text', 'thinking', 'signature'])
          if (text(delta[key])) block[key] = (text(block[key]) ?? '') + text(delta[key])
        if (text(delta['partial_json']))
          inputs.set(index, (inputs.get(index) ?? '') + text(delta['partial_json']))
      }
      for (const [index, said] of inputs) {
        const block = content[index]
        if (block) block['input'] = JSON.parse(said)
      }
    } else {
      const told = object(await response.json())
      content = list(told['content']).map(object)
      usage = object(told['usage'])
    }
    const said = (type: string, key: string): string =>
      content
        .filter((block) => block['type'] === type)
        .map((block) => text(block[key]) ?? '')
        .join('')
    const cached = number(usage['cache_read_input_tokens']) ?? 0
    return {
      calls: content
        .filter(({ type }) => type === 'tool_use')
        .map(({ id, name, input }) => ({
          id: text(id) ?? '',
          name: text(name) ?? '',
          input: JSON.stringify(input),
        })),
      text: said('text', 'text'),
      thought: said('thinking', 'thinking'),
      // What was cached is not in Anthropic's input.
      usage: {
        input: (number(usage['input_tokens']) ?? 0) + cached,
        cached,
        output: number(usage['output_tokens']) ?? 0,
      },
      history: content,
    }
  },
}

const responses: Client = {
  first: (model, streamed) => ({
    path: '/v1/responses',
    body: {
      model,
      stream: streamed,
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'low', summary: 'auto' },
      instructions: 'Be careful.',
      client_metadata: { turn: '1' },
      input: [
        {
          type: 'message',
          role: 'user',
          content: [{ type: 'input_text', text: 'Read both files.' }],
        },
      ],
      tools: [{ type: 'function', name: 'read_file', parameters: schema, strict: false }],
    },
  }),
  second: (first, heard) => ({
    ...first,
    input: [
      ...list(first['input']),
      ...heard.history,
      ...heard.calls.map(({ id }, at) => ({
        type: 'function_call_output',
        call_id: id,
        output: results[at],
      })),
    ],
  }),
  async hear(response, streamed) {
    let told: JsonObject = {}
    let items: JsonObject[] = []
    if (streamed) {
      let last = -1
      for (const said of await dataOf(response)) {
        const sequence = number(said['sequence_number'])
        if (sequence !== undefined) {
          ok(sequence > last, `sequence ${sequence} after ${last}`)
          last = sequence
        }
        if (said['type'] === 'response.output_item.done') items.push(object(said['item']))
        if (said['type'] === 'response.completed') told = object(said['response'])
      }
      ok(told['status'], 'response.completed came')
    } else {
      told = object(await response.json())
      items = list(told['output']).map(object)
    }
    for (const { type, summary } of items)
      if (type === 'reasoning') ok(Array.isArray(summary), 'the Agents SDK maps over the summary')
    const usage = object(told['usage'])
    return {
      calls: items
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id, name, arguments: said }) => ({
          id: text(call_id) ?? '',
          name: text(name) ?? '',
          input: text(said) ?? '',
        })),
      text: items
        .filter(({ type }) => type === 'message')
        .flatMap(({ content }) => list(content).map((part) => text(object(part)['text']) ?? ''))
        .join(''),
      thought: items
        .filter(({ type }) => type === 'reasoning')
        .flatMap(({ summary }) => list(summary).map((part) => text(object(part)['text']) ?? ''))
        .join(''),
      usage: {
        input: number(usage['input_tokens']) ?? 0,
        cached: number(object(usage['input_tokens_details'])['cached_tokens']) ?? 0,
        output: number(usage['output_tokens']) ?? 0,
      },
      history: items,
    }
  },
}

const gemini: Client = {
  first: (model, streamed) => ({
    path: `/v1beta/models/${model}:${streamed ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: {
      systemInstruction: { role: 'user', parts: [{ text: 'Be careful.' }] },
      contents: [{ role: 'user', parts: [{ text: 'Read both files.' }] }],
      tools: [
        {
          functionDeclarations: [
            {
              name: 'read_file',
              description: 'Reads',
              parametersJsonSchema: {
                type: 'OBJECT',
                properties: { file_path: { type: 'STRING' } },
                required: ['file_path'],
              },
            },
          ],
        },
      ],
      generationConfig: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'HIGH' } },
    },
  }),
  // As Gemini CLI: thoughts are not sent back, calls without an id are given one, results stand in one turn.
  second: (first, heard) => ({
    ...first,
    contents: [
      ...list(first['contents']),
      { role: 'model', parts: heard.history },
      {
        role: 'user',
        parts: heard.calls.map(({ id, name }, at) => ({
          functionResponse: { id, name, response: { output: results[at] } },
        })),
      },
    ],
  }),
  async hear(response, streamed) {
    const answers = streamed ? await dataOf(response) : [object(await response.json())]
    const parts = answers.flatMap((one) =>
      list(object(object(list(one['candidates'])[0])['content'])['parts']).map(object),
    )
    const usage = object(
      answers.findLast((one) => isObject(one['usageMetadata']))?.['usageMetadata'],
    )
    const kept = parts
      .filter(({ thought: isThought }) => isThought !== true)
      .map((part, at): JsonObject => {
        const { functionCall } = part
        return isObject(functionCall)
          ? { ...part, functionCall: { id: `read_file_123_${at}`, ...functionCall } }
          : part
      })
    return {
      calls: kept.flatMap(({ functionCall: call }) =>
        isObject(call)
          ? [
              {
                id: text(call['id']) ?? '',
                name: text(call['name']) ?? '',
                input: JSON.stringify(call['args']),
              },
            ]
          : [],
      ),
      text: kept.map((part) => text(part['text']) ?? '').join(''),
      thought: parts
        .filter(({ thought: isThought }) => isThought === true)
        .map((part) => text(part['text']) ?? '')
        .join(''),
      usage: {
        input: number(usage['promptTokenCount']) ?? 0,
        cached: number(usage['cachedContentTokenCount']) ?? 0,
        output:
          (number(usage['candidatesTokenCount']) ?? 0) + (number(usage['thoughtsTokenCount']) ?? 0),
      },
      history: kept,
    }
  },
}

const clients: Record<ClientName, Client> = { chat, messages, responses, gemini }

for (const client of clientNames)
  describe(`an agent that speaks ${client}`, () => {
    for (const upstream of upstreamNames)
      for (const streamed of [true, false])
        test(`over ${upstream}${streamed ? ', streamed' : ''}: two calls, and back`, async () => {
          const { first, second, hear } = clients[client]
          const { path, body } = first(upstream, streamed)
          const response = await gateway.post(path, body)
          equal(response.status, 200, await said(response))
          const heard = await hear(response, streamed)
          deepEqual(
            heard.calls.map(({ name, input }) => [name, JSON.parse(input)]),
            paths.map((file_path) => ['read_file', { file_path }]),
            'each call is its own, its arguments one JSON object',
          )
          equal(new Set(heard.calls.map(({ id }) => id)).size, 2, 'each with an id of its own')
          for (const { id } of heard.calls) ok(id.length <= 40, id)
          equal(heard.thought, thought)
          deepEqual(heard.usage, { input: 30, cached: 10, output: 12 })
          const again = await gateway.post(path, second(body, heard))
          equal(again.status, 200, await said(again))
          const answered = await hear(again, streamed)
          equal(answered.text, 'Done.')
          deepEqual(answered.usage, { input: 50, cached: 0, output: 2 })
        })
  })

const said = async (response: Response): Promise<string> =>
  response.ok ? '' : await response.clone().text()

test('an agent that speaks chat and sends back only calls: thinking is off for that request', async () => {
  const { path, body } = chat.first('anthropic', true)
  const heard = await chat.hear(await gateway.post(path, body), true)
  const [message = {}] = heard.history
  const { thinking_blocks: _, reasoning_content: __, ...bare } = message
  const again = await gateway.post(path, chat.second(body, { ...heard, history: [bare] }))
  equal(again.status, 200, await said(again))
})

test('role "system" inside the messages, a list first and a text later, is accepted everywhere', async () => {
  for (const upstream of upstreamNames) {
    const response = await gateway.post('/v1/messages?beta=true', {
      model: upstream,
      max_tokens: 100,
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'Be careful.' }] },
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hello' },
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Go on' },
      ],
    })
    equal(response.status, 200, `${upstream} ${await said(response)}`)
  }
})

test('"prompt is too long" of any provider is told in the words Claude Code waits for', async (t) => {
  const provider = await startProvider(t, () =>
    refusal(400, {
      message: 'prompt is too long: 215000 tokens > 200000 maximum',
      type: 'invalid_request_error',
    }),
  )
  const own = await startGateway(t, {
    models: [
      {
        model_name: 'm',
        litellm_params: {
          model: 'anthropic/claude-sonnet-4-5',
          api_base: provider.origin,
          api_key: 'k',
        },
      },
    ],
  })
  const response = await own.post('/v1/messages', {
    model: 'm',
    max_tokens: 5,
    messages: [{ role: 'user', content: 'x' }],
  })
  equal(response.status, 400)
  match(await response.text(), /prompt is too long: 215000 tokens > 200000 maximum/)
})

test('a freeform tool: grammar and all to OpenAI, a function of one text to others, and back with deltas', async (t) => {
  const patch = '*** Begin Patch\n"ü"\n*** End Patch'
  const provider = await startProvider(t, (asked) => {
    if (asked.path !== '/v1/chat/completions') return noRoute
    const name = 'apply_patch'
    const call = { id: 'call_p', type: 'function', index: 0 }
    const said = JSON.stringify({ input: patch })
    const delta = (tool_calls: Json) =>
      sse({ id: 'c', choices: [{ index: 0, delta: { tool_calls }, finish_reason: null }] })
    return asked.json['stream'] === true
      ? stream([
          delta([{ ...call, function: { name, arguments: '' } }]),
          ...pieces(said).map((piece) => delta([{ index: 0, function: { arguments: piece } }])),
          sse({ id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }),
          'data: [DONE]\n\n',
        ])
      : whole({
          id: 'c',
          choices: [
            {
              index: 0,
              message: {
                role: 'assistant',
                tool_calls: [{ ...call, function: { name, arguments: said } }],
              },
              finish_reason: 'tool_calls',
            },
          ],
        })
  })
  const own = await startGateway(t, {
    models: [{ model_name: 'm', litellm_params: vllm.row(provider) }],
  })
  const body = {
    model: 'm',
    store: false,
    input: [{ role: 'user', content: 'patch it' }] as JsonObject[],
    tools: [
      {
        type: 'custom',
        name: 'apply_patch',
        description: 'Patches',
        format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
      },
      {
        type: 'namespace',
        name: 'agents',
        tools: [{ type: 'function', name: 'spawn', parameters: schema }],
      },
    ],
  }
  const events = await dataOf(await own.post('/v1/responses', { ...body, stream: true }))
  const sent = list(provider.last().json['tools']).map((tool) => object(object(tool)['function']))
  deepEqual(
    sent.map(({ name }) => name),
    ['apply_patch', 'agents__spawn'],
  )
  match(String(sent[0]?.['description']), /start: "x"/)
  const deltas = events.filter(({ type }) => type === 'response.custom_tool_call_input.delta')
  equal(deltas.map(({ delta }) => delta).join(''), patch)
  const item = object(events.find(({ type }) => type === 'response.output_item.done')?.['item'])
  deepEqual([item['type'], item['name'], item['input']], ['custom_tool_call', 'apply_patch', patch])
  const told = object(await (await own.post('/v1/responses', body)).json())
  equal(object(list(told['output'])[0])['input'], patch)
  // And the next turn: the call is a function's again, its result a tool message.
  await own.post('/v1/responses', {
    ...body,
    input: [
      ...body.input,
      item,
      { type: 'custom_tool_call_output', call_id: item['call_id'], output: 'ok' },
    ],
  })
  const said = list(provider.last().json['messages']).map(object)
  const call = object(list(said.find(({ role }) => role === 'assistant')?.['tool_calls'])[0])
  deepEqual(JSON.parse(String(object(call['function'])['arguments'])), { input: patch })
  deepEqual([said.at(-1)?.['role'], said.at(-1)?.['tool_call_id']], ['tool', call['id']])
})

test('tools of a namespace that came as an item are offered flat, and called by their own names', async (t) => {
  const provider = await startProvider(t, ({ path }) =>
    path !== '/v1/chat/completions'
      ? noRoute
      : whole({
          id: 'c',
          choices: [
            {
              index: 0,
              message: {
                role: 'assistant',
                tool_calls: [
                  {
                    id: 'c1',
                    type: 'function',
                    function: { name: 'code__exec', arguments: '{"input":"1+1"}' },
                  },
                ],
              },
              finish_reason: 'tool_calls',
            },
          ],
        }),
  )
  const own = await startGateway(t, {
    models: [{ model_name: 'm', litellm_params: vllm.row(provider) }],
  })
  const response = await own.post('/v1/responses', {
    model: 'm',
    input: [
      {
        type: 'additional_tools',
        role: 'developer',
        tools: [{ type: 'namespace', name: 'code', tools: [{ type: 'custom', name: 'exec' }] }],
      },
      { role: 'user', content: 'run it' },
    ],
  })
  const { output } = object(await response.json())
  const { type, name, namespace, input } = object(list(output)[0])
  deepEqual([type, name, namespace, input], ['custom_tool_call', 'exec', 'code', '1+1'])
  const [first] = list(provider.last().json['messages'])
  deepEqual(first, { role: 'user', content: 'run it' }, 'no empty message stands for the item')
})

test('the model a client asked for is named in every answer', async () => {
  for (const client of clientNames)
    for (const upstream of upstreamNames) {
      const { path, body } = clients[client].first(upstream, false)
      const told = object(await (await gateway.post(path, body)).json())
      equal(told['model'] ?? told['modelVersion'], upstream, `${client} over ${upstream}`)
    }
})
