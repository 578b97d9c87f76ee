import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { parseObject, stringify } from '../../json/parse.ts'
import type { ClientContext, PassStream } from '../wire.ts'
import { canonical, context, type Spec, specs, target, write } from './chunks.test.ts'
import { passResult, passStream } from './pass.ts'

const open = (more: Partial<ClientContext> = {}): PassStream =>
  passStream(target, { ...context, ...more })
const push = (pass: PassStream, data: string): string[] =>
  dataOf(utf8(bytesOf(pass.push({ event: undefined, data: latin1(toUtf8(data)) }))))
const ending = (pass: PassStream): string[] => dataOf(utf8(bytesOf(pass.end(undefined))))

/** The events of what a client reads; a line end inside of one is a line of its own. */
const dataOf = (written: string): string[] =>
  written
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) =>
      event
        .split('\n')
        .map((line) => {
          assert.ok(line.startsWith('data: '), line)
          return line.slice(6)
        })
        .join('\n'),
    )

/** What a client must see of one frame: model and id, usage only if it asked, a role and thoughts where it looks for them. */
function shown(
  frame: string,
  spec: Spec,
  asked: boolean,
  spoken: Set<number>,
): JsonObject | undefined {
  const chunk = parseObject(frame)
  const usage = chunk['usage']
  if (!asked) {
    if (isObject(usage) && list(chunk['choices']).length === 0) return undefined
    delete chunk['usage']
  }
  for (const value of list(chunk['choices'])) {
    const choice = object(value)
    const delta = object(choice['delta'])
    const at = Number(choice['index'])
    if (delta['role'] === undefined && !spoken.has(at)) delta['role'] = 'assistant'
    spoken.add(at)
    if (typeof delta['reasoning'] === 'string') delta['reasoning_content'] = delta['reasoning']
  }
  return { ...chunk, model: 'prü"✓', id: spec.id }
}

const withoutNull = (json: string): string => {
  const chunk = parseObject(json)
  if (chunk['usage'] === null) delete chunk['usage']
  return canonical(stringify(chunk))
}

test('law: what passes is what came, but for model, id and usage', () => {
  fc.assert(
    fc.property(specs, fc.boolean(), (spec, asked) => {
      const frames = write(spec)
      const pass = open({ model: 'prü"✓', streamUsage: asked, choices: spec.choices })
      const spoken = new Set<number>()
      for (const frame of frames) {
        const wanted = shown(frame, spec, asked, spoken)
        const seen = push(pass, frame)
        assert.equal(seen.length, wanted ? 1 : 0)
        if (wanted) assert.equal(withoutNull(seen[0] ?? ''), withoutNull(stringify(wanted)))
      }
      if (spec.done) assert.deepEqual(push(pass, '[DONE]'), [])
      assert.equal(pass.complete, spec.done)
      assert.deepEqual(ending(pass), ['[DONE]'])
      assert.equal(pass.fault, undefined)
      assert.equal(pass.usage() !== undefined, !['null', 'never'].includes(spec.usage))
    }),
    { numRuns: 200 },
  )
})

test('law: a client sees one id, one model and no usage that it did not ask for', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const pass = open({ choices: spec.choices })
      const seen = [...write(spec).flatMap((frame) => push(pass, frame)), ...ending(pass)]
      assert.equal(seen.filter((data) => data === '[DONE]').length, 1)
      assert.equal(seen.at(-1), '[DONE]')
      const chunks = seen.slice(0, -1).map((data) => object(JSON.parse(data)))
      assert.deepEqual(
        [...new Set(chunks.map(({ id, model }) => `${id} ${model}`))],
        [`${spec.id} public`],
      )
      assert.ok(chunks.every(({ usage }) => usage === undefined || usage === null))
    }),
    { numRuns: 150 },
  )
})

test('law: the text kept for counting is everything that was said', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const pass = open({ choices: spec.choices })
      for (const frame of write(spec)) push(pass, frame)
      const said = spec.said.map(({ delta }) => {
        const call = object(list(delta['tool_calls'])[0])
        return (
          text(delta['content']) ??
          text(delta['reasoning_content']) ??
          text(delta['reasoning']) ??
          text(delta['refusal']) ??
          text(object(call['function'])['arguments']) ??
          ''
        )
      })
      assert.equal(pass.text(), said.join(''))
      assert.equal(pass.text(), said.join(''), 'and asking twice is no matter')
    }),
    { numRuns: 150 },
  )
})

const chunk = (choice: JsonObject | undefined, more: JsonObject = {}): JsonObject => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 5,
  model: 'gpt-x',
  choices: choice ? [{ index: 0, ...choice }] : [],
  ...more,
})
const says = (content: string): JsonObject => chunk({ delta: { content }, finish_reason: null })
const begins = chunk({ delta: { role: 'assistant', content: 'a' } })
const stops = chunk({ delta: {}, finish_reason: 'stop' })
const tokens = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }

/** Everything a client reads of these frames, parsed. */
function read(frames: readonly Json[], more: Partial<ClientContext> = {}): Json[] {
  const pass = open(more)
  const seen = frames.flatMap((frame) =>
    push(pass, typeof frame === 'string' ? frame : JSON.stringify(frame)),
  )
  return [...seen, ...ending(pass)].map((data) => (data === '[DONE]' ? data : JSON.parse(data)))
}

const calls = (call: JsonObject): JsonObject => chunk({ delta: { tool_calls: [call] } })
const rows: [
  name: string,
  frames: Json[],
  more: Partial<ClientContext>,
  seen: (answer: JsonObject[]) => unknown,
  wanted: unknown,
][] = [
  [
    'usage asked for comes as it came, once',
    [begins, stops, chunk(undefined, { usage: tokens }), '[DONE]'],
    { streamUsage: true },
    (seen) => seen.flatMap(({ usage }) => (usage ? [usage] : [])),
    [tokens],
  ],
  [
    'usage asked for that nobody told is put in before the end',
    [begins, stops],
    { streamUsage: true },
    (seen) => [seen.length, seen.at(-1)],
    [3, '[DONE]'],
  ],
  [
    'an id that comes late or never is made once',
    [
      { ...begins, id: '' },
      { ...stops, id: 'late' },
    ],
    {},
    (seen) => seen.map(({ id }) => id),
    ['chatcmpl-r-1', 'chatcmpl-r-1', undefined],
  ],
  [
    "Azure's first frame gets what it lacks",
    [chunk(undefined, { id: '', object: '', created: 0, model: '' }), begins, stops],
    {},
    (seen) => [
      seen[0]?.['id'],
      seen[0]?.['object'],
      seen[0]?.['created'],
      seen[1]?.['id'],
      seen[1]?.['created'],
    ],
    ['chatcmpl-r-1', 'chat.completion.chunk', 1_700_000_000, 'chatcmpl-r-1', 5],
  ],
  [
    'calls without an index get one, also when the frames before passed unread',
    [
      begins,
      says('b'),
      says('c'),
      calls({ id: 'x', function: { name: 'f', arguments: '{}' } }),
      stops,
    ],
    {},
    (seen) =>
      object(list(object(object(list(seen[3]?.['choices'])[0])['delta'])['tool_calls'])[0])[
        'index'
      ],
    0,
  ],
  [
    'thoughts are found under the name clients know, also later on',
    [begins, says('b'), says('c'), chunk({ delta: { reasoning: 'hm' } }), stops],
    {},
    (seen) => object(object(list(seen[3]?.['choices'])[0])['delta'])['reasoning_content'],
    'hm',
  ],
  [
    'an empty finish_reason is no ending',
    [chunk({ delta: { role: 'assistant', content: 'a' }, finish_reason: '' })],
    {},
    (seen) => seen.length,
    1,
  ],
  [
    'nothing comes after [DONE], and it comes once',
    [begins, stops, '[DONE]', '[DONE]', says('late')],
    {},
    (seen) => seen.length,
    3,
  ],
  [
    'an empty event is a heartbeat',
    [begins, '', ' ', stops, '[DONE]'],
    {},
    (seen) => seen.length,
    3,
  ],
]
for (const [name, frames, more, seen, wanted] of rows)
  test(`stream: ${name}`, () => {
    assert.deepEqual(seen(read(frames, more) as JsonObject[]), wanted) // as the row reads it
  })

test('JSON over several lines stays one event', () => {
  const pass = open()
  const data = JSON.stringify(begins, null, 2)
  const out = utf8(bytesOf(pass.push({ event: undefined, data })))
  assert.equal(out.split('\n\n').length, 2)
  assert.deepEqual(object(JSON.parse(dataOf(out)[0] ?? '')), { ...begins, model: 'public' })
  for (const frame of [says('b'), says('c')]) {
    const again = utf8(
      bytesOf(pass.push({ event: undefined, data: JSON.stringify(frame, null, 1) })),
    )
    assert.deepEqual(object(JSON.parse(dataOf(again)[0] ?? '')), { ...frame, model: 'public' })
  }
})

const faults: [name: string, frames: Json[], kind: string, status: number, message: RegExp][] = [
  ['an error object', [{ error: { message: 'boom', code: 429 } }], 'rate_limit', 429, /boom/],
  ['an error in words', [{ error: 'boom' }], 'provider', 500, /boom/],
  [
    "older vLLM's error",
    [{ object: 'error', message: 'too long', code: 400 }],
    'bad_request',
    400,
    /too long/,
  ],
  [
    'an error beside choices',
    [begins, chunk({ delta: {} }, { error: { code: 502, message: 'gone' } })],
    'bad_gateway',
    502,
    /gone/,
  ],
  [
    'an error after frames that passed',
    [begins, says('b'), says('c'), says('d'), { ...says(''), error: { message: 'x' } }],
    'provider',
    500,
    /x/,
  ],
  [
    'a code that means a status',
    [{ error: { message: 'x', code: 'rate_limit_exceeded' } }],
    'rate_limit',
    429,
    /x/,
  ],
  ['no JSON', [begins, '{"id":'], 'bad_gateway', 502, /not JSON/],
  ['JSON that is no object', ['[1]'], 'bad_gateway', 502, /not JSON/],
  ['nothing at all', [], 'bad_gateway', 502, /before the answer was complete/],
  ['no ending', [begins, says('b')], 'bad_gateway', 502, /before the answer was complete/],
]
for (const [name, frames, kind, status, message] of faults)
  test(`fault: ${name}, then silence`, () => {
    const pass = open()
    for (const frame of frames)
      push(pass, typeof frame === 'string' ? frame : JSON.stringify(frame))
    assert.deepEqual(ending(pass), [])
    assert.deepEqual([pass.fault?.kind, pass.fault?.status], [kind, status])
    assert.match(pass.fault?.message ?? '', message)
    assert.deepEqual(push(pass, JSON.stringify(begins)), [])
  })

for (const empty of ['', false, null, 0])
  test(`"error": ${JSON.stringify(empty)} is no error`, () => {
    assert.equal(read([{ ...begins, error: empty }, stops]).length, 3)
  })

test('with several choices the stream is whole when all have ended', () => {
  const of = (index: number, finish_reason: string | null) =>
    JSON.stringify({
      ...chunk(undefined),
      choices: [{ index, delta: { role: 'assistant', content: 'x' }, finish_reason }],
    })
  const pass = open({ choices: 2 })
  push(pass, of(0, 'stop'))
  assert.deepEqual(ending(pass), [])
  assert.equal(pass.fault?.kind, 'bad_gateway')
  const whole = open({ choices: 2 })
  for (const frame of [of(0, null), of(1, 'stop'), of(0, 'stop')]) push(whole, frame)
  assert.deepEqual(ending(whole), ['[DONE]'])
})

test('content: nothing was said until something was said', () => {
  const cases: [frame: JsonObject, content: boolean][] = [
    [chunk(undefined, { prompt_filter_results: [] }), false],
    [chunk({ delta: { role: 'assistant', content: '' } }), false],
    [chunk({ delta: { content: 'a' } }), true],
    [chunk({ delta: { reasoning: 'a' } }), true],
    [chunk({ delta: { refusal: 'a' } }), true],
    [chunk({ delta: { tool_calls: [{ index: 0, id: 'x' }] } }), true],
    [chunk({ delta: { images: [{ type: 'image_url' }] } }), true],
    [chunk({ delta: {}, finish_reason: 'stop' }), true],
  ]
  for (const [frame, content] of cases) {
    const pass = open()
    push(pass, JSON.stringify(frame))
    assert.equal(pass.content, content, JSON.stringify(frame))
  }
})

test('a piece of many megabytes is counted like any other', () => {
  const pass = open()
  const long = 'ab\\"'.repeat(4_000_000)
  for (const frame of [JSON.stringify(begins), JSON.stringify(says('b'))]) push(pass, frame)
  pass.push({ event: undefined, data: JSON.stringify(says('@')).replace('@', long) })
  assert.equal(pass.text().length, 2 + 12_000_000)
})

const whole = (
  more: JsonObject = {},
  message: JsonObject = { role: 'assistant', content: 'hi' },
): JsonObject => ({
  id: 'c1',
  object: 'chat.completion',
  created: 5,
  model: 'gpt-x',
  choices: [{ index: 0, message, finish_reason: 'stop' }],
  usage: tokens,
  ...more,
})
const answer = (
  body: string,
  counted?: Parameters<ReturnType<typeof passResult>['encode']>[0],
): string => {
  const { body: out, encoding } = passResult(toUtf8(body), target, {
    ...context,
    model: 'prü',
  }).encode(counted)
  return encoding === 'latin1' ? utf8(bytesOf(out)) : out
}

test('whole: bytes stay as they were, but for the model', () => {
  const body =
    '{ "id":"c1", "object":"chat.completion","created":1e3,"model" : "m","choices":[{"seed":15418893468987654321,"message":{"content":"\\u00e9 \\"model\\":\\"x\\" é"}}],"x":1.50 }'
  assert.equal(answer(body), body.replace('"m"', '"prü"'))
})

test('whole: numbers beyond 2^53 survive where the answer has to be read', () => {
  const body =
    '{"id":"c1","object":"x","created":1,"model":"m","choices":[{"seed":15418893468987654321,"message":{"reasoning":"hm","content":"a"}}],"n":99999999999999999999}'
  const out = answer(body)
  assert.match(out, /"seed":15418893468987654321/)
  assert.match(out, /"n":99999999999999999999/)
  assert.match(out, /"reasoning_content":"hm"/)
})

const results: [
  name: string,
  body: JsonObject,
  seen: (out: JsonObject) => unknown,
  wanted: unknown,
][] = [
  ['an id that is missing', whole({ id: undefined }), ({ id }) => id, 'chatcmpl-r-1'],
  ['an id that is null', whole({ id: null }), ({ id }) => id, 'chatcmpl-r-1'],
  ['an id that is empty', whole({ id: '' }), ({ id }) => id, 'chatcmpl-r-1'],
  [
    'no created, no object',
    whole({ created: undefined, object: undefined }),
    ({ created, object: what }) => [created, what],
    [1_700_000_000, 'chat.completion'],
  ],
  [
    'unknown fields',
    whole({ x_groq: { id: 'r' }, service_tier: 'default' }),
    ({ x_groq, service_tier }) => [x_groq, service_tier],
    [{ id: 'r' }, 'default'],
  ],
  ['no model', whole({ model: undefined }), ({ model }) => model, 'prü'],
  [
    'parts',
    whole(
      {},
      {
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
          { type: 'text', text: 'hi' },
        ],
      },
    ),
    ({ choices }) => object(object(list(choices)[0])['message']),
    { content: 'hi', reasoning_content: 'hm' },
  ],
  ['an error that is null', whole({ error: null }), ({ error }) => error, null],
]
for (const [name, body, seen, wanted] of results)
  test(`whole: ${name}`, () =>
    assert.deepEqual(seen(object(JSON.parse(answer(JSON.stringify(body))))), wanted))

test('whole: usage that nobody told is put in', () => {
  const counted = { ...passResult(toUtf8(JSON.stringify(whole())), target, context).usage }
  delete counted.raw
  const out = object(
    JSON.parse(answer(JSON.stringify(whole({ usage: undefined })), counted as never)),
  ) // complete but for raw
  assert.equal(object(out['usage'])['total_tokens'], 7)
  assert.equal(
    passResult(toUtf8(JSON.stringify(whole({ usage: {} }))), target, context).usage,
    undefined,
  )
})

const refusals: [name: string, body: string, kind: string, status: number, message: RegExp][] = [
  ['an error with 200', '{"error":{"message":"no","code":503}}', 'unavailable', 503, /no/],
  ['an error in words', '{"error":"no"}', 'provider', 500, /no/],
  ['a bare message', '{"message":"no such thing","status":404}', 'not_found', 404, /no such thing/],
  ['no choices', '{}', 'bad_gateway', 502, /without choices/],
  ['choices that are no list', '{"choices":{}}', 'bad_gateway', 502, /without choices/],
  ['a list', '[]', 'bad_gateway', 502, /no JSON object/],
  ['HTML', '<html>', 'bad_gateway', 502, /no JSON object/],
  ['nothing', '', 'bad_gateway', 502, /no JSON object/],
]
for (const [name, body, kind, status, message] of refusals)
  test(`whole: ${name} is refused`, () => {
    assert.throws(() => passResult(toUtf8(body), target, context), { kind, status, message })
  })
