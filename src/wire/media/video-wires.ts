import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { resolutionOf } from './job.ts'
import {
  type Answered,
  askOnce,
  base64Of,
  bytesOfBase64,
  type Exchange,
  invalid,
  jsonBody,
  type MediaFile,
  readJson,
  readValue,
  type Sent,
  step,
} from './media.ts'
import type { Film, FilmBytes, FilmRequest, FilmWire } from './video.ts'

const notFound = (): GatewayError => new GatewayError('not_found', 'there is no video of this id')

const notReady = (status: string): GatewayError =>
  status === 'failed'
    ? new GatewayError('not_found', 'this video failed: there is nothing to download')
    : new GatewayError('bad_request', 'this video is not ready yet: look at its status first', {
        type: 'invalid_request_error',
      })

function* fetched(sent: Omit<Sent, 'method' | 'live'>): Exchange<FilmBytes> {
  const answer = yield* askOnce({ ...sent, method: 'GET', live: true })
  const mime = answer.header('content-type') ?? 'video/mp4'
  return { mime, bytes: answer.live ?? answer.bytes }
}

/**
 * Veo: an operation that runs long, on the Gemini API (ai.google.dev/gemini-api/docs/video) and on Vertex AI
 * (cloud.google.com, Veo on Vertex AI API), 2026-11.
 */
function veo(way: 'gemini' | 'vertex'): FilmWire {
  function* read(id: string): Exchange<JsonObject> {
    const [, model] = operations[way].exec(id) ?? []
    if (model === undefined) throw notFound()
    const answer = yield* askOnce(
      way === 'gemini'
        ? { method: 'GET', path: `/${id}` }
        : {
            path: `/models/${step(model)}:fetchPredictOperation`,
            body: jsonBody({ operationName: id }),
          },
    )
    // The error of an operation is the film's, and not this request's.
    return object(readValue(answer.bytes))
  }
  return {
    decodeError: decodeGoogle,
    *begin(request, { model }, lacks) {
      const { prompt, seconds, size, sizeSaid, reference } = request
      const { instances, parameters, labels, ...extras } = request.extras
      const asked = resolutionOf(sizeSaid ?? '')
      const form = aspectOf(size, veoRatios)
      // Veo 2 makes 720p and has no word for it.
      const old = model.startsWith('veo-2')
      const fits =
        asked !== '480p' && (!size || form !== undefined) && (!old || !asked || asked === '720p')
      if (!fits) lacks('size')
      const [own, others] = split(extras, ofInstance)
      const given: JsonObject = {
        ...(fits && form !== undefined && { aspectRatio: form }),
        ...(fits && asked !== undefined && !old && { resolution: asked }),
        ...(seconds !== undefined && { durationSeconds: seconds }),
        ...others,
        ...object(parameters),
      }
      const told = readJson(
        yield* askOnce({
          path: `/models/${step(model)}:predictLongRunning`,
          body: jsonBody({
            instances: [
              {
                ...(prompt !== '' && { prompt }),
                ...(reference !== undefined && { image: googleImage(reference, way) }),
                ...own,
                ...object(Array.isArray(instances) ? instances[0] : instances),
              },
            ],
            ...(Object.keys(given).length > 0 && { parameters: given }),
            ...(labels !== undefined && { labels }),
          }),
        }),
      )
      const id = text(told['name']) ?? ''
      if (!operations[way].test(id))
        throw new GatewayError('bad_gateway', 'the upstream answered without an operation')
      const resolution = text(given['resolution'])?.toLowerCase()
      return {
        id,
        seconds: counting(given['durationSeconds']) ?? 8,
        films: counting(given['sampleCount']) ?? 1,
        ...(resolution !== undefined && { resolution }),
      }
    },
    *look(id) {
      return filmOf(yield* read(id))
    },
    *content(id, at) {
      const told = yield* read(id)
      const film = filmOf(told)
      if (film.status !== 'completed') throw notReady(film.status)
      const made = object(filmsOf(told)[at])
      const bytes = text(made['bytesBase64Encoded']) ?? text(made['encodedVideo'])
      const mime = text(made['mimeType']) ?? text(made['encoding']) ?? 'video/mp4'
      if (bytes !== undefined) return { mime, bytes: bytesOfBase64(bytes) }
      const place = text(made['uri']) ?? text(made['gcsUri']) ?? ''
      const [, bucket, name] = /^gs:\/\/([^/]+)\/(.+)$/.exec(place) ?? []
      if (bucket !== undefined && name !== undefined) {
        const path = `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}?alt=media`
        return yield* fetched({ path, root: true, home: `https://storage.googleapis.com${path}` })
      }
      // Its name and not its address: the credential goes where it always goes.
      const file = /\/(files\/[\w-]{1,100})(?::download)?(?:$|\?)/.exec(place)?.[1]
      if (file === undefined) throw notFound()
      return yield* fetched({ path: `/${file}:download?alt=media` })
    },
  }
}
const operations = {
  gemini: /^models\/([\w.-]{1,100})\/operations\/[\w.-]{1,150}$/,
  vertex:
    /^projects\/[\w.:-]{1,63}\/locations\/[\w-]{1,40}\/publishers\/google\/models\/([\w.@-]{1,100})\/operations\/[\w.-]{1,100}$/,
} as const
const veoRatios = ['16:9', '9:16']
/** What belongs to the picture that is asked for; everything else is a parameter. */
const ofInstance: ReadonlySet<string> = new Set([
  'image',
  'lastFrame',
  'video',
  'referenceImages',
  'mask',
])

function split(all: JsonObject, names: ReadonlySet<string>): [JsonObject, JsonObject] {
  const entries = Object.entries(all)
  return [
    Object.fromEntries(entries.filter(([name]) => names.has(name))),
    Object.fromEntries(entries.filter(([name]) => !names.has(name))),
  ]
}

function googleImage(reference: string | MediaFile, way: 'gemini' | 'vertex'): JsonObject {
  const held = inline(reference)
  if (held) return { bytesBase64Encoded: held.base64, mimeType: held.mime }
  if (way === 'vertex' && typeof reference === 'string' && reference.startsWith('gs://')) {
    const png = /\.png$/i.test(reference)
    return { gcsUri: reference, mimeType: png ? 'image/png' : 'image/jpeg' }
  }
  throw invalid(
    'input_reference',
    'Veo fetches no pictures: send it as a file or as a data: address.',
  )
}

/** Gemini says `generateVideoResponse.generatedSamples`, Vertex `videos`. */
function filmsOf({ response }: JsonObject): JsonObject[] {
  const said = object(response)
  const samples = object(said['generateVideoResponse'])['generatedSamples']
  return list(samples).length > 0
    ? list(samples).map((sample) => object(object(sample)['video']))
    : list(said['videos']).map(object)
}

function filmOf(told: JsonObject): Film {
  const times = timesOf(object(told['metadata'])['createTime'])
  const failed = object(told['error'])
  if (Object.keys(failed).length > 0)
    return {
      status: 'failed',
      ...times,
      error: {
        code: String(number(failed['code']) ?? 'unknown'),
        message: (text(failed['message']) ?? 'the provider does not say why').slice(0, 1000),
      },
    }
  if (told['done'] !== true) return { status: 'in_progress', ...times }
  const films = filmsOf(told).length
  if (films > 0) return { status: 'completed', films, ...times }
  const response = object(told['response'])
  const reasons = list(
    object(response['generateVideoResponse'])['raiMediaFilteredReasons'] ??
      response['raiMediaFilteredReasons'],
  ).flatMap((one) => text(one) ?? [])
  return {
    status: 'failed',
    ...times,
    error: {
      code: 'content_policy_violation',
      message: reasons.join(' ').slice(0, 1000) || 'the provider made no film',
    },
  }
}

function timesOf(value: Json | undefined): Pick<Film, 'createdAt'> {
  const at = Date.parse(text(value) ?? '')
  return Number.isFinite(at) ? { createdAt: Math.floor(at / 1000) } : {}
}

/** Runway: a task; text, a picture or a film to begin with have paths of their own (docs.dev.runwayml.com, 2026-11). */
const runway: FilmWire = {
  decodeError: decodeOpenai,
  *begin({ prompt, seconds, sizeSaid, size, reference, extras }, { model }) {
    const picture = reference === undefined ? extras['promptImage'] : dataUrl(reference)
    const film = extras['promptVideo'] ?? extras['videoUri']
    const way = film !== undefined ? 'video' : picture !== undefined ? 'image' : 'text'
    // It takes no request without them; the seconds are OpenAI's own default.
    const ratio =
      text(extras['ratio']) ?? (size ? `${size.width}:${size.height}` : (sizeSaid ?? '1280:720'))
    const duration = counting(extras['duration']) ?? seconds ?? (model === 'veo3' ? 8 : 4)
    const { promptImage: _, ...others } = extras
    const told = readJson(
      yield* askOnce({
        path: `/${way}_to_video`,
        body: jsonBody({
          model,
          ...(prompt !== '' && { promptText: prompt }),
          ...(way === 'image' && picture !== undefined && { promptImage: picture }),
          ratio,
          ...(way !== 'video' && { duration }),
          ...others,
        }),
      }),
    )
    const id = text(told['id']) ?? ''
    if (!taskId.test(id))
      throw new GatewayError('bad_gateway', 'the upstream answered without a task')
    const resolution = resolutionOf(ratio)
    return { id, seconds: duration, ...(resolution !== undefined && { resolution }) }
  },
  *look(id) {
    return taskOf(yield* readTask(id))
  },
  *content(id, at) {
    const told = yield* readTask(id)
    const { status } = taskOf(told)
    if (status !== 'completed') throw notReady(status)
    const url = text(list(told['output'])[at])
    if (url === undefined) throw notFound()
    return yield* fetched({ path: url, open: true })
  },
  *remove(id) {
    if (!taskId.test(id)) throw notFound()
    yield* askOnce({ method: 'DELETE', path: `/tasks/${id}` })
  },
}
const taskId = /^[\w-]{1,100}$/

export function* readTask(id: string, afterMs?: number): Exchange<JsonObject> {
  if (!taskId.test(id)) throw notFound()
  const path = `/tasks/${id}`
  return readJson(
    yield* askOnce({ method: 'GET', path, ...(afterMs !== undefined && { afterMs }) }),
  )
}

export function taskOf(told: JsonObject): Film {
  const times = timesOf(told['createdAt'])
  const progress = number(told['progress'])
  const status = runwayStatus.get(text(told['status']) ?? '') ?? 'in_progress'
  if (status !== 'failed')
    return {
      status,
      ...times,
      ...(progress !== undefined && {
        progress: Math.round(Math.min(Math.max(progress, 0), 1) * 100),
      }),
      ...(status === 'completed' && { films: Math.max(1, list(told['output']).length) }),
    }
  const code = text(told['failureCode']) ?? String(text(told['status'])).toLowerCase()
  return {
    status,
    ...times,
    error: { code, message: (text(told['failure']) ?? `the task ended: ${code}`).slice(0, 1000) },
  }
}
const runwayStatus: ReadonlyMap<string, Film['status']> = new Map([
  ['PENDING', 'queued'],
  ['THROTTLED', 'queued'],
  ['RUNNING', 'in_progress'],
  ['SUCCEEDED', 'completed'],
  ['FAILED', 'failed'],
  ['CANCELLED', 'failed'],
])

/**
 * fal's queue: a request is put into it, looked at and fetched below the first two steps of the model's path
 * (fal.ai/docs, queue, 2026-11).
 */
const fal: FilmWire = {
  decodeError: decodeOpenai,
  *begin(request, { model }, lacks) {
    const { prompt, seconds, reference, extras } = request
    const way = falWayOf(model)
    const shape = way.shape(request)
    if (request.sizeSaid !== undefined && Object.keys(shape).length === 0) lacks('size')
    const body = {
      ...(prompt !== '' && { prompt }),
      ...shape,
      ...(seconds !== undefined && { duration: way.duration(seconds) }),
      ...(reference !== undefined && way.picture(dataUrl(reference))),
      ...extras,
    }
    const told = readJson(
      yield* askOnce(queued(`/${model.split('/').map(step).join('/')}`, { body: jsonBody(body) })),
    )
    const id = text(told['request_id']) ?? ''
    if (!taskId.test(id))
      throw new GatewayError('bad_gateway', 'the upstream answered without a request_id')
    const steps = model.split('/')
    const app = steps.slice(0, steps[0] === 'workflows' || steps[0] === 'comfy' ? 3 : 2)
    const resolution = text(object(body)['resolution'])?.toLowerCase() ?? way.usual
    return {
      id: `${app.join('/')}/requests/${id}`,
      // `8s` is 8; what most of its models make where nothing is said is 5.
      seconds: counting(Number.parseFloat(String(object(body)['duration'] ?? ''))) ?? 5,
      ...(resolution !== undefined && { resolution }),
    }
  },
  *look(id) {
    const told = object(
      readValue((yield* askOnce(queued(`${falPath(id)}/status`, { method: 'GET' }))).bytes),
    )
    const status = falStatus.get(text(told['status']) ?? '') ?? 'in_progress'
    if (status === 'failed' || told['error']) return failedOf(told)
    if (status !== 'completed') return { status }
    // What became of it is only in the result: a request that failed is completed, too.
    const answer = yield* askOnce(queued(falPath(id), { method: 'GET', refusals: true }))
    if (answer.status < 400) return { status, films: 1 }
    if (answer.status === 429 || answer.status >= 500)
      return { status: 'in_progress', progress: 99 }
    return failedOf(object(jsonIn(answer)))
  },
  *content(id, at) {
    const told = object(readValue((yield* askOnce(queued(falPath(id), { method: 'GET' }))).bytes))
    const made = [told['video'] ?? null, ...list(told['videos'])].flatMap(
      (one) => text(object(one)['url']) ?? text(one) ?? [],
    )
    const url = made[at]
    if (url === undefined) throw notReady(at === 0 ? 'in_progress' : 'failed')
    return yield* fetched({ path: url, open: true })
  },
}

const queued = (path: string, more: Partial<Sent>): Sent => ({
  path,
  home: `https://queue.fal.run${path}`,
  ...more,
})

function falPath(id: string): string {
  if (!/^[\w.-]{1,100}(\/[\w.-]{1,100}){1,2}\/requests\/[\w-]{1,100}$/.test(id)) throw notFound()
  return `/${id}`
}
const falStatus: ReadonlyMap<string, Film['status']> = new Map([
  ['IN_QUEUE', 'queued'],
  ['IN_PROGRESS', 'in_progress'],
  ['COMPLETED', 'completed'],
  ['FAILED', 'failed'],
  ['CANCELED', 'failed'],
])

function jsonIn(answer: Answered): Json {
  try {
    return readValue(answer.bytes)
  } catch {
    return null
  }
}

/** `detail` is a text or a list of what is wrong with fields. */
function failedOf(told: JsonObject): Film {
  const { detail } = told
  const said =
    text(told['error']) ??
    text(detail) ??
    list(detail)
      .flatMap((one) => text(object(one)['msg']) ?? [])
      .join('; ')
  return {
    status: 'failed',
    error: {
      code: text(told['error_type']) ?? text(object(list(detail)[0])['type']) ?? 'fal_error',
      message: said.slice(0, 1000) || 'the provider does not say why',
    },
  }
}

type FalWay = {
  duration(seconds: number): string | number
  shape(request: FilmRequest): JsonObject
  picture(url: string): JsonObject
  /** The resolution where nothing is said. */
  usual?: string
}

/** Each family of fal's models spells them in its own way (fal.ai/models, 2026-11). */
function falWayOf(model: string): FalWay {
  return falWays.find(([match]) => match.test(model))?.[1] ?? falUsual
}
const shaped =
  (steps: readonly (readonly [number, string])[], largest: string): FalWay['shape'] =>
  ({ size, sizeSaid }) => {
    const short = size && Math.min(size.width, size.height)
    const names = [...steps.map(([, name]) => name), largest]
    const resolution =
      short === undefined
        ? names.find((name) => name.toLowerCase() === sizeSaid?.toLowerCase())
        : (steps.find(([most]) => short <= most)?.[1] ?? largest)
    const ratio = aspectOf(size, falRatios)
    return {
      ...(resolution !== undefined && { resolution }),
      ...(ratio !== undefined && { aspect_ratio: ratio }),
    }
  }
const falUsual: FalWay = {
  duration: (seconds) => String(seconds),
  shape: shaped(
    [
      [480, '480p'],
      [720, '720p'],
      [1080, '1080p'],
    ],
    '4k',
  ),
  picture: (url) => ({ image_url: url }),
  usual: '720p',
}
const falWays: readonly [RegExp, FalWay][] = [
  [
    /^minimax\/h3\//,
    {
      duration: (seconds) => Math.round(seconds),
      shape: shaped(
        [
          [480, '480P'],
          [768, '768P'],
          [1440, '2K'],
        ],
        '4K',
      ),
      picture: (url) => ({ reference_image_urls: [url] }),
      usual: '2k',
    },
  ],
  [/(^|\/)veo/, { ...falUsual, duration: (seconds) => `${seconds}s` }],
]

function aspectOf(size: FilmRequest['size'], of: readonly string[]): string | undefined {
  return of.find((ratio) => {
    const [wide = 1, high = 1] = ratio.split(':').map(Number)
    return size !== undefined && size.width * high === size.height * wide
  })
}
const falRatios = ['16:9', '9:16', '1:1', '4:3', '3:4', '21:9']

export const videoWires = {
  veo: veo('gemini'),
  'vertex-veo': veo('vertex'),
  runway,
  fal,
} as const

/** A picture as an address. */
function dataUrl(reference: string | MediaFile): string {
  if (typeof reference === 'string') return reference
  return `data:${reference.mime};base64,${base64Of(bytesIn(reference))}`
}

/** A picture as base64 and its type; undefined where it is elsewhere. */
function inline(reference: string | MediaFile): { base64: string; mime: string } | undefined {
  if (typeof reference !== 'string')
    return { base64: base64Of(bytesIn(reference)), mime: reference.mime }
  const end = reference.startsWith('data:') ? reference.indexOf(';base64,') : -1
  if (end === -1) return undefined
  return { mime: reference.slice(5, end), base64: reference.slice(end + 8) }
}

function bytesIn({ bytes, name }: MediaFile): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw invalid('input_reference', `the file '${name}' is too large for this provider`)
}

/** A count, which a form could only write as text. */
const counting = (value: Json | undefined): number | undefined => {
  const said = number(value) ?? (text(value) ? Number(text(value)) : undefined)
  return said !== undefined && said > 0 && said < 1e6 ? said : undefined
}
