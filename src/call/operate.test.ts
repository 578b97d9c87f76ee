import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { JsonObject } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { createSchemes } from '../provider/auth/schemes.ts'
import { createDeployment, type Deployment } from '../provider/deployment.ts'
import { resolve } from '../provider/resolve.ts'
import { listen } from '../wire/inbound.ts'
import { embeddings } from '../wire/media/embeddings.ts'
import type { Operation } from '../wire/media/operation.ts'
import { realtimeSecret } from '../wire/media/realtime-secret.ts'
import { createResource } from '../wire/media/resource.ts'
import { search } from '../wire/media/search.ts'
import { openaiChat } from '../wire/openai-chat/wire.ts'
import { operate, wayOf } from './operate.ts'
import { createShelf } from './shelf.ts'
import type { Reply, Upstream } from './transport.ts'

/* Where requests that are no chat go, and who signs them: other services of a provider than its models. */

function deploymentOf(params: JsonObject): Deployment {
  const env = () => undefined
  return createDeployment(
    { modelName: 'public', params, defaults: {}, prices: {}, info: {}, unset: {} },
    {
      env,
      resolve: (name, custom, base) => resolve(name, custom, { base }),
      infoOf: (_provider, _model, overrides) => overrides,
      dropParams: false,
      modifyParams: false,
      schemes: createSchemes({
        env,
        now: () => 1_800_000_000_000,
        fetch: async () => ({
          status: 200,
          body: JSON.stringify({ access_token: 'ya29.token', expires_in: 3600 }),
        }),
      }),
    },
    'id-1',
  )
}

/** Everything that is sent until an answer is there; each is answered in turn. */
async function sentBy(
  to: Deployment,
  operation: Operation,
  body: JsonObject,
  answers: readonly JsonObject[],
): Promise<Upstream[]> {
  const asked: Upstream[] = []
  const transport = async (request: Upstream): Promise<Reply> => {
    const bytes = toUtf8(JSON.stringify(answers[asked.length] ?? {}))
    asked.push(request)
    return {
      status: 200,
      header: () => 'application/json',
      headers: () => ({}),
      body: (async function* () {
        yield bytes
      })(),
      bytes: async () => bytes,
    }
  }
  const said = listen(toUtf8(JSON.stringify({ model: 'public', ...body })), openaiChat)
  const context = { model: 'public', requestId: 'r-1', created: 1, streamUsage: false, choices: 1 }
  await operate(
    operation,
    wayOf(to, operation),
    { said, upload: undefined, context, check() {} },
    to,
    { remove: [], dropParams: false, headers: {}, dialectHeaders: {}, context },
    {
      transport,
      mock: () => transport,
      maxLineBytes: 1e6,
      maxAnswerBytes: 1e6,
      shelf: createShelf(() => 0),
    },
    { signal: new AbortController().signal, limits: {} },
  )
  return asked
}

const batches = createResource({
  id: 'batch',
  method: 'POST',
  path: '/batches',
  query: '',
  live: false,
  model: false,
})
const asksFor = { input_file_id: 'file_me-1', endpoint: '/v1/chat/completions' }
const line = {
  custom_id: 'a',
  url: asksFor.endpoint,
  body: { messages: [{ role: 'user', content: 'Hi' }] },
}
const google = {
  vertex_credentials: {
    type: 'authorized_user',
    client_id: 'c',
    client_secret: 's',
    refresh_token: 'r',
    quota_project_id: 'p-of-credentials',
  },
}
const aws = {
  aws_access_key_id: 'AKIDEXAMPLE',
  aws_secret_access_key: 'secret-of-the-row',
  s3_bucket_name: 'my-bucket',
  aws_batch_role_arn: 'arn:aws:iam::1:role/r',
}

it('a project that only the credentials name', async () => {
  const to = deploymentOf({ model: 'vertex_ai/text-embedding-005', ...google })
  assert.equal(to.problem, undefined)
  const [asked] = await sentBy(to, embeddings, { input: 'Hi' }, [{ predictions: [] }])
  assert.equal(
    asked?.url,
    'https://us-central1-aiplatform.googleapis.com/v1/projects/p-of-credentials/locations/us-central1/publishers/google/models/text-embedding-005:predict',
  )
})

it('a bucket and jobs of Google’s are asked with one token', async () => {
  const to = deploymentOf({
    model: 'vertex_ai/gemini-2.5-pro',
    vertex_location: 'europe-west4',
    gcs_bucket_name: 'my-bucket',
    ...google,
  })
  const asked = await sentBy(to, batches, asksFor, [line, {}, {}, {}, { name: 'x/9' }])
  const jobs =
    'https://europe-west4-aiplatform.googleapis.com/v1/projects/p-of-credentials/locations/europe-west4/batchPredictionJobs'
  assert.deepEqual(
    asked.map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`),
    [
      'GET https://storage.googleapis.com/storage/v1/b/my-bucket/o/litellm-vertex-files%2Fme-1%2Fasked.jsonl',
      ...Array(3).fill('POST https://storage.googleapis.com/upload/storage/v1/b/my-bucket/o'),
      `POST ${jobs}`,
    ],
  )
  for (const { headers } of asked) assert.equal(headers['authorization'], 'Bearer ya29.token')
})

const places: [name: string, params: JsonObject, s3: string, jobs: string][] = [
  ['where nothing is said', {}, 's3.us-west-2.amazonaws.com', 'bedrock.us-west-2.amazonaws.com'],
  [
    'in a region',
    { aws_region_name: 'eu-central-1' },
    's3.eu-central-1.amazonaws.com',
    'bedrock.eu-central-1.amazonaws.com',
  ],
  [
    'in the region of the model’s name',
    { model: 'bedrock/ap-northeast-1/anthropic.claude-x-v1:0' },
    's3.ap-northeast-1.amazonaws.com',
    'bedrock.ap-northeast-1.amazonaws.com',
  ],
  [
    'with a bucket that is elsewhere',
    { aws_region_name: 'eu-central-1', s3_region_name: 'us-east-2' },
    's3.us-east-2.amazonaws.com',
    'bedrock.eu-central-1.amazonaws.com',
  ],
]
for (const [name, params, s3, jobs] of places)
  it(`S3 and jobs of Bedrock’s ${name}, each signed for itself`, async () => {
    const to = deploymentOf({ model: 'bedrock/anthropic.claude-x-v1:0', ...aws, ...params })
    const jobArn = 'arn:aws:bedrock:x:1:model-invocation-job/abc'
    const asked = await sentBy(to, batches, asksFor, [line, {}, {}, {}, { jobArn }])
    assert.deepEqual(
      asked.map(({ url }) => new URL(url).host),
      [s3, s3, s3, s3, jobs],
    )
    for (const { url, headers } of asked) {
      const [service, region] = new URL(url).host.split('.')
      assert.match(headers['authorization'] ?? '', new RegExp(`/${region}/${service}/aws4_request`))
      assert.equal(headers['x-amz-content-sha256'] !== undefined, service === 's3')
    }
  })

const film = (method: 'GET' | 'POST' | 'DELETE', path: string): Operation =>
  createResource({
    id: 'video',
    method,
    path,
    query: '',
    live: path.endsWith('/content'),
    model: true,
  })
const ofProject = { ...google, vertex_project: 'p', vertex_location: 'us-central1' }
const operation = 'projects/p/locations/us-central1/publishers/google/models/veo-3/operations/o'
const queue = 'https://queue.fal.run/fal-ai/veo3/requests/r'

const homes: [
  name: string,
  params: JsonObject,
  operation: Operation,
  body: JsonObject,
  answers: JsonObject[],
  sent: [address: string, credential: string | undefined][],
][] = [
  [
    'Veo on the Gemini API, and its file by name',
    { model: 'gemini/veo-3', api_key: 'k' },
    film('GET', `/videos/${encodeURIComponent('video_models/veo-3/operations/o')}/content`),
    {},
    [
      {
        done: true,
        response: {
          generateVideoResponse: {
            generatedSamples: [{ video: { uri: 'https://x/v1beta/files/f:download?alt=media' } }],
          },
        },
      },
    ],
    [
      ['https://generativelanguage.googleapis.com/v1beta/models/veo-3/operations/o', 'k'],
      ['https://generativelanguage.googleapis.com/v1beta/files/f:download?alt=media', 'k'],
    ],
  ],
  [
    'Veo on Vertex AI, from a bucket',
    { model: 'vertex_ai/veo-3', ...ofProject },
    film('GET', `/videos/${encodeURIComponent(`video_${operation}`)}/content`),
    {},
    [{ done: true, response: { videos: [{ gcsUri: 'gs://b/a.mp4' }] } }],
    [
      [
        'https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/veo-3:fetchPredictOperation',
        'Bearer ya29.token',
      ],
      ['https://storage.googleapis.com/storage/v1/b/b/o/a.mp4?alt=media', 'Bearer ya29.token'],
    ],
  ],
  [
    'Runway, and its film with no credential',
    { model: 'runwayml/gen4_turbo', api_key: 'k' },
    film('GET', '/videos/video_t/content'),
    {},
    [{ status: 'SUCCEEDED', output: ['https://d1.cloudfront.net/a.mp4'] }],
    [
      ['https://api.dev.runwayml.com/v1/tasks/t', 'Bearer k'],
      ['https://d1.cloudfront.net/a.mp4', undefined],
    ],
  ],
  [
    'fal’s queue has a host of its own, and so have its films',
    { model: 'fal_ai/fal-ai/veo3', api_key: 'k' },
    film('GET', `/videos/${encodeURIComponent('video_fal-ai/veo3/requests/r')}/content`),
    {},
    [{ video: { url: 'https://v3.fal.media/a.mp4' } }],
    [
      [queue, 'Key k'],
      ['https://v3.fal.media/a.mp4', undefined],
    ],
  ],
  [
    'a proxy in front of fal has its queue too',
    { model: 'fal_ai/fal-ai/veo3', api_key: 'k', api_base: 'https://proxy/fal' },
    film('POST', '/videos'),
    { prompt: 'a' },
    [{ request_id: 'r' }],
    [['https://proxy/fal/fal-ai/veo3', 'Key k']],
  ],
  [
    'Azure’s keys for realtime sessions have no version by date',
    { model: 'azure/rt', api_key: 'k', api_base: 'https://x.openai.azure.com' },
    realtimeSecret('client_secrets'),
    { session: { model: 'public' } },
    [{ value: 'ek' }],
    [['https://x.openai.azure.com/openai/v1/realtime/client_secrets', 'k']],
  ],
  [
    'You.com without a key',
    { model: 'you_com/search' },
    search,
    { query: 'q' },
    [{ results: {} }],
    [['https://api.you.com/v1/agents/search', undefined]],
  ],
  [
    'You.com with one',
    { model: 'you_com/search', api_key: 'k' },
    search,
    { query: 'q' },
    [{ results: {} }],
    [['https://ydc-index.io/v1/search', 'k']],
  ],
  [
    'addresses as LiteLLM’s users write them',
    {
      model: 'dataforseo/search',
      api_key: 'a:b',
      api_base: 'https://x/v3/serp/google/organic/live/advanced',
    },
    search,
    { query: 'q' },
    [{ tasks: [] }],
    [['https://x/v3/serp/google/organic/live/advanced', 'Basic YTpi']],
  ],
  [
    'a Foundry project',
    {
      model: 'bing_grounding/search',
      api_key: 'k',
      api_base: 'https://x.services.ai.azure.com/api/projects/p',
      search_model: 'gpt',
    },
    search,
    { query: 'q' },
    [{ output: [] }],
    [['https://x.services.ai.azure.com/api/projects/p/openai/v1/responses', 'k']],
  ],
  [
    'an AgentCore gateway',
    { model: 'agentcore/search', api_key: 'token-long', api_base: 'https://g/mcp' },
    search,
    { query: 'q' },
    [{ result: { content: [] } }],
    [['https://g/mcp', 'Bearer token-long']],
  ],
]
for (const [name, params, asked, body, answers, wanted] of homes)
  it(`where it goes: ${name}`, async () => {
    const sent = await sentBy(deploymentOf(params), asked, body, answers)
    assert.deepEqual(
      sent.map(({ url, headers }) => [
        url,
        headers['authorization'] ??
          headers['x-goog-api-key'] ??
          headers['x-api-key'] ??
          headers['api-key'],
      ]),
      wanted,
    )
  })

it('what a provider calls its own and is not is never asked', async () => {
  for (const url of [
    'https://evil.example/a.mp4',
    'https://cloudfront.net.evil.example/a.mp4',
    'http://d1.cloudfront.net/a.mp4',
    'https://storage.googleapis.com.evil.example/a.mp4',
  ])
    await assert.rejects(
      sentBy(
        deploymentOf({ model: 'runwayml/gen4_turbo', api_key: 'k' }),
        film('GET', '/videos/video_t/content'),
        {},
        [{ status: 'SUCCEEDED', output: [url] }],
      ),
      { kind: 'bad_gateway', message: /not its own/ },
      url,
    )
})
