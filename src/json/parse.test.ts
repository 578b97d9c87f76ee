import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../errors.ts'
import { isObject, type Json } from './json.ts'
import { toUtf8 } from './latin1.ts'
import { isRawNumber, numberOf, parseJson, parseObject, stringify } from './parse.ts'

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (!GatewayError.is(error)) throw error
    const { kind, status, param, type } = error
    assert.deepEqual(
      { kind, status, param, type },
      { kind: 'bad_request', status: 400, param: 'request_body', type: 'invalid_request_error' },
    )
    return error.message
  }
  return 'accepted'
}

const refusals: [name: string, body: string | Uint8Array, message: string][] = [
  ['nothing', '', 'request body is empty: send a JSON object'],
  ['nothing but space', ' \n\t', 'request body is empty: send a JSON object'],
  [
    'nothing but a mark',
    Uint8Array.of(0xef, 0xbb, 0xbf),
    'request body is empty: send a JSON object',
  ],
  [
    'cut short after a brace',
    '{',
    `expected a key in double quotes or '}', found the end at line 1, column 2`,
  ],
  ['cut short after a bracket', '[', `expected a value or ']', found the end at line 1, column 2`],
  [
    'cut short after a value',
    '{"a":[1,2',
    `expected ',' or ']', found the end at line 1, column 10`,
  ],
  [
    'cut short in a string',
    '{"a":"b',
    'the string that begins here has no end at line 1, column 6',
  ],
  [
    'a comma too many in an object',
    '{"a":1,}',
    `expected a key in double quotes, found "}" at line 1, column 8`,
  ],
  ['a comma too many in a list', '[1,]', `expected a value, found "]" at line 1, column 4`],
  [
    'a comma too few',
    '{"a":1\n\n  "b":2}',
    `expected ',' or '}', found a string at line 3, column 3`,
  ],
  ['a colon too few', '{"a" 1}', `expected ':' after the key, found "1" at line 1, column 6`],
  ['a wrong bracket', '{"a":[}]}', `expected a value or ']', found "}" at line 1, column 7`],
  ['something after it', '{} x', `expected nothing more, found "x" at line 1, column 4`],
  ['two values', '1,2', `expected nothing more, found "," at line 1, column 2`],
  [
    'a bare key',
    '{model: "a"}',
    `expected a key in double quotes or '}', found "model" at line 1, column 2`,
  ],
  [
    'single quotes',
    `{'a':1}`,
    `expected a key in double quotes or '}', found "'" at line 1, column 2`,
  ],
  ['a form instead of JSON', 'model=a', `expected a value, found "model" at line 1, column 1`],
  ['Python', '{"a": True}', `expected a value, found "True" at line 1, column 7`],
  ['NaN', '{"a":NaN}', `expected a value, found "NaN" at line 1, column 6`],
  ['a leading zero', '{"a":01}', `expected ',' or '}', found "1" at line 1, column 7`],
  ['a minus alone', '{"a":-}', `expected a value, found "-" at line 1, column 6`],
  ['a point without digits', '{"a":1.}', `expected ',' or '}', found "." at line 1, column 7`],
  [
    'an unknown escape',
    '{"a":"\\x41"}',
    'a backslash that begins no escape JSON has at line 1, column 7',
  ],
  [
    'a short escape',
    '{"a":"\\u12"}',
    'a backslash that begins no escape JSON has at line 1, column 7',
  ],
  [
    'a line break in a string',
    '{"a":"b\nc"}',
    'line breaks and control characters in a string must be escaped at line 1, column 8',
  ],
  [
    'the last of the control characters',
    '"\x1f"',
    'line breaks and control characters in a string must be escaped at line 1, column 2',
  ],
  ['an emoji', '{"é":😀}', `expected a value, found "😀" at line 1, column 6`],
  [
    'not UTF-8',
    Uint8Array.of(...toUtf8('{\n"\ufffdé\ufffd":"'), 0xff, 0x22, 0x7d),
    'not UTF-8 at line 2, column 8',
  ],
  [
    'UTF-8 cut short',
    Uint8Array.of(...toUtf8('{"a":"'), 0xe2, 0x86),
    'not UTF-8 at line 1, column 7',
  ],
  ['too deep', `[\n${'['.repeat(200)}`, 'nested deeper than 200 levels at line 2, column 200'],
]
for (const [name, body, message] of refusals) {
  test(`parseJson refuses: ${name}`, () => {
    const expected = message.startsWith('request') ? message : `Invalid JSON payload: ${message}`
    assert.equal(
      messageOf(() => parseJson(body)),
      expected,
    )
  })
}

const notObjects: [body: string, found: string][] = [
  ['[]', 'an array'],
  ['"{}"', 'a string'],
  ['1', 'a number'],
  ['12345678901234567890', 'a number'],
  ['true', 'a boolean'],
  ['null', 'null'],
]
for (const [body, found] of notObjects) {
  test(`parseObject refuses: ${body}`, () => {
    assert.equal(
      messageOf(() => parseObject(body)),
      `Invalid JSON payload: body must be a JSON object, not ${found}`,
    )
  })
}

test('parseObject: an object, from text or bytes, with or without a mark', () => {
  for (const body of [
    '{"a":"é"}',
    '\ufeff{"a":"é"}',
    toUtf8('{"a":"é"}'),
    toUtf8('\ufeff {"a":"é"}'),
  ])
    assert.deepEqual(parseObject(body), { a: 'é' })
})

const numbers: [text: string, written: string, seen: number | undefined, isRaw: boolean][] = [
  ['1', '1', 1, false],
  ['9007199254740991', '9007199254740991', 9007199254740991, false],
  ['9007199254740992', '9007199254740992', 9007199254740992, false],
  ['9007199254740993', '9007199254740993', 9007199254740992, true],
  ['-12345678901234567890', '-12345678901234567890', -12345678901234567000, true],
  ['123456789012345e5', '123456789012345e5', 12345678901234500000, true],
  ['1e19', '1e19', 1e19, true],
  ['1.5E+300', '1.5E+300', 1.5e300, true],
  ['1e400', '1e400', undefined, true],
  // Within 2^53 a number stays a number, for all who read it; the spelling may change, the value does not.
  ['1.0', '1', 1, false],
  ['1e3', '1000', 1000, false],
  ['0.1234567890123456789', '0.12345678901234568', 0.12345678901234568, false],
  ['1e-400', '0', 0, false],
]
for (const [text, written, seen, isRaw] of numbers) {
  test(`parseJson: the number ${text}`, () => {
    const value = parseObject(`{"n":[${text}]}`)['n']
    assert.ok(Array.isArray(value))
    assert.equal(stringify(value), `[${written}]`)
    assert.equal(numberOf(value[0]), seen)
    assert.equal(isRawNumber(value[0]), isRaw)
    assert.equal(typeof value[0] === 'number', !isRaw)
  })
}

test('numberOf and isRawNumber: nothing a client can send poses as a raw number', () => {
  const posing = parseObject('{"a":{"rawJSON":"1"},"b":12345678901234567890}')
  assert.equal(isRawNumber(posing['a']), false)
  for (const value of [posing['a'], '1', null, true, undefined, [1]])
    assert.equal(numberOf(value), undefined)
  // What is documented: isObject cannot tell.
  assert.ok(isObject(posing['b']))
})

test('parseJson: __proto__ and its like stay plain keys, with and without large numbers', () => {
  for (const text of [
    '{"__proto__":{"admin":true},"constructor":1}',
    '{"__proto__":{"admin":true,"n":12345678901234567890},"constructor":1}',
  ]) {
    const value = parseObject(text)
    assert.ok(Object.hasOwn(value, '__proto__'))
    assert.equal(Object.getPrototypeOf(value), Object.prototype)
    assert.equal(value['admin'], undefined)
    assert.equal(stringify(value), text)
  }
})

test('parseJson: lone surrogates stay, and are written as escapes', () => {
  const value = parseObject('{"a":"\\ud800x"}')
  assert.equal(value['a'], '\ud800x')
  assert.equal(stringify(value), '{"a":"\\ud800x"}')
})

test('parseJson: the limit of levels is the caller’s, and brackets in strings are none', () => {
  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
  assert.equal(
    messageOf(() => parseJson(nested(200))),
    'accepted',
  )
  assert.match(
    messageOf(() => parseJson(nested(201))),
    /deeper than 200/,
  )
  assert.match(
    messageOf(() => parseJson('[[]]', { maxDepth: 1 })),
    /deeper than 1 levels/,
  )
  assert.equal(
    messageOf(() => parseJson(nested(5000), { maxDepth: Infinity })),
    'accepted',
  )
  assert.equal(
    messageOf(() => parseJson(JSON.stringify({ a: '[{'.repeat(500) }))),
    'accepted',
  )
  assert.equal(
    messageOf(() => parseJson(`[${'[],'.repeat(500)}[]]`)),
    'accepted',
  )
})

test('parseJson: hostile megabytes are answered in time that grows with their length only', () => {
  const tool: Json = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } }
  const bodies = [
    '['.repeat(1e6),
    `{"a":"${'\\"'.repeat(5e5)}`,
    `{"a":"${'\\'.repeat(1e6)}`,
    `[${'1'.repeat(1e6)}`,
    `{"a":${'\n'.repeat(1e6)}`,
    stringify({ tools: Array.from({ length: 20_000 }, () => tool) }),
    `${'9'.repeat(20)},`.repeat(5e4),
  ]
  const started = performance.now()
  for (const body of bodies) messageOf(() => parseJson(body))
  // Some 100 ms here; anything quadratic takes minutes.
  assert.ok(performance.now() - started < 5000)
})
