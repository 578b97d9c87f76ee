import type { ChatRequest, Message, OutputFormat, ToolCallPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, type JsonObject, list, object, text } from '../../json/json.ts'
import { parseInput } from '../anthropic/blocks.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { refuseMedia } from '../cohere/media.ts'
import { wordsOf } from '../replicate/prompt.ts'
import { limitOf } from '../tgi/request.ts'
import type { Target } from '../wire.ts'
import type { Chat } from './generic.ts'

/** Cohere's older chat: the last question apart from what was said before it, and tools by lists of parameters. */
export function encodeCohere(request: ChatRequest, to: Target, dropped: string[]): Chat {
  const { tools, custom } = encodeFunctions(request, dropped)
  const isInstruction = ({ role }: Message) => role === 'system' || role === 'developer'
  const preamble = request.messages
    .filter(isInstruction)
    .map((message) => said(message, to, dropped))
    .join('\n')
  const turns = request.messages.filter((message) => !isInstruction(message))
  return {
    custom,
    chatRequest: compact({
      apiFormat: 'COHERE',
      ...encodeTurns(turns, to, dropped),
      preambleOverride: preamble || undefined,
      isStream: request.stream,
      streamOptions: request.stream ? { isIncludeUsage: true } : undefined,
      maxTokens: limitOf(request.maxTokens, to),
      temperature: request.temperature,
      topP: request.topP,
      topK: request.topK,
      seed: request.seed,
      stopSequences: request.stop,
      presencePenalty: request.presencePenalty,
      frequencyPenalty: request.frequencyPenalty,
      responseFormat: encodeOutput(request.output),
      tools: tools.length > 0 ? tools.map((tool) => encodeTool(object(tool.function))) : undefined,
    }),
  }
}

const said = ({ parts }: Message, to: Target, dropped: string[]): string =>
  parts
    .filter(({ type }) => type !== 'tool-call' && type !== 'tool-result')
    .flatMap((part) => wordsOf(part, (media) => refuseMedia(media, to, 'text', dropped), dropped))
    .join('\n')

/** Results of the calls before them end a conversation with an empty message (docs.cohere.com, v1 tool use, 2026-11). */
function encodeTurns(turns: readonly Message[], to: Target, dropped: string[]): JsonObject {
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
      history.push({ role: 'TOOL', toolResults: results })
      results = []
    }
    if (message !== '') history.push({ role: 'USER', message })
    message = ''
    if (turn.role === 'assistant')
      history.push(
        compact({
          role: 'CHATBOT',
          message: words,
          toolCalls: called.length > 0 ? called.map((call) => encodeCall(call)) : undefined,
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
  if (message !== '' && results.length > 0) history.push({ role: 'TOOL', toolResults: results })
  return compact({
    message,
    chatHistory: history.length > 0 ? history : undefined,
    toolResults: message === '' ? results : undefined,
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

function encodeTool({ name, description, parameters }: JsonObject): JsonObject {
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
      isRequired: needed.has(key),
    }
  }
  return { name: name ?? '', description: description ?? '', parameterDefinitions: definitions }
}

/** What the definition has no field for is told in words. */
function describe({ description, type: _, ...rest }: JsonObject): string {
  const more = Object.keys(rest).length > 0 ? `Schema: ${JSON.stringify(rest)}` : ''
  return [text(description), more].filter(Boolean).join('. ')
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  if (output === undefined) return undefined
  if (output.type === 'text') return { type: 'TEXT' }
  return compact({
    type: 'JSON_OBJECT',
    schema: output.type === 'schema' ? output.schema : undefined,
  })
}
