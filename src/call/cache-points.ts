import type { CacheHint, ChatRequest, Message, Part } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'

/*
 * `cache_control_injection_points`: where the gateway marks a prompt for the provider's cache, for clients that do not.
 * `{location: message, role: system}`, `{location: message, index: -1}`, `{location: tool_config}`.
 */

type Point = { tools: boolean; role?: string; index?: number; hint: CacheHint }

/** "A maximum of 4 blocks with cache_control may be provided." */
const marksMax = 4

export function markRequest(request: ChatRequest, points: readonly Json[]): ChatRequest {
  let left = marksMax - marksIn(request)
  const messages = [...request.messages]
  const tools = [...request.tools]
  for (const point of points.map(read)) {
    if (point.tools) {
      const last = tools.at(-1)
      if (left > 0 && last?.type === 'function' && !last.cache) {
        tools[tools.length - 1] = { ...last, cache: point.hint }
        left--
      }
      continue
    }
    for (const at of placesOf(
      point,
      messages.map(({ role }) => role),
    )) {
      const marked = left > 0 ? withMark(messages[at], point.hint) : undefined
      if (!marked) continue
      messages[at] = marked
      left--
    }
  }
  return { ...request, messages, tools }
}

/** The same in a body that passes as JSON: OpenAI's chat, or Anthropic's with its instructions apart. */
export function markBody(body: JsonObject, wire: string, points: readonly Json[]): void {
  if (wire !== 'openai-chat' && wire !== 'anthropic') return
  const isAnthropic = wire === 'anthropic'
  const messages = list(body.messages)
  const tools = list(body.tools)
  let left = marksMax - countMarks([body.system, messages, tools])
  for (const point of points.map(read)) {
    if (point.tools) {
      const last = tools.at(-1)
      if (left > 0 && isObject(last) && last.cache_control === undefined) {
        last.cache_control = spelt(point.hint)
        left--
      }
      continue
    }
    if (isAnthropic && point.role === 'system') {
      if (left > 0 && markField(body, 'system', point.hint)) left--
      continue
    }
    const roles = messages.map((message) => text(object(message).role) ?? '')
    for (const at of placesOf(point, roles)) {
      const message = messages[at]
      if (left > 0 && isObject(message) && markField(message, 'content', point.hint)) left--
    }
  }
}

function read(value: Json): Point {
  const { location, role, index, control } = object(value)
  const ttl = object(control).ttl
  // YAML written by hand has numbers in quotes.
  const at = typeof index === 'string' && /^-?\d{1,6}$/.test(index) ? Number(index) : number(index)
  return {
    tools: location === 'tool_config',
    ...(typeof role === 'string' && { role }),
    ...(at !== undefined && { index: at }),
    hint: ttl === '5m' || ttl === '1h' ? { ttl } : {},
  }
}

/** An index counts from the end below 0, and comes before a role. */
function placesOf({ role, index }: Point, roles: readonly string[]): number[] {
  if (index !== undefined) {
    const at = index < 0 ? roles.length + index : index
    return roles[at] === undefined ? [] : [at]
  }
  return roles.flatMap((one, at) => (one === role ? [at] : []))
}

type Markable = Exclude<Part, { type: 'reasoning' | 'refusal' | 'raw' }>
const isMarkable = (part: Part): part is Markable =>
  part.type !== 'reasoning' && part.type !== 'refusal' && part.type !== 'raw'

/** Undefined where it has a mark already, or nothing to mark. */
function withMark(message: Message | undefined, hint: CacheHint): Message | undefined {
  if (!message || message.parts.some((part) => isMarkable(part) && part.cache)) return undefined
  const at = message.parts.findLastIndex(isMarkable)
  const part = message.parts[at]
  if (!part || !isMarkable(part)) return undefined
  return { ...message, parts: message.parts.with(at, { ...part, cache: hint }) }
}

const marksIn = ({ messages, tools }: ChatRequest): number =>
  messages.flatMap(({ parts }) => parts.filter((part) => isMarkable(part) && part.cache)).length +
  tools.filter((tool) => tool.type === 'function' && tool.cache).length

const spelt = ({ ttl }: CacheHint): JsonObject => ({ type: 'ephemeral', ...(ttl && { ttl }) })

/** A text becomes a block, since a mark stands on one. */
function markField(holder: JsonObject, field: string, hint: CacheHint): boolean {
  const value = holder[field]
  if (countMarks([value]) > 0) return false
  if (typeof value === 'string' && value !== '') {
    holder[field] = [{ type: 'text', text: value, cache_control: spelt(hint) }]
    return true
  }
  const last = list(value).findLast(isObject)
  if (!last || last.type === 'thinking' || last.type === 'redacted_thinking') return false
  last.cache_control = spelt(hint)
  return true
}

/** Marks stand on messages, on their blocks, on blocks in results and on tools. */
function countMarks(values: readonly (Json | undefined)[], depth = 0): number {
  if (depth > 6) return 0
  let count = 0
  for (const value of values) {
    if (Array.isArray(value)) count += countMarks(value, depth + 1)
    else if (isObject(value)) {
      if (isObject(value.cache_control)) count++
      count += countMarks([value.content, value.function], depth + 1)
    }
  }
  return count
}
