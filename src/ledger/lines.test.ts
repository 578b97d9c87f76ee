import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lines } from './lines.ts'

const said = (lines: Lines): string => new TextDecoder().decode(lines.bytes())

test('numbers and texts are those of JSON', () => {
  const numbers = [0, 7, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 999_999_999, 1e9, 1e9 + 1, 1.79e12]
  const odd = [Number.MAX_SAFE_INTEGER, 2 ** 60, 1e21, -1, -1e12, 0.5, 12.25, Number.NaN, -0]
  for (const value of [...numbers, ...odd, Number.POSITIVE_INFINITY])
    assert.equal(said(new Lines().number(value)), JSON.stringify(value), String(value))
  const texts = ['', 'plain', '"', '\\', 'a\nb', '\u0000', '\u007f', 'é', '日本', '😀', '\ud800']
  for (const value of [...texts, 'x'.repeat(100_000), 'é'.repeat(100_000)])
    assert.equal(said(new Lines().text('before').text(value)), `"before"${JSON.stringify(value)}`)
})

test('what was put down stays as lines grow, and is gone when they are cleared', () => {
  const lines = new Lines()
  let expected = ''
  for (let i = 0; i < 20_000; i++) {
    lines.raw('[').number(i).raw(',').text(`t${i}`).raw(']\n')
    expected += `[${i},"t${i}"]\n`
  }
  assert.equal(said(lines), expected)
  assert.equal(new TextDecoder().decode(lines.bytes(true)), `\n${expected}`)
  for (const many of [1, 2_000_000]) {
    lines.raw('x'.repeat(many)).clear()
    assert.equal(lines.length, 0)
    lines.raw('new')
    assert.equal(new TextDecoder().decode(lines.bytes(true)), '\nnew')
  }
})
