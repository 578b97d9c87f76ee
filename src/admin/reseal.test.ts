import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { object } from '../json/json.ts'
import { createSealer } from '../store/seal.node.ts'
import { openOffice } from './office.test.ts'
import { resealRoutes } from './reseal.ts'

test('what a former key has sealed is sealed anew, and what nobody can open stays', async () => {
  const office = await openOffice(resealRoutes)
  const { store, ask } = office
  const former = createSealer('former')
  // The office's own sealer, which knows the former key too.
  Object.assign(store.sealer, createSealer('test', ['former']))
  const foreign = createSealer('nobody has it').seal('gone')
  const own = store.sealer.seal('own')
  const data = { deep: [{ api_key: former.seal('old') }], own, foreign, text: 'plain' }
  await store.write(async (tx) => {
    await tx.credential.insert({ id: 'c', data })
    await tx.team.insert({ id: 't', data: { metadata: { a: former.seal('of a team') } } })
  })
  const said = async (method: string, path: string) =>
    object((await ask('admin', method, `/credentials/migrate-encryption${path}`)).body['report'])

  const counts = {
    scanned: 3,
    migrated: 0,
    already_v2: 1,
    plaintext: 0,
    undecryptable: 1,
    legacy: 1,
  }
  const before = await said('GET', '/check')
  deepEqual([before['residual_legacy'], before['total_undecryptable']], [2, 1])
  deepEqual(object(before['locations'])['credential'], counts)
  deepEqual(await said('POST', '?dry_run=true'), before)
  deepEqual((await store.docs.credential.find('c'))?.data, data)

  deepEqual(object((await said('POST', ''))['locations'])['credential'], {
    ...counts,
    migrated: 1,
    legacy: 0,
  })
  equal((await said('GET', '/check'))['residual_legacy'], 0)
  const after = (await store.docs.credential.find('c'))?.data ?? {}
  deepEqual({ ...after, deep: data.deep }, data)
  const { open } = createSealer('test')
  equal(open(String(object((after['deep'] as [object])[0])['api_key'])), 'old')
  equal(open(String(object((await store.docs.team.find('t'))?.data['metadata'])['a'])), 'of a team')
  equal((await ask('admin', 'POST', '/jwt/key/mapping/new', {})).status, 501)
})
