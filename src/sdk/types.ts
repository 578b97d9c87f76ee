import type { BothNames, EitherCase } from './names.ts'

/**
 * The shapes of OpenAI's chat API as this library takes and gives them, in types only. What is given is open: providers
 * say more than anybody can list.
 */
type Open = { [field: string]: unknown }

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function'

/** Anthropic's mark on what should be cached; other providers never see it. */
export type CacheControl = { type: 'ephemeral'; ttl?: '5m' | '1h' | undefined }

export type ContentPart = { cache_control?: CacheControl | undefined } & (
  | { type: 'text'; text: string }
  | { type: 'refusal'; refusal: string }
  | { type: 'image_url'; image_url: string | { url: string; detail?: string; format?: string } }
  | { type: 'input_audio'; input_audio: { data: string; format: string } }
  | { type: 'video_url'; video_url: string | { url: string } }
  | {
      type: 'file'
      file: { file_id?: string; file_data?: string; filename?: string; format?: string }
    }
)

/** One message of the conversation. `content` is text or parts; `null` beside tool calls. */
export type ChatMessage = {
  role: Role
  content?: string | readonly ContentPart[] | null | undefined
  name?: string | undefined
  /** Of the assistant: what it wants called. */
  tool_calls?: readonly ToolCall[] | null | undefined
  /** Of a tool: which call this answers. */
  tool_call_id?: string | undefined
  refusal?: string | null | undefined
  /** Thoughts of the assistant, given back as they came. */
  reasoning_content?: string | null | undefined
  thinking_blocks?: readonly ThinkingBlock[] | null | undefined
  audio?: { id: string } | null | undefined
  function_call?: FunctionCall | null | undefined
  cache_control?: CacheControl | undefined
  provider_specific_fields?: object | null | undefined
  annotations?: readonly object[] | null | undefined
  images?: readonly object[] | null | undefined
}

export type FunctionCall = { name: string; arguments: string }
export type ToolCall =
  | { id: string; type: 'function'; function: FunctionCall; index?: number }
  | { id: string; type: 'custom'; custom: { name: string; input: string }; index?: number }

export type ThinkingBlock =
  | { type: 'thinking'; thinking: string; signature?: string | undefined }
  | { type: 'redacted_thinking'; data: string }

export type FunctionDefinition = {
  name: string
  description?: string | undefined
  /** JSON schema of the arguments. */
  parameters?: object | undefined
  strict?: boolean | null | undefined
}
export type Tool =
  | { type: 'function'; function: FunctionDefinition; cache_control?: CacheControl | undefined }
  | { type: 'custom'; custom: { name: string; description?: string; format?: object } }
  /** A tool the provider runs, in its own words. */
  | ({ type: `${string}_${string}` } & Open)

export type ToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { type: 'function'; function: { name: string } }
  | { type: 'custom'; custom: { name: string } }
  | { type: 'allowed_tools'; allowed_tools: { mode: 'auto' | 'required'; tools: object[] } }

export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema'
      json_schema: { name: string; schema?: object; strict?: boolean | null; description?: string }
    }

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

/** OpenAI's parameters, by OpenAI's names. */
type ChatParameters = {
  frequency_penalty?: number | null | undefined
  function_call?: 'none' | 'auto' | { name: string } | undefined
  functions?: readonly FunctionDefinition[] | undefined
  logit_bias?: Readonly<Record<string, number>> | null | undefined
  logprobs?: boolean | null | undefined
  max_completion_tokens?: number | null | undefined
  max_tokens?: number | null | undefined
  modalities?: readonly string[] | null | undefined
  audio?: { voice: string; format: string } | null | undefined
  n?: number | null | undefined
  parallel_tool_calls?: boolean | undefined
  prediction?: object | null | undefined
  presence_penalty?: number | null | undefined
  prompt_cache_key?: string | undefined
  reasoning_effort?: Effort | null | undefined
  response_format?: ResponseFormat | undefined
  safety_identifier?: string | undefined
  seed?: number | null | undefined
  service_tier?: string | null | undefined
  stop?: string | readonly string[] | null | undefined
  store?: boolean | null | undefined
  stream_options?: { include_usage?: boolean } | null | undefined
  temperature?: number | null | undefined
  /** Anthropic's thinking. */
  thinking?: { type: string; budget_tokens?: number } | undefined
  tool_choice?: ToolChoice | undefined
  tools?: readonly Tool[] | undefined
  top_logprobs?: number | null | undefined
  top_p?: number | null | undefined
  user?: string | undefined
  verbosity?: 'low' | 'medium' | 'high' | null | undefined
  web_search_options?: object | undefined
}

/** LiteLLM's own parameters: to the library, not to the provider. */
type CallParameters = {
  api_key?: string | undefined
  api_base?: string | undefined
  /** The same as `api_base`. */
  base_url?: string | undefined
  api_version?: string | undefined
  organization?: string | undefined
  /** The provider, if `model` does not begin with it. */
  custom_llm_provider?: string | undefined
  /** Seconds until the whole answer (of a stream: until its first byte, and between two) must be here. Default 600. */
  timeout?: number | undefined
  /** The same for streams. */
  stream_timeout?: number | undefined
  /** Tries after the first one. Default 2, of a Router its own setting. */
  num_retries?: number | undefined
  max_retries?: number | undefined
  disable_fallbacks?: boolean | undefined
  /** Leave out parameters the provider lacks, instead of an UnsupportedParamsError. */
  drop_params?: boolean | undefined
  additional_drop_params?: readonly string[] | undefined
  allowed_openai_params?: readonly string[] | undefined
  extra_headers?: Readonly<Record<string, string>> | undefined
  /** Fields of the body, over all others. */
  extra_body?: object | undefined
  /** Answers without a provider: a text, a whole answer, `litellm.RateLimitError`… or an error to throw. */
  mock_response?: string | object | Error | undefined
  mock_tool_calls?: readonly object[] | undefined
  /** Seconds. */
  mock_delay?: number | undefined
  mock_timeout?: boolean | undefined
  /** Dollars, instead of the catalogue's price. */
  input_cost_per_token?: number | undefined
  output_cost_per_token?: number | undefined
  /** Name in the catalogue, where `model` says nothing. */
  base_model?: string | undefined
  tags?: readonly string[] | undefined
  metadata?: object | null | undefined
  litellm_call_id?: string | undefined
  /** What a Router with `session_affinity` keeps at one deployment. */
  litellm_session_id?: string | undefined
  /** Ends the call: it throws an APIError of status 499, and the provider's connection is closed. */
  signal?: AbortSignal | undefined
}

/** What follows where the first model fails: names, or names with options of their own. */
export type Fallback = string | ({ model: string } & Open)

/** Options of `completion`. Any other field goes to the provider as it is, credentials by LiteLLM's names excepted. */
export type CompletionOptions = {
  /** `provider/model`: `groq/llama-3.3-70b-versatile`. Of a Router, the name of a group. */
  model: string
  messages: readonly ChatMessage[]
  stream?: boolean | null | undefined
  fallbacks?: readonly Fallback[] | undefined
} & EitherCase<ChatParameters & CallParameters> &
  Open

export type StreamedOptions = CompletionOptions & { stream: true }
export type WholeOptions = CompletionOptions & { stream?: false | null | undefined }

/** `completion`, of the library and of a Router. */
export type Completion = {
  (options: StreamedOptions): Promise<ChatCompletionStream>
  (options: WholeOptions): Promise<ChatCompletion>
  (options: CompletionOptions): Promise<ChatCompletion | ChatCompletionStream>
}

export type AnswerMessage = Open & {
  role: 'assistant'
  content: string | null
  tool_calls?: ToolCall[]
  function_call?: FunctionCall
  refusal?: string | null
  /** What the model thought, where the provider shows it. */
  reasoning_content?: string | null
  thinking_blocks?: ThinkingBlock[]
  annotations?: object[]
}
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call'

/** Tokens, as OpenAI counts them: `prompt_tokens` holds cached ones, `completion_tokens` reasoning ones. */
export type CompletionUsage = Open & {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  prompt_tokens_details?: (Open & { cached_tokens?: number; audio_tokens?: number }) | null
  completion_tokens_details?: (Open & { reasoning_tokens?: number; audio_tokens?: number }) | null
}

export type CompletionChoice = Open & {
  index: number
  message: AnswerMessage
  finish_reason: FinishReason
  logprobs?: object | null
}

export type ChatCompletion = CompletionBody & Hidden
/** As a provider said it. */
export type CompletionBody = Open & {
  id: string
  object: 'chat.completion'
  /** Unix seconds. */
  created: number
  /** The provider's name of the model that answered. */
  model: string
  choices: CompletionChoice[]
  usage: CompletionUsage
}
/** Not enumerable: it is not in JSON. */
export type Hidden = { _hidden_params: HiddenParams }

export type ChunkDelta = Open & {
  role?: 'assistant'
  content?: string | null
  reasoning_content?: string | null
  thinking_blocks?: ThinkingBlock[]
  refusal?: string | null
  tool_calls?: ToolCallDelta[]
  function_call?: { name?: string; arguments?: string }
}
export type ToolCallDelta = Open & {
  index: number
  id?: string
  type?: 'function' | 'custom'
  function?: { name?: string; arguments?: string }
}
export type ChunkChoice = Open & {
  index: number
  delta: ChunkDelta
  finish_reason?: FinishReason | null
}
export type ChatCompletionChunk = ChunkBody & Hidden
export type ChunkBody = Open & {
  id: string
  object: 'chat.completion.chunk'
  created: number
  model: string
  /** Empty in the last chunk, if it only carries usage. */
  choices: ChunkChoice[]
  usage?: CompletionUsage | null
}

/**
 * Chunks as they come. Leaving the loop (`break`, `return`, an exception) ends the request at the provider; so does
 * `cancel`, for a stream nobody has begun to read.
 */
export type ChatCompletionStream = AsyncIterableIterator<ChatCompletionChunk> & {
  cancel(): Promise<void>
} & Hidden

/** Options of everything that asks a model: LiteLLM's own, and whatever the provider knows. */
type Asked<Own> = { fallbacks?: readonly Fallback[] | undefined } & EitherCase<
  Own & CallParameters
> &
  Open

/** Bytes of a file: what has a name (a File, Node's read stream) keeps it. */
export type FileLike = Blob | ArrayBuffer | Uint8Array | AsyncIterable<Uint8Array>

export type EmbeddingOptions = { model: string; input: string | readonly unknown[] } & Asked<{
  dimensions?: number | undefined
  encoding_format?: 'float' | 'base64' | undefined
  /** What the text is for, at providers that ask: `search_document`, `search_query`, … */
  input_type?: string | undefined
  user?: string | undefined
}>
export type EmbeddingResponse = Open & {
  object: 'list'
  /** A vector as numbers, or as base64 of 32-bit floats where that was asked for. */
  data: (Open & { object: 'embedding'; index: number; embedding: number[] | string })[]
  model: string
  usage?: (Open & { prompt_tokens: number; total_tokens: number }) | null
} & Hidden

type ImageParameters = {
  n?: number | null | undefined
  /** `1024x1024`, `auto`. */
  size?: string | null | undefined
  quality?: string | null | undefined
  style?: string | null | undefined
  background?: string | null | undefined
  output_format?: string | null | undefined
  output_compression?: number | null | undefined
  response_format?: 'url' | 'b64_json' | null | undefined
  user?: string | undefined
}
export type ImageGenerationOptions = { model: string; prompt: string } & Asked<ImageParameters>
export type ImageEditOptions = {
  model: string
  prompt: string
  image: FileLike | readonly FileLike[]
  mask?: FileLike | undefined
} & Asked<ImageParameters>
export type ImageVariationOptions = { model: string; image: FileLike } & Asked<ImageParameters>
export type ImageResponse = Open & {
  /** Unix seconds. */
  created: number
  data: (Open & { url?: string | null; b64_json?: string | null; revised_prompt?: string | null })[]
  usage?: object | null
} & Hidden

export type SpeechOptions = { model: string; input: string } & Asked<{
  voice?: string | object | undefined
  response_format?: string | null | undefined
  speed?: number | null | undefined
  instructions?: string | null | undefined
}>
/** Sound as it is made: `body`, `arrayBuffer()`, `headers.get('content-type')`. */
export type SpeechResponse = Response & Hidden

export type TranscriptionOptions = { model: string; file: FileLike } & Asked<{
  language?: string | null | undefined
  prompt?: string | null | undefined
  /** What is no JSON (`text`, `srt`, `vtt`) is in `text` of the answer. */
  response_format?: 'json' | 'text' | 'srt' | 'verbose_json' | 'vtt' | 'diarized_json' | undefined
  timestamp_granularities?: readonly ('word' | 'segment')[] | undefined
  temperature?: number | null | undefined
}>
export type TranscriptionResponse = Open & { text: string } & Hidden

export type RerankOptions = {
  model: string
  query: string
  documents: readonly (string | object)[]
} & Asked<{
  top_n?: number | null | undefined
  rank_fields?: readonly string[] | undefined
  return_documents?: boolean | undefined
  max_chunks_per_doc?: number | undefined
  max_tokens_per_doc?: number | undefined
}>
export type RerankResponse = Open & {
  id: string
  /** Best first. */
  results: (Open & { index: number; relevance_score: number; document?: unknown })[]
  meta?: object | null
} & Hidden

export type ModerationOptions = {
  /** Absent: OpenAI's newest. */
  model?: string | undefined
  input: string | readonly unknown[]
} & Asked<unknown>
export type ModerationResponse = Open & {
  id: string
  model: string
  results: (Open & { flagged: boolean })[]
} & Hidden

export type OcrOptions = { model: string; document: object } & Asked<{
  pages?: readonly number[] | string | undefined
  include_image_base64?: boolean | undefined
}>
export type OcrResponse = Open & {
  pages: (Open & { index: number; markdown: string })[]
  model: string
} & Hidden

export type TextCompletionOptions = {
  model: string
  prompt: string | readonly unknown[]
  stream?: boolean | null | undefined
} & Asked<
  {
    best_of?: number | null | undefined
    echo?: boolean | null | undefined
    logprobs?: number | null | undefined
    suffix?: string | null | undefined
  } & Omit<ChatParameters, 'logprobs'>
>
export type TextBody = Open & {
  id: string
  object: 'text_completion'
  created: number
  model: string
  choices: (Open & { text: string; index: number; finish_reason: string | null })[]
  usage?: CompletionUsage | null
}
export type TextCompletion = TextBody & Hidden
export type TextCompletionStream = AsyncIterableIterator<TextBody & Hidden> & {
  cancel(): Promise<void>
} & Hidden

export type ResponsesOptions = {
  model: string
  input?: string | readonly unknown[] | undefined
  stream?: boolean | null | undefined
} & Asked<{
  instructions?: string | null | undefined
  max_output_tokens?: number | null | undefined
  /** An answer the provider keeps: only where the provider has the Responses API itself. */
  previous_response_id?: string | null | undefined
  reasoning?: object | null | undefined
  store?: boolean | null | undefined
  temperature?: number | null | undefined
  text?: object | undefined
  tool_choice?: string | object | undefined
  tools?: readonly object[] | undefined
  top_p?: number | null | undefined
}>
export type ResponsesAnswer = Open & {
  id: string
  object: 'response'
  created_at: number
  model: string
  status: string
  output: (Open & { type: string })[]
  usage?: object | null
} & Hidden
/** Events of the Responses API as they come; leaving the loop ends the request. */
export type ResponsesStream = AsyncIterableIterator<Open & { type: string } & Hidden> & {
  cancel(): Promise<void>
} & Hidden

type Streamed<Options, Whole, Stream> = {
  (options: Options & { stream: true }): Promise<Stream>
  (options: Options & { stream?: false | null | undefined }): Promise<Whole>
  (options: Options): Promise<Whole | Stream>
}

/** Everything that asks a model, of the library and of a Router. */
export type Asks = {
  /** Asks a model. `stream: true` gives chunks, otherwise the whole answer. */
  completion: Completion
  textCompletion: Streamed<TextCompletionOptions, TextCompletion, TextCompletionStream>
  responses: Streamed<ResponsesOptions, ResponsesAnswer, ResponsesStream>
  embedding(options: EmbeddingOptions): Promise<EmbeddingResponse>
  imageGeneration(options: ImageGenerationOptions): Promise<ImageResponse>
  imageEdit(options: ImageEditOptions): Promise<ImageResponse>
  imageVariation(options: ImageVariationOptions): Promise<ImageResponse>
  /** The sound comes as it is made. */
  speech(options: SpeechOptions): Promise<SpeechResponse>
  transcription(options: TranscriptionOptions): Promise<TranscriptionResponse>
  rerank(options: RerankOptions): Promise<RerankResponse>
  moderation(options: ModerationOptions): Promise<ModerationResponse>
  ocr(options: OcrOptions): Promise<OcrResponse>
}
/** LiteLLM's second names: `acompletion`, `aembedding`, … */
export type TwiceNamed = { [K in keyof Asks as `a${K}`]: Asks[K] }
type RouterAsks = BothNames<Asks & TwiceNamed>

/** What is known of a call besides its answer. */
export type HiddenParams = {
  /** Which deployment answered. */
  model_id: string
  custom_llm_provider: string
  /** The provider's name of the model. */
  litellm_model_name: string
  /** Without its query. */
  api_base: string
  /** US dollars; null where no price is known. Of a stream: null until it has ended. */
  response_cost: number | null
  litellm_call_id: string
  /** `llm_provider-<name>` for every header of the provider, its `x-ratelimit-…`, and the number of attempts. */
  additional_headers: Record<string, string>
  /** Parameters that were left out for this provider. */
  dropped_params: string[]
  _response_ms: number
}

/** What the catalogue says of a model, in LiteLLM's names. Prices are US dollars. */
export type ModelInfo = Open & {
  /** Its name in the catalogue. */
  key: string
  litellm_provider: string
  mode?: string
  max_tokens?: number
  max_input_tokens?: number
  max_output_tokens?: number
  input_cost_per_token?: number
  output_cost_per_token?: number
  supported_openai_params: string[]
}

/** A model, and what helps to tell whose it is. */
export type ModelQuery =
  | string
  | EitherCase<{
      model: string
      custom_llm_provider?: string | undefined
      api_base?: string | undefined
      api_key?: string | undefined
    }>

/** One row of `model_list`. */
export type RouterModel = {
  /** The name callers use; rows of one name are a group. */
  model_name: string
  litellm_params: { model: string } & Open
  model_info?: object | undefined
}

type RouterSettings = {
  routing_strategy?: string | undefined
  num_retries?: number | undefined
  /** Least seconds between two tries. */
  retry_after?: number | undefined
  retry_policy?: Readonly<Record<string, number>> | undefined
  model_group_retry_policy?: Readonly<Record<string, Readonly<Record<string, number>>>> | undefined
  /** Seconds. */
  timeout?: number | undefined
  stream_timeout?: number | undefined
  fallbacks?: readonly Readonly<Record<string, readonly string[]>>[] | undefined
  context_window_fallbacks?: readonly Readonly<Record<string, readonly string[]>>[] | undefined
  content_policy_fallbacks?: readonly Readonly<Record<string, readonly string[]>>[] | undefined
  default_fallbacks?: readonly string[] | undefined
  max_fallbacks?: number | undefined
  allowed_fails?: number | undefined
  allowed_fails_policy?: Readonly<Record<string, number>> | undefined
  /** Seconds. */
  cooldown_time?: number | undefined
  disable_cooldowns?: boolean | undefined
  model_group_alias?: Readonly<Record<string, string | object>> | undefined
  enable_tag_filtering?: boolean | undefined
  default_litellm_params?: object | undefined
  ignore_invalid_deployments?: boolean | undefined
}

/** `router_settings` of LiteLLM, with the deployments. */
export type RouterOptions = EitherCase<{ model_list: readonly RouterModel[] } & RouterSettings> &
  Open

/** Several deployments behind one name, as LiteLLM's Router has them. */
export type Router = RouterAsks & {
  /** The names callers may use. */
  getModelNames(): string[]
  get_model_names(): string[]
  /** The rows, credentials left out. */
  getModelList(): RouterModel[]
  get_model_list(): RouterModel[]
  /** What was asked for and has no effect here; told once, too, when the router is made. */
  readonly warnings: readonly string[]
}
