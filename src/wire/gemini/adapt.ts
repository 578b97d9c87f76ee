import type { Effort } from '../../chat/chat.ts'
import { compact, isObject, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import { decodeRequest as decodeOpenai } from '../openai-chat/request.ts'
import { isOpenAis, openAis } from '../signatures.ts'
import type { Target } from '../wire.ts'
import { type Abilities, abilitiesOf } from './abilities.ts'
import { encodeGeneration } from './generation.ts'
import { at, camelOf, lookUp, restOf } from './keys.ts'
import { ownNames, spelt } from './request-out.ts'
import { planThinking } from './thinking.ts'
import { signFirstCall } from './turns.ts'

/**
 * The same wire on both sides. The model and whether to stream are in the path, so the body must not say them; a row's
 * parameters are in OpenAI's words; and a client that takes an alias for the newest model says things that older models
 * refuse. Everything else passes.
 */
export function requestKeys({ quirks }: Target): ReadonlySet<string> {
  const keys = new Set([...inPath, ...openaiNames, ...ownNames.map(snakeOf)])
  if (quirks.unsupported?.length) for (const key of configKeys) keys.add(key)
  return keys
}

/** What a model refuses shows itself by a word: a body without it passes unread. */
export function requestWords(to: Target): readonly string[] {
  const abilities = abilitiesOf(to)
  return [
    // A conversation that a model of OpenAI's had part in.
    `"${openAis}`,
    ...(abilities.levels ? [] : ['"thinkingLevel"', '"thinking_level"']),
    ...(abilities.sampling ? [] : ['"temperature"', '"topP"', '"top_p"', '"topK"', '"top_k"']),
  ]
}

export function adaptRequest(body: JsonObject, to: Target): string[] {
  const abilities = abilitiesOf(to)
  const dropped: string[] = []
  for (const key of inPath) delete body[key]
  keepFirstSpelling(body)
  dropForeignSignatures(body, abilities)
  const defaults = takeDefaults(body, abilities, dropped)
  const given = at(body, 'generationConfig')
  const said = isObject(given) ? (restOf(given, nothing) ?? {}) : {}
  const config = { ...defaults, ...said }
  const before = JSON.stringify(said)
  if (!abilities.levels) adaptThinking(config, abilities, dropped)
  if (!abilities.sampling) adaptSampling(config, to, dropped)
  dropped.push(...dropUnsupported(config, to))
  if (JSON.stringify(config) === before) return dropped
  delete body.generation_config
  if (Object.keys(config).length > 0) body.generationConfig = config
  else delete body.generationConfig
  return dropped
}

const inPath = ['model', 'stream']
const configKeys = ['generationConfig', 'generation_config']
const nothing: ReadonlySet<string> = new Set()
const snakeOf = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** OpenAI's parameters of which `generationConfig` has the like, and some that mean nothing here. */
const openaiNames =
  `temperature top_p top_k max_tokens max_completion_tokens stop seed n presence_penalty
  frequency_penalty logprobs top_logprobs response_format reasoning_effort thinking modalities audio user
  parallel_tool_calls logit_bias stream_options`.split(/\s+/)

/** A field in both spellings is refused; the client's own stands first. */
function keepFirstSpelling(body: JsonObject): void {
  const seen = new Set<string>()
  for (const key of Object.keys(body)) {
    const name = camelOf(key)
    if (seen.has(name)) delete body[key]
    seen.add(name)
  }
}

/** Takes a row's parameters out of the body, as `generationConfig` says them. */
function takeDefaults(body: JsonObject, abilities: Abilities, dropped: string[]): JsonObject {
  const found = openaiNames.filter((name) => body[name] !== undefined)
  if (found.length === 0) return {}
  const asked: JsonObject = { messages: [] }
  for (const name of found) {
    asked[name] = body[name]
    delete body[name]
  }
  const request = decodeOpenai(asked)
  const generation = encodeGeneration(request, abilities, { withOutput: true, clampTokens: false })
  dropped.push(...generation.dropped, ...generation.unsupported)
  return generation.config
}

/** Nobody but OpenAI can read what it has encrypted: sent to Google it would be a 400. */
function dropForeignSignatures(body: JsonObject, abilities: Abilities): void {
  for (const content of list(body.contents).map(object)) {
    const parts = list(content.parts).map(object)
    const foreign = parts.filter((part) => isOpenAis(text(at(part, 'thoughtSignature')) ?? ''))
    for (const part of foreign) {
      delete part.thoughtSignature
      delete part.thought_signature
    }
    if (abilities.third && foreign.length > 0 && content.role === 'model') signFirstCall(parts)
  }
}

/** A level becomes the budget that stands for the same effort. */
function adaptThinking(config: JsonObject, abilities: Abilities, dropped: string[]): void {
  const thinking = object(config.thinkingConfig)
  const effort = lookUp(efforts, text(at(thinking, 'thinkingLevel'))?.toUpperCase())
  if (at(thinking, 'thinkingLevel') === undefined) return
  const plan = planThinking({ ...empty, ...(effort && { reasoning: { effort } }) }, abilities)
  const shown = at(thinking, 'includeThoughts')
  const thinkingBudget = number(at(thinking, 'thinkingBudget')) ?? plan.config?.thinkingBudget
  if (abilities.thinks)
    config.thinkingConfig = compact({ thinkingBudget, includeThoughts: shown ?? undefined })
  else {
    delete config.thinkingConfig
    dropped.push('generationConfig.thinkingConfig')
  }
}

const efforts: Readonly<Record<string, Effort>> = {
  MINIMAL: 'minimal',
  LOW: 'low',
  MEDIUM: 'medium',
  HIGH: 'high',
}
const empty = { model: '', messages: [], tools: [], stream: false, extras: {} }

/** What the model starts from anyway is as good as unsaid; the rest it refuses itself, unless it may be dropped. */
function adaptSampling(config: JsonObject, to: Target, dropped: string[]): void {
  for (const [name, usual] of Object.entries(usuals)) {
    const value = config[name]
    if (value === undefined || to.allowedParams?.includes(snakeOf(name))) continue
    if (!usual.includes(Number(value))) {
      if (!to.dropParams) continue
      dropped.push(snakeOf(name))
    }
    delete config[name]
  }
}

const usuals: Readonly<Record<string, readonly number[]>> = {
  temperature: [1],
  topP: [0.95, 1],
  topK: [64],
}

/** What the row says the provider refuses: refused here with its name, or dropped where the operator asked for that. */
function dropUnsupported(config: JsonObject, to: Target): string[] {
  const found = (to.quirks.unsupported ?? []).filter((name) => {
    const value = config[spelt(name)]
    return value !== undefined && value !== null && !to.allowedParams?.includes(name)
  })
  if (found.length > 0 && !to.dropParams) throw unsupported(to, found)
  for (const name of found) delete config[spelt(name)]
  return found
}
