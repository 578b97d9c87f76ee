import fc from 'fast-check'
import type { ChatResult, Part } from '../../chat/chat.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { inputRecords, targetsOf, wildJson } from '../testing.test.ts'
import type { Frame } from '../wire.ts'

export const targetOf = targetsOf('anthropic')

/** The grammar of Anthropic's streams; answers with the content blocks the client ends up with. */
export function readGrammar(frames: readonly Frame[]): { blocks: JsonObject[]; end: JsonObject } {
  const blocks: JsonObject[] = []
  let open: number | undefined
  let end: JsonObject = {}
  let state: 'start' | 'content' | 'delta' | 'stopped' = 'start'
  const law = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`${what}: ${frames.map((frame) => frame.data).join('\n')}`)
  }
  for (const { event, data } of frames) {
    const said = object(JSON.parse(data))
    law(said.type === event, 'the name of an event is its type')
    const at = number(said.index)
    switch (said.type) {
      case 'ping':
        law(state !== 'start' && state !== 'stopped', 'ping is inside the message')
        break
      case 'message_start':
        law(state === 'start', 'one message_start, first')
        law(list(object(said.message).content).length === 0, 'message_start is empty')
        state = 'content'
        break
      case 'content_block_start':
        law(state === 'content' && open === undefined, 'blocks follow each other')
        law(at === blocks.length, 'blocks are numbered')
        open = at
        blocks.push({ ...object(said.content_block) })
        break
      case 'content_block_delta': {
        law(open !== undefined && at === open, 'a delta is of the open block')
        const block = object(blocks.at(-1))
        apply(block, object(said.delta), law)
        break
      }
      case 'content_block_stop': {
        law(open !== undefined && at === open, 'the open block stops')
        open = undefined
        const block = object(blocks.at(-1))
        if (typeof block.json === 'string') {
          block.input = JSON.parse(block.json)
          delete block.json
        }
        break
      }
      case 'message_delta':
        law(state === 'content' && open === undefined, 'message_delta after the blocks')
        law(typeof object(said.delta).stop_reason === 'string', 'message_delta says why')
        law(typeof object(said.usage).output_tokens === 'number', 'message_delta has usage')
        end = said
        state = 'delta'
        break
      case 'message_stop':
        law(state === 'delta', 'message_stop is last')
        state = 'stopped'
        break
      default:
        law(false, `no such event ${String(said.type)}`)
    }
  }
  law(state === 'stopped', 'message_stop comes')
  return { blocks, end }
}

function apply(
  block: JsonObject,
  delta: JsonObject,
  law: (holds: boolean, what: string) => void,
): void {
  const add = (key: string, more: Json | undefined) => {
    block[key] = (text(block[key]) ?? '') + (text(more) ?? '')
  }
  switch (delta.type) {
    case 'text_delta':
      law(block.type === 'text', 'text in a text block')
      add('text', delta.text)
      break
    case 'thinking_delta':
      law(block.type === 'thinking', 'thinking in a thinking block')
      add('thinking', delta.thinking)
      break
    case 'signature_delta':
      law(block.type === 'thinking', 'a signature in a thinking block')
      add('signature', delta.signature)
      break
    case 'input_json_delta':
      law(isObject(block.input), 'input in a block that has one')
      add('json', delta.partial_json)
      break
    case 'citations_delta':
      law(block.type === 'text', 'a citation in a text block')
      block.citations = [...list(block.citations), delta.citation ?? null]
      return
    default:
      law(false, `no such delta ${String(delta.type)}`)
  }
}

const word = fc.string({ minLength: 1, maxLength: 12 }).map((said) => `w${said}w`)
const id = fc.stringMatching(/^toolu_[a-zA-Z0-9]{4,8}$/)

/** Parts of an answer that Anthropic can tell; no two texts touch, since a stream joins them. */
export const answerParts: fc.Arbitrary<Part[]> = fc
  .array(
    fc.oneof(
      word.map((said): Part => ({ type: 'text', text: said })),
      fc
        .tuple(word, word)
        .map(([said, signature]): Part => ({ type: 'reasoning', text: said, signature })),
      word.map((data): Part => ({ type: 'reasoning', text: '', redacted: data })),
      fc.tuple(id, fc.stringMatching(/^[a-z_]{1,9}$/), inputRecords).map(
        ([call, name, input]): Part => ({
          type: 'tool-call',
          id: call,
          name,
          input: JSON.stringify(input),
        }),
      ),
      fc.tuple(id, inputRecords).map(
        ([call, input]): Part => ({
          type: 'raw',
          wire: 'anthropic',
          value: { type: 'server_tool_use', id: call, name: 'web_search', input },
        }),
      ),
    ),
    { maxLength: 7 },
  )
  .map((parts) =>
    parts.filter((part, at) => part.type !== 'text' || parts[at - 1]?.type !== 'text'),
  )

export const answers: fc.Arbitrary<ChatResult> = fc
  .tuple(answerParts, fc.nat(9999), fc.nat(9999), fc.nat(9999), fc.nat(99), fc.nat(9))
  .map(([parts, input, output, cacheRead, cacheWrite, searches]) => {
    const called = parts.some((part) => part.type === 'tool-call')
    return {
      id: 'msg_1',
      created: 0,
      model: 'm',
      choices: [
        called
          ? { parts, finish: 'tool-calls', reason: 'tool_use' }
          : { parts, finish: 'stop', reason: 'end_turn' },
      ],
      usage: {
        input,
        cacheRead,
        cacheWrite,
        cacheWrite1h: 0,
        inputAudio: 0,
        inputImage: 0,
        output,
        reasoning: 0,
        outputAudio: 0,
        outputImage: 0,
        searches,
      },
    }
  })

const cacheMark = fc.constantFrom<JsonObject>(
  {},
  { cache_control: { type: 'ephemeral' } },
  { cache_control: { type: 'ephemeral', ttl: '1h' } },
)
const textBlock = fc
  .tuple(word, cacheMark)
  .map(([said, mark]): JsonObject => ({ type: 'text', text: said, ...mark }))
const imageBlock = fc
  .tuple(
    fc.constantFrom<JsonObject>(
      { type: 'base64', media_type: 'image/png', data: 'iVBORw0K' },
      { type: 'url', url: 'https://e.com/a.png' },
      { type: 'file', file_id: 'file_1' },
    ),
    cacheMark,
  )
  .map(([source, mark]): JsonObject => ({ type: 'image', source, ...mark }))
const documentBlock = fc
  .tuple(
    fc.constantFrom<JsonObject>(
      { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
      { type: 'url', url: 'https://e.com/a.pdf' },
      { type: 'text', media_type: 'text/plain', data: 'Zürich ✓' },
      {
        type: 'content',
        content: [
          { type: 'text', text: 'one' },
          { type: 'text', text: 'two' },
        ],
      },
    ),
    fc.constantFrom<JsonObject>({}, { title: 'T', context: 'c', citations: { enabled: true } }),
    cacheMark,
  )
  .map(([source, more, mark]): JsonObject => ({ type: 'document', source, ...more, ...mark }))
const rawBlock = fc.constantFrom<JsonObject>(
  { type: 'search_result', source: 's', title: 't', content: [{ type: 'text', text: 'x' }] },
  { type: 'container_upload', file_id: 'f' },
  { type: 'of_next_year', deep: { a: [1] } },
)
const thoughtBlock = fc.oneof(
  fc
    .tuple(word, word)
    .map(([thinking, signature]): JsonObject => ({ type: 'thinking', thinking, signature })),
  word.map((data): JsonObject => ({ type: 'redacted_thinking', data })),
)

/** Requests in the form this wire writes, with everything Anthropic can say of a conversation. */
export const requestBodies: fc.Arbitrary<JsonObject> = fc
  .record({
    system: fc.array(textBlock, { maxLength: 2 }),
    rounds: fc.array(
      fc.record({
        ask: fc.array(fc.oneof(textBlock, imageBlock, documentBlock, rawBlock), {
          minLength: 1,
          maxLength: 3,
        }),
        note: fc.boolean(),
        thoughts: fc.array(thoughtBlock, { maxLength: 2 }),
        say: fc.array(textBlock, { maxLength: 1 }),
        calls: fc.array(inputRecords, { maxLength: 2 }),
        results: fc.array(fc.oneof(textBlock, imageBlock), { minLength: 1, maxLength: 2 }),
        failed: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    tools: fc.boolean(),
    choice: fc.constantFrom<JsonObject | undefined>(
      undefined,
      { type: 'auto' },
      { type: 'any', disable_parallel_tool_use: true },
      { type: 'tool', name: 'look' },
      { type: 'none' },
    ),
    more: fc.constantFrom<JsonObject>(
      {},
      { stop_sequences: ['END'], metadata: { user_id: 'u' }, stream: true },
      { thinking: { type: 'adaptive' }, output_config: { effort: 'xhigh' } },
      {
        thinking: { type: 'adaptive', display: 'omitted' },
        context_management: { edits: [] },
        brand_new: { a: 1 },
      },
      {
        output_config: {
          format: {
            type: 'json_schema',
            schema: {
              type: 'object',
              properties: { a: { type: 'string' } },
              additionalProperties: false,
              required: ['a'],
            },
          },
        },
      },
      { service_tier: 'standard_only', container: 'c1', speed: 'standard' },
    ),
  })
  .map(({ system, rounds, tools, choice, more }) => {
    const messages: JsonObject[] = []
    let calls = 0
    let results: JsonObject[] = []
    for (const round of rounds) {
      messages.push({ role: 'user', content: [...results, ...round.ask] })
      results = []
      if (round.note) messages.push({ role: 'system', content: [{ type: 'text', text: 'note' }] })
      const uses = round.calls.map(
        (input): JsonObject => ({ type: 'tool_use', id: `toolu_${++calls}`, name: 'look', input }),
      )
      const content = [...round.thoughts, ...round.say, ...uses]
      if (content.length === 0) content.push({ type: 'text', text: 'hm' })
      messages.push({ role: 'assistant', content })
      results = uses.map((use) => ({
        type: 'tool_result',
        tool_use_id: use.id,
        content: round.results,
        ...(round.failed && { is_error: true }),
      }))
    }
    messages.push({ role: 'user', content: [...results, { type: 'text', text: 'so?' }] })
    return {
      model: 'claude-opus-5',
      max_tokens: 4000,
      messages,
      ...(system.length > 0 && { system }),
      ...((tools || calls > 0) && {
        tools: [
          {
            name: 'look',
            description: 'Looks',
            input_schema: { type: 'object', properties: { at: { type: 'string', minLength: 1 } } },
            cache_control: { type: 'ephemeral' },
          },
          { type: 'web_search_20250305', name: 'web_search', max_uses: 2 },
        ],
        ...(choice && { tool_choice: choice }),
      }),
      ...more,
    }
  })

/** JSON that looks like this wire's: real keys and types, any values. */
export const wildBodies = wildJson(
  `type model messages role content text system tools name input_schema tool_choice max_tokens thinking
  budget_tokens output_config effort format schema metadata user_id stop_sequences source media_type data url
  file_id input id tool_use_id is_error cache_control ttl citations signature usage input_tokens output_tokens
  cache_creation delta index content_block message partial_json stop_reason error stop_details properties items
  anyOf $ref required constructor`,
  `text thinking tool_use tool_result user assistant system image document base64 url enabled adaptive error
  message_delta content_block_start content_block_delta input_json_delta text_delta end_turn toString __proto__`,
)
