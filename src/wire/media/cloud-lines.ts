import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, object, text } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { stringify } from '../../json/parse.ts'
import type { Encoded, Notes, Target } from '../wire.ts'
import { decodeEmbedding, encodeEmbedding, forEmbeddings } from './batch-embeddings.ts'
import { type BatchLine, linesOf, parsedLine } from './batch-lines.ts'
import { encodeAnswer, encodeLine, encodeLineResult, type LineResult } from './batch-words.ts'
import type { Cloud } from './cloud.ts'
import { type Exchange, invalid, type MediaContext, missing } from './media.ts'

/* What a job reads and what it wrote, line by line, from a client's words and back into them. */

type Asked = {
  said: string
  cloud: Cloud
  to: Target
  lacks(...fields: string[]): void
  /** The path every line has to be for; absent: it is only looked whether the lines can be said. */
  endpoint?: string
}

/** What a job reads. Throws for a line that cannot be said to this provider, and says which. */
export function* rowsOf({ said, cloud, to, lacks, endpoint }: Asked): Exchange<Uint8Array[]> {
  const target = withModel(said, to)
  const dropped = new Set<string>()
  const rows: Uint8Array[] = []
  let at = 0
  let busy = 0
  for (const line of linesOf(said)) {
    try {
      const wrong = whatIsWrong(line, target, to, cloud, endpoint)
      if (wrong) throw wrong
      const { body, headers = {}, dropped: left = [] } = encodeFor(line, cloud, target)
      for (const name of [...left, ...Object.keys(headers)]) dropped.add(name)
      const row = `${stringify(cloud.encodeRow(body, at++, target))}\n`
      if (row.length > rowMax)
        throw invalid('input_file_id', `it is longer than ${rowMax / 1024 / 1024} MB.`)
      if (endpoint !== undefined) rows.push(toUtf8(row))
      busy += row.length
    } catch (cause) {
      throw ofLine(line.at, cause)
    }
    if (busy < busyMax) continue
    busy = 0
    yield [{ path: '', rest: true }]
  }
  if (dropped.size > 0) lacks(...dropped)
  return rows
}
/** Characters. Results repeat what was asked, and a line of them is read whole: 16 MB at most. */
const rowMax = 12 * 1024 * 1024
/** Characters: some ten milliseconds of work. */
const busyMax = 512 * 1024

function whatIsWrong(
  { url, body }: BatchLine,
  target: Target,
  to: Target,
  { name }: Cloud,
  endpoint: string | undefined,
): GatewayError | undefined {
  if (endpoint !== undefined && url !== endpoint)
    return invalid(
      'endpoint',
      `it is for '${url.slice(0, 100)}', and the batch for '${endpoint.slice(0, 100)}'.`,
    )
  if (to.model === '*' && modelIn(body) !== target.model)
    return invalid(
      'model',
      `it is for another model than those before: a batch of ${name} has one model.`,
    )
  return undefined
}

function encodeFor(line: BatchLine, cloud: Cloud, to: Target): Encoded {
  const wire = line.url === forEmbeddings ? cloud.embeddings?.(to) : undefined
  return wire === undefined
    ? encodeLine(line, cloud.wire(to), to, cloud.name)
    : encodeEmbedding(line, wire, to)
}

function ofLine(at: number, cause: unknown): unknown {
  if (!GatewayError.is(cause) || cause.kind === 'internal') return cause
  const { kind, message, status, type, param, code } = cause
  return new GatewayError(kind, `line ${at} of the input file: ${message}`, {
    status,
    type,
    param,
    code,
    cause,
  })
}

/** A provider without a deployment takes the model its lines name. */
export function withModel(said: string, to: Target): Target {
  if (to.model !== '*') return to
  for (const { body } of linesOf(said)) {
    const model = modelIn(body)
    if (model === undefined) throw missing('model')
    return { ...to, model }
  }
  return to
}

const modelIn = (body: JsonObject): string | undefined =>
  text(body['model'])?.replace(/^(?:bedrock|vertex_ai|vertex_ai_beta|gemini)\//, '') || undefined

/** Rows of results in the words of the client that asked. */
export function createReader(
  cloud: Cloud,
  asked: Uint8Array | undefined,
  to: Target,
  context: MediaContext,
): (row: JsonObject) => { result: LineResult; value: JsonObject } {
  const lines = asked
    ? utf8(asked)
        .split('\n')
        .filter((line) => line.trim() !== '')
    : []
  return (row) => {
    const { at, said } = cloud.decodeRow(row, to)
    const line = lineAt(lines, at)
    const requestId = `${context.requestId}-${at ?? 0}`
    const id = at === undefined ? 'unknown' : String(at)
    const result = resultOf(said, line, cloud, to, { ...context, requestId })
    return { result, value: encodeLineResult(id, line?.customId ?? id, result) }
  }
}

function lineAt(lines: readonly string[], at: number | undefined): BatchLine | undefined {
  const said: Json | undefined = parsedLine((at === undefined ? undefined : lines[at]) ?? '')
  const { custom_id, url, body } = object(said)
  const customId = text(custom_id)
  return customId === undefined ? undefined : { customId, url: text(url) ?? '', body: object(body) }
}

function resultOf(
  said: JsonObject | GatewayError,
  line: BatchLine | undefined,
  cloud: Cloud,
  to: Target,
  context: MediaContext,
): LineResult {
  try {
    if (GatewayError.is(said)) return { type: 'error', error: said }
    const vectors = line?.url === forEmbeddings ? cloud.embeddings?.(to) : undefined
    const body =
      line && vectors !== undefined
        ? decodeEmbedding(said, line, vectors, to, asCalled(line, context))
        : encodeAnswer(said, line, cloud.wire(to), notesOf(line, cloud, to), context)
    return { type: 'answer', body, requestId: text(body['id']) ?? '' }
  } catch (cause) {
    // One answer that is none does not keep the others from the client.
    return { type: 'error', error: GatewayError.from(cause) }
  }
}

const asCalled = ({ body }: BatchLine, context: MediaContext): MediaContext => ({
  ...context,
  model: text(body['model']) ?? context.model,
})

/** What reading the answer needs of the question. */
function notesOf(line: BatchLine | undefined, cloud: Cloud, to: Target): Notes {
  try {
    if (line) return encodeFor(line, cloud, { ...to, dropParams: true }).notes
  } catch {
    // It was understood when it was sent; the row has changed since.
  }
  return { model: to.model }
}
