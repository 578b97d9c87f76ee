import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { groupFor } from './admission.ts'
import { serveChat } from './chat.ts'
import type { Visit } from './routes.ts'

const { 'openai-chat': chat, 'openai-responses': responses } = wires

// Between the two nothing can pass unread.
const { native: _, ...told } = chat

/** Asked in Responses' words and answered in chat's, which is how Cursor's agent speaks to a model it is given an address of. */
const inResponses: Wire = {
  ...told,
  id: 'openai-responses',
  // Chat's own field: Responses always tells what it used, and refuses to be asked.
  decodeRequest: ({ stream_options: _, ...body }) => responses.decodeRequest(body),
}

/**
 * `POST /cursor/chat/completions`: a body of chat, or one of Responses at chat's path. Tools come in the form of either,
 * whatever the rest is in.
 */
export async function cursorChat(visit: Visit): Promise<Outgoing> {
  const { incoming, rooms, caller } = visit
  const { jsonDepth } = rooms.settings
  const said = parseObject(await incoming.body(), { ...requestBounds, maxDepth: jsonDepth })
  const { messages, input } = said
  const isChat = list(messages).length > 0 || (messages !== undefined && input === undefined)
  const body = { ...said, ...toolsIn(said, isChat), ...variantOf(said, isChat, visit) }
  if (!isChat) refuseNamed(body)
  const bytes = toUtf8(stringify(body))
  const inner: Incoming = { ...incoming, body: async () => bytes }
  return serveChat(inner, isChat ? chat : inResponses, rooms, caller)
}

/** Answers of chat have no name by which they could be gone on with. */
function refuseNamed(body: JsonObject): void {
  const name = ['previous_response_id', 'conversation', 'prompt', 'background'].find(
    (key) => body[key] !== undefined && body[key] !== null && body[key] !== false,
  )
  if (name !== undefined)
    throw new GatewayError(
      'bad_request',
      `'${name}' has no meaning at this path, whose answers are chat completions: send it to /v1/responses`,
      { param: name, type: 'invalid_request_error' },
    )
}

/**
 * Cursor adds how a model shall think to its name (`-thinking-high`) and `-fast`. A name that is served as it is stays; of
 * others the model without it is asked.
 */
function variantOf(said: JsonObject, isChat: boolean, { rooms, caller }: Visit): JsonObject {
  const name = text(said['model']) ?? ''
  const isServed = (model: string) => rooms.router.knows(groupFor(model, caller, rooms))
  if (name === '' || isServed(name)) return {}
  const bare = name.replace(/-fast$/, '')
  const at = bare.lastIndexOf('-thinking-')
  const level = at > 0 ? bare.slice(at + '-thinking-'.length) : ''
  const effort = efforts.has(level) ? level : undefined
  const model = effort === undefined ? bare : bare.slice(0, at)
  if (model === name || !isServed(model)) return {}
  if (effort === undefined) return { model }
  if (isChat) return { model, reasoning_effort: said['reasoning_effort'] ?? effort }
  const reasoning = object(said['reasoning'])
  return { model, reasoning: { ...reasoning, effort: reasoning['effort'] ?? effort } }
}
const efforts: ReadonlySet<string> = new Set([
  'none',
  'minimal',
  'low',
  'medium',
  'high',
  'xhigh',
  'max',
])

/** Tools, and which of them, in the form of the rest of the body. */
function toolsIn(said: JsonObject, isChat: boolean): JsonObject {
  const { tools, tool_choice: choice } = said
  return {
    ...(Array.isArray(tools) && { tools: tools.map((one) => inForm(one, isChat)) }),
    ...(isObject(choice) && { tool_choice: inForm(choice, isChat) }),
  }
}

const fields: Readonly<Record<string, readonly string[]>> = {
  function: ['name', 'description', 'parameters', 'strict'],
  custom: ['name', 'description', 'format'],
}

/** Chat puts what a tool is below its type, Responses beside it. Of a tool that says both, what is below counts. */
function inForm(tool: Json, isChat: boolean): Json {
  const type = isObject(tool) ? text(tool['type']) : undefined
  if (!isObject(tool) || type === undefined || !Object.hasOwn(fields, type)) return tool
  const names = fields[type] ?? []
  const both = { ...tool, ...object(tool[type]) }
  const about: JsonObject = {}
  for (const name of names) {
    const value = both[name]
    if (value !== undefined) about[name] = name === 'format' ? grammarIn(value, isChat) : value
  }
  if (about['name'] === undefined) return tool
  const rest = Object.entries(tool).filter(([key]) => key !== type && !names.includes(key))
  return { ...Object.fromEntries(rest), ...(isChat ? { [type]: about } : about) }
}

function grammarIn(format: Json, isChat: boolean): Json {
  if (!isObject(format) || format['type'] !== 'grammar') return format
  const { type, grammar, ...beside } = format
  const about = { ...beside, ...object(grammar) }
  return isChat ? { type, grammar: about } : { type, ...about }
}
