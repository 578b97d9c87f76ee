import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import { type Json, type JsonObject, list, object } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { Answered } from './media.ts'
import { createResource, readKept } from './resource.ts'
import { tuningRows } from './vertex-examples.ts'

const to = {
  ...targetOf('vertex_ai', 'gemini-2.5-flash'),
  values: { gcs_bucket: 'bucket/pre', gcs_endpoint: 'http://gcs' },
}
const base = 'https://p/v1/projects/p-1/locations/us-central1'
const run = (
  [method, path, query = '']: ['GET' | 'POST', string, string?],
  body: JsonObject,
  rounds: readonly (readonly Answered[])[],
) => {
  const ask = createResource({ id: 'fine_tuning', method, path, query, live: false, model: true })
  const told = converse(ask, 'vertex', to, body, rounds)
  const urls = told.sent.map(
    ({ method: how = 'POST', path: at, address }) =>
      `${how} ${address?.(`${base}/publishers/google`) ?? at}`,
  )
  return { ...told, urls }
}
const json = (value: Json) => [answered(value)]
const said = (value: string) => [answered(toUtf8(value))]
const missing: Answered = { ...answered({}), status: 404 }

const example = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ],
}
const asGoogle = {
  systemInstruction: { parts: [{ text: 'Be brief.' }] },
  contents: [
    { role: 'user', parts: [{ text: 'Hi' }] },
    { role: 'model', parts: [{ text: 'Hello' }] },
  ],
}
const job = {
  name: 'projects/p-1/locations/us-central1/tuningJobs/123',
  state: 'JOB_STATE_RUNNING',
  createTime: '2026-11-20T10:00:00Z',
  baseModel: 'gemini-2.5-flash',
  supervisedTuningSpec: {
    trainingDatasetUri: 'gs://bucket/pre/litellm-vertex-files/nobody-r-1/input.jsonl',
    hyperParameters: { epochCount: '3' },
  },
}
const note = { training_file: 'file_ours-1', metadata: { run: '7' }, suffix: 'mine' }

test('a job is made of what was uploaded, in Google’s words', () => {
  const {
    urls,
    bodies,
    json: told,
    dropped,
  } = run(
    ['POST', '/fine_tuning/jobs'],
    {
      model: 'public',
      training_file: 'file_ours-1',
      validation_file: 'gs://other/v.jsonl',
      suffix: 'mine',
      metadata: { run: '7' },
      seed: 4,
      hyperparameters: { n_epochs: 'auto', batch_size: 8 },
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 3, adapter_size: 4 } },
      },
    },
    [said(`${JSON.stringify(example)}\n\n`), json({}), json({}), json(job)],
  )
  const folder = 'nobody-r-1'
  const place = `http://gcs/upload/storage/v1/b/bucket/o?uploadType=media&name=${encodeURIComponent(`pre/litellm-vertex-files/${folder}/`)}`
  deepEqual(urls, [
    `GET http://gcs/storage/v1/b/bucket/o/${encodeURIComponent('pre/litellm-vertex-files/ours-1/asked.jsonl')}?alt=media`,
    `POST ${place}input.jsonl`,
    `POST ${place}batch.json`,
    `POST ${base}/tuningJobs`,
  ])
  deepEqual(bodies[3], {
    baseModel: 'gemini-2.5-flash',
    supervisedTuningSpec: {
      trainingDatasetUri: `gs://bucket/pre/litellm-vertex-files/${folder}/input.jsonl`,
      validationDatasetUri: 'gs://other/v.jsonl',
      hyperParameters: { epochCount: '3', adapterSize: 'ADAPTER_SIZE_FOUR' },
    },
    tunedModelDisplayName: 'mine',
  })
  equal(readKept(String(told['id']))?.id, 'ftjob-123')
  equal(readKept(String(told['training_file']))?.id, 'file_ours-1')
  deepEqual(
    [told['status'], told['created_at'], told['user_provided_suffix'], told['finished_at']],
    ['running', 1763632800 + 31536000, 'mine', null],
  )
  deepEqual(dropped, ['seed', 'hyperparameters.batch_size'])
})

describe('a job is told in OpenAI’s words', () => {
  const rows: [name: string, job: JsonObject, told: JsonObject][] = [
    [
      'done',
      {
        state: 'JOB_STATE_SUCCEEDED',
        endTime: '2026-11-20T11:00:00Z',
        tunedModel: { endpoint: 'projects/1/locations/l/endpoints/9' },
        tuningDataStats: { supervisedTuningDataStats: { totalBillableTokenCount: '1000' } },
      },
      {
        status: 'succeeded',
        fine_tuned_model: 'projects/1/locations/l/endpoints/9',
        trained_tokens: 3000,
        metadata: { run: '7' },
      },
    ],
    [
      'failed',
      { state: 'JOB_STATE_FAILED', error: { code: 3, message: 'bad data' } },
      {
        status: 'failed',
        error: { code: 'JOB_STATE_FAILED', message: 'bad data', param: null },
        trained_tokens: null,
      },
    ],
    ['waiting', { state: 'JOB_STATE_PENDING' }, { status: 'queued', fine_tuned_model: null }],
  ]
  for (const [name, more, expected] of rows)
    test(name, () => {
      const {
        json: told,
        urls,
        told: raw,
      } = run(['GET', '/fine_tuning/jobs/ftjob-123'], {}, [
        // An error of the job is none of the request's.
        said(JSON.stringify({ ...job, ...more })),
        json(note),
      ])
      equal(urls[0], `GET ${base}/tuningJobs/123`)
      for (const [key, value] of Object.entries(expected)) deepEqual(told[key], value, key)
      equal(raw.type === 'whole' && raw.job?.trained, told['trained_tokens'] ?? undefined)
    })

  test('stopped: the job is looked at again', () => {
    const { urls } = run(['POST', '/fine_tuning/jobs/ftjob-123/cancel'], {}, [
      json({}),
      json({ ...job, state: 'JOB_STATE_CANCELLED' }),
      [missing],
    ])
    deepEqual(urls.slice(0, 2), [
      `POST ${base}/tuningJobs/123:cancel`,
      `GET ${base}/tuningJobs/123`,
    ])
  })

  test('in a list, behind one', () => {
    const other = { name: 'x/tuningJobs/5', state: 'JOB_STATE_RUNNING' }
    const { json: told, urls } = run(['GET', '/fine_tuning/jobs', 'after=ftjob-5&limit=1'], {}, [
      json({ tuningJobs: [other, job, other] }),
      json(note),
    ])
    equal(urls[0], `GET ${base}/tuningJobs?pageSize=100`)
    deepEqual(
      [readKept(String(object(list(told['data'])[0])['id']))?.id, told['has_more']],
      ['ftjob-123', true],
    )
  })

  test('with its checkpoints', () => {
    const tunedModel = { checkpoints: [{ checkpointId: '1', step: '10', endpoint: 'e' }] }
    const { json: told } = run(['GET', '/fine_tuning/jobs/ftjob-123/checkpoints'], {}, [
      json({ ...job, tunedModel }),
    ])
    const [one] = list(told['data']).map(object)
    deepEqual([one?.['fine_tuned_model_checkpoint'], one?.['step_number']], ['e', 10])
  })
})

test('examples in Google’s words stay, those in OpenAI’s are told in them, with their tools', () => {
  const called = {
    messages: [
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'get', arguments: '{"a":1}' } },
        ],
      },
    ],
    tools: [{ type: 'function', function: { name: 'get', parameters: { type: 'object' } } }],
  }
  const lines = [asGoogle, example, called].map((one) => JSON.stringify(one))
  const [own, first, second] = tuningRows(lines.join('\n'), to)
  deepEqual(own, asGoogle)
  deepEqual(first, asGoogle)
  const answer = object(list(second?.['contents'])[1])
  const [part] = list(answer['parts']).map(object)
  deepEqual(Object.keys(part ?? {}), ['functionCall'])
  equal(Array.isArray(second?.['tools']), true)
})

describe('what is refused', () => {
  const create = (body: JsonObject, ...rounds: (readonly Answered[])[]) =>
    run(['POST', '/fine_tuning/jobs'], { training_file: 'file_ours-1', ...body }, rounds)
  const rows: [name: string, ask: () => unknown, error: object][] = [
    ['no file', () => create({ training_file: '' }), { param: 'training_file' }],
    ['a file that is gone', () => create({}, [missing]), { kind: 'not_found' }],
    ['a file that climbs', () => create({ training_file: 'file_../x' }), { kind: 'not_found' }],
    ['another method', () => create({ method: { type: 'dpo' } }), { param: 'method' }],
    [
      'a size there is not',
      () => create({ hyperparameters: { adapter_size: 5 } }),
      { param: 'hyperparameters.adapter_size' },
    ],
    [
      'a job that climbs',
      () => run(['GET', '/fine_tuning/jobs/..%2Fx'], {}, []),
      { kind: 'not_found' },
    ],
    [
      'events',
      () => run(['GET', '/fine_tuning/jobs/ftjob-1/events'], {}, []),
      { kind: 'not_offered' },
    ],
    [
      'no example',
      () => tuningRows('{"messages":[{"role":"user","content":"x"}]}', to),
      { message: /^line 1 of the file.*assistant/ },
    ],
    ['no JSON', () => tuningRows('\n{', to), { message: /^line 2 / }],
    ['nothing', () => tuningRows('\n', to), { param: 'file' }],
  ]
  for (const [name, ask, error] of rows) test(name, () => throws(ask, error))
})
