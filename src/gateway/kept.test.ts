import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { createKeptAnswers, type Kept } from './kept.ts'

const kept = (answer: string, size = 10): Kept => ({
  answer,
  input: 'x'.repeat(size),
  previous: undefined,
})

test('an answer is found by its owner and nobody else', async () => {
  const answers = createKeptAnswers(() => 0)
  await answers.save('a', 'resp_1', kept('one'))
  equal((await answers.find('a', 'resp_1'))?.answer, 'one')
  equal(await answers.find('b', 'resp_1'), undefined)
  equal(await answers.remove('b', 'resp_1'), false)
  // The same id of another owner is another answer.
  await answers.save('b', 'resp_1', kept('theirs'))
  equal((await answers.find('a', 'resp_1'))?.answer, 'one')
  equal(await answers.remove('a', 'resp_1'), true)
  equal(await answers.find('a', 'resp_1'), undefined)
  equal((await answers.find('b', 'resp_1'))?.answer, 'theirs')
})

test('it is forgotten after its time, counted from its last use', async () => {
  let now = 0
  const answers = createKeptAnswers(() => now, { answers: 9, characters: 9999, ttlMs: 1000 })
  await answers.save('a', 'used', kept('one'))
  await answers.save('a', 'unused', kept('two'))
  now = 900
  equal((await answers.find('a', 'used'))?.answer, 'one')
  now = 1100
  equal(await answers.find('a', 'unused'), undefined)
  equal((await answers.find('a', 'used'))?.answer, 'one')
})

test('who holds most gives way, the least recently used first', async () => {
  const answers = createKeptAnswers(() => 0, { answers: 5, characters: 99_999, ttlMs: 1000 })
  await answers.save('small', 's', kept('s'))
  for (const id of ['1', '2', '3', '4']) await answers.save('large', id, kept(id, 50))
  await answers.find('large', '1')
  await answers.save('large', '5', kept('5', 50))
  const left = []
  for (const id of ['1', '2', '3', '4', '5']) if (await answers.find('large', id)) left.push(id)
  deepEqual(left, ['1', '3', '4', '5'])
  equal((await answers.find('small', 's'))?.answer, 's')
})

test('characters are bounded, whatever is saved, and one that is far too large is not kept', async () => {
  const answers = createKeptAnswers(() => 0, { answers: 999, characters: 1000, ttlMs: 1000 })
  for (let at = 0; at < 50; at++) await answers.save('a', `${at}`, kept('', 200))
  const left = []
  for (let at = 0; at < 50; at++) if (await answers.find('a', `${at}`)) left.push(at)
  deepEqual(left, [46, 47, 48, 49])
  await answers.save('a', 'huge', kept('', 400))
  equal(await answers.find('a', 'huge'), undefined)
  equal((await answers.find('a', '49'))?.input.length, 200)
})
