import { inputTokens, outputTokens, type Usage } from '../../chat/chat.ts'
import { isObject, type Json, type JsonObject, list, number, object } from '../../json/json.ts'

/**
 * `input_tokens` holds what was cached, `output_tokens` what was thought: taken apart here so that no token is counted
 * twice. Undefined for a response that does not tell (yet).
 */
export function decodeUsage(response: JsonObject): Usage | undefined {
  const { usage } = response
  if (!isObject(usage)) return undefined
  const read = object(usage.input_tokens_details)
  const wrote = object(usage.output_tokens_details)
  const input = buckets(count(usage.input_tokens), {
    cacheRead: read.cached_tokens,
    cacheWrite: read.cache_write_tokens ?? read.cache_creation_tokens,
    inputAudio: read.audio_tokens,
    inputImage: read.image_tokens,
  })
  const output = buckets(count(usage.output_tokens), {
    reasoning: wrote.reasoning_tokens,
    outputAudio: wrote.audio_tokens,
    outputImage: wrote.image_tokens,
  })
  return {
    ...input.parts,
    ...output.parts,
    input: input.rest,
    output: output.rest,
    cacheWrite1h: 0,
    searches: searchesOf(response, usage),
    raw: usage,
  }
}

/** Parts of a whole, in order; together they never exceed it. */
function buckets<Name extends string>(
  total: number,
  said: Readonly<Record<Name, Json | undefined>>,
): { parts: Record<Name, number>; rest: number } {
  let rest = total
  const parts = {} as Record<Name, number> // filled from the same names right here
  for (const name in said) {
    parts[name] = Math.min(rest, count(said[name]))
    rest -= parts[name]
  }
  return { parts, rest }
}

function count(value: Json | undefined): number {
  const said = number(value) ?? 0
  return said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.floor(said) : 0
}

/** The provider's own count, or the searches among what it did (opening a page is none). */
function searchesOf(response: JsonObject, usage: JsonObject): number {
  const told =
    number(object(object(response.tool_usage).web_search).num_requests) ??
    number(object(usage.server_side_tool_usage_details).web_search_calls)
  return told === undefined ? list(response.output).filter(isSearch).length : count(told)
}

const isSearch = (item: Json): boolean => {
  const { type, action } = object(item)
  const kind = object(action).type
  return type === 'web_search_call' && (kind === undefined || kind === 'search')
}

/** What the provider said comes back as it said it when it spoke this wire; otherwise it is made from the buckets. */
export function encodeUsage(usage: Usage): JsonObject {
  const input = inputTokens(usage)
  const output = outputTokens(usage)
  const { raw } = usage
  const own =
    raw && typeof raw.input_tokens === 'number' && typeof raw.total_tokens === 'number' ? raw : {}
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    ...own,
    input_tokens_details: {
      cached_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite + usage.cacheWrite1h,
      ...(usage.inputAudio > 0 && { audio_tokens: usage.inputAudio }),
      ...(usage.inputImage > 0 && { image_tokens: usage.inputImage }),
      ...object(own.input_tokens_details),
    },
    output_tokens_details: {
      reasoning_tokens: usage.reasoning,
      ...(usage.outputAudio > 0 && { audio_tokens: usage.outputAudio }),
      ...(usage.outputImage > 0 && { image_tokens: usage.outputImage }),
      ...object(own.output_tokens_details),
    },
  }
}
