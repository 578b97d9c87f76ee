import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { openSecretBox } from './secret-box.ts'

/** The first is the vector of NaCl's own tests; the others were made with PyNaCl, the key being SHA-256 of a text. */
const litellmKey = createHash('sha256').update('sk-litellm-salt').digest()
const vectors: [name: string, key: Buffer, box: Buffer, text: Buffer][] = [
  [
    'NaCl tests/secretbox',
    Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex'),
    Buffer.from(
      '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
      'hex',
    ),
    Buffer.from(
      'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
      'hex',
    ),
  ],
  [
    'nothing',
    litellmKey,
    Buffer.from('X-zrZv_IbzjZUnhsbWlsecLbwjndTpG0DpbzS2fSpJGnISTvJYyp2w==', 'base64url'),
    Buffer.alloc(0),
  ],
  [
    'less than half a block',
    litellmKey,
    Buffer.from(
      'a4ayc_80_OGda4BO_1o_V0etpOqiLx1JBvK3ekrcbN4LID7sh3FVtx2szU495vtNhIupXIMVvf273ITDXC4=',
      'base64url',
    ),
    Buffer.from('sk-upstream-credential'),
  ],
  [
    'several blocks',
    litellmKey,
    Buffer.from(
      'TgdAhWK-24tgzgXB3s_jrRa3IjCWfeAfauxGBlIkQW37z1B2sXYaBdtW2NDyq_YgZ85y_xgJd-mall6DpxwexQRJuH-OH-kFCzYg5tT_z5-15jLRLzlssPbSJN6bRS10IiyHzoULkNHwmWXSt0lqJVLYd59b9EMm-x7wh9BL-gpI6nAhLbwtRTUTpVM1XUufFifYsIAO20l3PXoSS6sawbw43mmYJsB4qP4HvaGK25XUXDQZyunYScd4QnxkyKtWTuEE6T7Hn4cb286fEhUKkRyGWmu8geerWCqmq5zj1wamVeb22TCO7CtwH4gTvhiad2wIyYhkOVIKKi1gPsqiogN-T3SxnhN-wcmzCxMXTWKQdYya90Ug3kGZXckDPtEejvfTT7_y974=',
      'base64url',
    ),
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  ],
]

test('boxes of NaCl open to what was put into them', () => {
  for (const [name, key, box, text] of vectors)
    assert.deepEqual(Buffer.from(openSecretBox(box, key) ?? [1]), text, name)
})

test('a box with one bit changed, cut short, or another key opens to nothing', () => {
  const [, key, box] = vectors[3] ?? vectors[0] ?? ['', litellmKey, litellmKey]
  const flipped = (bytes: Buffer, bit: number): Buffer => {
    const copy = Buffer.from(bytes)
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    return copy
  }
  fc.assert(
    fc.property(fc.nat(box.length * 8 - 1), (bit) => !openSecretBox(flipped(box, bit), key)),
    { numRuns: 60 },
  )
  fc.assert(
    fc.property(fc.nat(255), (bit) => !openSecretBox(box, flipped(key, bit))),
    { numRuns: 30 },
  )
  fc.assert(
    fc.property(fc.nat(box.length - 1), (length) => !openSecretBox(box.subarray(0, length), key)),
    { numRuns: 60 },
  )
})
