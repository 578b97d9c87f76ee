import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesOf, toUtf8 } from './latin1.ts'
import { maxDepth, peek, raw, value } from './peek.ts'

type Seen = { model: string | undefined; stream: boolean | undefined; keys: string[] } | undefined
const seen = (model: string | undefined, stream: boolean | undefined, ...keys: string[]): Seen => ({
  model,
  stream,
  keys,
})

const cases: [name: string, body: string, expected: Seen][] = [
  ['plain', '{"model":"a","stream":true}', seen('a', true, 'model', 'stream')],
  ['no model', '{"stream":false}', seen(undefined, false, 'stream')],
  ['nothing in it', ' { } ', seen(undefined, undefined)],
  ['stream null', '{"stream":null}', seen(undefined, undefined, 'stream')],
  ['model empty', '{"model":""}', seen('', undefined, 'model')],
  [
    'spaces everywhere',
    '\n{ "x" : [ {"model":"no"} ] ,\t"model" : "a"\r\n} ',
    seen('a', undefined, 'x', 'model'),
  ],
  [
    'model inside a string',
    '{"x":"\\"model\\":\\"no\\"","model":"a"}',
    seen('a', undefined, 'x', 'model'),
  ],
  [
    'a string that ends in a backslash',
    '{"x":"\\\\","model":"a"}',
    seen('a', undefined, 'x', 'model'),
  ],
  ['brackets in strings', '{"x":["]","}{"],"model":"a"}', seen('a', undefined, 'x', 'model')],
  ['model as a value', '{"x":"model","model":"a"}', seen('a', undefined, 'x', 'model')],
  ['UTF-8 before the model', '{"x":"héé→","model":"a"}', seen('a', undefined, 'x', 'model')],
  ['a key in UTF-8', '{"schlüssel→":1}', seen(undefined, undefined, 'schlüssel→')],
  [
    'keys of Object.prototype',
    '{"__proto__":{},"toString":1}',
    seen(undefined, undefined, '__proto__', 'toString'),
  ],
  ['a mark in a key is part of it', '{"\ufeffmodel":1}', seen(undefined, undefined, '\ufeffmodel')],
  ['an empty key', '{"":1}', seen(undefined, undefined, '')],
  [
    'every kind of number',
    '{"a":-0,"b":1.50,"c":1E+400,"d":[-1e-7,12345678901234567890]}',
    seen(undefined, undefined, 'a', 'b', 'c', 'd'),
  ],
  ['a mark before it', '\ufeff{"model":"a"}', seen('a', undefined, 'model')],
  [
    'as deep as allowed',
    `{"a":${'['.repeat(maxDepth - 1)}${']'.repeat(maxDepth - 1)}}`,
    seen(undefined, undefined, 'a'),
  ],
  [
    'a raw line break in a nested string: the provider may refuse it',
    '{"a":["x\ny"]}',
    seen(undefined, undefined, 'a'),
  ],
  [
    'a nested comma too few: the provider may refuse it',
    '{"a":[1 2]}',
    seen(undefined, undefined, 'a'),
  ],

  ['deeper than allowed', `{"a":${'['.repeat(maxDepth)}${']'.repeat(maxDepth)}}`, undefined],
  ['model twice', '{"model":"a","model":"b"}', undefined],
  ['another key twice', '{"a":1,"model":"a","a":2}', undefined],
  ['an escaped key', '{"mod\\u0065l":"b","model":"a"}', undefined],
  ['a control character in a key', '{"mo\ndel":"b"}', undefined],
  ['model not a string', '{"model":null}', undefined],
  ['model with an escape', '{"model":"a\\u0062"}', undefined],
  ['model not ASCII', '{"model":"modèle"}', undefined],
  ['model with a line break', '{"model":"a\nb"}', undefined],
  ['stream not a boolean', '{"model":"a","stream":"yes"}', undefined],
  ['stream a number', '{"stream":1}', undefined],
  ['cut short in a list', '{"model":"a","messages":[{"role":"user"', undefined],
  ['cut short in a string', '{"model":"a', undefined],
  ['cut short after a key', '{"model"', undefined],
  ['cut short after a value', '{"model":"a"', undefined],
  ['a list', '[{"model":"a"}]', undefined],
  ['a string', '"{}"', undefined],
  ['empty', '', undefined],
  ['UTF-16', '{\0"\0}\0', undefined],
  ['two objects', '{"model":"a"}{"model":"b"}', undefined],
  ['something after it', '{"model":"a"} x', undefined],
  ['brackets crossed', '{"a":[}],"model":"a"}', undefined],
  ['brackets crossed, as many of each', '{"a":[{]}}', undefined],
  ['a list closed as an object', '{"a":[1}', undefined],
  ['an object closed as a list', '{"a":1]', undefined],
  ['a comma too many', '{"a":1,}', undefined],
  ['a comma first', '{,"a":1}', undefined],
  ['a comma too few', '{"a":1 "b":2}', undefined],
  ['a colon too few', '{"a" 1}', undefined],
  ['a value too few', '{"a":,"b":1}', undefined],
  ['a bare key', '{a:1}', undefined],
  ['single quotes', "{'a':1}", undefined],
  ['NaN', '{"a":NaN}', undefined],
  ['nested NaN', '{"a":[NaN]}', undefined],
  ['-Infinity', '{"a":[-Infinity]}', undefined],
  ['undefined', '{"a":undefined}', undefined],
  ['True', '{"a":True}', undefined],
  ['an exponent alone', '{"a":[e5]}', undefined],
  ['a leading zero', '{"a":01}', undefined],
  ['a point without digits', '{"a":1.}', undefined],
  ['a comment', '{"a":[/*"*/]}', undefined],
]
for (const [name, body, expected] of cases) {
  test(`peek: ${name}`, () => {
    const glance = peek(toUtf8(body))
    assert.deepEqual(
      glance && { model: glance.model, stream: glance.stream, keys: [...glance.keys.keys()] },
      expected,
    )
  })
}

test('peek: a key that is not UTF-8 is declined, a value is left to the provider', () => {
  assert.equal(peek(bytesOf('{"\xff":1}')), undefined)
  const glance = peek(bytesOf('{"a":"\xff","b":1}'))
  assert.ok(glance)
  assert.equal(raw(glance, 'a'), '"\xff"')
  assert.equal(value(glance, 'a'), undefined)
  assert.equal(value(glance, 'b'), 1)
})

test('peek: spans, raw and value', () => {
  const body = '{ "id" : "chatcmpl-→", "usage" : {"prompt_tokens": 3},"n":1.0}'
  const glance = peek(toUtf8(body))
  assert.ok(glance)
  const span = glance.keys.get('usage')
  assert.ok(span)
  assert.equal(glance.text.slice(span.start, span.valueStart), '"usage" : ')
  assert.equal(raw(glance, 'usage'), '{"prompt_tokens": 3}')
  assert.equal(raw(glance, 'n'), '1.0')
  assert.equal(raw(glance, 'none'), undefined)
  assert.equal(value(glance, 'id'), 'chatcmpl-→')
  assert.deepEqual(value(glance, 'usage'), { prompt_tokens: 3 })
  assert.equal(value(glance, 'none'), undefined)
})

test('peek: the mark is not among the bytes', () => {
  const glance = peek(toUtf8('\ufeff{"a":1}'))
  assert.deepEqual(glance && [...glance.bytes], [...toUtf8('{"a":1}')])
})
