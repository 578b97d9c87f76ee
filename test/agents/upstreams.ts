import { equal, ok } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { isObject, type JsonObject, list, object, text } from '../../src/json/json.ts'

/** What a scripted model says in one turn: it thinks, and then calls or speaks. */
export type Turn = { thought: string | undefined; calls: readonly Call[]; text: string }

/** A function with JSON for arguments, or a tool that takes a text as it is. */
export type Call = { name: string; namespace?: string } & ({ input: JsonObject } | { raw: string })

export type Usage = { input: number; cached: number; output: number }

/** A provider of one API, as strict as the real one about what it said before. */
export type Upstream = {
  /** `litellm_params` of a row that leads to it. */
  row(origin: string): JsonObject
  /** Is it a conversation? Else it is answered with 404. */
  asks(path: string): boolean
  isStreamed(path: string, json: JsonObject): boolean
  /** Tools by name; a namespace's as `namespace.name`. */
  tools(json: JsonObject): string[]
  /** How many turns of calls have been answered. */
  turnsDone(json: JsonObject): number
  /** Throws what is wrong with what it is told of the turns before. `unsigned`: the client has no place for signatures. */
  check(json: JsonObject, before: readonly Turn[], unsigned: boolean): void
  answer(json: JsonObject, turn: Turn, nth: number): { whole: JsonObject; events: string[] }
}

export const usage: Usage = { input: 1200, cached: 200, output: 345 }

const event = (type: string, more: JsonObject): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const data = (value: JsonObject): string => `data: ${JSON.stringify(value)}\n\n`

/** Small and uneven, so that escapes and surrogates are cut apart. */
function pieces(said: string): string[] {
  const out: string[] = []
  for (let at = 0, size = 1; at < said.length; at += size, size = (size * 7 + 5) % 47 || 11)
    out.push(said.slice(at, at + size))
  return out
}

/** In the alphabets of the real ones. */
const signature = (wire: string, nth: number): string => {
  const signed = btoa(`${wire} signs turn ${nth} ${'?>~'.repeat(20)}.`)
  return wire === 'openai' ? `gAAAAABm${inUrls(signed)}` : signed
}
const inUrls = (signed: string): string => signed.replaceAll('+', '-').replaceAll('/', '_')
/** Some characters as escapes, as some servers write them. */
const escaped = (value: JsonObject): string =>
  JSON.stringify(value).replace(/[ä🙂]/gu, (one) =>
    one
      .split('')
      .map((half) => `\\u${half.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
const argumentsOf = (call: Call): string => ('raw' in call ? call.raw : escaped(call.input))
const inputOf = (call: Call): JsonObject => ('raw' in call ? { input: call.raw } : call.input)

/** `{"input": …}` where a tool that takes a text is a function here. */
const asFunction = (call: Call): string =>
  'raw' in call ? escaped({ input: call.raw }) : argumentsOf(call)

const thinks = ({ thinking }: JsonObject): boolean => {
  const { type } = object(thinking)
  return type === 'enabled' || type === 'adaptive'
}

const anthropic: Upstream = {
  row: (origin) => ({ model: 'anthropic/claude-sonnet-4-6', api_base: origin, api_key: 'k' }),
  asks: (path) => path.startsWith('/v1/messages') && !path.includes('count_tokens'),
  isStreamed: (_, { stream }) => stream === true,
  tools: ({ tools }) => list(tools).flatMap((tool) => text(object(tool)['name']) ?? []),
  turnsDone: ({ messages }) =>
    list(messages).filter((message) =>
      list(object(message)['content']).some((block) => object(block)['type'] === 'tool_result'),
    ).length,
  check(json, before, unsigned) {
    const said = list(json['messages']).map(object)
    const turns = said.filter(({ role }) => role === 'assistant')
    equal(turns.length, before.length, 'the turns before, one message each')
    // Whoever thinks adaptively may be told its calls without its thoughts.
    const asksFor = thinks(json) && !(unsigned && object(json['thinking'])['type'] === 'adaptive')
    before.forEach((turn, nth) => {
      const blocks = list(turns[nth]?.['content']).map(object)
      const thinking = blocks.filter(({ type }) => type === 'thinking')
      if (asksFor) {
        equal(blocks[0]?.['type'], 'thinking', 'Expected `thinking`, but found `tool_use`')
        equal(thinking[0]?.['signature'], signature('anthropic', nth), 'Invalid `signature`')
        equal(thinking[0]?.['thinking'], turn.thought, 'the thought as it was signed')
      } else equal(thinking.length, 0, 'thinking blocks that are not signed, or not asked for')
      const calls = blocks.filter(({ type }) => type === 'tool_use')
      same(
        calls.map(({ input }) => input),
        turn.calls.map(inputOf),
      )
      for (const { id } of calls) ok(/^[a-zA-Z0-9_-]{1,64}$/.test(text(id) ?? ''), `id ${id}`)
      const after = list(said[said.indexOf(turns[nth] ?? {}) + 1]?.['content']).map(object)
      same(
        after
          .flatMap(({ type, tool_use_id }) => (type === 'tool_result' ? [tool_use_id] : []))
          .sort(),
        calls.map(({ id }) => id).sort(),
        'every tool_use is followed by its tool_result',
      )
    })
    const marks = JSON.stringify(json).split('"cache_control":{').length - 1
    ok(marks <= 4, `a maximum of 4 blocks with cache_control may be provided, found ${marks}`)
    equal(/"type":"(OBJECT|STRING)"/.test(JSON.stringify(json['tools'] ?? [])), false)
  },
  answer(json, { thought, calls, text: words }, nth) {
    const content: JsonObject[] = [
      ...(thought !== undefined && thinks(json)
        ? [{ type: 'thinking', thinking: thought, signature: signature('anthropic', nth) }]
        : []),
      ...(words === '' ? [] : [{ type: 'text', text: words }]),
      ...calls.map((call, at) => ({
        type: 'tool_use',
        id: `toolu_${nth}_${at}`,
        name: call.name,
        input: inputOf(call),
      })),
    ]
    const stop_reason = calls.length > 0 ? 'tool_use' : 'end_turn'
    const told = {
      input_tokens: usage.input - usage.cached,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: usage.cached,
      output_tokens: usage.output,
    }
    const message = {
      id: `msg_${nth}`,
      type: 'message',
      role: 'assistant',
      model: json['model'],
      stop_sequence: null,
    }
    return {
      whole: { ...message, content, stop_reason, usage: told },
      events: [
        event('message_start', {
          message: {
            ...message,
            content: [],
            stop_reason: null,
            usage: { ...told, output_tokens: 1 },
          },
        }),
        event('ping', {}),
        ...content.flatMap(anthropicBlock),
        event('message_delta', {
          delta: { stop_reason, stop_sequence: null },
          usage: { output_tokens: usage.output },
        }),
        event('message_stop', {}),
      ],
    }
  },
}

function anthropicBlock(block: JsonObject, index: number): string[] {
  const { type, thinking, signature: signed, text: words, input, id, name } = block
  const starting =
    type === 'thinking'
      ? { type, thinking: '', signature: '' }
      : type === 'text'
        ? { type, text: '' }
        : { type, id, name, input: {} }
  const deltas: JsonObject[] =
    type === 'thinking'
      ? [
          ...pieces(String(thinking)).map((one) => ({ type: 'thinking_delta', thinking: one })),
          { type: 'signature_delta', signature: signed },
        ]
      : type === 'text'
        ? pieces(String(words)).map((one) => ({ type: 'text_delta', text: one }))
        : pieces(escaped(object(input))).map((one) => ({
            type: 'input_json_delta',
            partial_json: one,
          }))
  return [
    event('content_block_start', { index, content_block: starting }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ]
}

/** As servers of open models have it: the thought in a field of its own, unsigned. */
const chat: Upstream = {
  row: (origin) => ({ model: 'hosted_vllm/qwen3', api_base: `${origin}/v1`, api_key: 'k' }),
  asks: (path) => path.startsWith('/v1/chat/completions'),
  isStreamed: (_, { stream }) => stream === true,
  tools: ({ tools }) =>
    list(tools).flatMap((tool) => text(object(object(tool)['function'])['name']) ?? []),
  turnsDone: ({ messages }) => {
    const said = list(messages).map(object)
    return said.filter(({ role }, at) => role === 'tool' && said[at - 1]?.['role'] !== 'tool')
      .length
  },
  check(json, before) {
    const said = list(json['messages']).map(object)
    const turns = said.filter(({ role }) => role === 'assistant')
    equal(turns.length, before.length, 'the turns before, one message each')
    before.forEach((turn, nth) => {
      const calls = list(turns[nth]?.['tool_calls']).map(object)
      same(
        calls.map((call) => JSON.parse(String(object(call['function'])['arguments']))),
        turn.calls.map(inputOf),
      )
      const ids = calls.map(({ id }) => text(id))
      equal(new Set(ids).size, turn.calls.length, 'ids of their own')
      const from = said.indexOf(turns[nth] ?? {}) + 1
      same(
        said
          .slice(from, from + ids.length)
          .map(({ role, tool_call_id }) => `${role} ${tool_call_id}`)
          .sort(),
        ids.map((id) => `tool ${id}`).sort(),
        "messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
      )
    })
  },
  answer(json, { thought, calls, text: words }, nth) {
    const top = {
      id: `chatcmpl-${nth}`,
      object: 'chat.completion',
      created: 1,
      model: json['model'],
    }
    const called = calls.map((call, at) => ({
      id: `call_${nth}_${at}`,
      type: 'function',
      function: { name: call.name, arguments: asFunction(call) },
    }))
    const told = {
      prompt_tokens: usage.input,
      completion_tokens: usage.output,
      total_tokens: usage.input + usage.output,
      prompt_tokens_details: { cached_tokens: usage.cached },
    }
    const finish_reason = calls.length > 0 ? 'tool_calls' : 'stop'
    const delta = (said: JsonObject, more: JsonObject = {}): string =>
      data({
        ...top,
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: said, finish_reason: null, ...more }],
      })
    return {
      whole: {
        ...top,
        choices: [
          {
            index: 0,
            message: {
              role: 'assistant',
              content: words || null,
              ...(thought !== undefined && { reasoning_content: thought }),
              ...(called.length > 0 && { tool_calls: called }),
            },
            finish_reason,
          },
        ],
        usage: told,
      },
      events: [
        delta({ role: 'assistant', content: '' }),
        ...pieces(thought ?? '').map((reasoning_content) => delta({ reasoning_content })),
        ...pieces(words).map((content) => delta({ content })),
        ...called.flatMap(({ function: { name, arguments: said }, ...call }, index) => [
          delta({ tool_calls: [{ ...call, index, function: { name, arguments: '' } }] }),
          ...pieces(said).map((piece) =>
            delta({ tool_calls: [{ index, function: { arguments: piece } }] }),
          ),
        ]),
        delta({}, { finish_reason }),
        ...(object(json['stream_options'])['include_usage'] === true
          ? [data({ ...top, object: 'chat.completion.chunk', choices: [], usage: told })]
          : []),
        'data: [DONE]\n\n',
      ],
    }
  },
}

const responses: Upstream = {
  row: (origin) => ({
    model: 'openai/responses/gpt-5.5',
    api_base: `${origin}/v1`,
    api_key: 'k',
    // Gemini CLI always sends temperature and topP, which this model refuses.
    drop_params: true,
  }),
  asks: (path) => path.startsWith('/v1/responses'),
  isStreamed: (_, { stream }) => stream === true,
  tools: (json) =>
    [
      ...list(json['tools']).map(object),
      ...list(json['input']).flatMap((item) => list(object(item)['tools']).map(object)),
    ].flatMap((tool) => {
      const name = text(tool['name'])
      if (tool['type'] === 'namespace')
        return list(tool['tools']).flatMap((one) => `${name}.${text(object(one)['name'])}`)
      return name ?? []
    }),
  turnsDone: ({ input }) => {
    const items = list(input).map(object)
    const isResult = (item: JsonObject | undefined): boolean =>
      item?.['type'] === 'function_call_output' || item?.['type'] === 'custom_tool_call_output'
    return items.filter((item, at) => isResult(item) && !isResult(items[at - 1])).length
  },
  check(json, before, unsigned) {
    const items = list(json['input']).map(object)
    const reasoning = items.filter(({ type }) => type === 'reasoning')
    same(
      reasoning.map(({ encrypted_content }) => encrypted_content),
      unsigned ? [] : before.map((_, nth) => signature('openai', nth)),
      'The encrypted content could not be verified',
    )
    const calls = items.filter(
      ({ type }) => type === 'function_call' || type === 'custom_tool_call',
    )
    same(
      calls.map(({ arguments: said, input }) => input ?? JSON.parse(String(said))),
      before.flatMap((turn) => turn.calls.map((call) => ('raw' in call ? call.raw : call.input))),
    )
    same(
      items
        .flatMap(({ type, call_id }) => (String(type).endsWith('call_output') ? [call_id] : []))
        .sort(),
      calls.map(({ call_id }) => call_id).sort(),
    )
  },
  answer(json, { thought, calls, text: words }, nth) {
    const output: JsonObject[] = [
      ...(thought === undefined
        ? []
        : [
            {
              type: 'reasoning',
              id: `rs_${nth}`,
              summary: [{ type: 'summary_text', text: thought }],
              encrypted_content: signature('openai', nth),
            },
          ]),
      ...(words === ''
        ? []
        : [
            {
              type: 'message',
              id: `msg_${nth}`,
              role: 'assistant',
              status: 'completed',
              content: [{ type: 'output_text', text: words, annotations: [] }],
            },
          ]),
      ...calls.map((call, at) => ({
        id: `${'raw' in call ? 'ctc' : 'fc'}_${nth}_${at}`,
        call_id: `call_${nth}_${at}`,
        name: call.name,
        ...(call.namespace !== undefined && { namespace: call.namespace }),
        status: 'completed',
        ...('raw' in call
          ? { type: 'custom_tool_call', input: call.raw }
          : { type: 'function_call', arguments: argumentsOf(call) }),
      })),
    ]
    const response = {
      id: `resp_${nth}`,
      object: 'response',
      created_at: 1,
      model: json['model'],
      error: null,
      store: false,
    }
    const told = {
      input_tokens: usage.input,
      input_tokens_details: { cached_tokens: usage.cached },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: 40 },
      total_tokens: usage.input + usage.output,
    }
    const begun = { ...response, status: 'in_progress', output: [], usage: null }
    const done = { ...response, status: 'completed', output, usage: told }
    const events = [
      { type: 'response.created', response: begun },
      { type: 'response.in_progress', response: begun },
      ...output.flatMap(responsesItem),
      { type: 'response.completed', response: done },
    ]
    return {
      whole: done,
      events: events.map(({ type, ...more }, sequence_number) =>
        event(String(type), { sequence_number, ...more }),
      ),
    }
  },
}

function responsesItem(item: JsonObject, output_index: number): JsonObject[] {
  const { id: item_id } = item
  const at = { item_id, output_index }
  const added = (starting: JsonObject): JsonObject => ({
    type: 'response.output_item.added',
    output_index,
    item: { ...item, ...starting },
  })
  const finished = { type: 'response.output_item.done', output_index, item }
  if (item['type'] === 'reasoning') {
    const [part] = list(item['summary']).map(object)
    const where = { ...at, summary_index: 0 }
    return [
      added({ summary: [], encrypted_content: '' }),
      {
        type: 'response.reasoning_summary_part.added',
        ...where,
        part: { type: 'summary_text', text: '' },
      },
      ...pieces(String(part?.['text'])).map((delta) => ({
        type: 'response.reasoning_summary_text.delta',
        ...where,
        delta,
      })),
      { type: 'response.reasoning_summary_text.done', ...where, text: part?.['text'] },
      { type: 'response.reasoning_summary_part.done', ...where, part },
      finished,
    ]
  }
  if (item['type'] === 'message') {
    const [part] = list(item['content']).map(object)
    const where = { ...at, content_index: 0 }
    return [
      added({ status: 'in_progress', content: [] }),
      {
        type: 'response.content_part.added',
        ...where,
        part: { type: 'output_text', text: '', annotations: [] },
      },
      ...pieces(String(part?.['text'])).map((delta) => ({
        type: 'response.output_text.delta',
        ...where,
        delta,
      })),
      { type: 'response.output_text.done', ...where, text: part?.['text'] },
      { type: 'response.content_part.done', ...where, part },
      finished,
    ]
  }
  const [field, kind] =
    item['type'] === 'function_call'
      ? (['arguments', 'function_call_arguments'] as const)
      : (['input', 'custom_tool_call_input'] as const)
  return [
    added({ status: 'in_progress', [field]: '' }),
    ...pieces(String(item[field])).map((delta) => ({
      type: `response.${kind}.delta`,
      ...at,
      delta,
    })),
    { type: `response.${kind}.done`, ...at, [field]: item[field] },
    finished,
  ]
}

const gemini: Upstream = {
  row: (origin) => ({
    model: 'gemini/gemini-3.1-pro-preview',
    api_base: `${origin}/v1beta`,
    api_key: 'k',
  }),
  asks: (path) => /[gG]enerateContent/.test(path),
  isStreamed: (path) => path.includes('streamGenerateContent'),
  tools: ({ tools }) =>
    list(tools).flatMap((tool) =>
      list(object(tool)['functionDeclarations']).flatMap((one) => text(object(one)['name']) ?? []),
    ),
  turnsDone: ({ contents }) =>
    list(contents).filter((content) =>
      list(object(content)['parts']).some((part) => isObject(object(part)['functionResponse'])),
    ).length,
  check(json, before, unsigned) {
    const contents = list(json['contents']).map(object)
    const partsOf = (content: JsonObject | undefined): JsonObject[] =>
      list(content?.['parts']).map(object)
    const turns = contents.filter((content) =>
      partsOf(content).some(({ functionCall }) => isObject(functionCall)),
    )
    equal(turns.length, before.length, 'the turns before, one content each')
    before.forEach((turn, nth) => {
      const calls = partsOf(turns[nth]).filter(({ functionCall }) => isObject(functionCall))
      same(
        calls.map(({ functionCall }) => object(functionCall)['args']),
        turn.calls.map(inputOf),
      )
      equal(
        // Bytes, which are read in both alphabets.
        inUrls(String(calls[0]?.['thoughtSignature'])),
        // Google documents this word for calls without one.
        unsigned ? 'skip_thought_signature_validator' : inUrls(signature('gemini', nth)),
        'Function call is missing a thought_signature',
      )
      const after = partsOf(contents[contents.indexOf(turns[nth] ?? {}) + 1])
      same(
        after.flatMap(({ functionResponse }) =>
          isObject(functionResponse) ? [functionResponse['name']] : [],
        ),
        turn.calls.map(({ name }) => name),
        'as many function response parts as function call parts',
      )
    })
  },
  answer(json, { thought, calls, text: words }, nth) {
    const told = {
      promptTokenCount: usage.input,
      cachedContentTokenCount: usage.cached,
      candidatesTokenCount: usage.output - 40,
      thoughtsTokenCount: 40,
      totalTokenCount: usage.input + usage.output,
    }
    const top = {
      modelVersion: text(json['model']) ?? 'gemini-3.1-pro-preview',
      responseId: `g${nth}`,
    }
    const parts: JsonObject[] = [
      ...(thought === undefined ? [] : [{ text: thought, thought: true }]),
      ...(words === '' ? [] : [{ text: words }]),
    ]
    // All calls in one chunk, the first of them signed, as Google sends them.
    const called: JsonObject[] = calls.map((call, at) => ({
      functionCall: { name: call.name, args: inputOf(call) },
      ...(at === 0 && { thoughtSignature: signature('gemini', nth) }),
    }))
    const candidate = (some: JsonObject[], more: JsonObject = {}): JsonObject => ({
      candidates: [{ index: 0, content: { role: 'model', parts: some }, ...more }],
      ...top,
    })
    const last = called.length > 0 ? called : [{ text: '' }]
    return {
      whole: {
        ...candidate([...parts, ...called], { finishReason: 'STOP' }),
        usageMetadata: told,
      },
      events: [
        ...parts.flatMap((part) =>
          pieces(String(part['text'])).map((one) => data(candidate([{ ...part, text: one }]))),
        ),
        data({ ...candidate(last, { finishReason: 'STOP' }), usageMetadata: told }),
      ],
    }
  },
}

export const upstreams = { anthropic, chat, responses, gemini } as const satisfies Record<
  string,
  Upstream
>
export type UpstreamName = keyof typeof upstreams

/** As `deepEqual`, with a message that shows where they part: what is compared may be long. */
export function same(found: unknown, wanted: unknown, what = 'what was said before'): void {
  if (isDeepStrictEqual(found, wanted)) return
  const [one, other] = [JSON.stringify(found) ?? 'nothing', JSON.stringify(wanted) ?? 'nothing']
  let at = 0
  while (at < one.length && one[at] === other[at]) at++
  const near = (said: string): string => said.slice(Math.max(0, at - 60), at + 160)
  throw new Error(`${what}: found …${near(one)}… where …${near(other)}… was expected`)
}
