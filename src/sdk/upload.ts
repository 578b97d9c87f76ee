import { sniff } from '../call/media-type.ts'
import { isObject, type JsonObject } from '../json/json.ts'
import { openUpload, type Upload } from '../wire/media/upload.ts'
import { wrong } from './options.ts'

/** A form of what the caller said, held whole, so that it can be sent again. */
export async function uploadOf(
  body: JsonObject,
  files: readonly [name: string, value: unknown][],
): Promise<Upload> {
  const form = new FormData()
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null || name === 'model') continue
    if (Array.isArray(value)) for (const one of value) form.append(`${name}[]`, written(one))
    else form.append(name, written(value))
  }
  for (const [name, value] of files) {
    const several = Array.isArray(value)
    for (const one of several ? value : [value])
      form.append(several ? `${name}[]` : name, await fileOf(one, name))
  }
  const response = new Response(form)
  const boundary = /boundary="?([^";]+)/.exec(response.headers.get('content-type') ?? '')?.[1]
  const bytes = new Uint8Array(await response.arrayBuffer())
  const upload = await openUpload(inOne(bytes), boundary ?? '', true)
  await upload.hold(uploadMax)
  return upload
}

/** Larger than any provider takes. */
const uploadMax = 2 * 1024 * 1024 * 1024

const written = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value)

async function* inOne(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A file with a name, since providers tell by its ending what it is. */
async function fileOf(value: unknown, param: string): Promise<File> {
  if (typeof File !== 'undefined' && value instanceof File) return value
  const bytes = await bytesIn(value)
  if (!bytes)
    throw wrong(
      `${param} must be a File, a Blob, an ArrayBuffer, a Uint8Array or a stream of bytes`,
      param,
    )
  const stated = value instanceof Blob ? value.type : ''
  const mime = stated || sniff(bytes.subarray(0, 16)) || 'application/octet-stream'
  const path = isObject(value) && typeof value['path'] === 'string' ? value['path'] : ''
  const name = path.split(/[\\/]/).pop() || `${param}${endings.get(mime) ?? ''}`
  // The web's types leave out memory shared between threads; this is a copy of our own, or the caller's.
  return new File([bytes as Uint8Array<ArrayBuffer>], name, { type: mime })
}

async function bytesIn(value: unknown): Promise<Uint8Array | undefined> {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (value instanceof Blob) return new Uint8Array(await value.arrayBuffer())
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value))
    return undefined
  const chunks: Uint8Array<ArrayBuffer>[] = []
  // Just seen to be one; what it gives is looked at below.
  for await (const chunk of value as AsyncIterable<unknown>) {
    if (!(chunk instanceof Uint8Array)) return undefined
    chunks.push(chunk.slice())
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer())
}

const endings: ReadonlyMap<string, string> = new Map([
  ['audio/mpeg', '.mp3'],
  ['audio/mp3', '.mp3'],
  ['audio/wav', '.wav'],
  ['audio/x-wav', '.wav'],
  ['audio/ogg', '.ogg'],
  ['audio/flac', '.flac'],
  ['audio/mp4', '.m4a'],
  ['audio/webm', '.webm'],
  ['video/webm', '.webm'],
  ['video/mp4', '.mp4'],
  ['image/png', '.png'],
  ['image/jpeg', '.jpg'],
  ['image/webp', '.webp'],
])
