import { type Runtime, runtimeWith, type SdkOptions, shared } from './sdk/runtime.ts'
import { type Sdk, sdkOf } from './sdk/sdk.ts'
import type * as types from './sdk/types.ts'

/**
 * `throughway`: the library, in LiteLLM's names and in camelCase. It imports no Node module; on Node `index.node.ts`
 * brings the catalogue, the tokenizers, connections of our own and `process.env`.
 */
export const {
  completion,
  acompletion,
  textCompletion,
  text_completion,
  atextCompletion,
  atext_completion,
  responses,
  aresponses,
  embedding,
  aembedding,
  imageGeneration,
  image_generation,
  aimageGeneration,
  aimage_generation,
  imageEdit,
  image_edit,
  aimageEdit,
  aimage_edit,
  imageVariation,
  image_variation,
  aimageVariation,
  aimage_variation,
  speech,
  aspeech,
  transcription,
  atranscription,
  rerank,
  arerank,
  moderation,
  amoderation,
  ocr,
  aocr,
  Router,
  settings,
  close,

  getModelInfo,
  get_model_info,
  getMaxTokens,
  get_max_tokens,
  costPerToken,
  cost_per_token,
  completionCost,
  completion_cost,
  getSupportedOpenaiParams,
  get_supported_openai_params,
  getLlmProvider,
  get_llm_provider,
  tokenCounter,
  token_counter,
  validateEnvironment,
  validate_environment,
  checkValidKey,
  check_valid_key,
  getValidModels,
  get_valid_models,
  streamChunkBuilder,
  stream_chunk_builder,
  modelCost,
  model_cost,
  modelList,
  model_list,
  providerList,
  provider_list,
  setCatalogue,
  set_catalogue,

  supportsFunctionCalling,
  supports_function_calling,
  supportsParallelFunctionCalling,
  supports_parallel_function_calling,
  supportsToolChoice,
  supports_tool_choice,
  supportsVision,
  supports_vision,
  supportsResponseSchema,
  supports_response_schema,
  supportsReasoning,
  supports_reasoning,
  supportsPromptCaching,
  supports_prompt_caching,
  supportsWebSearch,
  supports_web_search,
  supportsAudioInput,
  supports_audio_input,
  supportsAudioOutput,
  supports_audio_output,
  supportsPdfInput,
  supports_pdf_input,
  supportsUrlContext,
  supports_url_context,
  supportsComputerUse,
  supports_computer_use,
  supportsSystemMessages,
  supports_system_messages,
} = sdkOf(shared)

export type Router = types.Router

/** The same functions in a place of their own: another environment, another `fetch`, another price list. */
export const createSdk = (options: SdkOptions = {}): Sdk => {
  let runtime: Runtime | undefined
  return sdkOf(() => (runtime ??= runtimeWith(shared(), options)))
}

export type { CompletionCostOptions, CostPerTokenOptions } from './sdk/costs.ts'
export {
  APIConnectionError,
  APIError,
  AuthenticationError,
  BadGatewayError,
  BadRequestError,
  BudgetExceededError,
  ContentPolicyViolationError,
  ContextWindowExceededError,
  InternalServerError,
  ModelNotMappedError,
  NotFoundError,
  PaymentRequiredError,
  PermissionDeniedError,
  RateLimitError,
  ServiceUnavailableError,
  Timeout,
  UnprocessableEntityError,
  UnsupportedParamsError,
} from './sdk/errors.ts'
export type { EnvironmentCheck, EnvironmentOptions, LlmProvider } from './sdk/models.ts'
export type { Settings } from './sdk/room.ts'
export type { SdkOptions } from './sdk/runtime.ts'
export type { Sdk, SupportedParamsOptions } from './sdk/sdk.ts'
export type { TokenCounterOptions } from './sdk/tokens.ts'
export type * from './sdk/types.ts'
export { version } from './version.ts'
