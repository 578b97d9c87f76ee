import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { createCatalogue, createCatalogueHolder } from '../provider/catalogue.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import { createStore } from '../store/store.ts'
import { openPrices } from './prices.node.ts'

/** Enough entries to be believed. */
const listAt = (price: number): string =>
  JSON.stringify(
    Object.fromEntries(
      Array.from({ length: 3000 }, (_, nth) => [
        `m${nth}`,
        { litellm_provider: 'p', input_cost_per_token: price },
      ]),
    ),
  )

let folder: string
let url: string
let price = 1
let status = 200
let asked = 0
const server = createServer((_request, response) => {
  asked++
  response.writeHead(status).end(listAt(price))
})
const close: (() => void)[] = []

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'throughway-prices-'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
beforeEach(() => {
  status = 200
  asked = 0
})
after(async () => {
  for (const end of close) end()
  server.close()
  server.closeAllConnections()
  await rm(folder, { recursive: true, force: true })
})

async function start(name: string, env: Record<string, string>, now = Date.now) {
  const db = openSqlite(join(folder, `${name}.db`))
  await migrate(db)
  const store = await createStore({ db, node: String(Math.random()), sealer: createSealer('s') })
  const holder = createCatalogueHolder(createCatalogue(JSON.parse(listAt(0))))
  let served = 0
  const prices = openPrices({
    ...{ holder, store, now, retryMs: 1 },
    env: (one) => env[one],
    dataDir: await mkdtemp(join(folder, 'data-')),
    served: async () => void served++,
    fetch: globalThis.fetch,
    log() {},
  })
  close.push(() => {
    prices.close()
    void db.close()
  })
  const priceNow = () => holder.current.find('p', 'm1')?.info.input_cost_per_token
  const until = async (wanted: number): Promise<void> => {
    for (let tries = 0; tries < 200 && priceNow() !== wanted; tries++) {
      await store.catchUp()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    assert.equal(priceNow(), wanted)
  }
  return { prices, priceNow, until, served: () => served }
}

test('newer prices are fetched at the start and when asked for, in every process', async () => {
  price = 1
  const env = { LITELLM_MODEL_COST_MAP_URL: url }
  const [one, other] = [await start('shared', env), await start('shared', env)]
  await one.until(1)
  await other.until(1)
  assert.equal(one.served(), 1)
  price = 2
  await one.prices.refresh()
  assert.deepEqual([one.priceNow(), one.served()], [2, 2])
  await other.until(2)
  const { models, problem, localOnly } = one.prices.source()
  assert.deepEqual([models, problem, localOnly], [3000, undefined, false])
  assert.equal(one.prices.source().url, url)
})

test('prices that cannot be had leave those there are, and say why', async () => {
  price = 1
  const { prices, until, priceNow } = await start('broken', { LITELLM_MODEL_COST_MAP_URL: url })
  await until(1)
  status = 404
  await assert.rejects(prices.refresh(), /could not be fetched.*404/)
  assert.equal(priceNow(), 1)
  assert.match(prices.source().problem ?? '', /404/)
})

test('without an address nobody is asked', async () => {
  for (const env of [
    {},
    { LITELLM_MODEL_COST_MAP_URL: url, LITELLM_LOCAL_MODEL_COST_MAP: 'true' },
  ]) {
    const { prices } = await start('none', env)
    await assert.rejects(prices.refresh(), /LITELLM_MODEL_COST_MAP_URL/)
    await prices.setInterval(1)
    await prices.look()
  }
  assert.equal(asked, 0)
})

test('by the clock: when so many hours have passed since the last look', async () => {
  price = 1
  let now = Date.parse('2026-03-01T00:00:00Z')
  const env = { LITELLM_MODEL_COST_MAP_URL: url }
  const { prices, until, priceNow } = await start('clock', env, () => now)
  await until(1)
  price = 2
  now += 5 * 3_600_000
  await prices.look()
  assert.equal(priceNow(), 1, 'nobody wanted it')
  await prices.setInterval(6)
  assert.equal(await prices.interval(), 6)
  await prices.look()
  assert.equal(priceNow(), 1, 'an hour too early')
  now += 3_600_000
  await prices.look()
  assert.equal(priceNow(), 2)
  await prices.setInterval(undefined)
  assert.equal(await prices.interval(), undefined)
})
