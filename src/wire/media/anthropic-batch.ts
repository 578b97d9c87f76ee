import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { decodeFault } from '../anthropic/errors.ts'
import { anthropic } from '../anthropic/wire.ts'
import type { Encoded, Notes, Target } from '../wire.ts'
import { type BatchLine, namesIn, parsedLine, readLines } from './batch-lines.ts'
import {
  encodeAnswer,
  encodeLine as encodeLineFor,
  encodeLineResult,
  gone,
  type LineResult,
  secondsOf,
  whole,
  withoutBlanks,
} from './batch-words.ts'
import {
  askOnce,
  type Exchange,
  expected,
  invalid,
  jsonBody,
  type MediaContext,
  missing,
  readJson,
  readValue,
} from './media.ts'
import type { OperationAsk, Told } from './operation.ts'
import { joined } from './upload.ts'

/**
 * OpenAI's files and batches over Anthropic's message batches, which take their requests in one body and have no files:
 * the lines lie on the gateway's shelf from the upload until the results are read, since reading an answer may need the
 * question (names of tools, structured output). `docs.anthropic.com/en/api/creating-message-batches`, 2026-11.
 */
export function* anthropicKept(
  { id, method, path, query }: { id: string; method: string; path: string; query: string },
  operation: OperationAsk,
): Exchange<Told> {
  const [, kind = '', name = '', act] = path.split('/').map(decodeURIComponent)
  const asked = `${method} ${kind}${name ? '/{id}' : ''}${act ? `/${act}` : ''}`
  const known = { id: name, query, ...operation }
  switch (asked) {
    case 'POST files':
      return yield* keepFile(operation)
    case 'GET files':
      return yield* listFiles(known)
    case 'GET files/{id}':
      return yield* fileOf(known)
    case 'GET files/{id}/content':
      return yield* contentOf(known)
    case 'DELETE files/{id}':
      return yield* dropFile(known)
    case 'POST batches':
      return yield* createBatch(operation)
    case 'GET batches':
      return yield* listBatches(known)
    case 'GET batches/{id}':
      return yield* batchOf(known, { path: place(name), method: 'GET' })
    case 'POST batches/{id}/cancel':
      return yield* batchOf(known, { path: `${place(name)}/cancel`, method: 'POST' })
    default:
      throw new GatewayError(
        'not_offered',
        `Anthropic does not offer ${method} of ${id === 'files' ? 'files' : 'batches'} here`,
      )
  }
}

type Known = OperationAsk & { id: string; query: string }

const place = (id: string): string => `/v1/messages/batches/${encodeURIComponent(id)}`

/** Names on the shelf. Nobody finds what is another's. */
const names = {
  file: ({ owner = '' }: MediaContext, id: string) => `file ${owner} ${id}`,
  lines: ({ owner = '' }: MediaContext, id: string) => `lines ${owner} ${id}`,
  batch: ({ owner = '' }: MediaContext, id: string) => `made ${owner} ${id}`,
}

function* find(name: string): Exchange<string | undefined> {
  const [answer] = yield [{ path: '', shelf: { find: name } }]
  const { status, bytes } = expected(answer)
  return status === 200 ? utf8(bytes) : undefined
}

function* save(name: string, said: string): Exchange<void> {
  yield [{ path: '', shelf: { save: name, text: said } }]
}

function* keepFile({ upload, plain, context }: OperationAsk): Exchange<Told> {
  if (!upload) throw invalid('file', 'send the file as multipart/form-data.')
  const body = plain()
  const purpose = text(upload.fields.get('purpose')?.[0]) ?? text(body['purpose'])
  if (purpose !== 'batch')
    throw invalid(
      'purpose',
      "for Anthropic the purpose must be 'batch'; its own files are at this path with the header anthropic-version.",
    )
  const found = upload.file('file')
  if (!found) throw missing('file')
  const bytes = found.bytes instanceof Uint8Array ? found.bytes : joined([])
  const said = utf8(bytes)
  readLines(said)
  const id = `file_${context.requestId}`
  const file = {
    id,
    object: 'file',
    bytes: bytes.length,
    created_at: context.created,
    filename: found.name,
    purpose,
    status: 'processed',
  }
  yield* save(names.lines(context, id), said)
  yield* save(names.file(context, id), JSON.stringify(file))
  return { ...whole(file), ...namesIn(said) }
}

/** `file_out_msgbatch_…`: the results of a batch; `file_err_…`: those that failed. */
const resultsIn = (id: string): { batch: string; failed: boolean } | undefined => {
  const found = /^file_(out|err)_(.+)$/.exec(id)
  return found?.[2] ? { batch: found[2], failed: found[1] === 'err' } : undefined
}

function* fileOf({ id, context }: Known): Exchange<Told> {
  const results = resultsIn(id)
  if (!results) {
    const kept = yield* find(names.file(context, id))
    if (kept === undefined) throw gone('File', id)
    return whole(object(parsedLine(kept)))
  }
  const batch = readJson(yield* askOnce({ method: 'GET', path: place(results.batch) }))
  if (text(batch['results_url']) === undefined) throw gone('File', id)
  return whole({
    id,
    object: 'file',
    // Anthropic does not tell before it has sent them.
    bytes: null,
    created_at: secondsOf(batch['ended_at']),
    expires_at: secondsOf(batch['expires_at']),
    filename: `${results.batch}_${results.failed ? 'error' : 'output'}.jsonl`,
    purpose: 'batch_output',
    status: 'processed',
  })
}

/** What was uploaded and lies here, whoever did: whose it is is looked at where it is told. In the order of their ids. */
function* listFiles({ query, lacks }: Known): Exchange<Told> {
  const asked = new URLSearchParams(query)
  const limit = Math.min(Math.max(Math.trunc(Number(asked.get('limit') ?? 20)) || 20, 1), 100)
  const after = asked.get('after')
  const purpose = asked.get('purpose')
  if (asked.get('order') !== null) lacks('order')
  const [answer] = yield [{ path: '', shelf: { names: 'file ' } }]
  const all = list(readValue(expected(answer).bytes))
    .flatMap((one) => {
      const [, id] = /^file [^ ]* (file_.{1,200})$/.exec(text(one) ?? '') ?? []
      return id === undefined ? [] : [{ id, name: text(one) ?? '' }]
    })
    .filter(({ id }) => after === null || id > after)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const answers = yield all.slice(0, limit).map(({ name }) => ({ path: '', shelf: { find: name } }))
  const data = answers
    .map(({ status, bytes }) => (status === 200 ? object(parsedLine(utf8(bytes))) : {}))
    .filter((file) => file['id'] !== undefined && (!purpose || file['purpose'] === purpose))
    .map(({ used: _, ...file }) => file)
  return whole({
    object: 'list',
    data,
    first_id: data[0]?.['id'] ?? null,
    last_id: data.at(-1)?.['id'] ?? null,
    has_more: all.length > limit,
  })
}

function* dropFile({ id, context }: Known): Exchange<Told> {
  if (resultsIn(id))
    throw new GatewayError(
      'not_offered',
      'results of a batch stay at Anthropic until they expire there, after 29 days',
    )
  const kept = yield* find(names.file(context, id))
  if (kept === undefined) throw gone('File', id)
  yield [{ path: '', shelf: { remove: names.file(context, id) } }]
  // Answers of a batch are read with its questions.
  if (object(parsedLine(kept))['used'] !== true)
    yield [{ path: '', shelf: { remove: names.lines(context, id) } }]
  return whole({ id, object: 'file', deleted: true })
}

/** A line in Anthropic's words. */
function encodeLine(line: BatchLine, to: Target): Encoded {
  const said = text(line.body['model'])?.replace(/^anthropic\//, '')
  const model = to.model === '*' ? said : to.model
  if (model === undefined) throw missing('model')
  return encodeLineFor(line, anthropic, { ...to, model }, name)
}
const name = 'Anthropic'

/** Anthropic takes no other ids (`^[a-zA-Z0-9_-]{1,64}$`). */
const sentId = (customId: string, at: number): string =>
  /^[\w-]{1,64}$/.test(customId) ? customId : `line-${at}-of-this-batch`

function* createBatch({ plain, to, context, lacks }: OperationAsk): Exchange<Told> {
  const body = plain()
  const input = text(body['input_file_id'])
  const endpoint = text(body['endpoint'])
  if (input === undefined) throw missing('input_file_id')
  if (endpoint === undefined) throw missing('endpoint')
  const said = yield* find(names.lines(context, input))
  const kept = yield* find(names.file(context, input))
  if (said === undefined || kept === undefined) throw gone('File', input)
  const betas = new Set<string>()
  const dropped = new Set<string>()
  const requests = readLines(said).map((line, at): JsonObject => {
    if (line.url !== endpoint)
      throw invalid(
        'endpoint',
        `the request '${line.customId.slice(0, 100)}' is for '${line.url.slice(0, 100)}', and the batch for '${endpoint.slice(0, 100)}'.`,
      )
    const { body: params, headers, dropped: left = [] } = encodeLine(line, to)
    for (const beta of headers?.['anthropic-beta']?.split(',') ?? []) betas.add(beta.trim())
    for (const name of left) dropped.add(name)
    return { custom_id: sentId(line.customId, at), params }
  })
  if (dropped.size > 0) lacks(...dropped)
  const told = readJson(
    yield* askOnce({
      path: '/v1/messages/batches',
      ...(betas.size > 0 && { headers: { 'anthropic-beta': [...betas].join(',') } }),
      body: jsonBody({ requests }),
    }),
  )
  const made = { endpoint, input_file_id: input, metadata: body['metadata'] ?? null }
  yield* save(
    names.file(context, input),
    JSON.stringify({ ...object(parsedLine(kept)), used: true }),
  )
  yield* save(names.batch(context, text(told['id']) ?? ''), JSON.stringify(made))
  return batchTold(told, made, true)
}

function* batchOf(
  { id, context }: Known,
  { path, method }: { path: string; method: 'GET' | 'POST' },
): Exchange<Told> {
  const told = readJson(
    yield* askOnce({ method, path, ...(method === 'POST' && { body: jsonBody({}) }) }),
  )
  const made = yield* find(names.batch(context, id))
  return batchTold(told, object(parsedLine(made ?? '')), false)
}

function* listBatches({ query, context }: Known): Exchange<Told> {
  const asked = new URLSearchParams(query)
  const sent = new URLSearchParams()
  const after = asked.get('after')
  const limit = asked.get('limit')
  if (after !== null) sent.set('after_id', after)
  if (limit !== null) sent.set('limit', limit)
  const told = readJson(
    yield* askOnce({ method: 'GET', path: `/v1/messages/batches?${sent.toString()}` }),
  )
  const all = Array.isArray(told['data']) ? told['data'].map(object) : []
  const made = yield all.map((one) => ({
    path: '',
    shelf: { find: names.batch(context, text(one['id']) ?? '') },
  }))
  // The account's batches are everybody's: only those of the caller are told.
  const mine = all.flatMap((one, at): JsonObject[] => {
    const { status, bytes } = expected(made[at])
    return status === 200 ? [encodeBatch(one, object(parsedLine(utf8(bytes))))] : []
  })
  return whole({
    object: 'list',
    data: mine,
    first_id: mine[0]?.['id'] ?? null,
    last_id: mine.at(-1)?.['id'] ?? null,
    has_more: told['has_more'] === true,
  })
}

function batchTold(told: JsonObject, made: JsonObject, fresh: boolean): Told {
  const batch = encodeBatch(told, made)
  const id = text(told['id']) ?? ''
  const ended = text(told['processing_status']) === 'ended'
  return { ...whole(batch), batch: { id, ended, fresh } }
}

function encodeBatch(told: JsonObject, made: JsonObject): JsonObject {
  const id = text(told['id']) ?? ''
  const counts = object(told['request_counts'])
  const count = (name: string): number => number(counts[name]) ?? 0
  const failed = count('errored') + count('canceled') + count('expired')
  const done = count('succeeded')
  const status = statusOf(told, count)
  const ended = secondsOf(told['ended_at'])
  const results = text(told['results_url']) !== undefined
  return {
    id,
    object: 'batch',
    endpoint: made['endpoint'] ?? '/v1/chat/completions',
    errors: null,
    input_file_id: made['input_file_id'] ?? null,
    completion_window: '24h',
    status,
    output_file_id: results && done > 0 ? `file_out_${id}` : null,
    error_file_id: results && failed > 0 ? `file_err_${id}` : null,
    created_at: secondsOf(told['created_at']),
    in_progress_at: secondsOf(told['created_at']),
    expires_at: secondsOf(told['expires_at']),
    finalizing_at: null,
    completed_at: status === 'completed' ? ended : null,
    failed_at: null,
    expired_at: status === 'expired' ? ended : null,
    cancelling_at: secondsOf(told['cancel_initiated_at']),
    cancelled_at: status === 'cancelled' ? ended : null,
    request_counts: { total: count('processing') + done + failed, completed: done, failed },
    metadata: made['metadata'] ?? null,
  }
}

function statusOf(told: JsonObject, count: (name: string) => number): string {
  const said = text(told['processing_status'])
  if (said === 'canceling') return 'cancelling'
  if (said !== 'ended') return 'in_progress'
  if (count('canceled') > 0) return 'cancelled'
  return count('expired') > 0 && count('succeeded') === 0 ? 'expired' : 'completed'
}

function* contentOf({ id, to, context }: Known): Exchange<Told> {
  const results = resultsIn(id)
  if (!results) {
    const said = yield* find(names.lines(context, id))
    if (said === undefined) throw gone('File', id)
    return { type: 'whole', mime: 'application/jsonl', encode: () => toUtf8(said) }
  }
  const made = object(parsedLine((yield* find(names.batch(context, results.batch))) ?? ''))
  // The account's batches are everybody's.
  if (made['input_file_id'] === undefined) throw gone('File', id)
  const said = yield* find(names.lines(context, text(made['input_file_id']) ?? ''))
  const asked = new Map(
    said === undefined
      ? []
      : readLines(said).map((line, at) => [sentId(line.customId, at), line] as const),
  )
  const answer = yield* askOnce({
    method: 'GET',
    path: `${place(results.batch)}/results`,
    live: true,
  })
  if (!answer.live) throw gone('File', id)
  const told = (line: string): string | undefined => {
    const value = parsedLine(line)
    if (!isObject(value)) return line.trim() === '' ? '' : undefined
    const ok = text(object(value['result'])['type']) === 'succeeded'
    if (ok === results.failed) return ''
    return `${JSON.stringify(encodeResult(value, asked, to, context))}\n`
  }
  return { type: 'live', mime: 'application/jsonl', body: withoutBlanks(answer.live, told) }
}

function encodeResult(
  value: JsonObject,
  asked: ReadonlyMap<string, BatchLine>,
  to: Target,
  context: MediaContext,
): JsonObject {
  const id = text(value['custom_id']) ?? ''
  const line = asked.get(id)
  return encodeLineResult(id, line?.customId ?? id, resultIn(value, line, to, context))
}

function resultIn(
  value: JsonObject,
  line: BatchLine | undefined,
  to: Target,
  context: MediaContext,
): LineResult {
  const result = object(value['result'])
  switch (text(result['type'])) {
    case 'succeeded': {
      const message = object(result['message'])
      const body = encodeAnswer(message, line, anthropic, notesOf(line, to), context)
      return { type: 'answer', body, requestId: text(message['id']) ?? '' }
    }
    case 'errored':
      return { type: 'error', error: decodeFault(object(result['error'])) }
    case 'canceled':
      return { type: 'lost', code: 'batch_cancelled', message: 'The batch was cancelled.' }
    case 'expired':
      return {
        type: 'lost',
        code: 'batch_expired',
        message: 'This request could not be executed before the completion window expired.',
      }
    default:
      return { type: 'lost', code: 'server_error', message: 'The provider told no result.' }
  }
}

/** What reading the answer needs of the question. */
function notesOf(line: BatchLine | undefined, to: Target): Notes {
  try {
    if (line) return encodeLine(line, { ...to, dropParams: true }).notes
  } catch {
    // It was understood when it was sent; the row has changed since.
  }
  return { model: to.model }
}
