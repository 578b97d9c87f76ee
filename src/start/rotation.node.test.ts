import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyRoutes } from '../admin/keys.ts'
import { noon, openOffice } from '../admin/office.test.ts'
import { readConfig } from '../config/schema.ts'
import type { JsonObject } from '../json/json.ts'
import { watchRotation } from './rotation.node.ts'

const hour = 3_600_000

async function opened(management: JsonObject, leads = { now: true }) {
  const office = await openOffice(keyRoutes)
  const { config, errors } = readConfig({ general_settings: management })
  assert.deepEqual(errors, [])
  const kept: [name: string, value: string][] = []
  const logged: string[] = []
  let tick = () => {}
  let ended = false
  const end = watchRotation({
    books: { store: office.store, leads: () => leads.now },
    config,
    env: {},
    everyMs: hour,
    graceMs: hour,
    log: (level, message, more) =>
      void logged.push(`${level} ${message} ${more?.['cause'] ?? ''}`.trim()),
    every(ms, run) {
      assert.equal(ms, hour)
      tick = run
      return () => {
        ended = true
      }
    },
    open: async () => async (name, value) => void kept.push([name, value]),
  })
  const make = async (more: JsonObject): Promise<string> => {
    const { status, body } = await office.ask('admin', 'POST', '/key/generate', {
      auto_rotate: true,
      rotation_interval: '1h',
      ...more,
    })
    assert.equal(status, 200, JSON.stringify(body))
    return String(body['token'])
  }
  /** One turn of the timer, and all that comes of it; nothing is waited for in vain but shortly. */
  const turn = async (enough?: () => boolean): Promise<void> => {
    tick()
    const times = enough ? 2000 : 20
    for (let n = 0; n < times && !enough?.(); n++)
      await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const rotated = async (): Promise<number> => {
    const docs = await office.store.docs.virtual_key.list()
    return docs.filter(({ data }) => Number(data['rotation_count']) > 0).length
  }
  return { ...office, kept, logged, turn, make, rotated, end, ended: () => ended }
}
const vault = {
  key_management_system: 'hashicorp_vault',
  key_management_settings: { store_virtual_keys: true, access_mode: 'read_and_write' },
}

test('keys are made anew when their time has come, and put where secrets are kept', async () => {
  const { make, turn, kept, at, store, rotated, end, ended } = await opened(vault)
  await make({ key_alias: 'turning' })
  const unnamed = await make({})
  await turn()
  assert.equal(kept.length, 0, 'too early')
  at(noon + hour)
  await turn(() => kept.length === 2)
  assert.deepEqual(kept.map(([name]) => name).sort(), [
    'litellm/turning',
    `litellm/virtual-key-${unnamed}`,
  ])
  assert.equal(await rotated(), 2)
  const ids = (await store.docs.virtual_key.list()).map(({ id }) => id)
  for (const [, secret] of kept) assert.ok(ids.includes(store.sealer.digest(secret)))
  at(noon + 2 * hour)
  await turn(() => kept.length === 4)
  assert.deepEqual(new Set(kept.map(([name]) => name)).size, 2, 'under the same names')
  end()
  assert.ok(ended())
})

test('only by the process that leads', async () => {
  const leads = { now: false }
  const { make, turn, kept, at } = await opened(vault, leads)
  await make({ key_alias: 'turning' })
  at(noon + hour)
  await turn()
  assert.equal(kept.length, 0)
  leads.now = true
  await turn(() => kept.length === 1)
  assert.equal(kept.length, 1)
})

test('a key that nobody would learn of stays as it is, and that is said', async () => {
  const { make, turn, kept, at, logged, rotated } = await opened({})
  await make({ key_alias: 'turning' })
  at(noon + hour)
  await turn(() => logged.length > 0)
  assert.equal(logged.length, 1)
  assert.match(logged[0] ?? '', /a key was not rotated and stays as it is .*store_virtual_keys/)
  assert.deepEqual([kept.length, await rotated()], [0, 0])
})

const places: [settings: JsonObject, name: string][] = [
  [{ key_management_system: 'azure_key_vault' }, 'litellm-turning'],
  [{ key_management_system: 'google_secret_manager' }, 'litellm-turning'],
  [{ key_management_system: 'aws_secret_manager' }, 'litellm/turning'],
]
for (const [settings, name] of places)
  test(`in ${String(settings['key_management_system'])} it is called ${name}`, async () => {
    const { make, turn, kept, at } = await opened({ ...vault, ...settings })
    await make({ key_alias: 'turning' })
    at(noon + hour)
    await turn(() => kept.length === 1)
    assert.equal(kept[0]?.[0], name)
  })

test('and by a prefix of the operator’s own', async () => {
  const key_management_settings = {
    ...vault.key_management_settings,
    prefix_for_stored_virtual_keys: 'gw',
  }
  const { make, turn, kept, at } = await opened({ ...vault, key_management_settings })
  await make({ key_alias: 'turning' })
  at(noon + hour)
  await turn(() => kept.length === 1)
  assert.equal(kept[0]?.[0], 'gw/turning')
})
