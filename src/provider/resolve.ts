import { GatewayError } from '../errors.ts'
import { type JsonObject, number, text } from '../json/json.ts'
import type { Quirks } from '../wire/quirks.ts'
import type { WireId } from '../wire/wires.ts'
import { modelsNotOffered, notOffered } from './not-offered.ts'
import { type ProviderId, providers } from './providers.ts'
import type { ProviderSpec, Variant } from './spec.ts'

/** Where a model name leads. `error` says what to do when it leads nowhere; `provider` is '' when nobody knows it. */
export type Resolved =
  | { type: 'offered'; provider: ProviderId; spec: ProviderSpec; model: string }
  | { type: 'not-offered'; provider: string; spec: undefined; model: string; error: GatewayError }
  | { type: 'unknown'; provider: ''; spec: undefined; model: string; error: GatewayError }

export type ResolveOptions = {
  /** The catalogue's `litellm_provider` of a name it knows. */
  providerOf?: ((model: string) => string | undefined) | undefined
  /** The row's `api_base`: its host may tell the provider. */
  base?: string | undefined
  /** Is there an address although `base` is not at hand? A name nobody knows is then an OpenAI-compatible server's. */
  hasBase?: boolean | undefined
}

/**
 * LiteLLM's order: what the row says, the name's prefix, the address, the catalogue, the look of the name. A prefix that
 * is no provider belongs to the name: `openai/org/model` is OpenAI's `org/model`, `org/model` with an address is too.
 */
export function resolve(model: string, custom?: string, options: ResolveOptions = {}): Resolved {
  if (custom) {
    const bare = model.startsWith(`${custom}/`) ? model.slice(custom.length + 1) : model
    return isKnown(custom) ? lead(custom, bare || model) : unknown(model, custom)
  }
  const slash = model.indexOf('/')
  const prefix = model.slice(0, Math.max(slash, 0))
  if (isKnown(prefix) && slash < model.length - 1) return lead(prefix, model.slice(slash + 1))
  const found =
    providerOfBase(options.base) ?? knownIn(options.providerOf?.(model)) ?? providerOfName(model)
  if (found !== undefined && model !== '') return lead(found, model)
  const reachable = options.hasBase ?? options.base !== undefined
  return reachable && model !== '' ? lead('openai', model) : unknown(model, prefix || model)
}

/** How one model of a provider is spoken to: its row with what the first fitting variant changes. */
export function specFor(
  provider: string,
  model: string,
  client?: string,
): { wire: WireId; quirks: Quirks; baseUrl: string | undefined } | undefined {
  const spec = specOf(provider)
  if (!spec) return undefined
  for (const variant of spec.variants ?? []) {
    if (variant.client !== undefined && variant.client !== client) continue
    const match = pattern(variant.match).exec(model)
    if (!match) continue
    const varied = withVariant(spec, variant, match)
    const baseUrl = variant.baseUrl === undefined ? placeOf(spec, model) : varied.baseUrl
    return {
      quirks: withRoles(varied.quirks, varied.wire, spec),
      baseUrl,
      wire: wireFor(client, spec, varied.wire, model),
    }
  }
  const { wire, quirks = {} } = spec
  return {
    wire: wireFor(client, spec, wire, model),
    quirks: withRoles(quirks, wire, spec),
    baseUrl: placeOf(spec, model),
  }
}

/** Many answer 400 to `developer`. */
const withRoles = (quirks: Quirks, wire: WireId, { knowsDeveloper }: ProviderSpec): Quirks =>
  wire !== 'openai-chat' || knowsDeveloper || quirks.systemRole !== undefined
    ? quirks
    : { ...quirks, systemRole: 'system' }

function placeOf({ places = [], baseUrl }: ProviderSpec, model: string): string | undefined {
  for (const { match, to } of places) {
    const found = pattern(match).exec(model)
    if (found) return filled(to, found)
  }
  return baseUrl
}

/** A compatible provider that has Responses, or legacy completions, as well is asked in them by those who speak them. */
const wireFor = (
  client: string | undefined,
  spec: ProviderSpec,
  wire: WireId,
  model: string,
): WireId => {
  if (wire !== 'openai-chat') return wire
  if (client === 'openai-responses' && spec.operations.includes('responses')) return client
  return client === 'openai-text' && hasText(spec, model) ? client : wire
}

/** Does a model of an OpenAI-compatible provider take legacy completions? */
export const hasText = ({ operations, textModels }: ProviderSpec, model: string): boolean =>
  operations.includes('text_completion') &&
  (textModels === undefined || pattern(textModels).test(model))

/** The row of an offered provider. */
export const specOf = (provider: string): ProviderSpec | undefined =>
  isOffered(provider) ? providers[provider] : undefined

/**
 * Fills the places of a base URL from the row's parameters and the environment. A place nobody fills stays as it is, and so
 * does one whose value could lead to another host or path.
 */
export function fillPlaces(
  url: string | undefined,
  params: JsonObject,
  env: (name: string) => string | undefined,
): string | undefined {
  return url?.replace(
    /\{([\w|]+)(?:=([\w.-]+))?\}/g,
    (place, names: string, otherwise?: string) => {
      const all = names.split('|')
      const said = all
        .map((name) => params[name.toLowerCase()])
        .find((value) => value !== undefined)
      const value =
        (text(said) || number(said)?.toString()) ?? all.map(env).find((name) => name) ?? otherwise
      return value !== undefined && /^[\w-]+(\.[\w-]+)*$/.test(value) ? value : place
    },
  )
}

/**
 * Providers the environment has credentials for, with the name that told. A name several rows read counts for the first
 * of them; a key that needs an address beside it counts only with the address, a server that needs no key only by its
 * address.
 */
export function keysInEnvironment(
  env: (name: string) => string | undefined,
): { provider: ProviderId; name: string }[] {
  const found: { provider: ProviderId; name: string }[] = []
  const taken = new Set<string>()
  for (const provider of offered) {
    const spec: ProviderSpec = providers[provider]
    const names = tellingNames(spec).filter((name) => !taken.has(name) && !generic.has(name))
    for (const name of names) taken.add(name)
    const name = names.find((each) => env(each))
    if (name !== undefined && hasAddress(spec, env)) found.push({ provider, name })
  }
  return found
}

/** Set for other reasons as well: by the platform a process runs on, or for a vendor's other services. */
const generic: ReadonlySet<string> = new Set([
  'AWS_BEARER_TOKEN_BEDROCK',
  'AZURE_API_KEY',
  'AZURE_OPENAI_API_KEY',
  'OPENAI_API_BASE',
  'OPENAI_BASE_URL',
  'VERCEL_OIDC_TOKEN',
])

function tellingNames({ auth, baseUrlEnv }: ProviderSpec): readonly string[] {
  if ('none' in auth) return baseUrlEnv ?? []
  if ('scheme' in auth) return auth.env ?? []
  const keys = 'bearer' in auth ? auth.bearer : auth.env
  return auth.optional ? (baseUrlEnv ?? []) : keys
}

function hasAddress(spec: ProviderSpec, env: (name: string) => string | undefined): boolean {
  if (spec.baseUrlEnv?.some((name) => env(name))) return true
  const url = fillPlaces(spec.baseUrl, {}, env)
  return url !== undefined && !url.includes('{')
}

function lead(provider: string, model: string): Resolved {
  if (!isOffered(provider))
    return { type: 'not-offered', provider, spec: undefined, model, error: refusal(provider) }
  const moved = elsewhere.find((one) => one.provider === provider && model.startsWith(one.begins))
  if (moved) return lead(moved.to, model.slice(moved.begins.length))
  const spec: ProviderSpec = providers[provider]
  const refused = modelsNotOffered[provider]?.find(({ begins }) => model.startsWith(begins))
  if (refused) {
    const message = `Models named '${provider}/${refused.begins}…' are not offered by this build: ${refused.why}.`
    return {
      type: 'not-offered',
      provider,
      spec: undefined,
      model,
      error: new GatewayError('not_offered', message, { param: 'model' }),
    }
  }
  return { type: 'offered', provider, spec, model: spelt(spec.models, model) }
}

/** Models that LiteLLM names by one provider and asks at another's address, which has a row of its own here. */
const elsewhere: readonly { provider: ProviderId; begins: string; to: ProviderId }[] = [
  { provider: 'bedrock', begins: 'mantle/', to: 'bedrock_mantle' },
]

/** A model's name as the provider is told it. */
export const sentName = ({ sends }: ProviderSpec, model: string): string => spelt(sends, model)

/** A name with `*` is a pattern still: what it stands for is spelt when it is known. */
function spelt(rules: ProviderSpec['models'], model: string): string {
  if (model.includes('*')) return model
  for (const { match, to } of rules ?? []) {
    const wanted = pattern(match)
    if (wanted.test(model)) return model.replace(wanted, to)
  }
  return model
}

const filled = (value: string, match: RegExpExecArray): string =>
  value.replace(/\$(&|\d)/g, (_, at) => match[at === '&' ? 0 : Number(at)] ?? '')

function withVariant(spec: ProviderSpec, variant: Variant, match: RegExpExecArray) {
  const quirks: Quirks = { ...spec.quirks, ...variant.quirks }
  return {
    wire: variant.wire ?? spec.wire,
    quirks:
      quirks.chatPath === undefined
        ? quirks
        : { ...quirks, chatPath: filled(quirks.chatPath, match) },
    baseUrl: variant.baseUrl === undefined ? spec.baseUrl : filled(variant.baseUrl, match),
  }
}

const patterns = new Map<string, RegExp>()
function pattern(source: string): RegExp {
  const kept = patterns.get(source)
  if (kept) return kept
  const made = new RegExp(source, 'i')
  patterns.set(source, made)
  return made
}

const isOffered = (id: string): id is ProviderId => Object.hasOwn(providers, id)
const isKnown = (id: string): boolean =>
  isOffered(id) || Object.hasOwn(notOffered, id) || otherwiseKnown.has(id)
const offered = Object.keys(providers).filter(isOffered)

/** The catalogue has finer names than there are providers: `vertex_ai-language-models`, `bedrock_converse`. */
function knownIn(catalogued: string | undefined): string | undefined {
  let id = catalogued
  while (id && !isKnown(id)) id = id.slice(0, Math.max(id.lastIndexOf('-'), id.lastIndexOf('_'), 0))
  return id || undefined
}

/**
 * An address on a provider's own host is that provider's, so that its key goes nowhere else: the host must be the same
 * to the letter, and nobody may listen on the way.
 */
function providerOfBase(base: string | undefined): string | undefined {
  if (base === undefined || !URL.canParse(base)) return undefined
  const { protocol, host } = new URL(base)
  return protocol === 'https:' ? hosts.get(host) : undefined
}

const hosts: ReadonlyMap<string, ProviderId> = hostsOf(offered)

function hostsOf(ids: readonly ProviderId[]): Map<string, ProviderId> {
  const found = new Map<string, ProviderId>()
  for (const id of ids) {
    const { baseUrl, hosts: more = [] }: ProviderSpec = providers[id]
    const own =
      baseUrl?.startsWith('https://') && !baseUrl.includes('{') ? [new URL(baseUrl).host] : []
    // The first row of a host has it; rows of another name for the same service come later.
    for (const host of [...own, ...more]) if (!found.has(host)) found.set(host, id)
  }
  return found
}

const providerOfName = (model: string): string | undefined =>
  looks.find(([look]) => look.test(model))?.[1]

/** Names that say whose they are, for models newer than the catalogue. Nothing here may backtrack. */
const looks: readonly [look: RegExp, provider: string][] = [
  [/^gpt-3\.5-turbo-instruct/, 'text-completion-openai'],
  // gpt-oss, gpt-j and gpt-neo are open weights: whoever serves them, OpenAI does not.
  [/^gpt-(?!oss|j|neo|4all)/, 'openai'],
  [
    /^(chatgpt-|o[1-9](-|$)|ft:(gpt-|o[1-9]-)|text-embedding-(3|ada)|dall-e-|whisper-|tts-1|sora-)/,
    'openai',
  ],
  [/^(omni-moderation-|text-moderation-|computer-use-|codex-mini)/, 'openai'],
  [/^\*$/, 'openai'],
  [/^([a-z-]{1,20}\.)?anthropic\.claude-/, 'bedrock'],
  [/^([a-z-]{1,20}\.)?amazon\.(nova|titan)-/, 'bedrock'],
  [/^claude-/, 'anthropic'],
  [/^(gemini-|imagen-|veo-|gemini-embedding-)/, 'vertex_ai'],
  [/^(command-|c4ai-aya)/, 'cohere_chat'],
  [/^(embed|rerank)-(english|multilingual|v\d)/, 'cohere'],
  [/^[^/:]{1,100}\/[^/:]{1,100}:[0-9a-f]{64}$/, 'replicate'],
]

function refusal(provider: string): GatewayError {
  const why = Object.hasOwn(notOffered, provider) ? notOffered[provider] : undefined
  return new GatewayError(
    'not_offered',
    why === undefined
      ? `The provider '${provider}' is known but this build does not speak to it. If it has an OpenAI-compatible address, ` +
          'use openai/<model> with that address as api_base; docs/providers.md lists the providers on offer.'
      : `The provider '${provider}' is known but this build does not speak to it: ${why}.`,
  )
}

function unknown(model: string, named: string): Resolved {
  const near = nearest(named)
  const hint = near.length > 0 ? ` Did you mean ${near.join(', ')}?` : ''
  const error = new GatewayError(
    'bad_request',
    `Cannot tell the provider of '${model.slice(0, 100)}'. Write the model as provider/model, e.g. openai/gpt-4o, or give ` +
      `custom_llm_provider, or the api_base of an OpenAI-compatible server.${hint}`,
    { param: 'model' },
  )
  return { type: 'unknown', provider: '', spec: undefined, model, error }
}

/** Up to three ids: those the name begins with or that begin with it, then those a slip or two away. */
function nearest(named: string): string[] {
  const said = named.slice(0, 40).toLowerCase().replaceAll('-', '_')
  if (said.length < 2) return []
  const head = said.split(/[_.:/]/)[0] ?? ''
  return [...new Set([...offered, ...Object.keys(notOffered), ...otherwiseKnown])]
    .map((id) => {
      const known = id.replaceAll('-', '_')
      const kin =
        known === said || known === head || (said.length > 3 && known.startsWith(`${said}_`))
      return { id, away: kin ? 0 : distance(said, known) }
    })
    .filter(({ away }) => away <= (said.length < 5 ? 1 : 2))
    .sort((a, b) => a.away - b.away)
    .slice(0, 3)
    .map(({ id }) => id)
}

/** Insertions, deletions and replacements from one word to another. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...to].entries())
      next.push(
        Math.min(
          (row[j] ?? 0) + (letter === other ? 0 : 1),
          (row[j + 1] ?? 0) + 1,
          (next[j] ?? 0) + 1,
        ),
      )
    row = next
  }
  return row[to.length] ?? to.length
}

/** LiteLLM's names of services that answer no chat, so that a model of theirs is not taken for an unknown name. */
const otherwiseKnown: ReadonlySet<string> = new Set(
  `aws_polly aws_textract azure_speech azure_text infinity milvus mongodb nvidia_riva pg_vector reducto runwayml s3_vectors
  soniox topaz transcribe valkey`.split(/\s+/),
)
