import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../json/json.ts'
import { toolsText } from './tools-text.ts'

const fields: [name: string, schema: JsonObject, expected: string][] = [
  ['a string', { type: 'string' }, 'f?: string,'],
  ['an integer', { type: 'integer' }, 'f?: number,'],
  ['an enum', { type: 'string', enum: ['a', 'b'] }, 'f?: "a" | "b",'],
  ['an enum without type', { enum: [1, null] }, 'f?: "1" | "null",'],
  ['a list', { type: 'array', items: { type: 'boolean' } }, 'f?: boolean[],'],
  ['a list of anything', { type: 'array' }, 'f?: any[],'],
  ['a choice', { anyOf: [{ type: 'string' }, { type: 'null' }] }, 'f?: string | null,'],
  ['described', { type: 'number', description: 'How many' }, '// How many\nf?: number,'],
  ['a reference', { $ref: '#/$defs/x' }, 'f?: any,'],
  [
    'nested',
    { type: 'object', properties: { g: { type: 'string' } }, required: ['g'] },
    'f?: {\n  g: string,\n},',
  ],
]

describe('tools as text', () => {
  test('a namespace with a type for each tool', () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    assert.equal(
      toolsText([{ name: 'weather', description: 'Says it', schema }, { name: 'now' }]),
      'namespace functions {\n\n// Says it\ntype weather = (_: {\ncity: string,\n}) => any;\n\ntype now = () => any;\n\n} // namespace functions',
    )
  })

  for (const [name, schema, expected] of fields)
    test(`field: ${name}`, () => {
      const said = toolsText([{ name: 't', schema: { properties: { f: schema } } }])
      assert.equal(said.split('(_: {\n')[1]?.split('\n}) => any;')[0], expected)
    })

  test('a schema as deep as one likes is cut off', () => {
    for (const wrap of [
      (inner: JsonObject): JsonObject => ({ type: 'array', items: inner }),
      (inner: JsonObject): JsonObject => ({ type: 'object', properties: { f: inner } }),
      (inner: JsonObject): JsonObject => ({ anyOf: [inner] }),
    ]) {
      let schema: JsonObject = { type: 'string' }
      for (let i = 0; i < 100_000; i++) schema = wrap(schema)
      assert.match(toolsText([{ name: 't', schema: { properties: { f: schema } } }]), /any/)
    }
  })

  test('a schema as wide as one likes is cut off', () => {
    const wide: JsonObject = {}
    for (let i = 0; i < 100_000; i++) wide[`f${i}`] = { type: 'string' }
    assert.ok(toolsText([{ name: 't', schema: { properties: wide } }]).length < 400_000)
    // Each level twice as wide as the one above: two to the power of thirty.
    let twice: JsonObject = { type: 'string' }
    for (let i = 0; i < 30; i++) twice = { anyOf: [twice, twice] }
    assert.ok(toolsText([{ name: 't', schema: { properties: { f: twice } } }]).length < 400_000)
  })

  test('any JSON is a schema', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (schema) => toolsText([{ name: 't', schema }]).length > 0),
    )
  })
})
