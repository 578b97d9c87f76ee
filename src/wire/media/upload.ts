import { GatewayError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import type { LineChange } from './batch-lines.ts'
import { type FormPiece, readForm } from './form.ts'
import type { FormFields, FormFile, MediaFile, SentBody } from './media.ts'

/**
 * A form a client sends. Its beginning is held, so that a small one can be sent again to another deployment; a large file
 * is passed on as it comes and never held whole.
 */
export type Upload = {
  /** Fields seen so far: all of them once `complete`. */
  readonly fields: ReadonlyMap<string, readonly string[]>
  /** The whole form is held. */
  readonly complete: boolean
  /** All of it has been read, held or passed on. */
  readonly ended: boolean
  /** Of files, as far as they have been read. */
  readonly fileBytes: number
  /** The form for a provider. A form that is not complete can be sent once. */
  encode(edits: FormEdits): SentBody
  /** One file of the form, by the first of these names that is there. */
  file(...names: string[]): MediaFile | undefined
  /** All files; only of a complete form. */
  files(): readonly FormFile[]
  /** Holds the rest too. More than `max` bytes is refused. */
  hold(max: number): Promise<void>
}

export type FormEdits = {
  /** Other values for fields, added where the client has none. */
  set: Readonly<Record<string, string>>
  remove: ReadonlySet<string>
  /** Only where the client says nothing. */
  append: Readonly<Record<string, string>>
  /** Told of fields that come after what was held; throws to end the request. */
  check(name: string): void
  /** Sees the bytes of files. */
  tap?: ((bytes: Uint8Array) => void) | undefined
  /** Changes the lines of files; asked for anew for each. */
  rewrite?: (() => LineChange) | undefined
}

/** A form of this size is held, and a larger one until the model is known. */
export const heldBytes = 4 * 1024 * 1024
/** What is held of a form that names its model behind its file: OpenAI's clients write the fields in the order they are given. */
export const heldForModelBytes = 32 * 1024 * 1024

export async function openUpload(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
  /** Is the model known without the form? */
  named: boolean,
): Promise<Upload> {
  const pieces = readForm(source, boundary)
  const held: FormPiece[] = []
  const fields = new Map<string, string[]>()
  let size = 0
  let complete = false
  let ended = false
  let fileBytes = 0
  let sent = false

  const note = (piece: FormPiece): void => {
    held.push(piece)
    if (piece.type === 'data') {
      size += piece.bytes.length
      fileBytes += piece.bytes.length
    }
    if (piece.type !== 'field') return
    size += piece.value.length
    const values = fields.get(piece.name)
    if (values) values.push(piece.value)
    else fields.set(piece.name, [piece.value])
  }
  const holdUntil = async (enough: () => boolean): Promise<void> => {
    while (!complete && !enough()) {
      const { done, value } = await pieces.next()
      if (done) complete = ended = true
      // A piece of the network's own buffer: kept, it would keep all of it.
      else note(value.type === 'data' ? { ...value, bytes: value.bytes.slice() } : value)
    }
  }
  await holdUntil(() => size > (named || fields.has('model') ? heldBytes : heldForModelBytes))
  if (!complete && size > heldForModelBytes && !named && !fields.has('model')) throw modelTooLate()

  const once = () => {
    if (sent && !complete)
      throw new GatewayError('internal', 'an upload that is passed on can be sent only once')
    sent = true
  }
  return {
    fields,
    get complete() {
      return complete
    },
    get ended() {
      return ended
    },
    get fileBytes() {
      return fileBytes
    },
    encode(edits) {
      once()
      const mime = `multipart/form-data; boundary=${/^[\w'()+.-]+$/.test(boundary) ? boundary : `"${boundary}"`}`
      const writer = createWriter(boundary, edits)
      const start = held.flatMap(writer.piece)
      if (complete) return { type: 'bytes', mime, bytes: joined([...start, ...writer.end()]) }
      return { type: 'bytes', mime, bytes: rest(start, writer, edits) }
    },
    file(...names) {
      const found = held.findIndex((piece) => piece.type === 'file' && names.includes(piece.name))
      const piece = held[found]
      if (piece?.type !== 'file') return undefined
      const bytes: Uint8Array[] = []
      for (const later of held.slice(found + 1)) {
        if (later.type !== 'data') break
        bytes.push(later.bytes)
      }
      const open = !complete && !held.slice(found).some(({ type }) => type === 'close')
      if (open) once()
      return {
        name: piece.filename,
        mime: piece.mime,
        bytes: open ? opened(bytes) : joined(bytes),
      }
    },
    files() {
      const out: FormFile[] = []
      held.forEach((piece, at) => {
        if (piece.type !== 'file') return
        const bytes: Uint8Array[] = []
        for (const later of held.slice(at + 1)) {
          if (later.type !== 'data') break
          bytes.push(later.bytes)
        }
        out.push({
          field: piece.name,
          file: { name: piece.filename, mime: piece.mime, bytes: joined(bytes) },
        })
      })
      return out
    },
    async hold(max) {
      await holdUntil(() => size > max)
      if (!complete)
        throw new GatewayError(
          'too_large',
          `the form is larger than the ${max / 1024 / 1024} MB this provider's requests are held in`,
        )
    },
  }

  async function* rest(
    start: Uint8Array[],
    writer: ReturnType<typeof createWriter>,
    { check }: FormEdits,
  ): AsyncGenerator<Uint8Array> {
    // What has been sent is let go of.
    held.length = 0
    for (let bytes = start.shift(); bytes; bytes = start.shift()) yield bytes
    for await (const piece of pieces) {
      if (piece.type === 'field') check(piece.name)
      else if (piece.type === 'data') fileBytes += piece.bytes.length
      for (const bytes of writer.piece(piece)) yield bytes
    }
    ended = true
    yield joined(writer.end())
  }

  /** The file alone, as it comes. A field behind it comes too late for a provider that takes fields before the file. */
  async function* opened(start: Uint8Array[]): AsyncGenerator<Uint8Array> {
    held.length = 0
    for (let bytes = start.shift(); bytes; bytes = start.shift()) yield bytes
    for (;;) {
      const { done, value } = await pieces.next()
      if (done) {
        ended = true
        return
      }
      if (value.type === 'data') {
        fileBytes += value.bytes.length
        yield value.bytes
      } else if (value.type === 'field' || value.type === 'file')
        throw new GatewayError(
          'bad_request',
          `the part '${value.name.slice(0, 100)}' of the form comes behind a large file: send it before`,
          { param: value.name.slice(0, 100), type: 'invalid_request_error' },
        )
    }
  }
}

const modelTooLate = (): GatewayError =>
  new GatewayError(
    'bad_request',
    `the form has not named its model in the first ${heldForModelBytes / 1024 / 1024} MB: put the field 'model' before the file, or send it in the header x-litellm-model`,
    { param: 'model', type: 'invalid_request_error' },
  )

/** Writes pieces as they were, fields by `edits`. */
function createWriter(boundary: string, { set, remove, append, tap, rewrite }: FormEdits) {
  let lines: LineChange | undefined
  const seen = new Set<string>()
  const open = toUtf8(`--${boundary}\r\n`)
  const head = (bytes: Uint8Array): Uint8Array[] => [open, bytes, blank]
  const added = (name: string, value: string): Uint8Array[] => [
    open,
    toUtf8(`Content-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`),
  ]
  return {
    piece(piece: FormPiece): Uint8Array[] {
      switch (piece.type) {
        case 'data':
          tap?.(piece.bytes)
          return lines ? lines.push(piece.bytes) : [piece.bytes]
        case 'close': {
          const rest = lines?.end() ?? []
          lines = undefined
          return [...rest, lineEnd]
        }
        case 'file':
          lines = rewrite?.()
          return head(piece.head)
        case 'field': {
          seen.add(piece.name)
          if (remove.has(piece.name)) return []
          const value = Object.hasOwn(set, piece.name) ? set[piece.name] : undefined
          return [...head(piece.head), toUtf8(value ?? piece.value), lineEnd]
        }
      }
    },
    end(): Uint8Array[] {
      const out: Uint8Array[] = []
      for (const [name, value] of Object.entries({ ...append, ...set }))
        if (!seen.has(name)) out.push(...added(name, value))
      return [...out, toUtf8(`--${boundary}--\r\n`)]
    },
  }
}

const blank = toUtf8('\r\n\r\n')
const lineEnd = toUtf8('\r\n')

export function joined(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1 && chunks[0]) return chunks[0]
  let size = 0
  for (const chunk of chunks) size += chunk.length
  const out = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** A new form, of a provider's own fields. */
export function encodeForm(
  fields: FormFields,
  files: readonly FormFile[],
  boundary: string,
): Extract<SentBody, { type: 'bytes' }> {
  const start: Uint8Array[] = []
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== null)
      start.push(
        toUtf8(
          `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
        ),
      )
  const mime = `multipart/form-data; boundary=${boundary}`
  const end = toUtf8(`--${boundary}--\r\n`)
  const heads = files.map(({ field, file }) => ({
    head: toUtf8(
      `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(field)}"; filename="${quoted(file.name)}"\r\nContent-Type: ${plainMime(file.mime)}\r\n\r\n`,
    ),
    bytes: file.bytes,
  }))
  const held = heads.every(({ bytes }) => bytes instanceof Uint8Array)
  if (held)
    return {
      type: 'bytes',
      mime,
      bytes: joined([
        ...start,
        ...heads.flatMap(({ head, bytes }) =>
          bytes instanceof Uint8Array ? [head, bytes, lineEnd] : [],
        ),
        end,
      ]),
    }
  return { type: 'bytes', mime, bytes: flowing(start, heads, end) }
}

async function* flowing(
  start: readonly Uint8Array[],
  files: readonly { head: Uint8Array; bytes: MediaFile['bytes'] }[],
  end: Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield joined(start)
  for (const { head, bytes } of files) {
    yield head
    if (bytes instanceof Uint8Array) yield bytes
    else yield* bytes
    yield lineEnd
  }
  yield end
}

const quoted = (name: string): string => name.replaceAll('"', '%22').replace(/[\r\n]+/g, ' ')
const plainMime = (mime: string): string =>
  /^[\x20-\x7e]{1,200}$/.test(mime) ? mime : 'application/octet-stream'

/** The fields of a form as a body of JSON would have them; `name[]` and repeated ones are lists. */
export function bodyOf(upload: Upload): JsonObject {
  const out: JsonObject = {}
  for (const [name, values] of upload.fields) {
    const key = name.replace(/\[\]$/, '')
    if (key === '__proto__') continue
    out[key] =
      name.endsWith('[]') || values.length > 1
        ? values.map(fieldValue)
        : fieldValue(values[0] ?? '')
  }
  return out
}

/** LiteLLM's clients write maps and lists into a form as JSON. */
function fieldValue(said: string): Json {
  if (!/^\s*[[{]/.test(said)) return said
  try {
    return JSON.parse(said)
  } catch {
    return said
  }
}
