import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { before, beforeEach, describe, test } from 'node:test'
import { lookAtJobs } from '../src/gateway/jobs.ts'
import { type JsonObject, object } from '../src/json/json.ts'
import type { Entry } from '../src/ledger/ledger.ts'
import { eventually, type Gateway, openaiRow, startGateway } from './support/gateway.ts'
import {
  fileScope,
  type Provider,
  refusal,
  startProvider,
  stream,
  whole,
} from './support/provider.ts'

/** What providers go on working at is paid for once, when it is over. */
const scope = fileScope()
const key = 'sk-master-key-of-the-tests'
let provider: Provider
let gateway: Gateway
const entries: Entry[] = []
const paid = () =>
  entries.filter(({ requestId }) => /^(video|assistants|fine_tuning)-/.test(requestId))

before(async () => {
  provider = await startProvider(scope, () => whole({}))
  const row = (name: string, model: string, base: string, more: JsonObject = {}): JsonObject => ({
    model_name: name,
    litellm_params: { model, api_key: 'sk-upstream', api_base: base, ...more },
    model_info: { id: `${name}-row` },
  })
  gateway = await startGateway(scope, {
    general: { master_key: key },
    models: [
      openaiRow('sora', provider, { model: 'openai/sora-2-pro' }),
      openaiRow('mini', provider, { model: 'openai/gpt-4o-mini' }),
      {
        ...openaiRow('tuned', provider, { model: 'openai/gpt-4o-mini' }),
        model_info: { training_cost_per_token: 0.000003 },
      },
      row('veo', 'gemini/veo-3.1-fast-generate-preview', `${provider.origin}/v1beta`),
      row('runway', 'runwayml/gen4_turbo', provider.base),
      row('eden', 'edenai/video/some-model', provider.base),
      row('openai/*', 'openai/*', provider.base),
      row('runwayml/*', 'runwayml/*', provider.base),
      row('fal', 'fal_ai/bytedance/seedance-2.0/text-to-video', provider.origin),
      row('own', 'openai/our-film-model', provider.base, { output_cost_per_second: 0.01 }),
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
  entries.length = 0
  provider.asked.length = 0
})

const jsonOf = async (response: Response): Promise<JsonObject> => {
  const said = await response.text()
  equal(response.status, 200, said)
  return object(JSON.parse(said))
}
const get = async (path: string) => jsonOf(await gateway.get(path))
const post = async (path: string, body: JsonObject) => jsonOf(await gateway.post(path, body))
const remove = (path: string) =>
  fetch(gateway.url + path, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } })

describe('films', () => {
  const film = (more: JsonObject): JsonObject => ({
    id: 'video_1',
    object: 'video',
    model: 'sora-2-pro',
    status: 'queued',
    progress: 0,
    seconds: '8',
    size: '1280x720',
    created_at: 1,
    ...more,
  })
  type Row = {
    name: string
    model: string
    body?: JsonObject
    begun: JsonObject
    done: (path: string) => JsonObject
    dollars: number
    upstream: string
  }
  const rows: Row[] = [
    {
      name: 'OpenAI’s, at its price for a second',
      model: 'sora',
      begun: film({ id: 'video_a' }),
      done: () => film({ id: 'video_a', status: 'completed' }),
      dollars: 2.4,
      upstream: 'sora-2-pro',
    },
    {
      name: 'a larger one, at the price for larger ones',
      model: 'sora',
      body: { size: '1792x1024' },
      begun: film({ id: 'video_b', size: '1792x1024' }),
      done: () => film({ id: 'video_b', size: '1792x1024', status: 'completed' }),
      dollars: 4,
      upstream: 'sora-2-pro',
    },
    {
      name: 'one that does not say how long it is, by what was asked',
      model: 'own',
      body: { seconds: '8' },
      begun: { id: 'video_c', object: 'video', status: 'queued', seconds: '8' },
      done: () => ({ id: 'video_c', object: 'video', status: 'completed' }),
      dollars: 0.08,
      upstream: 'our-film-model',
    },
    {
      name: 'Veo’s, all that were made, at the price of their sharpness',
      model: 'veo',
      body: { size: '1920x1080', seconds: 8, parameters: { sampleCount: 2 } },
      begun: { name: 'models/veo-3.1-fast-generate-preview/operations/o1' },
      done: () => ({
        done: true,
        response: {
          generateVideoResponse: {
            generatedSamples: [{ video: { uri: 'files/a' } }, { video: { uri: 'files/b' } }],
          },
        },
      }),
      dollars: 1.92,
      upstream: 'veo-3.1-fast-generate-preview',
    },
    {
      name: 'Eden AI’s, by what it says that it charged',
      model: 'eden',
      begun: film({ id: 'video_eden', model: 'some-model' }),
      done: () => film({ id: 'video_eden', model: 'some-model', status: 'completed', cost: 0.375 }),
      dollars: 0.375,
      upstream: 'some-model',
    },
    {
      name: 'one of a wildcard’s, in OpenAI’s words',
      model: 'openai/sora-2',
      begun: film({ id: 'video_w1', model: 'sora-2' }),
      done: () => film({ id: 'video_w1', model: 'sora-2', status: 'completed' }),
      dollars: 0.8,
      upstream: 'sora-2',
    },
    {
      name: 'one of a wildcard’s, in Runway’s',
      model: 'runwayml/gen4_turbo',
      body: { input_reference: 'https://x/cat.png', seconds: 10 },
      begun: { id: 'task-w' },
      done: () => ({ id: 'task-w', status: 'SUCCEEDED', output: ['https://x/a.mp4'] }),
      dollars: 0.5,
      upstream: 'gen4_turbo',
    },
    {
      name: 'Runway’s',
      model: 'runway',
      body: { input_reference: 'https://x/cat.png' },
      begun: { id: 'task-1' },
      done: () => ({ id: 'task-1', status: 'SUCCEEDED', output: ['https://x/a.mp4'] }),
      dollars: 0.2,
      upstream: 'gen4_turbo',
    },
    {
      name: 'fal’s',
      model: 'fal',
      body: { seconds: '5', size: '1920x1080' },
      begun: { request_id: 'r1' },
      done: (path) =>
        path.endsWith('/status') ? { status: 'COMPLETED' } : { video: { url: 'https://x/a.mp4' } },
      dollars: 3.41,
      upstream: 'bytedance/seedance-2.0/text-to-video',
    },
  ]
  for (const { name, model, body, begun, done, dollars, upstream } of rows)
    test(name, async () => {
      provider.tell(() => whole(begun))
      const made = await post('/v1/videos', { model, prompt: 'a cat', ...body })
      equal(made['status'], 'queued')
      await lookAtJobs(gateway.running.rooms)
      equal(paid().length, 0, 'it is not over')
      provider.tell(({ path }) => whole(done(path)))
      const looks = await Promise.all(
        Array.from({ length: 4 }, () => get(`/v1/videos/${made['id']}`)),
      )
      ok(looks.every(({ status }) => status === 'completed'))
      await lookAtJobs(gateway.running.rooms)
      const all = paid()
      equal(all.length, 1, 'once, however often it is asked')
      const [entry] = all
      equal((entry?.nanoDollars ?? 0) / 1e9, dollars)
      deepEqual(
        [entry?.operation, entry?.model, entry?.upstreamModel, entry?.priced],
        ['avideo_generation', model, upstream, true],
      )
      ok(entries.every((one) => one === entry || one.nanoDollars === 0))
    })

  test('nobody looks: it is settled all the same', async () => {
    provider.tell(() => whole(film({ id: 'video_d' })))
    await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(() => whole(film({ id: 'video_d', status: 'completed' })))
    await lookAtJobs(gateway.running.rooms)
    equal(paid()[0]?.nanoDollars, 2.4e9)
  })

  test('one that failed costs nothing, and is not looked at again', async () => {
    provider.tell(() => whole(film({ id: 'video_e' })))
    const made = await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(() => whole(film({ id: 'video_e', status: 'failed' })))
    await get(`/v1/videos/${made['id']}`)
    provider.asked.length = 0
    await lookAtJobs(gateway.running.rooms)
    deepEqual([paid().length, provider.asked.length], [0, 0])
  })

  test('deleted before anybody looked: paid for first', async () => {
    provider.tell(() => whole(film({ id: 'video_f' })))
    const made = await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(({ method }) =>
      whole(
        method === 'DELETE'
          ? { id: 'video_f', object: 'video.deleted', deleted: true }
          : film({ id: 'video_f', status: 'completed' }),
      ),
    )
    equal((await remove(`/v1/videos/${made['id']}`)).status, 200)
    deepEqual(
      provider.asked.map(({ method }) => method),
      ['POST', 'GET', 'DELETE'],
    )
    equal(paid()[0]?.nanoDollars, 2.4e9)
  })

  test('gone at the provider: given up, and said in the log', async () => {
    provider.tell(() => whole(film({ id: 'video_g' })))
    await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(() => refusal(404, { message: 'no such video' }))
    await lookAtJobs(gateway.running.rooms)
    match(gateway.logged(), /a job is gone at its provider/)
    provider.asked.length = 0
    await lookAtJobs(gateway.running.rooms)
    deepEqual([paid().length, provider.asked.length], [0, 0])
  })

  test('a provider that is down is asked again', async () => {
    provider.tell(() => whole(film({ id: 'video_h' })))
    await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(() => refusal(500, { message: 'down' }))
    await lookAtJobs(gateway.running.rooms)
    equal(paid().length, 0)
    provider.tell(() => whole(film({ id: 'video_h', status: 'completed' })))
    await lookAtJobs(gateway.running.rooms)
    equal(paid().length, 1)
  })

  test('a film of a provider’s own host is fetched with no credential, and no other host is asked', async () => {
    provider.tell(() => whole({ id: 'task-2' }))
    const made = await post('/v1/videos', { model: 'runway', prompt: 'a cat' })
    let url = `${provider.origin}/films/a.mp4?sig=1`
    provider.tell(({ path }) =>
      path.startsWith('/films')
        ? whole(new Uint8Array([1, 2, 3]), { headers: { 'content-type': 'video/mp4' } })
        : whole({ id: 'task-2', status: 'SUCCEEDED', output: [url] }),
    )
    const content = await gateway.get(`/v1/videos/${made['id']}/content`)
    equal(content.headers.get('content-type'), 'video/mp4')
    deepEqual([...new Uint8Array(await content.arrayBuffer())], [1, 2, 3])
    const { path, headers } = provider.last()
    deepEqual([path, headers.authorization], ['/films/a.mp4?sig=1', undefined])
    url = 'http://127.0.0.2:9/a.mp4'
    const refused = await gateway.get(`/v1/videos/${made['id']}/content`)
    equal(refused.status, 502)
    match(await refused.text(), /an address that is not its own/)
  })
})

describe('films of films', () => {
  const body = { prompt: 'and on', seconds: '4' }
  const told = (id: string, more: JsonObject) =>
    whole({ id, object: 'video', model: 'sora-2-pro', status: 'queued', ...more })
  test('one that goes on is made where the first one is, and pays for what was added', async () => {
    provider.tell(() => told('video_x1', { seconds: '8' }))
    const first = await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    provider.tell(() => told('video_x2', { seconds: '12' }))
    const next = await post('/v1/videos/extensions', { ...body, video: { id: first['id'] } })
    deepEqual(provider.asked.at(-1)?.json, { ...body, video: { id: 'video_x1' } })
    provider.tell(() => told('video_x2', { seconds: '12', status: 'completed' }))
    await get(`/v1/videos/${next['id']}`)
    equal(paid()[0]?.nanoDollars, 1.2e9)
    const changed = { prompt: 'in red', video: { id: first['id'] } }
    provider.tell(() => told('video_x3', { seconds: '8' }))
    const edited = await post('/v1/videos/edits', changed)
    provider.tell(() => told('video_x3', { seconds: '8', status: 'completed' }))
    await get(`/v1/videos/${edited['id']}`)
    equal(paid()[1]?.nanoDollars, 2.4e9)
  })

  test('another’s film is no beginning', async () => {
    const { key: other } = await post('/key/generate', {})
    provider.tell(() => told('video_x4', { seconds: '8' }))
    const first = await post('/v1/videos', { model: 'sora', prompt: 'a cat' })
    const asked = provider.asked.length
    for (const path of ['/v1/videos/extensions', '/v1/videos/edits']) {
      const headers = { authorization: `Bearer ${other}` }
      const refused = await gateway.post(path, { ...body, video: { id: first['id'] } }, headers)
      equal(refused.status, 404)
    }
    const cast = { model: 'sora', prompt: 'x', characters: [{ id: 'char_of_nobody' }] }
    const headers = { authorization: `Bearer ${other}` }
    equal((await gateway.post('/v1/videos', cast, headers)).status, 404)
    equal(provider.asked.length, asked)
  })

  test('a character is no film, and costs nothing by itself', async () => {
    provider.tell(() => whole({ id: 'char_1', object: 'character', name: 'Luna' }))
    const form = new FormData()
    form.append('name', 'Luna')
    form.append('video', new Blob(['film'], { type: 'video/mp4' }), 'luna.mp4')
    const made = await jsonOf(
      await fetch(`${gateway.url}/v1/videos/characters`, {
        method: 'POST',
        body: form,
        headers: { authorization: `Bearer ${key}`, 'x-litellm-model': 'sora' },
      }),
    )
    ok(!provider.asked.at(-1)?.text.includes('name="model"'))
    await get(`/v1/videos/characters/${made['id']}`)
    equal(provider.asked.at(-1)?.path, '/v1/videos/characters/char_1')
    provider.tell(() => told('video_x5', { seconds: '8' }))
    await post('/v1/videos', { model: 'sora', prompt: 'x', characters: [{ id: made['id'] }] })
    deepEqual(provider.asked.at(-1)?.json['characters'], [{ id: 'char_1' }])
    provider.tell(() => whole({}))
  })
})

test('a film is its maker’s, who pays for it; another key finds nothing', async () => {
  const keyOf = async () => String((await post('/key/generate', {}))['key'])
  const [maker, other] = [await keyOf(), await keyOf()]
  const as = (token: string) => ({ authorization: `Bearer ${token}` })
  provider.tell(() => whole({ name: 'models/veo-3.1-fast-generate-preview/operations/mine' }))
  const body = { model: 'veo', prompt: 'a cat', seconds: '8' }
  const made = await jsonOf(await gateway.post('/v1/videos', body, as(maker)))
  provider.tell(() => whole({ done: true, response: { videos: [{ bytesBase64Encoded: 'AQ==' }] } }))
  const place = `/v1/videos/${made['id']}`
  const asked = provider.asked.length
  for (const path of [place, `${place}/content`])
    equal((await gateway.get(path, as(other))).status, 404)
  equal(provider.asked.length, asked)
  const told = await jsonOf(await gateway.get(place, as(maker)))
  deepEqual([told['status'], told['seconds'], told['model']], ['completed', '8', 'veo'])
  const content = await gateway.get(`${place}/content`, as(maker))
  deepEqual([...new Uint8Array(await content.arrayBuffer())], [1])
  const spendOf = async (token: string) =>
    object((await get(`/key/info?key=${token}`))['info'])['spend']
  let spent: unknown
  await eventually(() => {
    void spendOf(maker).then((said) => {
      spent = said
    })
    return spent === 0.8
  })
  equal(await spendOf(other), 0)
})

describe('runs of assistants', () => {
  const run = (more: JsonObject): JsonObject => ({
    id: 'run_1',
    object: 'thread.run',
    thread_id: 'thread_1',
    model: 'gpt-4o-mini',
    status: 'queued',
    usage: null,
    ...more,
  })
  const usage = { prompt_tokens: 1_000_000, completion_tokens: 1_000_000, total_tokens: 2_000_000 }
  const begin = (id: string, body: JsonObject = {}) =>
    gateway.post('/v1/threads/thread_1/runs?model=mini', { assistant_id: 'asst_1', id, ...body })

  for (const status of ['completed', 'failed', 'cancelled', 'expired', 'incomplete'])
    test(`polled until ${status}: what its usage says`, async () => {
      const id = `run_${status}`
      provider.tell(() => whole(run({ id })))
      const made = await jsonOf(await begin(id))
      provider.tell(() => whole(run({ id, status: 'in_progress' })))
      await get(`/v1/threads/thread_1/runs/${made['id']}`)
      equal(paid().length, 0)
      provider.tell(() => whole(run({ id, status, usage })))
      await get(`/v1/threads/thread_1/runs/${made['id']}`)
      await get(`/v1/threads/thread_1/runs/${made['id']}`)
      await lookAtJobs(gateway.running.rooms)
      equal(provider.asked[1]?.path, `/v1/threads/thread_1/runs/${id}`)
      deepEqual(
        paid().map(({ operation, nanoDollars }) => [operation, nanoDollars]),
        [['arun_thread', 0.75e9]],
      )
    })

  const events = (...runs: JsonObject[]) =>
    stream([
      ...runs.map((one) => `event: thread.run.${one['status']}\ndata: ${JSON.stringify(one)}\n\n`),
      'event: done\ndata: [DONE]\n\n',
    ])
  const total = () => entries.reduce((sum, one) => sum + one.nanoDollars, 0)

  test('streamed to its end: by the stream, and only there', async () => {
    provider.tell(() =>
      events(run({ id: 'run_s' }), run({ id: 'run_s', status: 'completed', usage })),
    )
    await (await begin('run_s', { stream: true })).text()
    provider.tell(() => whole(run({ id: 'run_s', status: 'completed', usage })))
    await get('/v1/threads/thread_1/runs/run_s?model=mini')
    await lookAtJobs(gateway.running.rooms)
    deepEqual([paid().length, total()], [0, 0.75e9])
  })

  test('streamed to a question, and on from there: as a whole, once', async () => {
    const step = { id: 'step_1', object: 'thread.run.step', run_id: 'run_t', usage }
    provider.tell(() =>
      events(run({ id: 'run_t' }), step, run({ id: 'run_t', status: 'requires_action' })),
    )
    await (await begin('run_t', { stream: true })).text()
    equal(total(), 0)
    provider.tell(() => events(run({ id: 'run_t', status: 'completed', usage })))
    const answered = await gateway.post(
      '/v1/threads/thread_1/runs/run_t/submit_tool_outputs?model=mini',
      { tool_outputs: [], stream: true },
    )
    await answered.text()
    provider.tell(() => whole(run({ id: 'run_t', status: 'completed', usage })))
    await lookAtJobs(gateway.running.rooms)
    await lookAtJobs(gateway.running.rooms)
    deepEqual([paid().length, total()], [1, 0.75e9])
  })
})

describe('fine-tuning', () => {
  const job = (more: JsonObject): JsonObject => ({
    object: 'fine_tuning.job',
    model: 'gpt-4o-mini',
    status: 'running',
    trained_tokens: null,
    ...more,
  })
  for (const [model, dollars, priced] of [
    ['tuned', 3, true],
    ['mini', 0, false],
  ] as const)
    test(`what was trained on, ${priced ? 'at the price of the row' : 'without a price: said so'}`, async () => {
      const id = `ftjob-${model}`
      provider.tell(() => whole(job({ id })))
      const made = await post('/v1/fine_tuning/jobs', { model, training_file: 'file-1' })
      provider.tell(() => whole(job({ id, status: 'succeeded', trained_tokens: 1_000_000 })))
      await get(`/v1/fine_tuning/jobs/${made['id']}`)
      await lookAtJobs(gateway.running.rooms)
      deepEqual(
        paid().map((entry) => [
          entry.operation,
          entry.nanoDollars / 1e9,
          entry.priced,
          entry.usage.input,
        ]),
        [['acreate_fine_tuning_job', dollars, priced, 1_000_000]],
      )
      equal(/no price is known for fine tuning of openai/.test(gateway.logged()), !priced)
    })

  test('where nothing without a price may be asked, it is not begun', async () => {
    const strict = await startGateway(scope, {
      general: { unpriced_models: 'deny' },
      models: [
        openaiRow('mini', provider, { model: 'openai/gpt-4o-mini' }),
        {
          ...openaiRow('tuned', provider, { model: 'openai/gpt-4o-mini' }),
          model_info: { training_cost_per_token: 0.000003 },
        },
      ],
    })
    provider.tell(() => whole(job({ id: 'ftjob-strict' })))
    const asked = provider.asked.length
    const body = { training_file: 'file-1' }
    const refused = await strict.post('/v1/fine_tuning/jobs', { ...body, model: 'mini' })
    equal(refused.status, 403)
    match(await refused.text(), /training_cost_per_token/)
    equal(provider.asked.length, asked)
    equal((await strict.post('/v1/fine_tuning/jobs', { ...body, model: 'tuned' })).status, 200)
  })
})
