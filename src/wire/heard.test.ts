import { equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { latin1, toUtf8 } from '../json/latin1.ts'
import { Heard, heardMax } from './heard.ts'

const begins = /"text"\s*:\s*(?=")/g
const frame = (text: string): string => latin1(toUtf8(JSON.stringify({ type: 'delta', text })))

const cases: [name: string, pieces: string[]][] = [
  ['nothing', []],
  ['pieces of words', ['Hel', 'lo']],
  ['quotes, backslashes and line ends', ['say "hi"', '\\', '\\"', 'a\nb', '"text":"no"']],
  ['letters of more than one byte', ['ü', '你好', '\u{1f600}']],
  ['more frames than are kept apart', Array.from({ length: 200 }, (_, i) => `piece ${i} `)],
  ['a piece of megabytes', ['x'.repeat(3_000_000), '"'.repeat(1_000_000), 'end']],
]
for (const [name, pieces] of cases)
  test(`heard: ${name}`, () => {
    const heard = new Heard(begins)
    for (const piece of pieces) heard.keep(frame(piece))
    equal(heard.text(), pieces.join(''))
    equal(heard.text(), pieces.join(''), 'asked again, the same')
  })

test('heard: not more than memory is for', () => {
  const heard = new Heard(begins)
  const piece = frame('x'.repeat(500_000))
  for (let i = 0; i < 40; i++) heard.keep(piece)
  const { length } = heard.text()
  ok(length >= heardMax && length < heardMax + 1_000_000, String(length))
})

test('heard: frames cut short, or with nothing to say, are left out', () => {
  const heard = new Heard(begins)
  for (const broken of ['{"text":"no end', '{"text":', '{}', '', '{"other":"text"}'])
    heard.keep(broken)
  heard.keep(frame('yes'))
  equal(heard.text(), 'yes')
})
