import { isMockFailure, mockFailure } from '../call/mock-failures.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import { isPriceField } from '../provider/catalogue.ts'
import type { Inbound } from '../wire/inbound.ts'

/** What the body says to the gateway rather than to the model. */
export type Controls = {
  /** Top-level fields that stay here. */
  remove: string[]
  dropParams: boolean
  timeoutSeconds: number | undefined
  streamTimeoutSeconds: number | undefined
  retries: number | undefined
  fallbacks: string[] | undefined
  contextWindowFallbacks?: string[] | undefined
  contentPolicyFallbacks?: string[] | undefined
  disableFallbacks: boolean
  /** `additional_drop_params`: names, and paths further down. */
  dropKeys?: string[]
  dropPaths?: string[]
  /** `cache_control_injection_points`. */
  cachePoints?: Json[]
  /** `allowed_openai_params`. */
  allowedParams?: string[]
  modifyParams?: boolean
  tags: string[]
  headers: Readonly<Record<string, string>>
  /** Credentials of the client's own, where the config lets it bring them. */
  clientSide: Readonly<Record<string, Json>>
  /** What the request is to cost, by the names prices have; heeded where the caller may say it. */
  prices?: JsonObject | undefined
  /** `mock_testing_…`: the first group is to seem to fail in this way. */
  failFirst?: GatewayError
}

export type FieldRules = {
  /** `general_settings.allow_client_side_credentials`. */
  allowCredentials: boolean
  /** Fields that some row lets the client bring (`configurable_clientside_auth_params`). */
  allowedByRows: ReadonlySet<string>
  /** `general_settings.dangerously_allow_mock_testing_request_params`. */
  allowMockTesting: boolean
}

/** One pass over the names of the body. Throws for a field by which a caller would choose the upstream or its credential. */
export function readControls(
  said: Inbound,
  rules: FieldRules,
  headers: Pick<Incoming, 'header'>,
): Controls {
  const controls: Controls = {
    remove: [],
    dropParams: false,
    timeoutSeconds: seconds(headers.header('x-litellm-timeout')),
    streamTimeoutSeconds: seconds(headers.header('x-litellm-stream-timeout')),
    retries: whole(headers.header('x-litellm-num-retries')),
    fallbacks: undefined,
    disableFallbacks: false,
    tags:
      headers
        .header('x-litellm-tags')
        ?.split(',')
        .map((tag) => tag.trim())
        .filter(Boolean) ?? [],
    headers: nothing,
    clientSide: nothing,
  }
  for (const key of said.keys()) {
    const rule = ruleOf(key)
    if (rule === undefined) continue
    if (rule === 'upstream') takeUpstream(key, said, rules, controls)
    else if (rule === 'mock') takeMock(key, said, rules, controls)
    else if (rule === 'price') {
      controls.remove.push(key)
      takePrice(key, said.field(key), controls)
    } else {
      if (key !== 'metadata' || isOurs(said)) controls.remove.push(key)
      readers[key]?.(said.field(key), controls)
    }
  }
  return controls
}

const nothing = {}

/** Anthropic's and Responses' metadata is the provider's, and so is OpenAI's of an answer that is to be stored. */
const isOurs = (said: Inbound): boolean =>
  said.wire.id === 'openai-chat' && said.field('store') !== true

type Rule = 'own' | 'upstream' | 'mock' | 'price'

/** Is a field of this name for the gateway, or refused by it? */
export const isControl = (key: string): boolean => ruleOf(key) !== undefined

/** Names longer than any of ours, and those that begin with no letter of them, are not looked up twice. */
function ruleOf(key: string): Rule | undefined {
  if (own.has(key)) return 'own'
  if (upstream.has(key)) return 'upstream'
  if (key.startsWith('mock_')) return 'mock'
  if (key.length <= 8) return undefined
  if (isPriceField(key) || key === 'base_model') return 'price'
  return vendorFields.test(key) ? 'upstream' : undefined
}

const own = new Set(
  `metadata litellm_metadata tags num_retries max_retries timeout request_timeout stream_timeout fallbacks
  context_window_fallbacks content_policy_fallbacks default_fallbacks disable_fallbacks cache caching guardrails
  guardrail_config disable_global_guardrails policies drop_params cache_control_injection_points additional_drop_params allowed_openai_params modify_params litellm_call_id
  litellm_logging_obj litellm_trace_id litellm_session_id litellm_parent_otel_span litellm_params no-log no_log prompt_id
  prompt_variables prompt_label prompt_version priority extra_headers extra_body custom_llm_provider custom_prompt_dict
  proxy_server_request secret_fields standard_callback_dynamic_params enable_json_schema_validation
  litellm_disabled_callbacks callbacks success_callback failure_callback user_continue_message
  assistant_continue_message ensure_alternating_roles use_in_pass_through merge_reasoning_content_in_choices
  litellm_agent_id litellm_system_prompt model_info shared_session trace_id session_id_for_routing`.split(
    /\s+/,
  ),
)

/** By these a caller would choose where a request goes, or with whose credential. */
const upstream = new Set(
  `api_base base_url api_key api_version user_config model_list litellm_credential_name azure_ad_token
  azure_ad_token_provider vertex_credentials vertex_project vertex_location vertex_ai_credentials vertex_ai_project
  vertex_ai_location aws_role_name aws_sts_endpoint aws_web_identity_token aws_profile_name aws_access_key_id
  aws_secret_access_key aws_session_token aws_session_name aws_bedrock_runtime_endpoint aws_external_id tenant_id
  client_id client_secret azure_username azure_password watsonx_token token_url proxy_url ssl_verify
  ssl_certificate`.split(/\s+/),
)
const vendorFields =
  /^(langfuse|langsmith|arize|phoenix|braintrust|helicone|humanloop|lunary|posthog|galileo|opik|weave|wandb|slack|datadog|gcs|s3|aws|azure|vertex|oci|watsonx|snowflake|databricks)_.*(host|url|base|endpoint|key|secret|token|credentials|password|role|profile)/

function takeUpstream(key: string, said: Inbound, rules: FieldRules, controls: Controls): void {
  if (key === 'model_list' || key === 'user_config')
    throw refused(`Rejected Request: ${key} is not allowed in the request body.`, key)
  if (!rules.allowCredentials && !rules.allowedByRows.has(key))
    throw refused(
      `Rejected Request: ${key} is not allowed in request body. Clientside passthrough requires explicit admin opt-in via either \`general_settings.allow_client_side_credentials: true\` or \`configurable_clientside_auth_params\` in the model's litellm_params.`,
      key,
    )
  const value = said.field(key)
  if (value !== undefined && value !== null)
    controls.clientSide = { ...controls.clientSide, [key]: value }
  controls.remove.push(key)
}

function takeMock(key: string, said: Inbound, rules: FieldRules, controls: Controls): void {
  controls.remove.push(key)
  if (key === 'mock_response' || key === 'mock_tool_calls') return
  if (rules.allowMockTesting) {
    if (isMockFailure(key) && said.field(key) === true)
      controls.failFirst = mockFailure(key, said.model)
    return
  }
  throw new GatewayError(
    'bad_request',
    `Mock testing request params are disabled on this proxy: ${key}. Set general_settings.dangerously_allow_mock_testing_request_params: true in the config file to allow them.`,
    { param: key, type: 'invalid_request_error' },
  )
}

/** A price below nothing would pay for others. */
function takePrice(key: string, value: Json | undefined, controls: Controls): void {
  const price = number(value)
  if (isPriceField(key) && price !== undefined && Number.isFinite(price) && price >= 0)
    controls.prices = { ...controls.prices, [key]: price }
}

const refused = (message: string, param: string): GatewayError =>
  new GatewayError('authentication', `Authentication Error, ${message}`, {
    type: 'auth_error',
    param,
    code: '401',
  })

/** The same fields in a query or as headers: nobody needs them there, so they are refused outright. */
export function refuseUpstreamElsewhere(query: string, headerNames: readonly string[]): void {
  if (query !== '')
    for (const name of new URLSearchParams(query).keys())
      if (queryFields.has(name))
        throw refused(`Rejected Request: ${name} is not allowed in the query.`, name)
  for (const name of headerNames)
    if (name.startsWith('x-') && hostHeaders.test(name))
      throw refused(`Rejected Request: the header ${name} is not allowed.`, name)
}
const queryFields = new Set([
  'api_base',
  'base_url',
  'api_key',
  'model_list',
  'user_config',
  'aws_sts_endpoint',
])
const hostHeaders =
  /^x-(litellm|portkey|helicone|throughway)-.*(base-url|api-base|custom-host|target-url|upstream)/

const readers: Record<string, (value: Json | undefined, controls: Controls) => void> = {
  drop_params: (value, controls) => {
    controls.dropParams = value === true
  },
  timeout: (value, controls) => {
    controls.timeoutSeconds = seconds(value) ?? controls.timeoutSeconds
  },
  request_timeout: (value, controls) => {
    controls.timeoutSeconds ??= seconds(value)
  },
  stream_timeout: (value, controls) => {
    controls.streamTimeoutSeconds = seconds(value) ?? controls.streamTimeoutSeconds
  },
  num_retries: (value, controls) => {
    controls.retries = whole(value) ?? controls.retries
  },
  max_retries: (value, controls) => {
    controls.retries ??= whole(value)
  },
  fallbacks: (value, controls) => {
    controls.fallbacks = groupsIn(value) ?? controls.fallbacks
  },
  context_window_fallbacks: (value, controls) => {
    controls.contextWindowFallbacks = groupsIn(value)
  },
  content_policy_fallbacks: (value, controls) => {
    controls.contentPolicyFallbacks = groupsIn(value)
  },
  default_fallbacks: (value, controls) => {
    controls.fallbacks ??= groupsIn(value)
  },
  additional_drop_params: (value, controls) => {
    const all = strings(value)
    controls.dropKeys = all.filter((key) => /^[\w-]+$/.test(key))
    controls.dropPaths = all.filter((key) => !/^[\w-]+$/.test(key))
  },
  cache_control_injection_points: (value, controls) => {
    controls.cachePoints = list(value).slice(0, 20)
  },
  allowed_openai_params: (value, controls) => {
    controls.allowedParams = strings(value)
  },
  modify_params: (value, controls) => {
    if (typeof value === 'boolean') controls.modifyParams = value
  },
  model_info: (value, controls) => {
    for (const [key, price] of Object.entries(object(value))) takePrice(key, price, controls)
  },
  disable_fallbacks: (value, controls) => {
    controls.disableFallbacks = value === true
  },
  tags: (value, controls) => {
    controls.tags.push(...strings(value))
  },
  metadata: (value, controls) => {
    controls.tags.push(...strings(object(value)['tags']))
  },
  litellm_metadata: (value, controls) => {
    controls.tags.push(...strings(object(value)['tags']))
  },
  extra_headers: (value, controls) => {
    if (!isObject(value)) return
    const headers = { ...controls.headers }
    for (const [name, said] of Object.entries(value)) {
      const lower = name.toLowerCase()
      if (typeof said === 'string' && isPlainHeader(lower, said)) headers[lower] = said
    }
    controls.headers = headers
  },
}

/** Not a credential, not the connection's own, and nothing that could break out of the header block. */
export const isPlainHeader = (name: string, value: string): boolean =>
  /^[a-z0-9-]{1,100}$/.test(name) &&
  value.length <= 8192 &&
  !/[^\t\x20-\x7e\x80-\xff]/.test(value) &&
  !reserved.has(name)

const reserved = new Set(
  `authorization x-api-key api-key x-goog-api-key x-litellm-api-key ocp-apim-subscription-key proxy-authorization cookie
  host content-length content-type content-encoding transfer-encoding connection keep-alive upgrade te trailer expect
  accept-encoding`.split(/\s+/),
)

/** Names, `{model: name, …}`, or as the configuration has them: `{group: [names]}`, whatever the group is called. */
function groupsIn(value: Json | undefined): string[] | undefined {
  const names = list(value).flatMap((item) => {
    const name = text(item) ?? text(object(item)['model'])
    return name === undefined ? Object.values(object(item)).flatMap(strings) : [name]
  })
  return names.length > 0 ? names : undefined
}

const strings = (value: Json | undefined): string[] =>
  list(value).filter((item) => typeof item === 'string')

/** Seconds above 0, as a number or in a string. */
function seconds(value: unknown): number | undefined {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : number(value)
  return read !== undefined && Number.isFinite(read) && read > 0 ? read : undefined
}
function whole(value: unknown): number | undefined {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : number(value)
  return read !== undefined && Number.isInteger(read) && read >= 0 && read <= 100 ? read : undefined
}
