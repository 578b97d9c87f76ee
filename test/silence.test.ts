import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { startGateway } from './support/gateway.ts'
import { postgresFolder, startPostgres } from './support/postgres.ts'
import { fileScope, sleep, startProvider } from './support/provider.ts'
import { call, makeKey, masterKey, pricedRow, unhurried } from './support/spending.ts'

/** A way to the database on which everything can be lost, as when a cable is pulled: nobody refuses, nobody answers. */
async function startWay(url: string) {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let silent = false
  const server = createServer((here) => {
    const there = connect(Number(port), hostname)
    for (const [from, into] of [
      [here, there],
      [there, here],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => {
        if (!silent) into.write(bytes)
      })
      from.on('close', () => {
        sockets.delete(from)
        into.destroy()
      })
      from.on('error', () => {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const way = new URL(url)
  way.port = String(typeof address === 'object' && address ? address.port : 0)
  return {
    url: way.href,
    lose() {
      silent = true
    },
    /** What was lost stays lost, as with a peer that has gone: who still waits learns it. */
    find() {
      silent = false
      for (const socket of sockets) socket.destroy()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

const bin = postgresFolder()
const scope = fileScope()
if (bin === undefined) test('PostgreSQL', { skip: 'PostgreSQL is not installed here' }, () => {})
else {
  const server = await startPostgres(bin)
  after(() => server.stop())
  const provider = await startProvider(scope, unhurried(5))

  test('a database that says nothing at all: known keys go on, everybody else is told within seconds', async (t) => {
    const way = await startWay(server.database('silence'))
    const other = await startWay(server.database('fail closed'))
    t.after(() => way.close())
    t.after(() => other.close())
    const gateway = await startGateway(t, {
      models: [pricedRow(provider)],
      general: { master_key: masterKey },
      env: { DATABASE_URL: way.url },
    })
    const known = await makeKey(gateway.url, { max_budget: 1000 })
    const unbounded = await makeKey(gateway.url)
    const daily = await makeKey(gateway.url, { tpd_limit: 1_000_000 })
    const strange = await makeKey(gateway.url)
    for (const key of [known, unbounded, daily])
      assert.equal((await call(gateway.url, key)).status, 200)
    const closed = await startGateway(t, {
      models: [pricedRow(provider)],
      general: { master_key: masterKey, fail_closed_rate_limit_enforcement: true },
      env: { DATABASE_URL: other.url },
    })
    const counted = await makeKey(closed.url, { tpd_limit: 1_000_000 })
    assert.equal((await call(closed.url, counted)).status, 200)
    way.lose()
    other.lose()
    const timed = async (key: string, body = {}) => {
      const began = performance.now()
      const { status, body: said } = await call(gateway.url, key, body)
      return { status, said, ms: performance.now() - began }
    }
    const [a, b, c, d, e, f] = await Promise.all([
      timed(known),
      timed(unbounded),
      timed(daily),
      timed(strange),
      timed(known, { user: 'a customer nobody has looked for' }),
      call(closed.url, counted),
    ])
    assert.deepEqual([a.status, b.status, c.status, e.status], [200, 200, 200, 200])
    assert.ok(a.ms < 2000 && b.ms < 2000, `${a.ms} ${b.ms}`)
    assert.ok(c.ms < 7000, `a limit that the database counts: ${c.ms}`)
    assert.equal(d.status, 503, d.said)
    assert.match(d.said, /no_db_connection/)
    assert.ok(d.ms < 7000, String(d.ms))
    assert.equal(f.status, 503, 'where limits fail closed')
    way.find()
    other.find()
    await sleep(1500)
    assert.equal((await call(gateway.url, strange)).status, 200)
  })
}
