import type { Usage } from '../chat/chat.ts'
import { type JsonObject, number, text } from '../json/json.ts'
import type { ModelInfo } from './catalogue.ts'
import { compilePrice, suffixes } from './price.ts'

/**
 * What a request cost, in integer nano-dollars: the one rounding (half to even) happens here, once per request.
 * The parts are dollars before rounding and disjoint, so they sum to the whole.
 */
export type Cost = {
  /** An integer, at most Number.MAX_SAFE_INTEGER (nine million dollars): a larger sum stops there. */
  nanoDollars: number
  /** The same as dollars, for an API that wants them. */
  dollars: number
  /** False when nobody knows what the model costs; the cost is 0 then. */
  priced: boolean
  input: number
  cacheRead: number
  cacheWrite: number
  output: number
  reasoning: number
  /** Web searches, file searches, code sessions, map look-ups. */
  tools: number
  /** Whatever is not counted in tokens: images, seconds, characters, queries, pages, flat fees. */
  units: number
}

/** What a request used besides the tokens of `Usage`. */
export type Units = {
  /** Made by an image model; read by any other. */
  images?: number
  pixels?: number
  /** Of sound for a transcription, of film for a video model, of the provider's time for a model priced by time. */
  seconds?: number
  /** Of sound and film that an embedding model read. */
  audioSeconds?: number
  videoSeconds?: number
  /** `720p`, `4k`, `2K`: some images and films have a price per size. */
  resolution?: string
  characters?: number
  queries?: number
  /** How many results a search was asked for: some search providers price by it. */
  maxResults?: number
  pages?: number
  annotatedPages?: number
  credits?: number
  citations?: number
  fileSearches?: number
  codeSessions?: number
  mapQueries?: number
  /** Tokens that `Usage` counts in cacheRead, input and output, told apart. */
  cachedAudio?: number
  inputVideo?: number
  outputVideo?: number
}

export type PriceOptions = {
  /** Flex, priority, batch…: what was served (see `tierOf`). */
  serviceTier?: string | undefined
  /** Who is called, where it is not the entry's own `litellm_provider`. */
  provider?: string | undefined
  /** `eu` or `us`: OpenAI's regional hosts cost more. */
  residency?: string | undefined
  /** Vertex AI location; any but `global` costs more for some models. */
  location?: string | undefined
  /** Prices were set by the operator: what the provider says it charged does not count. */
  ownPrices?: boolean | undefined
  /** Dollars per code session, which the catalogue keeps in the entry `<provider>/container`. */
  codeSession?: number | undefined
}

/** A price list ready to use; make it with `priceOf`. All rates are nano-dollars. */
export type Price = {
  readonly priced: boolean
  readonly bands: Bands
  readonly offPeak: { isNow(at: number): boolean; bands: Bands } | undefined
  readonly geo: JsonObject | undefined
  readonly reported: ((raw: JsonObject) => number | undefined) | undefined
  readonly makes: 'images' | 'film' | undefined
  readonly search: { low: number; medium: number; high: number; once: boolean }
  readonly pieces: Pieces
}

/** Rates for requests whose input is above `over` and at most `upTo` tokens. */
export type Bands = readonly [Band, ...Band[]]
export type Band = { over: number; upTo: number; rates: Rates }
export type Rates = Readonly<Record<Bucket, number>>
type Bucket =
  | 'input'
  | 'inputAudio'
  | 'inputImage'
  | 'inputVideo'
  | 'cacheRead'
  | 'cacheReadAudio'
  | 'cacheWrite'
  | 'cacheWrite1h'
  | 'output'
  | 'reasoning'
  | 'outputAudio'
  | 'outputImage'
  | 'outputVideo'

/** What is not counted in tokens. Absent means the model has no such price, which is not the same as free. */
export type Pieces = {
  request: number | undefined
  image: number | undefined
  imageOf: ReadonlyMap<string, number>
  pixel: number
  second: number
  secondOf: ReadonlyMap<string, number>
  audioSecond: number | undefined
  videoSecond: number | undefined
  character: number | undefined
  query(maxResults: number | undefined): number
  page: number
  annotatedPage: number
  credit: number | undefined
  citation: number
  fileSearch: number
  codeSession: number
  mapQuery: number
}

const noUnits: Units = {}

export type Asked = {
  units?: Units | undefined
  /** The clock in milliseconds: a few models are cheaper at night. */
  at?: number | undefined
  /** `low`, `medium` or `high`: what a web search was told to read. */
  searchSize?: string | undefined
  /** Anthropic's fast mode, where the answer does not say it. */
  fast?: boolean | undefined
}
const noAsked: Asked = {}

export function costOf(usage: Usage, price: Price, asked: Asked = noAsked): Cost {
  const { units = noUnits, at, searchSize, fast = false } = asked
  const told = price.reported && usage.raw ? price.reported(usage.raw) : undefined
  // It says what was charged, not for what: the whole of it is called output.
  if (told !== undefined) return settle({ ...nothing, output: told })
  if (!price.priced) return unpriced

  const read = {
    input: count(usage.input),
    cacheRead: count(usage.cacheRead),
    write: count(usage.cacheWrite),
    write1h: count(usage.cacheWrite1h),
    audio: count(usage.inputAudio),
    image: count(usage.inputImage),
  }
  const total = read.input + read.cacheRead + read.write + read.write1h + read.audio + read.image
  const night = price.offPeak && at !== undefined && price.offPeak.isNow(at)
  const rates = ratesFor(night ? (price.offPeak?.bands ?? price.bands) : price.bands, total)
  const factor = price.geo ? geoFactor(price.geo, usage.raw ?? {}, fast) : 1

  const { pieces } = price
  const video = Math.min(count(units.inputVideo), read.input)
  const cachedAudio = Math.min(count(units.cachedAudio), read.cacheRead)
  // Counted in another unit: its tokens are not billed a second time.
  const byCharacter = count(units.characters) > 0 && pieces.character !== undefined
  const byImage = price.makes !== 'images' && count(units.images) > 0 && pieces.image !== undefined
  const byAudio = count(units.audioSeconds) > 0 && pieces.audioSecond !== undefined
  const byVideo = count(units.videoSeconds) > 0 && pieces.videoSecond !== undefined
  const input =
    (byCharacter ? 0 : (read.input - video) * rates.input) +
    (byVideo ? 0 : video * rates.inputVideo) +
    (byAudio ? 0 : read.audio * rates.inputAudio) +
    (byImage ? 0 : read.image * rates.inputImage)
  const outputVideo = Math.min(count(units.outputVideo), count(usage.output))
  const output =
    (count(usage.output) - outputVideo) * rates.output +
    outputVideo * rates.outputVideo +
    count(usage.outputAudio) * rates.outputAudio +
    count(usage.outputImage) * rates.outputImage
  const parts: Parts = {
    input: input * factor,
    cacheRead:
      factor *
      ((read.cacheRead - cachedAudio) * rates.cacheRead + cachedAudio * rates.cacheReadAudio),
    cacheWrite: factor * (read.write * rates.cacheWrite + read.write1h * rates.cacheWrite1h),
    output: output * factor,
    reasoning: factor * count(usage.reasoning) * rates.reasoning,
    tools: 0,
    units: 0,
  }
  const tokens = parts.input + parts.cacheRead + parts.cacheWrite + parts.output + parts.reasoning
  if (count(usage.searches) > 0 || units !== noUnits) {
    parts.tools = toolsCost(count(usage.searches), searchSize, units, price)
  }
  if (units !== noUnits || pieces.request !== undefined) {
    parts.units = piecesCost(units, price, tokens > 0)
  }
  return settle(parts)
}

/**
 * Nano-dollars of so much text read and written at most, whatever of it is cached or thought, where that is simple: with
 * one rate for each; else undefined.
 */
export function textAtMost(input: number, output: number, price: Price): number | undefined {
  const { offPeak, geo, reported, makes, pieces } = price
  if (!price.priced || offPeak || geo || reported || makes || pieces.request !== undefined)
    return undefined
  const rates = ratesFor(price.bands, input)
  const read = rates.input > rates.cacheWrite ? rates.input : rates.cacheWrite
  const written = rates.output > rates.reasoning ? rates.output : rates.reasoning
  return halfEven(input * read + output * written)
}

type Parts = {
  input: number
  cacheRead: number
  cacheWrite: number
  output: number
  reasoning: number
  tools: number
  units: number
}
const nothing: Parts = {
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  tools: 0,
  units: 0,
}
const unpriced: Cost = Object.freeze({ nanoDollars: 0, dollars: 0, priced: false, ...nothing })

function settle(parts: Parts): Cost {
  const { input, cacheRead, cacheWrite, output, reasoning, tools, units } = parts
  const nanoDollars = halfEven(input + cacheRead + cacheWrite + output + reasoning + tools + units)
  return {
    nanoDollars,
    dollars: nanoDollars / 1e9,
    priced: true,
    input: input / 1e9,
    cacheRead: cacheRead / 1e9,
    cacheWrite: cacheWrite / 1e9,
    output: output / 1e9,
    reasoning: reasoning / 1e9,
    tools: tools / 1e9,
    units: units / 1e9,
  }
}

/** Rates are decimals that floats cannot all hold, so a half is a half within a billionth. */
function halfEven(value: number): number {
  if (!(value > 0)) return 0
  if (value >= Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
  const below = Math.floor(value)
  const rest = value - below
  if (Math.abs(rest - 0.5) < 1e-9) return below % 2 === 0 ? below : below + 1
  return rest > 0.5 ? below + 1 : below
}

/** Counts come from providers: what is not a sensible number is nothing. */
const count = (value: number | undefined): number =>
  value !== undefined && value > 0 && value < 1e15 ? value : 0

/** Beyond the end of a table its last tier goes on. */
function ratesFor(bands: Bands, total: number): Rates {
  for (const band of bands) if (total > band.over && total <= band.upTo) return band.rates
  return (bands.at(-1) ?? bands[0]).rates
}

/** Anthropic says in its usage where a request ran and whether it ran fast; both have a factor. */
function geoFactor(factors: JsonObject, raw: JsonObject, fast: boolean): number {
  const geo = text(raw.inference_geo)?.toLowerCase()
  const place = geo === undefined || geo === 'global' ? undefined : number(factors[geo])
  const speed =
    (text(raw.speed) ?? (fast ? 'fast' : '')) === 'fast' ? number(factors.fast) : undefined
  return (place ?? 1) * (speed ?? 1)
}

function toolsCost(searches: number, size: string | undefined, units: Units, price: Price): number {
  const { search, pieces } = price
  const perSearch = size === 'low' ? search.low : size === 'high' ? search.high : search.medium
  const once = (n: number): number => (search.once ? Math.min(n, 1) : n)
  return (
    once(searches) * perSearch +
    count(units.fileSearches) * pieces.fileSearch +
    count(units.codeSessions) * pieces.codeSession +
    once(count(units.mapQueries)) * pieces.mapQuery
  )
}

function piecesCost(units: Units, { makes, pieces }: Price, tokensBilled: boolean): number {
  let sum = pieces.request ?? 0
  sum += count(units.characters) * (pieces.character ?? 0)
  sum += count(units.citations) * pieces.citation
  sum += count(units.audioSeconds) * (pieces.audioSecond ?? 0)
  sum += count(units.videoSeconds) * (pieces.videoSecond ?? 0)
  sum += count(units.queries) * pieces.query(units.maxResults)
  sum +=
    count(units.credits) > 0 && pieces.credit !== undefined
      ? count(units.credits) * pieces.credit
      : count(units.pages) * pieces.page + count(units.annotatedPages) * pieces.annotatedPage
  if (makes !== 'images') sum += count(units.images) * (pieces.image ?? 0)
  // Image models are billed by tokens where the provider counts them, by the piece otherwise.
  else if (!tokensBilled) {
    const sized = units.resolution === undefined ? undefined : pieces.imageOf.get(units.resolution)
    const each = sized ?? pieces.image
    sum += each === undefined ? count(units.pixels) * pieces.pixel : count(units.images) * each
  }
  const timed =
    makes === 'film' && units.resolution !== undefined
      ? pieces.secondOf.get(units.resolution.toLowerCase())
      : undefined
  if (!tokensBilled) sum += count(units.seconds) * (timed ?? pieces.second)
  return sum
}

/** Which tier is billed: what was served, if it names a price; otherwise what was asked for. Gemini says it as a traffic type. */
export function tierOf(asked: string | undefined, served: string | undefined): string | undefined {
  const told = traffic.get(served ?? '') ?? served?.toLowerCase()
  if (told !== undefined && suffixes.has(told)) return told
  if (told === 'default' || told === 'standard') return undefined
  const wanted = asked?.toLowerCase()
  return wanted !== undefined && suffixes.has(wanted) ? wanted : undefined
}

const traffic = new Map([
  ['ON_DEMAND', 'default'],
  ['ON_DEMAND_PRIORITY', 'priority'],
  ['ON_DEMAND_FLEX', 'flex'],
  ['FLEX', 'flex'],
  ['BATCH', 'flex'],
])

/** One list per entry and circumstance, kept for as long as the entry lives: cheap enough to ask on every request. */
export function priceOf(info: ModelInfo, options: PriceOptions = {}): Price {
  const key = `${options.serviceTier ?? ''}|${options.provider ?? ''}|${options.residency ?? ''}|${options.location ?? ''}|${options.ownPrices ?? ''}|${options.codeSession ?? ''}`
  let known = prices.get(info)
  if (!known) prices.set(info, (known = new Map()))
  let price = known.get(key)
  if (!price) {
    // Tiers and places come from requests and answers: a hostile variety of them must not be remembered.
    if (known.size >= 64) known.clear()
    known.set(key, (price = compilePrice(info, options)))
  }
  return price
}
const prices = new WeakMap<ModelInfo, Map<string, Price>>()
