import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, provider } from '../call/upstream.test.ts'
import { type JsonObject, object } from '../json/json.ts'
import type { RouterSettings } from '../router/router.ts'
import { door, hi, jsonOf } from './visit.test.ts'

const open = (
  config: JsonObject & { models: Record<string, JsonObject> },
  env: Record<string, string> = {},
) => {
  const from = provider({ body: answer('hi') })
  return { ...door(config, from, { env }), from }
}

const settings: [name: string, config: JsonObject, seen: Partial<RouterSettings>][] = [
  [
    'defaults',
    {},
    {
      retries: 0,
      cooldownSeconds: 5,
      maxFallbacks: 5,
      allowedFails: undefined,
      disableCooldowns: false,
      tagFiltering: false,
      tagMatchAny: true,
      fallbacks: {},
      contextWindowFallbacks: undefined,
    },
  ],
  [
    'litellm_settings',
    { litellm_settings: { num_retries: 4, allowed_fails: 7 } },
    { retries: 4, allowedFails: 7 },
  ],
  [
    'router_settings win',
    {
      litellm_settings: { num_retries: 4, allowed_fails: 7 },
      router_settings: {
        num_retries: 1,
        allowed_fails: 2,
        cooldown_time: 9,
        retry_after: 3,
        max_fallbacks: 2,
        disable_cooldowns: true,
      },
    },
    {
      retries: 1,
      allowedFails: 2,
      cooldownSeconds: 9,
      retryAfterSeconds: 3,
      maxFallbacks: 2,
      disableCooldowns: true,
    },
  ],
  [
    "LiteLLM's own number is no setting",
    { router_settings: { allowed_fails: 3 } },
    { allowedFails: undefined },
  ],
  [
    'fallbacks',
    { litellm_settings: { fallbacks: [{ a: ['b', { model: 'c' }] }], default_fallbacks: ['d'] } },
    { fallbacks: { '*': ['d'], a: ['b', 'c'] } },
  ],
  [
    'policies',
    {
      router_settings: {
        retry_policy: { RateLimitErrorRetries: 3, BadRequestErrorRetries: 0 },
        allowed_fails_policy: { TimeoutErrorAllowedFails: 2 },
        model_group_retry_policy: { a: { InternalServerErrorRetries: 1 } },
      },
    },
    {
      retryPolicy: { rate_limit: 3, bad_request: 0 },
      allowedFailsPolicy: { timeout: 2 },
      groupRetryPolicy: { a: { provider: 1 } },
    },
  ],
  [
    'aliases',
    { router_settings: { model_group_alias: { x: 'a', y: { model: 'b', hidden: true } } } },
    { aliases: { x: { group: 'a', hidden: false }, y: { group: 'b', hidden: true } } },
  ],
  [
    'tags',
    { router_settings: { enable_tag_filtering: true, tag_filtering_match_any: false } },
    { tagFiltering: true, tagMatchAny: false },
  ],
]
for (const [name, config, seen] of settings)
  test(`router settings: ${name}`, () => {
    const found = open({ models: { a: {}, b: {}, c: {}, d: {} }, ...config }).rooms.router.settings
    for (const [key, value] of Object.entries(seen))
      assert.deepEqual(found[key as keyof RouterSettings], value, key) // its own keys
  })

test('rows: parameters beneath those of the row, ids for rows that are alike', () => {
  const { rooms } = open({
    models: {
      a: { temperature: 0.1, model_info: { id: undefined } },
      b: { group: 'a', temperature: 0.1, model_info: { id: undefined } },
      c: { model_info: { id: 'mine' } },
    },
    router_settings: { default_litellm_params: { temperature: 0.9, top_k: 3 } },
  })
  const [a, b, c] = rooms.router.groups.all()
  assert.equal(b?.id, `${a?.id}-2`)
  assert.equal(c?.id, 'mine')
  assert.deepEqual(
    [a?.defaults, c?.defaults],
    [
      { temperature: 0.1, top_k: 3 },
      { temperature: 0.9, top_k: 3 },
    ],
  )
})

test('a wildcard makes deployments of its own row, under the same id', () => {
  const { rooms } = open({
    models: { w: { group: 'openai/*', model: 'openai/*', temperature: 0.1 } },
  })
  const [made] = rooms.router.groups.find('openai/gpt-9')
  assert.deepEqual(
    [made?.id, made?.group, made?.target.model, made?.defaults, made?.headers['authorization']],
    ['w', 'openai/gpt-9', 'gpt-9', { temperature: 0.1 }, 'Bearer sk-upstream-0123456789'],
  )
})

const ours = 'sk-upstream-0123456789'
const theirs = 'sk-their-own-0123456789'
const away = 'https://elsewhere.invalid/v1'
const anything = { general_settings: { allow_client_side_credentials: true } }
const brings: [
  name: string,
  params: JsonObject,
  config: JsonObject,
  brought: JsonObject,
  url: string | undefined,
  key: string | undefined,
][] = [
  ['nothing is allowed', {}, {}, { api_key: theirs }, undefined, undefined],
  [
    'a key of their own',
    { configurable_clientside_auth_params: ['api_key'] },
    {},
    { api_key: theirs },
    'https://api.openai.com/v1/chat/completions',
    theirs,
  ],
  [
    'an address without a key: ours does not go there',
    { configurable_clientside_auth_params: ['api_base'] },
    {},
    { api_base: away },
    undefined,
    undefined,
  ],
  [
    'an address and an empty key',
    { configurable_clientside_auth_params: ['api_base', 'api_key'] },
    {},
    { api_base: away, api_key: '' },
    undefined,
    undefined,
  ],
  [
    'an address and a key',
    { configurable_clientside_auth_params: ['api_base', 'api_key'] },
    {},
    { api_base: away, api_key: theirs },
    `${away}/chat/completions`,
    theirs,
  ],
  [
    'an address the operator wrote down',
    { configurable_clientside_auth_params: [{ api_base: 'https://else\\w+\\.invalid/v1' }] },
    {},
    { api_base: away },
    `${away}/chat/completions`,
    ours,
  ],
  [
    'an address that only begins like it',
    { configurable_clientside_auth_params: [{ api_base: 'https://else\\w+\\.invalid/v1' }] },
    {},
    { api_base: `${away}.evil.invalid` },
    undefined,
    undefined,
  ],
  [
    'what another row allows',
    { configurable_clientside_auth_params: ['api_key'] },
    {},
    { api_base: away, api_key: theirs },
    undefined,
    undefined,
  ],
  [
    'everything is allowed: a key',
    {},
    anything,
    { api_key: theirs },
    'https://api.openai.com/v1/chat/completions',
    theirs,
  ],
  [
    'everything is allowed: an address without a key',
    {},
    anything,
    { api_base: away },
    undefined,
    undefined,
  ],
  [
    'everything is allowed: both',
    {},
    anything,
    { api_base: away, api_key: theirs },
    `${away}/chat/completions`,
    theirs,
  ],
]
for (const [name, params, config, brought, url, key] of brings)
  test(`clients bring: ${name}`, async () => {
    const at = open(
      {
        models: {
          g: { extra_headers: { 'x-corp-secret': ours }, ...params },
          other: { configurable_clientside_auth_params: ['api_base'] },
        },
        ...config,
      },
      { OPENAI_API_KEY: ours },
    )
    const out = await at.visit({ body: hi('g', brought) })
    const [asked] = at.from.asked
    if (url === undefined) {
      assert.equal(out.status, 401)
      assert.match(
        String(object((await jsonOf(out))['error'])['message']),
        /^Authentication Error, Rejected Request/,
      )
      assert.equal(asked, undefined)
      return
    }
    assert.equal(out.status, 200)
    assert.deepEqual(
      [asked?.url, asked?.headers['authorization'], Object.keys(asked?.json ?? {})],
      [url, `Bearer ${key}`, ['model', 'messages']],
    )
    if (key === theirs && url.startsWith(away))
      assert.ok(!JSON.stringify(asked?.headers).includes(ours), 'nothing of ours goes there')
  })

test('a key that the environment lacks may be brought by the client', async () => {
  const at = open({
    models: { g: { api_key: undefined, configurable_clientside_auth_params: ['api_key'] } },
  })
  const [row] = at.rooms.router.groups.all()
  assert.ok(row)
  const unset = { ...row, row: { ...row.row, unset: { api_key: 'MISSING' } } }
  assert.equal(at.rooms.override(unset, { api_key: theirs }).problem, undefined)
  assert.match(at.rooms.override(unset, {}).problem?.message ?? '', /os\.environ\/MISSING/)
})

test('prices of another model where there are none', () => {
  const at = open({
    models: {
      a: {},
      b: {
        model: 'openai/unheard-of',
        input_cost_per_token: undefined,
        output_cost_per_token: undefined,
      },
    },
  })
  assert.deepEqual(
    at.rooms.router.groups.all().map(({ price }) => price.priced),
    [true, false],
  )
})
