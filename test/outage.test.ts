import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openPostgres } from '../src/store/postgres.node.ts'
import { startGateway } from './support/gateway.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { fileScope, sleep, startProvider } from './support/provider.ts'
import {
  audit,
  call,
  callCost,
  type Heard,
  makeKey,
  masterKey,
  pricedRow,
  unhurried,
} from './support/spending.ts'

const bin = postgresFolder()
const scope = fileScope()
/** HEAVY=1: as long as the promise goes. */
const awayMs = process.env['HEAVY'] === '1' ? 30_000 : 3000

if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  after(() => server.stop())
  const provider = await startProvider(scope, unhurried(5))

  test('a database that is stopped and comes back: known keys go on within what is in hand', async (t) => {
    const url = server.database('outage')
    const gateway = await startGateway(t, {
      models: [pricedRow(provider)],
      general: { master_key: masterKey },
      env: { DATABASE_URL: url },
    })
    const key = await makeKey(gateway.url, { max_budget: 1000 })
    const strange = await makeKey(gateway.url, { max_budget: 1000 })
    // A call may cost about 80 thousand nano-dollars and costs 15: of a quarter of this, some go through.
    const small = await makeKey(gateway.url, { max_budget: 0.0008 })
    const heard: Heard[] = [await call(gateway.url, key)]
    const smallHeard: Heard[] = [await call(gateway.url, small, { max_tokens: 3 })]
    assert.deepEqual([heard[0]?.status, smallHeard[0]?.status], [200, 200])

    let going = true
    t.after(() => {
      going = false
    })
    let away = false
    const duringOutage: Heard[] = []
    const loading = Promise.all(
      Array.from({ length: 6 }, async (_, nth) => {
        while (going) {
          const began = away
          const one = await call(gateway.url, key, nth % 2 === 0 ? { stream: true } : {})
          heard.push(one)
          if (began && away) duringOutage.push(one)
          await sleep(10)
        }
      }),
    )
    await sleep(300)
    server.pause()
    away = true
    const stopped = performance.now()
    await sleep(200)
    const before = performance.now()
    const refused = await call(gateway.url, strange)
    assert.equal(refused.status, 503, refused.body)
    assert.match(refused.body, /no_db_connection/)
    assert.ok(performance.now() - before < 6000)
    let last: Heard | undefined
    for (let i = 0; i < 60 && last?.status !== 503; i++) {
      last = await call(gateway.url, small, { max_tokens: 3 })
      smallHeard.push(last)
    }
    assert.equal(last?.status, 503, 'past what is in hand it is refused')
    assert.match(last.body, /no_db_connection/)
    assert.ok(smallHeard.filter(({ status }) => status === 200).length > 1)
    await sleep(Math.max(0, awayMs - (performance.now() - stopped)))
    away = false
    await server.resume()
    await sleep(1500)
    going = false
    await loading
    assert.ok(duringOutage.length > 20)
    assert.deepEqual(
      [...new Set(duringOutage.map(({ status }) => status))],
      [200],
      duringOutage.find(({ status }) => status !== 200)?.body,
    )
    assert.equal((await call(gateway.url, strange)).status, 200)
    await gateway.running.close(0)

    const db = await openPostgres({ url, onError: () => {} })
    try {
      const answered = [...heard, ...smallHeard].filter(({ whole }) => whole).length + 1
      const { spend, rows } = await db.query
        .selectFrom('spend_log')
        .select((a) => [
          a.fn.sum<number>('spend').as('spend'),
          a.fn.count<number>('call_id').distinct().as('rows'),
        ])
        .where('fault', 'is', null)
        .executeTakeFirstOrThrow()
      assert.deepEqual([Number(rows), Number(spend)], [answered, answered * callCost])
      const wrong = await audit(db, [...heard, ...smallHeard], { keys: 3 })
      assert.deepEqual(wrong.slice(0, 10), [])
    } finally {
      await db.close()
    }
  })
}
