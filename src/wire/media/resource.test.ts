import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import { type JsonObject, object } from '../../json/json.ts'
import { createResource, keptId, readKept } from './resource.ts'

test('an id carries who keeps it, there and back', () => {
  const ids = fc.stringMatching(/^(file|batch|vs|ftjob)[-_][A-Za-z0-9]{3,40}$/)
  fc.assert(
    fc.property(ids, fc.stringMatching(/^[a-z0-9:]{1,40}$/), (id, keeper) => {
      const kept = keptId(id, keeper)
      deepEqual(readKept(kept), { id, keeper })
      equal(keptId(kept, 'other'), kept)
      ok(/^[\w-]+$/.test(kept))
    }),
  )
  equal(readKept('file-abc'), undefined)
  equal(readKept('file-AAAAAAAAAAAAAAAAAAAAAAAA'), undefined)
  // As LiteLLM writes them.
  deepEqual(readKept('file-bGl0ZWxsbTpmaWxlLWFiYzttb2RlbCxncHQtNG8'), {
    id: 'file-abc',
    keeper: 'gpt-4o',
  })
})

const batches = createResource({
  id: 'batch',
  method: 'POST',
  path: '/batches',
  query: 'x=1',
  live: false,
  model: false,
})
const body: JsonObject = {
  model: 'public',
  input_file_id: keptId('file-1', 'd-1'),
  metadata: { a: 'b' },
  custom_llm_provider: 'openai',
}

test('ids of a body become the provider’s own, those of an answer ours', () => {
  const answer = {
    id: 'batch_1',
    input_file_id: 'file-1',
    output_file_id: null,
    data: [{ id: 'batch_2' }, 7],
  }
  const { sent, bodies, json } = converse(batches, 'openai', targetOf('openai', 'm'), body, [
    [answered(answer)],
  ])
  equal(sent[0]?.path, '/batches?x=1')
  deepEqual(bodies[0], { input_file_id: 'file-1', metadata: { a: 'b' } })
  deepEqual(json, {
    id: keptId('batch_1', 'd-1'),
    input_file_id: keptId('file-1', 'd-1'),
    output_file_id: null,
    data: [{ id: keptId('batch_2', 'd-1') }, 7],
  })
})

test('Azure keeps them beside its deployments', () => {
  const quirks = { chatPath: '/openai/deployments/{model}/chat/completions' }
  const { sent } = converse(batches, 'openai', targetOf('azure', 'm', { quirks }), body, [
    [answered({ id: 'batch_1' })],
  ])
  equal(sent[0]?.path, '/openai/batches?x=1')
  const films = createResource({
    id: 'video',
    method: 'GET',
    path: '/videos',
    query: 'limit=2',
    live: false,
    model: true,
  })
  const later = converse(films, 'openai', targetOf('azure', 'm', { quirks }), {}, [[answered({})]])
  for (const base of ['https://x.openai.azure.com', 'https://x.openai.azure.com/openai/'])
    equal(later.sent[0]?.address?.(base), 'https://x.openai.azure.com/openai/v1/videos?limit=2')
})

test('where a model belongs to what is kept it is the deployment’s, or the client’s where there is none', () => {
  const jobs = createResource({
    id: 'fine_tuning',
    method: 'POST',
    path: '/fine_tuning/jobs',
    query: '',
    live: false,
    model: true,
  })
  for (const [own, sent] of [
    ['up', 'up'],
    ['*', 'public'],
  ] as const) {
    const { bodies } = converse(
      jobs,
      'openai',
      targetOf('openai', own),
      { model: 'public', training_file: keptId('file-1', 'd-1') },
      [[answered({ id: 'ftjob-1' })]],
    )
    deepEqual(bodies[0], { training_file: 'file-1', model: sent })
  }
})

test('a model is sent where OpenAI knows one, and nowhere else', () => {
  const sent = (id: string, path: string, body: JsonObject): JsonObject | undefined => {
    const post = createResource({ id, method: 'POST', path, query: '', live: false, model: true })
    const { bodies } = converse(post, 'openai', targetOf('openai', 'up'), body, [[answered({})]])
    return object(bodies[0])
  }
  const rows: [id: string, path: string, always: boolean, said: boolean][] = [
    ['video', '/videos', true, true],
    ['video', '/videos/video_1/remix', false, false],
    ['video', '/videos/edits', false, false],
    ['video', '/videos/extensions', false, false],
    ['fine_tuning', '/fine_tuning/jobs', true, true],
    ['fine_tuning', '/fine_tuning/jobs/ftjob-1/cancel', false, false],
    ['assistants', '/assistants', true, true],
    ['assistants', '/assistants/asst_1', false, true],
    ['assistants', '/threads', false, false],
    ['assistants', '/threads/thread_1', false, false],
    ['assistants', '/threads/thread_1/messages', false, false],
    ['assistants', '/threads/runs', false, true],
    ['assistants', '/threads/thread_1/runs', false, true],
    ['assistants', '/threads/thread_1/runs/run_1/submit_tool_outputs', false, false],
  ]
  for (const [id, path, always, said] of rows) {
    equal(sent(id, path, { a: 1 })?.['model'], always ? 'up' : undefined, path)
    equal(sent(id, path, { a: 1, model: 'public' })?.['model'], said ? 'up' : undefined, path)
  }
})
