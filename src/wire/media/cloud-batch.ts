import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, number, text } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { stringify } from '../../json/parse.ts'
import { namesIn, parsedLine } from './batch-lines.ts'
import { gone, whole, withoutBlanks } from './batch-words.ts'
import { type Cloud, isOver, type Job, type names, placeIn } from './cloud.ts'
import { listFiles } from './cloud-files.ts'
import {
  findAll,
  folderIn,
  folderOf,
  foundIn,
  type Known,
  pageAsked,
  parsed,
} from './cloud-folders.ts'
import { createReader, rowsOf, withModel } from './cloud-lines.ts'
import { type Exchange, expected, invalid, missing, othersOf } from './media.ts'
import type { OperationAsk, Told } from './operation.ts'
import { joined } from './upload.ts'

/**
 * OpenAI's files and batches over a provider whose jobs read their requests from a place of their own and write the
 * results there. What a client uploads is checked line by line and kept as it is; it is put into the provider's words
 * when a batch is made of it. Each batch has a folder: what was asked (reading an answer may need the question), what the
 * job reads, and what OpenAI's clients say of a batch that the provider's jobs have no field for.
 */
export function* cloudKept(
  cloud: Cloud,
  { id, method, path, query }: { id: string; method: string; path: string; query: string },
  operation: OperationAsk,
): Exchange<Told> {
  const [, kind = '', name = '', act] = path.split('/').map(decodeURIComponent)
  const asked = `${method} ${kind}${name ? '/{id}' : ''}${act ? `/${act}` : ''}`
  const known: Known = { cloud, name, query, ...operation }
  switch (asked) {
    case 'POST files':
      return yield* keepFile(known)
    case 'GET files':
      return yield* listFiles(known)
    case 'GET files/{id}':
      return yield* fileOf(known)
    case 'GET files/{id}/content':
      return yield* contentOf(known)
    case 'DELETE files/{id}':
      return yield* dropFile(known)
    case 'POST batches':
      return yield* createBatch(known)
    case 'GET batches':
      return yield* listBatches(known)
    case 'GET batches/{id}':
      return yield* batchOf(known)
    case 'POST batches/{id}/cancel':
      return yield* cancelBatch(known)
    default:
      throw new GatewayError(
        'not_offered',
        `${cloud.name} does not offer ${method} of ${id === 'files' ? 'files' : 'batches'} here`,
      )
  }
}

/** `file_out_…`: the results of a batch; `file_err_…`: those that failed. */
const resultsIn = (id: string): { batch: string; failed: boolean } | undefined => {
  const found = /^file_(out|err)_([\w-]{1,100})$/.exec(id)
  return found?.[2] ? { batch: found[2], failed: found[1] === 'err' } : undefined
}

const json = (value: JsonObject): Uint8Array => toUtf8(stringify(value))

function* keepFile(known: Known): Exchange<Told> {
  const { cloud, upload, plain, context, to, lacks } = known
  if (!upload) throw invalid('file', 'send the file as multipart/form-data.')
  const purpose = upload.fields.get('purpose')?.[0] ?? text(plain()['purpose'])
  const examples = purpose === 'fine-tune' ? cloud.checkExamples : undefined
  const own = purpose && purpose !== 'batch' && !examples ? cloud.own : undefined
  if (purpose !== 'batch' && !examples && !own)
    throw invalid(
      'purpose',
      `for ${cloud.name} the purpose must be 'batch'${cloud.checkExamples ? " or 'fine-tune'" : ''}.`,
    )
  const others = Object.keys(othersOf(plain(), fileFields))
  if (others.length > 0) lacks(...others)
  const found = upload.file('file')
  if (!found) throw missing('file')
  const bytes = found.bytes instanceof Uint8Array ? found.bytes : new Uint8Array(0)
  if (own) return whole({ ...(yield* own.upload(found, bytes)), purpose })
  const store = cloud.store(to)
  if (examples) examples(utf8(bytes), to)
  else yield* rowsOf({ said: utf8(bytes), cloud, to, lacks })
  const folder = folderOf(context)
  const file = {
    id: `file_${folder}`,
    object: 'file',
    bytes: bytes.length,
    created_at: context.created,
    filename: found.name,
    purpose,
    status: 'processed',
  }
  const put = (name: keyof typeof names, said: Uint8Array, mime: string) =>
    store.put(placeIn(cloud, folder, name), said, mime)
  yield [put('asked', bytes, jsonLines), put('file', json(file), 'application/json')]
  return { ...whole(file), ...namesIn(utf8(bytes)) }
}
const jsonLines = 'application/jsonl'
const forUs = ['model', 'target_model_names', 'custom_llm_provider']
const fileFields: ReadonlySet<string> = new Set(['purpose', 'file', ...forUs])
const batchFields: ReadonlySet<string> = new Set([
  'input_file_id',
  'endpoint',
  'completion_window',
  'metadata',
  ...forUs,
])

function* fileOf(known: Known): Exchange<Told> {
  const { cloud, name } = known
  if (cloud.own?.isOne(name)) return whole(yield* cloud.own.find(name))
  const results = resultsIn(name)
  if (!results) {
    const [file] = yield* findAll(known, folderIn(name), 'file')
    if (!file) throw gone('File', name)
    return whole(parsed(file))
  }
  const job = yield* jobOf(known, results.batch)
  if (!isOver[job.status]) throw gone('File', name)
  return whole({
    id: name,
    object: 'file',
    // They are told in other words than they lie there.
    bytes: null,
    created_at: job.ended,
    filename: `batch_${job.id}_${results.failed ? 'error' : 'output'}.jsonl`,
    purpose: 'batch_output',
    status: 'processed',
  })
}

function* dropFile(known: Known): Exchange<Told> {
  const { cloud, name, to } = known
  if (cloud.own?.isOne(name)) {
    yield* cloud.own.remove(name)
    return whole({ id: name, object: 'file', deleted: true })
  }
  if (resultsIn(name))
    throw new GatewayError(
      'not_offered',
      `results of a batch stay where ${cloud.name} has put them: what the gateway has not paid for yet is read from there`,
    )
  const folder = folderIn(name)
  const [file] = yield* findAll(known, folder, 'file')
  if (!file) throw gone('File', name)
  // A batch has its own copy.
  const store = cloud.store(to)
  yield [
    store.remove(placeIn(cloud, folder, 'asked')),
    store.remove(placeIn(cloud, folder, 'file')),
  ]
  return whole({ id: name, object: 'file', deleted: true })
}

function* createBatch(known: Known): Exchange<Told> {
  const { cloud, plain, to, context, lacks } = known
  const body = plain()
  const input = text(body['input_file_id'])
  const endpoint = text(body['endpoint'])
  if (input === undefined) throw missing('input_file_id')
  if (endpoint === undefined) throw missing('endpoint')
  if ((body['completion_window'] ?? '24h') !== '24h')
    throw invalid('completion_window', "'completion_window' must be '24h'.")
  const others = Object.keys(othersOf(body, batchFields))
  if (others.length > 0) lacks(...others)
  const [asked] = yield* findAll(known, folderIn(input), 'asked')
  if (!asked) throw gone('File', input)
  const said = utf8(asked)
  const target = withModel(said, to)
  const rows = yield* rowsOf({ said, cloud, to, lacks, endpoint })
  const folder = folderOf(context)
  const made = {
    endpoint,
    input_file_id: input,
    model: target.model,
    total: rows.length,
    metadata: body['metadata'] ?? null,
  }
  const store = cloud.store(to)
  const put = (name: keyof typeof names, bytes: Uint8Array, mime: string) =>
    store.put(placeIn(cloud, folder, name), bytes, mime)
  // Before the job, which nobody could be told of otherwise.
  yield [put('asked', asked, jsonLines), put('made', json(made), 'application/json')]
  const { created } = context
  const job = yield* cloud.create({ folder, endpoint, rows: joined(rows), store, created }, target)
  return batchTold(job, made, true)
}

/** A job that is ours, by the id a client has. */
function* jobOf({ cloud, to }: Known, id: string): Exchange<Job> {
  if (!/^[\w-]{1,100}$/.test(id)) throw gone('Batch', id)
  const job = yield* cloud.find(id, to)
  if (job.folder === undefined) throw gone('Batch', id)
  return job
}

const batchIn = (id: string): string => {
  const [, job] = /^batch_([\w-]{1,100})$/.exec(id) ?? []
  if (job === undefined) throw gone('Batch', id)
  return job
}

function* batchOf(known: Known): Exchange<Told> {
  return yield* tellBatch(known, yield* jobOf(known, batchIn(known.name)))
}

function* tellBatch(known: Known, job: Job): Exchange<Told> {
  const [made] = yield* findAll(known, job.folder ?? '', 'made')
  return batchTold(job, parsed(made), false)
}

function* cancelBatch(known: Known): Exchange<Told> {
  const { cloud, to } = known
  const id = batchIn(known.name)
  const job = yield* jobOf(known, id)
  if (isOver[job.status] || job.status === 'cancelling') return yield* tellBatch(known, job)
  yield [cloud.cancel(id, to)]
  return yield* tellBatch(known, yield* jobOf(known, id))
}

function* listBatches(known: Known): Exchange<Told> {
  const { cloud, query, to } = known
  const { limit, after } = pageAsked(new URLSearchParams(query))
  const found: Job[] = []
  let passing = after !== null
  let token: string | undefined
  for (let pages = 0; pages < pagesMax && found.length <= limit; pages++) {
    const { jobs, next } = yield* cloud.page(token, to)
    for (const job of jobs) {
      if (!passing && job.folder !== undefined) found.push(job)
      if (`batch_${job.id}` === after) passing = false
    }
    token = next
    if (token === undefined) break
  }
  const told = found.slice(0, limit)
  const store = cloud.store(to)
  const answers = yield told.map(({ folder = '' }) => store.find(placeIn(cloud, folder, 'made')))
  const data = told.map((job, at) =>
    encodeBatch(job, parsed(foundIn(expected(answers[at]), cloud))),
  )
  return whole({
    object: 'list',
    data,
    first_id: data[0]?.['id'] ?? null,
    last_id: data.at(-1)?.['id'] ?? null,
    has_more: found.length > limit,
  })
}
/** Of a hundred jobs each: others may make jobs in the same account. */
const pagesMax = 20

function batchTold(job: Job, made: JsonObject, fresh: boolean): Told {
  const batch = encodeBatch(job, made)
  return { ...whole(batch), batch: { id: `batch_${job.id}`, ended: isOver[job.status], fresh } }
}

function encodeBatch(job: Job, made: JsonObject): JsonObject {
  const { id, status, counts, created, started, ended, expires, error } = job
  const total = number(made['total']) ?? (counts ? counts.completed + counts.failed : 0)
  const over = isOver[status]
  // Who does not count may have answered something; what failed as a whole has not, unless it is counted.
  const answered = counts ? counts.completed > 0 : status !== 'failed'
  const some = over && job.output !== undefined
  const at = (word: Job['status']): number | null => (status === word ? ended : null)
  return {
    id: `batch_${id}`,
    object: 'batch',
    endpoint: made['endpoint'] ?? '/v1/chat/completions',
    model: made['model'] ?? null,
    errors:
      error === undefined
        ? null
        : {
            object: 'list',
            data: [{ code: status, message: error, param: null, line: null }],
          },
    input_file_id: made['input_file_id'] ?? null,
    completion_window: '24h',
    status,
    output_file_id: some && answered ? `file_out_${id}` : null,
    error_file_id: some && (counts?.failed ?? 0) > 0 ? `file_err_${id}` : null,
    created_at: created,
    in_progress_at: started,
    expires_at: expires,
    finalizing_at: null,
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: null,
    cancelled_at: at('cancelled'),
    request_counts: {
      total,
      completed: counts?.completed ?? 0,
      failed: counts?.failed ?? 0,
    },
    metadata: made['metadata'] ?? null,
  }
}

function* contentOf(known: Known): Exchange<Told> {
  const { cloud, name, to, context } = known
  if (cloud.own?.isOne(name))
    throw new GatewayError(
      'not_offered',
      `${cloud.name} gives back nothing that was uploaded, but for files of batches`,
    )
  const results = resultsIn(name)
  if (!results) {
    const [asked] = yield* findAll(known, folderIn(name), 'asked')
    if (!asked) throw gone('File', name)
    return { type: 'whole', mime: jsonLines, encode: () => asked }
  }
  const job = yield* jobOf(known, results.batch)
  if (!isOver[job.status]) throw gone('File', name)
  const [asked, made] = yield* findAll(known, job.folder ?? '', 'asked', 'made')
  const target = { ...to, model: text(parsed(made)['model']) ?? to.model }
  const reader = createReader(cloud, asked, target, context)
  const told = (line: string): string | undefined => {
    const row = parsedLine(line)
    if (!isObject(row)) return ''
    const { result, value } = reader(row)
    return (result.type === 'answer') === results.failed ? '' : `${stringify(value)}\n`
  }
  const bodies = yield* cloud.results(job, target)
  return { type: 'live', mime: jsonLines, body: all(bodies, told) }
}

/** One file after the other, each with lines of its own. */
async function* all(
  bodies: readonly AsyncIterable<Uint8Array>[],
  told: (line: string) => string | undefined,
): AsyncGenerator<Uint8Array> {
  for (const body of bodies) yield* withoutBlanks(body, told)
}
