import type { ChatRequest, Message, Part, ToolCallPart } from '../../chat/chat.ts'
import { compact, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { parseInput, parseOr } from '../anthropic/blocks.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { refuseMedia, textOfFile } from '../cohere/media.ts'
import { ownFields } from '../tgi/request.ts'
import type { Encoded, Notes, Target } from '../wire.ts'

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  const own = ownFields(request, dropped)
  const { tools, custom, must } = encodeFunctions(request, dropped)
  const functions = tools.map((tool) => object(tool.function))
  const { output, toolChoice, temperature } = request
  const schema = output?.type === 'schema' ? output : undefined
  // Structured answers are the input of a function, as LiteLLM asks for them; with functions of the client's, of its choice.
  if (schema)
    functions.push(
      compact({
        name: schema.name,
        description: schema.description ?? 'The answer, in this structure.',
        parameters: schema.schema,
      }),
    )
  const only = functions.length === 1 ? functions[0] : undefined
  const choice = schema
    ? tools.length === 0
      ? { name: schema.name }
      : 'auto'
    : must && only
      ? { name: only.name }
      : toolChoice === 'none'
        ? 'none'
        : undefined
  // It cannot be made to call one of several.
  if (must && !only) dropped.push('tool_choice')
  const notes: Notes = {
    model: to.model,
    ...(custom.size > 0 && { customTools: custom }),
    ...(schema && { outputTool: schema.name }),
  }
  return {
    body: compact({
      ...own,
      ...passed,
      model: to.model,
      messages: encodeMessages(request.messages, to, dropped),
      functions: functions.length > 0 ? functions : undefined,
      function_call: functions.length > 0 ? choice : undefined,
      max_tokens: request.maxTokens,
      // "temperature must be above 0": the likeliest word is had by a top_p of nothing.
      temperature: temperature === 0 ? undefined : temperature,
      top_p: temperature === 0 ? 0 : request.topP,
      stream: request.stream || undefined,
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes,
  }
}

const known: ReadonlySet<string> = new Set(
  `temperature top_p tools tool_choice response_format`.split(' '),
)

/** Instructions stand first and once. A result is told by its function's name, and has to be JSON. */
function encodeMessages(messages: readonly Message[], to: Target, dropped: string[]): JsonObject[] {
  const instructions: string[] = []
  const turns: JsonObject[] = []
  const names = new Map<string, string>()
  for (const message of messages) {
    const { text: words, attachments } = contentOf(message.parts, to, dropped)
    if (message.role === 'system' || message.role === 'developer') {
      if (words !== '') instructions.push(words)
      continue
    }
    for (const part of message.parts)
      if (part.type === 'tool-result')
        turns.push(
          compact({
            role: 'function',
            name: part.name ?? names.get(part.id),
            content: asJson(contentOf(part.parts, to, dropped).text),
          }),
        )
    const calls = message.parts.filter((part) => part.type === 'tool-call')
    for (const call of calls) names.set(call.id, call.name)
    if (words === '' && calls.length === 0 && attachments.length === 0) continue
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const state = text(message.extras?.functions_state_id)
    turns.push(
      compact({
        role,
        content: words,
        function_call: calls[0] && encodeCall(calls[0]),
        functions_state_id: state,
        attachments: attachments.length > 0 ? attachments : undefined,
      }),
    )
    // One call a turn: the others stand in turns of their own.
    for (const call of calls.slice(1))
      turns.push({ role, content: '', function_call: encodeCall(call) })
  }
  const system = instructions.join('\n\n')
  return paired(system === '' ? turns : [{ role: 'system', content: system }, ...turns])
}

const encodeCall = ({ name, input, kind }: ToolCallPart): JsonObject => ({
  name,
  arguments: parseInput(input || '{}', kind),
})

/** A result right behind its call, where several calls were made at once. */
function paired(turns: readonly JsonObject[]): JsonObject[] {
  const out: JsonObject[] = []
  const waiting = [...turns]
  for (let turn = waiting.shift(); turn; turn = waiting.shift()) {
    out.push(turn)
    const name = object(turn.function_call).name
    if (name === undefined) continue
    const end = waiting.findIndex(
      ({ role, function_call }) => role !== 'function' && function_call === undefined,
    )
    const near = end === -1 ? waiting : waiting.slice(0, end)
    const at = near.findIndex((one) => one.role === 'function' && one.name === name)
    if (at > 0) out.push(...waiting.splice(at, 1))
  }
  return out
}

function asJson(said: string): string {
  const value: Json | undefined = parseOr(said)
  return value === undefined ? JSON.stringify(said) : said
}

function contentOf(
  parts: readonly Part[],
  to: Target,
  dropped: string[],
): { text: string; attachments: string[] } {
  const words: string[] = []
  const attachments: string[] = []
  for (const part of parts)
    switch (part.type) {
      case 'text':
      case 'refusal':
        words.push(part.text)
        break
      case 'media': {
        const file = textOfFile(part)
        if (file !== undefined) words.push(file)
        else if (part.source.type === 'id') attachments.push(part.source.id)
        else refuseMedia(part, to, "text, or the id of a file in GigaChat's own storage", dropped)
        break
      }
      case 'raw':
        dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
        break
      case 'reasoning':
      case 'tool-call':
      case 'tool-result':
        break
    }
  return { text: words.filter((word) => word !== '').join('\n'), attachments }
}
