import { deepEqual, equal, notEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyText } from '../json/any-text.test.ts'
import { createAnswerIds, sipHash } from './answer-ids.ts'

/** Of the reference implementation: key 00 to 0f, data 00, 01, 02 … */
const vectors: [length: number, hash: string][] = [
  [0, 'a3817f04ba25a8e66df67214c7550293'],
  [1, 'da87c1d86b99af44347659119b22fc45'],
]
for (const [length, hash] of vectors)
  test(`SipHash-2-4-128 of ${length} bytes is the reference's`, () => {
    const key = Uint8Array.from({ length: 16 }, (_, at) => at)
    const data = Uint8Array.from({ length }, (_, at) => at)
    equal(Buffer.from(sipHash(key, data)).toString('hex'), hash)
  })

const ids = createAnswerIds('sk-a-secret-of-the-tests')
const plain = anyText(60).filter((text) => !text.includes('\0'))
const texts = fc.array(plain, { minLength: 1, maxLength: 4 })

test('what was sealed opens for its owner, and the same seals the same', () => {
  fc.assert(
    fc.property(plain, texts, (owner, said) => {
      const sealed = ids.seal(owner, said)
      deepEqual(ids.open(owner, sealed), said)
      equal(ids.seal(owner, said), sealed)
    }),
  )
})

test('it opens for nobody else, under no other secret, and not when a letter was changed', () => {
  const other = createAnswerIds('sk-another-secret')
  fc.assert(
    fc.property(plain, plain, texts, fc.nat(), (owner, stranger, said, at) => {
      fc.pre(owner !== stranger)
      const sealed = ids.seal(owner, said)
      equal(ids.open(stranger, sealed), undefined)
      equal(other.open(owner, sealed), undefined)
      const place = at % (sealed.length - 1)
      const letter = sealed[place] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, place) + letter + sealed.slice(place + 1)
      equal(ids.open(owner, changed), undefined)
    }),
  )
})

test('what is sealed cannot be read', () => {
  const sealed = ids.seal('key-1', ['deployment', 'resp_0123456789abcdef0123456789abcdef'])
  const bytes = Buffer.from(sealed, 'base64url').toString('latin1')
  equal(bytes.includes('resp_') || bytes.includes('0123'), false)
  notEqual(sealed.slice(0, 22), ids.seal('key-2', ['deployment']).slice(0, 22))
})

test('anything at all is opened without an exception', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (said) => {
      equal(ids.open('o', said), undefined)
    }),
  )
  equal(ids.open('o', 'a'.repeat(1_000_000)), undefined)
})
