import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toUtf8 } from '../json/latin1.ts'
import { idOfAnswer, idOfStream } from './answer-id.ts'

const bodies: [name: string, json: string, id: string | undefined][] = [
  ['chat', '{"id":"chatcmpl-1","choices":[]}', 'chatcmpl-1'],
  ['with spaces', '{ "object" : "x" , "id" : "a" }', 'a'],
  [
    'after a tool call with an id of its own',
    '{"choices":[{"message":{"id":"call_1","x":"}\\"{"}}],"id":"c2"}',
    'c2',
  ],
  ['Gemini', '{"candidates":[{"id":"no"}],"responseId":"r1"}', 'r1'],
  ['a message event', '{"type":"message_start","message":{"model":"m","id":"msg_1"}}', 'msg_1'],
  ['a response event', '{"type":"response.created","response":{"id":"resp_1"}}', 'resp_1'],
  ['deeper than that', '{"message":{"tool":{"id":"no"}},"x":1}', undefined],
  ['"id" as a value', '{"a":"id","b":["id"]}', undefined],
  ['a number', '{"id":5}', undefined],
  ['an empty one', '{"id":""}', undefined],
  ['cut off', '{"id":"abc', undefined],
  ['no JSON', 'hello', undefined],
]
for (const [name, json, id] of bodies)
  test(`the id of an answer: ${name}`, () => assert.equal(idOfAnswer(json), id))

test('the id of a stream is that of the first event that has one', () => {
  assert.equal(idOfStream(toUtf8('data: {"x":1}\n\ndata: {"id":"c1"}\n\n')), 'c1')
  assert.equal(idOfStream(toUtf8('event: a\ndata: {"message":{"id":"m"}}\n\n')), 'm')
  assert.equal(idOfStream(toUtf8(': nothing\n\n')), undefined)
})
