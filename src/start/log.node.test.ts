import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, type Level } from './log.node.ts'

const now = () => new Date('2026-11-01T10:00:00Z')
const written = (
  level: Level,
  json: boolean,
  say: (log: ReturnType<typeof createLog>) => void,
): string[] => {
  const lines: string[] = []
  say(createLog({ level, json, now, write: (line) => lines.push(line) }))
  return lines
}
const all: Level[] = ['error', 'warn', 'info', 'debug']

for (const [at, level] of all.entries())
  test(`level ${level} lets ${all.slice(0, at + 1).join(', ')} through`, () => {
    const lines = written(level, true, (log) => {
      for (const one of all) log(one, one)
    })
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).message),
      all.slice(0, at + 1),
    )
  })

const rows: [message: string, more: Record<string, unknown>, line: string][] = [
  ['hello', {}, '2026-11-01T10:00:00.000Z WARN  hello\n'],
  [
    'hello',
    { model: 'm', n: 1, ok: true },
    '2026-11-01T10:00:00.000Z WARN  hello model="m" n=1 ok=true\n',
  ],
  ['a\r\nb\u0000\u001b[31mc', {}, '2026-11-01T10:00:00.000Z WARN  a b [31mc\n'],
  [
    'forged',
    { model: 'x\n2026 ERROR forged' },
    '2026-11-01T10:00:00.000Z WARN  forged model="x\\n2026 ERROR forged"\n',
  ],
  [
    'objects',
    { a: { b: 1 }, none: null, big: 5n },
    '2026-11-01T10:00:00.000Z WARN  objects a="{ b: 1 }" none="null" big="5n"\n',
  ],
]
for (const [message, more, line] of rows)
  test(`text: ${JSON.stringify(message)}`, () =>
    assert.deepEqual(
      written('debug', false, (log) => log('warn', message, more)),
      [line],
    ))

test('JSON: one object a line, whatever is in it', () => {
  const circle: Record<string, unknown> = { name: 'c' }
  circle['self'] = circle
  const [line = ''] = written('info', true, (log) =>
    log('error', 'a\nb', { cause: new TypeError('x\ny'), circle, big: 5n, none: undefined }),
  )
  assert.equal(line.split('\n').length, 2)
  const read = JSON.parse(line)
  assert.deepEqual(
    [read.time, read.level, read.message, read.big],
    ['2026-11-01T10:00:00.000Z', 'error', 'a\nb', '5n'],
  )
  assert.match(read.cause, /^TypeError: x\ny\n\s+at /)
  assert.match(read.circle, /Circular/)
})

test('of several processes each line says which wrote it', () => {
  for (const json of [true, false]) {
    const lines: string[] = []
    const log = createLog({
      level: 'info',
      json,
      worker: 2,
      now,
      write: (line) => lines.push(line),
    })
    log('info', 'hello', { port: 1 })
    assert.match(lines.join(), json ? /"worker":2,"port":1/ : / hello worker=2 port=1\n/)
  }
})
