import { deepEqual, equal, notEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, object } from '../json/json.ts'
import { accountOf, setSpend } from '../store/accounts.ts'
import { keyInfoRoutes } from './key-info.ts'
import { rotateKeys } from './key-rotate.ts'
import { keyRoutes } from './keys.ts'
import { noon, openOffice } from './office.test.ts'

const hour = 3_600_000

test('keys are rotated when their time has come, and handed over before the old one ends', async () => {
  const { store, ask, at } = await openOffice([...keyRoutes, ...keyInfoRoutes])
  const made = async (body: JsonObject) => {
    const answer = await ask('admin', 'POST', '/key/generate', body)
    equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body
  }
  const turning = await made({
    key: 'sk-turn-0123456789',
    key_alias: 'turning',
    auto_rotate: true,
    rotation_interval: '1h',
  })
  equal(turning['key_rotation_at'], new Date(noon + hour).toISOString())
  await made({ key: 'sk-stay-0123456789' })
  await store.write((tx) => setSpend(tx, accountOf.key(String(turning['token'])), 5e9))

  const handed: { id: string; alias: string | undefined; secret: string }[] = []
  const logged: string[] = []
  const rotate = (hand = async (key: (typeof handed)[number]) => void handed.push(key)) =>
    rotateKeys({
      store,
      graceMs: hour,
      hand,
      log: (level, message) => logged.push(`${level} ${message}`),
    })
  const status = async (who: string) => (await ask(who, 'GET', '/key/info')).status
  const infoOf = async (key: string) =>
    object((await ask('admin', 'GET', `/key/info?key=${key}`)).body['info'])

  equal(await rotate(), 0, 'too early')
  at(noon + hour)
  const lost = async () => {
    throw new Error('no vault')
  }
  equal(await rotate(lost), 0)
  deepEqual(logged, ['error a key was not rotated and stays as it is'])
  equal(
    (await ask('admin', 'GET', '/key/info?key=sk-turn-0123456789')).body['key'],
    'sk-turn-0123456789',
  )
  equal(
    (await infoOf('sk-turn-0123456789'))['status'],
    'active',
    'a key nobody was told of is not one',
  )

  equal(await rotate(), 1)
  const [key] = handed
  ok(key)
  equal(key.alias, 'turning')
  notEqual(key.id, turning['token'])
  equal(store.sealer.digest(key.secret), key.id)
  const info = await infoOf(key.secret)
  deepEqual(
    [
      info['spend'],
      info['rotation_count'],
      info['last_rotation_at'],
      info['key_rotation_at'],
      info['updated_by'],
    ],
    [5, 1, new Date(noon + hour).toISOString(), new Date(noon + 2 * hour).toISOString(), 'system'],
  )
  equal(await status('turn'), 200, 'the old key goes on for a while')
  equal(await status('stay'), 200)
  equal(await rotate(), 0, 'once')

  at(noon + 2 * hour)
  equal(await status('turn'), 401)
  equal(await rotate(), 1)
  equal((await infoOf(handed[1]?.secret ?? ''))['rotation_count'], 2)
  equal((await infoOf(handed[1]?.secret ?? ''))['spend'], 5)
})

test('credentials in the metadata of a key are sealed, and shown as such', async () => {
  const { store, ask } = await openOffice([...keyRoutes, ...keyInfoRoutes])
  const metadata = {
    logging: [
      {
        callback_name: 'langfuse',
        callback_vars: { langfuse_secret_key: 'sk-lf-canary', langfuse_host: 'https://lf.example' },
      },
    ],
  }
  const { body } = await ask('admin', 'POST', '/key/generate', { metadata })
  const id = String(body['token'])
  const kept = () => store.docs.virtual_key.find(id)
  ok(!JSON.stringify(body).includes('canary'))
  ok(!JSON.stringify(await kept()).includes('canary'))
  const before = (await kept())?.data['metadata']
  const info = object((await ask('admin', 'GET', `/key/info?key=${id}`)).body['info'])
  equal((await ask('admin', 'POST', '/key/update', { key: id, ...info })).status, 200)
  deepEqual((await kept())?.data['metadata'], before, 'sent back as it was shown, it stays')
})
