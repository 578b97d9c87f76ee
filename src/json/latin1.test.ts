import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as quick from './latin1.ts'

/** The same module as it is where there is no Buffer. */
async function withoutBuffer(): Promise<typeof quick> {
  const { Buffer } = globalThis
  try {
    Reflect.deleteProperty(globalThis, 'Buffer')
    return await import(new URL('./latin1.ts?without-buffer', import.meta.url).href)
  } finally {
    globalThis.Buffer = Buffer
  }
}

const slow = await withoutBuffer()
const plain = (bytes: Uint8Array) => [...bytes]

for (const [name, { latin1, bytesOf, writeLatin1, allocate, strictUtf8, utf8, toUtf8 }] of [
  ['with Buffer', quick],
  ['without Buffer', slow],
] as const) {
  test(`latin1 ${name}: all 256 values, one character each, there and back`, () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    const characters = latin1(all)
    assert.equal(characters, String.fromCharCode(...all))
    assert.deepEqual(plain(bytesOf(characters)), plain(all))
  })

  test(`latin1 ${name}: a part, and a view into a larger buffer`, () => {
    const view = Uint8Array.from({ length: 300 }, (_, i) => i).subarray(100, 260)
    assert.equal(latin1(view), String.fromCharCode(...view))
    assert.equal(latin1(view, 20, 40), String.fromCharCode(...view.subarray(20, 40)))
  })

  test(`latin1 ${name}: long bodies`, () => {
    const long = Uint8Array.from({ length: 3 * 8192 + 5 }, (_, i) => (i * 31) % 256)
    const characters = latin1(long)
    assert.equal(characters.length, long.length)
    assert.deepEqual(plain(bytesOf(characters)), plain(long))
  })

  test(`latin1 ${name}: written in the middle, the rest stays`, () => {
    const out = allocate(6).fill(7)
    writeLatin1(out, '\x80\xff', 2)
    assert.deepEqual(plain(out), [7, 7, 0x80, 0xff, 7, 7])
  })

  test(`utf8 ${name}: lenient replaces and drops the mark, strict refuses and keeps it`, () => {
    assert.equal(utf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xff)), 'a\ufffd')
    assert.equal(strictUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), '\ufeffa')
    assert.equal(strictUtf8(Uint8Array.of(0x61, 0xff)), undefined)
    assert.equal(strictUtf8(toUtf8('héé→😀')), 'héé→😀')
  })
}

test('the two really are two', () => {
  assert.ok(globalThis.Buffer.isBuffer(quick.allocate(1)))
  assert.ok(!globalThis.Buffer.isBuffer(slow.allocate(1)))
})
