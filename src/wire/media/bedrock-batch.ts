import { GatewayError, kindOfStatus } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { familyOf, modelId } from '../bedrock-converse/family.ts'
import { bedrockConverse } from '../bedrock-converse/wire.ts'
import { bedrockInvoke } from '../bedrock-invoke/wire.ts'
import type { Target } from '../wire.ts'
import { forEmbeddings } from './batch-embeddings.ts'
import { secondsOf } from './batch-words.ts'
import { decodeAwsError, readBucket, type Store, s3Store } from './buckets.ts'
import {
  type Cloud,
  folderOfInput,
  inputName,
  type Job,
  type NewJob,
  outputName,
  readRowId,
  rowId,
} from './cloud.ts'
import { askOnce, expected, jsonBody, readJson, type Sent } from './media.ts'

/**
 * Amazon Bedrock's model invocation jobs, which read JSONL from S3 and write it there
 * (docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob, 2026-11). Claude's requests are those of
 * InvokeModel, which every region takes; other families are asked in Converse's words.
 */
export const bedrockBatch: Cloud = {
  name: 'Amazon Bedrock',
  // LiteLLM's, for which rights may be given by prefix.
  prefix: 'litellm-bedrock-files/',
  store: inputStore,
  wire: (to) => (isInvoked(to) ? bedrockInvoke : bedrockConverse),
  // The others tell no tokens in their bodies, so that nobody could be charged.
  embeddings: ({ model }) => (/titan-embed-text/.test(model) ? 'bedrock' : undefined),
  encodeRow: (body, at) => ({ recordId: rowId(at), modelInput: body }),
  decodeRow({ recordId, modelOutput, error }) {
    const at = readRowId(recordId)
    if (isObject(modelOutput)) return { at, said: modelOutput }
    const { errorCode, errorMessage } = object(error)
    const status = number(errorCode) ?? 500
    const message = text(errorMessage) ?? 'Amazon Bedrock told no answer to this request'
    return { at, said: new GatewayError(kindOfStatus(status), message, { status }) }
  },
  *create(job, to) {
    yield [job.store.put(inputName(bedrockBatch, job.folder), job.rows, 'application/jsonl')]
    const told = readJson(
      yield* askOnce({ ...control('POST', '', to), body: jsonBody(newJob(job, to)) }),
    )
    return {
      ...nothing,
      id: idOf(told),
      folder: job.folder,
      status: 'validating',
      created: job.created,
    }
  },
  *find(id, to) {
    return decodeJob(readJson(yield* askOnce(control('GET', `/${id}`, to))))
  },
  cancel: (id, to) => control('POST', `/${id}/stop`, to),
  *page(token, to) {
    const query = new URLSearchParams({
      maxResults: '100',
      sortBy: 'CreationTime',
      sortOrder: 'Descending',
      nameContains: jobPrefix,
      ...(token !== undefined && { nextToken: token }),
    })
    const told = readJson(yield* askOnce(control('GET', `s?${query}`, to)))
    return {
      jobs: list(told['invocationJobSummaries']).map((one) => decodeJob(object(one))),
      next: text(told['nextToken']),
    }
  },
  *results({ id, output, status, folder }, to) {
    const [, bucket, key] = /^s3:\/\/([^/]{3,255})\/(.{1,1000})$/.exec(output ?? '') ?? []
    if (bucket === undefined || key === undefined || folder === undefined) return []
    const store = s3Store(to, { name: bucket, prefix: '' })
    const place = `${key.replace(/\/*$/, '/')}${id}/input.jsonl.out`
    const { refusals, ...sent } = store.find(place)
    // A job that was stopped early has written nothing: the words of that are no rows.
    const mayLack = refusals && status !== 'completed'
    const [answer] = yield [{ ...sent, live: true, ...(mayLack && { refusals }) }]
    const { live, status: got, header } = expected(answer)
    if (got >= 400 && got !== 404) throw decodeAwsError({ status: got, body: '', header })
    return live ? [live] : []
  },
  decodeError: decodeAwsError,
}

/** Claude, unless the row says `converse/`; an ARN tells by the row's `base_model`. */
function isInvoked({ model, info }: Target): boolean {
  const family = familyOf(model)
  const said = family === 'unnamed' ? familyOf(text(info['base_model']) ?? '') : family
  return said === 'claude' && !model.startsWith('converse/')
}

function inputStore(to: Target): Store {
  const said = to.values?.['s3_bucket']
  return s3Store(to, readBucket(said, bucketNeeded))
}
const bucketNeeded = 's3_bucket_name in litellm_params, or AWS_S3_BUCKET_NAME in the environment'

function newJob({ folder, endpoint, store }: NewJob, to: Target): JsonObject {
  const { batch_role, s3_output_bucket, s3_encryption_key, s3_bucket_owner } = to.values ?? {}
  if (batch_role === undefined)
    throw new GatewayError(
      'bad_request',
      'batches of Amazon Bedrock need a role that reads and writes the bucket: set aws_batch_role_arn in litellm_params, or AWS_BATCH_ROLE_ARN in the environment',
      { status: 500 },
    )
  const output =
    s3_output_bucket === undefined
      ? store
      : s3Store(to, readBucket(s3_output_bucket, 's3_output_bucket_name to one'))
  const owner = s3_bucket_owner !== undefined && { s3BucketOwner: s3_bucket_owner }
  return {
    jobName: nameOf(folder),
    // The same request is made once, however often it is tried.
    clientRequestToken: asName(folder),
    modelId: modelId(to.model),
    roleArn: batch_role,
    modelInvocationType: isInvoked(to) || endpoint === forEmbeddings ? 'InvokeModel' : 'Converse',
    inputDataConfig: {
      s3InputDataConfig: {
        s3InputFormat: 'JSONL',
        s3Uri: store.uri(inputName(bedrockBatch, folder)),
        ...owner,
      },
    },
    outputDataConfig: {
      s3OutputDataConfig: {
        s3Uri: output.uri(outputName(folder)),
        ...(s3_encryption_key !== undefined && { s3EncryptionKeyId: s3_encryption_key }),
        ...owner,
      },
    },
    // OpenAI's window, the only one there is, and the shortest Bedrock takes.
    timeoutDurationInHours: 24,
  }
}
const jobPrefix = 'throughway-'

/** Letters, digits and single hyphens, 63 of them: a little of whose it is and all of the request. */
function nameOf(folder: string): string {
  const at = folder.indexOf('-')
  return asName(`${jobPrefix}${folder.slice(0, Math.min(at, 10))}${folder.slice(at)}`)
}
const asName = (said: string): string => said.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')

/** Jobs are asked for beside the models, at a host of their own. */
const control = (method: 'GET' | 'POST', path: string, { values }: Target): Sent => ({
  method,
  path: '',
  address: (base) => {
    const own = values?.['bedrock_endpoint'] ?? base.replace(/\bbedrock-runtime\b/, 'bedrock')
    return `${own.replace(/\/+$/, '')}/model-invocation-job${path}`
  },
})

function decodeJob(told: JsonObject): Job {
  const input = object(object(told['inputDataConfig'])['s3InputDataConfig'])
  const output = object(object(told['outputDataConfig'])['s3OutputDataConfig'])
  const completed = number(told['successRecordCount'])
  const failed = number(told['errorRecordCount'])
  const said = text(told['status']) ?? ''
  return {
    id: idOf(told),
    folder: folderOfInput(bedrockBatch, text(input['s3Uri']) ?? ''),
    status: Object.hasOwn(statuses, said) ? (statuses[said] ?? 'in_progress') : 'in_progress',
    created: secondsOf(told['submitTime']),
    started: null,
    ended: secondsOf(told['endTime'] ?? told['lastModifiedTime']),
    expires: secondsOf(told['jobExpirationTime']),
    counts: completed === undefined ? undefined : { completed, failed: failed ?? 0 },
    error: text(told['message']) || undefined,
    output: text(output['s3Uri']),
  }
}

const statuses: Readonly<Record<string, Job['status']>> = {
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
}

const idOf = ({ jobArn }: JsonObject): string => {
  const id = text(jobArn)?.split('/').at(-1)
  if (id && /^[a-z0-9]{1,64}$/.test(id)) return id
  throw new GatewayError('bad_gateway', 'Amazon Bedrock told a job without a name')
}

const nothing = {
  started: null,
  ended: null,
  expires: null,
  counts: undefined,
  error: undefined,
  output: undefined,
}
