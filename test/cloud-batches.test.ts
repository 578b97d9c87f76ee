import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, beforeEach, describe, test } from 'node:test'
import OpenAI, { toFile } from 'openai'
import { lookAtBatches } from '../src/gateway/batches.ts'
import { type JsonObject, list, object, text } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { keptId, readKept } from '../src/wire/media/resource.ts'
import { eventually, type Gateway, startGateway } from './support/gateway.ts'
import {
  type Asked,
  fileScope,
  type Provider,
  startProvider,
  stream,
  type Told,
  whole,
} from './support/provider.ts'

/**
 * Batches at providers whose jobs read a bucket: the same requests of an OpenAI client to Bedrock, Vertex AI and Gemini,
 * each played on loopback with its bucket.
 */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway
const entries: Entry[] = []
/** What lies in S3 and in Cloud Storage, by its whole name; and in Google's Files API. */
const objects = new Map<string, string>()
/** The provider's one job, as it tells of it, and what was asked to make it. */
let job: JsonObject = {}
let asked: JsonObject = {}
let begun: () => JsonObject = () => ({})
/** Requests that are refused instead. */
let refuse: (asked: Asked) => Told | undefined = () => undefined

before(async () => {
  provider = await startProvider(scope, (request) => refuse(request) ?? answer(request))
  const { origin } = provider
  const google = {
    type: 'authorized_user',
    client_id: 'c',
    client_secret: 's-e-c-r-e-t',
    refresh_token: 'r-e-f-r-e-s-h',
  }
  const vertex = (model: string, publisher: string) => ({
    model_name: model,
    litellm_params: {
      model: `vertex_ai/${model}`,
      api_base: `${origin}/v1/projects/p-1/locations/us-central1/publishers/${publisher}`,
      vertex_credentials: { ...google, token_uri: `${origin}/token` },
      gcs_bucket_name: 'my-google-bucket/pre',
    },
    model_info: { id: `row-of-${model}`, training_cost_per_token: 0.000003 },
  })
  const bedrock = (name: string, model: string, more: JsonObject = {}) => ({
    model_name: name,
    litellm_params: {
      model: `bedrock/${model}`,
      aws_access_key_id: 'AKIDEXAMPLE',
      aws_secret_access_key: 'a-secret-of-the-row',
      aws_region_name: 'eu-west-1',
      s3_bucket_name: 'my-bucket/team',
      aws_batch_role_arn: 'arn:aws:iam::123456789012:role/batch',
      ...more,
    },
    model_info: { id: `row-of-${name}` },
  })
  gateway = await startGateway(scope, {
    general: { master_key: key },
    env: {
      AWS_ENDPOINT_URL_S3: `${origin}/s3`,
      AWS_ENDPOINT_URL_BEDROCK: `${origin}/bedrock/`,
      STORAGE_EMULATOR_HOST: `${origin.slice('http://'.length)}/gcs`,
      // For what is asked without a row.
      AWS_ACCESS_KEY_ID: 'AKENVIRONMENT',
      AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-environment',
      AWS_S3_BUCKET_NAME: 'bucket-of-env',
      AWS_BATCH_ROLE_ARN: 'arn:aws:iam::123456789012:role/env',
    },
    models: [
      bedrock('claude', 'anthropic.claude-haiku-4-5-20251001-v1:0', {
        s3_output_bucket_name: 'results-bucket',
        s3_encryption_key_id: 'kms-1',
      }),
      bedrock('nova', 'us.amazon.nova-micro-v1:0', { s3_region_name: 'us-west-2' }),
      bedrock('no-bucket', 'us.amazon.nova-micro-v1:0', { s3_bucket_name: 'a/../b' }),
      vertex('gemini-2.5-flash', 'google'),
      vertex('claude-haiku-4-5@20251001', 'anthropic'),
      vertex('meta/llama-3.3-70b-instruct-maas', 'meta'),
      vertex('mistral-large-2411', 'mistralai'),
      {
        model_name: 'studio',
        litellm_params: {
          model: 'gemini/gemini-2.5-flash',
          api_base: `${origin}/v1beta`,
          api_key: 'a-key-of-google',
        },
        model_info: { id: 'row-of-studio' },
      },
    ],
    key,
  })
  const { ledger } = gateway.running.rooms
  const { record } = ledger
  ledger.record = (entry) => {
    entries.push(entry)
    return record(entry)
  }
})

beforeEach(() => {
  objects.clear()
  entries.length = 0
  provider.asked.length = 0
  jobId = `abc${String(++jobs).padStart(9, '0')}`
  job = {}
  asked = {}
  stopping = {}
  begun = bedrockJob
  refuse = () => undefined
})

const missing = whole('<Error><Code>NoSuchKey</Code><Message>not there</Message></Error>', {
  status: 404,
})

/** S3, Cloud Storage, and the three providers' jobs. */
function answer({ method, path, json, text: body, headers }: Asked): Told {
  const { pathname, searchParams } = new URL(path, provider.origin)
  const at = (name: string): Told => {
    if (method === 'DELETE') return objects.delete(name) ? whole('', { status: 204 }) : missing
    if (method === 'PUT') objects.set(name, body)
    const found = objects.get(name)
    return method === 'PUT' ? whole('') : found === undefined ? missing : whole(found)
  }
  const inBucket = (from: string) =>
    [...objects.keys()]
      .filter((one) => one.startsWith(from + (searchParams.get('prefix') ?? '')))
      .map((one) => one.slice(from.length))
      .sort()
  if (searchParams.get('list-type') === '2') {
    const behind = searchParams.get('continuation-token') ?? searchParams.get('start-after') ?? ''
    const all = inBucket(`s3://${pathname.slice(4)}/`).filter((one) => one > behind)
    // Pages of S3's own are short here.
    const page = all.slice(0, 3)
    const keys = page.map((one) => `<Contents><Key>${one}</Key></Contents>`).join('')
    const next =
      page.length < all.length ? `<NextContinuationToken>${page[2]}</NextContinuationToken>` : ''
    return whole(`<ListBucketResult>${keys}${next}</ListBucketResult>`)
  }
  if (pathname === '/token') return whole({ access_token: 'ya29.token', expires_in: 3600 })
  if (pathname.startsWith('/s3/')) return at(`s3://${decodeURIComponent(pathname.slice(4))}`)
  if (pathname.startsWith('/gcs/upload/')) {
    const bucket = pathname.split('/')[6]
    objects.set(`gs://${bucket}/${searchParams.get('name')}`, body)
    return whole({})
  }
  if (pathname.startsWith('/gcs/')) {
    const [bucket = '', , name] = pathname.slice('/gcs/storage/v1/b/'.length).split('/')
    if (name !== undefined) return at(`gs://${bucket}/${decodeURIComponent(name)}`)
    return whole({ items: inBucket(`gs://${bucket}/`).map((one) => ({ name: one })) })
  }
  if (pathname === '/v1beta/files' || pathname.startsWith('/v1beta/files/'))
    return googleFile(pathname.slice('/v1beta/'.length), method)
  if (pathname === '/upload/v1beta/files')
    return whole({}, { headers: { 'x-goog-upload-url': `${provider.origin}/put?upload_id=1` } })
  if (pathname === '/put') {
    objects.set('files/in', body)
    const name =
      headers['content-type'] === 'application/jsonl' ? 'files/in' : `files/own-${++googleFiles}`
    return whole({ file: { name, displayName: 'in.jsonl', sizeBytes: '5', state: 'ACTIVE' } })
  }
  if (pathname.startsWith('/download/v1beta/')) {
    const name = pathname.slice('/download/v1beta/'.length).replace(':download', '')
    return whole(objects.get(name) ?? '')
  }
  if (method === 'POST' && !/(\/stop|:cancel)$/.test(pathname)) {
    asked = json
    job = begun()
    ok(headers.authorization ?? headers['x-goog-api-key'])
    if (pathname.startsWith('/bedrock/'))
      return whole({ jobArn: `arn:aws:bedrock:eu-west-1:1:model-invocation-job/${jobId}` })
  } else if (method === 'POST') job = { ...job, ...stopping }
  return whole(
    pathname.endsWith('jobs')
      ? { invocationJobSummaries: [job, others], nextToken: undefined }
      : pathname.endsWith('/batchPredictionJobs') && method === 'GET'
        ? { batchPredictionJobs: [others, job] }
        : pathname === '/v1beta/batches'
          ? { operations: [job] }
          : job,
  )
}
/** What else lies at the Gemini API. */
let googleFiles = 0
function googleFile(name: string, method: string): Told {
  const one = (id: string) => ({
    name: id,
    displayName: 'in.jsonl',
    sizeBytes: '5',
    state: 'ACTIVE',
  })
  if (name !== 'files') return whole(method === 'DELETE' ? {} : one(name))
  const own = Array.from({ length: googleFiles }, (_, at) => one(`files/own-${at + 1}`))
  return whole({ files: [{ name: 'files/in', displayName: 'throughway-x' }, ...own] })
}

/** A new one for every test: whose it is is remembered. */
let jobId = ''
let jobs = 0
let stopping: JsonObject = {}
const others = {
  name: 'projects/1/locations/l/batchPredictionJobs/77',
  jobArn: 'arn:aws:bedrock:eu-west-1:1:model-invocation-job/zzzzzzzzzzzz',
  status: 'Completed',
  inputDataConfig: { s3InputDataConfig: { s3Uri: 's3://my-bucket/else/input.jsonl' } },
}

const user = (content: string) => [{ role: 'user', content }]
const line = (id: string, body: JsonObject, url = '/v1/chat/completions'): JsonObject => ({
  custom_id: id,
  method: 'POST',
  url,
  body: { model: 'whatever', messages: user('Hi'), max_tokens: 10, ...body },
})
const tool = {
  type: 'function',
  function: { name: 'get the weather!', parameters: { type: 'object', properties: {} } },
}

type Lines = readonly (JsonObject | string)[]
const upload = (lines: Lines, model: string, purpose = 'batch') =>
  send('/v1/files', { purpose }, lines, { 'x-litellm-model': model })

async function send(
  path: string,
  fields: Record<string, string>,
  lines: Lines,
  more: Record<string, string> = {},
) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  const said = lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n')
  form.append('file', new Blob([said]), 'in.jsonl')
  const headers = { authorization: `Bearer ${key}`, ...more }
  const response = await fetch(gateway.url + path, { method: 'POST', body: form, headers })
  return { status: response.status, file: (await response.json()) as JsonObject }
}
async function create(id: unknown, model: string, more: JsonObject = {}) {
  const body = {
    input_file_id: String(id),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { run: '7' },
    ...more,
  }
  // Where the file lies the batch is made; only a file of nobody's needs a model beside it.
  const named = readKept(String(id)) ? {} : { 'x-litellm-model': model }
  const response = await gateway.post('/v1/batches', body, named)
  return { status: response.status, batch: (await response.json()) as JsonObject }
}
const get = async (path: string) => (await (await gateway.get(path)).json()) as JsonObject
const contentOf = async (id: unknown) =>
  (await gateway.get(`/v1/files/${String(id)}/content`)).text()
const linesOf = (said: string | undefined) =>
  (said ?? '')
    .split('\n')
    .filter((one) => one !== '')
    .map((one) => object(JSON.parse(one)))
const objectLike = (end: string) => [...objects].find(([name]) => name.endsWith(end))
/** What was settled of a batch, by the id a client has. */
const paid = ({ id }: JsonObject) =>
  entries.filter(
    ({ operation, answerId }) =>
      operation === 'aretrieve_batch' && answerId === readKept(String(id))?.id,
  )
const errorOf = (told: JsonObject) => String(object(told['error'])['message'])

/** A provider, its model here, and how its one job and its rows look. */
type Cloud = {
  name: string
  model: string
  keeper: string
  /** The job as it was made, and as it is when it is over, with what it wrote. */
  made(): JsonObject
  /** Puts the results there. */
  finish(rows: { answer: JsonObject; refusal: JsonObject }, sent: JsonObject[]): JsonObject
  /** What the job reads. */
  input(): string | undefined
  request(row: JsonObject): JsonObject
  answer: JsonObject
  /** For answers of a million tokens read, half of the catalogue's price. */
  nanoDollars: number
  refusal: JsonObject
  refused: [status: number, message: string]
  stopped: JsonObject
}

const bedrockJob = (): JsonObject => ({
  jobArn: `arn:aws:bedrock:eu-west-1:1:model-invocation-job/${jobId}`,
  status: 'InProgress',
  submitTime: '2026-11-20T10:00:00Z',
  jobExpirationTime: '2026-11-21T10:00:00Z',
  inputDataConfig: asked['inputDataConfig'],
  outputDataConfig: asked['outputDataConfig'],
})
const bedrockDone = {
  status: 'PartiallyCompleted',
  endTime: '2026-11-20T11:00:00Z',
  totalRecordCount: 3,
  successRecordCount: 1,
  errorRecordCount: 1,
}
function bedrockFinish(
  { answer: modelOutput, refusal: error }: { answer: JsonObject; refusal: JsonObject },
  sent: JsonObject[],
): JsonObject {
  const [first, second] = sent
  const { s3Uri } = object(object(asked['outputDataConfig'])['s3OutputDataConfig'])
  objects.set(
    `${text(s3Uri)}${jobId}/input.jsonl.out`,
    [
      { ...second, error },
      { ...first, modelOutput },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n'),
  )
  return { ...bedrockJob(), ...bedrockDone }
}

const vertexJob = (): JsonObject => ({
  name: `projects/1/locations/us-central1/batchPredictionJobs/${jobs}`,
  state: 'JOB_STATE_RUNNING',
  createTime: '2026-11-20T10:00:00Z',
  startTime: '2026-11-20T10:00:01Z',
  inputConfig: asked['inputConfig'],
})
function vertexFinish(
  { answer: response, refusal }: { answer: JsonObject; refusal: JsonObject },
  sent: JsonObject[],
): JsonObject {
  const [first, second] = sent
  const { outputUriPrefix } = object(object(asked['outputConfig'])['gcsDestination'])
  const folder = `${text(outputUriPrefix)}prediction-model-2026-11-20T10:00:00.1Z`
  objects.set(
    `${folder}/predictions.jsonl`,
    [
      { status: `Bad Request: ${JSON.stringify({ error: refusal })}`, ...second },
      { status: '', processed_time: '2026', ...first, response },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n'),
  )
  objects.set(`${folder}/errors.jsonl`, '{"not":"results"}')
  return {
    ...vertexJob(),
    state: 'JOB_STATE_SUCCEEDED',
    endTime: '2026-11-20T11:00:00Z',
    completionStats: { successfulCount: '1', failedCount: '1' },
    outputInfo: { gcsOutputDirectory: folder },
  }
}

const claudeAnswer = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [
    { type: 'text', text: 'Hello' },
    { type: 'tool_use', id: 't', name: 'NAME', input: { a: 1 } },
  ],
  stop_reason: 'tool_use',
  usage: { input_tokens: 1_000_000, output_tokens: 0 },
}
const geminiAnswer = {
  responseId: 'r-1',
  modelVersion: 'gemini-2.5-flash',
  candidates: [
    {
      content: {
        role: 'model',
        parts: [{ text: 'Hello' }, { functionCall: { name: 'NAME', args: { a: 1 } } }],
      },
      finishReason: 'STOP',
    },
  ],
  usageMetadata: {
    promptTokenCount: 1_000_000,
    candidatesTokenCount: 0,
    totalTokenCount: 1_000_000,
  },
}
const googleRefusal = { code: 400, message: 'too odd', status: 'INVALID_ARGUMENT' }

const clouds: Cloud[] = [
  {
    name: 'Bedrock, Claude by InvokeModel',
    model: 'claude',
    keeper: 'row-of-claude',
    made: bedrockJob,
    finish: bedrockFinish,
    input: () => objectLike('/input.jsonl')?.[1],
    request: (row) => object(row['modelInput']),
    answer: claudeAnswer,
    nanoDollars: 0.5e9,
    refusal: { errorCode: 400, errorMessage: 'too odd' },
    refused: [400, 'too odd'],
    stopped: { status: 'Stopping' },
  },
  {
    name: 'Bedrock, another family by Converse',
    model: 'nova',
    keeper: 'row-of-nova',
    made: bedrockJob,
    finish: bedrockFinish,
    input: () => objectLike('/input.jsonl')?.[1],
    request: (row) => object(row['modelInput']),
    answer: {
      output: {
        message: {
          role: 'assistant',
          content: [
            { text: 'Hello' },
            { toolUse: { toolUseId: 't', name: 'NAME', input: { a: 1 } } },
          ],
        },
      },
      stopReason: 'tool_use',
      usage: { inputTokens: 1_000_000, outputTokens: 0, totalTokens: 1_000_000 },
    },
    nanoDollars: 0.0175e9,
    refusal: { errorCode: 429, errorMessage: 'slow' },
    refused: [429, 'slow'],
    stopped: { status: 'Stopping' },
  },
  {
    name: 'Vertex AI, Gemini',
    model: 'gemini-2.5-flash',
    keeper: 'row-of-gemini-2.5-flash',
    made: vertexJob,
    finish: vertexFinish,
    input: () => objectLike('/input.jsonl')?.[1],
    request: (row) => object(row['request']),
    answer: geminiAnswer,
    nanoDollars: 0.15e9,
    refusal: googleRefusal,
    refused: [400, 'too odd'],
    stopped: { state: 'JOB_STATE_CANCELLING' },
  },
  {
    name: 'Vertex AI, Claude',
    model: 'claude-haiku-4-5@20251001',
    keeper: 'row-of-claude-haiku-4-5@20251001',
    made: vertexJob,
    finish: vertexFinish,
    input: () => objectLike('/input.jsonl')?.[1],
    request: (row) => object(row['request']),
    answer: claudeAnswer,
    nanoDollars: 0.5e9,
    refusal: googleRefusal,
    refused: [400, 'too odd'],
    stopped: { state: 'JOB_STATE_CANCELLING' },
  },
  {
    name: 'Vertex AI, an open model',
    model: 'meta/llama-3.3-70b-instruct-maas',
    keeper: 'row-of-meta/llama-3.3-70b-instruct-maas',
    made: vertexJob,
    finish: vertexFinish,
    input: () => objectLike('/input.jsonl')?.[1],
    request: (row) => object(row['body']),
    answer: {
      status_code: 200,
      request_id: '',
      body: {
        id: 'c',
        object: 'chat.completion',
        created: 1,
        model: 'meta/llama',
        choices: [
          {
            index: 0,
            message: {
              role: 'assistant',
              content: 'Hello',
              tool_calls: [
                { id: 't', type: 'function', function: { name: 'NAME', arguments: '{"a":1}' } },
              ],
            },
            finish_reason: 'tool_calls',
          },
        ],
        usage: { prompt_tokens: 1_000_000, completion_tokens: 0, total_tokens: 1_000_000 },
      },
    },
    nanoDollars: 0.36e9,
    refusal: googleRefusal,
    refused: [400, 'too odd'],
    stopped: { state: 'JOB_STATE_CANCELLING' },
  },
  {
    name: 'Gemini',
    model: 'studio',
    keeper: 'row-of-studio',
    made: () => ({
      name: `batches/b-${jobs}`,
      metadata: {
        state: 'BATCH_STATE_RUNNING',
        createTime: '2026-11-20T10:00:00Z',
        displayName: object(asked['batch'])['displayName'],
      },
    }),
    finish: ({ answer: response, refusal: error }, [first, second]) => {
      objects.set(
        'files/out',
        [
          { key: second?.['key'], error },
          { key: first?.['key'], response },
        ]
          .map((row) => JSON.stringify(row))
          .join('\n'),
      )
      const batchStats = { requestCount: '3', successfulRequestCount: '1', failedRequestCount: '1' }
      return {
        name: `batches/b-${jobs}`,
        done: true,
        metadata: {
          state: 'BATCH_STATE_SUCCEEDED',
          createTime: '2026-11-20T10:00:00Z',
          endTime: '2026-11-20T11:00:00Z',
          displayName: object(asked['batch'])['displayName'],
          batchStats,
        },
        response: { responsesFile: 'files/out' },
      }
    },
    input: () => objects.get('files/in'),
    request: (row) => object(row['request']),
    answer: geminiAnswer,
    nanoDollars: 0.15e9,
    refusal: { code: 3, message: 'too odd' },
    refused: [400, 'too odd'],
    stopped: {},
  },
]

for (const cloud of clouds)
  describe(cloud.name, () => {
    const { model } = cloud

    test('a batch from the upload to the results, and its price', async () => {
      begun = cloud.made
      const questions = [
        line('first one, with a space', { tools: [tool] }),
        line('ü/second', {}),
        line('third', {}),
      ]
      const { status, file } = await upload(questions, model)
      equal(status, 200, JSON.stringify(file))
      deepEqual(
        [file['object'], file['filename'], file['status']],
        ['file', 'in.jsonl', 'processed'],
      )
      equal(readKept(String(file['id']))?.keeper, cloud.keeper)
      deepEqual(await get(`/v1/files/${file['id']}`), file)
      deepEqual(linesOf(await contentOf(file['id'])), questions, 'as the client wrote it')

      const { status: created, batch } = await create(file['id'], model)
      equal(created, 200, JSON.stringify(batch))
      deepEqual(
        [batch['object'], batch['endpoint'], batch['input_file_id'], batch['metadata']],
        ['batch', '/v1/chat/completions', file['id'], { run: '7' }],
      )
      equal(object(batch['request_counts'])['total'], 3)
      ok(['validating', 'in_progress'].includes(String(batch['status'])))
      const sent = linesOf(cloud.input())
      equal(sent.length, 3)
      match(JSON.stringify(cloud.request(sent[1] ?? {})), /"Hi"/)
      ok(!cloud.input()?.includes('whatever'), 'the client’s name of the model stays here')

      // The input may be thrown away by now.
      const headers = { authorization: `Bearer ${key}` }
      const dropped = await fetch(`${gateway.url}/v1/files/${file['id']}`, {
        method: 'DELETE',
        headers,
      })
      deepEqual(await dropped.json(), { id: file['id'], object: 'file', deleted: true })
      equal((await gateway.get(`/v1/files/${file['id']}`)).status, 404)

      await lookAtBatches(gateway.running.rooms)
      equal(paid(batch).length, 0, 'it is not over')
      equal((await get(`/v1/batches/${batch['id']}`))['output_file_id'], null)

      const name = /"name":"(get[^"]*)"/.exec(cloud.input() ?? '')?.[1] ?? 'none'
      const answered = JSON.parse(JSON.stringify(cloud.answer).replace('NAME', name))
      job = cloud.finish({ answer: answered, refusal: cloud.refusal }, sent)
      const done = await get(`/v1/batches/${batch['id']}`)
      deepEqual(
        [done['status'], done['completed_at'], done['request_counts'], done['metadata']],
        [
          'completed',
          Date.parse('2026-11-20T11:00:00Z') / 1000,
          { total: 3, completed: 1, failed: 1 },
          { run: '7' },
        ],
      )
      const [result, ...more] = linesOf(await contentOf(done['output_file_id']))
      deepEqual(
        [result?.['custom_id'], result?.['error'], more],
        ['first one, with a space', null, []],
      )
      const { status_code, body } = object(result?.['response'])
      const { object: kind, model: named, choices, usage } = object(body)
      const message = object(object(list(choices)[0])['message'])
      deepEqual(
        [status_code, kind, named, message['content'], object(usage)['prompt_tokens']],
        [200, 'chat.completion', 'whatever', 'Hello', 1_000_000],
      )
      // A name the provider would not take comes back as the client wrote it.
      const call = object(object(list(message['tool_calls'])[0])['function'])
      deepEqual([call['name'], call['arguments']], ['get the weather!', '{"a":1}'])

      const failed = linesOf(await contentOf(done['error_file_id']))
      deepEqual(
        failed.map(({ custom_id, response }) => [
          custom_id,
          object(response)['status_code'],
          errorOf(object(object(response)['body'])),
        ]),
        [['ü/second', ...cloud.refused]],
      )

      await eventually(() => paid(batch).length > 0)
      await get(`/v1/batches/${batch['id']}`)
      await lookAtBatches(gateway.running.rooms)
      equal(paid(batch).length, 1, 'once, however often it is asked')
      const [entry] = paid(batch)
      deepEqual(
        [entry?.nanoDollars, entry?.priced, entry?.usage.input],
        [cloud.nanoDollars, true, 1_000_000],
      )
      deepEqual([entry?.deploymentId, entry?.keyId], [cloud.keeper, 'master_key'])
      ok(entry?.upstreamModel !== 'whatever', 'as the provider calls it')
    })

    test('stopped, and listed without those of others', async () => {
      const { file } = await upload([line('a', {})], model)
      begun = cloud.made
      const { batch } = await create(file['id'], model)
      stopping = cloud.stopped
      const stopped = await (await gateway.post(`/v1/batches/${batch['id']}/cancel`, '')).json()
      match(provider.asked.map(({ path }) => path).join(' '), /(\/stop|:cancel)( |$)/)
      if (Object.keys(cloud.stopped).length > 0) equal(stopped.status, 'cancelling')
      const { data, has_more } = await get(`/v1/batches?model=${encodeURIComponent(model)}&limit=5`)
      deepEqual(
        list(data).map((one) => object(one)['id']),
        [batch['id']],
      )
      equal(has_more, false)
      const after = await get(
        `/v1/batches?model=${encodeURIComponent(model)}&after=${encodeURIComponent(String(batch['id']))}`,
      )
      deepEqual(after['data'], [])
    })

    test('files are listed page by page, without what belongs to batches', async () => {
      begun = cloud.made
      const ids: string[] = []
      for (const name of ['a', 'b', 'c']) {
        const { file } = await upload([line(name, {})], model)
        ids.push(String(file['id']))
      }
      await create(ids[0], model)
      const seen: string[] = []
      for (let after = '', more = true; more; ) {
        const query = new URLSearchParams({ model, limit: '2', ...(after && { after }) })
        const page = await get(`/v1/files?${query}`)
        const data = list(page['data']).map(object)
        ok(data.length <= 2 && data.every(({ purpose }) => purpose === 'batch'))
        seen.push(...data.map(({ id }) => String(id)))
        after = String(page['last_id'])
        more = page['has_more'] === true
      }
      for (const id of ids) equal(seen.filter((one) => one === id).length, 1)
      deepEqual(
        (await get(`/v1/files?model=${encodeURIComponent(model)}&purpose=vision`))['data'],
        [],
      )
    })

    const wrong: [name: string, lines: (JsonObject | string)[], more: JsonObject, said: RegExp][] =
      [
        ['no JSON', [line('a', {}), '', '{"custom_id":'], {}, /line 3 .* is no JSON/],
        ['no id', [{ url: 'x', body: {} }], {}, /line 1 .*'custom_id'/],
        ['an id twice', [line('a', {}), line('a', {})], {}, /line 2 .* repeats/],
        ['no lines', ['', ''], {}, /no requests/],
        [
          'a request that is none',
          [line('a', {}), line('b', { messages: 5 })],
          {},
          /line 2 .*messages/,
        ],
        [
          'no conversation',
          [line('a', {}, '/v1/embeddings')],
          {},
          /line 1 .*not for '\/v1\/embeddings'/,
        ],
        [
          'for another path',
          [line('a', {}, '/v1/responses')],
          {},
          /line 1 .*(input|'\/v1\/responses')/,
        ],
      ]
    for (const [name, lines, more, said] of wrong)
      test(`a file with ${name} is refused, and nothing is made of it`, async () => {
        const { status, file } = await upload(lines, model)
        const refused = status === 200 ? await create(file['id'], model, more) : undefined
        equal(refused?.status ?? status, 400)
        match(errorOf(refused?.batch ?? file), said)
        deepEqual(asked, {})
      })

    test('what no field of a job says is refused, and not left out unsaid', async () => {
      const { file } = await upload([line('a', {})], model)
      for (const [more, said] of [
        [{ completion_window: '48h' }, /must be '24h'/],
        [{ output_expires_after: { anchor: 'created_at', seconds: 3600 } }, /output_expires_after/],
      ] as const) {
        const { status, batch } = await create(file['id'], model, more)
        deepEqual([status, Object.keys(asked)], [400, []])
        match(errorOf(batch), said)
      }
    })

    test('files for anything else, and of nobody', async () => {
      const { status, file } = await upload([line('a', {})], model, 'assistants')
      // The Gemini API has files of its own.
      if (model === 'studio') equal(status, 200)
      else {
        deepEqual([status, objects.size], [400, 0])
        match(errorOf(file), /purpose must be 'batch'/)
      }
      for (const id of ['file_a-b', 'file_..%2f..%2fx', 'file_a/b', 'file-abc'])
        equal((await create(id, model)).status, 404, id)
      for (const id of ['batch_..', 'nonsense', 'batch_%2e%2e%2fx'])
        equal(
          (await gateway.get(`/v1/batches/${id}?model=${encodeURIComponent(model)}`)).status,
          404,
          id,
        )
    })
  })

const pathsOf = (method: string) =>
  provider.asked.filter((one) => one.method === method).map(({ path }) => path)

test('Bedrock: what is asked of S3 and of the jobs', async () => {
  job = {}
  const { file } = await upload([line('a', {})], 'claude')
  await create(file['id'], 'claude')
  const [asks, note, , , input] = pathsOf('PUT')
  match(
    asks ?? '',
    /^\/s3\/my-bucket\/team\/litellm-bedrock-files\/masterkey-[\w-]{36}\/asked\.jsonl$/,
  )
  match(note ?? '', /file\.json$/)
  match(input ?? '', /input\.jsonl$/)
  const put = provider.asked.find(({ method }) => method === 'PUT')
  deepEqual(
    [
      put?.headers['x-amz-server-side-encryption'],
      put?.headers['x-amz-server-side-encryption-aws-kms-key-id'],
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/s3\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id, /.test(
        put?.headers.authorization ?? '',
      ),
    ],
    ['aws:kms', 'kms-1', true],
  )
  match(put?.headers['x-amz-content-sha256']?.toString() ?? '', /^[0-9a-f]{64}$/)
  const made = provider.asked.find(({ path }) => path === '/bedrock/model-invocation-job')
  match(made?.headers.authorization ?? '', /\/eu-west-1\/bedrock\/aws4_request/)
  const { jobName, clientRequestToken, inputDataConfig, outputDataConfig, ...rest } = asked
  match(String(jobName), /^[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+.-]){0,63}$/)
  ok(String(jobName).length <= 63)
  match(String(clientRequestToken), /^[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}$/)
  deepEqual(rest, {
    modelId: 'anthropic.claude-haiku-4-5-20251001-v1:0',
    roleArn: 'arn:aws:iam::123456789012:role/batch',
    modelInvocationType: 'InvokeModel',
    timeoutDurationInHours: 24,
  })
  const folder = /litellm-bedrock-files\/([\w-]+)\/input/.exec(input ?? '')?.[1]
  deepEqual(inputDataConfig, {
    s3InputDataConfig: {
      s3InputFormat: 'JSONL',
      s3Uri: `s3://my-bucket/team/litellm-bedrock-files/${folder}/input.jsonl`,
    },
  })
  deepEqual(outputDataConfig, {
    s3OutputDataConfig: {
      s3Uri: `s3://results-bucket/litellm-batch-outputs/${folder}/`,
      s3EncryptionKeyId: 'kms-1',
    },
  })
  provider.asked.length = 0
  await upload([line('a', {})], 'nova')
  match(provider.last().headers.authorization ?? '', /\/us-west-2\/s3\/aws4_request/)
})

test('Bedrock: a job that failed, or was stopped, costs what it did before', async () => {
  for (const [status, written, cost] of [
    ['Failed', false, 0],
    ['Failed', true, 0.0175e9],
    ['Stopped', false, 0],
    ['Stopped', true, 0.0175e9],
  ] as const) {
    entries.length = 0
    job = {}
    asked = {}
    const { file } = await upload([line('a', {})], 'nova')
    const { batch } = await create(file['id'], 'nova')
    const rows = linesOf(objectLike('/input.jsonl')?.[1])
    const answer = clouds[1]?.answer ?? {}
    // One that failed as a whole tells how much it did before.
    const { successRecordCount, ...done } = written
      ? bedrockFinish({ answer, refusal: {} }, rows)
      : bedrockJob()
    const counts = status === 'Failed' && written ? { successRecordCount } : {}
    job = { ...done, ...counts, status, message: 'because', endTime: '2026-11-20T11:00:00Z' }
    await lookAtBatches(gateway.running.rooms)
    deepEqual(
      paid(batch).map(({ nanoDollars }) => nanoDollars),
      [cost],
      status,
    )
    const told = await get(`/v1/batches/${batch['id']}`)
    equal(told['status'], status === 'Failed' ? 'failed' : 'cancelled')
    equal(object(list(object(told['errors'])['data'])[0])['message'], 'because')
    if (status === 'Failed' && !written) equal(told['output_file_id'], null)
    else equal((await contentOf(told['output_file_id'])) !== '', written)
    objects.clear()
  }
})

test('what is not set is named, and what the provider refuses is told', async () => {
  const cases: [model: string, status: number, said: RegExp][] = [
    ['no-bucket', 500, /'a\/\.\.\/b' is not the name of a bucket: set s3_bucket_name/],
    ['mistral-large-2411', 501, /offered for Gemini, Claude, Llama/],
  ]
  for (const [model, status, said] of cases) {
    const { status: first, file } = await upload([line('a', {})], model)
    const told = first === 200 ? await create(file['id'], model) : { status: first, batch: file }
    match(errorOf(told.batch), said)
    equal(told.status, status, model)
  }
  refuse = ({ path }) =>
    path.startsWith('/s3/')
      ? whole(
          '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no s3:PutObject</Message></Error>',
          { status: 403, headers: { 'content-type': 'application/xml' } },
        )
      : undefined
  const denied = await upload([line('a', {})], 'nova')
  deepEqual([denied.status, errorOf(denied.file).includes('S3: no s3:PutObject')], [403, true])
  refuse = ({ path, method }) =>
    method === 'POST' && path.includes('batchPredictionJobs')
      ? whole(
          { error: { code: 429, message: 'four at a time', status: 'RESOURCE_EXHAUSTED' } },
          { status: 429 },
        )
      : undefined
  const { file } = await upload([line('a', {})], 'gemini-2.5-flash')
  const many = await create(file['id'], 'gemini-2.5-flash')
  deepEqual([many.status, errorOf(many.batch).includes('four at a time')], [429, true])
  equal((await gateway.get('/v1/files?model=no-bucket')).status, 500)
})

test('results of a job that is of somebody else are not read', async () => {
  job = others
  for (const model of ['nova', 'gemini-2.5-flash'])
    for (const path of [
      '/v1/batches/batch_zzzzzzzzzzzz',
      '/v1/files/file_out_zzzzzzzzzzzz/content',
    ])
      equal((await gateway.get(`${path}?model=${model}`)).status, 404)
})

test('a provider alone, with what the environment has: in the path, or as a field of the form', async () => {
  const model = 'us.amazon.nova-micro-v1:0'
  const purpose = 'batch'
  for (const [path, fields] of [
    ['/bedrock/v1/files', { purpose }],
    ['/v1/files', { purpose, custom_llm_provider: 'bedrock' }],
  ] as const) {
    entries.length = 0
    const { status, file } = await send(path, fields, [line('a', { model: `bedrock/${model}` })])
    equal(status, 200, JSON.stringify(file))
    equal(readKept(String(file['id']))?.keeper, 'provider:bedrock')
    const { batch } = await create(file['id'], 'none')
    deepEqual(
      [asked['modelId'], asked['roleArn']],
      [model, 'arn:aws:iam::123456789012:role/env'],
      JSON.stringify(batch),
    )
    ok([...objects.keys()].every((name) => name.startsWith('s3://bucket-of-env/litellm-')))
    match(provider.last().headers.authorization ?? '', /AKENVIRONMENT\/\d{8}\/us-west-2\/bedrock\//)
    const answer = clouds[1]?.answer ?? {}
    job = bedrockFinish({ answer, refusal: {} }, linesOf(objectLike('/input.jsonl')?.[1]))
    const done = await get(`/v1/batches/${batch['id']}`)
    equal(linesOf(await contentOf(done['output_file_id'])).length, 1)
    await eventually(() => paid(batch).length > 0)
    // By the model the lines named.
    deepEqual(
      paid(batch).map(({ nanoDollars, priced }) => [nanoDollars, priced]),
      [[0.0175e9, true]],
    )
    objects.clear()
  }
})

test('files of the Gemini API for anything else are Google’s own', async () => {
  const key = async () => ({
    authorization: `Bearer ${(await (await gateway.post('/key/generate', {})).json()).key}`,
  })
  const [mine, theirs] = [await key(), await key()]
  const { status, file } = await send('/v1/files', { purpose: 'user_data' }, ['words'], {
    ...mine,
    'x-litellm-model': 'studio',
  })
  deepEqual(
    [status, file['purpose'], file['bytes'], file['filename']],
    [200, 'user_data', 5, 'in.jsonl'],
  )
  match(readKept(String(file['id']))?.id ?? '', /^files\/own-\d+$/)
  const listed = async (as: Record<string, string>) =>
    (await (await gateway.get('/v1/files?model=studio', as)).json()).data.map(
      (one: JsonObject) => one['id'],
    )
  deepEqual([await listed(mine), await listed(theirs)], [[file['id']], []])
  const all = await get('/v1/files?model=studio&limit=100')
  ok(list(all['data']).every((one) => object(one)['filename'] !== 'throughway-x'))
  const at = (tail = '') => `/v1/files/${file['id']}${tail}`
  equal((await gateway.get(at(), theirs)).status, 404)
  equal((await (await gateway.get(at(), mine)).json()).id, file['id'])
  equal((await gateway.get(at('/content'), mine)).status, 501)
  // A message hands it over by the name Google knows.
  const part = { type: 'file', file: { file_id: file['id'], format: 'text/plain' } }
  const said = { model: 'studio', messages: [{ role: 'user', content: [part] }] }
  equal((await gateway.post('/v1/chat/completions', said, theirs)).status, 404)
  await gateway.post('/v1/chat/completions', said, mine)
  match(provider.last().text, /"fileUri":"https:\/\/generativelanguage[^"]*\/files\/own-\d+"/)
})

test('what a key has made is not another key’s', async () => {
  const keyOf = async (more: JsonObject) =>
    String((await (await gateway.post('/key/generate', more)).json()).key)
  const [mine, theirs] = [await keyOf({ models: ['nova'] }), await keyOf({})]
  const as = (token: string) => ({ authorization: `Bearer ${token}` })
  const { file } = await send('/v1/files', { purpose: 'batch' }, [line('a', {})], {
    ...as(mine),
    'x-litellm-model': 'nova',
  })
  const asking = { input_file_id: String(file['id']), endpoint: '/v1/chat/completions' }
  equal((await gateway.post('/v1/batches', asking, as(theirs))).status, 404)
  const batch = await (await gateway.post('/v1/batches', asking, as(mine))).json()
  equal(batch.object, 'batch', JSON.stringify(batch))
  const answer = clouds[1]?.answer ?? {}
  job = bedrockFinish({ answer, refusal: {} }, linesOf(objectLike('/input.jsonl')?.[1]))
  const done = await (await gateway.get(`/v1/batches/${batch.id}`, as(mine))).json()
  for (const path of [
    `/v1/files/${file['id']}`,
    `/v1/files/${file['id']}/content`,
    `/v1/batches/${batch.id}`,
    `/v1/files/${done.output_file_id}/content`,
  ]) {
    equal((await gateway.get(path, as(mine))).status, 200, path)
    equal((await gateway.get(path, as(theirs))).status, 404, path)
  }
  const listed = async (token: string) =>
    (await (await gateway.get('/v1/batches?model=nova', as(token))).json()).data.length
  deepEqual([await listed(mine), await listed(theirs)], [1, 0])
  const files = async (token: string) =>
    (await (await gateway.get('/v1/files?model=nova', as(token))).json()).data.map(
      (one: JsonObject) => one['id'],
    )
  deepEqual([await files(mine), await files(theirs)], [[file['id']], []])
})

test('fine-tuning at Vertex AI: from the upload to what is paid, and whose it is', async () => {
  const client = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  const example = { messages: [...user('Hi'), { role: 'assistant', content: 'Hello' }] }
  const file = await client.files.create(
    { file: await toFile(Buffer.from(JSON.stringify(example)), 'x.jsonl'), purpose: 'fine-tune' },
    { headers: { 'x-litellm-model': 'gemini-2.5-flash' } },
  )
  const named = {
    name: 'projects/1/locations/l/tuningJobs/500',
    createTime: '2026-11-20T10:00:00Z',
  }
  begun = () => ({ ...asked, ...named, state: 'JOB_STATE_PENDING' })
  const made = await client.fineTuning.jobs.create({
    model: 'gemini-2.5-flash',
    training_file: file.id,
    hyperparameters: { n_epochs: 2 },
    suffix: 'mine',
  })
  deepEqual([made.status, made.training_file], ['queued', file.id])
  const { trainingDatasetUri } = object(asked['supervisedTuningSpec'])
  deepEqual(linesOf(objects.get(String(trainingDatasetUri))), [
    {
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }] },
        { role: 'model', parts: [{ text: 'Hello' }] },
      ],
    },
  ])
  const other = String((await (await gateway.post('/key/generate', {})).json()).key)
  const theirs = await gateway.get(`/v1/fine_tuning/jobs/${made.id}`, {
    authorization: `Bearer ${other}`,
  })
  equal(theirs.status, 404)
  job = {
    ...job,
    state: 'JOB_STATE_SUCCEEDED',
    tunedModel: { endpoint: 'projects/1/locations/l/endpoints/9' },
    tuningDataStats: { supervisedTuningDataStats: { totalBillableTokenCount: '500' } },
  }
  const done = await client.fineTuning.jobs.retrieve(made.id)
  deepEqual(
    [done.status, done.fine_tuned_model, done.trained_tokens],
    ['succeeded', 'projects/1/locations/l/endpoints/9', 1000],
  )
  await eventually(() => entries.some(({ operation }) => operation === 'acreate_fine_tuning_job'))
  const paidFor = entries.filter(({ operation }) => operation === 'acreate_fine_tuning_job')
  deepEqual(
    paidFor.map(({ nanoDollars, usage }) => [nanoDollars, usage.input]),
    [[3_000_000, 1000]],
  )
})

test('OpenAI’s own client finds everything where it looks', async () => {
  const client = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
  const said = [line('a', {}), line('b', {})].map((one) => JSON.stringify(one)).join('\n')
  const file = await client.files.create(
    { file: await toFile(Buffer.from(said), 'lines.jsonl'), purpose: 'batch' },
    { headers: { 'x-litellm-model': 'nova' } },
  )
  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  const rows = linesOf(objectLike('/input.jsonl')?.[1])
  job = bedrockFinish({ answer: clouds[1]?.answer ?? {}, refusal: { errorCode: 400 } }, rows)
  const done = await client.batches.retrieve(batch.id)
  equal(done.status, 'completed')
  const content = await (await client.files.content(done.output_file_id ?? '')).text()
  deepEqual(
    linesOf(content).map(({ custom_id }) => custom_id),
    ['a'],
  )
  const listed = await client.batches.list({ limit: 1 }, { query: { model: 'nova' } })
  equal(listed.data[0]?.id, batch.id)
  equal((await client.files.delete(file.id)).deleted, true)
})

test('a client that leaves while it reads results: the bucket is told, the ledger hears', async () => {
  const { file } = await upload([line('a', {}), line('b', {})], 'nova')
  await create(file['id'], 'nova')
  const rows = linesOf(objectLike('/input.jsonl')?.[1])
  job = bedrockFinish({ answer: clouds[1]?.answer ?? {}, refusal: {} }, rows)
  const told = objectLike('.jsonl.out')?.[1] ?? ''
  refuse = ({ path }) =>
    path.endsWith('.jsonl.out') ? stream([`${told.split('\n')[1]}\n`], { end: 'hang' }) : undefined
  const leaving = new AbortController()
  const id = keptId(`file_out_${jobId}`, 'row-of-nova')
  const response = await fetch(`${gateway.url}/v1/files/${id}/content`, {
    headers: { authorization: `Bearer ${key}` },
    signal: leaving.signal,
  })
  const reader = response.body?.getReader()
  await reader?.read()
  entries.length = 0
  leaving.abort()
  const results = provider.asked.findLast(({ path }) => path.endsWith('.jsonl.out'))
  equal(await results?.gone, true)
  await eventually(() => entries.length > 0)
  deepEqual(
    entries.map(({ operation, fault }) => [operation, fault]),
    [['files', 'canceled']],
  )
})
