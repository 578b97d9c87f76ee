import { type FaultKind, faults } from '../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { SpendRow } from '../store/spend.ts'
import { dollarsOf, iso } from './route.ts'

/** A row of spend as LiteLLM shows it. Of a key there is only its SHA-256. */
export function spendRow(row: SpendRow): JsonObject {
  const { more } = row
  const end = row.startedAt + row.duration
  const failed = row.fault !== null
  return {
    request_id: row.requestId,
    litellm_call_id: row.callId ?? row.requestId,
    call_type: callTypes[row.operation] ?? row.operation,
    api_key: row.key ?? '',
    spend: dollarsOf(row.spend),
    total_tokens: row.input + row.output,
    prompt_tokens: row.input,
    completion_tokens: row.output,
    startTime: iso(row.startedAt),
    endTime: iso(end),
    completionStartTime: row.firstByte === null ? null : iso(row.startedAt + row.firstByte),
    request_duration_ms: row.duration,
    ttft_ms: row.firstByte,
    model: row.model ?? row.group ?? 'unknown-model',
    model_id: row.deployment ?? '',
    model_group: row.group ?? '',
    custom_llm_provider: row.provider ?? '',
    api_base: '',
    user: row.user ?? '',
    team_id: row.team,
    organization_id: row.organization,
    agent_id: null,
    end_user: row.customer ?? '',
    metadata: metadataOf(row, failed),
    cache_hit: has(row, bits.cached) ? 'True' : 'False',
    cache_key: 'Cache OFF',
    request_tags: list(more['tags']),
    requester_ip_address: text(more['ip']) ?? null,
    messages: {},
    response: {},
    proxy_server_request: {},
    session_id: text(more['session_id']) ?? null,
    status: failed ? 'failure' : 'success',
    mcp_namespaced_tool_name: null,
  }
}

function metadataOf(row: SpendRow, failed: boolean): JsonObject {
  const { more } = row
  return {
    ...object(more['metadata']),
    user_api_key: row.key,
    user_api_key_alias: text(more['key_alias']) ?? aliasOf(row.key),
    user_api_key_user_id: row.user,
    user_api_key_team_id: row.team,
    user_api_key_team_alias: text(more['team_alias']) ?? null,
    user_api_key_org_id: row.organization,
    user_api_key_project_id: text(more['project_id']) ?? null,
    spend_logs_metadata:
      more['spend_logs_metadata'] ?? object(more['metadata'])['spend_logs_metadata'] ?? null,
    requester_ip_address: text(more['ip']) ?? null,
    user_agent: text(more['user_agent']) ?? null,
    status: failed ? 'failure' : 'success',
    http_status: row.status,
    error_information: failed ? errorOf(row) : null,
    usage_object: {
      prompt_tokens: row.input,
      completion_tokens: row.output,
      total_tokens: row.input + row.output,
      prompt_tokens_details: {
        cached_tokens: row.cacheRead,
        cache_creation_tokens: row.cacheWrite,
      },
      completion_tokens_details: { reasoning_tokens: row.reasoning },
    },
    additional_usage_values: {
      cache_read_input_tokens: row.cacheRead,
      cache_creation_input_tokens: row.cacheWrite,
      /** Images, seconds, characters, pages: whatever is not counted in tokens. */
      ...object(more['units']),
    },
    cost_breakdown: costOf(row),
    attempted_retries: number(more['retries']) ?? 0,
    attempted_fallbacks: number(more['fallbacks']) ?? 0,
    original_model_group: text(more['asked']) ?? row.group,
    service_tier: text(more['service_tier']) ?? null,
    litellm_call_id: row.callId ?? row.requestId,
    stream: has(row, bits.stream),
    /** The provider did not say: the gateway counted. */
    usage_estimated: has(row, bits.estimated),
    /** Nobody knew a price, so it was free. */
    unpriced: has(row, bits.unpriced),
  }
}

const bits = { stream: 1, estimated: 2, unpriced: 4, cached: 8 } as const
const has = ({ flags }: SpendRow, bit: number): boolean => (flags & bit) !== 0

/** LiteLLM's names for the holder of the master key, and for keys that need none. */
const aliasOf = (key: string | null): string | null =>
  key === 'master_key' || key === 'admin_key' ? 'litellm_proxy_master_key' : null

function errorOf({ fault, status, provider, more }: SpendRow): JsonObject {
  const error = object(more['error'])
  const kind = Object.hasOwn(faults, fault ?? '') ? faults[fault as FaultKind] : undefined // checked
  return {
    error_code: text(error['code']) ?? String(status),
    error_class: text(error['class']) ?? kind?.className ?? fault,
    llm_provider: provider ?? '',
    error_message: text(error['message']) ?? '',
    traceback: '',
  }
}

function costOf({ spend, more }: SpendRow): JsonObject {
  const parts = object(more['cost'])
  const dollars = (value: Json | undefined): number | null => {
    const nano = number(value)
    return nano === undefined ? null : dollarsOf(nano)
  }
  return {
    total_cost: dollarsOf(spend),
    original_cost: dollarsOf(spend),
    input_cost: dollars(parts['input']),
    output_cost: dollars(parts['output']),
    tool_usage_cost: dollars(parts['tools']),
  }
}

/** The house's operations by LiteLLM's names. What is not here has the same name. */
export const callTypes: Readonly<Record<string, string>> = {
  chat: 'acompletion',
  completions: 'atext_completion',
  embeddings: 'aembedding',
  image: 'aimage_generation',
  image_edit: 'aimage_edit',
  image_variation: 'aimage_variation',
  speech: 'aspeech',
  transcription: 'atranscription',
  translation: 'atranslation',
  rerank: 'arerank',
  moderation: 'amoderation',
  responses: 'aresponses',
  messages: 'anthropic_messages',
  pass_through: 'pass_through_endpoint',
  ocr: 'aocr',
  search: 'asearch',
}
