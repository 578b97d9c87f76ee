import type { ChatRequest, Part, Tool } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { isRawNumber } from '../../json/parse.ts'
import { encodeRequest as encodeMessages } from '../anthropic/request-out.ts'
import { cappedInfo, powersOf } from '../bedrock-converse/family.ts'
import { readBetas } from '../bedrock-converse/reasoning.ts'
import { betaOfTool, claudeTool } from '../bedrock-converse/tools.ts'
import type { Encoded, Target } from '../wire.ts'

/**
 * Anthropic's body without `model` and `stream`, which the path says, and with its version and flags, which are
 * headers elsewhere (model-parameters-anthropic-claude-messages, 2026-11).
 */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const dropped: string[] = []
  const { anthropic_beta: own, anthropic_version: _version, ...extras } = asked.extras
  const request: ChatRequest = {
    ...asked,
    messages: withoutAddresses(asked.messages, to, dropped),
    tools: asked.tools.filter((tool) => isOffered(tool, dropped)),
    extras,
  }
  const said = encodeMessages(request, { ...to, info: cappedInfo(to.info) })
  const { model: _, stream: __, service_tier: ___, ...body } = said.body
  const betas = new Set([
    ...readBetas(own, dropped),
    ...readBetas(said.headers?.['anthropic-beta'], dropped),
    ...list(body.tools).flatMap((tool) => betaOfTool[text(object(tool).type) ?? ''] ?? []),
  ])
  const headers = headersFor(asked)
  for (const name of inHeaders) delete body[name]
  dropped.push(...(said.dropped ?? []).filter((name) => name !== 'service_tier'))
  const tier = asked.serviceTier
  if (tier !== undefined && tier !== 'auto' && !tiers.has(tier)) dropped.push('service_tier')
  const whole = compact({
    anthropic_version: 'bedrock-2023-05-31',
    ...body,
    anthropic_beta: betas.size > 0 ? [...betas] : undefined,
  })
  return {
    body: powersOf(to).cacheHour ? whole : object(withoutTtl(whole)),
    notes: said.notes,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
  }
}

/** Claude on Bedrock fetches nothing: it reads what is in the request. */
function withoutAddresses(
  messages: ChatRequest['messages'],
  { dropParams }: Target,
  dropped: string[],
): ChatRequest['messages'] {
  const keep = (part: Part): Part[] => {
    if (part.type === 'tool-result') return [{ ...part, parts: part.parts.flatMap(keep) }]
    if (part.type !== 'media' || part.source.type !== 'url') return [part]
    if (!dropParams)
      throw new GatewayError(
        'bad_request',
        `Amazon Bedrock fetches no ${part.media} from a web address: send it as a data URL`,
        { param: 'messages' },
      )
    dropped.push(`messages.${part.media}`)
    return []
  }
  return messages.map((message) => ({ ...message, parts: message.parts.flatMap(keep) }))
}

function isOffered(tool: Tool, dropped: string[]): boolean {
  if (tool.type !== 'server') return true
  const type = text(tool.value.type) ?? tool.wire
  if (claudeTool.test(type)) return true
  dropped.push(`tools.${type}`)
  return false
}

/** Only newer models keep a prompt for an hour; the others refuse the word. */
function withoutTtl(value: Json, depth = 0): Json {
  // Marks stand in the system's blocks, in messages' and in results', and no deeper.
  if (depth > 10) return value
  if (Array.isArray(value)) return value.map((item) => withoutTtl(item, depth + 1))
  if (!isObject(value) || isRawNumber(value)) return value
  const out: JsonObject = {}
  for (const [key, said] of Object.entries(value)) {
    if (said === undefined) continue
    const kept =
      key === 'cache_control' && isObject(said) ? compact({ ...said, ttl: undefined }) : said
    // Assigning would lose a property called `__proto__`.
    Object.defineProperty(out, key, {
      value: notPrompt.has(key) ? kept : withoutTtl(kept, depth + 1),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return out
}
/** What a client's tool means by the same word is its own. */
const notPrompt = new Set(['input', 'input_schema'])

/** What Converse says in the body, InvokeModel says in headers (API_runtime_InvokeModel, 2026-11). */
function headersFor({ extras, serviceTier }: ChatRequest): Record<string, string> {
  const { guardrailConfig, performanceConfig } = extras
  const guardrail = object(guardrailConfig)
  const said: Record<string, string | undefined> = {
    'x-amzn-bedrock-guardrailidentifier': text(guardrail.guardrailIdentifier),
    'x-amzn-bedrock-guardrailversion': text(guardrail.guardrailVersion),
    'x-amzn-bedrock-trace': text(guardrail.trace)?.toUpperCase(),
    'x-amzn-bedrock-performanceconfig-latency': text(object(performanceConfig).latency),
    'x-amzn-bedrock-service-tier':
      text(object(extras.serviceTier).type) ??
      (serviceTier !== undefined && tiers.has(serviceTier) ? serviceTier : undefined),
  }
  const headers: Record<string, string> = {}
  // They come from a client, and a header ends at its line.
  for (const [name, value] of Object.entries(said))
    if (value !== undefined && /^[\x21-\x7e]{1,2048}$/.test(value)) headers[name] = value
  return headers
}
const inHeaders = ['guardrailConfig', 'performanceConfig', 'serviceTier', 'requestMetadata']

const tiers = new Set(['default', 'flex', 'priority', 'reserved'])
