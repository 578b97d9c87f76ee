import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAwsChain } from './aws-chain.node.ts'

test('AWS’s package is asked where it is installed', async () => {
  const asked: unknown[] = []
  const chain = createAwsChain(async (name) => ({
    defaultProvider: (options: unknown) => async () => {
      asked.push(name, options)
      return {
        accessKeyId: 'AK',
        secretAccessKey: 's',
        expiration: new Date('2026-01-02T03:04:05Z'),
      }
    },
  }))
  assert.deepEqual(await chain('work'), {
    accessKeyId: 'AK',
    secretAccessKey: 's',
    sessionToken: undefined,
    expires: Date.parse('2026-01-02T03:04:05Z'),
  })
  await chain()
  const name = '@aws-sdk/credential-provider-node'
  assert.deepEqual(asked, [name, { profile: 'work' }, name, {}])
})

test('where it is not installed there is nothing; where it fails, that is told', async () => {
  assert.equal(await createAwsChain()('work'), undefined)
  const broken = createAwsChain(() => Promise.reject(new Error('half installed')))
  await assert.rejects(broken('work'), /half installed/)
  for (const odd of [undefined, {}, { defaultProvider: 1 }, { defaultProvider: () => 1 }])
    assert.equal(await createAwsChain(async () => odd)('work'), undefined)
})
