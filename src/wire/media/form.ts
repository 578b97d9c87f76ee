import { GatewayError } from '../../errors.ts'
import { latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { invalid } from './media.ts'

/**
 * multipart/form-data (RFC 7578) as it comes: fields whole, files piece by piece. A part without a file name is a field.
 * `head` is the part's own head, byte for byte, so that a form can be sent on as it was written.
 */
export type FormPiece =
  | { type: 'field'; name: string; value: string; head: Uint8Array }
  | { type: 'file'; name: string; filename: string; mime: string; head: Uint8Array }
  /** Bytes of the file before. */
  | { type: 'data'; bytes: Uint8Array }
  | { type: 'close' }

export const formBounds = {
  parts: 1000,
  /** Of one field that is no file. */
  fieldBytes: 4 * 1024 * 1024,
  headBytes: 16 * 1024,
}

/** The boundary a content type names; undefined when it is no form. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^\s*multipart\/form-data\s*(;|$)/i.test(contentType ?? '')) return undefined
  const found = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType ?? '')
  const boundary = found?.[1] ?? found?.[2]
  if (boundary === undefined || !/^[\x20-\x7e]{1,200}$/.test(boundary))
    throw new GatewayError(
      'bad_request',
      'the content-type of the form names no boundary: let the HTTP client set this header',
    )
  return boundary
}

export async function* readForm(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
  bounds: typeof formBounds = formBounds,
): AsyncGenerator<FormPiece, void, undefined> {
  const reader = createReader(source)
  const mark = toUtf8(`\r\n--${boundary}`)
  // The first mark may stand at the very beginning, without the line end before it.
  reader.unread(toUtf8('\r\n'))
  for await (const _ of reader.until(mark)) {
    // What comes before the first part is nobody's.
  }
  for (let parts = 0; ; parts++) {
    const next = await reader.line(bounds.headBytes)
    if (next.startsWith('--')) return
    if (next.trim() !== '') throw malformed()
    if (parts >= bounds.parts)
      throw new GatewayError('too_large', `the form has more than ${bounds.parts} parts`)
    const part = partOf(await reader.head(bounds.headBytes))
    if (part.type === 'file') {
      yield part
      for await (const bytes of reader.until(mark)) yield { type: 'data', bytes }
      yield { type: 'close' }
    } else yield { ...part, value: await whole(reader.until(mark), part.name, bounds.fieldBytes) }
  }
}

async function whole(
  pieces: AsyncIterable<Uint8Array>,
  name: string,
  max: number,
): Promise<string> {
  const decoder = new TextDecoder()
  let size = 0
  let out = ''
  for await (const bytes of pieces) {
    size += bytes.length
    if (size > max)
      throw new GatewayError(
        'too_large',
        `the field '${name.slice(0, 100)}' of the form is larger than ${max / 1024 / 1024} MB; send a file as a part with a file name`,
        { param: name.slice(0, 100), type: 'invalid_request_error' },
      )
    out += decoder.decode(bytes, { stream: true })
  }
  return out + decoder.decode()
}

function partOf(
  head: Uint8Array,
): { type: 'field'; name: string; head: Uint8Array } | Extract<FormPiece, { type: 'file' }> {
  const lines = utf8(head).split('\r\n')
  const header = (name: string): string =>
    lines
      .find((line) => line.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim() ?? ''
  const disposition = header('content-disposition')
  const name = parameter(disposition, 'name')
  if (name === undefined)
    throw invalid(
      'form',
      'a part of the form has no name: each needs a content-disposition with one',
    )
  const filename = extended(disposition) ?? parameter(disposition, 'filename')
  if (filename === undefined) return { type: 'field', name, head }
  const mime = header('content-type') || 'application/octet-stream'
  return { type: 'file', name, filename, mime, head }
}

/** Browsers write a quote as %22, others with a backslash. */
function parameter(disposition: string, name: string): string | undefined {
  const found = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;"]+))`, 'i').exec(
    disposition,
  )
  return found?.[1]?.replace(/\\(["\\])/g, '$1').replaceAll('%22', '"') ?? found?.[2]
}

/** `filename*=UTF-8''…` of RFC 8187. */
function extended(disposition: string): string | undefined {
  const found = /;\s*filename\*=utf-8'[^']*'([^\s;]+)/i.exec(disposition)?.[1]
  try {
    return found && decodeURIComponent(found)
  } catch {
    return undefined
  }
}

const malformed = (): GatewayError =>
  new GatewayError('bad_request', 'the form is not valid multipart/form-data, or was cut short')

/** A source with a place to look ahead from. */
function createReader(source: AsyncIterable<Uint8Array>) {
  const iterator = source[Symbol.asyncIterator]()
  let held: Uint8Array = new Uint8Array(0)
  const more = async (): Promise<boolean> => {
    const { done, value } = await iterator.next()
    if (done) return false
    held = held.length === 0 ? value : both(held, value)
    return true
  }
  const take = (length: number): Uint8Array => {
    const out = held.subarray(0, length)
    held = held.subarray(length)
    return out
  }

  /** Up to a mark, which is taken too. */
  async function upTo(mark: Uint8Array, max: number): Promise<Uint8Array> {
    for (let from = 0; ; ) {
      const at = indexOf(held, mark, from)
      if (at !== -1) {
        const out = take(at)
        take(mark.length)
        return out
      }
      if (held.length > max) throw malformed()
      from = Math.max(0, held.length - mark.length)
      if (!(await more())) throw malformed()
    }
  }
  return {
    unread(bytes: Uint8Array) {
      held = both(bytes, held)
    },
    line: async (max: number): Promise<string> => {
      while (held.length < 2) if (!(await more())) throw malformed()
      if (held[0] === 45 && held[1] === 45) return '--'
      return latin1(await upTo(lineEnd, max))
    },
    async head(max: number): Promise<Uint8Array> {
      while (held.length < 2) if (!(await more())) throw malformed()
      // A part without any header has no name either.
      if (held[0] === 13 && held[1] === 10) return take(2).subarray(0, 0)
      return upTo(headEnd, max)
    },
    async *until(mark: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
      for (;;) {
        const at = indexOf(held, mark, 0)
        if (at !== -1) {
          if (at > 0) yield take(at)
          take(mark.length)
          return
        }
        const sure = held.length - mark.length + 1
        if (sure > 0) yield take(sure)
        if (!(await more())) throw malformed()
      }
    },
  }
}

const lineEnd = toUtf8('\r\n')
const headEnd = toUtf8('\r\n\r\n')

export function both(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

/** Marks begin with a carriage return, which is looked for by the runtime. */
function indexOf(bytes: Uint8Array, mark: Uint8Array, from: number): number {
  const first = mark[0] ?? 0
  for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (at + mark.length > bytes.length) return -1
    let same = 1
    while (same < mark.length && bytes[at + same] === mark[same]) same++
    if (same === mark.length) return at
  }
  return -1
}
