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
import { decodeError, decodeErrorObject } from '../gemini/errors.ts'
import { gemini } from '../gemini/wire.ts'
import { secondsOf } from './batch-words.ts'
import { shelfStore } from './buckets.ts'
import { type Cloud, type Job, readRowId, rowId } from './cloud.ts'
import { askOnce, type Exchange, expected, jsonBody, readJob, readJson, step } from './media.ts'

/**
 * The Gemini API's batches (ai.google.dev/gemini-api/docs/batch-api, 2026-11), which read a file of its Files API. Such
 * files go after two days, so that what was asked is kept by the gateway.
 */
export const geminiBatch: Cloud = {
  name: 'the Gemini API',
  prefix: '',
  store: shelfStore,
  wire: () => gemini,
  encodeRow: (body, at) => ({ key: rowId(at), request: body }),
  decodeRow({ key, metadata, response, error }) {
    const at = readRowId(key ?? object(metadata)['key'])
    if (isObject(response)) return { at, said: response }
    return { at, said: problemIn(error) }
  },
  *create({ folder, rows }, to) {
    const { name } = yield* uploadFile(`throughway-${folder}`, rows, 'application/jsonl')
    const path = `/models/${step(to.model.replace(/^models\//, ''))}:batchGenerateContent`
    const batch = { displayName: `throughway-${folder}`, inputConfig: { fileName: name } }
    return decodeJob(readJob(yield* askOnce({ path, body: jsonBody({ batch }) })))
  },
  *find(id) {
    return decodeJob(readJob(yield* askOnce({ method: 'GET', path: `/batches/${id}` })))
  },
  cancel: (id) => ({ path: `/batches/${id}:cancel`, body: jsonBody({}) }),
  *page(token) {
    const query = new URLSearchParams({
      pageSize: '100',
      ...(token !== undefined && { pageToken: token }),
    })
    const told = readJson(yield* askOnce({ method: 'GET', path: `/batches?${query}` }))
    return {
      jobs: list(told['operations']).map((one) => decodeJob(object(one))),
      next: text(told['nextPageToken']) || undefined,
    }
  },
  *results({ output }) {
    if (output === undefined || !/^files\/[\w-]{1,200}$/.test(output)) return []
    const [answer] = yield [
      {
        method: 'GET',
        path: '',
        address: (base) => `${split(base, '/download')}/${output}:download?alt=media`,
        live: true,
      },
    ]
    const { live } = expected(answer)
    return live ? [live] : []
  },
  decodeError,
}

/** In two steps, as Google's own clients do: where to, then the bytes. Answers what it tells of the file. */
export function* uploadFile(name: string, bytes: Uint8Array, mime: string): Exchange<JsonObject> {
  const begun = yield* askOnce({
    path: '',
    address: (base) => `${split(base, '/upload')}/files`,
    headers: {
      'x-goog-upload-protocol': 'resumable',
      'x-goog-upload-command': 'start',
      'x-goog-upload-header-content-length': String(bytes.length),
      'x-goog-upload-header-content-type': mime,
    },
    body: jsonBody({ file: { displayName: name } }),
  })
  const place = begun.header('x-goog-upload-url')
  if (place === undefined)
    throw new GatewayError('bad_gateway', 'the Gemini API told no address to upload to')
  const told = readJson(
    yield* askOnce({
      path: place,
      headers: { 'x-goog-upload-offset': '0', 'x-goog-upload-command': 'upload, finalize' },
      body: { type: 'bytes', bytes, mime },
    }),
  )
  const file = object(told['file'])
  if (text(file['name']) !== undefined) return file
  throw new GatewayError('bad_gateway', 'the Gemini API told no name of the file')
}

/** Uploads and downloads are below paths of their own, before the version. */
export const split = (base: string, service: string): string => {
  const [, front = '', version = '/v1beta'] =
    /^(.*?)(\/v\d[a-z0-9]{0,10})?\/*$/.exec(base.slice(0, 2000)) ?? []
  return front + service + version
}

function decodeJob(told: JsonObject): Job {
  const metadata = object(told['metadata'])
  const stats = object(metadata['batchStats'])
  const count = (name: string): number => Math.max(0, Number(stats[name] ?? 0)) || 0
  const id = text(told['name'])?.split('/').at(-1)
  if (!id || !/^[\w-]{1,100}$/.test(id))
    throw new GatewayError('bad_gateway', 'the Gemini API told a batch without a name')
  const { folder } =
    /^throughway-(?<folder>[\w-]{3,80})$/.exec(text(metadata['displayName']) ?? '')?.groups ?? {}
  const output = object(told['response'] ?? metadata['output'])
  return {
    id,
    folder,
    status: statusOf(text(metadata['state']), told),
    created: secondsOf(metadata['createTime']),
    started: null,
    ended: secondsOf(metadata['endTime'] ?? metadata['updateTime']),
    expires: null,
    counts: isObject(metadata['batchStats'])
      ? { completed: count('successfulRequestCount'), failed: count('failedRequestCount') }
      : undefined,
    error: text(object(told['error'])['message']) || undefined,
    output: text(output['responsesFile']),
  }
}

/** `BATCH_STATE_…` in the reference, `JOB_STATE_…` in the guide. */
function statusOf(state: string | undefined, { done, error }: JsonObject): Job['status'] {
  const word = state?.replace(/^(?:BATCH|JOB)_STATE_/, '') ?? ''
  if (Object.hasOwn(statuses, word)) return statuses[word] ?? 'in_progress'
  if (done !== true) return 'in_progress'
  return isObject(error) ? 'failed' : 'completed'
}

const statuses: Readonly<Record<string, Job['status']>> = {
  PENDING: 'validating',
  RUNNING: 'in_progress',
  SUCCEEDED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  EXPIRED: 'expired',
}

/** google.rpc.Status: its code is none of HTTP's. */
export function problemIn(error: Json | undefined): GatewayError {
  if (!isObject(error))
    return new GatewayError('bad_gateway', 'the Gemini API told no answer to this request')
  const code = number(error['code'])
  const status = code === undefined ? undefined : (ofRpc[code] ?? code)
  return decodeErrorObject({ ...error, ...(status !== undefined && { code: status }) })
}
const ofRpc: Readonly<Record<number, number>> = {
  1: 499,
  3: 400,
  4: 504,
  5: 404,
  7: 403,
  8: 429,
  9: 400,
  11: 400,
  13: 500,
  14: 503,
  16: 401,
}
