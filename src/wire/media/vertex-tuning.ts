import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { stringify } from '../../json/parse.ts'
import type { Target } from '../wire.ts'
import { parsedLine } from './batch-lines.ts'
import { secondsOf, whole } from './batch-words.ts'
import { folderOfInput, inputName, placeIn } from './cloud.ts'
import { folderIn, folderOf } from './cloud-folders.ts'
import { jobOf } from './job.ts'
import {
  askOnce,
  type Exchange,
  expected,
  invalid,
  jsonBody,
  missing,
  numberOf,
  othersOf,
  readJob,
  type Sent,
} from './media.ts'
import type { OperationAsk, Told } from './operation.ts'
import { joined } from './upload.ts'
import { vertexBatch } from './vertex-batch.ts'
import { tuningRows } from './vertex-examples.ts'
import { besideModels } from './vertex-place.ts'

/**
 * OpenAI's fine-tuning jobs over Vertex AI's tuning jobs, of Gemini's models
 * (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/tuning, 2026-11). They read Cloud Storage: what was
 * uploaded for `fine-tune` is put into Google's words beside it, when a job is made of it.
 */
export function* vertexTuning(
  { method, path, query }: { method: string; path: string; query: string },
  ask: OperationAsk,
): Exchange<Told> {
  const [, , , name = '', act] = path.split('/').map(decodeURIComponent)
  const asked = `${method}${name ? ' {id}' : ''}${act ? ` ${act}` : ''}`
  const { to } = ask
  switch (asked) {
    case 'POST':
      return yield* create(ask)
    case 'GET':
      return yield* listJobs(ask, query)
    case 'GET {id}':
      return yield* tell(ask, readJob(yield* askOnce(jobs('GET', `/${idIn(name)}`, to))), false)
    case 'POST {id} cancel':
      yield* askOnce({ ...jobs('POST', `/${idIn(name)}:cancel`, to), body: jsonBody({}) })
      return yield* tell(ask, readJob(yield* askOnce(jobs('GET', `/${idIn(name)}`, to))), false)
    case 'GET {id} checkpoints': {
      const job = readJob(yield* askOnce(jobs('GET', `/${idIn(name)}`, to)))
      return whole({ object: 'list', data: checkpointsOf(job, name), has_more: false })
    }
    default:
      throw new GatewayError(
        'not_offered',
        `Vertex AI tells no ${act === 'events' ? 'events of a tuning job' : 'such thing of tuning jobs'}: its status and its error stand in the job`,
      )
  }
}

const jobs = (method: 'GET' | 'POST', path: string, to: Target): Sent => ({
  method,
  path: '',
  address: besideModels(to, `/tuningJobs${path}`),
})

function idIn(said: string): string {
  const [, id] = /^(?:ftjob-)?(\w[\w-]{0,99})$/.exec(said) ?? []
  if (id !== undefined) return id
  throw new GatewayError('not_found', `there is no fine-tuning job '${said.slice(0, 100)}'`, {
    type: 'invalid_request_error',
    param: 'fine_tuning_job_id',
  })
}

function* create(ask: OperationAsk): Exchange<Told> {
  const { to, plain, lacks, context } = ask
  const body = plain()
  const training = text(body['training_file'])
  if (!training) throw missing('training_file')
  const model = modelOf(to, text(body['model']))
  const said = othersOf(body, jobFields)
  const others = Object.keys(said).filter((name) => name !== 'seed' && name !== 'integrations')
  if (said['seed'] !== undefined && said['seed'] !== null) others.push('seed')
  if (list(said['integrations']).length > 0) others.push('integrations')
  const { method } = body
  const kind = text(object(method)['type']) ?? 'supervised'
  if (kind !== 'supervised')
    throw invalid('method', "Vertex AI tunes Gemini with the method 'supervised'.")
  const hyper = {
    ...object(body['hyperparameters']),
    ...object(object(object(method)['supervised'])['hyperparameters']),
  }
  const hyperParameters = encodeHyper(hyper, others)
  if (others.length > 0) lacks(...others)
  const folder = folderOf(context)
  const validation = text(body['validation_file'])
  const made = {
    training_file: training,
    validation_file: validation ?? null,
    metadata: body['metadata'] ?? null,
    suffix: body['suffix'] ?? null,
  }
  const store = vertexBatch.store(to)
  const spec = {
    trainingDatasetUri: yield* putExamples(ask, training, inputName(vertexBatch, folder)),
    ...(validation !== undefined && {
      validationDatasetUri: yield* putExamples(
        ask,
        validation,
        placeIn(vertexBatch, folder, 'validation'),
      ),
    }),
    ...(Object.keys(hyperParameters).length > 0 && { hyperParameters }),
  }
  // Before the job, which nobody could be told of otherwise.
  const note = toUtf8(JSON.stringify(made))
  yield [store.put(placeIn(vertexBatch, folder, 'made'), note, 'application/json')]
  const name = text(body['suffix'])
  const sent = {
    baseModel: model,
    supervisedTuningSpec: spec,
    tunedModelDisplayName: name || `throughway-${folder}`.slice(0, 128),
  }
  const told = readJob(yield* askOnce({ ...jobs('POST', '', to), body: jsonBody(sent) }))
  return jobTold(told, made, true)
}
const jobFields = new Set(
  `training_file validation_file model suffix hyperparameters method metadata target_model_names custom_llm_provider
  litellm_metadata`.split(/\s+/),
)

function modelOf({ model }: Target, said: string | undefined): string {
  const asked = (model === '*' ? (said ?? '') : model).replace(/^(?:vertex_ai\/|models\/)/, '')
  if (/^gemini-[\w.@-]{1,100}$/.test(asked)) return asked
  throw new GatewayError(
    'not_offered',
    `fine-tuning at Vertex AI is offered for Gemini's models, and not for '${asked.slice(0, 100)}'`,
    { param: 'model' },
  )
}

/** `auto` is Vertex AI's own choice. Names that it lacks are added to `lacking`. */
function encodeHyper(said: JsonObject, lacking: string[]): JsonObject {
  const { n_epochs, learning_rate_multiplier, adapter_size, batch_size, ...others } = said
  const chosen = (value: Json | undefined, name: string) =>
    value === 'auto' ? undefined : numberOf(value, `hyperparameters.${name}`)
  const epochs = chosen(n_epochs, 'n_epochs')
  const rate = chosen(learning_rate_multiplier, 'learning_rate_multiplier')
  if (batch_size !== undefined && batch_size !== null && batch_size !== 'auto')
    lacking.push('hyperparameters.batch_size')
  for (const name of Object.keys(others)) lacking.push(`hyperparameters.${name}`)
  const size = number(adapter_size)
  const adapter = size === undefined ? text(adapter_size) : adapters.get(size)
  if (size !== undefined && adapter === undefined)
    throw invalid('hyperparameters.adapter_size', "'adapter_size' must be 1, 2, 4, 8, 16 or 32.")
  return {
    ...(epochs !== undefined && { epochCount: String(Math.trunc(epochs)) }),
    ...(rate !== undefined && { learningRateMultiplier: rate }),
    ...(adapter !== undefined && { adapterSize: adapter }),
  }
}
const adapters: ReadonlyMap<number, string> = new Map([
  [1, 'ADAPTER_SIZE_ONE'],
  [2, 'ADAPTER_SIZE_TWO'],
  [4, 'ADAPTER_SIZE_FOUR'],
  [8, 'ADAPTER_SIZE_EIGHT'],
  [16, 'ADAPTER_SIZE_SIXTEEN'],
  [32, 'ADAPTER_SIZE_THIRTY_TWO'],
])

/** An upload in Google's words, where the job reads it; what lies in Cloud Storage already stays where it is. */
function* putExamples({ to }: OperationAsk, id: string, name: string): Exchange<string> {
  if (/^gs:\/\/[\w.-]+\/[^\s]{1,1000}$/.test(id)) return id
  const store = vertexBatch.store(to)
  const [answer] = yield [store.find(placeIn(vertexBatch, folderIn(id), 'asked'))]
  const { status, bytes, header } = expected(answer)
  if (status === 404)
    throw new GatewayError('not_found', `No such File object: ${id.slice(0, 100)}`, {
      type: 'invalid_request_error',
      param: 'training_file',
    })
  if (status >= 400) throw vertexBatch.decodeError({ status, body: utf8(bytes), header })
  const rows = joined(tuningRows(utf8(bytes), to).map((row) => toUtf8(`${stringify(row)}\n`)))
  yield [store.put(name, rows, 'application/jsonl')]
  return store.uri(name)
}

/** A job with what only our note in the bucket knows. */
function* tell({ to }: OperationAsk, told: JsonObject, fresh: boolean): Exchange<Told> {
  return jobTold(told, yield* noteOf(told, to), fresh)
}

function* noteOf(told: JsonObject, to: Target): Exchange<JsonObject> {
  const uri = text(object(told['supervisedTuningSpec'])['trainingDatasetUri'])
  const folder = folderOfInput(vertexBatch, uri ?? '')
  if (folder === undefined) return {}
  const [answer] = yield [vertexBatch.store(to).find(placeIn(vertexBatch, folder, 'made'))]
  const { status, bytes } = expected(answer)
  return status === 200 ? object(parsedLine(utf8(bytes))) : {}
}

function* listJobs({ to, lacks }: OperationAsk, query: string): Exchange<Told> {
  const asked = new URLSearchParams(query)
  const limit = Math.min(Math.max(Math.trunc(Number(asked.get('limit') ?? 20)) || 20, 1), 100)
  const after = asked.get('after')
  if ([...asked.keys()].some((name) => name.startsWith('metadata'))) lacks('metadata')
  const found: JsonObject[] = []
  let passing = after !== null
  let token: string | undefined
  for (let pages = 0; pages < pagesMax && found.length <= limit; pages++) {
    const page = new URLSearchParams({ pageSize: '100', ...(token && { pageToken: token }) })
    const told = readJob(yield* askOnce(jobs('GET', `?${page}`, to)))
    for (const job of list(told['tuningJobs']).map(object)) {
      if (!passing) found.push(job)
      if (`ftjob-${nameOf(job)}` === after) passing = false
    }
    token = text(told['nextPageToken']) || undefined
    if (token === undefined) break
  }
  const data: JsonObject[] = []
  for (const job of found.slice(0, limit)) data.push(encodeJob(job, yield* noteOf(job, to)))
  return whole({ object: 'list', data, has_more: found.length > limit })
}
const pagesMax = 20

function jobTold(told: JsonObject, made: JsonObject, fresh: boolean): Told {
  const value = encodeJob(told, made)
  const ask = fresh
    ? { method: 'POST', path: '/fine_tuning/jobs' }
    : { method: 'GET', path: `/fine_tuning/jobs/${String(value['id'])}` }
  const job = jobOf('fine_tuning', ask, value)
  return { ...whole(value), ...(job && { job }) }
}

function nameOf(told: JsonObject): string {
  const id = text(told['name'])?.split('/').at(-1)
  if (id && /^[\w-]{1,100}$/.test(id)) return id
  throw new GatewayError('bad_gateway', 'Vertex AI told a tuning job without a name')
}

function encodeJob(told: JsonObject, made: JsonObject): JsonObject {
  const spec = object(told['supervisedTuningSpec'])
  const { epochCount, learningRateMultiplier, adapterSize } = object(spec['hyperParameters'])
  const said = text(told['state']) ?? ''
  const status = statuses.get(said) ?? 'running'
  const message = text(object(told['error'])['message'])
  const stats = object(object(told['tuningDataStats'])['supervisedTuningDataStats'])
  const epochs = Number(epochCount ?? 0) || undefined
  // The count is of the data, and each time they are gone through is paid for (cloud.google.com/vertex-ai/generative-ai/pricing, 2026-11).
  const trained = (Number(stats['totalBillableTokenCount'] ?? 0) || 0) * (epochs ?? 1)
  const hyperparameters = {
    n_epochs: epochs ?? 'auto',
    batch_size: 'auto',
    learning_rate_multiplier: number(learningRateMultiplier) ?? 'auto',
    ...(adapterSize !== undefined && { adapter_size: adapterSize }),
  }
  const tuned = object(told['tunedModel'])
  return {
    id: `ftjob-${nameOf(told)}`,
    object: 'fine_tuning.job',
    model: told['baseModel'] ?? null,
    created_at: secondsOf(told['createTime']),
    finished_at: isOver.has(status) ? secondsOf(told['endTime'] ?? told['updateTime']) : null,
    fine_tuned_model: status === 'succeeded' ? (tuned['endpoint'] ?? tuned['model'] ?? null) : null,
    organization_id: '',
    status,
    hyperparameters,
    method: { type: 'supervised', supervised: { hyperparameters } },
    training_file: made['training_file'] ?? spec['trainingDatasetUri'] ?? null,
    validation_file: made['validation_file'] ?? spec['validationDatasetUri'] ?? null,
    result_files: [],
    trained_tokens: isOver.has(status) && trained > 0 ? trained : null,
    error: message ? { code: said, message, param: null } : null,
    user_provided_suffix: made['suffix'] ?? null,
    seed: 0,
    integrations: [],
    estimated_finish: null,
    metadata: made['metadata'] ?? null,
  }
}
const isOver: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled'])
const statuses: ReadonlyMap<string, string> = new Map([
  ['JOB_STATE_QUEUED', 'queued'],
  ['JOB_STATE_PENDING', 'queued'],
  ['JOB_STATE_RUNNING', 'running'],
  ['JOB_STATE_SUCCEEDED', 'succeeded'],
  ['JOB_STATE_PARTIALLY_SUCCEEDED', 'succeeded'],
  ['JOB_STATE_FAILED', 'failed'],
  ['JOB_STATE_EXPIRED', 'failed'],
  ['JOB_STATE_CANCELLED', 'cancelled'],
])

const checkpointsOf = (told: JsonObject, job: string): JsonObject[] =>
  list(object(told['tunedModel'])['checkpoints']).map((one) => {
    const { checkpointId, epoch, step, endpoint } = object(one)
    return {
      id: `ftckpt-${nameOf(told)}-${text(checkpointId) ?? ''}`,
      object: 'fine_tuning.job.checkpoint',
      created_at: secondsOf(told['endTime'] ?? told['updateTime']),
      fine_tuned_model_checkpoint: endpoint ?? null,
      fine_tuning_job_id: job,
      step_number: Number(step ?? 0) || 0,
      metrics: { epoch: Number(epoch ?? 0) || 0 },
    }
  })
