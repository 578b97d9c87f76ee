import type { ChatRequest } from '../../chat/chat.ts'
import { compact, isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { isSelfContained, lostFields } from '../foreign.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import type { Encoded, Target } from '../wire.ts'
import { type Powers, powersOf } from './family.ts'
import { planReasoning, type ReasoningPlan, readBetas } from './reasoning.ts'
import { betaOfTool, encodeTools, isForced, serialChoice, type Toolbox } from './tools.ts'
import { dropFinalThoughts, encodeConversation, lostThought } from './turns.ts'

/** API_runtime_Converse: messages in one form for all models, the rest of each in `additionalModelRequestFields`. */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, refused } = withoutRefused(asked, to)
  const powers = powersOf(to)
  const box = encodeTools(request, powers)
  const talk = encodeConversation(request.messages, {
    names: box.names,
    powers,
    dropParams: to.dropParams,
    repair: to.modifyParams,
  })
  const plan = planReasoning(request, to, powers, {
    forcedTool: isForced(box.choice) && box.notes.outputTool === undefined,
    lostThought: lostThought(talk.turns),
  })
  // A forced answer tool gives way to thoughts: the model is asked for it, not made to.
  if (plan.budgeted && box.notes.outputTool !== undefined && isForced(box.choice))
    box.choice = { auto: {} }
  if (powers.family === 'claude' && !plan.thinks && !powers.claude.thinksUnasked)
    dropFinalThoughts(talk.turns)
  const dropped = [...refused.dropped, ...talk.dropped]
  const toolConfig = encodeToolConfig(request, box, talk.usesTools ? talk.called : undefined)
  const sampling = encodeSampling(request, powers, plan, to.allowedParams ?? [])
  const isAlien = isSelfContained(request)
  const own = ownExtras(isAlien ? {} : request.extras, powers.family, dropped)
  if (isAlien) dropped.push(...lostFields(request))
  const lacking = [
    ...lacks(request),
    ...box.unsupported,
    ...plan.unsupported,
    ...sampling.unsupported,
  ].filter((name) => !to.allowedParams?.includes(name))
  if (lacking.length > 0 && !to.dropParams) throw unsupported(to, [...new Set(lacking)])
  const betas = [
    ...readBetas(request.extras.anthropic_beta ?? request.extras.betas, dropped),
    ...plan.betas,
    ...box.claudeTools.flatMap((tool) => betaOfTool[text(tool.type) ?? ''] ?? []),
  ]
  const serial = box.serial && toolConfig !== undefined
  if (serial) delete toolConfig.toolChoice
  const additional = merge(
    own.fields,
    compact({
      ...allowed(request, to),
      ...sampling.fields,
      ...plan.fields,
      tools: box.claudeTools.length > 0 ? box.claudeTools : undefined,
      tool_choice: serial ? serialChoice(box.choice) : undefined,
      anthropic_beta: betas.length > 0 ? [...new Set(betas)] : undefined,
    }),
  )
  const stop = request.stop?.filter((sequence) => sequence.trim() !== '')
  if (stop && request.stop && stop.length < request.stop.length) dropped.push('stop')
  const inferenceConfig = compact({
    maxTokens: plan.maxTokens,
    ...sampling.config,
    stopSequences: stop && stop.length > 0 ? stop : undefined,
  })
  const body = compact({
    ...own.body,
    system: talk.system.length > 0 ? talk.system : undefined,
    messages: talk.turns,
    inferenceConfig: full(inferenceConfig),
    toolConfig,
    outputConfig: full({
      ...object(own.body.outputConfig),
      ...(box.format && { textFormat: box.format }),
    }),
    serviceTier: encodeTier(request, own.body, dropped),
    additionalModelRequestFields: full(additional),
  })
  dropped.push(...lacking, ...box.dropped, ...plan.dropped, ...sampling.dropped)
  if (request.user !== undefined) dropped.push('user')
  return {
    body,
    notes: {
      model: to.model,
      ...box.notes,
      ...(box.names.changed.size > 0 && { toolNames: box.names.changed }),
    },
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
  }
}

const full = (fields: JsonObject): JsonObject | undefined =>
  Object.keys(fields).length > 0 ? fields : undefined

/**
 * `called` is given where the history holds calls or results: Bedrock then wants the tools declared, though the client
 * has none to offer any more or wants none called.
 */
function encodeToolConfig(
  { toolChoice }: ChatRequest,
  box: Toolbox,
  called: ReadonlySet<string> | undefined,
): JsonObject | undefined {
  const unwanted = toolChoice === 'none' && box.notes.outputTool === undefined
  if (unwanted && !called) return undefined
  const tools = [...box.tools]
  if (tools.length === 0 && called)
    for (const name of called.size > 0 ? called : ['tool'])
      tools.push({ toolSpec: { name, inputSchema: { json: { type: 'object', properties: {} } } } })
  if (tools.length === 0) return undefined
  if (unwanted && box.tools.length > 0) box.dropped.push('tool_choice')
  return compact({ tools, toolChoice: unwanted ? undefined : box.choice })
}

type Sampling = { config: JsonObject; fields: JsonObject; dropped: string[]; unsupported: string[] }

/**
 * temperature and topP are Converse's own; top_k is spelt by family. Claude's rules: thinking allows only the usual
 * temperature, top_p from 0.95 and no top_k; newer models take temperature or top_p; the newest take none of them.
 * Nova takes none of them with high effort.
 */
function encodeSampling(
  request: ChatRequest,
  powers: Powers,
  plan: ReasoningPlan,
  allowed: readonly string[],
): Sampling {
  const { temperature, topP, topK } = request
  const { sampling, oneSampler } = powers.claude
  const isClaude = powers.family === 'claude'
  const said: Record<string, number | undefined> = {
    // 1 is where both start, so saying it changes nothing.
    temperature: !sampling && temperature === 1 ? undefined : temperature,
    top_p: (!sampling || (isClaude && oneSampler)) && topP === 1 ? undefined : topP,
    top_k: topK,
  }
  const names = Object.keys(said).filter((name) => said[name] !== undefined)
  const unsupported = sampling ? [] : names.filter((name) => !allowed.includes(name))
  for (const name of unsupported) said[name] = undefined
  const dropped = names.filter((name) => {
    if (said[name] === undefined || allowed.includes(name)) return false
    if (!isClaude) return plan.thinks
    if (name === 'temperature') return plan.thinks && temperature !== 1
    if (name === 'top_p')
      return (plan.thinks && (topP ?? 1) < 0.95) || (oneSampler && said.temperature !== undefined)
    return plan.thinks
  })
  for (const name of dropped) said[name] = undefined
  const spelt = said.top_k === undefined ? {} : topKFields(said.top_k, powers.family)
  return {
    config: compact({ temperature: said.temperature, topP: said.top_p }),
    fields: spelt ?? {},
    dropped,
    unsupported: spelt ? unsupported : [...unsupported, 'top_k'],
  }
}

function topKFields(topK: number, family: Powers['family']): JsonObject | undefined {
  switch (family) {
    case 'claude':
    case 'mistral':
    case 'unnamed':
      return { top_k: topK }
    case 'nova':
    case 'nova-2':
      return { inferenceConfig: { topK } }
    default:
      return undefined
  }
}

/** OpenAI's `auto` is what Bedrock does unasked. */
function encodeTier(
  { serviceTier }: ChatRequest,
  own: JsonObject,
  dropped: string[],
): JsonObject | undefined {
  if (isObject(own.serviceTier)) return own.serviceTier
  if (serviceTier === undefined || serviceTier === 'auto') return undefined
  if (tiers.has(serviceTier)) return { type: serviceTier }
  dropped.push('service_tier')
  return undefined
}
const tiers = new Set(['default', 'flex', 'priority', 'reserved'])

/** What OpenAI's dialect can ask and Converse cannot do. A value that changes nothing is as good as unsaid. */
function lacks(request: ChatRequest): string[] {
  const { n, seed, logprobs, topLogprobs, frequencyPenalty, presencePenalty, logitBias } = request
  const asked: Record<string, boolean> = {
    n: n !== undefined && n !== 1,
    seed: seed !== undefined,
    logprobs: logprobs === true,
    top_logprobs: topLogprobs !== undefined && topLogprobs > 0,
    frequency_penalty: frequencyPenalty !== undefined && frequencyPenalty !== 0,
    presence_penalty: presencePenalty !== undefined && presencePenalty !== 0,
    logit_bias: logitBias !== undefined && Object.keys(logitBias).length > 0,
    verbosity: request.verbosity !== undefined && request.verbosity !== 'medium',
    modalities: request.modalities?.some((modality) => modality !== 'text') ?? false,
    audio: request.audio !== undefined,
  }
  return Object.keys(asked).filter((name) => asked[name])
}

/** What the row lets through although Converse lacks it goes to the model, in OpenAI's words. */
function allowed(request: ChatRequest, { allowedParams = [] }: Target): JsonObject {
  const out: JsonObject = {}
  for (const name of allowedParams) {
    const key = keyOf[name]
    const value = key === undefined || spoken.has(name) ? undefined : request[key]
    if (value !== undefined) out[name] = value
  }
  return out
}

/** The row's own list of what the provider refuses (`quirks.unsupported`). */
function withoutRefused(
  request: ChatRequest,
  to: Target,
): { request: ChatRequest; refused: { dropped: string[] } } {
  const names = (to.quirks.unsupported ?? []).filter((name) => {
    const value: unknown = request[keyOf[name] ?? 'model']
    const isSaid = Array.isArray(value) ? value.length > 0 : value !== undefined
    return keyOf[name] !== undefined && isSaid && !to.allowedParams?.includes(name)
  })
  if (names.length === 0) return { request, refused: { dropped: [] } }
  if (!to.dropParams) throw unsupported(to, names)
  const kept: ChatRequest = { ...request }
  for (const name of names) {
    if (name === 'tools') kept.tools = []
    else Reflect.deleteProperty(kept, keyOf[name] ?? '')
  }
  return { request: kept, refused: { dropped: names } }
}

type Said = Exclude<
  keyof ChatRequest,
  'messages' | 'model' | 'stream' | 'extras' | 'tools' | 'toolChoice' | 'output' | 'reasoning'
>
const keyOf: Record<string, Said | undefined> = {
  n: 'n',
  seed: 'seed',
  stop: 'stop',
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  max_tokens: 'maxTokens',
  max_completion_tokens: 'maxTokens',
  logprobs: 'logprobs',
  top_logprobs: 'topLogprobs',
  frequency_penalty: 'frequencyPenalty',
  presence_penalty: 'presencePenalty',
  logit_bias: 'logitBias',
  verbosity: 'verbosity',
  modalities: 'modalities',
  audio: 'audio',
  parallel_tool_calls: 'parallelTools',
  user: 'user',
  service_tier: 'serviceTier',
}
/** Said elsewhere in the body, allowed or not. */
const spoken = new Set([
  'stop',
  'temperature',
  'top_p',
  'top_k',
  'max_tokens',
  'max_completion_tokens',
  'parallel_tool_calls',
  'user',
  'service_tier',
])

/** Converse's own fields stand where they belong; what no dialect is known to mean is the model's. */
function ownExtras(
  extras: JsonObject,
  family: Powers['family'],
  dropped: string[],
): { body: JsonObject; fields: JsonObject } {
  const body: JsonObject = {}
  let fields: JsonObject = {}
  for (const [key, value] of Object.entries(extras)) {
    if (value === undefined || value === null || silent.has(key)) continue
    if (key === 'additionalModelRequestFields') fields = merge(fields, object(value))
    else if (bodyFields.has(key)) body[key] = value
    else if (
      foreign.has(key) ||
      (claudes.has(key) && family !== 'claude' && family !== 'unnamed')
    ) {
      if (isSaid(value)) dropped.push(key)
    } else fields = merge(fields, { [key]: value })
  }
  if (isObject(extras.performance_config)) body.performanceConfig ??= extras.performance_config
  return { body, fields }
}

const bodyFields = new Set([
  'guardrailConfig',
  'performanceConfig',
  'serviceTier',
  'requestMetadata',
  'promptVariables',
  'additionalModelResponseFieldPaths',
  'outputConfig',
])
/** Said elsewhere, or for the gateway alone. */
const silent = new Set(['thinking', 'anthropic_beta', 'betas', 'metadata', 'performance_config'])
/** Bookkeeping of other dialects, which a model would refuse as unknown. */
const foreign = new Set([
  'store',
  'prediction',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'include',
  'truncation',
  'previous_response_id',
  'client_metadata',
  'background',
  'stream_options',
  'container',
  'mcp_servers',
  'cache_control',
  'inference_geo',
  'speed',
  'fallbacks',
  'thread',
])
/** Only Claude knows them. */
const claudes = new Set(['context_management', 'output_config'])
const isSaid = (value: Json): boolean =>
  value !== false && !(isObject(value) && Object.keys(value).length === 0)

/** Objects are joined, whatever else is replaced. */
function merge(into: JsonObject, from: JsonObject): JsonObject {
  const out = { ...into }
  for (const [key, value] of Object.entries(from)) {
    const had = out[key]
    const joined = isObject(had) && isObject(value) ? { ...had, ...value } : value
    Object.defineProperty(out, key, {
      value: joined,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return out
}
