import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { createBpe, type Encoder, type EncodingName, pieceCharsMax } from '../../src/chat/bpe.ts'
import { readVocabulary } from '../../src/chat/tokenizer.node.ts'

/*
 * Our tokenizer beside another: any text has as many tokens by either. What tiktoken said of chosen texts is in
 * src/chat/bpe.test.ts; loading the other tokenizer takes a second.
 */

const names = ['o200k_base', 'cl100k_base'] as const
const encoders: Partial<Record<EncodingName, Encoder>> = {}
const oracles: Partial<Record<EncodingName, (said: string) => number>> = {}
const count = (name: EncodingName, said: string): number => encoders[name]?.count(said) ?? -1
const expected = (name: EncodingName, said: string): number => oracles[name]?.(said) ?? -2

before(async () => {
  const asText = { disallowedSpecial: new Set<string>() }
  const [o200k, cl100k] = await Promise.all([
    import('gpt-tokenizer/encoding/o200k_base'),
    import('gpt-tokenizer/encoding/cl100k_base'),
  ])
  oracles.o200k_base = (said) => o200k.countTokens(said, asText)
  oracles.cl100k_base = (said) => cl100k.countTokens(said, asText)
  for (const name of names) encoders[name] = createBpe(name, await readVocabulary(name))
})

for (const name of names) {
  test(`${name}: ordinary text is counted as another tokenizer counts it`, () => {
    fc.assert(
      fc.property(ordinary, (said) => assert.equal(count(name, said), expected(name, said))),
      { numRuns: 400 },
    )
  })

  test(`${name}: so is any text of the characters both packages agree on`, () => {
    fc.assert(
      fc.property(anyText, (said) => {
        const agreed = said.replaceAll(/[\ufeff\u0085ſ]/g, '')
        assert.equal(count(name, agreed), expected(name, agreed))
      }),
      { numRuns: 400 },
    )
  })

  test(`${name}: a run too long for one piece costs at most one token more per part`, () => {
    for (const unit of ['a', 'the', '你好', '😀', '=', ' ']) {
      const said = unit.repeat(3000 / unit.length)
      const exact = expected(name, said)
      const off = count(name, said) - exact
      assert.ok(Math.abs(off) <= said.length / pieceCharsMax, `${unit}: ${off} off ${exact}`)
    }
  })
}

const anyText = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 120, size: 'max' })
  .map((points) => String.fromCodePoint(...points))
const word = fc.oneof(
  fc.constantFrom(
    ...'the quick brown fox jumps over it, and then: "sleeps"! (Perhaps) don’t it\'s 42 3.14'.split(
      ' ',
    ),
    ...'const return => { } [i] += 1; // todo await fetchUsers(url) \n\t\n  if (x === null)'.split(
      ' ',
    ),
    ...'Größe naïve señor привет мир 你好世界 今天 こんにちは 안녕하세요 مرحبا नमस्ते สวัสดี 😀 👍🏽'.split(
      ' ',
    ),
  ),
  fc.string({ unit: 'grapheme-ascii', maxLength: 12, size: 'max' }),
)
const ordinary = fc.array(word, { maxLength: 60, size: 'max' }).map((words) => words.join(' '))
