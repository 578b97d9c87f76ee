import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/json/json.ts'
import { ask, type Gateway, startGateway } from './support/gateway.ts'
import { chatAnswer, type Scope, startProvider, whole } from './support/provider.ts'

/** A group of four, each of which answers with its own name; drawn evenly where nothing keeps a request. */
async function startGroup(
  t: Scope,
  router: JsonObject,
  types: readonly string[] = [],
  general: JsonObject = {},
) {
  const provider = await startProvider(t, (asked) => {
    const [, name] = /^\/(\w)\//.exec(asked.path) ?? []
    return whole(chatAnswer({ content: name ?? '' }))
  })
  const models = ['a', 'b', 'c', 'd'].map((name, at) => ({
    model_name: 'g',
    litellm_params: {
      model: 'openai/upstream-model',
      api_base: `${provider.origin}/${name}/v1`,
      api_key: 'sk-upstream-credential',
    },
    ...(types[at] !== undefined && { model_info: { type: types[at] } }),
  }))
  return startGateway(t, { models, router, general, logged: false })
}

async function who(gateway: Gateway, body: JsonObject = {}, headers = {}): Promise<string> {
  const response = await gateway.post('/v1/chat/completions', ask('g', body), headers)
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
  return choices[0]?.message.content ?? ''
}
async function times(count: number, of: () => Promise<string>): Promise<Set<string>> {
  const out = new Set<string>()
  for (let time = 0; time < count; time++) out.add(await of())
  return out
}

test('session_affinity: a session is one deployment, however it is named', async (t) => {
  const gateway = await startGroup(t, { optional_pre_call_checks: ['session_affinity'] })
  const ways: ((session: string) => Promise<string>)[] = [
    (session) => who(gateway, {}, { 'x-litellm-session-id': session }),
    (session) => who(gateway, { litellm_session_id: session }),
    (session) => who(gateway, { metadata: { session_id: session } }),
  ]
  for (const [at, way] of ways.entries()) {
    assert.equal((await times(8, () => way(`s${at}`))).size, 1)
    // Other sessions are drawn anew: one in 4^39 that all are drawn alike.
    const many = new Set<string>()
    for (let next = 0; many.size < 2 && next < 40; next++) many.add(await way(`t${at}-${next}`))
    assert.ok(many.size > 1)
  }
  // One in 4^19 would be all the same by chance.
  assert.ok((await times(20, () => who(gateway))).size > 1)
})

test('prompt_caching: a conversation that is marked for the cache goes on where it began', async (t) => {
  const gateway = await startGroup(t, { optional_pre_call_checks: ['prompt_caching'] })
  const cache_control = { type: 'ephemeral' }
  const seen = new Set<string>()
  for (let at = 0; at < 10; at++) {
    const system = {
      role: 'system',
      content: [{ type: 'text', text: `${at} ${'x'.repeat(5000)}`, cache_control }],
    }
    const messages: JsonObject[] = [system, { role: 'user', content: 'Hi' }]
    const first = await who(gateway, { messages })
    for (let turn = 0; turn < 4; turn++) {
      messages.push({ role: 'assistant', content: 'Ho' })
      messages.push({ role: 'user', content: [{ type: 'text', text: `${turn}`, cache_control }] })
      assert.equal(await who(gateway, { messages }), first)
    }
    seen.add(first)
  }
  // One in 4^9 that all conversations are drawn alike.
  assert.ok(seen.size > 1)
})

test('deployment_affinity of one group: all of a key go to one deployment', async (t) => {
  const router = { model_group_affinity_config: { g: ['deployment_affinity'] } }
  const gateway = await startGroup(t, router, [], { master_key: 'sk-master' })
  const as = (key: string) => who(gateway, {}, { authorization: `Bearer ${key}` })
  const made = async () => {
    const admin = { authorization: 'Bearer sk-master' }
    const { key } = (await (await gateway.post('/key/generate', {}, admin)).json()) as {
      key: string
    }
    return key
  }
  const seen = new Set<string>()
  // One in 4^10 that none goes elsewhere.
  for (const key of await times(11, made)) {
    const own = await times(5, () => as(key))
    assert.equal(own.size, 1)
    for (const name of own) seen.add(name)
  }
  assert.ok(seen.size > 1)
})

test('lar1: how sure a request is decides who is asked', async (t) => {
  const types = ['local', 'cloud-fast', 'cloud-smart', 'deep']
  const gateway = await startGroup(t, { routing_strategy: 'lar1' }, types)
  const sure = (lar1: JsonObject) => who(gateway, { metadata: { lar1 } })
  assert.equal(await who(gateway), 'a')
  assert.equal(await sure({ confidence: 0.4 }), 'b')
  assert.equal(await sure({ confidence: 0.1 }), 'c')
  assert.equal(await sure({ confidence: 0.9 }), 'd')
  assert.equal(await sure({ confidence: 0.9, evidence: ['UNVERIFIED'] }), 'c')
  assert.equal(await sure({ confidence: 7 }), 'a')
})
