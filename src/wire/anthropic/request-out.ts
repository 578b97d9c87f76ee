import type { ChatRequest } from '../../chat/chat.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { isSelfContained, lostFields } from '../foreign.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import type { Encoded, Target } from '../wire.ts'
import { type Abilities, abilitiesOf } from './abilities.ts'
import { betasOf } from './betas.ts'
import { planThinking } from './thinking.ts'
import { encodeTools, isForced, type Toolbox } from './tools.ts'
import { dropFinalThoughts, encodeConversation, lostThought, usesFiles } from './turns.ts'

export function encodeRequest(request: ChatRequest, to: Target): Encoded {
  const abilities = abilitiesOf(to)
  const box = encodeTools(request, abilities)
  const talk = encodeConversation(request.messages, {
    names: box.names,
    midSystem: abilities.midSystem,
    dropParams: to.dropParams,
    repair: to.modifyParams,
  })
  declareCalled(box, talk.called)
  const plan = planThinking(request, abilities, {
    forcedTool: isForced(box.choice) && box.notes.outputTool === undefined,
    lostThought: lostThought(talk.turns),
  })
  const thinks = plan.thinking !== undefined && plan.thinking.type !== 'disabled'
  // A forced answer tool gives way to thoughts: the model is asked for it, not made to.
  if (
    plan.thinking?.type === 'enabled' &&
    box.notes.outputTool !== undefined &&
    isForced(box.choice)
  )
    box.choice = { type: 'auto' }
  if (!thinks && !abilities.thinksUnasked) dropFinalThoughts(talk.turns)
  const sampling = encodeSampling(request, abilities, thinks)
  const isAlien = isSelfContained(request)
  const { betas, ...own } = isAlien ? {} : ownExtras(request.extras)
  const output_config = compact({
    ...object(own.output_config),
    effort: plan.effort ?? object(own.output_config).effort,
    format: box.format ?? object(own.output_config).format,
  })
  const user =
    request.user ??
    text(object(request.extras.metadata).user_id) ??
    text(request.extras.safety_identifier)
  const stop = request.stop?.filter((sequence) => sequence.trim() !== '')
  const body = compact({
    ...own,
    model: to.model,
    system: talk.system.length > 0 ? talk.system : undefined,
    messages: talk.turns.map(({ role, content, extras }) => ({ role, content, ...extras })),
    tools: box.tools.length > 0 ? box.tools : undefined,
    tool_choice: box.choice,
    max_tokens: plan.maxTokens,
    stop_sequences: stop && stop.length > 0 ? stop : undefined,
    ...sampling.body,
    thinking: plan.thinking,
    output_config: Object.keys(output_config).length > 0 ? output_config : undefined,
    service_tier: tiers[request.serviceTier ?? ''],
    metadata: user !== undefined ? { user_id: user } : undefined,
    stream: request.stream || undefined,
  })
  const dropped = [
    ...box.dropped,
    ...talk.dropped,
    ...plan.dropped,
    ...sampling.dropped,
    ...(stop && request.stop && stop.length < request.stop.length ? ['stop'] : []),
    ...(request.serviceTier !== undefined && body.service_tier === undefined
      ? ['service_tier']
      : []),
    ...(isAlien ? lostFields(request) : foreign.filter((key) => isSaid(request.extras[key]))),
  ]
  refuse(
    body,
    [...lacks(request), ...plan.unsupported, ...sampling.unsupported],
    dropped,
    to,
    request,
  )
  const flags = betasOf(body, usesFiles(talk.turns))
  if (betas !== undefined)
    for (const said of list(betas)) if (typeof said === 'string') flags.add(said)
  const notes = {
    model: to.model,
    ...box.notes,
    ...(box.names.changed && { toolNames: box.names.changed }),
  }
  return {
    body,
    notes,
    ...(flags.size > 0 && { headers: { 'anthropic-beta': [...flags].join(',') } }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
  }
}

/** Calls in the history need their tools declared, even when the client has none to offer any more. */
function declareCalled(box: Toolbox, called: ReadonlySet<string> | undefined): void {
  if (box.tools.length > 0 || called === undefined) return
  for (const name of called)
    box.tools.push({ name, input_schema: { type: 'object', properties: {} } })
  box.choice = { type: 'none' }
}

/**
 * Thinking allows only the usual temperature, top_p from 0.95 and no top_k; newer models take temperature or top_p;
 * the newest take none of them.
 */
function encodeSampling(
  { temperature, topP, topK }: ChatRequest,
  { sampling, oneSampler }: Abilities,
  thinks: boolean,
): { body: JsonObject; dropped: string[]; unsupported: string[] } {
  const said: Record<string, number | undefined> = {
    // 1 is where both start, so saying it changes nothing.
    temperature: !sampling && temperature === 1 ? undefined : temperature,
    top_p: (!sampling || oneSampler) && topP === 1 ? undefined : topP,
    top_k: topK,
  }
  const names = Object.keys(said).filter((name) => said[name] !== undefined)
  if (!sampling) return { body: {}, dropped: [], unsupported: names }
  const dropped = names.filter((name) =>
    name === 'temperature'
      ? thinks && temperature !== 1
      : name === 'top_p'
        ? (thinks && (topP ?? 1) < 0.95) || (oneSampler && said.temperature !== undefined)
        : thinks,
  )
  for (const name of dropped) said[name] = undefined
  return { body: said, dropped, unsupported: [] }
}

/** What OpenAI's dialect can ask and Anthropic cannot do. A value that changes nothing is as good as unsaid. */
function lacks(request: ChatRequest): string[] {
  const { n, seed, logprobs, topLogprobs, frequencyPenalty, presencePenalty, logitBias } = request
  const lacking: string[] = []
  const ask = (name: string, isAsked: boolean) => isAsked && lacking.push(name)
  ask('n', n !== undefined && n !== 1)
  ask('seed', seed !== undefined)
  ask('logprobs', logprobs === true)
  ask('top_logprobs', topLogprobs !== undefined && topLogprobs > 0)
  ask('frequency_penalty', frequencyPenalty !== undefined && frequencyPenalty !== 0)
  ask('presence_penalty', presencePenalty !== undefined && presencePenalty !== 0)
  ask('logit_bias', logitBias !== undefined && Object.keys(logitBias).length > 0)
  ask('verbosity', request.verbosity !== undefined && request.verbosity !== 'medium')
  ask('modalities', request.modalities?.some((modality) => modality !== 'text') ?? false)
  ask('audio', request.audio !== undefined)
  return lacking
}

/** Refuses what the provider lacks by name, or leaves it out; lets through what the row allows. */
function refuse(
  body: JsonObject,
  lacking: string[],
  dropped: string[],
  to: Target,
  request: ChatRequest,
): void {
  const byRow = (to.quirks.unsupported ?? []).filter((name) => isSaid(body[spelt[name] ?? name]))
  if (lacking.length > 0 || byRow.length > 0) leaveOut(body, lacking, byRow, dropped, to, request)
  const { rename } = to.quirks
  for (const name in rename) {
    const other = rename[name]
    if (other === undefined || body[name] === undefined) continue
    body[other] ??= body[name]
    delete body[name]
  }
  if (to.quirks.dropBookkeeping) delete body.metadata
}

function leaveOut(
  body: JsonObject,
  lacking: readonly string[],
  byRow: readonly string[],
  dropped: string[],
  to: Target,
  request: ChatRequest,
): void {
  const allowed = new Set(to.allowedParams)
  for (const name of lacking.filter((name) => allowed.has(name))) {
    const value = inOpenaiWords(request)[name]
    if (value !== undefined) body[name] = value
  }
  const refused = [...new Set([...lacking, ...byRow])].filter((name) => !allowed.has(name))
  if (refused.length > 0 && !to.dropParams) throw unsupported(to, refused)
  for (const name of byRow) if (!allowed.has(name)) delete body[spelt[name] ?? name]
  dropped.push(...refused)
}

const spelt: Record<string, string> = {
  stop: 'stop_sequences',
  user: 'metadata',
  reasoning_effort: 'thinking',
  max_completion_tokens: 'max_tokens',
}

const inOpenaiWords = (request: ChatRequest): JsonObject => ({
  n: request.n,
  seed: request.seed,
  logprobs: request.logprobs,
  top_logprobs: request.topLogprobs,
  frequency_penalty: request.frequencyPenalty,
  presence_penalty: request.presencePenalty,
  logit_bias: request.logitBias,
  verbosity: request.verbosity,
  modalities: request.modalities,
  audio: request.audio,
  reasoning_effort: request.reasoning?.effort,
  temperature: request.temperature,
  top_p: request.topP,
  top_k: request.topK,
})

/** OpenAI's bookkeeping, which the API would answer with "Extra inputs are not permitted". */
const foreign = [
  'store',
  'prediction',
  'prompt_cache_key',
  'prompt_cache_retention',
  'include',
  'truncation',
  'previous_response_id',
  'client_metadata',
  'background',
  'stream_options',
]
const spoken = new Set([...foreign, 'metadata', 'safety_identifier', 'thinking'])

/** The client's own words for Anthropic: everything the house does not model and no other dialect is known to mean. */
function ownExtras(extras: JsonObject): JsonObject {
  const own: JsonObject = {}
  for (const key in extras) if (!spoken.has(key)) own[key] = extras[key]
  return own
}

const isSaid = (value: Json | undefined): boolean =>
  value !== undefined &&
  value !== null &&
  value !== false &&
  !(isObject(value) && Object.keys(value).length === 0)

/** OpenAI's `default` is Anthropic's standard capacity; its `priority` the one that may use what was reserved. */
const tiers: Record<string, string | undefined> = {
  auto: 'auto',
  standard_only: 'standard_only',
  default: 'standard_only',
  priority: 'auto',
}
