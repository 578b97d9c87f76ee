import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createShelf, type Shelf } from '../call/shelf.ts'
import { migrate } from './migrate.ts'
import { openShelf } from './shelf.ts'
import { openSqlite } from './sqlite.node.ts'

const clock = { now: 1000 }
const db = openSqlite(':memory:')
await migrate(db)
await db.query
  .insertInto('payload')
  .values({ request_id: 'a request', at: 0, bytes: 1, data: 'its prompt' })
  .execute()

const shelves: Record<string, Shelf> = {
  memory: createShelf(() => clock.now),
  database: openShelf(db, () => clock.now),
}
for (const [where, shelf] of Object.entries(shelves))
  test(`a shelf in ${where}: kept, found, taken away by one, forgotten`, async () => {
    clock.now = 1000
    await shelf.save('batch one', 'first')
    await shelf.save('batch one', 'sécond')
    await shelf.save('batch two', '2')
    const first = await Promise.all([1, 2, 3].map((n) => shelf.add('said', String(n))))
    assert.deepEqual(first, [true, false, false])
    assert.equal(await shelf.find('said'), '1')
    await shelf.remove('said')
    await shelf.save('file', 'x')
    assert.equal(await shelf.find('batch one'), 'sécond')
    assert.equal(await shelf.find('batch'), undefined)
    assert.deepEqual((await shelf.names('batch ')).sort(), ['batch one', 'batch two'])
    const taken = await Promise.all([1, 2, 3].map(() => shelf.remove('batch one')))
    assert.deepEqual(taken.filter(Boolean).length, 1)
    clock.now = 2000
    await shelf.save('file', 'y')
    await shelf.sweep(500)
    assert.deepEqual(await shelf.names(''), ['file'])
    await shelf.remove('file')
  })

test('what lies beside it is let be', async () => {
  const rows = await db.query.selectFrom('payload').select('data').execute()
  assert.deepEqual(rows, [{ data: 'its prompt' }])
  await db.close()
})
