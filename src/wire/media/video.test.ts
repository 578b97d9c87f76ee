import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, kindOf, targetOf } from '../../../test/support/exchange.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { filmUnits, resolutionOf } from './job.ts'
import type { Answered } from './media.ts'
import { createResource, keptId, readKept } from './resource.ts'
import type { Upload } from './upload.ts'

const kept = answered({})
const gone: Answered = { ...answered({}), status: 404 }
const shelf = (value: JsonObject): Answered => answered(value)

const operation = (method: 'GET' | 'POST' | 'DELETE', path: string, query = '') =>
  createResource({ id: 'video', method, path, query, live: path.endsWith('/content'), model: true })

const ask = (more: JsonObject = {}): JsonObject => ({ model: 'public', prompt: 'a cat', ...more })

const picture = (bytes: Uint8Array): Partial<Upload> => ({
  complete: true,
  file: (name) =>
    name === 'input_reference' ? { name: 'cat.png', mime: 'image/png', bytes } : undefined,
})

type Begun = {
  name: string
  wire: string
  provider: string
  model: string
  body?: JsonObject
  upload?: Partial<Upload>
  answer: JsonObject
  path: string
  sent: Json
  id: string
  seconds: string
  units: object
  dropped?: string[]
}
const vertexName =
  'projects/p/locations/us-central1/publishers/google/models/veo-3.1-generate-001/operations/o-1'
const begun: Begun[] = [
  {
    name: 'Veo takes the form and the sharpness apart, and makes eight seconds where nothing is said',
    wire: 'veo',
    provider: 'gemini',
    model: 'veo-3.1-generate-preview',
    body: { size: '1920x1080', negativePrompt: 'dogs', custom_llm_provider: 'gemini' },
    answer: { name: 'models/veo-3.1-generate-preview/operations/o1' },
    path: '/models/veo-3.1-generate-preview:predictLongRunning',
    sent: {
      instances: [{ prompt: 'a cat' }],
      parameters: { aspectRatio: '16:9', resolution: '1080p', negativePrompt: 'dogs' },
    },
    id: 'video_models/veo-3.1-generate-preview/operations/o1',
    seconds: '8',
    units: { seconds: 8, resolution: '1080p' },
  },
  {
    name: 'Veo begins with a picture, and several films are paid for each',
    wire: 'vertex-veo',
    provider: 'vertex_ai',
    model: 'veo-3.1-generate-001',
    body: {
      seconds: '4',
      lastFrame: { gcsUri: 'gs://b/last.png' },
      parameters: { sampleCount: 2, generateAudio: false },
      labels: { team: 'x' },
    },
    upload: picture(new Uint8Array([1, 2, 3])),
    answer: { name: vertexName },
    path: '/models/veo-3.1-generate-001:predictLongRunning',
    sent: {
      instances: [
        {
          prompt: 'a cat',
          image: { bytesBase64Encoded: 'AQID', mimeType: 'image/png' },
          lastFrame: { gcsUri: 'gs://b/last.png' },
        },
      ],
      parameters: { durationSeconds: 4, sampleCount: 2, generateAudio: false },
      labels: { team: 'x' },
    },
    id: `video_${vertexName}`,
    seconds: '4',
    units: { seconds: 8 },
  },
  {
    name: 'Veo 2 has no word for sharpness, and no form but two',
    wire: 'veo',
    provider: 'gemini',
    model: 'veo-2.0-generate-001',
    body: { size: '1024x1792' },
    answer: { name: 'models/veo-2.0-generate-001/operations/o1' },
    path: '/models/veo-2.0-generate-001:predictLongRunning',
    sent: { instances: [{ prompt: 'a cat' }] },
    id: 'video_models/veo-2.0-generate-001/operations/o1',
    seconds: '8',
    units: { seconds: 8 },
    dropped: ['size'],
  },
  {
    name: 'Runway makes films of a text',
    wire: 'runway',
    provider: 'runwayml',
    model: 'gen4.5',
    body: { size: '1280x720', seconds: 5, seed: 7 },
    answer: { id: 'task-1' },
    path: '/text_to_video',
    sent: { model: 'gen4.5', promptText: 'a cat', ratio: '1280:720', duration: 5, seed: 7 },
    id: 'video_task-1',
    seconds: '5',
    units: { seconds: 5, resolution: '720p' },
  },
  {
    name: 'Runway makes films of a picture',
    wire: 'runway',
    provider: 'runwayml',
    model: 'gen4_turbo',
    body: { input_reference: { image_url: 'https://x/cat.png' } },
    answer: { id: 'task-1' },
    path: '/image_to_video',
    sent: {
      model: 'gen4_turbo',
      promptText: 'a cat',
      promptImage: 'https://x/cat.png',
      ratio: '1280:720',
      duration: 4,
    },
    id: 'video_task-1',
    seconds: '4',
    units: { seconds: 4, resolution: '720p' },
  },
  {
    name: 'Runway makes films of a film',
    wire: 'runway',
    provider: 'runwayml',
    model: 'aleph2',
    body: { videoUri: 'https://x/cat.mp4', ratio: '1584:672' },
    answer: { id: 'task-1' },
    path: '/video_to_video',
    sent: {
      model: 'aleph2',
      promptText: 'a cat',
      ratio: '1584:672',
      videoUri: 'https://x/cat.mp4',
    },
    id: 'video_task-1',
    seconds: '4',
    units: { seconds: 4, resolution: '720p' },
  },
  {
    name: 'fal queues a request, and finds it below the first two steps of the path',
    wire: 'fal',
    provider: 'fal_ai',
    model: 'bytedance/seedance-2.0/image-to-video',
    body: { size: '1280x720', seconds: '6', input_reference: 'https://x/cat.png', seed: 7 },
    answer: { request_id: 'r1', status: 'IN_QUEUE' },
    path: '/bytedance/seedance-2.0/image-to-video',
    sent: {
      prompt: 'a cat',
      resolution: '720p',
      aspect_ratio: '16:9',
      duration: '6',
      image_url: 'https://x/cat.png',
      seed: 7,
    },
    id: 'video_bytedance/seedance-2.0/requests/r1',
    seconds: '6',
    units: { seconds: 6, resolution: '720p' },
  },
  {
    name: 'fal’s families spell it in their own ways',
    wire: 'fal',
    provider: 'fal_ai',
    model: 'minimax/h3/reference-to-video',
    body: { size: '1366x768', seconds: 6, input_reference: 'https://x/cat.png' },
    answer: { request_id: 'r1' },
    path: '/minimax/h3/reference-to-video',
    sent: {
      prompt: 'a cat',
      resolution: '768P',
      duration: 6,
      reference_image_urls: ['https://x/cat.png'],
    },
    id: 'video_minimax/h3/requests/r1',
    seconds: '6',
    units: { seconds: 6, resolution: '768p' },
  },
  {
    name: 'what fal makes where nothing is said',
    wire: 'fal',
    provider: 'fal_ai',
    model: 'fal-ai/veo3',
    body: { duration: '8s' },
    answer: { request_id: 'r1' },
    path: '/fal-ai/veo3',
    sent: { prompt: 'a cat', duration: '8s' },
    id: 'video_fal-ai/veo3/requests/r1',
    seconds: '8',
    units: { seconds: 8, resolution: '720p' },
  },
]
describe('a film is begun', () => {
  for (const row of begun)
    test(row.name, () => {
      const { sent, bodies, json, told, dropped } = converse(
        operation('POST', '/videos'),
        row.wire,
        targetOf(row.provider, row.model),
        ask(row.body),
        [[answered(row.answer)], [kept]],
        // The rest of an upload is not asked for.
        row.upload ? { upload: row.upload as Upload } : {},
      )
      equal(sent[0]?.path, row.path)
      deepEqual(bodies[0], row.sent)
      deepEqual(readKept(String(json['id'])), { id: row.id, keeper: 'd-1' })
      deepEqual(
        [json['object'], json['status'], json['model'], json['seconds'], json['created_at']],
        ['video', 'queued', 'public', row.seconds, 1_700_000_000],
      )
      const job = told.type === 'whole' ? told.job : undefined
      deepEqual([job?.id, job?.fresh, job?.ended, job?.model], [row.id, true, false, row.model])
      deepEqual(job?.units, row.units)
      deepEqual(dropped, row.dropped ?? [])
      // What the client said in words stays with the client.
      const note = sent.at(-1)?.shelf
      deepEqual(note && 'save' in note && note.text.includes('cat'), false)
    })

  const refused: [name: string, wire: string, body: JsonObject, message: RegExp][] = [
    ['nothing to go by', 'veo', { prompt: '' }, /'prompt'/],
    ['a length that is none', 'runway', { seconds: '-1' }, /'seconds' must be/],
    ['a size that is none', 'fal', { size: 'large' }, /like '1280x720'/],
    [
      'a picture that is elsewhere',
      'veo',
      { input_reference: 'https://x/cat.png' },
      /fetches no pictures/,
    ],
    ['a file of OpenAI’s', 'runway', { input_reference: { file_id: 'file-1' } }, /as image_url/],
  ]
  for (const [name, wire, body, message] of refused)
    test(`refused: ${name}`, () => {
      throws(
        () => converse(operation('POST', '/videos'), wire, targetOf('x', 'veo-3'), ask(body), []),
        { kind: 'bad_request', message },
      )
    })
})

const note = {
  model: 'public',
  created_at: 1_600_000_000,
  seconds: '8',
  size: '1280x720',
  resolution: '720p',
}
const gemini = 'models/veo-3.1-generate-preview/operations/o1'
const fal = 'fal-ai/veo3/requests/r1'
const sample = (uri: string) => ({ video: { uri } })
type Looked = {
  name: string
  wire: string
  id: string
  rounds: Answered[]
  paths: string[]
  status: string
  progress?: number
  units?: object | undefined
  error?: Json
}
const done = (response: JsonObject): Answered => answered({ name: gemini, done: true, response })
const looked: Looked[] = [
  {
    name: 'Veo is at work',
    wire: 'veo',
    id: gemini,
    rounds: [answered({ name: gemini, metadata: { createTime: '2020-09-13T12:26:40Z' } })],
    paths: [`/${gemini}`],
    status: 'in_progress',
    units: { seconds: 8, resolution: '720p' },
  },
  {
    name: 'Veo has made two films',
    wire: 'veo',
    id: gemini,
    rounds: [done({ generateVideoResponse: { generatedSamples: [sample('a'), sample('b')] } })],
    paths: [`/${gemini}`],
    status: 'completed',
    progress: 100,
    units: { seconds: 16, resolution: '720p' },
  },
  {
    name: 'Vertex AI is asked by the model of the operation',
    wire: 'vertex-veo',
    id: vertexName,
    rounds: [answered({ done: true, response: { videos: [{ bytesBase64Encoded: 'AA' }] } })],
    paths: ['/models/veo-3.1-generate-001:fetchPredictOperation'],
    status: 'completed',
    progress: 100,
    units: { seconds: 8, resolution: '720p' },
  },
  {
    name: 'a film that was filtered costs nothing, and says why',
    wire: 'veo',
    id: gemini,
    rounds: [
      done({
        generateVideoResponse: {
          raiMediaFilteredCount: 1,
          raiMediaFilteredReasons: ['a celebrity'],
        },
      }),
    ],
    paths: [`/${gemini}`],
    status: 'failed',
    error: { code: 'content_policy_violation', message: 'a celebrity' },
  },
  {
    name: 'an operation that failed is no failed request',
    wire: 'veo',
    id: gemini,
    rounds: [answered({ done: true, error: { code: 13, message: 'internal' } })],
    paths: [`/${gemini}`],
    status: 'failed',
    error: { code: '13', message: 'internal' },
  },
  {
    name: 'a task of Runway’s in the middle',
    wire: 'runway',
    id: 'task-1',
    rounds: [answered({ id: 'task-1', status: 'RUNNING', progress: 0.42 })],
    paths: ['/tasks/task-1'],
    status: 'in_progress',
    progress: 42,
    units: { seconds: 8, resolution: '720p' },
  },
  {
    name: 'a task of Runway’s that failed',
    wire: 'runway',
    id: 'task-1',
    rounds: [answered({ status: 'FAILED', failure: 'no', failureCode: 'SAFETY.INPUT' })],
    paths: ['/tasks/task-1'],
    status: 'failed',
    error: { code: 'SAFETY.INPUT', message: 'no' },
  },
  {
    name: 'fal’s result tells that it is there',
    wire: 'fal',
    id: fal,
    rounds: [answered({ status: 'COMPLETED' }), answered({ video: { url: 'https://x' } })],
    paths: [`/${fal}/status`, `/${fal}`],
    status: 'completed',
    progress: 100,
    units: { seconds: 8, resolution: '720p' },
  },
  {
    name: 'fal’s result tells that it failed',
    wire: 'fal',
    id: fal,
    rounds: [
      answered({ status: 'COMPLETED' }),
      { ...answered({ detail: [{ msg: 'too odd', type: 'value_error' }] }), status: 422 },
    ],
    paths: [`/${fal}/status`, `/${fal}`],
    status: 'failed',
    error: { code: 'value_error', message: 'too odd' },
  },
  {
    name: 'a server of fal’s that is down says nothing about the film',
    wire: 'fal',
    id: fal,
    rounds: [
      answered({ status: 'COMPLETED' }),
      { ...answered(toUtf8('<html>'), { 'content-type': 'text/html' }), status: 502 },
    ],
    paths: [`/${fal}/status`, `/${fal}`],
    status: 'in_progress',
    progress: 99,
    units: { seconds: 8, resolution: '720p' },
  },
]
describe('a film is looked at', () => {
  for (const row of looked)
    test(row.name, () => {
      const inner = `video_${row.id}`
      const { sent, json, told } = converse(
        operation('GET', `/videos/${encodeURIComponent(inner)}`),
        row.wire,
        targetOf('x', 'm'),
        {},
        [...row.rounds.map((one) => [one]), [shelf(note)]],
      )
      deepEqual(
        sent.filter((one) => !one.shelf).map(({ path }) => path),
        row.paths,
      )
      deepEqual(
        [json['id'], json['status'], json['progress'], json['error'], json['created_at']],
        [keptId(inner, 'd-1'), row.status, row.progress ?? 0, row.error ?? null, 1_600_000_000],
      )
      const job = told.type === 'whole' ? told.job : undefined
      deepEqual(job?.units, row.units)
      equal(job?.ended, /completed|failed/.test(row.status))
    })

  test('what nobody remembers is told all the same', () => {
    const { json } = converse(
      operation('GET', '/videos/video_task-1'),
      'runway',
      targetOf('runwayml', 'm'),
      {},
      [[answered({ status: 'SUCCEEDED', output: ['https://x'] })], [gone]],
    )
    deepEqual([json['status'], json['seconds'], json['size']], ['completed', null, null])
  })

  const strange: [wire: string, id: string][] = [
    ['veo', 'video_models/../../v1/secrets/operations/o'],
    ['veo', 'video_models/m/operations/..'],
    ['vertex-veo', 'video_projects/p/locations/l/publishers/other/models/m/operations/o'],
    ['runway', 'video_a/b'],
    ['runway', 'task-1'],
    ['fal', 'video_a/../requests/r'],
    ['fal', 'video_a/b/c/d/requests/r'],
  ]
  for (const [wire, id] of strange)
    test(`an id of nobody’s leads nowhere: ${id}`, () => {
      equal(
        kindOf(() =>
          converse(
            operation('GET', `/videos/${encodeURIComponent(id)}`),
            wire,
            targetOf('x', 'm'),
            {},
            [],
          ),
        ),
        'not_found',
      )
    })
})

describe('a film is fetched', () => {
  const film = answered(new Uint8Array([1, 2]), { 'content-type': 'video/mp4' })
  const video = (one: JsonObject) => answered({ done: true, response: { videos: [one] } })
  const rows: [name: string, wire: string, id: string, rounds: Answered[], last: object][] = [
    [
      'Google’s file by its name, wherever its address leads',
      'veo',
      gemini,
      [
        done({
          generateVideoResponse: {
            generatedSamples: [sample('https://elsewhere/v1beta/files/abc:download?alt=media')],
          },
        }),
        film,
      ],
      { path: '/files/abc:download?alt=media' },
    ],
    [
      'from a bucket',
      'vertex-veo',
      vertexName,
      [video({ gcsUri: 'gs://b/dir/a.mp4' }), film],
      { home: 'https://storage.googleapis.com/storage/v1/b/b/o/dir%2Fa.mp4?alt=media' },
    ],
    [
      'from where Runway put it, without a credential',
      'runway',
      'task-1',
      [answered({ status: 'SUCCEEDED', output: ['https://cdn/a.mp4'] }), film],
      { path: 'https://cdn/a.mp4', open: true },
    ],
    [
      'from where fal put it, without a credential',
      'fal',
      fal,
      [answered({ video: { url: 'https://cdn/a.mp4' } }), film],
      { path: 'https://cdn/a.mp4', open: true },
    ],
  ]
  for (const [name, wire, id, rounds, last] of rows)
    test(name, () => {
      const { sent, told } = converse(
        operation('GET', `/videos/${encodeURIComponent(`video_${id}`)}/content`),
        wire,
        targetOf('x', 'm'),
        {},
        rounds.map((one) => [one]),
      )
      const asked = sent.at(-1)
      equal(asked?.live, true)
      deepEqual({ ...asked, ...last }, asked)
      equal(told.mime, 'video/mp4')
    })

  test('Vertex AI’s bytes, the second film by its index', () => {
    const two = [{ bytesBase64Encoded: 'AQ==' }, { bytesBase64Encoded: 'Ag==', mimeType: 'v/2' }]
    const { told } = converse(
      operation('GET', `/videos/${encodeURIComponent(`video_${vertexName}`)}/content`, 'index=1'),
      'vertex-veo',
      targetOf('x', 'm'),
      {},
      [[answered({ done: true, response: { videos: two } })]],
    )
    equal(told.mime, 'v/2')
    const bytes = told.type === 'whole' ? told.encode(undefined) : undefined
    deepEqual(bytes instanceof Uint8Array && [...bytes], [2])
  })

  const early: [name: string, wire: string, id: string, answer: Answered, kind: string][] = [
    ['not ready', 'veo', gemini, answered({ name: gemini }), 'bad_request'],
    ['failed', 'runway', 'task-1', answered({ status: 'FAILED' }), 'not_found'],
    ['no such film', 'fal', fal, answered({}), 'bad_request'],
  ]
  for (const [name, wire, id, answer, kind] of early)
    test(`refused: ${name}`, () => {
      equal(
        kindOf(() =>
          converse(
            operation('GET', `/videos/${encodeURIComponent(`video_${id}`)}/content`),
            wire,
            targetOf('x', 'm'),
            {},
            [[answer]],
          ),
        ),
        kind,
      )
    })
})

test('what a provider has no words for is refused by name', () => {
  const rows: ['GET' | 'POST' | 'DELETE', string, string, RegExp][] = [
    ['GET', '/videos', 'veo', /no list of films/],
    ['POST', '/videos/video_task-1/remix', 'runway', /ask for a new one/],
    ['DELETE', `/videos/${encodeURIComponent(`video_${gemini}`)}`, 'veo', /forgets them by itself/],
  ]
  for (const [method, path, wire, message] of rows)
    throws(() => converse(operation(method, path), wire, targetOf('x', 'm'), {}, []), {
      kind: 'not_offered',
      message,
    })
})

test('Runway’s tasks are deleted', () => {
  const { sent, json } = converse(
    operation('DELETE', '/videos/video_task-1'),
    'runway',
    targetOf('runwayml', 'm'),
    {},
    [[answered({})], [kept]],
  )
  deepEqual([sent[0]?.method, sent[0]?.path], ['DELETE', '/tasks/task-1'])
  deepEqual([json['object'], json['deleted']], ['video.deleted', true])
})

test('films are sold by their area', () => {
  const sizes: [string, string | undefined][] = [
    ['1280x720', '720p'],
    ['720:1280', '720p'],
    ['960x960', '720p'],
    ['1584:672', '720p'],
    ['640x640', '480p'],
    ['1920x1080', '1080p'],
    ['1792x1024', '1080p'],
    ['3840x2160', '4k'],
    ['4K', '4k'],
    ['768P', '768p'],
    ['auto', undefined],
    ['', undefined],
  ]
  for (const [size, resolution] of sizes) equal(resolutionOf(size), resolution, size)
  deepEqual(filmUnits({ seconds: '8', size: '1280x720' }), { seconds: 8, resolution: '720p' })
  deepEqual(filmUnits({ seconds: -1, size: null }), {})
})
