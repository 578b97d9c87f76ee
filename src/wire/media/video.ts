import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import type { ErrorAnswer, Target } from '../wire.ts'
import { parsedLine } from './batch-lines.ts'
import { filmUnits, type Job, resolutionOf } from './job.ts'
import {
  type Exchange,
  expected,
  invalid,
  type Lacks,
  type MediaContext,
  type MediaFile,
  missing,
  numberOf,
  othersOf,
  textOf,
} from './media.ts'
import type { OperationAsk, Told } from './operation.ts'
import { videoWires } from './video-wires.ts'

/** What a client wants to see. */
export type FilmRequest = {
  prompt: string
  seconds?: number
  size?: { width: number; height: number }
  /** As it was written: `1280x720`, for some `720p`. */
  sizeSaid?: string
  /** The first picture: its address, a `data:` address among them, or a file. */
  reference?: string | MediaFile
  extras: JsonObject
}

/** A film that has been begun. */
export type FilmBegun = {
  /** What the provider finds it by; it may be a path. */
  id: string
  /** Of one film. */
  seconds: number
  /** How many; one where it is not said. */
  films?: number
  /** `720p`, by what was asked or is usual. */
  resolution?: string
}

export type Film = {
  status: 'queued' | 'in_progress' | 'completed' | 'failed'
  /** Percent. */
  progress?: number
  /** Unix seconds. */
  createdAt?: number
  completedAt?: number
  error?: { code: string; message: string }
  /** How many were made. */
  films?: number
}

/** A provider's way of making films: begun, looked at, fetched. */
export interface FilmWire {
  begin(request: FilmRequest, to: Target, lacks: Lacks): Exchange<FilmBegun>
  look(id: string, to: Target): Exchange<Film>
  /** The bytes of one of its films, counted from 0. Throws where there is none. */
  content(id: string, at: number, to: Target): Exchange<FilmBytes>
  /** Absent: the provider forgets them by itself. */
  remove?(id: string, to: Target): Exchange<void>
  decodeError(answer: ErrorAnswer): GatewayError
}
export type FilmBytes = { mime: string; bytes: Uint8Array | AsyncIterable<Uint8Array> }

export const isFilmWire = (wire: string): wire is keyof typeof videoWires =>
  Object.hasOwn(videoWires, wire)

/**
 * OpenAI's videos over providers that make films in words of their own. What the provider does not tell again (how long
 * it was to be, how large) lies on the gateway's shelf.
 */
export function* filmKept(
  { method, path, query }: { method: string; path: string; query: string },
  operation: OperationAsk,
): Exchange<Told> {
  const { wire: name, to, context, plain, lacks } = operation
  if (!isFilmWire(name)) throw new GatewayError('internal', 'no provider of films')
  const wire: FilmWire = videoWires[name]
  const [, , said = '', act] = path.split('/').map(decodeURIComponent)
  const asked = `${method} ${said === '' ? '' : '{id}'}${act ? `/${act}` : ''}`
  switch (asked) {
    case 'POST ':
      return yield* begin(wire, plain(), operation)
    case 'GET {id}': {
      const id = theirs(said)
      const film = yield* wire.look(id, to)
      return tell(id, film, yield* recall(context, id))
    }
    case 'GET {id}/content': {
      const asked = new URLSearchParams(query)
      if ((asked.get('variant') ?? 'video') !== 'video') lacks('variant')
      const { mime, bytes } = yield* wire.content(theirs(said), indexOf(asked.get('index')), to)
      return bytes instanceof Uint8Array
        ? { type: 'whole', mime, encode: () => bytes }
        : { type: 'live', mime, body: bytes }
    }
    case 'DELETE {id}': {
      if (!wire.remove)
        throw new GatewayError(
          'not_offered',
          'this provider keeps films for a while and forgets them by itself: they cannot be deleted',
        )
      const id = theirs(said)
      yield* wire.remove(id, to)
      yield [{ path: '', shelf: { remove: nameOf(context, id) } }]
      return whole({ id: ours(id), object: 'video.deleted', deleted: true })
    }
    default:
      throw new GatewayError(
        'not_offered',
        asked === 'GET '
          ? 'this provider keeps no list of films: ask for one by its id'
          : 'this provider does not make a film of another one here: ask for a new one',
      )
  }
}

function* begin(
  wire: FilmWire,
  body: JsonObject,
  { to, context, upload, lacks }: OperationAsk,
): Exchange<Told> {
  const request = decodeRequest(body, upload?.file('input_reference'))
  const named = to.model === '*' ? text(body['model'])?.replace(`${to.provider}/`, '') : to.model
  if (!named) throw missing('model')
  const {
    id,
    seconds,
    films = 1,
    resolution,
  } = yield* wire.begin(request, { ...to, model: named }, lacks)
  const note: Note = {
    model: context.model,
    created_at: context.created,
    seconds: String(seconds),
    size: request.sizeSaid ?? null,
    resolution: resolution ?? null,
  }
  yield [{ path: '', shelf: { save: nameOf(context, id), text: JSON.stringify(note) } }]
  const told = tell(id, { status: 'queued', progress: 0, films }, note)
  const { job } = told
  return {
    ...whole({ ...told.video, prompt: request.prompt }),
    ...(job && { job: { ...job, fresh: true, model: named } }),
  }
}

/** What is remembered of a film: nothing the client said in words. */
type Note = {
  model?: Json
  created_at?: Json
  seconds?: Json
  size?: Json
  resolution?: Json
}

const nameOf = ({ owner = '' }: MediaContext, id: string): string => `film ${owner} ${id}`

function* recall(context: MediaContext, id: string): Exchange<Note> {
  const [answer] = yield [{ path: '', shelf: { find: nameOf(context, id) } }]
  const { status, bytes } = expected(answer)
  return status === 200 ? object(parsedLine(utf8(bytes))) : {}
}

/** Ids told to clients begin as OpenAI's do. */
const ours = (id: string): string => `video_${id}`

function theirs(id: string): string {
  const found = /^video_(.+)$/.exec(id)?.[1]
  // What stands in a path stays one step of it.
  if (found !== undefined && !/(^|\/)\.*(\/|$)/.test(found)) return found
  throw new GatewayError('not_found', 'there is no video of this id')
}

function tell(
  id: string,
  { status, progress, createdAt, completedAt, error, films = 1 }: Film,
  { model = null, created_at = null, seconds = null, size = null, resolution = null }: Note,
): Extract<Told, { type: 'whole' }> & { video: JsonObject } {
  const video: JsonObject = {
    id: ours(id),
    object: 'video',
    created_at: createdAt ?? created_at,
    completed_at: completedAt ?? null,
    expires_at: null,
    status,
    progress: status === 'completed' ? 100 : (progress ?? 0),
    model,
    seconds,
    size,
    remixed_from_video_id: null,
    error: error ? { ...error } : null,
  }
  const { seconds: each } = filmUnits({ seconds })
  const sharp = text(resolution)
  const job: Job = {
    id: ours(id),
    look: `/videos/${encodeURIComponent(ours(id))}`,
    fresh: false,
    ended: status === 'completed' || status === 'failed',
    ...(status !== 'failed' &&
      each !== undefined && {
        units: { seconds: each * films, ...(sharp !== undefined && { resolution: sharp }) },
      }),
  }
  return { ...whole(video), job, video }
}

const whole = (value: JsonObject): Extract<Told, { type: 'whole' }> => ({
  type: 'whole',
  mime: 'application/json',
  encode: () => ({ body: JSON.stringify(value), encoding: 'utf8' }),
})

/** Where several films were made at once; OpenAI knows only the first. */
function indexOf(said: string | null): number {
  const at = Number(said ?? 0)
  if (Number.isInteger(at) && at >= 0 && at < 100) return at
  throw invalid('index', "'index' must be a whole number from 0.")
}

function decodeRequest(body: JsonObject, file: MediaFile | undefined): FilmRequest {
  const prompt = textOf(body['prompt'], 'prompt') ?? ''
  const seconds = numberOf(body['seconds'], 'seconds')
  if (seconds !== undefined && !(seconds > 0 && seconds <= secondsMax))
    throw invalid('seconds', `'seconds' must be a number above 0 and at most ${secondsMax}.`)
  const sizeSaid = textOf(body['size'], 'size')
  const [, width, height] = /^(\d{2,5})[x:*](\d{2,5})$/i.exec(sizeSaid ?? '') ?? []
  if (sizeSaid !== undefined && resolutionOf(sizeSaid) === undefined)
    throw invalid('size', "'size' must be like '1280x720'.")
  const reference = file ?? addressOf(body['input_reference'])
  if (prompt === '' && reference === undefined) throw missing('prompt')
  return {
    prompt,
    ...(seconds !== undefined && { seconds }),
    ...(sizeSaid !== undefined && { sizeSaid }),
    ...(width !== undefined &&
      height !== undefined && { size: { width: Number(width), height: Number(height) } }),
    ...(reference !== undefined && { reference }),
    extras: othersOf(body, known),
  }
}
const secondsMax = 3600
const known = new Set([
  'model',
  'prompt',
  'seconds',
  'size',
  'input_reference',
  'custom_llm_provider',
  'target_model_names',
  'litellm_metadata',
])

function addressOf(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined
  const said = text(value) ?? text(object(value)['image_url'])
  if (said) return said
  throw invalid(
    'input_reference',
    'send the picture itself as a file, or its address as image_url: this provider has no files of OpenAI.',
  )
}
