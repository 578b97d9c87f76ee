import { isObject, type JsonObject, list, object, text } from '../json/json.ts'
import { belongs, branching, candidates, imageNames } from './model-names.ts'
import { compileRules } from './model-rules.ts'

/** What is known of a model, in LiteLLM's field names: `mode`, `litellm_provider`, `max_input_tokens`, `input_cost_per_token`, `supports_vision`… */
export type ModelInfo = JsonObject

export type Found = { key: string; info: ModelInfo }

export type Catalogue = {
  readonly size: number
  /** The entry of a provider's model, found by LiteLLM's rules. `region` finds prices that hold in one AWS region. */
  find(provider: string, model: string, region?: string): Found | undefined
  /** The entry a drawn image is billed by: some are kept per size and quality. */
  findImage(
    provider: string,
    model: string,
    asked: { size?: string | undefined; quality?: string | undefined },
  ): Found | undefined
  /** What can be called at a provider, as `provider/model`. */
  models(provider: string): readonly string[]
  entries(): Iterable<[string, ModelInfo]>
  /** Every `litellm_provider`. */
  providers(): readonly string[]
  /** The provider of a name that comes without one: `gpt-5.5` is OpenAI's, `claude-opus-5` Anthropic's. */
  providerOf(model: string): string | undefined
}

/** The one catalogue everybody reads. A refreshed one takes its place between two requests. */
export type CatalogueHolder = { readonly current: Catalogue; replace(next: Catalogue): void }

export function createCatalogueHolder(first: Catalogue): CatalogueHolder {
  let current = first
  return {
    get current() {
      return current
    },
    replace: (next) => {
      current = next
    },
  }
}

/** Keys of the file that are not models. */
const reserved = new Set(['sample_spec', 'fallback_generalizations'])
const namesKept = 10_000
const nameLengthMax = 512

export function createCatalogue(data: JsonObject): Catalogue {
  const models = readModels(data)
  const rules = compileRules(list(object(data.fallback_generalizations).rules))
  const filled = new Map<string, ModelInfo>()
  const seen = new Map<string, Found | undefined>()
  const listed = new Map<string, readonly string[]>()
  let owners: Map<string, string> | undefined
  let folded: Map<string, string> | undefined

  /** The key as it is, or as somebody else capitalised it. */
  const keyOf = (name: string): string | undefined => {
    if (models.has(name)) return name
    folded ??= new Map([...models.keys()].map((key) => [key.toLowerCase(), key]))
    return folded.get(name.toLowerCase())
  }

  function entry(key: string): ModelInfo | undefined {
    const known = filled.get(key)
    if (known) return known
    const info = models.get(key)
    if (!info) return undefined
    const whole = rules.fill(key, info)
    filled.set(key, whole)
    return whole
  }

  function look(provider: string, model: string, region: string | undefined): Found | undefined {
    const names = candidates(provider, model, region, (name) => models.has(name))
    for (const name of names) {
      const key = keyOf(name)
      const info = key === undefined ? undefined : entry(key)
      if (key !== undefined && info && belongs(info, provider)) return { key, info }
    }
    // A name that is known, only of somebody else, is not a new model of a known family.
    if (names.some((name) => keyOf(name) !== undefined)) return undefined
    for (const name of names) {
      const info = rules.describe(name)
      if (info) return { key: name, info: { ...info, litellm_provider: provider } }
    }
    return undefined
  }

  function find(provider: string, model: string, region?: string): Found | undefined {
    if (model === '' || model.length > nameLengthMax) return undefined
    const name = `${provider}\n${region ?? ''}\n${model}`
    if (seen.has(name)) return seen.get(name)
    const found = look(provider, model, region)
    // Names come from clients too, so what is remembered is bounded.
    if (seen.size >= namesKept) seen.clear()
    seen.set(name, found)
    return found
  }

  return {
    size: models.size,
    find,
    findImage(provider, model, asked) {
      for (const name of imageNames(provider, model, asked)) {
        const info = entry(name)
        if (info) return { key: name, info }
      }
      return find(provider, model)
    },
    models(provider) {
      let names = listed.get(provider)
      if (!names) listed.set(provider, (names = callable(models, provider)))
      return names
    },
    entries: () => models.entries(),
    providers: () =>
      [
        ...new Set([...models.values()].flatMap((info) => text(info.litellm_provider) ?? [])),
      ].sort(),
    providerOf(model) {
      owners ??= readOwners(models)
      if (model === '' || model.length > nameLengthMax) return undefined
      return ownerByName(model) ?? owners.get(model) ?? ownerByShape(model) ?? rules.route(model)
    },
  }
}

/** Also expands `aliases`: other names of one entry, which lose to an entry of that name. */
function readModels(data: JsonObject): Map<string, ModelInfo> {
  const models = new Map<string, ModelInfo>()
  const others: [alias: string, info: ModelInfo][] = []
  for (const key of Object.keys(data)) {
    const value = data[key]
    if (reserved.has(key) || !isObject(value)) continue
    if (value.aliases === undefined) {
      models.set(key, value)
      continue
    }
    const { aliases, ...info } = value
    models.set(key, info)
    for (const alias of list(aliases)) if (typeof alias === 'string') others.push([alias, info])
  }
  for (const [alias, info] of others) if (!models.has(alias)) models.set(alias, info)
  return models
}

/**
 * What is known of a model after the row's word: `overrides` is its model_info with the price fields of its
 * litellm_params (see `pricesOf`). A `base_model` in it names the entry where the deployment's own name says nothing.
 */
export function infoOf(
  catalogue: Catalogue,
  provider: string,
  model: string,
  overrides: JsonObject,
): ModelInfo {
  const named = text(overrides.base_model) || model
  const found =
    catalogue.find(provider, named)?.info ?? pricedBySize(catalogue, provider, named) ?? {}
  const info = { ...withoutReplacedPrices(found, overrides) }
  for (const key of Object.keys(overrides)) {
    const value = overrides[key]
    if (value !== undefined && value !== null) info[key] = value
  }
  return info
}

/** Does this field say what something costs? */
export const isPriceField = (key: string): boolean =>
  key.includes('cost') || key === 'tiered_pricing' || key === 'off_peak_pricing'

export function pricesOf(params: JsonObject): JsonObject {
  const prices: JsonObject = {}
  for (const key of Object.keys(params)) if (isPriceField(key)) prices[key] = params[key]
  return prices
}

const tierEnd = /_(?:flex|priority|balanced|ultrafast)$/

/**
 * A row's flat price is the price of that direction: what the catalogue says for long prompts, batches, thoughts or
 * sound would stand in its way. Service tiers and cache prices stay, as they do in LiteLLM, unless the row sets them.
 * A price by time stands only where no price by token does.
 */
function withoutReplacedPrices(info: ModelInfo, overrides: JsonObject): ModelInfo {
  const sets = (key: string): boolean => overrides[key] !== undefined && overrides[key] !== null
  const directions = ['input', 'output'].filter((way) => sets(`${way}_cost_per_token`))
  const byTime = ['cost_per_second', 'input_cost_per_second', 'output_cost_per_second'].some(sets)
  if (byTime && directions.length === 0) directions.push('input', 'output')
  if (directions.length === 0) return info
  const replaced = (key: string): boolean =>
    !tierEnd.test(key) &&
    directions.some((way) => key.startsWith(`${way}_cost_per_`) && key.includes('token'))
  const without = (table: JsonObject): JsonObject =>
    Object.fromEntries(Object.entries(table).filter(([key]) => !replaced(key)))
  const flat = Object.fromEntries(
    directions.map((way) => [`${way}_cost_per_token`, overrides[`${way}_cost_per_token`]]),
  )
  const out = without(info)
  if (byTime || directions.length === 2) out.tiered_pricing = undefined
  else if (Array.isArray(info.tiered_pricing))
    out.tiered_pricing = info.tiered_pricing.map((tier) => ({ ...without(object(tier)), ...flat }))
  if (isObject(info.off_peak_pricing)) out.off_peak_pricing = without(info.off_peak_pricing)
  return out
}

/** Together and Fireworks price a model nobody listed by its size. Only the price is taken: the size says nothing of abilities. */
function pricedBySize(
  catalogue: Catalogue,
  provider: string,
  model: string,
): ModelInfo | undefined {
  const classes = sizes.get(provider)
  const name = model.toLowerCase()
  const [, experts, each] = /(\d{1,4})x(\d{1,5})b/.exec(name) ?? []
  const [, billions] = /(\d{1,6})b/.exec(name) ?? []
  const mixed = provider === 'fireworks_ai' && experts !== undefined && each !== undefined
  const size = mixed
    ? Number(experts) * Number(each)
    : billions === undefined
      ? undefined
      : Number(billions)
  const row =
    size === undefined
      ? undefined
      : (mixed ? classes?.mixed : classes?.plain)?.find(([max]) => size <= max)
  const key = row?.[1] ?? classes?.other
  const info = key === undefined ? undefined : catalogue.find(provider, key)?.info
  return info && { ...pricesOf(info), litellm_provider: provider }
}

type SizeClasses = {
  plain: [max: number, key: string][]
  mixed: [max: number, key: string][]
  other?: string
}
const sizes = new Map<string, SizeClasses>([
  [
    'together_ai',
    {
      plain: [
        [4, 'together-ai-up-to-4b'],
        [8, 'together-ai-4.1b-8b'],
        [21, 'together-ai-8.1b-21b'],
        [41, 'together-ai-21.1b-41b'],
        [80, 'together-ai-41.1b-80b'],
        [110, 'together-ai-81.1b-110b'],
      ],
      mixed: [],
    },
  ],
  [
    'fireworks_ai',
    {
      plain: [
        [4, 'fireworks-ai-up-to-4b'],
        [16, 'fireworks-ai-4.1b-to-16b'],
        [Number.POSITIVE_INFINITY, 'fireworks-ai-above-16b'],
      ],
      mixed: [
        [56, 'fireworks-ai-moe-up-to-56b'],
        [176, 'fireworks-ai-56b-to-176b'],
      ],
      other: 'fireworks-ai-default',
    },
  ],
])

/** Entries that are prices and not models: of a region or a commitment, of a size, of a fine-tune's base, of a tool. */
const priceOnly =
  /^bedrock\/[\w*-]+\/|month-commitment|^(?:low|medium|high|standard|hd)\/|(?:^|\/)\d+-x-\d+\/|^(?:together|fireworks)-ai-|^ft:[^:]*$|\/container$|^bedrock\/guardrails$/

function callable(models: ReadonlyMap<string, ModelInfo>, provider: string): readonly string[] {
  const names: string[] = []
  for (const [key, info] of models) {
    const owner = text(info.litellm_provider) ?? ''
    const branch =
      branching.some((stem) => provider === stem && owner.startsWith(stem)) &&
      owner !== 'bedrock_mantle'
    if ((owner !== provider && !branch) || priceOnly.test(key)) continue
    names.push(key.startsWith(`${provider}/`) ? key : `${provider}/${key}`)
  }
  return [...new Set(names)].sort()
}

/** Whose bare names they are; entries of other providers carry the provider in their key. */
function readOwners(models: ReadonlyMap<string, ModelInfo>): Map<string, string> {
  const owners = new Map<string, string>()
  for (const [key, info] of models) {
    const listed = text(info.litellm_provider) ?? ''
    const owner = bareOwners.get(listed)
    const commitment =
      listed === 'bedrock' && (/^bedrock\/[\w-]+\/./.test(key) || key.includes('month-commitment'))
    if (owner === undefined || commitment || info.mode === 'guardrail') continue
    if (listed === 'openai' && key.startsWith('ft:')) continue
    owners.set(
      listed.startsWith('vertex_ai-') ? key.replace(/^vertex_ai\/(?=imagen|image|veo)/, '') : key,
      owner,
    )
  }
  return owners
}
const bareOwners = new Map([
  ['openai', 'openai'],
  ['text-completion-openai', 'text-completion-openai'],
  ['anthropic', 'anthropic'],
  ['cohere', 'cohere'],
  ['cohere_chat', 'cohere_chat'],
  ['openrouter', 'openrouter'],
  ...[
    'text',
    'code-text',
    'language',
    'vision',
    'chat',
    'code-chat',
    'embedding',
    'image',
    'video',
  ].map((kind): [string, string] => [`vertex_ai-${kind}-models`, 'vertex_ai']),
  ['ai21', 'ai21_chat'],
  ['aleph_alpha', 'aleph_alpha'],
  ['nlp_cloud', 'nlp_cloud'],
  ['bedrock', 'bedrock'],
  ['bedrock_converse', 'bedrock'],
  ['watsonx', 'watsonx'],
  ['empower', 'empower'],
  ['gradient_ai', 'gradient_ai'],
])

/** Names that decide before the catalogue is asked. */
function ownerByName(model: string): string | undefined {
  if (
    model.includes('ft:gpt-3.5-turbo') ||
    model.includes('ft:gpt-4') ||
    model.startsWith('gpt-image')
  )
    return 'openai'
  if (model === 'claude-2' || model === 'claude-instant-1') return 'anthropic_text'
  return undefined
}
/** Names that say whose they are without being listed. */
function ownerByShape(model: string): string | undefined {
  // Replicate's versions are 64 hexadecimal digits.
  if (/^[^:]+:[^:]{64}$/.test(model)) return 'replicate'
  if (model === '*') return 'openai'
  return model.startsWith('amazon_nova') ? 'amazon_nova' : undefined
}
