import { isObject, type Json, type JsonObject, object } from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import { isOpenAis } from '../signatures.ts'
import type { Target } from '../wire.ts'
import { summaryOf } from './compaction.ts'
import { thinks } from './effort.ts'
import { foreignMark } from './thoughts.ts'

/**
 * The named quirks of providers, on the JSON itself, so that what nobody models survives. Rows name parameters, and give
 * their own, as chat does; here some of them stand elsewhere.
 */
const places: readonly [name: string, key: string, inner?: string][] = [
  ['max_completion_tokens', 'max_output_tokens'],
  ['max_tokens', 'max_output_tokens'],
  ['reasoning_effort', 'reasoning', 'effort'],
  ['response_format', 'text', 'format'],
  ['verbosity', 'text', 'verbosity'],
]

/** Where a parameter that a provider lacks stands. Without an effort the rest of `reasoning` means nothing either. */
function placeOf(name: string): readonly [key: string, inner?: string] {
  const place = places.find(([known]) => known === name)
  if (!place) return [name]
  const [, key, inner] = place
  return inner === undefined || key === 'reasoning' ? [key] : [key, inner]
}

/** A row's parameters come into the body of a client of this wire as they are. */
function respell(body: JsonObject): void {
  for (const [name, key, inner] of places) {
    const said = body[name]
    if (said === undefined) continue
    delete body[name]
    const value = name === 'response_format' ? flatFormat(object(said)) : said
    const there = body[key] ?? undefined
    if (inner === undefined) body[key] = there ?? value
    else if (object(there)[inner] === undefined) body[key] = { ...object(there), [inner]: value }
  }
}

const flatFormat = (format: JsonObject): JsonObject =>
  isObject(format.json_schema) ? { type: format.type, ...format.json_schema } : format

/** Top-level keys the request quirks of a target look at. */
export function requestKeys(to: Target): ReadonlySet<string> {
  const { quirks } = to
  const keys = new Set<string>(places.map(([name]) => name))
  if (losesThoughts(to)) for (const key of thoughtful) keys.add(key)
  for (const name of quirks.unsupported ?? []) keys.add(placeOf(name)[0])
  for (const name of quirks.fixed ?? []) keys.add(placeOf(name)[0])
  for (const name in quirks.rename) keys.add(name)
  for (const name in quirks.onlyDefault) keys.add(name)
  if (quirks.toolChoiceAny) keys.add('tool_choice')
  if (quirks.dropStrict) keys.add('tools')
  if (quirks.temperatureMax !== undefined) keys.add('temperature')
  if (quirks.dropBookkeeping) for (const key of bookkeeping) keys.add(key)
  return keys
}

const bookkeeping = ['user', 'metadata', 'safety_identifier', 'prompt_cache_key']

/** OpenAI answers 400 to an effort, or to a wish for thoughts, where a model does not think; agents ask every model alike. */
const losesThoughts = (to: Target): boolean =>
  to.dropParams && thinks(to) === false && !to.allowedParams?.includes('reasoning_effort')
const thoughtful = ['reasoning', 'include']

/** Thoughts that another model signed show themselves by the mark the gateway gave them. */
export function requestWords({ quirks }: Target): readonly string[] {
  const words = [foreignMark]
  if (quirks.systemRole) words.push(quirks.systemRole === 'system' ? '"developer"' : '"system"')
  return words
}

export function adaptRequest(body: JsonObject, to: Target): string[] {
  const { quirks } = to
  respell(body)
  const dropped = dropUnsupported(body, to)
  if (losesThoughts(to)) dropped.push(...dropThoughts(body))
  for (const [from, name] of Object.entries(quirks.rename ?? {})) {
    if (body[from] === undefined) continue
    body[name] ??= body[from]
    delete body[from]
  }
  adaptSampling(body, to, dropped)
  if (quirks.toolChoiceAny && body.tool_choice === 'required') body.tool_choice = 'any'
  if (quirks.dropStrict && Array.isArray(body.tools)) body.tools = body.tools.map(withoutStrict)
  if (quirks.dropBookkeeping) for (const key of bookkeeping) delete body[key]
  if (Array.isArray(body.input))
    body.input = body.input
      .filter((item) => !isForeignThought(item))
      .map((item) => summaryOf(item) ?? item)
      .map((item) => withRole(item, quirks.systemRole))
  return dropped
}

/** What the row says the provider refuses: refused here with its name, or dropped where the operator asked for that. */
function dropUnsupported(body: JsonObject, to: Target): string[] {
  const allowed = new Set(to.allowedParams)
  const named = (to.quirks.unsupported ?? []).filter((name) => !allowed.has(name))
  const found = named.filter((name) => isSaid(read(body, name)))
  for (const name of named) if (!found.includes(name)) remove(body, name)
  if (found.length > 0 && !to.dropParams) throw unsupported(to, found)
  for (const name of found) remove(body, name)
  return found
}

function dropThoughts(body: JsonObject): string[] {
  if (Array.isArray(body.include))
    body.include = body.include.filter((what) => what !== 'reasoning.encrypted_content')
  const isAsked = isSaid(body.reasoning)
  delete body.reasoning
  return isAsked ? ['reasoning'] : []
}

function read(body: JsonObject, name: string): Json | undefined {
  const [key, inner] = placeOf(name)
  return inner === undefined ? body[key] : object(body[key])[inner]
}

function remove(body: JsonObject, name: string): void {
  const [key, inner] = placeOf(name)
  if (inner === undefined) delete body[key]
  else if (isObject(body[key]) && body[key][inner] !== undefined) {
    const { [inner]: _, ...rest } = body[key]
    if (Object.keys(rest).length > 0) body[key] = rest
    else delete body[key]
  }
}

/** A value that changes nothing is no reason to refuse a request. */
const isSaid = (value: Json | undefined): boolean =>
  value !== undefined &&
  value !== null &&
  value !== false &&
  !(isObject(value) && Object.keys(value).length === 0) &&
  !(Array.isArray(value) && value.length === 0)

/** Reasoning models set their own sampling: what they would refuse is taken out, refused or lowered. */
function adaptSampling(body: JsonObject, to: Target, dropped: string[]): void {
  const { quirks } = to
  for (const name of quirks.fixed ?? []) remove(body, name)
  if (quirks.temperatureMax !== undefined && typeof body.temperature === 'number')
    body.temperature = Math.min(body.temperature, quirks.temperatureMax)
  const { effort } = object(body.reasoning)
  const free =
    (quirks.samplingFreeAt !== undefined && effort === 'none') ||
    (quirks.samplingFreeAt === 'none-or-unset' && (effort === undefined || effort === null))
  if (!quirks.onlyDefault || free) return
  const refused: string[] = []
  for (const [key, usual] of Object.entries(quirks.onlyDefault)) {
    if (body[key] === undefined || to.allowedParams?.includes(key)) continue
    if (body[key] !== usual && body[key] !== null) refused.push(key)
    delete body[key]
  }
  if (refused.length > 0 && !to.dropParams) throw unsupported(to, refused)
  dropped.push(...refused)
}

function withoutStrict(value: Json): Json {
  if (!isObject(value) || value.strict === undefined) return value
  const { strict: _, ...tool } = value
  return tool
}

function withRole(item: Json, role: 'system' | 'developer' | undefined): Json {
  if (role === undefined || !isObject(item)) return item
  return item.role === 'system' || item.role === 'developer' ? { ...item, role } : item
}

/** Of a conversation that another model of the group had part in: only it could read what it has encrypted. */
const isForeignThought = (item: Json): boolean =>
  isObject(item) &&
  item.type === 'reasoning' &&
  typeof item.encrypted_content === 'string' &&
  !isOpenAis(item.encrypted_content) &&
  item.encrypted_content.startsWith(foreignMark)
