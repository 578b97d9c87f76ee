import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { atTurnEnd } from './turn.ts'

test('what was given in a turn runs at its end, in its order; what that gives, at the end of the next', async () => {
  const said: string[] = []
  const say = (what: string) => () => void said.push(what)
  atTurnEnd(say('a'))
  atTurnEnd(() => {
    say('b')()
    atTurnEnd(say('d'))
  })
  process.nextTick(say('first'))
  queueMicrotask(() => atTurnEnd(say('c')))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(said, ['first', 'a', 'b', 'c'])
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(said, ['first', 'a', 'b', 'c', 'd'])
})

test('one that throws keeps nobody else from their turn, and is heard of', () => {
  const turn = new URL('./turn.ts', import.meta.url).href
  const program = `
    const { atTurnEnd } = await import(${JSON.stringify(turn)})
    process.on('uncaughtException', ({ message }) => console.log(message))
    for (const what of ['a', 'b', 'c', 'd'])
      atTurnEnd(() => {
        if (what === 'b' || what === 'c') throw new Error(what + ' broke')
        console.log(what)
      })`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program])
  assert.deepEqual(said.toString().trim().split('\n'), ['a', 'b broke', 'c broke', 'd'])
})
