import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { depsOf, headersOf, row, startEndpoint } from '../../../test/token-endpoint.ts'
import type { JsonObject } from '../../json/json.ts'
import { createSchemes } from './schemes.ts'

type Row = [name: string, params: JsonObject, env: Record<string, string>, expected: object]

const basic = (pair: string) => ({
  authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
})
const ready: Record<string, Row[]> = {
  dataforseo: [
    [
      'login and password',
      {},
      { DATAFORSEO_LOGIN: 'me@x', DATAFORSEO_PASSWORD: 'pässword' },
      basic('me@x:pässword'),
    ],
    [
      'both of them as the key of the row',
      { api_key: 'me:se:cret' },
      { DATAFORSEO_LOGIN: 'other', DATAFORSEO_PASSWORD: 'other' },
      basic('me:se:cret'),
    ],
  ],
  'azure-foundry': [
    ['a key of the row', { api_key: 'k' }, { BING_GROUNDING_TOKEN: 't' }, { 'api-key': 'k' }],
    ['a token', {}, { BING_GROUNDING_TOKEN: 't' }, { authorization: 'Bearer t' }],
    ['an Entra token', { azure_ad_token: 't' }, {}, { authorization: 'Bearer t' }],
  ],
  'aws-agentcore': [
    ['a token', {}, { AGENTCORE_GATEWAY_TOKEN: 'token-1' }, { authorization: 'Bearer token-1' }],
    ['one of the row', { api_key: 'token-2' }, {}, { authorization: 'Bearer token-2' }],
  ],
}
for (const [scheme, rows] of Object.entries(ready))
  describe(scheme, () => {
    for (const [name, params, env, expected] of rows)
      test(name, async () => {
        const opened = createSchemes(depsOf(env))[scheme]?.open(row(params))
        assert.ok(opened)
        assert.equal(opened.problem, undefined)
        assert.deepEqual(await headersOf(opened), expected)
      })
  })

test('DataForSEO: half of a credential is none, and says so', () => {
  for (const [params, env] of [
    [{}, { DATAFORSEO_LOGIN: 'me' }],
    [{ api_key: 'no-colon' }, { DATAFORSEO_LOGIN: 'me', DATAFORSEO_PASSWORD: 'p' }],
  ] as const) {
    const opened = createSchemes(depsOf(env))['dataforseo']?.open(row(params))
    assert.match(opened?.problem?.message ?? '', /DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD/)
  }
})

test('a Foundry project: its tokens are for its own audience', async (t) => {
  const { url, asked } = await startEndpoint(t, () => ({
    json: { access_token: 'fetched', expires_in: 3599 },
  }))
  const params = { tenant_id: 't-1', client_id: 'c-1', client_secret: 's3cr3t~value' }
  const schemes = createSchemes(depsOf({ AZURE_AUTHORITY_HOST: `${url}/` }))
  const opened = schemes['azure-foundry']?.open(row(params))
  assert.ok(opened)
  assert.deepEqual(await headersOf(opened), { authorization: 'Bearer fetched' })
  assert.equal(asked[0]?.form?.['scope'], 'https://ai.azure.com/.default')
})

test('AgentCore: keys of AWS sign for its own service', async () => {
  const params = { aws_access_key_id: 'AKROW', aws_secret_access_key: 'secret-secret' }
  const env = { AGENTCORE_GATEWAY_TOKEN: 'token-1', AWS_REGION: 'us-east-1' }
  const opened = createSchemes(depsOf(env))['aws-agentcore']?.open(row(params))
  assert.ok(opened)
  const url = 'https://g.gateway.bedrock-agentcore.eu-west-1.amazonaws.com/mcp'
  const { authorization } = (await headersOf(opened, { url })) as Record<string, string>
  assert.match(authorization ?? '', /Credential=AKROW\/\d{8}\/eu-west-1\/bedrock-agentcore\//)
})
