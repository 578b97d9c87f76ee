import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type ChatResult, noUsage, type Part } from '../../chat/chat.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { context, inputRecords, targetsOf, wildJson } from '../testing.test.ts'
import type { ClientContext, Frame } from '../wire.ts'

/** A context that knows what the client said. */
export const asked = (body: JsonObject): ClientContext => ({ ...context, said: (key) => body[key] })

export const targetOf = targetsOf('openai')

/** The grammar of this wire's streams, from the official types; answers with the response the client ends up with. */
export function readGrammar(frames: readonly Frame[]): JsonObject {
  const items: JsonObject[] = []
  const done: JsonObject[] = []
  let id: unknown
  let last: JsonObject | undefined
  frames.forEach(({ event, data }, order) => {
    const said = object(JSON.parse(data))
    const type = text(said.type) ?? ''
    assert.equal(type, event, 'the name of an event is its type')
    assert.equal(said.sequence_number, order, 'events are numbered')
    assert.equal(last, undefined, 'nothing follows the end')
    if (order < 2)
      assert.equal(type, order === 0 ? 'response.created' : 'response.in_progress', 'the beginning')
    const response = isObject(said.response) ? said.response : undefined
    if (response) {
      id ??= response.id
      assert.equal(response.id, id, 'one response')
      assert.equal(response.model, context.model, 'the public name')
      if (order < 2) assert.deepEqual(response.output, [], 'nothing said yet')
      else last = said
      return
    }
    if (type === 'response.audio.delta') return
    const at = number(said.output_index) ?? -1
    if (type === 'response.output_item.added') {
      assert.equal(at, items.length, 'items are numbered as they begin')
      items.push(structuredClone(object(said.item)))
      return
    }
    const item = items[at]
    assert.ok(item, `${type} of an item that was added`)
    assert.equal(done[at], undefined, 'a finished item stays as it is')
    if (type === 'response.output_item.done') {
      const ended = object(said.item)
      assert.equal(ended.id, item.id)
      assert.equal(ended.type, item.type)
      for (const key of ['content', 'summary', 'arguments', 'input'])
        assert.deepEqual(ended[key], item[key], `${key} is what the deltas said`)
      done[at] = ended
      return
    }
    assert.equal(said.item_id, item.id, `${type} names its item`)
    grow(item, type, said)
  })
  assert.ok(last, 'the end comes')
  assert.equal(Object.keys(done).length, items.length, 'every item ends')
  const response = object(last.response)
  assert.deepEqual(response.output, done, 'the response holds its items')
  return response
}

function grow(item: JsonObject, type: string, said: JsonObject): void {
  const isSummary = type.startsWith('response.reasoning_summary')
  const parts = list(isSummary ? item.summary : item.content)
  const at = number(isSummary ? said.summary_index : said.content_index) ?? -1
  const part = object(parts[at])
  const add = (to: JsonObject, key: string) => {
    to[key] = (text(to[key]) ?? '') + (text(said.delta) ?? '')
  }
  switch (type.slice('response.'.length)) {
    case 'content_part.added':
    case 'reasoning_summary_part.added':
      assert.equal(at, parts.length, 'parts are numbered')
      if (isSummary) item.summary = [...parts, said.part ?? null]
      else item.content = [...parts, said.part ?? null]
      break
    case 'content_part.done':
    case 'reasoning_summary_part.done':
      assert.deepEqual(said.part, part, 'a part is what its deltas said')
      break
    case 'output_text.delta':
      assert.equal(part.type, 'output_text')
      add(part, 'text')
      break
    case 'output_text.done':
      assert.equal(said.text, part.text)
      part.logprobs = said.logprobs
      break
    case 'output_text.annotation.added':
      assert.equal(said.annotation_index, list(part.annotations).length)
      part.annotations = [...list(part.annotations), said.annotation ?? null]
      break
    case 'refusal.delta':
      assert.equal(part.type, 'refusal')
      add(part, 'refusal')
      break
    case 'refusal.done':
      assert.equal(said.refusal, part.refusal)
      break
    case 'reasoning_summary_text.delta':
      add(part, 'text')
      break
    case 'reasoning_summary_text.done':
      assert.equal(said.text, part.text)
      break
    case 'function_call_arguments.delta':
      assert.equal(item.type, 'function_call')
      add(item, 'arguments')
      break
    case 'function_call_arguments.done':
      assert.equal(said.arguments, item.arguments)
      break
    case 'custom_tool_call_input.delta':
      assert.equal(item.type, 'custom_tool_call')
      add(item, 'input')
      break
    case 'custom_tool_call_input.done':
      assert.equal(said.input, item.input)
      break
    default:
      assert.fail(`no such event ${type}`)
  }
}

const word = fc.string({ minLength: 1, maxLength: 12 }).map((said) => `w${said}w`)
const name = fc.stringMatching(/^[a-z_]{1,9}$/)
const callIds = fc.stringMatching(/^call_[a-zA-Z0-9]{6,8}$/)

const citation: JsonObject = {
  type: 'url_citation',
  url_citation: { url: 'https://e.com', title: 'E', start_index: 0, end_index: 2 },
}
const search: JsonObject = {
  type: 'web_search_call',
  id: 'ws_1',
  status: 'completed',
  action: { type: 'search', query: 'q' },
}

/** Parts of an answer that this wire can tell; no two texts touch, since a stream joins them. */
export const answerParts: fc.Arbitrary<Part[]> = fc
  .array(
    fc.oneof(
      fc.tuple(word, fc.boolean()).map(
        ([said, cited]): Part => ({
          type: 'text',
          text: said,
          ...(cited && { annotations: [citation] }),
        }),
      ),
      word.map((said): Part => ({ type: 'refusal', text: said })),
      fc
        .tuple(word, fc.constantFrom('gAAAAenc==', 'of-another-model'))
        .map(([said, signature]): Part => ({ type: 'reasoning', text: said, signature })),
      fc.constant<Part>({ type: 'reasoning', text: '', signature: 'gAAAAwordless' }),
      word.map((data): Part => ({ type: 'reasoning', text: '', redacted: data })),
      fc.tuple(callIds, name, inputRecords).map(
        ([id, called, input]): Part => ({
          type: 'tool-call',
          id,
          name: called,
          input: JSON.stringify(input),
        }),
      ),
      fc.tuple(callIds, name, word).map(
        ([id, called, input]): Part => ({
          type: 'tool-call',
          id,
          name: called,
          input,
          kind: 'custom',
        }),
      ),
      fc.constant<Part>({ type: 'raw', wire: 'openai-responses', value: search }),
      fc.constant<Part>({
        type: 'media',
        media: 'image',
        source: { type: 'bytes', mime: 'image/png', base64: 'iVBORw0K' },
      }),
    ),
    { maxLength: 7 },
  )
  .map((parts) => {
    const ids = new Set<string>()
    const kept: Part[] = []
    for (const part of parts) {
      const isRepeated =
        part.type === 'tool-call'
          ? ids.size === ids.add(part.id).size
          : part.type === 'raw'
            ? kept.some(({ type }) => type === 'raw')
            : (part.type === 'text' || part.type === 'refusal') && kept.at(-1)?.type === part.type
      if (!isRepeated) kept.push(part)
    }
    return kept
  })

export const answers: fc.Arbitrary<ChatResult> = fc
  .tuple(answerParts, fc.nat(9999), fc.nat(9999), fc.nat(9999), fc.nat(999), fc.boolean())
  .map(([parts, input, output, cacheRead, reasoning, cut]) => ({
    id: 'resp_1',
    created: 1_700_000_001,
    model: 'm',
    choices: [
      cut
        ? { parts, finish: 'length', reason: 'max_output_tokens' }
        : { parts, finish: parts.some(({ type }) => type === 'tool-call') ? 'tool-calls' : 'stop' },
    ],
    usage: {
      ...noUsage,
      input,
      output,
      cacheRead,
      reasoning,
      searches: parts.some(({ type }) => type === 'raw') ? 1 : 0,
    },
  }))

const textPart = word.map((said): JsonObject => ({ type: 'input_text', text: said }))
const mediaPart = fc.constantFrom<JsonObject>(
  { type: 'input_image', image_url: 'data:image/png;base64,iVBORw0K', detail: 'low' },
  { type: 'input_image', image_url: 'https://e.com/a.png' },
  { type: 'input_image', file_id: 'file_1', detail: 'original' },
  { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
  { type: 'input_file', file_url: 'https://e.com/a.pdf' },
  { type: 'input_file', file_id: 'file_2' },
  { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
  { type: 'input_text', text: 'x', prompt_cache_breakpoint: { mode: 'explicit', ttl: '12h' } },
  { type: 'input_video', of: 'next year' },
)
const thought = fc.oneof(
  fc.tuple(word, word).map(
    ([said, more]): JsonObject => ({
      type: 'reasoning',
      id: `rs_${more.length}`,
      summary: [{ type: 'summary_text', text: said }],
      encrypted_content: `gAAAA${more}`,
    }),
  ),
  fc.constant<JsonObject>({ type: 'reasoning', summary: [], encrypted_content: 'gAAAAx' }),
  fc.constant<JsonObject>({ type: 'reasoning', id: 'rs_kept', summary: [] }),
)
const reply = fc.oneof(
  word.map((said): JsonObject => ({ type: 'message', role: 'assistant', content: said })),
  word.map(
    (said): JsonObject => ({
      type: 'message',
      role: 'assistant',
      status: 'completed',
      id: `msg_${said.length}`,
      phase: 'commentary',
      content: [
        {
          type: 'output_text',
          text: said,
          annotations: [
            {
              type: 'url_citation',
              url: 'https://e.com',
              title: 'E',
              start_index: 0,
              end_index: 1,
            },
          ],
        },
        { type: 'refusal', refusal: 'no' },
      ],
    }),
  ),
)
const callItem = fc.oneof(
  inputRecords.map(
    (input): JsonObject => ({ type: 'function_call', name: 'look', ...json(input) }),
  ),
  inputRecords.map(
    (input): JsonObject => ({
      type: 'function_call',
      id: 'fc_1',
      namespace: 'crm',
      name: 'find',
      ...json(input),
    }),
  ),
  word.map((input): JsonObject => ({ type: 'custom_tool_call', name: 'patch', input })),
)
const json = (input: unknown): JsonObject => ({ arguments: JSON.stringify(input) })
const rawItem = fc.constantFrom<JsonObject>(
  { type: 'item_reference', id: 'msg_0' },
  search,
  { type: 'computer_call_output', call_id: 'c', output: { type: 'computer_screenshot' } },
  { type: 'compaction', id: 'cmp_1', encrypted_content: 'gAAAAc' },
  { type: 'of_next_year', deep: { a: [1] } },
)

const tools: JsonObject[] = [
  {
    type: 'function',
    name: 'look',
    description: 'Looks',
    parameters: { type: 'object', properties: { at: { type: 'string' } } },
    strict: true,
    defer_loading: true,
  },
  {
    type: 'custom',
    name: 'patch',
    description: 'Patches',
    format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
  },
  {
    type: 'namespace',
    name: 'crm',
    description: 'Customers',
    tools: [
      { type: 'function', name: 'find', parameters: { type: 'object' }, strict: false },
      { type: 'custom', name: 'note', format: { type: 'text' } },
    ],
  },
  { type: 'web_search', filters: { allowed_domains: ['e.com'] } },
  { type: 'mcp', server_label: 's', server_url: 'https://e.com/mcp' },
]

/** Requests in the form this wire writes, with everything it can say of a conversation. */
export const requestBodies: fc.Arbitrary<JsonObject> = fc
  .record({
    instructions: fc.option(word, { nil: undefined }),
    rounds: fc.array(
      fc.record({
        ask: fc.oneof(
          word,
          fc.array(fc.oneof(textPart, mediaPart), { minLength: 2, maxLength: 3 }),
        ),
        raw: fc.option(rawItem, { nil: undefined }),
        note: fc.boolean(),
        thoughts: fc.array(thought, { maxLength: 2 }),
        say: fc.array(reply, { maxLength: 1 }),
        calls: fc.array(callItem, { maxLength: 2 }),
        result: fc.oneof(
          word,
          fc.array(fc.oneof(textPart, mediaPart), { minLength: 2, maxLength: 2 }),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    choice: fc.constantFrom<Json | undefined>(
      undefined,
      'auto',
      'required',
      'none',
      { type: 'function', name: 'look' },
      { type: 'custom', name: 'patch' },
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'look' }] },
      { type: 'mcp', server_label: 's' },
      {
        type: 'allowed_tools',
        mode: 'auto',
        tools: [{ type: 'function', name: 'look' }, { type: 'image_generation' }],
      },
    ),
    more: fc.constantFrom<JsonObject>(
      {},
      { temperature: 0.2, top_p: 0.9, max_output_tokens: 5, stream: true, user: 'u' },
      { reasoning: { effort: 'xhigh', summary: 'auto' }, service_tier: 'flex' },
      { reasoning: { summary: 'auto' }, parallel_tool_calls: false },
      { reasoning: { effort: 'of next year', mode: 'pro' } },
      { text: { format: { type: 'json_object' }, verbosity: 'low' } },
      {
        text: {
          format: { type: 'json_schema', name: 't', schema: { type: 'object' }, strict: true },
          other: 1,
        },
      },
      { text: { format: { type: 'grammar', of: 'next year' } } },
      { include: ['reasoning.encrypted_content', 'message.output_text.logprobs'], top_logprobs: 2 },
      { store: false, previous_response_id: 'resp_0', truncation: 'auto', background: true },
      { prompt_cache_key: 'k', safety_identifier: 's', metadata: { a: 'b' }, client_metadata: {} },
      { brand_new: { a: 1 }, stream_options: { include_obfuscation: false } },
    ),
  })
  .map(({ instructions, rounds, choice, more }) => {
    const input: JsonObject[] = []
    let calls = 0
    for (const round of rounds) {
      if (round.raw) input.push(round.raw)
      input.push({ type: 'message', role: 'user', content: round.ask })
      if (round.note) input.push({ type: 'message', role: 'developer', content: 'note' })
      const uses = round.calls.map((call): JsonObject => ({ ...call, call_id: `call_${++calls}` }))
      input.push(...round.thoughts, ...round.say, ...uses)
      for (const { type, call_id } of uses)
        input.push({ type: `${type}_output`, call_id, output: round.result })
    }
    input.push({ type: 'message', role: 'user', content: 'so?' })
    return {
      model: 'gpt-5.5',
      input,
      ...(instructions !== undefined && { instructions }),
      tools,
      ...(choice !== undefined && { tool_choice: choice }),
      ...more,
    }
  })

/** JSON that looks like this wire's: real keys and types, any values. */
export const wildBodies = wildJson(
  `type model input instructions role content text tools name parameters strict description format syntax
  definition tool_choice mode max_output_tokens temperature reasoning effort summary include top_logprobs
  image_url file_id file_data file_url filename input_audio data id call_id arguments output encrypted_content
  namespace annotations url_citation logprobs refusal usage input_tokens output_tokens total_tokens
  input_tokens_details output_tokens_details cached_tokens reasoning_tokens status incomplete_details reason error
  code message response item part delta output_index content_index summary_index annotation result action
  previous_response_id extras constructor`,
  `text message reasoning function_call function_call_output custom_tool_call item_reference input_text input_image
  input_file input_audio output_text refusal user assistant system developer function custom namespace web_search
  allowed_tools json_schema grammar high auto none url_citation completed incomplete failed error additional_tools
  response.created response.completed response.failed response.output_item.added response.output_item.done
  response.output_text.delta response.reasoning_summary_text.delta response.function_call_arguments.delta
  image_generation_call web_search_call toString __proto__`,
)
