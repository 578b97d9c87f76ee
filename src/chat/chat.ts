import type { GatewayError } from '../errors.ts'
import type { Json, JsonObject } from '../json/json.ts'

/**
 * The house's own language. Every wire is translated into it and out of it, so there are N + M translators and
 * never N × M. What it does not model survives in `extras` and `raw` parts, verbatim, for a provider of the same wire;
 * an encoder that has to leave something out names it in `Encoded.dropped`.
 */
export type ChatRequest = {
  /** The public name a client asked for; the deployment's own name when it is encoded for a provider. */
  model: string
  messages: Message[]
  tools: Tool[]
  toolChoice?: ToolChoice
  parallelTools?: boolean
  /** Upper bound of everything the model writes, reasoning included. */
  maxTokens?: number
  stop?: string[]
  temperature?: number
  topP?: number
  topK?: number
  seed?: number
  /** Number of choices; absent means 1. */
  n?: number
  presencePenalty?: number
  frequencyPenalty?: number
  logitBias?: JsonObject
  logprobs?: boolean
  topLogprobs?: number
  output?: OutputFormat
  reasoning?: Reasoning
  verbosity?: string
  /** What the model may write besides text: `text`, `audio`, `image`. */
  modalities?: string[]
  /** Voice and format of spoken output, OpenAI's shape. */
  audio?: JsonObject
  /** OpenAI's `web_search_options`, verbatim. */
  webSearch?: JsonObject
  serviceTier?: string
  user?: string
  stream: boolean
  /** Did the client ask for usage inside the stream? */
  streamUsage?: boolean
  /** Top-level fields of the client's dialect that are not modelled, verbatim. */
  extras: JsonObject
  /** Whose words `extras` are: the wire the client spoke. Absent: the wire's that encodes. */
  dialect?: string
}

export type OutputFormat =
  | { type: 'text' }
  | { type: 'json' }
  | { type: 'schema'; name: string; schema: JsonObject; strict?: boolean; description?: string }

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'
export type Reasoning = {
  effort?: Effort
  /** Tokens the model may think with; 0 turns thinking off, -1 leaves it to the model. */
  budget?: number
  /** Anthropic's adaptive thinking: the model decides. */
  adaptive?: boolean
  /** Are thoughts shown? OpenAI Responses' `summary` (auto, concise, detailed), Gemini's includeThoughts (any value = yes). */
  summary?: string
}

/** A system or developer message stays where the client put it; a wire that must hoist it hoists it. */
export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool'
export type Message = {
  role: Role
  parts: Part[]
  name?: string
  /** Unmodelled fields of the message, verbatim. */
  extras?: JsonObject
}

/** Anthropic's `cache_control` in the house's words. */
export type CacheHint = { ttl?: '5m' | '1h' }

export type Part =
  | TextPart
  | MediaPart
  | ReasoningPart
  | ToolCallPart
  | ToolResultPart
  | RefusalPart
  | RawPart

export type TextPart = {
  type: 'text'
  text: string
  cache?: CacheHint
  /** Citations and annotations, each in OpenAI's annotation shape (`{type:'url_citation', url_citation:{…}}`) or, when it has none, as the provider gave it. */
  annotations?: JsonObject[]
  /** Unmodelled fields of the part, and of the item it is all of (id, phase), verbatim: only the wire they came from reads them. */
  extras?: JsonObject
}
export type MediaPart = {
  type: 'media'
  media: 'image' | 'audio' | 'video' | 'file'
  source: Source
  /** OpenAI's image detail: low, high, auto. */
  detail?: string
  /** File name or document title. */
  name?: string
  cache?: CacheHint
  extras?: JsonObject
}
export type Source =
  | { type: 'url'; url: string; mime?: string }
  | { type: 'bytes'; base64: string; mime: string }
  /** A file the client uploaded to the provider, by its id or URI. */
  | { type: 'id'; id: string; mime?: string }

/** A thought. `text` empty and `redacted` set: the provider encrypted it. The signature goes back byte-identical. */
export type ReasoningPart = {
  type: 'reasoning'
  text: string
  signature?: string
  redacted?: string
  /** Id of a Responses reasoning item. */
  id?: string
}
export type ToolCallPart = {
  type: 'tool-call'
  id: string
  name: string
  /** JSON text, or free text for a custom tool; parsed only by a wire that must. */
  input: string
  /** `custom`: a freeform tool whose input is plain text. */
  kind?: 'function' | 'custom'
  /** Gemini's thought signature, byte-identical. */
  signature?: string
  cache?: CacheHint
  /** Unmodelled fields, verbatim: only the wire they came from reads them. */
  extras?: JsonObject
}
export type ToolResultPart = {
  type: 'tool-result'
  id: string
  /** The tool's name where the dialect gives it; wires that need it look it up from the call otherwise. */
  name?: string
  parts: Part[]
  failed: boolean
  kind?: 'function' | 'custom'
  cache?: CacheHint
  extras?: JsonObject
}
export type RefusalPart = { type: 'refusal'; text: string }
/** A block only its own wire understands (server tools, code results): sent back verbatim there, dropped and named elsewhere. */
export type RawPart = { type: 'raw'; wire: string; value: JsonObject }

export type Tool = FunctionTool | CustomTool | ServerTool
export type FunctionTool = {
  type: 'function'
  name: string
  description?: string
  /** JSON schema; absent when the client gave none. Never edited in place: it is the client's copy. */
  schema?: JsonObject
  strict?: boolean
  cache?: CacheHint
  extras?: JsonObject
}
/** OpenAI's freeform tool: input is text, perhaps under a grammar. */
export type CustomTool = {
  type: 'custom'
  name: string
  description?: string
  /** In the shape of OpenAI's chat: `{type: 'grammar', grammar: {syntax, definition}}`. */
  format?: JsonObject
  extras?: JsonObject
}
/** A tool the provider runs (web search, code execution…), in the words of the wire it came from. */
export type ServerTool = { type: 'server'; wire: string; value: JsonObject }

export type ToolChoice =
  | 'auto'
  | 'none'
  | 'required'
  | { name: string }
  /** Only these may be called. */
  | { names: string[]; mode: 'auto' | 'required' }

export type ChatResult = {
  id: string
  /** Unix seconds; 0 when the provider does not say. */
  created: number
  model: string
  choices: Choice[]
  usage: Usage
  /** Top-level fields that are not modelled: system_fingerprint, service_tier, citations, search_results… */
  extras?: JsonObject
}
export type Choice = {
  parts: Part[]
  finish: Finish
  /** The provider's own word for the ending, where it says more than `finish`. */
  reason?: string
  logprobs?: Json
  /** Unmodelled fields of the message: provider_specific_fields, audio, images… */
  extras?: JsonObject
}

export type Finish = 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'pause' | 'other'

/**
 * Tokens in disjoint buckets: no token is in two of them, so they sum to what the provider reported.
 * `searches` and the other counts at the end are calls, not tokens.
 */
export type Usage = {
  /** Read, not from cache, not written to it, text (or not told apart). */
  input: number
  cacheRead: number
  /** Written to the provider's cache for 5 minutes, or for an unstated time. */
  cacheWrite: number
  cacheWrite1h: number
  inputAudio: number
  inputImage: number
  /** Written and visible. */
  output: number
  reasoning: number
  outputAudio: number
  outputImage: number
  /** Web searches the provider ran. */
  searches: number
  /** True when the gateway counted, because the provider did not say. */
  estimated?: boolean
  /** The provider's usage object, verbatim, so that nothing it said is lost. */
  raw?: JsonObject
}
export const noUsage: Usage = {
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  cacheWrite1h: 0,
  inputAudio: 0,
  inputImage: 0,
  output: 0,
  reasoning: 0,
  outputAudio: 0,
  outputImage: 0,
  searches: 0,
}
/** Everything the model read. */
export const inputTokens = (usage: Usage): number =>
  usage.input +
  usage.cacheRead +
  usage.cacheWrite +
  usage.cacheWrite1h +
  usage.inputAudio +
  usage.inputImage
/** Everything the model wrote. */
export const outputTokens = (usage: Usage): number =>
  usage.output + usage.reasoning + usage.outputAudio + usage.outputImage

/** What a stream says, in order. `choice` is absent for the first (and mostly only) one. */
export type ChatEvent =
  | { type: 'start'; id: string; model: string; created: number }
  | { type: 'text'; text: string; choice?: number }
  | { type: 'annotation'; annotation: JsonObject; choice?: number }
  /** Neighbouring reasoning events are one thought; a signature ends it. */
  | { type: 'reasoning'; text: string; choice?: number }
  | { type: 'signature'; signature: string; choice?: number }
  | { type: 'redacted'; data: string; choice?: number }
  | { type: 'refusal'; text: string; choice?: number }
  /** `index` counts tool calls from 0 within a choice. */
  | {
      type: 'tool-start'
      index: number
      id: string
      name: string
      kind?: 'function' | 'custom'
      signature?: string
      choice?: number
    }
  | { type: 'tool-input'; index: number; text: string; choice?: number }
  | { type: 'media'; part: MediaPart; choice?: number }
  | { type: 'audio'; audio: JsonObject; choice?: number }
  | { type: 'logprobs'; logprobs: Json; choice?: number }
  /** A block only its own wire understands, whole. */
  | { type: 'raw'; wire: string; value: JsonObject; choice?: number }
  /** Unmodelled fields, top-level or of a message. */
  | { type: 'extras'; extras: JsonObject; of: 'result' | 'message'; choice?: number }
  | { type: 'finish'; finish: Finish; reason?: string; choice?: number }
  /** May come several times: the last one counts. */
  | { type: 'usage'; usage: Usage }
  | { type: 'ping' }
  /** The provider failed inside the stream; nothing but usage may follow. */
  | { type: 'fault'; error: GatewayError }
