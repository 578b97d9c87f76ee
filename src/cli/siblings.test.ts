import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { createKeptAnswers, type KeptAnswers } from '../gateway/kept.ts'
import { isObject, type JsonObject } from '../json/json.ts'
import { createSiblings, passOn } from './siblings.ts'

/** So many workers with a primary between them; all that is said crosses as JSON. */
function family(count: number, deaf: readonly number[] = []): KeptAnswers[] {
  const all: ReturnType<typeof createSiblings>[] = []
  const living = Array.from({ length: count }, (_, at) => at)
  const deliver = (to: number, message: JsonObject): void => {
    const crossed: unknown = JSON.parse(JSON.stringify(message))
    if (isObject(crossed) && !deaf.includes(to)) queueMicrotask(() => all[to]?.hear(crossed))
  }
  for (const nth of living)
    all.push(
      createSiblings(
        createKeptAnswers(() => 0),
        (message) => passOn({ ...message } as JsonObject, nth, living, deliver), // kept texts only
        20,
      ),
    )
  return all.map(({ answers }) => answers)
}
const kept = { answer: '{"id":"resp_1"}', input: '[]', previous: 'resp_0' }

test('an answer that one keeps is found by all, by its owner only', async () => {
  const [one, other, third] = family(3)
  await one?.save('owner', 'resp_1', kept)
  deepEqual(await other?.find('owner', 'resp_1'), kept)
  deepEqual(await third?.find('owner', 'resp_1'), kept)
  equal(await third?.find('somebody', 'resp_1'), undefined)
  equal(await other?.find('owner', 'resp_2'), undefined)
})

test('what one removes is gone everywhere, and was there once', async () => {
  const [one, other] = family(2)
  await one?.save('owner', 'resp_1', kept)
  equal(await other?.remove('owner', 'resp_1'), true)
  equal(await other?.remove('owner', 'resp_1'), false)
  equal(await one?.find('owner', 'resp_1'), undefined)
})

test('one that says nothing does not keep the others waiting', async () => {
  const [, other, third] = family(3, [0])
  await third?.save('owner', 'resp_1', kept)
  deepEqual(await other?.find('owner', 'resp_1'), kept)
  equal(await other?.find('owner', 'resp_2'), undefined)
})

test('alone there is nobody to ask', async () => {
  const [one] = family(1)
  equal(await one?.find('owner', 'resp_1'), undefined)
})
