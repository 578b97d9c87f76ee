import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type JsonObject, object } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject } from '../json/parse.ts'
import { peek } from '../json/peek.ts'
import { edit, latin1Of } from './edit.ts'
import { canonical } from './openai-chat/chunks.test.ts'

const edited = (body: string, set: Record<string, string>, remove: string[] = []): string =>
  utf8(bytesOf(latin1Of(edit(peek(toUtf8(body)), () => parseObject(body), set, remove))))

const rows: [
  name: string,
  body: string,
  set: Record<string, string>,
  remove: string[],
  out: string,
][] = [
  ['a value where it stands', '{ "a" : 1 ,"b":1.50}', { a: '2' }, [], '{ "a" : 2 ,"b":1.50}'],
  [
    'several, in any order',
    '{"a":1,"b":2,"c":3}',
    { c: '"z"', a: '"x"' },
    [],
    '{"a":"x","b":2,"c":"z"}',
  ],
  ['letters beyond Latin-1', '{"a":"é"}', { a: '"世"' }, [], '{"a":"世"}'],
  ['a key that is not there', '{"a":1}', { b: '2' }, [], '{"a":1,"b":2}'],
  ['nothing', '{"a":1}', {}, [], '{"a":1}'],
  ['taken out', '{"a":1,"b":2}', { b: '3' }, ['a'], '{"b":3}'],
  [
    'a repeated key: read as a value',
    '{"a":1,"a":2,"n":12345678901234567890}',
    { b: '[98765432109876543210]' },
    [],
    '{"a":2,"n":12345678901234567890,"b":[98765432109876543210]}',
  ],
  ['an escaped key', '{"\\u0061":1,"b":2}', { a: '3' }, ['b'], '{"a":3}'],
]
for (const [name, body, set, remove, out] of rows)
  test(name, () => assert.equal(edited(body, set, remove), out))

test('law: editing the text is editing the value', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'é')
  const values = fc.dictionary(key, fc.jsonValue({ maxDepth: 2 }))
  fc.assert(
    fc.property(values, values, fc.subarray(['a', 'b', 'd']), (value, set, remove) => {
      const body = JSON.stringify({ ...value }) // without fast-check's prototype
      const raw = Object.fromEntries(
        Object.entries(set).map(([name, one]) => [name, JSON.stringify(one)]),
      )
      const wanted: JsonObject = object(JSON.parse(body))
      for (const name of remove) delete wanted[name]
      Object.assign(wanted, set)
      assert.equal(canonical(edited(body, raw, remove)), canonical(JSON.stringify(wanted)))
    }),
    { numRuns: 200 },
  )
})
