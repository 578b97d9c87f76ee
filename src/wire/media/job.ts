import { isObject, type Json, type JsonObject, number, text } from '../../json/json.ts'
import { decodeUsage } from '../openai-chat/response.ts'
import type { Measured, Measures } from './media.ts'
import type { Tap } from './operation.ts'
import { usageTap } from './tap.ts'

/**
 * What a provider goes on working at after it has answered: a film, a run of an assistant, a fine-tuning. What it comes to
 * is known when it is over.
 */
export type Job = Measured & {
  /** The provider's id. */
  id: string
  /** Where it is looked at, as OpenAI has it and with the provider's ids: `/videos/video_1`. */
  look: string
  /** It has just been begun. */
  fresh: boolean
  ended: boolean
  /** The provider's model, where it says one. */
  model?: string
  /** Tokens that were trained on. */
  trained?: number
  /** Dollars, where the provider says what it charged. */
  charged?: number
  /** `units` are what was asked for, whatever the film says of itself: one that goes on tells its whole length. */
  asked?: true
}

/** The job an answer in OpenAI's words tells of. */
export function jobOf(
  id: string,
  { method, path }: { method: string; path: string },
  said: JsonObject,
  /** The body of the request, where it says what the answer does not. */
  body: JsonObject = {},
): Job | undefined {
  const own = text(said['id'])
  if (own === undefined || own === '' || method === 'DELETE') return undefined
  const status = text(said['status']) ?? ''
  const model = text(said['model'])
  const job = {
    id: own,
    fresh: method === 'POST' && begins.has(path.replace(/^\/(threads|videos)\/[^/]+\//, '/$1/*/')),
    ended: over.has(status),
    ...(model && { model }),
  }
  const named = encodeURIComponent(own)
  const charged = number(said['cost'])
  switch (id) {
    case 'video':
      if (said['object'] !== undefined && said['object'] !== 'video') return undefined
      return {
        ...job,
        look: `/videos/${named}`,
        ...(job.ended && status !== 'completed' ? {} : { units: filmUnits(said) }),
        ...(charged !== undefined && charged >= 0 && charged < 1e6 && { charged }),
        ...(path === '/videos/extensions' && {
          units: { ...filmUnits(said), ...filmUnits({ seconds: body['seconds'] ?? null }) },
          asked: true,
        }),
      }
    case 'assistants': {
      const thread = text(said['thread_id'])
      if (said['object'] !== 'thread.run' || !thread) return undefined
      const usage = isObject(said['usage']) ? decodeUsage(said) : undefined
      const look = `/threads/${encodeURIComponent(thread)}/runs/${named}`
      return { ...job, look, ...(usage && { usage }) }
    }
    case 'fine_tuning': {
      if (said['object'] !== 'fine_tuning.job') return undefined
      const trained = number(said['trained_tokens'])
      const look = `/fine_tuning/jobs/${named}`
      return { ...job, look, ...(trained !== undefined && trained > 0 && { trained }) }
    }
    default:
      return undefined
  }
}

/** Requests that begin one. */
const begins: ReadonlySet<string> = new Set([
  '/videos',
  '/videos/*/remix',
  '/videos/edits',
  '/videos/extensions',
  '/threads/runs',
  '/threads/*/runs',
  '/fine_tuning/jobs',
])
const over: ReadonlySet<string> = new Set([
  'completed',
  'failed',
  'cancelled',
  'expired',
  'incomplete',
  'succeeded',
])

/** What a film is priced by, as far as it is said: OpenAI writes its seconds as text. */
export function filmUnits(said: JsonObject): Measures {
  const seconds = Number(text(said['seconds']) || number(said['seconds']) || Number.NaN)
  const resolution = resolutionOf(text(said['size']) ?? '')
  return {
    ...(seconds > 0 && seconds < 1e6 && { seconds }),
    ...(resolution !== undefined && { resolution }),
  }
}

/**
 * `720p` of `1280x720`, `1280:720` or `720p`. By area, since films of one price differ in form: 960x960 and 1584x672 are
 * sold as 720p.
 */
export function resolutionOf(size: string): string | undefined {
  const [, width, height] = /^(\d{2,5})[x:*](\d{2,5})$/i.exec(size) ?? []
  if (width === undefined || height === undefined)
    return /^\d{1,4}[pk]$/i.test(size) ? size.toLowerCase() : undefined
  const area = Number(width) * Number(height)
  return areas.find(([least]) => area >= least)?.[1] ?? '480p'
}
const areas = [
  [4_000_000, '4k'],
  [1_500_000, '1080p'],
  [600_000, '720p'],
] as const

/** Sees the run go by in the events of an assistant's stream. */
export function runTap(ask: { method: string; path: string }, bare: (id: string) => string): Tap {
  let run: JsonObject | undefined
  const tap = usageTap(
    (usage) => (isObject(usage) ? decodeUsage({ usage }) : undefined),
    (event: Json) => {
      if (isObject(event) && event['object'] === 'thread.run') run = event
      return {}
    },
  )
  return {
    push: tap.push,
    end() {
      const measured = tap.end()
      const ids = ['id', 'thread_id'].map((key) => [key, bare(text(run?.[key]) ?? '')])
      const job = run && jobOf('assistants', ask, { ...run, ...Object.fromEntries(ids) })
      if (!job) return measured
      // One that goes on is paid for as a whole, when it is over.
      return job.fresh && job.ended ? { ...(job.usage && { usage: job.usage }) } : { job }
    },
  }
}
