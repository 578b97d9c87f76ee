import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { unsupported } from '../openai-chat/adapt.ts'
import { isOpenAis, openAis } from '../signatures.ts'
import type { Target } from '../wire.ts'
import { abilitiesOf, versionOf } from './abilities.ts'
import { isEffort } from './request.ts'
import { budgets, effortWord, leastBudget } from './thinking.ts'
import { isForced } from './tools.ts'
import { lostThought } from './turns.ts'

/**
 * The same wire on both sides. Claude Code takes a name it does not know for the newest model: behind an alias it sends
 * adaptive thinking, effort and system messages between the others, which older models answer with 400. Those, and what
 * a row's quirks name, are changed on the JSON; everything else passes.
 */
export function requestKeys(to: Target): ReadonlySet<string> {
  const keys = new Set<string>([
    ...(to.quirks.unsupported ?? []),
    ...Object.keys(to.quirks.rename ?? {}),
  ])
  if (to.quirks.dropBookkeeping) keys.add('metadata')
  if (isOlder(to)) for (const key of ['thinking', 'output_config']) keys.add(key)
  return keys
}

/** Only what is known to be a Claude: about others nothing can be said. */
function isOlder(to: Target): boolean {
  const { adaptive, midSystem } = abilitiesOf(to)
  return versionOf(to.model) !== undefined && !(adaptive && midSystem)
}

/** A conversation that a model of OpenAI's had part in. */
export const requestWords = (): readonly string[] => [`"${openAis}`]

export function adaptRequest(body: JsonObject, to: Target): string[] {
  const dropped = dropUnsupported(body, to)
  dropForeignThoughts(body, dropped)
  for (const [name, other] of Object.entries(to.quirks.rename ?? {})) {
    if (body[name] === undefined) continue
    body[other] ??= body[name]
    delete body[name]
  }
  if (to.quirks.dropBookkeeping) delete body.metadata
  if (isOlder(to)) {
    adaptThinking(body, to, dropped)
    hoistSystem(body, to)
  }
  return dropped
}

/** The API refuses a thought that it has not signed, and a turn without a block. */
function dropForeignThoughts(body: JsonObject, dropped: string[]): void {
  const isForeign = (block: Json): boolean => isOpenAis(text(object(block).signature) ?? '')
  const messages = list(body.messages)
  if (!messages.some((message) => list(object(message).content).some(isForeign))) return
  const turns = messages.flatMap((message) => {
    const { content, ...rest } = object(message)
    if (!Array.isArray(content)) return [message]
    const kept = content.filter((block) => !isForeign(block))
    return kept.length > 0 ? [{ ...rest, content: kept }] : []
  })
  body.messages = turns
  const blocked = turns.map((turn) => {
    const { role, content } = object(turn)
    return { role: text(role) ?? '', content: list(content).map(object) }
  })
  if (object(body.thinking).type !== 'enabled' || !lostThought(blocked)) return
  delete body.thinking
  dropped.push('thinking')
}

function dropUnsupported(body: JsonObject, to: Target): string[] {
  const allowed = new Set(to.allowedParams)
  const found = (to.quirks.unsupported ?? []).filter(
    (key) => !allowed.has(key) && body[key] !== undefined,
  )
  const said = found.filter((key) => body[key] !== null)
  if (said.length > 0 && !to.dropParams) throw unsupported(to, said)
  for (const key of found) delete body[key]
  return said
}

function adaptThinking(body: JsonObject, to: Target, dropped: string[]): void {
  const abilities = abilitiesOf(to)
  const config = object(body.output_config)
  const effort = isEffort(config.effort) ? config.effort : undefined
  const thinking = object(body.thinking)
  if (thinking.type === 'adaptive' && !abilities.adaptive) {
    const room = number(body.max_tokens) ?? 0
    const budget = Math.min(budgets[effort ?? 'high'], room - 1)
    if (abilities.thinks && budget >= leastBudget && !isForced(object(body.tool_choice)))
      body.thinking = { ...thinking, type: 'enabled', budget_tokens: budget }
    else {
      delete body.thinking
      dropped.push('thinking')
    }
  }
  if (effort === undefined) return
  const word = abilities.effort ? effortWord(effort, abilities) : undefined
  if (word === effort) return
  const { effort: _, ...rest } = config
  if (word !== undefined) body.output_config = { ...rest, effort: word }
  else if (Object.keys(rest).length > 0) body.output_config = rest
  else delete body.output_config
  if (word === undefined) dropped.push('output_config.effort')
}

function hoistSystem(body: JsonObject, to: Target): void {
  if (abilitiesOf(to).midSystem || !Array.isArray(body.messages)) return
  const isSystem = (message: Json): boolean => object(message).role === 'system'
  const hoisted = body.messages.filter(isSystem)
  if (hoisted.length === 0) return
  body.messages = body.messages.filter((message) => !isSystem(message))
  body.system = [body.system, ...hoisted.map((message) => object(message).content)].flatMap(blocks)
}

const blocks = (content: Json | undefined): Json[] =>
  typeof content === 'string'
    ? content.trim() === ''
      ? []
      : [{ type: 'text', text: content }]
    : list(content).filter(isObject)
