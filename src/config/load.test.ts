import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { address } from '../provider/address.test.ts'
import { loadConfig } from './load.node.ts'
import { clean, errorsOf, type Files, load, warningsOf } from './loaded.test.ts'
import { formatNotice } from './notice.ts'

const first = <T>(list: readonly T[]): T => {
  const [head] = list
  assert.ok(head !== undefined)
  return head
}
const models = (rest: string) =>
  `model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n${rest}`

// Two configurations of real projects.
const fased = `model_list:
  - model_name: default
    litellm_params:
      model: openai/gpt-5.5
      api_key: os.environ/OPENAI_API_KEY

  - model_name: gpt-5.5
    litellm_params:
      model: openai/gpt-5.5
      api_key: os.environ/OPENAI_API_KEY
`
const firebender = `model_list:
  - model_name: bedrock-claude-sonnet-4-6
    litellm_params:
      model: bedrock/anthropic.claude-sonnet-4-20250514-v1:0
`

test('a configuration becomes rows', async () => {
  const { models } = clean(await load(fased, { OPENAI_API_KEY: 'sk-1' }))
  assert.deepEqual(
    models.map(({ modelName, params, position }) => [modelName, params, position?.line]),
    [
      ['default', { model: 'openai/gpt-5.5', api_key: 'sk-1' }, 2],
      ['gpt-5.5', { model: 'openai/gpt-5.5', api_key: 'sk-1' }, 7],
    ],
  )
  const other = clean(await load(firebender))
  assert.equal(first(other.models).params.model, 'bedrock/anthropic.claude-sonnet-4-20250514-v1:0')
})

const bad: [name: string, text: string, errors: string[]][] = [
  [
    'a misspelt required key',
    'model_list:\n\n  - model_nam: x\n    litellm_params: {model: openai/x}',
    [
      '✖ config.yaml:3:5 model_list[0].model_name: missing; found "model_nam": did you mean model_name?',
    ],
  ],
  [
    'no model',
    'model_list:\n  - model_name: a\n    litellm_params:\n      api_key: x\n',
    [
      '✖ config.yaml:4:7 model_list[0].litellm_params.model: missing (`provider/model` asked upstream)',
    ],
  ],
  [
    'no litellm_params',
    'model_list:\n  - model_name: a\n',
    ['✖ config.yaml:2:5 model_list[0].litellm_params: missing (Where the calls go)'],
  ],
  [
    'a list that is none',
    'model_list: 5\n',
    ['✖ config.yaml:1:13 model_list: expected a list of deployments, found the number 5'],
  ],
  [
    'an entry that is text',
    'model_list:\n  - gpt\n',
    [
      '✖ config.yaml:2:5 model_list[0]: expected a map with model_name and litellm_params, found the text "gpt"',
    ],
  ],
  [
    'a section that is a list',
    'general_settings: []\n',
    ['✖ config.yaml:1:19 general_settings: expected a map, found a list'],
  ],
  [
    'a number where text belongs, and a secret is not repeated',
    'general_settings:\n  master_key: 1234\n',
    [
      '✖ config.yaml:2:15 general_settings.master_key: expected text, found a number: put it in quotes',
    ],
  ],
  [
    'text where a number belongs',
    models('      timeout: soon\n'),
    [
      '✖ config.yaml:5:16 model_list[0].litellm_params.timeout: expected seconds, 0 to 2147483, found the text "soon"',
    ],
  ],
  [
    'text where a boolean belongs',
    'litellm_settings:\n  drop_params: maybe\n',
    [
      '✖ config.yaml:2:16 litellm_settings.drop_params: expected true or false, found the text "maybe"',
    ],
  ],
  [
    'a negative count',
    'router_settings: {num_retries: -1}',
    [
      '✖ config.yaml:1:32 router_settings.num_retries: expected a whole number, 0 or more, found the number -1',
    ],
  ],
  [
    'a wait longer than timers can count',
    'router_settings: {timeout: 1e9}',
    [
      '✖ config.yaml:1:28 router_settings.timeout: expected seconds, 0 to 2147483, found the number 1000000000',
    ],
  ],
  [
    'a strategy nobody has',
    'router_settings:\n  routing_strategy: fastest\n',
    [
      '✖ config.yaml:2:21 router_settings.routing_strategy: expected one of simple-shuffle, least-busy, usage-based-routing, usage-based-routing-v2, latency-based-routing, cost-based-routing, lar1, provider-budget-routing, found the text "fastest"',
    ],
  ],
  [
    'thresholds that do not rise',
    'router_settings: {routing_strategy: lar1, routing_strategy_args: {confidence_threshold_low: 0.6}}',
    [
      '✖ config.yaml:1:66 router_settings.routing_strategy_args: the thresholds of lar1 must rise between 0 and 1, and are low 0.6, medium 0.5, high 0.7: set confidence_threshold_low, confidence_threshold_medium and confidence_threshold_high',
    ],
  ],
  [
    'fallbacks in the wrong shape',
    'router_settings:\n  fallbacks: {a: [b]}\n',
    [
      '✖ config.yaml:2:14 router_settings.fallbacks: expected a list of {group: [groups]}, found a map',
    ],
  ],
  [
    'a wrong number inside a map',
    'general_settings: {limits: {json_depth: 0}}',
    [
      '✖ config.yaml:1:41 general_settings.limits.json_depth: expected a whole number, 1 or more, found the number 0',
    ],
  ],
  [
    'a price that is none',
    models('      input_cost_per_token: cheap\n'),
    [
      '✖ config.yaml:5:29 model_list[0].litellm_params.input_cost_per_token: expected dollars (0 or more), found the text "cheap"',
    ],
  ],
  [
    'authentication in Python fails closed',
    'general_settings:\n  custom_auth: auth.check\n',
    [
      '✖ config.yaml:2:16 general_settings.custom_auth: this is Python code that decides who gets in, which cannot run here, and without it everybody would: remove it, and give each caller a virtual key (or check callers in a proxy in front of the gateway)',
    ],
  ],
  [
    'a key written twice',
    'model_list: []\nmodel_list: []\n',
    ['✖ config.yaml:2:1 model_list: written twice; the first stands at line 1'],
  ],
  [
    'a key written twice, deep down',
    models('      api_key: a\n      api_key: b\n'),
    [
      '✖ config.yaml:6:7 model_list[0].litellm_params.api_key: written twice; the first stands at line 5',
    ],
  ],
  [
    'a top that is a list',
    '- a\n',
    [
      '✖ config.yaml:1:1: expected a map of sections (model_list: and so on) at the top of the file',
    ],
  ],
  [
    'an alias without an anchor',
    'model_list: *nowhere\n',
    ['✖ config.yaml:1:13 model_list: the alias *nowhere has no anchor &nowhere before it'],
  ],
  [
    'an alias inside its own anchor',
    'model_list: &a [*a]\n',
    ['✖ config.yaml:1:17 model_list[0]: the alias *a has no anchor &a before it'],
  ],
  [
    'a prototype',
    '{"__proto__": {"x": 1}}',
    ['✖ config.yaml:1:2: this name cannot be used for a key'],
  ],
  ['a key that is a map', '? {a: 1}\n: 2\n', ['✖ config.yaml:1:3: a key must be plain text']],
  [
    'not a number',
    'router_settings: {timeout: .nan}',
    ['✖ config.yaml:1:28 router_settings.timeout: .nan is no usable number'],
  ],
  [
    'a line break in a name forges no line',
    '"a\\nb": 1\n"a\\nb": 2\n',
    ['✖ config.yaml:2:1 ["a\\nb"]: written twice; the first stands at line 1'],
  ],
  [
    'an include that is not there',
    'include: [models.yaml]\n',
    ['✖ config.yaml:1:11 include[0]: models.yaml not found (no such file)'],
  ],
  [
    'an include that is no name',
    'include: [5]\n',
    ['✖ config.yaml:1:11 include[0]: expected a list of file names'],
  ],
]
for (const [name, text, errors] of bad)
  test(name, async () => assert.deepEqual(errorsOf(await load(text)), errors))

// The words are the parser's, so only the place is checked.
const broken: [name: string, text: string, place: string][] = [
  ['a bracket left open', 'general_settings: {\n', 'config.yaml:2:1'],
  ['a tab for indentation', 'general_settings:\n\tmaster_key: x\n', 'config.yaml:2:1'],
  [
    'wrong indentation',
    'model_list:\n  - model_name: a\n   litellm_params: {}\n',
    'config.yaml:3:1',
  ],
  ['two documents', 'a: 1\n---\nb: 2\n', 'config.yaml:2:1'],
  ['a quote left open', 'a: "x\n', 'config.yaml:2:1'],
]
for (const [name, text, place] of broken)
  test(`${name} is an error with its place`, async () => {
    const lines = errorsOf(await load(text))
    assert.ok(
      lines.some((line) => line.startsWith(`✖ ${place}`)),
      lines.join('\n'),
    )
  })

const odd: [name: string, text: string, warnings: string[]][] = [
  [
    'a misspelt key',
    'router_settings:\n  num_retrys: 3\n',
    [
      '⚠ config.yaml:2:3 router_settings.num_retrys: unknown key, without effect; did you mean num_retries?',
    ],
  ],
  [
    'a key in the wrong section',
    'router_settings:\n  drop_params: true\n',
    [
      '⚠ config.yaml:2:3 router_settings.drop_params: unknown key, without effect; it belongs in litellm_settings',
    ],
  ],
  [
    'a key in the wrong place of an entry',
    'model_list:\n  - model_name: a\n    api_key: x\n    litellm_params: {model: openai/a}\n',
    [
      '⚠ config.yaml:3:5 model_list[0].api_key: unknown key, without effect; it belongs in litellm_params of an entry of model_list',
    ],
  ],
  [
    'a key nobody knows',
    'colour: red\n',
    ['⚠ config.yaml:1:1 colour: unknown key, without effect'],
  ],
  [
    'a misspelt section',
    'litelm_settings: {}\n',
    [
      '⚠ config.yaml:1:1 litelm_settings: unknown key, without effect; did you mean litellm_settings?',
    ],
  ],
  [
    'a misspelt key of a deployment',
    models('      api_bse: http://x\n      temperature: 0.5\n      top_k: 3\n      my_param: 1\n'),
    [
      "⚠ config.yaml:5:7 model_list[0].litellm_params.api_bse: no key of LiteLLM's, so it is taken for a parameter of the call; did you mean api_base?",
    ],
  ],
  [
    'a misspelt price',
    models('      input_cost_per_tokn: 1\n'),
    [
      "⚠ config.yaml:5:7 model_list[0].litellm_params.input_cost_per_tokn: no key of LiteLLM's, so it is taken for a parameter of the call; did you mean input_cost_per_token?",
    ],
  ],
  [
    'keys without effect: one line a section',
    'general_settings:\n  alerting_threshold: 9\n  plugins: [x]\n  password_policy_min_length: 9\nlitellm_settings:\n  cache: true\n',
    [
      '⚠ config.yaml:2:3 general_settings: NOT ENFORCED by this build: password_policy_min_length; accepted, without effect in this build: alerting_threshold, plugins',
      '⚠ config.yaml:6:3 litellm_settings: accepted, without effect in this build: cache',
    ],
  ],
  [
    'keys without effect that say nothing',
    'general_settings:\n  plugins: []\n  database_connection_pool_limit: 10\nlitellm_settings:\n  cache: false\n',
    [],
  ],
  [
    'keys without effect in many rows: one line',
    `${models('      itpm: 5\n')}  - model_name: b\n    litellm_params: {model: openai/b, itpm: 6, otpm: 7}\n`,
    [
      '⚠ config.yaml:5:7 model_list[].litellm_params: accepted, without effect in this build: itpm, otpm',
    ],
  ],
  [
    'Python among the callbacks',
    'litellm_settings:\n  callbacks: [my.handler, prometheus, langfus]\n',
    [
      '⚠ config.yaml:2:3 litellm_settings: accepted, without effect in this build: callbacks',
      '⚠ config.yaml:2:15 litellm_settings.callbacks[0]: "my.handler" is Python code, which cannot run here: it hears of no call; have the same events sent to a service of yours with generic_api',
      '⚠ config.yaml:2:39 litellm_settings.callbacks[2]: no integration has the name "langfus"; did you mean langfuse?',
    ],
  ],
  [
    'Python hooks',
    'general_settings:\n  custom_sso: a.b\nlitellm_settings:\n  post_call_rules: c.d\n  custom_provider_map: [{provider: x, custom_handler: e.f}]\n',
    [
      '⚠ config.yaml:2:15 general_settings.custom_sso: Python code cannot run here, so this hook never does; the SSO variables of the environment take its place',
      '⚠ config.yaml:4:20 litellm_settings.post_call_rules: Python code cannot run here, so this rule never does; a guardrail takes its place',
      '⚠ config.yaml:5:25 litellm_settings.custom_provider_map[0]: a provider written in Python cannot run here; serve it over HTTP in the OpenAI shape and name it with model: openai/… and api_base',
    ],
  ],
  [
    'a guardrail in Python',
    'guardrails:\n  - guardrail_name: g\n    litellm_params: {guardrail: my.Guard, mode: pre_call, whatever: 1}\n',
    [
      '⚠ config.yaml:1:1: NOT ENFORCED by this build: guardrails',
      '⚠ config.yaml:3:33 guardrails[0].litellm_params.guardrail: "my.Guard" is Python code, which cannot run here: nothing checks what it was to check; serve it over HTTP as generic_guardrail_api',
    ],
  ],
  [
    'checks that are not built, or nobody knows',
    'router_settings: {optional_pre_call_checks: [session_affinty, forward_client_headers_by_model_group, encrypted_content_affinity], model_group_affinity_config: {g: [enforce_model_rate_limits]}}',
    [
      '⚠ config.yaml:1:46 router_settings.optional_pre_call_checks[0]: there is no check "session_affinty"; did you mean session_affinity?',
      '⚠ config.yaml:1:63 router_settings.optional_pre_call_checks[1]: this build does nothing for forward_client_headers_by_model_group yet; session_affinity keeps a conversation at one deployment',
      '⚠ config.yaml:1:165 router_settings.model_group_affinity_config.g[0]: there is no check "enforce_model_rate_limits"',
    ],
  ],
  [
    'names that lead nowhere',
    models(
      '      litellm_credential_name: mine\nrouter_settings:\n  fallbacks: [{a: [aa]}]\n  model_group_alias: {c: other-model}\n',
    ),
    [
      '⚠ config.yaml:5:32 model_list[0].litellm_params.litellm_credential_name: credential_list has no "mine"',
      '⚠ config.yaml:7:14 router_settings.fallbacks: the fallback "aa" is no model of this file; did you mean "a"?',
      '⚠ config.yaml:8:26 router_settings.model_group_alias.c: the group "other-model" is no model of this file',
    ],
  ],
  [
    'an id given twice',
    'model_list:\n  - {model_name: a, litellm_params: {model: openai/a}, model_info: {id: 1}}\n  - {model_name: a, litellm_params: {model: openai/b}, model_info: {id: "1"}}\n',
    [
      '⚠ config.yaml:3:73 model_list[1].model_info.id: another deployment has the id "1": give each its own',
    ],
  ],
  [
    'names a wildcard covers',
    'model_list:\n  - {model_name: openai/*, litellm_params: {model: openai/*}}\nrouter_settings: {fallbacks: [{openai/a: [openai/b]}, {"*": [openai/c]}]}\n',
    [],
  ],
  [
    'a place for anchors',
    'x-common: &c {api_key: k}\nmodel_list:\n  - model_name: a\n    litellm_params: {<<: *c, model: openai/a}\n',
    [],
  ],
  [
    'an unknown tag',
    'general_settings: {master_key: !vault x}\n',
    ['⚠ config.yaml:1:32: Unresolved tag: !vault'],
  ],
  [
    'a reserved variable',
    'environment_variables: {LD_PRELOAD: x, MINE: y}\n',
    [
      '⚠ config.yaml:1:25 environment_variables.LD_PRELOAD: not set from a file: it decides how programs are started; set it outside',
    ],
  ],
]
for (const [name, text, warnings] of odd)
  test(`${name} is no error`, async () => {
    const loaded = await load(text)
    assert.deepEqual(errorsOf(loaded), [])
    assert.deepEqual(warningsOf(loaded), warnings)
  })

test('values may be written leniently', async () => {
  const {
    settings,
    general,
    router,
    models: rows,
    limits,
  } = clean(
    await load(`
litellm_settings: {drop_params: "True", num_retries: "3", request_timeout: 1_0.5, json_logs: yes, set_verbose: off, ssl_verify: /ca.pem, modify_params: }
general_settings: {public_routes: /health, limits: {json_body_mb: "1.5"}, unpriced_models: {price_as: a}}
router_settings:
  timeout: "30"
  retry_policy: {RateLimitErrorRetries: "2", DefaultRetries: 1}
  allowed_fails_policy: {BadGatewayErrorAllowedFails: 4}
  model_group_retry_policy: {a: {TimeoutErrorRetries: 0}}
  model_group_alias: {b: a, c: {model: a, hidden: "true"}}
  fallbacks: [{a: [b, {model: c, temperature: 0}]}, {"*": c}]
  default_fallbacks: c
model_list:
  - model_name: a
    litellm_params:
      model: openai/a
      base_url: http://x
      request_timeout: "5"
      headers: {x-a: 1, x-b: 2}
      extra_headers: {x-b: 3}
      tags: [2024, paid]
      rpm: "10"
      vertex_project: 123456789012345678901
      temperature: 0.5
      stream_options: {include_usage: true}
      input_cost_per_token: "0.000001"
      base_model: azure/gpt
      extra_body: {a: null}
      stop:
    model_info: {id: 0123, mode: chat, output_cost_per_token: 2e-6, input_cost_per_token: 7, supports_vision: true, owner: me}
`),
  )
  assert.deepEqual(settings, {
    drop_params: true,
    num_retries: 3,
    request_timeout: 10.5,
    json_logs: true,
    set_verbose: false,
    ssl_verify: '/ca.pem',
  })
  assert.deepEqual(general, {
    public_routes: ['/health'],
    limits: { json_body_mb: 1.5 },
    unpriced_models: { price_as: 'a' },
  })
  assert.deepEqual([limits.json_body_mb, limits.head_kb, limits.connections], [1.5, 32, 10_000])
  assert.deepEqual(router, {
    timeout: 30,
    retry_policy: new Map([
      ['RateLimitError', 2],
      ['Default', 1],
    ]),
    allowed_fails_policy: new Map([['BadGatewayError', 4]]),
    model_group_retry_policy: new Map([['a', new Map([['TimeoutError', 0]])]]),
    model_group_alias: new Map([
      ['b', { model: 'a', hidden: false }],
      ['c', { model: 'a', hidden: true }],
    ]),
    fallbacks: new Map<string, unknown>([
      ['a', ['b', { model: 'c', temperature: 0 }]],
      ['*', ['c']],
    ]),
    default_fallbacks: ['c'],
  })
  const { position, ...row } = first(rows)
  assert.equal(position?.line, 13)
  assert.deepEqual(row, {
    modelName: 'a',
    params: {
      model: 'openai/a',
      api_base: 'http://x',
      timeout: 5,
      extra_headers: { 'x-a': '1', 'x-b': '3' },
      tags: ['2024', 'paid'],
      rpm: 10,
      vertex_project: '123456789012345678901',
      extra_body: { a: null },
    },
    defaults: { temperature: 0.5, stream_options: { include_usage: true } },
    prices: { input_cost_per_token: 0.000001, output_cost_per_token: 0.000002 },
    info: {
      id: '0123',
      mode: 'chat',
      base_model: 'azure/gpt',
      output_cost_per_token: 0.000002,
      input_cost_per_token: 7,
      supports_vision: true,
      owner: 'me',
    },
    unset: {},
  })
})

test('a list of organisations is a deployment each', async () => {
  const { models: rows } = clean(
    await load(models('      organization: [org-a, org-b]\n    model_info: {id: m}\n')),
  )
  assert.deepEqual(
    rows.map(({ params, info }) => [params.organization, info.id]),
    [
      ['org-a', 'm'],
      ['org-b', 'm-2'],
    ],
  )
})

test('a credential fills what the row does not say', async () => {
  const text = `${models('      litellm_credential_name: c\n      api_base: http://own\n')}credential_list:
  - credential_name: c
    credential_values: {api_key: os.environ/K, api_base: http://shared, api_version: os.environ/NOT_THERE}
`
  const loaded = await load(text, { K: 'sk-1' })
  const { params, unset } = first(clean(loaded).models)
  assert.deepEqual(params, {
    model: 'openai/a',
    litellm_credential_name: 'c',
    api_base: 'http://own',
    api_key: 'sk-1',
  })
  assert.deepEqual(unset, { api_version: 'NOT_THERE' })
})

test('the environment is read at any depth, with the type the key wants', async () => {
  const text = `environment_variables:
  MADE: here
  COPIED: os.environ/BASE
  AGAIN: os.environ/COPIED
  FLAG: true
  LOST: os.environ/NOT_THERE
${models(`      api_base: os.environ/COPIED
      timeout: os.environ/SECONDS
      drop_params: os.environ/FLAG
      max_tokens: os.environ/TOKENS
      user: os.environ/TOKENS
      stream: os.environ/FLAG
      extra_headers: {x-a: os.environ/MADE, x-b: os.environ/GONE}
      tags: [os.environ/GONE, os.environ/MADE]
      extra_body: {deep: [{er: os.environ/MADE}]}
      api_key: os.environ/OPENAI_API_KY
      seed: not os.environ/MADE
`)}`
  const loaded = await load(text, {
    BASE: 'http://b',
    SECONDS: '12',
    TOKENS: '100',
    OPENAI_API_KEY: 'sk-secret',
  })
  assert.deepEqual(loaded.environment, {
    MADE: 'here',
    COPIED: 'http://b',
    AGAIN: 'http://b',
    FLAG: 'True',
  })
  const { params, defaults, unset } = first(clean(loaded).models)
  assert.deepEqual(params, {
    model: 'openai/a',
    api_base: 'http://b',
    timeout: 12,
    drop_params: true,
    extra_headers: { 'x-a': 'here' },
    tags: ['here'],
    extra_body: { deep: [{ er: 'here' }] },
  })
  assert.deepEqual(defaults, {
    max_tokens: 100,
    user: '100',
    stream: true,
    seed: 'not os.environ/MADE',
  })
  assert.deepEqual(unset, { api_key: 'OPENAI_API_KY', extra_headers: 'GONE', tags: 'GONE' })
  assert.deepEqual(
    loaded.unsetVariables.map((each) => formatNotice(each, 'warning')),
    [
      '⚠ config.yaml:6:9 environment_variables.LOST: the environment variable NOT_THERE is not set',
      '⚠ config.yaml:17:50 model_list[0].litellm_params.extra_headers.x-b: the environment variable GONE is not set',
      '⚠ config.yaml:18:14 model_list[0].litellm_params.tags[0]: the environment variable GONE is not set',
      '⚠ config.yaml:20:16 model_list[0].litellm_params.api_key: the environment variable OPENAI_API_KY is not set; OPENAI_API_KEY is',
    ],
  )
  assert.ok(!JSON.stringify(loaded.config.raw).includes('"os.environ/'), 'never passed on as text')
})

test('what a variable holds is not shown', async () => {
  const loaded = await load('router_settings: {timeout: os.environ/T, num_retries: os.environ/T}', {
    T: 'hunter2',
  })
  assert.deepEqual(errorsOf(loaded), [
    '✖ config.yaml:1:28 router_settings.timeout: expected seconds, 0 to 2147483, found what the environment variable T holds',
    '✖ config.yaml:1:55 router_settings.num_retries: expected a whole number, 0 or more, found what the environment variable T holds',
  ])
})

test('a required key whose variable is not set says so', async () => {
  const loaded = await load(
    'model_list:\n  - model_name: a\n    litellm_params: {model: os.environ/M}\n',
  )
  assert.deepEqual(errorsOf(loaded), [
    '✖ config.yaml:3:29 model_list[0].litellm_params.model: missing: the environment variable M is not set',
  ])
})

test('ignore_invalid_deployments leaves wrong rows out', async () => {
  const loaded = await load(
    `${models('  - model_name: b\n    litellm_params: {timeout: x}\n')}router_settings: {ignore_invalid_deployments: true}`,
  )
  assert.deepEqual(errorsOf(loaded), [])
  assert.deepEqual(
    loaded.config.models.map(({ modelName }) => modelName),
    ['a'],
  )
  assert.equal(warningsOf(loaded).length, 2)
  assert.match(warningsOf(loaded)[0] ?? '', /config\.yaml:6:21 .*; the deployment is left out$/)
})

test('included files: lists appended, sections replaced, once each, with their own lines', async () => {
  const files: Files = {
    'sub/more.yaml': `include: [deep.yaml, config.yaml]\n${models('      rpm: x\n')}`,
    'sub/deep.yaml':
      'include: [more.yaml]\nmodel_list:\n  - {model_name: deep, litellm_params: {model: openai/d}}\n',
    'beside-main.yaml': 'general_settings: {completion_model: main}\n',
  }
  files['sub/deep.yaml'] += 'litellm_settings: {num_retries: 9}\n'
  const loaded = await load(
    'include: [sub/more.yaml, beside-main.yaml]\nmodel_list:\n  - {model_name: top, litellm_params: {model: openai/t}}\nlitellm_settings: {drop_params: true}\n',
    {},
    files,
  )
  assert.deepEqual(loaded.sources, [
    'config.yaml',
    'sub/more.yaml',
    'beside-main.yaml',
    'sub/deep.yaml',
  ])
  assert.deepEqual(
    loaded.config.models.map(({ modelName, position }) => [
      modelName,
      position?.file,
      position?.line,
    ]),
    [
      ['top', 'config.yaml', 3],
      ['deep', 'sub/deep.yaml', 3],
    ],
  )
  assert.deepEqual(loaded.config.settings, { num_retries: 9 })
  assert.equal(loaded.config.general.completion_model, 'main')
  assert.deepEqual(errorsOf(loaded), [
    '✖ sub/more.yaml:6:12 model_list[1].litellm_params.rpm: expected a whole number, 0 or more, found the text "x"',
  ])
  assert.deepEqual(warningsOf(loaded), [
    '⚠ sub/more.yaml:1:22 include[1]: config.yaml has been read before: it is not read again',
    '⚠ sub/deep.yaml:1:11 include[0]: sub/more.yaml has been read before: it is not read again',
    '⚠ sub/deep.yaml:4:1 litellm_settings: takes the place of the section of that name in the file that includes this one',
  ])
})

test('files that cannot be read', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'config-'))
  t.after(() => rm(directory, { recursive: true }))
  const messageOf = async (path: string) =>
    (await loadConfig({ path, env: {} })).errors.map(({ message }) => message)
  const at = (name: string) => join(directory, name)
  await mkdir(at('folder'))
  await writeFile(at('latin1.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]))
  await writeFile(at('large.yaml'), 'a: 1\n'.repeat(1_000_000))
  await writeFile(
    at('good.json'),
    `\ufeff{\n\t"model_list": [\n\t\t{"model_name": "a", "litellm_params": {"model": "openai/a"}}\n\t]\n}`,
  )
  assert.deepEqual(await messageOf(at('none.yaml')), ['not found (no such file)'])
  assert.deepEqual(await messageOf(at('folder')), ['is a folder, not a file'])
  assert.deepEqual(await messageOf(at('latin1.yaml')), ['is not UTF-8 text'])
  assert.deepEqual(await messageOf(at('large.yaml')), ['is larger than 4 MiB'])
  assert.deepEqual(await messageOf('/dev/zero'), ['is larger than 4 MiB'])
  const json = await loadConfig({ path: at('good.json'), env: {} })
  assert.deepEqual(
    [json.errors, json.config.models.length],
    [[], 1],
    'JSON is as good, tabs and all',
  )
})

test('an empty file is an empty configuration', async () => {
  for (const text of ['', '# nothing\n', '---\n', 'model_list:\nlitellm_settings:\n'])
    assert.deepEqual(clean(await load(text)).models, [])
})

const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 })
const entry = fc.record(
  {
    model_name: name,
    litellm_params: fc.record(
      {
        model: name,
        api_key: fc.string(),
        api_base: address,
        timeout: fc.oneof(
          fc.nat(1000),
          fc.nat(1000).map(String),
          fc.double({ min: 0, max: 1000, noNaN: true }),
        ),
        rpm: fc.nat(),
        weight: fc.nat(9),
        order: fc.integer({ min: -3, max: 3 }),
        drop_params: fc.oneof(fc.boolean(), fc.constantFrom('true', 'False', 'yes')),
        tags: fc.array(name, { maxLength: 3 }),
        temperature: fc.double({ min: 0, max: 2, noNaN: true }),
        input_cost_per_token: fc.double({ min: 0, max: 1, noNaN: true }),
        extra_body: fc.dictionary(
          name.filter((key) => key !== '__proto__'),
          fc.oneof(fc.string(), fc.boolean(), fc.constant(null)),
          { maxKeys: 3, noNullPrototype: true },
        ),
      },
      { requiredKeys: ['model'] },
    ),
    model_info: fc.record({ id: name, mode: fc.constant('chat') }, { requiredKeys: [] }),
  },
  { requiredKeys: ['model_name', 'litellm_params'] },
)

test('a written configuration is read as it was meant', () =>
  fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (list) => {
      const usable = list.filter(
        ({ litellm_params: p }) => !JSON.stringify(p).includes('os.environ/'),
      )
      const loaded = await load(stringify({ model_list: usable }, { version: '1.1' }))
      assert.deepEqual(errorsOf(loaded), [])
      assert.deepEqual(
        loaded.config.models.map(({ modelName }) => modelName),
        usable.map((each) => each.model_name),
      )
      for (const [index, { litellm_params: given }] of usable.entries()) {
        const row = loaded.config.models[index]
        assert.equal(row?.params.model, given.model)
        assert.equal(row.params.api_key, given.api_key)
        assert.equal(
          row.params.timeout,
          given.timeout === undefined ? undefined : Number(given.timeout),
        )
        assert.deepEqual(row.params.tags, given.tags)
        assert.deepEqual(row.params.extra_body, given.extra_body)
        assert.equal(row.prices.input_cost_per_token, given.input_cost_per_token)
        assert.equal(row.defaults.temperature, given.temperature)
        assert.ok(row.position !== undefined && row.position.line > 0)
      }
    }),
    { numRuns: 40 },
  ))
