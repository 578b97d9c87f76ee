import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { test } from 'node:test'
import { looksSealed } from './litellm.ts'
import { createOpenSealed } from './litellm-seal.node.ts'

/** PyNaCl's, under SHA-256 of `sk-litellm-salt`. */
const box = 'a4ayc_80_OGda4BO_1o_V0etpOqiLx1JBvK3ekrcbN4LID7sh3FVtx2szU495vtNhIupXIMVvf273ITDXC4='
const long =
  '1HNeOiZeFu7gP1lxi5tdAwGcB9i2xR-Q-ADzEIOFkxTDvv8QwrN5huHiKxCOkJfdQCecX8W56FGU5swqN-M55vPAnWOoxh65m7Ym87VGF2mYDmZp_Wv-xvkGokrn9iKn6QV79FPBY-jwGRptA-qNv-ppov6t760yNhjbCdmaNzjI-kZ7suDwJNJoxpHNGwQQxCJuRycDxj2EWLJ27FCtGBO16vwsxg=='

function gcm(text: string, secret: string): string {
  const nonce = Buffer.alloc(12, 7)
  const cipher = createCipheriv('aes-256-gcm', createHash('sha256').update(secret).digest(), nonce)
  const sealed = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()])
  return `v2:gcm:${Buffer.concat([nonce, sealed]).toString('base64url')}`
}

const cases: [name: string, secrets: string[], text: string, expected: string | undefined][] = [
  ['its key', ['sk-litellm-salt'], box, 'sk-upstream-credential'],
  ['letters of any language', ['sk-litellm-salt'], long, 'überall \u{1F600} '.repeat(9)],
  [
    'the older alphabet of base64',
    ['sk-litellm-salt'],
    box.replaceAll('-', '+').replaceAll('_', '/'),
    'sk-upstream-credential',
  ],
  ['the second of two keys', ['sk-other', 'sk-litellm-salt'], box, 'sk-upstream-credential'],
  ['another key', ['sk-other'], box, undefined],
  ['no key', [], box, undefined],
  ['AES-256-GCM', ['sk-salt'], gcm('openai/gpt-5', 'sk-salt'), 'openai/gpt-5'],
  ['AES-256-GCM of an empty text', ['sk-salt'], gcm('', 'sk-salt'), ''],
  ['AES-256-GCM with another key', ['sk-other'], gcm('x', 'sk-salt'), undefined],
  ['AES-256-GCM cut short', ['sk-salt'], 'v2:gcm:AAAA', undefined],
  ['plain text', ['sk-litellm-salt'], 'openai/gpt-5', undefined],
  ['nothing', ['sk-litellm-salt'], '', undefined],
]
for (const [name, secrets, text, expected] of cases)
  test(`what LiteLLM sealed: ${name}`, () => {
    assert.equal(createOpenSealed(secrets)(text), expected)
  })

test('what may be sealed is told from what is plain', () => {
  for (const text of [box, long, gcm('x', 'k')]) assert.ok(looksSealed(text), text)
  for (const text of ['openai/gpt-5', 'https://example.com/v1', 'eu-west-1', ''])
    assert.ok(!looksSealed(text), text)
})
