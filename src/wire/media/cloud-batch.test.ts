import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, kindOf, play, targetOf } from '../../../test/support/exchange.ts'
import { type JsonObject, list, object } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { Target } from '../wire.ts'
import { decodeAwsError, gcsFolder, gcsStore, readBucket, s3Store } from './buckets.ts'
import { type Cloud, folderOfInput, inputName, type Job } from './cloud.ts'
import { cloudWires } from './cloud-wires.ts'
import type { Answered, Sent } from './media.ts'
import { createResource } from './resource.ts'

const aws = (values: Record<string, string> = {}, more: Partial<Target> = {}): Target =>
  targetOf('bedrock', 'anthropic.claude-haiku-4-5-20251001-v1:0', {
    values: { aws_region: 'us-west-2', s3_bucket: 'bkt', batch_role: 'arn:r', ...values },
    ...more,
  })
const google = (model: string, values: Record<string, string> = {}): Target =>
  targetOf('vertex_ai', model, {
    values: { gcs_bucket: 'gbk', location: 'us-central1', ...values },
  })
const runtime = (region: string, end = 'amazonaws.com') =>
  `https://bedrock-runtime.${region}.${end}`
const urlOf = ({ address }: Sent, base: string) => address?.(base)
const key = 'pre/a.b_c-d/input.jsonl'

describe('buckets', () => {
  const places: [
    name: string,
    values: Record<string, string>,
    base: string,
    url: string,
    region?: string,
  ][] = [
    ['S3 is where the models are', {}, runtime('eu-west-1'), 'https://s3.eu-west-1.amazonaws.com'],
    [
      'but for a bucket that is elsewhere',
      { s3_region: 'ap-southeast-2' },
      runtime('eu-west-1'),
      'https://s3.ap-southeast-2.amazonaws.com',
      'ap-southeast-2',
    ],
    [
      'in another partition',
      {},
      runtime('us-gov-west-1'),
      'https://s3.us-gov-west-1.amazonaws.com',
    ],
    [
      'with a suffix of its own',
      {},
      runtime('cn-north-1', 'amazonaws.com.cn'),
      'https://s3.cn-north-1.amazonaws.com.cn',
    ],
    [
      'a base that tells no region',
      {},
      'https://proxy.example/aws',
      'https://s3.us-west-2.amazonaws.com',
    ],
    [
      'an address of the operator’s',
      { s3_endpoint: 'http://minio:9000/x/' },
      runtime('eu-west-1'),
      'http://minio:9000/x',
    ],
  ]
  for (const [name, values, base, url, region] of places)
    test(name, () => {
      const store = s3Store(aws(values), { name: 'b', prefix: 'pre/' })
      const sent = store.find('a.b_c-d/input.jsonl')
      assert.equal(urlOf(sent, base), `${url}/b/${key}`)
      assert.deepEqual([sent.service, sent.region], ['s3', region])
      assert.equal(store.uri('x'), 's3://b/pre/x')
    })

  test('Cloud Storage names a thing in one step of the path', () => {
    for (const [said, host] of [
      [undefined, 'https://storage.googleapis.com'],
      ['localhost:9199', 'http://localhost:9199'],
      ['https://storage.example/', 'https://storage.example'],
    ] as const) {
      const to = google('gemini-2.5-pro', said === undefined ? {} : { gcs_endpoint: said })
      const store = gcsStore(to, { name: 'b', prefix: 'pre/' })
      const name = encodeURIComponent(key)
      assert.deepEqual(
        [store.put('a.b_c-d/input.jsonl', toUtf8(''), 'm'), store.find('a.b_c-d/input.jsonl')].map(
          (sent) => urlOf(sent, 'any'),
        ),
        [
          `${host}/upload/storage/v1/b/b/o?uploadType=media&name=${name}`,
          `${host}/storage/v1/b/b/o/${name}?alt=media`,
        ],
      )
    }
    assert.equal(
      urlOf(gcsFolder(google('m'), 'gs://other/a b/c')?.list ?? { path: '' }, ''),
      'https://storage.googleapis.com/storage/v1/b/other/o?prefix=a%20b%2Fc%2F&fields=items(name)',
    )
    for (const uri of ['bq://p.d.t', 'gs://', 'gs://bkt', 'gs://../x', 'gs://b?c/x'])
      assert.equal(gcsFolder(google('m'), uri), undefined, uri)
  })

  test('names of buckets', () => {
    assert.deepEqual(readBucket('my.bucket', 'x'), { name: 'my.bucket', prefix: '' })
    assert.deepEqual(readBucket('s3://my-bucket/a/b/', 'x'), { name: 'my-bucket', prefix: 'a/b/' })
    for (const said of [
      '',
      'b',
      '../b',
      'b/../c',
      'a..b',
      'https://h/b',
      'b?x',
      'b#x',
      'b/ä',
      'b\n',
    ])
      assert.equal(
        kindOf(() => readBucket(said, 'x')),
        'bad_request',
        said,
      )
    assert.match(
      String(message(() => readBucket(undefined, 's3_bucket_name'))),
      /set s3_bucket_name/,
    )
  })

  test('S3 says what is wrong in XML, the others in JSON', () => {
    const told = (status: number, body: string) =>
      decodeAwsError({ status, body, header: () => undefined })
    const missing = told(
      404,
      '<Error><Code>NoSuchBucket</Code><Message>no &amp; none</Message></Error>',
    )
    assert.deepEqual([missing.kind, missing.type], ['not_found', 'NoSuchBucket'])
    assert.match(missing.message, /^S3: no/)
    assert.equal(told(400, '{"message":"bad","__type":"ValidationException"}').message, 'bad')
    assert.equal(told(503, '<html>').kind, 'unavailable')
  })
})

const message = (run: () => unknown): string | undefined => {
  try {
    run()
  } catch (cause) {
    return cause instanceof Error ? cause.message : undefined
  }
  return undefined
}

const jobId = 'abc123def456'
const missing: Answered = { ...answered({}), status: 404 }
const uploaded = (lines: readonly JsonObject[]): Answered =>
  answered(toUtf8(lines.map((one) => JSON.stringify(one)).join('\n')))
const line = (id: string, body: JsonObject, url = '/v1/chat/completions'): JsonObject => ({
  custom_id: id,
  url,
  body: { model: 'public', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 9, ...body },
})

/** A batch is made of these lines: what is sent, and what the job reads. */
function made(
  wire: keyof typeof cloudWires,
  to: Target,
  lines: readonly JsonObject[],
  rounds: readonly (readonly Answered[])[],
  endpoint = '/v1/chat/completions',
  rests = 0,
) {
  const batches = createResource({
    id: 'batch',
    method: 'POST',
    path: '/batches',
    query: '',
    live: false,
    model: false,
  })
  const body = { input_file_id: 'file_me-1', endpoint }
  const pauses = Array.from({ length: rests }, () => [answered({})])
  const all = [[uploaded(lines)], ...pauses, [], ...rounds]
  const told = converse(batches, wire, to, body, all)
  const rows = told.sent.flatMap(({ body: sent }) => {
    if (sent?.type !== 'bytes' || !(sent.bytes instanceof Uint8Array)) return []
    return [new TextDecoder().decode(sent.bytes)]
  })
  return {
    ...told,
    rows: (rows.at(-1) ?? '')
      .trim()
      .split('\n')
      .map((row) => object(JSON.parse(row))),
  }
}
const arn = answered({ jobArn: `arn:aws:bedrock:us-east-1:1:model-invocation-job/${jobId}` })
const vertexJob = answered({
  name: `projects/p/locations/l/batchPredictionJobs/9`,
  state: 'JOB_STATE_PENDING',
})

/** What a client reads of these rows, of a job that is over. */
async function resultsOf(
  to: Target,
  asked: readonly JsonObject[],
  rows: readonly JsonObject[],
): Promise<JsonObject[]> {
  const content = createResource({
    id: 'files',
    method: 'GET',
    path: `/files/file_out_${jobId}/content`,
    query: '',
    live: true,
    model: false,
  })
  const s3Uri = `s3://bkt/${inputName(cloudWires.bedrock, 'me-1')}`
  const job = answered({
    jobArn: `a/${jobId}`,
    status: 'Completed',
    inputDataConfig: { s3InputDataConfig: { s3Uri } },
    outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://out/litellm-batch-outputs/me-1/' } },
  })
  const live = async function* () {
    yield toUtf8(`${rows.map((row) => JSON.stringify(row)).join('\n')}\nnot json`)
  }
  const { told, sent } = converse(content, 'bedrock', to, {}, [
    [job],
    [uploaded(asked), missing],
    [{ ...answered({}), live: live() }],
  ])
  assert.equal(
    urlOf(sent.at(-1) ?? { path: '' }, runtime('us-east-1')),
    `https://s3.us-east-1.amazonaws.com/out/litellm-batch-outputs/me-1/${jobId}/input.jsonl.out`,
  )
  assert.ok(told.type === 'live')
  let text = ''
  for await (const bytes of told.body) text += new TextDecoder().decode(bytes)
  return text
    .trim()
    .split('\n')
    .map((one) => object(JSON.parse(one)))
}

describe('what a job is made of', () => {
  const models: [name: string, model: string, info: JsonObject, type: string, id: string][] = [
    ['Claude', 'us.anthropic.claude-x-v1:0', {}, 'InvokeModel', 'us.anthropic.claude-x-v1:0'],
    [
      'Claude by Converse',
      'converse/anthropic.claude-x-v1:0',
      {},
      'Converse',
      'anthropic.claude-x-v1:0',
    ],
    [
      'a region before it',
      'eu-west-1/anthropic.claude-x-v1:0',
      {},
      'InvokeModel',
      'anthropic.claude-x-v1:0',
    ],
    ['Llama', 'us.meta.llama4-scout-v1:0', {}, 'Converse', 'us.meta.llama4-scout-v1:0'],
    [
      'an ARN whose row says Claude',
      'arn:aws:bedrock:us-east-1:1:application-inference-profile/x',
      { base_model: 'anthropic.claude-x-v1:0' },
      'InvokeModel',
      'arn:aws:bedrock:us-east-1:1:application-inference-profile/x',
    ],
  ]
  for (const [name, model, info, type, id] of models)
    test(`Bedrock: ${name}`, () => {
      const { sent, bodies, rows } = made(
        'bedrock',
        aws({}, { model, info }),
        [line('a', {})],
        [[], [arn]],
      )
      const job = object(bodies.at(-1))
      assert.deepEqual([job['modelInvocationType'], job['modelId']], [type, id])
      assert.equal(
        object(rows[0]?.['modelInput'])['anthropic_version'],
        type === 'Converse' ? undefined : 'bedrock-2023-05-31',
      )
      for (const [base, url] of [
        [runtime('eu-west-1'), 'https://bedrock.eu-west-1.amazonaws.com/model-invocation-job'],
        ['http://127.0.0.1:9/x/', 'http://127.0.0.1:9/x/model-invocation-job'],
        [
          'https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com',
          'https://vpce-1.bedrock.us-east-1.vpce.amazonaws.com/model-invocation-job',
        ],
      ] as const)
        assert.equal(urlOf(sent.at(-1) ?? { path: '' }, base), url)
    })

  const publishers: [model: string, path: string][] = [
    ['gemini-2.5-pro', 'publishers/google/models/gemini-2.5-pro'],
    ['claude-haiku-4-5@20251001', 'publishers/anthropic/models/claude-haiku-4-5@20251001'],
    ['publishers/google/models/gemini-x', 'publishers/google/models/gemini-x'],
    ['meta/llama-4-maverick-maas', 'publishers/meta/models/llama-4-maverick-maas'],
    ['endpoints/123', 'projects/p/locations/l/models/tuned'],
  ]
  for (const [model, path] of publishers)
    test(`Vertex AI: ${model}`, () => {
      const endpoint = answered({
        deployedModels: [{ model: 'projects/p/locations/l/models/tuned' }],
      })
      const rounds = [[], ...(model.startsWith('endpoints/') ? [[endpoint]] : []), [vertexJob]]
      const { sent, bodies, rows } = made('vertex', google(model), [line('a', {})], rounds)
      assert.equal(object(bodies.at(-1))['model'], path)
      const fields = model.includes('claude')
        ? ['custom_id', 'request']
        : model.startsWith('meta/')
          ? ['custom_id', 'method', 'url', 'body']
          : ['request']
      assert.deepEqual(Object.keys(rows[0] ?? {}), fields)
      assert.equal(object(rows[0]?.['body'])['model'], fields.length > 3 ? model : undefined)
      const front =
        'https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1'
      for (const base of [`${front}/publishers/google`, `${front}/endpoints`, front])
        assert.equal(urlOf(sent.at(-1) ?? { path: '' }, base), `${front}/batchPredictionJobs`)
    })

  test('Vertex AI: a client’s name of a model leads nowhere else', () => {
    const to = google('*')
    for (const model of ['endpoints/1/../../x', 'endpoints/../gemini', 'endpoints/', 'mistral/x']) {
      const lines = [line('a', { model })]
      const asks = () => made('vertex', to, lines, [[], [vertexJob]]).sent
      const sent = kindOf(asks) === undefined ? asks() : []
      assert.ok(
        !sent.some((one) => urlOf(one, 'https://h/v1/projects/p/locations/l')?.includes('..')),
        model,
      )
    }
    assert.equal(
      kindOf(() => made('vertex', to, [line('a', { model: 'endpoints/1/../../x' })], [])),
      'not_offered',
    )
  })

  test('Vertex AI: a base without a project has the row’s', () => {
    const find = (values: Record<string, string>) => {
      const step = cloudWires.vertex.find('9', google('gemini-2.5-pro', values)).next([])
      const [sent] = step.done ? [] : step.value
      return sent
    }
    assert.equal(
      find({ project: 'p' })?.address?.('http://127.0.0.1:9/v1/'),
      'http://127.0.0.1:9/v1/projects/p/locations/us-central1/batchPredictionJobs/9',
    )
    assert.match(String(message(() => find({})?.address?.('http://h'))), /set vertex_project/)
  })

  test('Gemini’s uploads and downloads are before the version', () => {
    const rounds = [
      [answered({}, { 'x-goog-upload-url': 'https://h/put' })],
      [answered({ file: { name: 'files/f' } })],
      [answered({ name: 'batches/b', metadata: { state: 'BATCH_STATE_PENDING' } })],
    ]
    const { sent, bodies } = made(
      'gemini',
      targetOf('gemini', 'gemini-2.5-pro'),
      [line('a', {})],
      rounds,
    )
    const [begin, put, create] = sent.slice(-3)
    assert.equal(
      urlOf(begin ?? { path: '' }, 'https://g.example/v1beta'),
      'https://g.example/upload/v1beta/files',
    )
    assert.equal(
      urlOf(begin ?? { path: '' }, 'http://h/proxy/v1/'),
      'http://h/proxy/upload/v1/files',
    )
    assert.deepEqual(
      [put?.path, create?.path],
      ['https://h/put', '/models/gemini-2.5-pro:batchGenerateContent'],
    )
    const { inputConfig, displayName } = object(object(bodies.at(-1))['batch'])
    assert.deepEqual([inputConfig, displayName], [{ fileName: 'files/f' }, 'throughway-nobody-r-1'])
  })

  test('a provider without a deployment takes the model of the lines, which is one', () => {
    const to = aws({}, { model: '*' })
    const lines = [
      line('a', { model: 'bedrock/us.meta.llama4-v1:0' }),
      line('b', { model: 'us.meta.llama4-v1:0' }),
    ]
    const { bodies } = made('bedrock', to, lines, [[], [arn]])
    assert.equal(object(bodies.at(-1))['modelId'], 'us.meta.llama4-v1:0')
    assert.match(
      String(
        message(() => made('bedrock', to, [...lines, line('c', { model: 'other' })], [[], [arn]])),
      ),
      /^line 3 of the input file: .*one model/,
    )
  })

  test('embeddings of Titan’s, there and back', async () => {
    const to = aws({}, { model: 'amazon.titan-embed-text-v2:0' })
    const url = '/v1/embeddings'
    const asks = (body: JsonObject) => ({ custom_id: 'a', url, body: { model: 'public', ...body } })
    const lines = [asks({ input: ['Hi'], dimensions: 256 })]
    const { rows, bodies } = made('bedrock', to, lines, [[], [arn]], url)
    assert.deepEqual(rows[0]?.['modelInput'], { inputText: 'Hi', dimensions: 256 })
    assert.equal(object(bodies.at(-1))['modelInvocationType'], 'InvokeModel')
    const modelOutput = { embedding: [1, 2], inputTextTokenCount: 3 }
    const [told] = await resultsOf(to, lines, [{ recordId: 'L0000000000', modelOutput }])
    assert.deepEqual(object(told?.['response'])['body'], {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [1, 2] }],
      model: 'public',
      usage: { prompt_tokens: 3, total_tokens: 3 },
    })
    for (const [model, body, said] of [
      [to.model, { input: ['a', 'b'] }, /^line 1 .*one input/],
      [to.model, {}, /^line 1 .*'input'/],
      ['cohere.embed-v4', { input: 'a' }, /^line 1 .*not for '\/v1\/embeddings'/],
    ] as const)
      assert.match(
        String(
          message(() => made('bedrock', { ...to, model }, [asks(body as JsonObject)], [[]], url)),
        ),
        said,
      )
  })

  test('a job of Bedrock’s needs a role', () => {
    const to = targetOf('bedrock', 'amazon.nova', { values: { s3_bucket: 'bkt', aws_region: 'r' } })
    assert.match(
      String(message(() => made('bedrock', to, [line('a', {})], [[]]))),
      /set aws_batch_role_arn .*AWS_BATCH_ROLE_ARN/,
    )
  })

  test('what cannot be said in a batch is told, or refused', () => {
    const lines = [
      line('a', { guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' } }),
    ]
    const { dropped } = made('bedrock', aws(), lines, [[], [arn]])
    assert.deepEqual(dropped, [
      'x-amzn-bedrock-guardrailidentifier',
      'x-amzn-bedrock-guardrailversion',
    ])
  })

  test('a line whose answer could not be read is refused', () => {
    const content = 'x'.repeat(12 * 1024 * 1024)
    const lines = [line('a', {}), line('b', { messages: [{ role: 'user', content }] })]
    assert.match(
      String(message(() => made('bedrock', aws(), lines, [[], [arn]]))),
      /^line 2 of the input file: it is longer than 12 MB/,
    )
  })

  test('many lines are put into words with a rest between', () => {
    const content = 'x'.repeat(200_000)
    const lines = Array.from({ length: 7 }, (_, at) =>
      line(`a${at}`, { messages: [{ role: 'user', content }] }),
    )
    const { sent, rows } = made('bedrock', aws(), lines, [[], [arn]], undefined, 2)
    assert.equal(sent.filter(({ rest }) => rest).length, 2)
    assert.deepEqual(
      rows.map(({ recordId }) => recordId),
      lines.map((_, at) => `L000000000${at}`),
    )
  })

  test('a line may be in any of four dialects', () => {
    const dialects: [url: string, body: JsonObject][] = [
      ['/v1/responses', { input: 'Hi' }],
      ['/v1/messages', { messages: [{ role: 'user', content: 'Hi' }] }],
      ['/v1/completions', { prompt: 'Hi' }],
    ]
    for (const [url, body] of dialects) {
      const { rows } = made(
        'bedrock',
        aws(),
        [{ custom_id: 'a', url, body: { ...body, max_tokens: 9 } }],
        [[], [arn]],
        url,
      )
      const [asked] = list(object(rows[0]?.['modelInput'])['messages'])
      assert.match(JSON.stringify(asked), /"Hi"/, url)
    }
  })
})

describe('what a job tells', () => {
  const find = (cloud: Cloud, to: Target, told: JsonObject): Job =>
    play(cloud.find('9', to), [[answered(told)]]).result
  const words: [
    cloud: Cloud,
    to: Target,
    of: (word: string) => JsonObject,
    statuses: Record<string, string>,
  ][] = [
    [
      cloudWires.bedrock,
      aws(),
      (status) => ({ jobArn: `a/${jobId}`, status }),
      {
        Submitted: 'validating',
        Validating: 'validating',
        Scheduled: 'in_progress',
        InProgress: 'in_progress',
        Stopping: 'cancelling',
        Stopped: 'cancelled',
        Completed: 'completed',
        PartiallyCompleted: 'completed',
        Failed: 'failed',
        Expired: 'expired',
        SomethingNew: 'in_progress',
        constructor: 'in_progress',
      },
    ],
    [
      cloudWires.vertex,
      google('gemini-2.5-pro'),
      (state) => ({ name: 'x/9', state }),
      {
        JOB_STATE_QUEUED: 'validating',
        JOB_STATE_PENDING: 'validating',
        JOB_STATE_RUNNING: 'in_progress',
        JOB_STATE_SUCCEEDED: 'completed',
        JOB_STATE_PARTIALLY_SUCCEEDED: 'completed',
        JOB_STATE_FAILED: 'failed',
        JOB_STATE_CANCELLING: 'cancelling',
        JOB_STATE_CANCELLED: 'cancelled',
        JOB_STATE_PAUSED: 'in_progress',
        JOB_STATE_EXPIRED: 'expired',
        JOB_STATE_UNSPECIFIED: 'in_progress',
      },
    ],
    [
      cloudWires.gemini,
      targetOf('gemini', 'm'),
      (state) => ({ name: 'batches/9', metadata: { state } }),
      {
        BATCH_STATE_PENDING: 'validating',
        JOB_STATE_RUNNING: 'in_progress',
        BATCH_STATE_SUCCEEDED: 'completed',
        BATCH_STATE_FAILED: 'failed',
        JOB_STATE_CANCELLED: 'cancelled',
        BATCH_STATE_EXPIRED: 'expired',
        other: 'in_progress',
      },
    ],
  ]
  for (const [cloud, to, of, statuses] of words)
    test(`${cloud.name}: its words and OpenAI’s`, () => {
      for (const [word, status] of Object.entries(statuses))
        assert.equal(find(cloud, to, of(word)).status, status, word)
    })

  test('a job that failed as a whole is told with why, and is no failed request', () => {
    const error = { code: 3, message: 'no such bucket' }
    const failed: [Cloud, Target, JsonObject][] = [
      [
        cloudWires.vertex,
        google('gemini-2.5-pro'),
        { name: 'x/9', state: 'JOB_STATE_FAILED', error },
      ],
      [cloudWires.gemini, targetOf('gemini', 'm'), { name: 'batches/9', done: true, error }],
    ]
    for (const [cloud, to, told] of failed) {
      const { status, error: why } = find(cloud, to, told)
      assert.deepEqual([status, why], ['failed', 'no such bucket'])
    }
  })

  test('only what reads a folder of ours is ours', () => {
    const at = (s3Uri: string) =>
      find(cloudWires.bedrock, aws(), {
        jobArn: `a/${jobId}`,
        inputDataConfig: { s3InputDataConfig: { s3Uri } },
      }).folder
    const name = inputName(cloudWires.bedrock, 'me-1')
    assert.equal(at(`s3://b/${name}`), 'me-1')
    assert.equal(at(`s3://b/pre/${name}`), 'me-1')
    for (const uri of [
      '',
      's3://b/x/input.jsonl',
      `s3://b/x${name}`,
      `${name}x`,
      's3://b/litellm-bedrock-files/a/../input.jsonl',
    ])
      assert.equal(at(uri), undefined, uri)
    assert.equal(folderOfInput(cloudWires.vertex, `gs://g/${name}`), undefined)
  })

  test('a job without a name is no job', () => {
    for (const cloud of Object.values(cloudWires))
      for (const name of [undefined, '', 'x/', 'x/a b', 7])
        assert.equal(
          kindOf(() => find(cloud, aws(), { name: name ?? null, jobArn: name ?? null })),
          'bad_gateway',
        )
  })
})

describe('what an answer is read as', () => {
  const row = (cloud: Cloud, to: Target, said: JsonObject) => {
    const { at, said: told } = cloud.decodeRow(said, to)
    return [at, told instanceof Error ? `${told.kind} ${told.status} ${told.message}` : told]
  }
  const rows: [name: string, cloud: Cloud, said: JsonObject, read: unknown[]][] = [
    [
      'an answer',
      cloudWires.bedrock,
      { recordId: 'L0000000007', modelOutput: { a: 1 } },
      [7, { a: 1 }],
    ],
    ['no id', cloudWires.bedrock, { modelOutput: {} }, [undefined, {}]],
    [
      'an error',
      cloudWires.bedrock,
      { recordId: 'L0000000000', error: { errorCode: 400, errorMessage: 'bad' } },
      [0, 'bad_request 400 bad'],
    ],
    [
      'neither',
      cloudWires.bedrock,
      { recordId: 'L0000000000' },
      [0, 'provider 500 Amazon Bedrock told no answer to this request'],
    ],
    [
      'by its label',
      cloudWires.vertex,
      { request: { labels: { throughway_line: 'l0000000012' } }, response: { a: 1 }, status: '' },
      [12, { a: 1 }],
    ],
    [
      'a status with Google’s error',
      cloudWires.vertex,
      { custom_id: 'L0000000001', status: 'Quota: {"error":{"code":429,"message":"slow"}}' },
      [1, 'rate_limit 429 slow'],
    ],
    [
      'OpenAI’s row',
      cloudWires.vertex,
      { custom_id: 'L0000000003', response: { status_code: 200, body: { a: 1 } } },
      [3, { a: 1 }],
    ],
    [
      'OpenAI’s row of an error',
      cloudWires.vertex,
      {
        custom_id: 'L0000000003',
        response: { status_code: 400, body: { error: { code: 400, message: 'bad' } } },
      },
      [3, 'bad_request 400 bad'],
    ],
    [
      'an answer as text',
      cloudWires.vertex,
      { custom_id: 'L0000000003', response: '{"a":1}' },
      [3, { a: 1 }],
    ],
    [
      'an error beside',
      cloudWires.vertex,
      { custom_id: 'L0000000003', error: { code: 429, message: 'slow' } },
      [3, 'rate_limit 429 slow'],
    ],
    [
      'a status of words',
      cloudWires.vertex,
      { custom_id: 'L0000000001', status: 'broken' },
      [1, 'bad_gateway 502 broken'],
    ],
    [
      'Anthropic’s error as an answer',
      cloudWires.vertex,
      {
        custom_id: 'L0000000001',
        response: { type: 'error', error: { type: 'overloaded_error', message: 'busy' } },
      },
      [1, 'unavailable 529 busy'],
    ],
    [
      'a status of RPC',
      cloudWires.gemini,
      { key: 'L0000000002', error: { code: 8, message: 'slow' } },
      [2, 'rate_limit 429 slow'],
    ],
  ]
  for (const [name, cloud, said, read] of rows)
    test(`${cloud.name}: ${name}`, () => {
      assert.deepEqual(row(cloud, aws(), said), read)
    })

  test('one answer that is none does not hide the others, in the dialect each was asked in', async () => {
    const asked = [
      line('chat', {}),
      line('messages', {}, '/v1/messages'),
      {
        custom_id: 'responses',
        url: '/v1/responses',
        body: { input: 'Hi', instructions: 'Be brief' },
      },
      line('broken', {}),
    ]
    const said = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: 'Hello' }],
      usage: { input_tokens: 1, output_tokens: 2 },
    }
    const rows = [...asked.keys()].map((at) => ({
      recordId: `L000000000${at}`,
      modelOutput: at === 3 ? { content: 'no' } : said,
    }))
    const lines = await resultsOf(aws(), asked, rows)
    assert.deepEqual(
      lines.map(({ custom_id, response }) => {
        const { object: kind, type, instructions } = object(object(response)['body'])
        return [custom_id, kind ?? type, instructions]
      }),
      [
        ['chat', 'chat.completion', undefined],
        ['messages', 'message', undefined],
        ['responses', 'response', 'Be brief'],
      ],
    )
  })
})
