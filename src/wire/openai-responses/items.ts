import type { Message, Part, RawPart, Role } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { extrasOf, isObject, type Json, type JsonObject, text } from '../../json/json.ts'
import { summaryOf } from './compaction.ts'
import { decodeContent, itemWire } from './content.ts'
import { flatName } from './names.ts'
import { decodeThought } from './thoughts.ts'

/**
 * What was said so far. A turn of the model comes as several items (thoughts, words, calls), which together are one
 * message: other wires want a turn whole.
 */
export function decodeInput(body: JsonObject): Message[] {
  const talk = createTalk()
  if (typeof body.instructions === 'string' && body.instructions !== '')
    talk.say({ role: 'system', parts: [{ type: 'text', text: body.instructions }] })
  else if (Array.isArray(body.instructions)) addItems(body.instructions, talk, 'instructions')
  const { input } = body
  if (typeof input === 'string') talk.say({ role: 'user', parts: decodeContent(input) })
  else if (Array.isArray(input)) addItems(input, talk, 'input')
  else if (input !== undefined && input !== null)
    throw invalid("'input' must be a string or a list of input items.", 'input')
  else if (!elsewhere.some((key) => isSaid(body[key])))
    throw invalid("Missing required parameter: 'input'.", 'input')
  return talk.end()
}

/** Where the conversation may be instead, at the provider. */
const elsewhere = ['previous_response_id', 'prompt', 'conversation']
const isSaid = (value: Json | undefined): boolean => value !== undefined && value !== null

type Talk = ReturnType<typeof createTalk>

/**
 * Items that only this wire understands stay between the others, in a message of the model's or in the one that
 * follows: alone they would be an empty message to everyone else.
 */
function createTalk() {
  const messages: Message[] = []
  let waiting: RawPart[] = []
  function say(message: Message): void {
    const last = messages.at(-1)
    if (message.role !== 'tool' && waiting.length > 0) {
      message.parts.unshift(...waiting)
      waiting = []
    }
    if (message.role === 'assistant' && last?.role === 'assistant')
      for (const part of message.parts) last.parts.push(part)
    else messages.push(message)
  }
  return {
    say,
    keep(value: JsonObject): void {
      const part: RawPart = { type: 'raw', wire: itemWire, value }
      const last = messages.at(-1)
      if (last?.role === 'assistant') last.parts.push(part)
      else waiting.push(part)
    },
    end(): Message[] {
      const last = messages.findLast(({ role }) => role !== 'tool')
      if (waiting.length > 0 && last) last.parts.push(...waiting)
      else if (waiting.length > 0) messages.push({ role: 'user', parts: waiting })
      return messages
    },
  }
}

function addItems(items: readonly Json[], talk: Talk, place: string): void {
  items.forEach((item, at) => {
    if (typeof item === 'string') talk.say({ role: 'user', parts: decodeContent(item) })
    else if (isObject(item)) {
      const message = decodeItem(item, `${place}[${at}]`)
      if (message) talk.say(message)
      else talk.keep(item)
    } else throw invalid(`'${place}[${at}]' must be an input item: an object.`, 'input')
  })
}

/** Undefined for an item that only this wire understands. */
function decodeItem(item: JsonObject, place: string): Message | undefined {
  switch (item.type) {
    case 'message':
      return decodeMessage(item, place)
    case 'reasoning':
      return { role: 'assistant', parts: [decodeThought(item)] }
    case 'function_call':
    case 'custom_tool_call':
      return { role: 'assistant', parts: [decodeCall(item)] }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return { role: 'tool', parts: [decodeOutput(item)] }
    case 'compaction': {
      const summary = summaryOf(item)
      return summary && decodeMessage(summary, place)
    }
    case undefined:
    case null:
      return item.role === undefined ? undefined : decodeMessage(item, place)
    default:
      return undefined
  }
}

const roles: ReadonlyMap<unknown, Role> = new Map<unknown, Role>([
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['system', 'system'],
  ['developer', 'developer'],
])

function decodeMessage(item: JsonObject, place: string): Message {
  // Spelt as in chat, by clients that mix the two.
  if (item.role === 'tool') {
    const { tool_call_id: call_id, content: output, name } = item
    return { role: 'tool', parts: [decodeOutput({ call_id, output, name })] }
  }
  const role = roles.get(item.role)
  if (role === undefined)
    throw invalid(
      `'${place}.role' must be 'user', 'assistant', 'system' or 'developer'.`,
      `${place}.role`,
    )
  const parts = decodeContent(item.content)
  if (role !== 'assistant') return { role, parts }
  const own = extrasOf(item, knownOfMessage)
  return {
    role,
    parts: own
      ? parts.map((part) =>
          part.type === 'text' ? { ...part, extras: { ...part.extras, ...own } } : part,
        )
      : parts,
  }
}
const knownOfMessage = new Set(['type', 'role', 'content', 'status'])

/** A call, said by the model or repeated by the client. The other fields of a namespaced one restore its own name. */
export function decodeCall(item: JsonObject): Extract<Part, { type: 'tool-call' }> {
  const custom = item.type === 'custom_tool_call'
  const name = text(item.name) ?? ''
  const namespace = text(item.namespace)
  const extras = extrasOf(item, namespace ? knownOfNamespacedCall : knownOfCall)
  return {
    type: 'tool-call',
    id: text(item.call_id) ?? text(item.id) ?? '',
    name: namespace ? flatName(namespace, name) : name,
    input: written(custom ? item.input : item.arguments),
    ...(custom && { kind: 'custom' }),
    ...(extras && { extras }),
  }
}
const knownOfNamespacedCall = new Set(['type', 'call_id', 'arguments', 'input', 'status'])
const knownOfCall = new Set([...knownOfNamespacedCall, 'name'])

/** Arguments are JSON text; some clients send the object itself. */
function written(value: Json | undefined): string {
  if (typeof value === 'string') return value
  if (value === undefined || value === null) return ''
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the input of a call is nested too deeply', { cause })
  }
}

function decodeOutput(item: JsonObject): Part {
  const custom = item.type === 'custom_tool_call_output'
  const { output } = item
  const name = text(item.name)
  const extras = extrasOf(item, knownOfOutput)
  return {
    type: 'tool-result',
    id: text(item.call_id) ?? name ?? '',
    ...(name !== undefined && { name }),
    parts: decodeContent(Array.isArray(output) ? output : written(output)),
    failed: false,
    ...(custom && { kind: 'custom' }),
    ...(extras && { extras }),
  }
}
const knownOfOutput = new Set(['type', 'call_id', 'name', 'output', 'status'])

const invalid = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, { param, type: 'invalid_request_error' })
