import type { ChatRequest } from '../chat/chat.ts'
import { type Json, type JsonObject, object } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { stringify } from '../json/parse.ts'
import { type Edits as PatchEdits, patch } from '../json/patch.ts'
import type { Deployment } from '../provider/deployment.ts'
import { told } from '../wire/foreign.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Crossing } from '../wire/relay.ts'
import type { ClientContext, Native, Target } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { markBody, markRequest } from './cache-points.ts'
import { type Fetched, refuseMalformed, withMedia } from './media.ts'

/** What the gateway says of a request besides the body: worked out once, used for every deployment that is tried. */
export type Ask = {
  /** Top-level fields that are the gateway's own and never leave it. */
  remove: readonly string[]
  /** `drop_params` of the body. */
  dropParams: boolean
  /** Client headers that go along, and those of the body's `extra_headers`. */
  headers: Readonly<Record<string, string>>
  /** Headers of the client's dialect (`anthropic-beta`…): they go along where the provider speaks it too. */
  dialectHeaders: Readonly<Record<string, string>>
  context: ClientContext
}

export type Prepared = {
  body: Uint8Array
  headers: Record<string, string>
  dropped: readonly string[]
  crossing: Crossing
}

/** How the request passes; undefined: the wires differ, so it goes through the house's words. */
export const nativeOf = (said: Inbound, to: Deployment): Native | undefined =>
  said.wire === to.wire ? said.wire.native : undefined

/**
 * A client's request as one deployment takes it: bytes where they may pass, JSON where a quirk must see it, the house's
 * words where the wires differ. `fetched` is what addresses of a translated request led to.
 */
export function prepare(said: Inbound, to: Deployment, ask: Ask, fetched?: Fetched): Prepared {
  const target: Target =
    ask.dropParams && !to.target.dropParams ? { ...to.target, dropParams: true } : to.target
  const mine =
    to.authorize || !isEmpty(ask.headers) ? { ...ask.headers, ...to.headers } : to.headers
  const native = nativeOf(said, to)
  if (!native) return translated(said, to, target, ask, mine, fetched)
  const headers = isEmpty(ask.dialectHeaders) ? mine : withHeaders(mine, ask.dialectHeaders)
  const crossing: Crossing = {
    from: to.wire,
    to: said.wire,
    native,
    target,
    notes: { model: target.model },
    context: ask.context,
    secrets: to.credentials,
  }
  const edits = editsOf(said, to, ask)
  const marks = to.cachePoints.length > 0
  const touched =
    marks || to.dropPaths.length > 0 || mustBeRead(said, edits, sightOf(native, target))
  if (said.glance && !touched)
    return { body: patch(said.glance, raw(edits)), headers, dropped: none, crossing }
  const body = said.json()
  apply(body, edits)
  for (const path of to.dropPaths) removePath(body, path)
  if (marks) markBody(body, said.wire.id, to.cachePoints)
  const dropped = native.adaptRequest(body, target)
  return { body: toUtf8(stringify(body)), headers, dropped, crossing }
}

const none: readonly string[] = []

const isEmpty = (record: Readonly<Record<string, unknown>>): boolean => {
  for (const _ in record) return false
  return true
}

/** What the quirks of a target look at: worked out once, since targets live as long as their deployment. */
type Sight = { keys: readonly string[] | 'all'; words: readonly string[] }
const sights = new WeakMap<Target, Sight>()
function sightOf(native: Native, target: Target): Sight {
  let sight = sights.get(target)
  if (!sight) {
    const keys = native.requestKeys(target)
    sight = { keys: keys === 'all' ? keys : [...keys], words: native.requestWords?.(target) ?? [] }
    sights.set(target, sight)
  }
  return sight
}

function mustBeRead(said: Inbound, edits: Edits, { keys, words }: Sight): boolean {
  if (keys === 'all') return true
  for (const key of keys) if (said.has(key) || key in edits.set || key in edits.append) return true
  for (const word of words) if (said.glance?.text.includes(word)) return true
  return false
}

/** More headers; lists (`anthropic-beta`) are joined, so that what the row asks for and what the client asks for both hold. */
export function withHeaders(
  headers: Record<string, string>,
  more: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const out = { ...headers }
  for (const name in more) {
    const value = more[name]
    if (value === undefined) continue
    const there = out[name]
    if (name !== 'anthropic-beta' || there === undefined) out[name] = there ?? value
    else
      out[name] = [
        ...new Set([...there.split(','), ...value.split(',')].map((one) => one.trim())),
      ].join(',')
  }
  return out
}

type Edits = {
  remove: readonly string[]
  set: Record<string, Json>
  /** Only where the client said nothing. */
  append: Record<string, Json>
}

/** `chat`: the operation is chat, so usage is asked for in its streams. */
export function editsOf(said: Inbound, to: Deployment, ask: Ask, chat = true): Edits {
  const set: Record<string, Json> = said.wire.native?.modelInPath ? {} : { model: to.target.model }
  if (said.has('extra_body')) {
    const mine = object(said.field('extra_body'))
    for (const key in mine) if (!decided.has(key)) put(set, key, mine[key])
  }
  for (const key in to.extraBody) put(set, key, to.extraBody[key])
  let append = nothing
  for (const key in to.defaults)
    if (
      !(key in set) &&
      !to.dropKeys.includes(key) &&
      !said.has(key) &&
      !said.has(twins[key] ?? key)
    )
      put(append === nothing ? (append = {}) : append, key, to.defaults[key])
  if (chat && said.stream && !to.target.quirks.noStreamUsage && asksUsage.has(said.wire.id)) {
    const options = object(set['stream_options'] ?? said.field('stream_options'))
    if (options['include_usage'] !== true)
      set['stream_options'] = { ...options, include_usage: true }
  }
  return { remove: removedFrom(said, to, ask), set, append }
}

const nothing: Record<string, Json> = Object.freeze({})

function put(values: Record<string, Json>, key: string, value: Json | undefined): void {
  if (value !== undefined) values[key] = value
}

function removedFrom(said: Inbound, to: Deployment, ask: Ask): readonly string[] {
  const idle = ofNoTools(said)
  if (to.dropKeys.length === 0 && idle.length === 0) return ask.remove
  return [...ask.remove, ...to.dropKeys.filter((key) => said.has(key)), ...idle]
}

/** Wires whose streams tell the usage when they are asked to. */
const asksUsage: ReadonlySet<string> = new Set(['openai-chat', 'openai-text'])

/** What the gateway answers for, so no client says otherwise in its `extra_body`; and what would be no field but a prototype. */
const decided: ReadonlySet<string> = new Set(['model', 'stream', '__proto__'])

/** Two spellings of one parameter: a row's default gives way to either. */
const twins: Readonly<Record<string, string>> = {
  max_tokens: 'max_completion_tokens',
  max_completion_tokens: 'max_tokens',
}

/**
 * OpenAI refuses an empty list of tools (400 `empty_array`, 2026-11), which clients send beside a history of calls; what
 * would choose among those tools goes with it.
 */
function ofNoTools(said: Inbound): readonly string[] {
  if (said.wire.id !== 'openai-chat' || !said.has('tools')) return none
  const span = said.glance?.keys.get('tools')
  // A long list need not be read to learn that it is not empty.
  if (span && span.valueEnd - span.valueStart > 64) return none
  const tools = said.field('tools')
  if (!Array.isArray(tools) || tools.length > 0) return none
  const idle = said.field('tool_choice') === 'auto' || said.field('tool_choice') === 'none'
  return ['tools', 'parallel_tool_calls', ...(idle ? ['tool_choice'] : [])]
}

export function raw({ set, remove, append }: Edits): PatchEdits {
  const edits: PatchEdits = { set: textsOf(set) }
  if (remove.length > 0) edits.remove = remove
  if (!isEmpty(append)) edits.append = textsOf(append)
  return edits
}

function textsOf(values: Record<string, Json>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const key in values) out[key] = stringify(values[key] ?? null)
  return out
}

export function apply(body: JsonObject, edits: Edits): void {
  for (const key of edits.remove) delete body[key]
  for (const [key, value] of Object.entries(edits.append)) body[key] ??= value
  Object.assign(body, edits.set)
}

/** LiteLLM's paths: `tools[*].function.strict`, `messages[0].name`, `a.b`. */
export function removePath(body: JsonObject, path: string): void {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== '')
  const walk = (value: Json | undefined, at: number): void => {
    const step = steps[at]
    if (step === undefined || typeof value !== 'object' || value === null) return
    if (step !== '*' && !Object.hasOwn(value, step)) return
    const last = at === steps.length - 1
    if (Array.isArray(value)) {
      value.forEach((item, index) => {
        if ((step === '*' || step === String(index)) && !last) walk(item, at + 1)
      })
      if (last && step !== '*' && Number(step) in value) value.splice(Number(step), 1)
      return
    }
    if (last) delete value[step]
    else if (step === '*') for (const key in value) walk(value[key], at + 1)
    else walk(value[step], at + 1)
  }
  walk(body, 0)
}

function translated(
  said: Inbound,
  to: Deployment,
  target: Target,
  ask: Ask,
  headers: Record<string, string>,
  fetched: Fetched | undefined,
): Prepared {
  const plain = requestFor(said, to, ask)
  refuseMalformed(plain, said.wire.id)
  const meant = to.cachePoints.length > 0 ? markRequest(plain, to.cachePoints) : plain
  const request = {
    ...(fetched ? withMedia(meant, fetched) : meant),
    model: target.model,
    dialect: said.wire.id,
  }
  const { body, notes, dropped, headers: asked } = to.wire.encodeRequest(request, target)
  return {
    body: toUtf8(stringify({ ...body, ...to.extraBody })),
    headers: asked ? withHeaders(headers, asked) : headers,
    dropped: told(dropped ?? [], request),
    crossing: {
      from: to.wire,
      to: said.wire,
      native: undefined,
      target,
      notes,
      context: ask.context,
      secrets: to.credentials,
    },
  }
}

function requestFor(said: Inbound, to: Deployment, ask: Ask): ChatRequest {
  const drops = to.dropKeys.length > 0 || to.dropPaths.length > 0 || said.has('extra_body')
  let request = said.request()
  if (drops) {
    const body = said.json()
    const mine = body['extra_body']
    delete body['extra_body']
    for (const key of to.dropKeys) delete body[key]
    for (const path of to.dropPaths) removePath(body, path)
    request = said.wire.decodeRequest({
      ...body,
      ...object(mine),
      model: said.model,
      stream: said.stream,
    })
  }
  const extras = { ...request.extras }
  for (const key of ask.remove) delete extras[key]
  const betas = ask.dialectHeaders['anthropic-beta']
  // Asked for in a header by this dialect; other wires find it among the body's fields.
  if (betas !== undefined && extras['betas'] === undefined)
    extras['betas'] = betas.split(',').map((beta) => beta.trim())
  return withDefaults({ ...request, extras }, without(to.defaults, to.dropKeys))
}

const without = (values: JsonObject, keys: readonly string[]): JsonObject =>
  keys.length === 0
    ? values
    : Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)))

/** A row's parameters are in OpenAI's words, whatever the client speaks. */
function withDefaults(request: ChatRequest, defaults: JsonObject): ChatRequest {
  if (Object.keys(defaults).length === 0) return request
  const filled = wires['openai-chat'].decodeRequest({ messages: [], ...defaults })
  const { extras, messages: _, tools, model: __, stream: ___, ...rest } = filled
  return {
    ...rest,
    ...request,
    tools: request.tools.length > 0 ? request.tools : tools,
    extras: { ...extras, ...request.extras },
  }
}
