import type { Incoming } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Pass, Worst } from '../policy/admit.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Controls } from './fields.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/**
 * The model a request means: the caller's own name for it resolved, then the gateway's. Throws where the caller may not
 * use it.
 */
export function groupFor(model: string, caller: Caller, { router, access }: Rooms): string {
  const meant = access ? access.aliasOf(caller, model) : model
  const group = router.groups.nameOf(meant)
  access?.refuse(caller, group, model)
  return group
}

/**
 * Limits and budgets, for every operation alike: what the request may cost is set aside before anything is sent, and the
 * receipt gives it back when it settles. Nothing, where there is no database to count in.
 */
export function admission(
  incoming: Incoming,
  said: Inbound,
  controls: Controls,
  group: string,
  caller: Caller,
  receipt: Receipt,
  rooms: Rooms,
  worst: Worst = worstOfChat(said, group, rooms),
): void | Promise<void> {
  if (!rooms.admit) return
  const metadata = metadataOf(said)
  const { customerHeaders } = rooms.settings
  const admitted = rooms.admit({
    caller,
    group,
    prices: pricesOf(rooms.router.groups.find(group)),
    worst,
    customerId: customerOf(incoming, said, metadata, customerHeaders),
    tags: tagsOf(controls, caller),
    sessionId: sessionOf(incoming, said, metadata),
    ip: incoming.remoteAddress || undefined,
    userAgent: incoming.header('user-agent')?.slice(0, 200),
    metadata: kept(metadata),
  })
  const enter = (pass: Pass): void => {
    receipt.pass = pass
    receipt.open()
  }
  return admitted instanceof Promise ? admitted.then(enter) : enter(admitted)
}

/** Names of fields in which the dialects bound what a model writes. */
const bounds = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const

export function worstOfChat(said: Inbound, group: string, rooms: Rooms): Worst {
  const choices = (): number => {
    for (const name of ['n', 'best_of', 'candidateCount'])
      if (said.has(name)) return Math.max(1, number(said.field(name)) ?? 1)
    return 1
  }
  return {
    // A token is at least a byte, but an image named by its address is none of them.
    input: () => said.bytes.length + imagesBy(said) * imageTokens,
    async exactInput() {
      await rooms.tokens.ready()
      const { counter } = rooms.tokens
      const model = rooms.router.groups.find(group)[0]?.target.model ?? group
      const messages = said.has('messages') ? list(said.field('messages')) : undefined
      const counted = messages
        ? counter.countMessages(
            messages,
            said.has('tools') ? said.field('tools') : undefined,
            model,
          )
        : counter.countRequest(said.request(), model)
      return Math.min(
        counted + imagesBy(said) * imageTokens,
        said.bytes.length + imagesBy(said) * imageTokens,
      )
    },
    output() {
      for (const name of bounds) {
        if (!said.has(name)) continue
        const bound = number(said.field(name))
        if (bound !== undefined && bound >= 0) return bound * choices()
      }
      const config = object(
        said.has('generationConfig') ? said.field('generationConfig') : undefined,
      )
      const bound = number(config['maxOutputTokens'] ?? config['max_output_tokens'])
      return bound === undefined || bound < 0
        ? undefined
        : bound * Math.max(1, number(config['candidateCount']) ?? 1)
    },
    modelOutput() {
      let most: number | undefined
      for (const { info } of rooms.router.groups.find(group)) {
        const bound = number(info['max_output_tokens'])
        if (bound !== undefined) most = Math.max(most ?? 0, bound)
      }
      return most === undefined ? undefined : Math.min(most, outputClip) * choices()
    },
  }
}

/** What an unbounded request is expected to write at most; it is let in with less, and may overshoot by itself. */
const outputClip = 16_384
/** More than the dearest image costs with any provider whose prices are per token. */
const imageTokens = 3000

/** Addresses in the body that a provider may turn into tokens. */
function imagesBy(said: Inbound): number {
  const { bytes } = said
  // Short bodies without the word are nearly all of them.
  if (bytes.length > 2_000_000) return 0
  let count = 0
  for (
    let at = bytes.indexOf(quote);
    at !== -1 && at < bytes.length - 6;
    at = bytes.indexOf(quote, at + 1)
  ) {
    if (bytes[at + 1] === h && bytes[at + 2] === t && bytes[at + 3] === t && bytes[at + 4] === p)
      if (++count >= 100) break
  }
  return count
}
const [quote, h, t, p] = [34, 104, 116, 112]

const priceLists = new WeakMap<readonly Deployment[], Deployment['price'][]>()
function pricesOf(deployments: readonly Deployment[]): readonly Deployment['price'][] {
  let prices = priceLists.get(deployments)
  if (!prices) {
    prices = [...new Set(deployments.map(({ price }) => price))]
    priceLists.set(deployments, prices)
  }
  return prices
}

function metadataOf(said: Inbound): JsonObject | undefined {
  for (const name of ['litellm_metadata', 'metadata']) {
    if (!said.has(name)) continue
    const value = said.field(name)
    if (isObject(value)) return value
  }
  return undefined
}

/** LiteLLM's places, in its order: a header, the body's `user`, what Anthropic's clients call the user's id. */
function customerOf(
  incoming: Incoming,
  said: Inbound,
  metadata: JsonObject | undefined,
  headers: readonly string[],
): string | undefined {
  for (const name of headers) {
    const value = incoming.header(name)
    if (value) return named(value)
  }
  const user = said.has('user') ? said.field('user') : undefined
  return (
    named(user) ??
    (said.has('safety_identifier') ? named(said.field('safety_identifier')) : undefined) ??
    named(metadata?.['user_id'])
  )
}
const named = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= 512 ? value : undefined

function tagsOf(controls: Controls, { grant }: Caller): string[] {
  const own = [grant?.key, grant?.team].flatMap((doc) => [
    ...list(doc?.data['tags']),
    ...list(object(doc?.data['metadata'])['tags']),
  ])
  if (own.length === 0) return controls.tags.slice(0, tagsMax)
  const tags = new Set(controls.tags)
  for (const tag of own) if (typeof tag === 'string' && tag !== '') tags.add(tag)
  return [...tags].slice(0, tagsMax)
}
const tagsMax = 50

function sessionOf(
  incoming: Incoming,
  said: Inbound,
  metadata: JsonObject | undefined,
): string | undefined {
  const from = (value: string | undefined): string | undefined =>
    value === undefined || value === '' ? undefined : value.slice(0, 200)
  return (
    from(incoming.header('x-litellm-session-id')) ??
    from(incoming.header('x-litellm-trace-id')) ??
    (said.has('litellm_session_id') ? from(text(said.field('litellm_session_id'))) : undefined) ??
    (said.has('litellm_trace_id') ? from(text(said.field('litellm_trace_id'))) : undefined) ??
    from(text(metadata?.['session_id'])) ??
    from(incoming.header('x-claude-code-session-id')) ??
    from(incoming.header('session-id'))
  )
}

/** Metadata is kept with the row while it is small: a row is not the place for a megabyte. */
function kept(metadata: JsonObject | undefined): JsonObject | undefined {
  if (!metadata) return undefined
  const { tags: _, ...rest } = metadata
  let any = false
  for (const _ in rest) any = true
  if (!any) return undefined
  return JSON.stringify(rest).length <= metadataMax ? rest : { too_large_to_keep: true }
}
const metadataMax = 4096
