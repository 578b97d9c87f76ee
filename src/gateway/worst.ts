import type { ChatRequest } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { latin1 } from '../json/latin1.ts'
import type { Kinds, Worst } from '../policy/admit.ts'
import { plainKinds } from '../policy/most.ts'
import { type Price, priceOf, tierOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Inbound } from '../wire/inbound.ts'
import type { Rooms } from './rooms.ts'

/**
 * What a conversation may use at most, before it is sent. Only what the client's dialect itself calls a bound is one:
 * another dialect's word for it is nothing to the provider, so it must not make a request look small.
 */
export const worstOfChat = (said: Inbound, group: string, rooms: Rooms): Worst =>
  new WorstOfChat(said, group, rooms)

/** A class, since its closures were 600 bytes a request. */
class WorstOfChat implements Worst {
  readonly #said: Inbound
  readonly #group: string
  readonly #rooms: Rooms
  #seen: Seen | undefined = undefined
  /** Asked for by limits and by budgets; null: not read yet. */
  #bound: number | undefined | null = null

  constructor(said: Inbound, group: string, rooms: Rooms) {
    this.#said = said
    this.#group = group
    this.#rooms = rooms
  }

  // A token is at least a byte; what is only named is none.
  input(): number {
    return this.#said.bytes.length + this.#besidesText()
  }

  async exactInput(): Promise<number> {
    const said = this.#said
    const { tokens } = this.#rooms
    await tokens.ready()
    const { counter } = tokens
    const deployments = this.#deployments()
    const model = deployments[0]?.target.model ?? this.#group
    const messages = said.has('messages') ? list(said.field('messages')) : undefined
    const counted = messages
      ? counter.countMessages(messages, said.has('tools') ? said.field('tools') : undefined, model)
      : countable(said, (request) => counter.countRequest(request, model))
    const text = Math.ceil(counted * (deployments.every(countsAsOpenai) ? 1 : otherTokenizers))
    return Math.min(text, said.bytes.length) + this.#besidesText()
  }

  output(): number | undefined {
    if (this.#bound === null) this.#bound = this.#readBound()
    return this.#bound
  }

  modelOutput(): number | undefined {
    let most: number | undefined
    for (const { info } of this.#deployments()) {
      const bound = number(info['max_output_tokens'])
      if (bound !== undefined) most = Math.max(most ?? 0, bound)
    }
    return most === undefined ? undefined : Math.min(most, outputClip) * choicesOf(this.#said)
  }

  kinds(): Kinds {
    return this.#look().kinds
  }

  #look(): Seen {
    this.#seen ??= lookAt(this.#said)
    return this.#seen
  }

  #besidesText(): number {
    const { images, unseen } = this.#look()
    const pictures = images === 0 ? 0 : images * tokensOfImage(this.#deployments())
    return pictures + (unseen ? unseenTokens : 0)
  }

  #readBound(): number | undefined {
    // Nobody bounds what tools of the provider write and read in between.
    if (this.#look().unseen) return undefined
    const bound = boundOf(this.#said)
    return bound === undefined ? undefined : bound * choicesOf(this.#said)
  }

  #deployments(): readonly Deployment[] {
    return this.#rooms.router.groups.find(this.#group)
  }
}

/** What passes unread need not be readable here: then each byte counts. */
function countable(said: Inbound, count: (request: ChatRequest) => number): number {
  try {
    return count(said.request())
  } catch (cause) {
    if (GatewayError.from(cause).kind === 'internal') throw cause
    return said.bytes.length
  }
}

/** What an unbounded request is expected to write at most; it is let in with less, and may overshoot by itself. */
const outputClip = 16_384
/** What a document, a conversation or a page that is only named is expected to be. */
const unseenTokens = 16_384
/** Tokenizers that are not published make more tokens of a text than OpenAI's, up to so many times. */
const otherTokenizers = 1.5
const countsAsOpenai = ({ provider }: Deployment): boolean =>
  provider === 'openai' || provider === 'azure'

/** More than the dearest image costs; GPT-4o mini counts 2,833 tokens and 5,667 for each tile of 512 pixels. */
const tokensOfImage = (deployments: readonly Deployment[]): number =>
  deployments.some(({ target }) => target.model.includes('4o-mini')) ? 50_000 : 5000

/** By the dialect; the largest counts where there are several. */
const bounds: Readonly<Record<string, readonly string[]>> = {
  'openai-chat': ['max_completion_tokens', 'max_tokens'],
  'openai-text': ['max_tokens'],
  'openai-responses': ['max_output_tokens'],
  anthropic: ['max_tokens'],
}

/** Gemini's are fields of its configuration. */
const boundsOfConfig = ['maxOutputTokens', 'max_output_tokens']
const none: readonly string[] = []

/** Of one choice. None is said by what is no number above nothing: a provider may take it for "as much as you like". */
function boundOf(said: Inbound): number | undefined {
  const config = configOf(said)
  let most: number | undefined
  for (const name of config ? boundsOfConfig : (bounds[said.wire.id] ?? none)) {
    if (!config && !said.has(name)) continue
    const value = config ? config[name] : said.field(name)
    if (value === undefined || value === null) continue
    const bound = number(value)
    if (bound === undefined || !(bound > 0)) return undefined
    most = Math.max(most ?? 0, Math.ceil(bound))
  }
  return most
}

/** How many answers are written: alternatives, and prompts of a list. */
function choicesOf(said: Inbound): number {
  const config = configOf(said)
  if (config) return Math.max(1, countOf(config['candidateCount'] ?? config['candidate_count']))
  let most = 1
  for (const name of counts) if (said.has(name)) most = Math.max(most, countOf(said.field(name)))
  return most * (said.wire.id === 'openai-text' ? promptsOf(said.field('prompt')) : 1)
}

const counts = ['n', 'best_of']

/** Some servers read a number in a text. */
const countOf = (value: Json | undefined): number => {
  const count = Number(typeof value === 'string' ? value : (number(value) ?? 1))
  return Number.isFinite(count) ? Math.ceil(count) : 1
}

/** A list of numbers is one prompt in tokens. */
const promptsOf = (prompt: Json | undefined): number =>
  Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1

function configOf(said: Inbound): JsonObject | undefined {
  if (said.wire.id !== 'gemini') return undefined
  const name = said.has('generationConfig') ? 'generationConfig' : 'generation_config'
  return object(said.has(name) ? said.field(name) : undefined)
}

type Seen = { images: number; unseen: boolean; kinds: Kinds }

const plainSeen: Seen = { images: 0, unseen: false, kinds: plainKinds }

function lookAt(said: Inbound): Seen {
  const raw = rawOf(said)
  // A megabyte is looked through in a millisecond; whose bytes are more is not small anyway.
  const body =
    said.bytes.length > lookedAtMax ? undefined : (said.glance?.text ?? latin1(said.bytes))
  if (body === undefined || disguised.test(body))
    return {
      images: imagesMax,
      unseen: true,
      kinds: { audio: true, images: true, longCache: true, searches: searchesMax, raw },
    }
  const told = telling.test(body)
  const unseen = namesUnseen(said, body, told)
  const images = told && pictured.test(body) ? countImages(body) : 0
  if (raw || unseen || rich.test(body)) {
    const kinds: Kinds = {
      audio: /audio/i.test(body),
      images: /image/i.test(body),
      longCache: body.includes('"1h"'),
      searches: unseen ? searchesMax : 0,
      raw,
    }
    return { images, unseen, kinds }
  }
  return images === 0 ? plainSeen : { images, unseen, kinds: plainKinds }
}
const lookedAtMax = 2_000_000
/** No encoder escapes a plain letter, unless a word is to be hidden. */
const disguised = /\\u00[4-7]/
const imagesMax = 20
const searchesMax = 10
const rich = /[aA](?:udio|UDIO)|[iI](?:mage|MAGE)|"1h"/
/** Whatever `pictured` or `documented` finds begins like this: one look in 5 µs for 24 KB, where those two take 31. */
const telling =
  /"(?:[fF][iI][lL][eE]|[dD][oO][cC][uU]|[iI][nN](?:[pP][uU][tT]_|line)|[vV][iI][dD][eE][oO]|[cC][oO][nN][tT][aA]|https?:|data:image|base64")|\/[pP][dD][fF]/
/** Addresses, and pictures in the body itself. */
const pictured = /"(?:https?:|data:image|base64"|inline_?[dD]ata")/

function countImages(body: string): number {
  let count = 0
  for (const _ of body.matchAll(new RegExp(pictured, 'g'))) if (++count >= 100) break
  return count
}

/** Anthropic's names of what costs more: where it runs, and how fast. */
function rawOf(said: Inbound): JsonObject | undefined {
  if (!said.has('speed') && !said.has('inference_geo')) return undefined
  return {
    speed: said.has('speed') ? (said.field('speed') ?? null) : null,
    inference_geo: said.has('inference_geo') ? (said.field('inference_geo') ?? null) : null,
  }
}

/** Does it name what the gateway cannot see: what the provider keeps, what it reads by itself, pages of a document? */
function namesUnseen(said: Inbound, body: string, told: boolean): boolean {
  for (const name of elsewhere) if (said.has(name) && isSome(said.field(name))) return true
  if (said.wire.id === 'openai-responses' && isObject(said.field('prompt'))) return true
  // Long lists of tools and long conversations are only parsed where there is something to find.
  if (said.has('tools')) {
    const span = said.glance?.keys.get('tools')
    const tools = span ? body.slice(span.valueStart, span.valueEnd) : body
    if (oddTool.test(tools) && list(said.field('tools')).some(isTheirs)) return true
  }
  if (!told || !documented.test(body)) return false
  for (const name of ['messages', 'input', 'contents', 'system', 'instructions'])
    if (said.has(name) && holdsDocument(said.field(name), 12)) return true
  return false
}
const documented =
  /"(?:file_?[a-z]+|file|document|input_file|input_video|video_url|container_upload)"|application\/pdf|"video\//i
/** A type that is neither a client's tool nor a word of a schema; a field by which Google names its own. */
const oddTool =
  /"type"\s*:\s*"(?!(?:function|custom|object|string|array|number|integer|boolean|null)")|"(?:google|url|code|file|enterprise|computer)_?[a-z]+"\s*:\s*\{/i
const elsewhere = [
  'previous_response_id',
  'conversation',
  'cachedContent',
  'cached_content',
  'container',
  'mcp_servers',
  'extra_body',
  'web_search_options',
  'search_parameters',
  'plugins',
]
const isSome = (value: Json | undefined): boolean =>
  value !== undefined && value !== null && value !== '' && value !== false

/** A tool that the provider runs. Those the client runs say what they take, or are known to be the client's. */
function isTheirs(tool: Json): boolean {
  const said = object(tool)
  const type = text(said['type'])
  if (type !== undefined) return !clients.test(type)
  // Google's are named by their only field.
  return Object.keys(said).some(
    (name) =>
      /^(google|url|code|file|enterprise|computer)_?[a-z]+/i.test(name) && isObject(said[name]),
  )
}
const clients =
  /^(function|custom|namespace|local_shell|shell|apply_patch|computer|bash_|text_editor_|memory_|tool_search)/

function holdsDocument(value: Json | undefined, depth: number): boolean {
  if (depth === 0) return true
  if (Array.isArray(value)) return value.some((item) => holdsDocument(item, depth - 1))
  if (!isObject(value)) return false
  if (documents.has(text(value['type']) ?? '')) return true
  for (const [name, one] of Object.entries(value)) {
    if (fileFields.has(name) && isSome(one)) return true
    if (/^(mime_?type|media_type)$/i.test(name) && /pdf|video/.test(text(one) ?? '')) return true
    if (typeof one === 'object' && holdsDocument(one, depth - 1)) return true
  }
  return false
}
const documents = new Set([
  'document',
  'file',
  'input_file',
  'video_url',
  'input_video',
  'container_upload',
])
const fileFields = new Set(['file_id', 'file_url', 'file_data', 'file_uri', 'fileUri', 'fileData'])

/** What a request pays by: as usual, or by the tier it asks for; the dearer of both counts. */
export function pricesFor(
  { price, info, priceOptions }: Deployment,
  said: Inbound,
): readonly Price[] {
  const asked = said.has('service_tier') ? said.field('service_tier') : undefined
  const tier = typeof asked === 'string' ? tierOf(asked, undefined) : undefined
  return tier === undefined
    ? [price]
    : [price, priceOf(info, { ...priceOptions, serviceTier: tier })]
}
