import { GatewayError } from '../../errors.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeFault } from '../anthropic/errors.ts'
import { decodeError, decodeErrorObject } from '../gemini/errors.ts'
import { gemini } from '../gemini/wire.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { vertexAnthropic } from '../vertex-anthropic/wire.ts'
import type { ProviderWire, Target } from '../wire.ts'
import { parsedLine } from './batch-lines.ts'
import { secondsOf } from './batch-words.ts'
import { gcsFolder, gcsStore, readBucket } from './buckets.ts'
import {
  type Cloud,
  folderOfInput,
  inputName,
  type Job,
  outputName,
  readRowId,
  rowId,
} from './cloud.ts'
import { askOnce, type Exchange, jsonBody, readJob, readJson, type Sent } from './media.ts'
import { tuningRows } from './vertex-examples.ts'
import { besideModels } from './vertex-place.ts'

/**
 * Vertex AI's batch prediction jobs over Cloud Storage, for Gemini, for Claude and for open models, whose rows differ
 * (docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage, and
 * …/partner-models/claude/batch, 2026-11).
 */
export const vertexBatch: Cloud = {
  name: 'Vertex AI',
  prefix: 'litellm-vertex-files/',
  store: (to) => gcsStore(to, readBucket(to.values?.['gcs_bucket'], bucketNeeded)),
  wire: (to) => wires[kindOf(to)],
  checkExamples: (said, to) => void tuningRows(said, to),
  encodeRow(body, at, to) {
    const kind = kindOf(to)
    if (kind === 'claude') return { custom_id: rowId(at), request: body }
    if (kind === 'open')
      return { custom_id: rowId(at), method: 'POST', url: '/v1/chat/completions', body }
    // These come back with their request, and labels are the part of it that is ours to fill.
    const labels = { ...object(body['labels']), [label]: rowId(at).toLowerCase() }
    return { request: { ...body, labels } }
  },
  decodeRow({ custom_id, request, response: told, status, error }) {
    const at = readRowId(custom_id ?? object(object(request)['labels'])[label])
    const problem = text(status)
    if (problem) return { at, said: problemIn(problem) }
    const response: Json | undefined = typeof told === 'string' ? parsedLine(told) : told
    const wrong = isObject(response) ? response['error'] : error
    if (isObject(response) && response['type'] === 'error')
      return { at, said: decodeFault(response) }
    if (isObject(wrong)) return { at, said: decodeErrorObject(wrong) }
    if (!isObject(response))
      return { at, said: problemIn('Vertex AI told no answer to this request') }
    const { body, status_code } = response
    if (!isObject(body)) return { at, said: response }
    return {
      at,
      said: number(status_code) === 200 ? body : decodeErrorObject(body['error'] ?? body),
    }
  },
  *create({ folder, rows, store }, to) {
    const input = inputName(vertexBatch, folder)
    yield [store.put(input, rows, 'application/jsonl')]
    const model = yield* modelOf(to)
    const body = {
      displayName: `throughway-${folder}`,
      model,
      inputConfig: { instancesFormat: 'jsonl', gcsSource: { uris: [store.uri(input)] } },
      outputConfig: {
        predictionsFormat: 'jsonl',
        gcsDestination: { outputUriPrefix: store.uri(outputName(folder)) },
      },
    }
    return decodeJob(readJob(yield* askOnce({ ...jobs('POST', '', to), body: jsonBody(body) })))
  },
  *find(id, to) {
    return decodeJob(readJob(yield* askOnce(jobs('GET', `/${id}`, to))))
  },
  cancel: (id, to) => ({ ...jobs('POST', `/${id}:cancel`, to), body: jsonBody({}) }),
  *page(token, to) {
    const query = new URLSearchParams({
      pageSize: '100',
      filter: 'display_name:"throughway-*"',
      ...(token !== undefined && { pageToken: token }),
    })
    const told = readJson(yield* askOnce(jobs('GET', `?${query}`, to)))
    return {
      jobs: list(told['batchPredictionJobs']).map((one) => decodeJob(object(one))),
      next: text(told['nextPageToken']) || undefined,
    }
  },
  *results({ output }, to) {
    const folder = output === undefined ? undefined : gcsFolder(to, output)
    if (!folder) return []
    const told = readJson(yield* askOnce(folder.list))
    const files = list(told['items'])
      .map((one) => text(object(one)['name']) ?? '')
      .filter((name) => /\/(?:predictions|prediction\.results)[^/]*$/.test(name))
    const answers = yield files.slice(0, filesMax).map(folder.read)
    return answers.flatMap(({ live }) => (live ? [live] : []))
  },
  decodeError,
}
const bucketNeeded =
  'gcs_bucket_name in litellm_params, or GCS_BATCH_BUCKET_NAME or GCS_BUCKET_NAME in the environment'
/** Google writes one, or a shard for each machine that worked. */
const filesMax = 64

/** Its value is a row's id in lower case, as labels are. */
const label = 'throughway_line'

/** Open models are asked in OpenAI's words (…/partner-models/llama-batch, 2026-11). */
const wires = { gemini, claude: vertexAnthropic, open: openaiChat } satisfies Record<
  string,
  ProviderWire
>

function kindOf({ model }: Target): keyof typeof wires {
  if (/claude/i.test(model)) return 'claude'
  if (/(?:^|\/)gemini|^endpoints\/[\w-]+$|^models\/\d|^tunedModels\//i.test(model)) return 'gemini'
  if (/^(?:meta|openai|qwen|deepseek-ai)\/[a-z]/.test(model)) return 'open'
  throw new GatewayError(
    'not_offered',
    `batches of Vertex AI are offered for Gemini, Claude, Llama, gpt-oss, Qwen and DeepSeek, and not for '${model.slice(0, 100)}'`,
    { param: 'model' },
  )
}

/** A tuned model is known by its endpoint, and jobs take the model that is deployed there. */
function* modelOf(to: Target): Exchange<string> {
  const { model } = to
  if (/^(?:publishers|projects)\//.test(model)) return model
  const [, publisher, open] = /^([a-z-]+)\/(.+)$/.exec(model) ?? []
  if (kindOf(to) === 'open') return `publishers/${publisher}/models/${open}`
  if (!/^endpoints\/[\w-]+$/.test(model))
    return `publishers/${kindOf(to) === 'claude' ? 'anthropic' : 'google'}/models/${model.replace(/^models\//, '')}`
  const endpoint = readJson(
    yield* askOnce({ method: 'GET', path: '', address: besideModels(to, `/${model}`) }),
  )
  const deployed = text(object(list(endpoint['deployedModels'])[0])['model'])
  if (deployed !== undefined) return deployed
  throw new GatewayError('bad_request', `no model is deployed at ${model.slice(0, 100)}`, {
    param: 'model',
  })
}

const jobs = (method: 'GET' | 'POST', path: string, to: Target): Sent => ({
  method,
  path: '',
  address: besideModels(to, `/batchPredictionJobs${path}`),
})

function decodeJob(told: JsonObject): Job {
  const { gcsSource } = object(told['inputConfig'])
  const stats = object(told['completionStats'])
  const count = (name: string): number => Math.max(0, Number(stats[name] ?? 0)) || 0
  const said = text(told['state']) ?? ''
  const id = text(told['name'])?.split('/').at(-1)
  if (!id || !/^[\w-]{1,100}$/.test(id))
    throw new GatewayError('bad_gateway', 'Vertex AI told a job without a name')
  return {
    id,
    folder: folderOfInput(vertexBatch, text(list(object(gcsSource)['uris'])[0]) ?? ''),
    status: Object.hasOwn(statuses, said) ? (statuses[said] ?? 'in_progress') : 'in_progress',
    created: secondsOf(told['createTime']),
    started: secondsOf(told['startTime']),
    ended: secondsOf(told['endTime'] ?? told['updateTime']),
    expires: null,
    counts: isObject(told['completionStats'])
      ? { completed: count('successfulCount'), failed: count('failedCount') }
      : undefined,
    error: text(object(told['error'])['message']) || undefined,
    output: text(object(told['outputInfo'])['gcsOutputDirectory']),
  }
}

const statuses: Readonly<Record<string, Job['status']>> = {
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
  JOB_STATE_UPDATING: 'in_progress',
}

/** `Bad Request: {"error": {…}}`, as a row's status tells it. */
function problemIn(said: string): GatewayError {
  const at = said.indexOf('{')
  const value: Json | undefined = at === -1 ? undefined : parsedLine(said.slice(at))
  const error = isObject(value) ? (value['error'] ?? value) : undefined
  return isObject(error)
    ? decodeErrorObject(error)
    : new GatewayError('bad_gateway', said.slice(0, 1000))
}
