import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toUtf8 } from '../json/latin1.ts'
import { stringify } from '../json/parse.ts'
import { listen } from './inbound.ts'
import { wires } from './wires.ts'

const wire = wires['openai-chat']
const hear = (body: string, said: { model?: string; stream?: boolean } = {}) =>
  listen(toUtf8(body), wire, said)

const rows: [
  name: string,
  body: string,
  said: { model?: string; stream?: boolean },
  model: string,
  stream: boolean,
][] = [
  ['plain', '{"model":"m","stream":true}', {}, 'm', true],
  ['null', '{"model":"m","stream":null}', {}, 'm', false],
  ['last', '{"messages":[{"model":"no","stream":true}],"model":"m"}', {}, 'm', false],
  ['an escaped key', '{"mod\\u0065l":"m","stream":true}', {}, 'm', true],
  ['a repeated key: the last one counts', '{"model":"a","model":"b"}', {}, 'b', false],
  ['a name with letters', '{"model":"mödel"}', {}, 'mödel', false],
  ['stream as a text is none', '{"model":"m","stream":"true"}', {}, 'm', false],
  ['the path says the model', '{"model":"body"}', { model: 'path' }, 'path', false],
  ['the path says both', '{}', { model: 'path', stream: true }, 'path', true],
]
for (const [name, body, said, model, stream] of rows)
  test(`heard: ${name}`, () => {
    const heard = hear(body, said)
    assert.deepEqual([heard.model, heard.stream], [model, stream])
  })

const refusals: [body: string, said: { model?: string }, param: string, message: RegExp][] = [
  ['{}', {}, 'model', /^Missing required parameter: 'model'\.$/],
  ['{"model":null}', {}, 'model', /Missing/],
  ['{"model":""}', {}, 'model', /Missing/],
  ['{"model":7}', {}, 'model', /must be a string/],
  ['{"model":["m"]}', {}, 'model', /must be a string/],
  ['{"model":"m"}', { model: '' }, 'model', /Missing/],
  ['', {}, 'request_body', /empty/],
  ['[]', {}, 'request_body', /must be a JSON object/],
  ['{"model":"m",', {}, 'request_body', /Invalid JSON/],
  ['{"model":"m"} x', {}, 'request_body', /Invalid JSON/],
]
for (const [body, said, param, message] of refusals)
  test(`refused: ${body} ${JSON.stringify(said)}`, () => {
    assert.throws(() => hear(body, said), { kind: 'bad_request', status: 400, param, message })
  })

for (const body of ['{"model":"m","n":2,"x":[1]}', '{"mod\\u0065l":"m","n":2,"x":[1]}'])
  test(`fields of ${body}`, () => {
    const heard = hear(body)
    assert.deepEqual([...heard.keys()], ['model', 'n', 'x'])
    assert.deepEqual([heard.has('n'), heard.has('toString'), heard.field('x')], [true, false, [1]])
    const mine = heard.json()
    mine['n'] = 3
    delete mine['x']
    assert.deepEqual([heard.json()['n'], heard.field('x')], [2, [1]], 'each copy is its own')
  })

test('large numbers are kept in the copy that goes on', () => {
  assert.match(
    stringify(hear('{"model":"m","seed":12345678901234567890}').json()),
    /12345678901234567890/,
  )
})

test('the request is read once, under the name and the way the path says', () => {
  const heard = hear('{"model":"body","messages":[{"role":"user","content":"a"}]}', {
    model: 'path',
    stream: true,
  })
  const request = heard.request()
  assert.deepEqual([request.model, request.stream], ['path', true])
  assert.equal(heard.request(), request)
})

test('a body that passes unread and is no JSON deeper down is refused when it is read', () => {
  const heard = hear('{"model":"m","messages":[,]}')
  assert.equal(heard.field('messages'), undefined)
  assert.throws(() => heard.request(), { kind: 'bad_request', param: 'request_body' })
})
