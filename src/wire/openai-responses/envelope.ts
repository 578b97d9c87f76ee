import type { Finish } from '../../chat/chat.ts'
import { bool, isObject, type Json, type JsonObject, list, number, text } from '../../json/json.ts'
import type { ClientContext } from '../wire.ts'

/** The provider's own id where it spoke this wire, else one of this request. */
export const responseId = (id: string, { requestId, seal }: ClientContext): string =>
  id.startsWith('resp_') ? (seal?.(id) ?? id) : `resp_${plain(requestId)}`

const plain = (id: string): string => id.replace(/[^a-zA-Z0-9_-]/g, '')

/** Ids of a response's items: each once, the same in every event, and no longer than the API takes back. */
export type Ids = {
  next(prefix: string): string
  /** The id itself, unless it is none or was there before. */
  keep(id: string | undefined, prefix: string): string
}

export function createIds(response: string): Ids {
  const base = plain(response.replace(/^resp_/, '')).slice(-40)
  const taken = new Set<string>()
  let count = 0
  function next(prefix: string): string {
    for (;;) {
      const id = `${prefix}_${base}_${count++}`
      if (taken.has(id)) continue
      taken.add(id)
      return id
    }
  }
  return {
    next,
    keep(id, prefix) {
      if (!id || taken.has(id)) return next(prefix)
      taken.add(id)
      return id
    },
  }
}

/** The response an item's id was made for; undefined for ids of other makers, and for those of a long response's. */
export function responseOfItem(id: string): string | undefined {
  const base = /^[a-z]{1,8}_([\w-]{1,40})_\d{1,6}$/.exec(id)?.[1]
  return base === undefined ? undefined : `resp_${base}`
}

export type Envelope = {
  id: string
  created: number
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  output: JsonObject[]
  usage?: JsonObject
  reason?: string | undefined
  error?: JsonObject
  serviceTier?: Json | undefined
}

/**
 * The response around its output. It repeats what was asked for, because the official types say that it is there; read
 * once, since a stream tells it three times.
 */
export function openEnvelope({ model, said }: ClientContext): (envelope: Envelope) => JsonObject {
  const asked = (key: string): Json | undefined => said?.(key) ?? undefined
  const reasoning = asked('reasoning')
  const shape = asked('text')
  const metadata = asked('metadata')
  const tier = text(asked('service_tier')) ?? 'default'
  const echo: JsonObject = {
    background: bool(asked('background')) ?? false,
    instructions: asked('instructions') ?? null,
    max_output_tokens: number(asked('max_output_tokens')) ?? null,
    max_tool_calls: number(asked('max_tool_calls')) ?? null,
    parallel_tool_calls: bool(asked('parallel_tool_calls')) ?? true,
    previous_response_id: text(asked('previous_response_id')) ?? null,
    prompt_cache_key: text(asked('prompt_cache_key')) ?? null,
    reasoning: { effort: null, summary: null, ...(isObject(reasoning) && reasoning) },
    safety_identifier: text(asked('safety_identifier')) ?? null,
    store: bool(asked('store')) ?? false,
    temperature: number(asked('temperature')) ?? 1,
    text: { format: { type: 'text' }, ...(isObject(shape) && shape) },
    tool_choice: asked('tool_choice') ?? 'auto',
    tools: list(asked('tools')),
    top_logprobs: number(asked('top_logprobs')) ?? 0,
    top_p: number(asked('top_p')) ?? 1,
    truncation: text(asked('truncation')) ?? 'disabled',
    user: text(asked('user')) ?? null,
    metadata: isObject(metadata) ? metadata : {},
  }
  return ({ id, created, status, output, usage, reason, error, serviceTier }) => ({
    id,
    object: 'response',
    created_at: created,
    status,
    error: error ?? null,
    incomplete_details: reason === undefined ? null : { reason },
    model,
    output,
    usage: usage ?? null,
    service_tier: text(serviceTier) ?? tier,
    ...echo,
  })
}

/** How a response ended: its status and, if it is not whole, why. */
export function encodeEnding(
  finish: Finish,
  said: string | undefined,
): { status: 'completed' | 'incomplete'; reason?: string } {
  const reason = said !== undefined && ownReasons.has(said) ? said : reasons[finish]
  return reason === undefined ? { status: 'completed' } : { status: 'incomplete', reason }
}
const ownReasons = new Set(['max_messages', 'steered'])
const reasons = {
  stop: undefined,
  'tool-calls': undefined,
  pause: undefined,
  other: undefined,
  length: 'max_output_tokens',
  'content-filter': 'content_filter',
} as const satisfies Record<Finish, string | undefined>

export function decodeEnding(
  response: JsonObject,
  called: boolean,
): { finish: Finish; reason?: string } {
  if (response.status !== 'incomplete') return { finish: called ? 'tool-calls' : 'stop' }
  const details = response.incomplete_details
  const reason = isObject(details) ? text(details.reason) : undefined
  const finish = finishes.get(reason) ?? 'other'
  return { finish, ...(reason !== undefined && { reason }) }
}
const finishes: ReadonlyMap<string | undefined, Finish> = new Map<string | undefined, Finish>([
  ['max_output_tokens', 'length'],
  ['max_tokens', 'length'],
  ['content_filter', 'content-filter'],
])
