import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toUtf8, utf8 } from './latin1.ts'
import { type Edits, patch } from './patch.ts'
import { peek } from './peek.ts'

const cases: [name: string, body: string, edits: Edits, expected: string][] = [
  [
    'the model alone',
    '{"model": "a" ,"n":1.0}',
    { set: { model: '"b"' } },
    '{"model": "b" ,"n":1.0}',
  ],
  ['nothing at all', ' {"a":1} ', {}, ' {"a":1} '],
  ['empty edits', '{"a":1}', { set: {}, remove: [], append: {} }, '{"a":1}'],
  [
    'spellings of numbers and text stay',
    '{"model":"a","seed":12345678901234567890,"t":1.50,"e":1E+2,"s":"\\u00e9\\/"}',
    { set: { model: '"b"' } },
    '{"model":"b","seed":12345678901234567890,"t":1.50,"e":1E+2,"s":"\\u00e9\\/"}',
  ],
  ['two values', '{"a":1,"b":2,"c":3}', { set: { c: '30', a: '10' } }, '{"a":10,"b":2,"c":30}'],
  [
    'a value longer in bytes than in characters',
    '{"a":1,"b":"→"}',
    { set: { a: '"é→😀"' } },
    '{"a":"é→😀","b":"→"}',
  ],
  ['set where absent: at the end', '{"a":1}\n', { set: { b: '2' } }, '{"a":1,"b":2}\n'],
  ['set beside a value and an absent one', '{"a":1}', { set: { a: '3', b: '2' } }, '{"a":3,"b":2}'],
  ['append where absent', '{"a":1 }', { append: { b: '{"c":true}' } }, '{"a":1,"b":{"c":true} }'],
  ['the space before the first key stays', '{ "a":1 }', { append: { b: '2' } }, '{ "a":1,"b":2 }'],
  ['append where present: nothing', '{"a":1}', { append: { a: '2' } }, '{"a":1}'],
  ['append to an empty object', ' { }', { append: { a: '1', b: '2' } }, ' {"a":1,"b":2 }'],
  ['append gives way to set', '{}', { set: { a: '1' }, append: { a: '2' } }, '{"a":1}'],
  ['a key that has to be escaped', '{}', { set: { 'a"\n': '1' } }, '{"a\\"\\n":1}'],
  ['a key in UTF-8', '{"é":1}', { set: { é: '2', '→': '3' } }, '{"é":2,"→":3}'],
  ['remove the first', '{ "a":1, "b":2}', { remove: ['a'] }, '{"b":2}'],
  ['remove the first two', '{"a":1,"b":2, "c":3}', { remove: ['b', 'a'] }, '{"c":3}'],
  ['remove from the middle', '{"a":1, "b":2 ,"c":3}', { remove: ['b'] }, '{"a":1 ,"c":3}'],
  ['remove the last', '{"a":1, "b":2 }', { remove: new Set(['b']) }, '{"a":1 }'],
  ['remove all', '{ "a":1,"b":2 }', { remove: ['a', 'b'] }, '{ }'],
  ['remove what is not there', '{"a":1}', { remove: ['b'] }, '{"a":1}'],
  ['remove all and append', '{"a":1,"b":2}', { remove: ['a', 'b'], append: { c: '3' } }, '{"c":3}'],
  [
    'remove and set: moves to the end',
    '{"a":1,"b":2}',
    { remove: ['a'], set: { a: '9' } },
    '{"b":2,"a":9}',
  ],
  [
    '__proto__ is a key like any other',
    '{"a":1}',
    { set: JSON.parse('{"__proto__":"{}"}') },
    '{"a":1,"__proto__":{}}',
  ],
  [
    'keys of Object.prototype are not edits',
    '{"toString":1,"a":1}',
    { set: { a: '2' }, remove: ['b'] },
    '{"toString":1,"a":2}',
  ],
]
for (const [name, body, edits, expected] of cases) {
  test(`patch: ${name}`, () => {
    const glance = peek(toUtf8(body))
    assert.ok(glance)
    assert.equal(utf8(patch(glance, edits)), expected)
    assert.equal(utf8(glance.bytes), body)
  })
}

test('patch: the copy is a copy even where nothing changed', () => {
  const glance = peek(toUtf8('{"a":1}'))
  assert.ok(glance)
  patch(glance, {}).fill(0)
  assert.equal(utf8(glance.bytes), '{"a":1}')
})

test('patch: bytes that are no UTF-8 pass as they are', () => {
  const glance = peek(Uint8Array.of(...toUtf8('{"model":"a","x":"'), 0xff, ...toUtf8('"}')))
  assert.ok(glance)
  const out = patch(glance, { set: { model: '"bb"' } })
  assert.deepEqual([...out], [...toUtf8('{"model":"bb","x":"'), 0xff, ...toUtf8('"}')])
})
