import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../../json/json.ts'
import { wildBodies } from './generators.test.ts'
import { strictSchema, toolSchema } from './schema.ts'

const a = { type: 'string' }

const tools: [name: string, schema: JsonObject | undefined, expected: JsonObject][] = [
  ['none', undefined, { type: 'object', properties: {} }],
  ['without a type', { properties: { a } }, { properties: { a }, type: 'object' }],
  [
    'upper case',
    { type: 'OBJECT', properties: { a: { type: 'ARRAY', items: { type: 'STRING' } } } },
    { type: 'object', properties: { a: { type: 'array', items: a } } },
  ],
  [
    'a combinator at the root',
    {
      anyOf: [
        { properties: { a }, required: ['a', 'b'] },
        { properties: { b: a }, required: ['b'] },
      ],
      description: 'd',
    },
    { description: 'd', type: 'object', properties: { a, b: a }, required: ['b'] },
  ],
  [
    'all of them',
    { type: 'object', allOf: [{ properties: { a }, required: ['a'] }], properties: { b: a } },
    { type: 'object', properties: { a, b: a }, required: ['a'] },
  ],
  [
    'a reference at the root',
    { $ref: '#/$defs/A', $defs: { A: { type: 'object', properties: { a } } } },
    {
      type: 'object',
      properties: { a },
      $defs: { A: { type: 'object', properties: { a } } },
      required: [],
    },
  ],
  [
    'draft 4',
    {
      type: 'object',
      properties: {
        a: { type: 'number', minimum: 1, exclusiveMinimum: true },
        b: { type: 'any', required: true },
      },
    },
    {
      type: 'object',
      properties: { a: { type: 'number', minimum: 1, exclusiveMinimum: 1 }, b: {} },
    },
  ],
  [
    'a tuple',
    { type: 'object', properties: { a: { type: 'array', items: [a], additionalItems: false } } },
    { type: 'object', properties: { a: { type: 'array', prefixItems: [a], items: false } } },
  ],
]
for (const [name, schema, expected] of tools)
  test(`tool schema: ${name}`, () => assert.deepEqual(toolSchema(schema), expected))

test('a sound schema is the client’s own object, unchanged', () => {
  const schema = {
    type: 'object',
    properties: { type: { type: 'string', minLength: 1 }, items: { oneOf: [a, { type: 'null' }] } },
    $schema: 'x',
  }
  const before = structuredClone(schema)
  assert.equal(toolSchema(schema), schema)
  assert.deepEqual(schema, before)
})

const strict: [name: string, schema: JsonObject, expected: JsonObject | undefined][] = [
  [
    'closed',
    { type: 'object', properties: { a } },
    { type: 'object', properties: { a }, additionalProperties: false },
  ],
  [
    'bounds become words',
    {
      type: 'object',
      properties: { n: { type: 'integer', minimum: 1, description: 'D' } },
      required: ['n'],
    },
    {
      type: 'object',
      properties: { n: { type: 'integer', description: 'D (minimum: 1)' } },
      additionalProperties: false,
      required: ['n'],
    },
  ],
  [
    'formats',
    {
      type: 'object',
      properties: { d: { type: 'string', format: 'date' }, x: { type: 'string', format: 'color' } },
    },
    {
      type: 'object',
      properties: {
        d: { type: 'string', format: 'date' },
        x: { type: 'string', description: '(format: "color")' },
      },
      additionalProperties: false,
    },
  ],
  [
    'one of',
    { type: 'object', properties: { u: { oneOf: [a, { type: 'null' }] } } },
    {
      type: 'object',
      properties: { u: { anyOf: [a, { type: 'null' }] } },
      additionalProperties: false,
    },
  ],
  [
    'references',
    {
      type: 'object',
      properties: { r: { $ref: '#/$defs/R' } },
      $defs: { R: { type: 'object', properties: { a } } },
    },
    {
      type: 'object',
      properties: { r: { $ref: '#/$defs/R' } },
      additionalProperties: false,
      $defs: { R: { type: 'object', properties: { a }, additionalProperties: false } },
    },
  ],
  [
    'a list',
    { type: 'array', items: a, minItems: 1, maxItems: 3 },
    { type: 'array', items: a, minItems: 1, description: '(maxItems: 3)' },
  ],
  ['an open map', { type: 'object', additionalProperties: a }, undefined],
  [
    'recursion',
    {
      type: 'object',
      properties: { r: { $ref: '#/$defs/R' } },
      $defs: { R: { type: 'object', properties: { r: { $ref: '#/$defs/R' } } } },
    },
    undefined,
  ],
  ['elsewhere', { type: 'object', properties: { r: { $ref: 'https://e.com/s.json' } } }, undefined],
  ['anything', { type: 'object', properties: { x: {} } }, undefined],
]
for (const [name, schema, expected] of strict)
  test(`strict schema: ${name}`, () => assert.deepEqual(strictSchema(schema)?.schema, expected))

test('any schema is read without a change to it', () => {
  fc.assert(
    fc.property(wildBodies, (schema) => {
      const before = structuredClone(schema)
      assert.equal(toolSchema(schema).type, 'object')
      strictSchema(schema)
      assert.deepEqual(schema, before)
    }),
    { numRuns: 200 },
  )
})
