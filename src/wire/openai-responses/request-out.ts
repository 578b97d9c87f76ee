import type { ChatRequest, OutputFormat } from '../../chat/chat.ts'
import {
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
} from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import type { Encoded, Target } from '../wire.ts'
import { adaptRequest } from './adapt.ts'
import { encodeReasoning, thinks } from './effort.ts'
import { encodeConversation } from './items-out.ts'
import { createToolNames, sameNames } from './names.ts'
import { includeLogprobs, includeThoughts } from './request.ts'
import { encodeToolChoice, encodeTools } from './tools.ts'

export function encodeRequest(request: ChatRequest, to: Target): Encoded {
  const { dialect } = request
  const own = dialect === undefined || dialect === 'openai-responses'
  const isOpenAi = own || dialect === 'openai-chat'
  const dropped: string[] = []
  const drop = (what: string): void => {
    dropped.push(what)
  }
  const names = own ? sameNames : createToolNames()
  const writer = { own, names, drop, onlyOpenAis: openAis.has(to.provider) }
  const tools = encodeTools(request, writer)
  const { instructions, input } = encodeConversation(request.messages, writer)
  const extras = extrasFor(request, own, drop)
  const { reasoning, dropped: lostReasoning } = encodeReasoning(request, to, isOpenAi)
  if (lostReasoning) drop(request.reasoning?.effort ? 'reasoning_effort' : 'thinking')
  const include = encodeInclude(request, extras, to, own, reasoning)
  const hasTools = own || tools.length > 0
  const body = compact({
    ...extras,
    model: to.model,
    instructions,
    input,
    tools: tools.length > 0 ? tools : undefined,
    tool_choice: hasTools ? (encodeToolChoice(request, writer) ?? extras.tool_choice) : undefined,
    parallel_tool_calls: hasTools ? request.parallelTools : undefined,
    max_output_tokens: encodeLimit(request.maxTokens, own),
    temperature: request.temperature,
    top_p: request.topP,
    top_logprobs: request.topLogprobs,
    reasoning,
    text: encodeText(request, extras),
    include: include.length > 0 ? include : undefined,
    service_tier: tiers[request.serviceTier ?? ''] ?? request.serviceTier,
    user: own ? request.user : request.user?.slice(0, longestUser),
    // The history travels with every request, so nothing has to be kept for it.
    store: extras.store ?? (own ? undefined : false),
    stream: request.stream || undefined,
  })
  // Agents of other dialects send it with every request, and it matters little.
  if (!isOpenAi && request.topK !== undefined) drop('top_k')
  refuse(body, lacking(request, isOpenAi), to, drop)
  dropped.push(...adaptRequest(body, to))
  return {
    body,
    dropped: [...new Set(dropped)],
    notes: { model: to.model, ...(names.changed.size > 0 && { toolNames: names.changed }) },
  }
}

/** Providers whose thoughts are OpenAI's. */
const openAis = new Set(['openai', 'azure', 'azure_ai', 'chatgpt'])

/** OpenAI refuses a longer one; what agents send as a user is a device, a session and more. */
const longestUser = 64

/** Fewer are refused. */
const leastTokens = 16
const encodeLimit = (limit: number | undefined, own: boolean): number | undefined =>
  limit === undefined || own ? limit : Math.max(limit, leastTokens)

/** Anthropic's word for what OpenAI calls default. */
const tiers: Readonly<Record<string, string | undefined>> = { standard_only: 'default' }

/**
 * What a chat client says beyond the house's words is meant for the provider, except for what only chat knows. Other
 * dialects' own fields mean nothing here.
 */
function extrasFor(
  { extras, dialect }: ChatRequest,
  own: boolean,
  drop: (what: string) => void,
): JsonObject {
  if (own) return extras
  const isChat = dialect === 'openai-chat'
  for (const [key, value] of Object.entries(extras))
    if (!(isChat && !onlyChat.has(key)) && !unnamed.has(key) && isSaid(value)) drop(key)
  return isChat ? (extrasOf(extras, onlyChat) ?? {}) : {}
}
const onlyChat = new Set(['prediction', 'thinking', 'stream_options', 'text', 'reasoning', 'input'])
const unnamed = new Set(['thinking', 'metadata', 'stream_options'])
const isSaid = (value: Json | undefined): boolean =>
  value !== undefined && value !== null && value !== false

/** Thoughts must come back encrypted where nobody keeps them; a model that has none refuses to be asked for them. */
function encodeInclude(
  request: ChatRequest,
  extras: JsonObject,
  to: Target,
  own: boolean,
  reasoning: JsonObject | undefined,
): Json[] {
  const include = [...list(extras.include)]
  const add = (what: string): void => {
    if (!include.includes(what)) include.push(what)
  }
  if (request.logprobs) add(includeLogprobs)
  const isThinking = thinks(to) ?? (reasoning !== undefined && reasoning.effort !== 'none')
  if (!own && extras.store !== true && isThinking) add(includeThoughts)
  return include
}

function encodeText(request: ChatRequest, extras: JsonObject): JsonObject | undefined {
  const said = compact({
    ...object(extras.text),
    format: encodeFormat(request.output) ?? object(extras.text).format,
    verbosity: request.verbosity,
  })
  return Object.keys(said).length > 0 ? said : undefined
}

function encodeFormat(output: OutputFormat | undefined): JsonObject | undefined {
  switch (output?.type) {
    case undefined:
      return undefined
    case 'text':
      return { type: 'text' }
    case 'json':
      return { type: 'json_object' }
    case 'schema':
      return compact({
        type: 'json_schema',
        name: output.name,
        description: output.description,
        schema: output.schema,
        strict: output.strict,
      })
  }
}

/** What chat can ask and this API cannot do: refused by name, left out, or let through where the row allows it. */
function refuse(
  body: JsonObject,
  said: JsonObject,
  to: Target,
  drop: (what: string) => void,
): void {
  const allowed = new Set(to.allowedParams)
  const refused: string[] = []
  for (const name of Object.keys(said)) {
    const value = said[name]
    if (value === undefined) continue
    if (allowed.has(name)) body[name] = value
    else refused.push(name)
  }
  if (refused.length > 0 && !to.dropParams) throw unsupported(to, refused)
  for (const name of refused) drop(name)
}

/** A value that changes nothing is as good as unsaid. */
function lacking(request: ChatRequest, isOpenAi: boolean): JsonObject {
  const { n, seed, stop, topK, presencePenalty, frequencyPenalty, logitBias } = request
  return {
    n: n === 1 ? undefined : n,
    seed,
    stop: stop && stop.length > 0 ? stop : undefined,
    top_k: isOpenAi ? topK : undefined,
    presence_penalty: presencePenalty === 0 ? undefined : presencePenalty,
    frequency_penalty: frequencyPenalty === 0 ? undefined : frequencyPenalty,
    logit_bias: isObject(logitBias) && Object.keys(logitBias).length > 0 ? logitBias : undefined,
    modalities: request.modalities?.some((kind) => kind !== 'text')
      ? request.modalities
      : undefined,
    audio: request.audio,
  }
}
