import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import { isPriceField, type ModelInfo } from './catalogue.ts'
import type { Band, Bands, Pieces, Price, PriceOptions, Rates } from './cost.ts'
import { offPeakClock } from './off-peak.ts'

/** How a tier ends the names of its prices. */
export const suffixes: ReadonlyMap<string, string> = new Map([
  ['flex', '_flex'],
  ['balanced', '_balanced'],
  ['priority', '_priority'],
  ['fast', '_priority'],
  ['ultrafast', '_ultrafast'],
  ['batch', '_batches'],
])

/** Reads an entry of the catalogue into a price list: everything that can be known before a request is. */
export function compilePrice(stated: ModelInfo, options: PriceOptions): Price {
  const provider = options.provider ?? text(stated.litellm_provider) ?? ''
  const info = provider === 'fireworks_ai' ? withCacheDefault(stated) : stated
  const suffix = suffixes.get(options.serviceTier?.toLowerCase() ?? '') ?? ''
  const list = { info, provider, suffix: suffix === '_batches' ? '' : suffix }
  const scale = upliftOf(info, options)
  const scaled = ([first, ...more]: FlatBands, night?: JsonObject): Bands => {
    const band = ({ over, upTo, flat }: FlatBand): Band => ({
      over,
      upTo,
      rates: times(resolve(list, flat, night), scale),
    })
    return [band(first), ...more.map(band)]
  }
  const night = isObject(info.off_peak_pricing) ? info.off_peak_pricing : undefined
  const flats = flatBands(list)
  const geo = object(info.provider_specific_entry)
  return {
    priced: Object.keys(info).some(
      (key) => isPriceField(key) && info[key] !== null && info[key] !== undefined,
    ),
    bands: suffix === '_batches' ? batchBands({ ...list, info: stated }, scale) : scaled(flats),
    offPeak:
      night && suffix !== '_batches'
        ? { isNow: offPeakClock(night), bands: scaled(flats, night) }
        : undefined,
    geo: provider === 'anthropic' && Object.keys(geo).length > 0 ? geo : undefined,
    reported: options.ownPrices ? undefined : chargedBy.get(provider),
    makes: makes.get(info.mode),
    search: searchPrices(info, provider),
    pieces: piecesOf(info, provider, suffix === '_batches', options),
  }
}

const makes = new Map<unknown, 'images' | 'film'>([
  ['image_generation', 'images'],
  ['image_edit', 'images'],
  ['video_generation', 'film'],
])

/** Providers that say what they charged. xAI counts ten-billionths of a dollar (https://docs.x.ai/developers/cost-tracking). */
const chargedBy = new Map<string, (raw: JsonObject) => number | undefined>([
  ['perplexity', (raw) => positive(number(raw.cost) ?? number(object(raw.cost).total_cost), 1e9)],
  ['openrouter', (raw) => positive(number(raw.cost), 1e9)],
  ['xai', (raw) => positive(number(raw.cost_in_usd_ticks), 0.1)],
])
const positive = (value: number | undefined, times: number): number | undefined =>
  value !== undefined && value >= 0 && Number.isFinite(value) ? value * times : undefined

/** The lists that prices are looked up in: an entry, whose conventions apply, and the tier's suffix or nothing. */
type PriceList = { info: ModelInfo; provider: string; suffix: string }

/** Nano-dollars. A price may be text in a config ("3e-7"); one that is not a sensible number is none. Multiplied as a decimal, so that 1e-7 becomes 100 and not 99.99999999999999. */
function rate(info: JsonObject, key: string): number | undefined {
  const value = info[key]
  if (value === null || value === undefined || value === '') return undefined
  const dollars = typeof value === 'string' ? Number(value) : number(value)
  if (dollars === undefined || !(dollars >= 0) || dollars === Number.POSITIVE_INFINITY)
    return undefined
  return Number((dollars * 1e9).toPrecision(15))
}

/** The tier's own price, otherwise the standard one. */
const tiered = ({ info, suffix }: PriceList, key: string): number | undefined =>
  (suffix === '' ? undefined : rate(info, key + suffix)) ?? rate(info, key)

/** Base prices of one band, before what is missing is filled in. */
type Flat = {
  input: number
  output: number
  cacheRead: number | undefined
  cacheWrite: number | undefined
  cacheWrite1h: number | undefined
  /** Set only by a table of tiers. */
  reasoning?: number | undefined
}
type FlatBand = { over: number; upTo: number; flat: Flat }
type FlatBands = [FlatBand, ...FlatBand[]]

function flatBands(list: PriceList): FlatBands {
  const base: Flat = {
    input: tiered(list, 'input_cost_per_token') ?? 0,
    // An image model without a price for text writes nothing but images.
    output:
      tiered(list, 'output_cost_per_token') ||
      (rate(list.info, 'output_cost_per_image_token') ?? 0),
    cacheRead: tiered(list, 'cache_read_input_token_cost'),
    cacheWrite: tiered(list, 'cache_creation_input_token_cost'),
    cacheWrite1h: rate(list.info, 'cache_creation_input_token_cost_above_1hr'),
  }
  return tableBands(list, base) ?? thresholdBands(list, base)
}

/** `…_above_200k_tokens`: beyond so much input, every token of the request costs the other price. */
function thresholdBands(list: PriceList, base: Flat): FlatBands {
  const bands: FlatBands = [{ over: -1, upTo: Number.POSITIVE_INFINITY, flat: base }]
  for (const { label, tokens } of thresholds(
    list.info,
    (rest) => rest === '' || rest === list.suffix,
  )) {
    const above = (key: string): number | undefined => tiered(list, `${key}_above_${label}_tokens`)
    const last = bands.at(-1) ?? bands[0]
    // xAI bills the higher price from the threshold on, everyone else beyond it.
    const over = list.provider === 'xai' ? tokens - 1 : tokens
    last.upTo = over
    const flat = {
      input: above('input_cost_per_token') ?? last.flat.input,
      output: above('output_cost_per_token') ?? last.flat.output,
      cacheRead: above('cache_read_input_token_cost') ?? last.flat.cacheRead,
      cacheWrite: above('cache_creation_input_token_cost') ?? last.flat.cacheWrite,
      cacheWrite1h: above('cache_creation_input_token_cost_above_1hr') ?? last.flat.cacheWrite1h,
    }
    bands.push({ over, upTo: Number.POSITIVE_INFINITY, flat })
  }
  return bands
}

const aboveKey =
  /^(?:input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost)(?:_above_1hr)?_above_(\d{1,9})(k?)_tokens(.*)$/

function thresholds(
  info: ModelInfo,
  mine: (rest: string) => boolean,
): { label: string; tokens: number }[] {
  const found = new Map<string, number>()
  for (const key of Object.keys(info)) {
    const match = key.includes('_above_') ? aboveKey.exec(key) : null
    if (match && mine(match[3] ?? '') && rate(info, key) !== undefined)
      found.set(`${match[1]}${match[2]}`, Number(match[1]) * (match[2] === 'k' ? 1000 : 1))
  }
  return [...found]
    .map(([label, tokens]) => ({ label, tokens }))
    .sort((a, b) => a.tokens - b.tokens)
}

/** `tiered_pricing`: one tier is chosen by the input's size, and the whole request is billed by it. */
function tableBands({ info }: PriceList, base: Flat): FlatBands | undefined {
  const tiers = list(info.tiered_pricing)
    .map(object)
    .flatMap((tier) => {
      const [from, to] = list(tier.range).map(number)
      return from === undefined || to === undefined ? [] : [{ from, to, tier }]
    })
  if (tiers.length === 0) return undefined
  const bands = tiers
    .sort((a, b) => a.from - b.from)
    .map(({ from, to, tier }) => ({ over: from, upTo: to, flat: tierFlat(info, tier) ?? base }))
  return [{ over: -1, upTo: 0, flat: base }, ...bands]
}

function tierFlat(info: ModelInfo, tier: JsonObject): Flat | undefined {
  const input = rate(tier, 'input_cost_per_token')
  if (input === undefined) return undefined
  const output = rate(tier, 'output_cost_per_token')
  const cacheWrite = rate(tier, 'cache_creation_input_token_cost') ?? input
  return {
    input,
    // A table that prices only input does not make output free.
    output: output ?? rate(info, 'output_cost_per_token') ?? 0,
    cacheRead: rate(tier, 'cache_read_input_token_cost') ?? input,
    cacheWrite,
    cacheWrite1h: rate(tier, 'cache_creation_input_token_cost_above_1hr') || cacheWrite,
    reasoning: rate(tier, 'output_cost_per_reasoning_token') ?? output,
  }
}

/** Fills what a list leaves out: a cache without a price costs what input costs, thoughts what output costs. */
function resolve(list: PriceList, flat: Flat, night: JsonObject = {}): Rates {
  const { info } = list
  const input = rate(night, 'input_cost_per_token') ?? flat.input
  const output = rate(night, 'output_cost_per_token') ?? flat.output
  const cacheRead = rate(night, 'cache_read_input_token_cost') ?? flat.cacheRead ?? input
  const cacheWrite = rate(night, 'cache_creation_input_token_cost') ?? flat.cacheWrite ?? input
  const reasoning =
    rate(night, 'output_cost_per_reasoning_token') ?? flat.reasoning ?? reasoningRate(list, output)
  // xAI bills whatever is written at one price.
  const plain = list.provider === 'xai'
  return {
    input,
    inputAudio: tiered(list, 'input_cost_per_audio_token') ?? input,
    inputImage: tiered(list, 'input_cost_per_image_token') ?? input,
    inputVideo: tiered(list, 'input_cost_per_video_token') ?? input,
    cacheRead,
    cacheReadAudio: tiered(list, 'cache_read_input_audio_token_cost') ?? cacheRead,
    cacheWrite,
    cacheWrite1h: flat.cacheWrite1h ?? cacheWrite,
    output,
    reasoning: plain ? output : reasoning,
    outputAudio: plain ? output : (rate(info, 'output_cost_per_audio_token') ?? output),
    outputImage: plain ? output : (rate(info, 'output_cost_per_image_token') ?? output),
    outputVideo: plain ? output : (rate(info, 'output_cost_per_video_token') ?? output),
  }
}

/** A tier that prices output and not thoughts means both. */
function reasoningRate({ info, suffix }: PriceList, output: number): number {
  const own = suffix === '' ? undefined : rate(info, `output_cost_per_reasoning_token${suffix}`)
  if (own !== undefined) return own
  if (suffix !== '' && rate(info, `output_cost_per_token${suffix}`) !== undefined) return output
  return rate(info, 'output_cost_per_reasoning_token') ?? output
}

/** Batches: the batch price where there is one, half the standard price otherwise. */
function batchBands({ info, provider }: PriceList, scale: number): Bands {
  const steps = thresholds(info, (rest) => rest === '_batches')
  const at = (tokens: number): Rates => {
    const batch = (key: string): number | undefined => {
      const above = steps
        .filter((step) => step.tokens <= tokens)
        .map((step) => rate(info, `${key}_above_${step.label}_tokens_batches`))
        .findLast((value) => value !== undefined)
      return above ?? rate(info, `${key}_batches`)
    }
    const half = (key: string): number | undefined => {
      const whole = rate(info, key)
      return whole === undefined ? undefined : whole / 2
    }
    const priced = batch('input_cost_per_token')
    const input = priced ?? half('input_cost_per_token') ?? 0
    const output = batch('output_cost_per_token') ?? half('output_cost_per_token') ?? 0
    // Without a batch price a cache that has no price either is read for nothing: that is how LiteLLM counts.
    const cacheRead =
      priced === undefined
        ? (half('cache_read_input_token_cost') ?? 0)
        : (batch('cache_read_input_token_cost') ?? input)
    const cacheWrite =
      priced === undefined
        ? half('cache_creation_input_token_cost') || input
        : (batch('cache_creation_input_token_cost') ?? input)
    const media = (kind: string): number =>
      priced === undefined ? input : (rate(info, `input_cost_per_${kind}_token_batches`) ?? input)
    return {
      input,
      inputAudio: media('audio'),
      inputImage: media('image'),
      inputVideo: media('video'),
      cacheRead,
      cacheReadAudio: cacheRead,
      cacheWrite,
      cacheWrite1h: cacheWrite,
      output,
      reasoning: output,
      outputAudio: output,
      outputImage:
        rate(info, 'output_cost_per_image_token_batches') ??
        half('output_cost_per_image_token') ??
        output,
      outputVideo: output,
    }
  }
  // xAI bills the higher price from the threshold on, as above.
  const shift = provider === 'xai' ? 1 : 0
  const band = (tokens: number, next: number | undefined): Band => ({
    over: tokens < 0 ? -1 : tokens - shift,
    upTo: next === undefined ? Number.POSITIVE_INFINITY : next - shift,
    rates: times(at(tokens), scale),
  })
  return [
    band(-1, steps[0]?.tokens),
    ...steps.map(({ tokens }, index) => band(tokens, steps[index + 1]?.tokens)),
  ]
}

/** Fireworks reads from its cache at half the price of input unless a model says otherwise (https://docs.fireworks.ai/guides/prompt-caching). */
function withCacheDefault(info: ModelInfo): ModelInfo {
  const input = rate(info, 'input_cost_per_token')
  if (input === undefined || rate(info, 'cache_read_input_token_cost') !== undefined) return info
  return { ...info, cache_read_input_token_cost: input / 2e9 }
}

function upliftOf(info: ModelInfo, { residency, location }: PriceOptions): number {
  const place = residency?.toLowerCase()
  const host =
    place === 'eu' || place === 'us'
      ? number(info[`regional_processing_uplift_multiplier_${place}`])
      : undefined
  const endpoint =
    location === undefined || location.toLowerCase() === 'global'
      ? undefined
      : number(info.regional_endpoint_uplift_multiplier)
  return (host ?? 1) * (endpoint ?? 1)
}

function times(rates: Rates, scale: number): Rates {
  if (scale === 1) return rates
  const out: Record<keyof Rates, number> = { ...rates }
  for (const [bucket, value] of Object.entries(out)) Object.assign(out, { [bucket]: value * scale })
  return out
}

function piecesOf(
  info: ModelInfo,
  provider: string,
  batch: boolean,
  options: PriceOptions,
): Pieces {
  const made = makes.get(info.mode) === 'images' ? rate(info, 'output_cost_per_image') : undefined
  const page =
    (batch ? rate(info, 'ocr_cost_per_page_batches') : undefined) ?? rate(info, 'ocr_cost_per_page')
  const annotated =
    (batch ? rate(info, 'annotation_cost_per_page_batches') : undefined) ??
    rate(info, 'annotation_cost_per_page')
  const session =
    rate(info, 'code_interpreter_cost_per_session') ?? (options.codeSession ?? 0) * 1e9
  return {
    request: rate(info, 'input_cost_per_request'),
    image: rate(info, 'input_cost_per_image') ?? made,
    imageOf: bySize(info, 'output_cost_per_image_'),
    pixel: rate(info, 'input_cost_per_pixel') ?? 0,
    second: secondRate(info),
    secondOf: bySize(info, 'output_cost_per_second_'),
    audioSecond: rate(info, 'input_cost_per_audio_per_second'),
    videoSecond: rate(info, 'input_cost_per_video_per_second'),
    character: rate(info, 'input_cost_per_character'),
    query: queryRate(info),
    page: page ?? 0,
    annotatedPage: annotated ?? page ?? 0,
    credit: rate(info, 'ocr_cost_per_credit'),
    citation: rate(info, 'citation_cost_per_token') ?? 0,
    // The name says per thousand calls; the value, like the default, is dollars per call. Azure bills storage instead.
    fileSearch:
      rate(info, 'file_search_cost_per_1k_calls') ?? (provider === 'azure' ? 0 : 2_500_000),
    codeSession: session,
    mapQuery:
      rate(info, 'google_maps_grounding_cost_per_query') ??
      (isOnce(info) ? 25_000_000 : 14_000_000),
  }
}

/** `output_cost_per_image_2K` and the like, by the size's name; the token prices that share the beginning are not sizes. */
function bySize(info: ModelInfo, start: string): ReadonlyMap<string, number> {
  const out = new Map<string, number>()
  for (const key of Object.keys(info)) {
    const size = key.startsWith(start) ? key.slice(start.length) : ''
    const each = /^\d/.test(size) ? rate(info, key) : undefined
    if (each !== undefined) out.set(size, each)
  }
  return out
}

function secondRate(info: ModelInfo): number {
  const [any, read, written] = [
    'cost_per_second',
    'input_cost_per_second',
    'output_cost_per_second',
  ].map((key) => rate(info, key))
  const mode = text(info.mode)
  if (mode === 'audio_transcription') return written || (read ?? any ?? 0)
  if (mode === 'video_generation')
    return rate(info, 'output_cost_per_video_per_second') ?? written ?? 0
  // Time counts only where tokens have no price.
  const byToken = Boolean(
    rate(info, 'input_cost_per_token') ||
      rate(info, 'output_cost_per_token') ||
      info.tiered_pricing,
  )
  return byToken || !(mode === undefined || timed.has(mode)) ? 0 : (any ?? read ?? written ?? 0)
}
const timed = new Set(['chat', 'completion', 'embedding', 'responses'])

function queryRate(info: ModelInfo): Pieces['query'] {
  const flat = rate(info, 'input_cost_per_query') ?? 0
  const steps = list(info.tiered_pricing)
    .map(object)
    .flatMap((tier) => {
      const [from, to] = list(tier.max_results_range).map(number)
      const each = rate(tier, 'input_cost_per_query')
      return from === undefined || to === undefined || each === undefined
        ? []
        : [{ from, to, each }]
    })
  if (steps.length === 0) return () => flat
  return (maxResults = 10) =>
    (steps.find(({ from, to }) => from <= maxResults && maxResults <= to) ?? steps.at(-1))?.each ??
    flat
}

/** Gemini 2 bills a grounded prompt, however many searches it took; Gemini 3 bills each. */
const isOnce = (info: ModelInfo): boolean => info.web_search_billing_unit !== 'per_query'

function searchPrices(info: ModelInfo, provider: string): Price['search'] {
  const stated = object(info.search_context_cost_per_query)
  const [low, medium, high] = ['low', 'medium', 'high'].map((size) =>
    rate(stated, `search_context_size_${size}`),
  )
  const every = (each: number, once = false) => ({ low: each, medium: each, high: each, once })
  const gemini =
    provider === 'gemini' ||
    (provider.startsWith('vertex_ai') && provider !== 'vertex_ai-anthropic_models')
  if (gemini) return every(medium ?? 35_000_000, isOnce(info))
  if (provider === 'xai') return every(medium || low || high || 5_000_000)
  if (provider === 'perplexity')
    return every(rate(info, 'search_context_cost_per_query') ?? low ?? 0)
  if (provider === 'anthropic' || provider === 'groq') return every(medium ?? 0)
  return { low: low ?? 0, medium: medium ?? 0, high: high ?? 0, once: false }
}
