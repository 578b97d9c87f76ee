import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { createBpe, type Encoder, type EncodingName, packVocabulary } from './bpe.ts'
import { readVocabulary } from './tokenizer.node.ts'

/** Counted by tiktoken 0.12 (Python, disallowed_special=()) with both encodings. */
const counts: [said: string, o200k: number, cl100k: number][] = [
  ['', 0, 0],
  ['hello world', 2, 2],
  ["don't DON'T he'll we'VE", 6, 9],
  ["it'\u017f long s", 5, 6],
  ['<|endoftext|>', 7, 7],
  ['<|im_start|>user<|im_end|>', 13, 13],
  ['\ufeffhello', 2, 2],
  ['a\u0085b', 4, 4],
  ['\u3000\u3000x', 3, 3],
  [`${' '.repeat(81)}x`, 3, 2],
  ['\n \n\t\n  x', 4, 4],
  ['  \r\n\r\n', 1, 1],
  ['你好，世界。今天天气很好', 8, 15],
  ['こんにちは、世界！お元気ですか？', 10, 12],
  ['안녕하세요, 세상! 오늘 기분이 어때요?', 14, 22],
  ['👨‍👩‍👧‍👦🇩🇪', 15, 24],
  ['1234567 3.14159 \u0663\u0664', 11, 13],
  ['camelCase snake_case SCREAMING_CASE', 8, 8],
  ['for (let i = 0; i < n; i++) {\n    total += x[i]\n}\n', 22, 22],
  ['https://example.com/a/b?c=d&e=f#g', 12, 12],
  ['\u01c5abc \u02b0a \u00aa\u00ba', 10, 10],
  ['\u0000\u0001\u0002', 3, 3],
  ['a'.repeat(33), 5, 5],
  ['='.repeat(72), 1, 2],
]

const names = ['o200k_base', 'cl100k_base'] as const
const encoders: Partial<Record<EncodingName, Encoder>> = {}
const count = (name: EncodingName, said: string): number => encoders[name]?.count(said) ?? -1

before(async () => {
  for (const name of names) encoders[name] = createBpe(name, await readVocabulary(name))
})

describe('bpe', () => {
  for (const [said, o200k, cl100k] of counts)
    test(`tiktoken's count of ${JSON.stringify(said.slice(0, 40))}`, () => {
      assert.deepEqual([count('o200k_base', said), count('cl100k_base', said)], [o200k, cl100k])
    })

  for (const name of names) {
    test(`${name}: no UTF-16 makes it throw, and no byte is two tokens`, () => {
      const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 900, size: 'max' })
      fc.assert(
        fc.property(units, (codes) => {
          const said = String.fromCharCode(...codes)
          const tokens = count(name, said)
          assert.ok(tokens <= Buffer.byteLength(said) && tokens >= (said === '' ? 0 : 1))
        }),
        { numRuns: 100 },
      )
    })
  }

  test('half a surrogate pair counts as the replacement character', () => {
    for (const half of ['\ud83d', '\ude00', 'a\ud83db'])
      assert.equal(count('o200k_base', half), count('o200k_base', half.toWellFormed()))
  })

  test('a damaged vocabulary is refused', () => {
    const whole = packVocabulary(tiny)
    assert.equal(createBpe('o200k_base', whole).count('ab'), 1)
    for (const damaged of [whole.subarray(0, whole.length - 1), new Uint8Array(0)])
      assert.throws(
        () => createBpe('o200k_base', damaged),
        (error) => GatewayError.is(error) && error.message.includes('install the package again'),
      )
  })

  test('a hole in a vocabulary keeps the ranks behind it', () => {
    const holed = packVocabulary(tiny.replace('YWI= 256', 'YmM= 258\nYWI= 259'))
    const encoder = createBpe('o200k_base', holed)
    assert.deepEqual(['ab', 'bc', 'abc'].map(encoder.count), [1, 1, 2])
    // `bc` has the lower rank, so it is merged first.
    assert.equal(holed.at(-3), 2)
  })
})

/** All single bytes and one pair, `ab`. */
const tiny = [
  ...Array.from({ length: 256 }, (_, byte) => `${btoa(String.fromCharCode(byte))} ${byte}`),
  'YWI= 256',
  '',
].join('\n')
