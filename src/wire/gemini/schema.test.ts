import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isObject, type Json, type JsonObject, list } from '../../json/json.ts'
import { wildBodies } from './generators.test.ts'
import { cleanJsonSchema, decodeSchema } from './json-schema.ts'
import { encodeParameters, encodeSchema } from './schema.ts'

const node = { $ref: '#/$defs/node' }
const cases: [name: string, schema: JsonObject, expected: JsonObject, exact?: boolean][] = [
  [
    'types are upper-case, what only validates is left out',
    {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: ['integer', 'null'] } },
      required: ['a', 'gone'],
      additionalProperties: false,
    },
    {
      type: 'OBJECT',
      properties: { a: { type: 'STRING' }, b: { type: 'INTEGER', nullable: true } },
      required: ['a'],
    },
  ],
  [
    'a union with null is nullable',
    { anyOf: [{ type: 'string' }, { type: 'null' }], description: 'D' },
    { type: 'STRING', description: 'D', nullable: true },
  ],
  [
    'a union keeps nothing beside it, since the API refuses that',
    {
      description: 'D',
      default: 1,
      anyOf: [{ type: 'string' }, { type: 'integer' }, { type: 'null' }],
    },
    {
      anyOf: [
        { type: 'STRING', description: 'D', nullable: true },
        { type: 'INTEGER', description: 'D', nullable: true },
      ],
    },
  ],
  [
    'several types are a union',
    { type: ['string', 'number'], minLength: 1, minimum: 2 },
    {
      anyOf: [
        { type: 'STRING', minLength: 1 },
        { type: 'NUMBER', minimum: 2 },
      ],
    },
  ],
  [
    'a union of constants is an enum',
    { oneOf: [{ const: 'a' }, { const: 'b' }, { enum: ['b', 'c'] }] },
    { type: 'STRING', enum: ['a', 'b', 'c'] },
  ],
  ['a constant is an enum of one', { const: 'x' }, { type: 'STRING', enum: ['x'] }],
  [
    'empty values and null are no values',
    { type: 'string', enum: ['', 'a', null] },
    { type: 'STRING', enum: ['a'], nullable: true },
  ],
  [
    'values that are no texts are told in words',
    { type: 'integer', enum: [1, 2], description: 'How many' },
    { type: 'INTEGER', description: 'How many (one of: 1, 2)' },
  ],
  [
    'formats the API does not know are told in words',
    {
      type: 'object',
      properties: { a: { format: 'uri' }, b: { type: 'string', format: 'date-time' } },
    },
    {
      type: 'OBJECT',
      properties: {
        a: { type: 'STRING', description: '(format: uri)' },
        b: { type: 'STRING', format: 'date-time' },
      },
    },
  ],
  [
    'exclusive bounds',
    {
      type: 'object',
      properties: {
        a: { type: 'integer', exclusiveMinimum: 0, maximum: 9 },
        b: { type: 'number', minimum: 1, exclusiveMaximum: 2, format: 'double' },
        c: { type: 'integer', minimum: 1, exclusiveMinimum: true },
      },
    },
    {
      type: 'OBJECT',
      properties: {
        a: { type: 'INTEGER', minimum: 1, maximum: 9 },
        b: { type: 'NUMBER', format: 'double', minimum: 1, maximum: 2 },
        c: { type: 'INTEGER', minimum: 2 },
      },
    },
  ],
  [
    'references are inlined, with what stands beside them',
    {
      type: 'object',
      properties: { a: { $ref: '#/definitions/a~1b', description: 'Mine' } },
      definitions: { 'a/b': { type: 'string', description: 'Its' } },
    },
    { type: 'OBJECT', properties: { a: { type: 'STRING', description: 'Mine' } } },
  ],
  [
    'a reference into itself ends in an object of any kind',
    {
      ...node,
      $defs: { node: { type: 'object', properties: { v: { type: 'string' }, next: node } } },
    },
    { type: 'OBJECT', properties: { v: { type: 'STRING' }, next: { type: 'OBJECT' } } },
    false,
  ],
  [
    'allOf is one node',
    {
      allOf: [
        { $ref: '#/$defs/a' },
        { type: 'object', properties: { b: { type: 'boolean' } }, required: ['b'] },
      ],
      $defs: { a: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } },
    },
    {
      type: 'OBJECT',
      properties: { a: { type: 'STRING' }, b: { type: 'BOOLEAN' } },
      required: ['a', 'b'],
    },
  ],
  [
    'which fields go together cannot be said, the fields can',
    {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'string' } },
      anyOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    { type: 'OBJECT', properties: { a: { type: 'STRING' }, b: { type: 'STRING' } } },
  ],
  [
    'a tuple is a list of any of its items',
    { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], minItems: 2 },
    { type: 'ARRAY', items: { anyOf: [{ type: 'STRING' }, { type: 'INTEGER' }] }, minItems: 2 },
    false,
  ],
  [
    'an open map loses its values',
    {
      type: 'object',
      properties: { m: { type: 'object', additionalProperties: { type: 'string' } } },
    },
    { type: 'OBJECT', properties: { m: { type: 'OBJECT' } } },
    false,
  ],
  ['a list of anything', { type: 'array' }, { type: 'ARRAY', items: { type: 'STRING' } }, false],
  [
    'Gemini’s own schema stays',
    {
      type: 'OBJECT',
      properties: {
        b: { type: 'STRING', nullable: true },
        a: { type: 'INTEGER', format: 'int32' },
      },
      propertyOrdering: ['a', 'b'],
    },
    {
      type: 'OBJECT',
      properties: {
        b: { type: 'STRING', nullable: true },
        a: { type: 'INTEGER', format: 'int32' },
      },
      propertyOrdering: ['a', 'b'],
    },
  ],
]

for (const [name, schema, expected, exact = true] of cases)
  test(`schema: ${name}`, () => {
    const before = structuredClone(schema)
    assert.deepEqual(encodeSchema(schema), { schema: expected, exact })
    assert.deepEqual(schema, before, 'the copy of the client is its own')
  })

test('parameters: no properties are no parameters, and a union at the root is one object', () => {
  assert.deepEqual(encodeParameters({ type: 'object', properties: {} }).schema, undefined)
  const branch = (name: string) => ({
    type: 'object',
    properties: { id: { type: 'string' }, [name]: { type: 'string' } },
    required: ['id', name],
  })
  assert.deepEqual(encodeParameters({ anyOf: [branch('a'), branch('b')] }), {
    exact: true,
    schema: {
      type: 'OBJECT',
      properties: { id: { type: 'STRING' }, a: { type: 'STRING' }, b: { type: 'STRING' } },
      required: ['id'],
    },
  })
})

test('a property may have any name', () => {
  const schema: JsonObject = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"string"},"type":{"type":"integer"}}}',
  )
  const { properties } = encodeSchema(schema).schema ?? {}
  assert.deepEqual(Object.keys(properties ?? {}), ['__proto__', 'type'])
})

test('references that multiply stop at a bound', () => {
  const $defs: JsonObject = {}
  for (let at = 0; at < 40; at++) {
    const next = { $ref: `#/$defs/d${at + 1}` }
    $defs[`d${at}`] = { type: 'object', properties: { a: next, b: next } }
  }
  const { schema, exact } = encodeSchema({ $ref: '#/$defs/d0', $defs })
  assert.equal(exact, false)
  assert.ok(JSON.stringify(schema).length < 2_000_000)
})

/** What the API takes of a schema, and nothing else. */
const fields = new Set(
  `anyOf default description enum example format items maxItems maxLength maxProperties maximum minItems minLength
  minProperties minimum nullable pattern properties propertyOrdering required title type`.split(
    /\s+/,
  ),
)
function check(node: Json | undefined): void {
  assert.ok(isObject(node))
  for (const key of Object.keys(node)) assert.ok(fields.has(key), key)
  if (node.anyOf !== undefined) {
    assert.deepEqual(Object.keys(node), ['anyOf'])
    assert.ok(list(node.anyOf).length > 0)
    for (const branch of list(node.anyOf)) check(branch)
    return
  }
  assert.match(String(node.type), /^(?:OBJECT|ARRAY|STRING|NUMBER|INTEGER|BOOLEAN)$/)
  if (node.type === 'ARRAY') check(node.items)
  if (node.enum !== undefined)
    assert.ok(list(node.enum).every((item) => item && typeof item === 'string'))
  if (node.properties === undefined) return
  assert.ok(isObject(node.properties) && Object.keys(node.properties).length > 0)
  for (const property of Object.values(node.properties)) check(property)
  for (const name of list(node.required)) assert.ok(Object.hasOwn(node.properties, String(name)))
}

test('whatever comes in, what goes out has only fields the API knows', () => {
  fc.assert(
    fc.property(wildBodies, (schema) => check(encodeSchema(schema).schema)),
    { numRuns: 500 },
  )
})

test('a JSON schema for the newer fields: references alone, definitions in one place', () => {
  assert.deepEqual(
    cleanJsonSchema({
      $schema: 'x',
      type: 'OBJECT',
      properties: {
        a: { $ref: '#/definitions/n', description: 'lost' },
        b: { const: 3 },
        c: { type: 'STRING', nullable: true },
      },
      additionalProperties: { type: 'string' },
      definitions: { n: { type: 'object', properties: { n: { $ref: '#/definitions/n' } } } },
    }),
    {
      type: 'object',
      properties: {
        a: { $ref: '#/$defs/n' },
        b: { enum: [3] },
        c: { type: ['string', 'null'] },
      },
      additionalProperties: { type: 'string' },
      $defs: { n: { type: 'object', properties: { n: { $ref: '#/$defs/n' } } } },
    },
  )
})

test('Gemini’s schema as everyone else reads it', () => {
  assert.deepEqual(
    decodeSchema({
      type: 'OBJECT',
      properties: {
        b: { type: 'STRING', format: 'enum', enum: ['x'], nullable: true },
        a: {
          any_of: [
            { type: 'INTEGER' },
            { type: 'ARRAY', items: { type: 'NUMBER' }, min_items: '2' },
          ],
        },
        type: { type: 'BOOLEAN' },
      },
      property_ordering: ['a', 'b'],
      required: ['a'],
    }),
    {
      type: 'object',
      properties: {
        a: {
          anyOf: [{ type: 'integer' }, { type: 'array', items: { type: 'number' }, minItems: 2 }],
        },
        b: { type: ['string', 'null'], enum: ['x', null] },
        type: { type: 'boolean' },
      },
      required: ['a'],
    },
  )
})
