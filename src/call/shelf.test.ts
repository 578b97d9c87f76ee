import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createShelf } from './shelf.ts'

test('what does not fit any more is the oldest', async () => {
  const shelf = createShelf(() => 0, 10)
  await shelf.save('a', '12345')
  await shelf.save('b', '12345')
  await shelf.save('a', '1234')
  await shelf.save('c', '1')
  assert.deepEqual(await shelf.names(''), ['b', 'a', 'c'])
  await shelf.save('d', '123')
  assert.deepEqual(await shelf.names(''), ['a', 'c', 'd'])
  await shelf.save('large', '1234567890123')
  assert.deepEqual(await shelf.names(''), ['large'])
})
