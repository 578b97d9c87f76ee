import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { noUsage } from '../chat/chat.ts'
import { findDead, openJournal } from './journal.node.ts'
import type { Left } from './journal.ts'
import type { Entry, Opening } from './ledger.ts'

const folder = mkdtempSync(join(tmpdir(), 'throughway-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** What is read from a journal once its process is no more. */
async function readOf(node: string): Promise<Left> {
  const path = join(folder, `${node}.jsonl`)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace(/^.*\n/, `{"node":"${node}","pid":1,"began":"another boot"}\n`))
  const left = await findDead(folder, 'me')
    .find((one) => one.node === node)
    ?.read()
  writeFileSync(path, text)
  assert.ok(left)
  return left
}

const opening = (requestId: string): Opening => ({
  requestId,
  startedAt: 1,
  operation: 'chat',
  keyId: 'k',
  model: 'm',
  stream: true,
  nanoDollars: 3,
  payer: { accounts: ['key:k'], customerId: 'c' },
})
const entry = (requestId: string, opened?: number): Entry => ({
  ...opening(requestId),
  opened,
  firstByteAt: 2,
  endedAt: 3,
  group: 'm',
  deploymentId: 'd',
  provider: 'p',
  upstreamModel: 'u',
  usage: { ...noUsage, output: 5, raw: { completion_tokens: 5 } },
  nanoDollars: 50,
  priced: true,
  retries: 0,
  fallbacks: 0,
  fault: undefined,
  status: 200,
})

test('what has ended and what has not are read again, with who pays', async () => {
  const journal = openJournal(folder, 'one')
  journal.open(1, opening('a'))
  journal.open(2, opening('b'))
  journal.done(1, { ...entry('a', 1), units: { seconds: 1.5, resolution: '4k' } })
  journal.progress(2, { tokens: 7, nanoDollars: 70 })
  await journal.written()
  const left = await readOf('one')
  assert.deepEqual(
    left.settled.map(({ seq, entry: { requestId, nanoDollars, payer, usage, units } }) => [
      seq,
      requestId,
      nanoDollars,
      payer?.customerId,
      usage.output,
      units,
    ]),
    [[1, 'a', 50, 'c', 5, { seconds: 1.5, resolution: '4k' }]],
  )
  assert.deepEqual(
    left.open.map(({ opening: { requestId }, tokens, nanoDollars }) => [
      requestId,
      tokens,
      nanoDollars,
    ]),
    [['b', 7, 73]],
  )
  journal.close()
})

test('a line that was cut by the crash is passed over, wherever it was cut', async () => {
  const journal = openJournal(folder, 'cut')
  journal.done(1, entry('a'))
  await journal.written()
  const whole = readFileSync(join(folder, 'cut.jsonl'), 'utf8')
  journal.done(2, entry('b'))
  await journal.written()
  const both = readFileSync(join(folder, 'cut.jsonl'), 'utf8')
  for (let end = whole.length; end < both.length - 1; end += 7) {
    writeFileSync(join(folder, 'copy.jsonl'), both.slice(0, end))
    const { settled } = await readOf('copy')
    assert.deepEqual(
      settled.map(({ seq }) => seq),
      [1],
    )
  }
  rmSync(join(folder, 'copy.jsonl'))
  journal.close()
})

test('a journal that grows is begun anew with what is still needed', async () => {
  const journal = openJournal(folder, 'big')
  journal.open(1, opening('long'))
  const fat = entry('x')
  fat.answerId = 'e'.repeat(100_000)
  for (let seq = 1; seq <= 100; seq++) journal.done(seq, fat)
  await journal.written()
  journal.flushed(99)
  const path = join(folder, 'big.jsonl')
  assert.ok(readFileSync(path).length < 500_000)
  journal.done(101, entry('after'))
  await journal.written()
  const left = await readOf('big')
  assert.deepEqual(
    left.settled.map(({ seq }) => seq),
    [100, 101],
  )
  assert.deepEqual(
    left.open.map(({ opening: { requestId } }) => requestId),
    ['long'],
  )
  journal.close()
})

test('begun anew, a request that has ended says by itself what its opening said', async () => {
  const journal = openJournal(folder, 'anew')
  journal.open(1, opening('running'))
  journal.open(2, opening('ended'))
  journal.open(3, { ...opening('nobody'), payer: undefined })
  journal.done(1, { ...entry('ended', 2), answerId: 'é"', error: 'no\u0000\n' })
  journal.done(2, { ...entry('nobody', 3), payer: undefined })
  const before = await (async () => {
    await journal.written()
    return readOf('anew')
  })()
  journal.renew()
  journal.progress(1, { tokens: 2, nanoDollars: 20 })
  journal.done(3, entry('later'))
  await journal.written()
  const after = await readOf('anew')
  assert.deepEqual(after.settled.slice(0, 2), before.settled)
  assert.equal(after.settled[2]?.entry.payer?.customerId, 'c')
  assert.deepEqual(
    after.open.map(({ opening: { requestId }, tokens, nanoDollars }) => [
      requestId,
      tokens,
      nanoDollars,
    ]),
    [['running', 2, 23]],
  )
  journal.close()
})

test('only journals of processes that are no more are dead', () => {
  const mine = openJournal(folder, 'living')
  appendFileSync(
    join(folder, 'gone.jsonl'),
    `${JSON.stringify({ node: 'gone', pid: process.pid, began: 'another boot' })}\n`,
  )
  appendFileSync(
    join(folder, 'elsewhere.jsonl'),
    `${JSON.stringify({ node: 'elsewhere', host: 'another-machine', pid: 1 })}\n`,
  )
  const dead = new Map(findDead(folder, 'me').map(({ node, sure }) => [node, sure]))
  assert.equal(dead.get('gone'), true)
  assert.equal(dead.has('living'), false)
  assert.equal(dead.get('elsewhere'), false, 'only its silence tells')
  mine.close()
})
