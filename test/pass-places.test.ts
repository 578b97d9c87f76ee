import { deepEqual, equal, match } from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { openOffice } from '../src/admin/office.test.ts'
import { type JsonObject, object } from '../src/json/json.ts'
import { type Gateway, startGateway } from './support/gateway.ts'
import { fileScope, type Provider, startProvider, whole } from './support/provider.ts'

/** Providers' own APIs that have more than one address, rules of their own, or a price that is no tokens'. */

const env = {
  ASSEMBLYAI_API_KEY: 'assembly-credential',
  AZURE_SPEECH_API_KEY: 'speech-credential',
  AZURE_SPEECH_REGION: 'westeurope',
  TINYFISH_API_KEY: 'fish-credential',
  TYPESAFE_API_KEY: 'typesafe-credential',
  CURSOR_API_KEY: 'cursor-credential',
  MILVUS_API_KEY: 'milvus-credential',
  MILVUS_API_BASE: 'https://milvus.example/base',
}
const office = await openOffice([], {}, { env })
await office.person('kim')

describe('where it goes, and as whom', () => {
  const rows: [path: string, url: string, header: string, credential: string][] = [
    [
      '/assemblyai/v2/transcript?limit=1',
      'https://api.assemblyai.com/v2/transcript?limit=1',
      'authorization',
      'assembly-credential',
    ],
    [
      '/eu.assemblyai/v2/transcript/t1',
      'https://api.eu.assemblyai.com/v2/transcript/t1',
      'authorization',
      'assembly-credential',
    ],
    [
      '/azure_speech/speech/recognition/conversation/cognitiveservices/v1?language=en-US',
      'https://westeurope.stt.speech.microsoft.com/speech/recognition/conversation/cognitiveservices/v1?language=en-US',
      'ocp-apim-subscription-key',
      'speech-credential',
    ],
    [
      '/azure_speech/speechtotext/v3.2/transcriptions',
      'https://westeurope.api.cognitive.microsoft.com/speechtotext/v3.2/transcriptions',
      'ocp-apim-subscription-key',
      'speech-credential',
    ],
    [
      '/tinyfish/v1/runs/r1',
      'https://agent.tinyfish.ai/v1/runs/r1',
      'x-api-key',
      'fish-credential',
    ],
    [
      '/typesafe/v1/guard',
      'https://api.typesafe.ai/v1/guard',
      'authorization',
      'Bearer typesafe-credential',
    ],
    [
      '/cursor/v0/agents',
      'https://api.cursor.com/v0/agents',
      'authorization',
      `Basic ${btoa('cursor-credential:')}`,
    ],
    [
      '/milvus/v2/vectordb/collections/list',
      'https://milvus.example/base/v2/vectordb/collections/list',
      'authorization',
      'Bearer milvus-credential',
    ],
  ]
  for (const [path, url, header, credential] of rows)
    test(path, async () => {
      equal((await office.ask('admin', 'GET', path)).status, 200)
      const asked = office.asked.at(-1)
      deepEqual([asked?.url, asked?.headers[header]], [url, credential])
    })

  test('nowhere without a credential', async () => {
    const { status, body } = await office.ask('admin', 'GET', '/watsonx/ml/v1/models')
    equal(status, 501)
    match(String(object(body['error'])['message']), /watsonx/)
  })
})

describe('what one account shares is not for everybody', () => {
  const run = '/tinyfish/v1/automation/run'
  const rows: [method: string, path: string, body: JsonObject, kim: number, admin: number][] = [
    ['POST', run, { goal: 'x', url: 'y' }, 200, 200],
    ['POST', run, { goal: 'x', use_vault: true }, 403, 200],
    ['GET', '/tinyfish/v1/runs', {}, 403, 403],
    ['GET', '/tinyfish/v1/vault', {}, 403, 403],
    ['POST', '/tinyfish/v1/runs/r1/cancel', {}, 200, 200],
    ['GET', '/azure_speech/speechtotext/v3.2/transcriptions', {}, 403, 200],
    ['POST', '/azure_speech/speechtotext/transcriptions:transcribe', {}, 200, 200],
    ['GET', '/azure_speech/other', {}, 400, 400],
    ['GET', '/milvus/v2/vectordb/collections/list', {}, 403, 200],
  ]
  for (const [method, path, body, kim, admin] of rows)
    test(`${method} ${path} ${JSON.stringify(body)}`, async () => {
      const said = method === 'GET' ? undefined : body
      const ask = async (who: string) => (await office.ask(who, method, path, said)).status
      deepEqual([await ask('kim'), await ask('admin')], [kim, admin])
    })
})

/* With a provider that answers, on ports. */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway

before(async () => {
  provider = await startProvider(scope, () => whole({}))
  const row = (model: string) => ({
    model_name: model,
    litellm_params: {
      model,
      api_key: 'of-the-row-0123456789',
      api_base: provider.origin,
      use_in_pass_through: true,
    },
  })
  gateway = await startGateway(scope, {
    general: { master_key: key },
    models: [row('assemblyai/best'), row('tinyfish_agent/run')],
    env: {
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'aws-secret-0123456789',
      AWS_REGION_NAME: 'eu-west-1',
      AWS_BEDROCK_RUNTIME_ENDPOINT: provider.origin,
      AZURE_SPEECH_API_KEY: 'speech-credential',
      AZURE_SPEECH_API_BASE: provider.origin,
    },
    key,
  })
})

async function dollarsOf(ask: () => Promise<Response>): Promise<number> {
  const { ledger } = gateway.running.rooms
  const { nanoDollars, requests } = ledger.totals()
  await (await ask()).text()
  for (let turn = 0; turn < 200 && ledger.totals().requests === requests; turn++)
    await new Promise((resolve) => setTimeout(resolve, 5))
  return Math.round(ledger.totals().nanoDollars - nanoDollars) / 1e9
}

describe('what it costs', () => {
  test('a transcript is paid once, when it is done, by whoever looks first', async () => {
    provider.tell(() => whole({ id: 't1', status: 'queued', text: null, audio_duration: null }))
    const start = () =>
      gateway.post('/assemblyai/v2/transcript', { audio_url: 'https://a.example' })
    equal(await dollarsOf(start), 0)
    equal(provider.last().headers['authorization'], 'of-the-row-0123456789')
    const look = () => gateway.get('/assemblyai/v2/transcript/t1')
    provider.tell(() => whole({ id: 't1', status: 'processing', text: null }))
    equal(await dollarsOf(look), 0)
    provider.tell(() => whole({ id: 't1', status: 'completed', text: 'hi', audio_duration: 60 }))
    equal(await dollarsOf(look), 0.0019998)
    equal(await dollarsOf(look), 0)
  })

  test('sound by its seconds', async () => {
    const short = '/azure_speech/speech/recognition/conversation/cognitiveservices/v1'
    provider.tell(() =>
      whole({ RecognitionStatus: 'Success', Offset: 10_000_000, Duration: 350_000_000 }),
    )
    equal(await dollarsOf(() => gateway.post(short, 'RIFF')), 0.010000001)
    provider.tell(() => whole({ durationMilliseconds: 36_000, combinedPhrases: [] }))
    const fast = '/azure_speech/speechtotext/transcriptions:transcribe?api-version=2024-11-15'
    equal(await dollarsOf(() => gateway.post(fast, {})), 0.010000001)
  })

  test('a browser by its steps, where it came to an end', async () => {
    const run = () => gateway.post('/tinyfish/v1/automation/run', { goal: 'x' })
    provider.tell(() => whole({ run_id: 'r1', status: 'COMPLETED', num_of_steps: 5 }))
    equal(await dollarsOf(run), 0.08)
    provider.tell(() => whole({ run_id: 'r2', status: 'FAILED', num_of_steps: 5 }))
    equal(await dollarsOf(run), 0)
    provider.tell(() => whole({ run_id: 'r3' }))
    equal(await dollarsOf(() => gateway.post('/tinyfish/v1/automation/run-async', {})), 0)
    provider.tell(() => whole({ run_id: 'r3', status: 'COMPLETED', num_of_steps: 2 }))
    equal(await dollarsOf(() => gateway.get('/tinyfish/v1/runs/r3')), 0.032)
    equal(await dollarsOf(() => gateway.get('/tinyfish/v1/runs/r3')), 0)
  })

  test('a medical text by its hundreds of characters, where it was read', async () => {
    const ask = (operation: string) => () =>
      gateway.post(`/comprehendmedical/${operation}`, { Text: 'x'.repeat(101) })
    provider.tell(() => whole({ Entities: [] }))
    equal(await dollarsOf(ask('DetectPHI')), 0.0028)
    const { headers, path, json } = provider.last()
    deepEqual(
      [path, headers['x-amz-target'], headers['content-type'], json],
      [
        '/',
        'ComprehendMedical_20181030.DetectPHI',
        'application/x-amz-json-1.1',
        { Text: 'x'.repeat(101) },
      ],
    )
    match(headers['authorization'] ?? '', /eu-west-1\/comprehendmedical\/aws4_request/)
    provider.tell(() => whole({ __type: 'TextSizeLimitExceededException' }, { status: 400 }))
    equal(await dollarsOf(ask('DetectPHI')), 0)
  })

  test('as AWS’s SDKs ask, the operation is in a header', async () => {
    provider.tell(() => whole({ TranscriptionJobSummaries: [] }))
    const response = await gateway.post(
      '/transcribe',
      { MaxResults: 5 },
      { 'x-amz-target': 'Transcribe.ListTranscriptionJobs', 'x-amz-date': '20200101T000000Z' },
    )
    equal(response.status, 200)
    const { headers } = provider.last()
    equal(headers['x-amz-target'], 'Transcribe.ListTranscriptionJobs')
    match(headers['authorization'] ?? '', /\/transcribe\/aws4_request/)
  })

  test('Amazon’s services: few operations, and the account’s own for administrators', async () => {
    const { key: theirs } = object(await (await gateway.post('/key/generate', {})).json())
    const asked = provider.asked.length
    const rows: [path: string, key: string, status: number][] = [
      ['/transcribe/ListTranscriptionJobs', String(theirs), 403],
      ['/transcribe/x', key, 400],
      ['/comprehendmedical/DeleteEverything', key, 400],
      ['/comprehendmedical', key, 400],
    ]
    for (const [path, bearer, status] of rows) {
      const headers = { authorization: `Bearer ${bearer}` }
      equal((await gateway.post(path, {}, headers)).status, status, path)
    }
    equal(provider.asked.length, asked)
  })
})
