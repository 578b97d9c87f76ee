import { noUsage, type Usage } from '../chat/chat.ts'
import { type FaultKind, faults, kindOfStatus } from '../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Entry } from '../ledger/ledger.ts'
import { instantOf, jsonOf, nanoOf } from './import-fields.ts'
import { callTypes } from './spend-row.ts'

/** Metadata of a row that is larger is left out: rows are many, and are to stay small. */
const metadataMax = 8192

/**
 * A row of `LiteLLM_SpendLogs` as it is written down here. Its spend is in no account: those are brought over with what
 * they belong to. `masterKeys`: what LiteLLM wrote where the master key asked.
 */
export function entryOf(row: JsonObject, masterKeys: ReadonlySet<string>): Entry {
  const startedAt = instantOf(row['startTime']) ?? 0
  const key = text(row['api_key']) ?? ''
  const id = text(row['request_id']) ?? ''
  const callId = text(row['litellm_call_id'])
  const metadata = object(jsonOf(row['metadata']))
  const named = (value: Json | undefined): string | undefined => text(value) || undefined
  const group = named(row['model_group']) ?? named(row['model']) ?? ''
  const callType = text(row['call_type']) ?? ''
  return {
    requestId: callId || id,
    answerId: callId && callId !== id ? id : undefined,
    startedAt,
    firstByteAt: instantOf(row['completionStartTime']) ?? undefined,
    endedAt: instantOf(row['endTime']) ?? startedAt + (number(row['request_duration_ms']) ?? 0),
    operation: operations.get(callType) ?? (callType || 'chat'),
    keyId: masterKeys.has(key) ? 'master_key' : key,
    model: named(metadata['original_model_group']) ?? group,
    group,
    deploymentId: named(row['model_id']),
    provider: named(row['custom_llm_provider']),
    upstreamModel: named(row['model']),
    stream: metadata['stream'] === true,
    usage: usageOf(row, metadata),
    nanoDollars: nanoOf(row['spend']),
    priced: true,
    retries: number(metadata['attempted_retries']) ?? 0,
    fallbacks: number(metadata['attempted_fallbacks']) ?? 0,
    ...failureOf(row, metadata),
    payer: {
      accounts: [],
      userId: named(row['user']),
      teamId: named(row['team_id']),
      organizationId: named(row['organization_id']),
      projectId: named(metadata['user_api_key_project_id']),
      customerId: named(row['end_user']),
      tags: list(jsonOf(row['request_tags'])).filter((tag) => typeof tag === 'string'),
      keyAlias: named(metadata['user_api_key_alias']),
      teamAlias: named(metadata['user_api_key_team_alias']),
      sessionId: named(row['session_id']),
      ip: named(row['requester_ip_address']),
      userAgent: named(metadata['user_agent']),
      metadata: restOf(row, metadata),
      cached: /^true$/i.test(text(row['cache_hit']) ?? ''),
    },
  }
}

/** LiteLLM's names for operations by those of the house, which go back the same way. */
const operations: ReadonlyMap<string, string> = new Map(
  Object.entries(callTypes).flatMap(([operation, callType]) => [
    [callType, operation],
    // The same without waiting.
    [callType.replace(/^a(?!nthropic)/, ''), operation],
  ]),
)

/** The counts of the row are the whole; its metadata may tell parts of it. */
function usageOf(row: JsonObject, metadata: JsonObject): Usage {
  const told = object(metadata['usage_object'])
  const more = object(metadata['additional_usage_values'])
  const count = (...values: (Json | undefined)[]): number =>
    values.map((value) => number(value) ?? 0).find((value) => value > 0) ?? 0
  const input = count(row['prompt_tokens'])
  const output = count(row['completion_tokens'])
  const prompt = object(told['prompt_tokens_details'])
  const cacheRead = Math.min(
    input,
    count(
      more['cache_read_input_tokens'],
      told['cache_read_input_tokens'],
      prompt['cached_tokens'],
    ),
  )
  const cacheWrite = Math.min(
    input - cacheRead,
    count(
      more['cache_creation_input_tokens'],
      told['cache_creation_input_tokens'],
      prompt['cache_creation_tokens'],
    ),
  )
  const reasoning = Math.min(
    output,
    count(object(told['completion_tokens_details'])['reasoning_tokens']),
  )
  return {
    ...noUsage,
    input: input - cacheRead - cacheWrite,
    cacheRead,
    cacheWrite,
    output: output - reasoning,
    reasoning,
  }
}

function failureOf(
  row: JsonObject,
  metadata: JsonObject,
): Pick<Entry, 'fault' | 'status' | 'error'> {
  if (row['status'] !== 'failure' && metadata['status'] !== 'failure')
    return { fault: undefined, status: 200 }
  const { error_class, error_code, error_message } = object(metadata['error_information'])
  const said = Number(error_code)
  const status = said >= 400 && said < 600 ? Math.floor(said) : undefined
  const name = text(error_class)?.split('.').at(-1)
  const fault =
    classes.get(name ?? '') ?? (status === undefined ? 'provider' : kindOfStatus(status))
  return {
    fault,
    status: status ?? faults[fault].status,
    error: text(error_message)?.slice(0, 2000) || name || 'LiteLLM kept no words of this failure',
  }
}

/** The first kind of each class; `APIError` and `BadRequestError` are many kinds' and say less than the status. */
const classes: ReadonlyMap<string, FaultKind> = new Map(
  (Object.keys(faults) as FaultKind[])
    .reverse()
    .map((kind): [string, FaultKind] => [faults[kind].className, kind])
    .filter(([name]) => name !== 'APIError' && name !== 'BadRequestError'),
)

/** What no column and no other field holds. */
function restOf(row: JsonObject, metadata: JsonObject): JsonObject | undefined {
  const rest: JsonObject = Object.fromEntries(
    [
      ...Object.entries(metadata).filter(([name]) => !elsewhere.has(name)),
      ...['agent_id', 'mcp_namespaced_tool_name'].map((name) => [name, row[name]] as const),
    ].filter(([, value]) => value !== null && value !== undefined && value !== ''),
  )
  const size = JSON.stringify(rest).length
  return size <= 2 || size > metadataMax ? undefined : rest
}
const elsewhere: ReadonlySet<string> = new Set([
  ...['usage_object', 'additional_usage_values', 'error_information', 'status', 'stream'],
  ...['user_api_key', 'user_api_key_alias', 'user_api_key_team_id', 'user_api_key_team_alias'],
  ...['user_api_key_user_id', 'user_api_key_org_id', 'user_api_key_project_id', 'user_agent'],
  ...['requester_ip_address', 'litellm_call_id', 'attempted_retries', 'attempted_fallbacks'],
  ...['original_model_group', 'max_retries', 'model_map_information', 'cost_breakdown'],
  ...['proxy_server_request', 'cold_storage_object_key', '__proto__'],
])
