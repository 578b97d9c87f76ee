import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { loadTokenizers } from '../../src/chat/tokenizer.node.ts'
import { createTokenCounter, type TokenCounter } from '../../src/chat/tokens.ts'

/* Texts made to be dear to count: ten megabytes of each, in time that grows with their length only, or not even that. */

const fill = (unit: string, length: number): string =>
  unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
/** Random, the same each time: the worst there is for a merge. */

function random(alphabet: readonly string[], length: number): string {
  let seed = 7
  let out = ''
  while (out.length < length) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    out += alphabet[(seed >>> 8) % alphabet.length]
  }
  return out
}
const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String.fromCodePoint(from + i))
const letters = range(97, 123)
const han = range(0x4e00, 0x9fff)
const hostile: [name: string, unit: string][] = [
  ['a', 'a'],
  ['A', 'A'],
  ['spaces', ' '],
  ['line ends', '\n'],
  ['signs', '!'],
  ['zeros', '\0'],
  ['one emoji', '😀'],
  ['random emoji', random(range(0x1f300, 0x1f6ff), 70_000)],
  ['zalgo', random(['a', 'e', ...range(0x300, 0x36f)], 70_000)],
  ['random letters', random(letters, 70_000)],
  ['random words', random([...letters, ' '], 70_000)],
  ['random Han', random(han, 70_000)],
  ['random cuneiform', random(range(0x12000, 0x123ff), 70_000)],
  ['base64', random([...letters, ...range(65, 91), ...range(48, 58), '+', '/'], 70_000)],
  ['half pairs', '\ud800'],
  ['marks before capitals', '\u0301AAAA'],
  ['capitals and quotes', "A'"],
  ['every class in turn', 'Aa1! é你😀\n'],
  ['special tokens', '<|endoftext|>'],
]

const prose = (length: number): string =>
  fill(
    'The gateway keeps the keys, counts what was used, and asks 3 others when one is silent.\nNobody notices; 网关很安静。 ',
    length,
  )

let counter: TokenCounter
const rough = createTokenCounter()
before(async () => {
  counter = createTokenCounter({ encoderFor: await loadTokenizers() })
})

for (const [name, unit] of hostile)
  test(`10 MB of ${name}, or just under the limit: a part is counted`, () => {
    const full = fill(unit, Math.floor((130_000 * unit.length) / Buffer.byteLength(unit)))
    const large = fill(unit, 10_000_000)
    assert.equal(counter.count([full], 'gpt-4o').exact, true)
    assertQuick(500, () => counter.countText(full, 'gpt-4'))
    assertQuick(500, () => counter.countText(large, 'gpt-4o'))
    assertQuick(500, () => rough.countText(large, 'gpt-4o'))
  })

test('10 MB of messages, however many: a part is counted', () => {
  const many = Array.from({ length: 250_000 }, () => ({ role: 'user', content: 'a' }))
  const long = Array.from({ length: 100 }, () => ({ role: 'user', content: prose(100_000) }))
  for (const messages of [many, long])
    assertQuick(500, () => counter.countMessages(messages, undefined, 'gpt-4o'))
})

test('random text costs no more than its length', () => {
  const alphabets = fc.array(
    fc.constantFrom(...letters, ...han.slice(0, 50), ' ', '\n', "'", '1', '!', '😀', '\u0301', 'A'),
    { minLength: 1, maxLength: 6 },
  )
  fc.assert(
    fc.property(alphabets, fc.boolean(), (alphabet, shuffled) => {
      const said = shuffled ? random(alphabet, 30_000) : fill(alphabet.join(''), 30_000)
      assertQuick(250, () => counter.countText(said, 'gpt-4o'))
    }),
    { numRuns: 20 },
  )
})

/**
 * Ten times what it takes, in time of the processor and the best of a few, as others share the machine: this finds work
 * that grows with the text or its square, and measures nothing.
 */
function assertQuick(milliseconds: number, run: () => unknown): void {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5 && best >= milliseconds; i++) {
    const start = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, (user + system) / 1000)
  }
  assert.ok(best < milliseconds, `took ${best} ms`)
}
