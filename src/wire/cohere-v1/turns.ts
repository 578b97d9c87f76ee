import type { ChatRequest, Message, ToolCallPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, type JsonObject, list, object, text } from '../../json/json.ts'
import { parseInput } from '../anthropic/blocks.ts'
import { refuseMedia } from '../cohere/media.ts'
import { wordsOf } from '../replicate/prompt.ts'
import type { Target } from '../wire.ts'

/** How the fields are called: in Cohere's own API, and in Oracle's, which says the same. */
export type Spelling = {
  history: string
  calls: string
  results: string
  definitions: string
  required: string
}

/** Cohere's older chat: the last question apart from what was said before it. */
export function encodeConversation(
  { messages }: ChatRequest,
  to: Target,
  dropped: string[],
  names: Spelling,
): { preamble: string | undefined; turns: JsonObject } {
  const isInstruction = ({ role }: Message) => role === 'system' || role === 'developer'
  const preamble = messages
    .filter(isInstruction)
    .map((message) => said(message, to, dropped))
    .join('\n')
  const turns = messages.filter((message) => !isInstruction(message))
  return { preamble: preamble || undefined, turns: encodeTurns(turns, to, dropped, names) }
}

const said = ({ parts }: Message, to: Target, dropped: string[]): string =>
  parts
    .filter(({ type }) => type !== 'tool-call' && type !== 'tool-result')
    .flatMap((part) => wordsOf(part, (media) => refuseMedia(media, to, 'text', dropped), dropped))
    .join('\n')

/** Results of the calls before them end a conversation with an empty message (docs.cohere.com, v1 tool use, 2026-11). */
function encodeTurns(
  turns: readonly Message[],
  to: Target,
  dropped: string[],
  names: Spelling,
): JsonObject {
  const calls = new Map<string, ToolCallPart>()
  const history: JsonObject[] = []
  let results: JsonObject[] = []
  let message = ''
  for (const turn of turns) {
    const words = said(turn, to, dropped)
    const called = turn.parts.filter((part) => part.type === 'tool-call')
    for (const call of called) calls.set(call.id, call)
    const answers = turn.parts.flatMap((part) => {
      if (part.type !== 'tool-result') return []
      const output = part.parts
        .flatMap((inner) =>
          wordsOf(inner, (media) => refuseMedia(media, to, 'text', dropped), dropped),
        )
        .join('\n')
      const call = calls.get(part.id)
      return [{ call: encodeCall(call, part.name), outputs: [{ output }] }]
    })
    results.push(...answers)
    if (words === '' && called.length === 0) continue
    if (results.length > 0) {
      history.push({ role: 'TOOL', [names.results]: results })
      results = []
    }
    if (message !== '') history.push({ role: 'USER', message })
    message = ''
    if (turn.role === 'assistant')
      history.push(
        compact({
          role: 'CHATBOT',
          message: words,
          [names.calls]: called.length > 0 ? called.map((call) => encodeCall(call)) : undefined,
        }),
      )
    else message = words
  }
  if (message === '' && results.length === 0)
    throw new GatewayError(
      'bad_request',
      'messages: the last message has to be a question or the result of a tool; add a user message',
      { param: 'messages' },
    )
  // Results wait for their turn, unless a question came after them.
  if (message !== '' && results.length > 0) history.push({ role: 'TOOL', [names.results]: results })
  return compact({
    message,
    [names.history]: history.length > 0 ? history : undefined,
    [names.results]: message === '' ? results : undefined,
  })
}

const encodeCall = (call: ToolCallPart | undefined, name = ''): JsonObject => ({
  name: call?.name ?? name,
  parameters: call ? parseInput(call.input, call.kind) : {},
})

/** Python's names of JSON's types. */
const types: Record<string, string | undefined> = {
  string: 'str',
  integer: 'int',
  number: 'float',
  boolean: 'bool',
  array: 'list',
  object: 'dict',
}

/** Tools by lists of parameters. */
export const encodeTools = (
  tools: readonly JsonObject[],
  names: Spelling,
): JsonObject[] | undefined =>
  tools.length > 0 ? tools.map((tool) => encodeTool(object(tool.function), names)) : undefined

function encodeTool({ name, description, parameters }: JsonObject, names: Spelling): JsonObject {
  const { properties, required } = object(parameters)
  const needed = new Set(list(required))
  const definitions: JsonObject = {}
  for (const [key, value] of Object.entries(object(properties))) {
    const schema = object(value)
    const type = text(schema.type) ?? 'string'
    if (key === '__proto__') continue
    definitions[key] = {
      description: describe(schema),
      type: types[type] ?? type,
      [names.required]: needed.has(key),
    }
  }
  return { name: name ?? '', description: description ?? '', [names.definitions]: definitions }
}

/** What the definition has no field for is told in words. */
function describe({ description, type: _, ...rest }: JsonObject): string {
  const more = Object.keys(rest).length > 0 ? `Schema: ${JSON.stringify(rest)}` : ''
  return [text(description), more].filter(Boolean).join('. ')
}
