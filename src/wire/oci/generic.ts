import type {
  ChatRequest,
  Effort,
  Message,
  OutputFormat,
  Part,
  Role,
  ToolChoice,
} from '../../chat/chat.ts'
import { compact, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { customInput } from '../anthropic/blocks.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { refuseMedia, textOfFile } from '../cohere/media.ts'
import { limitOf } from '../tgi/request.ts'
import type { Target } from '../wire.ts'

export type Chat = { chatRequest: JsonObject; custom: ReadonlySet<string> }

/** OpenAI's models refuse maxTokens, gpt-oss on Oracle's own servers does not. */
const takesCompletionTokens = ({ model, info }: Target): boolean =>
  /^openai\./i.test(model) ? !/^openai\.gpt-oss/i.test(model) : info.supports_reasoning === true

export function encodeGeneric(request: ChatRequest, to: Target, dropped: string[]): Chat {
  const { toolChoice } = request
  // A choice of some, and nothing else, is made by leaving out the others.
  const { tools, custom } = encodeFunctions(
    typeof toolChoice === 'object' && 'name' in toolChoice
      ? { ...request, toolChoice: 'auto' }
      : request,
    dropped,
  )
  const limit = limitOf(request.maxTokens, to)
  const fewer = takesCompletionTokens(to)
  return {
    custom,
    chatRequest: compact({
      apiFormat: 'GENERIC',
      messages: request.messages.flatMap((message) => encodeMessage(message, to, dropped)),
      isStream: request.stream,
      streamOptions: request.stream ? { isIncludeUsage: true } : undefined,
      maxTokens: fewer ? undefined : limit,
      maxCompletionTokens: fewer ? limit : undefined,
      temperature: request.temperature,
      topP: request.topP,
      topK: request.topK,
      seed: request.seed,
      stop: request.stop,
      presencePenalty: request.presencePenalty,
      frequencyPenalty: request.frequencyPenalty,
      numGenerations: request.n,
      logitBias: request.logitBias,
      logProbs: request.logprobs ? (request.topLogprobs ?? 1) : undefined,
      reasoningEffort: encodeEffort(request.reasoning?.effort),
      verbosity: request.verbosity?.toUpperCase(),
      responseFormat: encodeOutput(request.output),
      isParallelToolCalls: tools.length > 0 ? request.parallelTools : undefined,
      tools:
        tools.length > 0
          ? tools.map((tool) => ({ type: 'FUNCTION', ...object(tool.function) }))
          : undefined,
      toolChoice: tools.length > 0 ? encodeChoice(toolChoice) : undefined,
    }),
  }
}

const roles = {
  system: 'SYSTEM',
  developer: 'SYSTEM',
  user: 'USER',
  assistant: 'ASSISTANT',
  tool: 'TOOL',
} as const satisfies Record<Role, string>

function encodeMessage(message: Message, to: Target, dropped: string[]): JsonObject[] {
  const out: JsonObject[] = []
  for (const part of message.parts)
    if (part.type === 'tool-result')
      out.push({
        role: 'TOOL',
        toolCallId: part.id,
        content: contentOf(part.parts, to, dropped),
      })
  const said = contentOf(
    message.parts.filter(({ type }) => type !== 'tool-result'),
    to,
    dropped,
  )
  const calls = message.parts.flatMap((part) =>
    part.type === 'tool-call'
      ? [
          {
            id: part.id,
            type: 'FUNCTION',
            name: part.name,
            arguments:
              part.kind === 'custom'
                ? JSON.stringify({ [customInput]: part.input })
                : part.input || '{}',
          },
        ]
      : [],
  )
  if (said.length === 0 && calls.length === 0) return out
  out.push(
    compact({
      role: message.role === 'tool' ? 'USER' : roles[message.role],
      name: message.name,
      content: said.length > 0 ? said : undefined,
      toolCalls: calls.length > 0 ? calls : undefined,
    }),
  )
  return out
}

function contentOf(parts: readonly Part[], to: Target, dropped: string[]): JsonObject[] {
  return parts.flatMap((part): JsonObject[] => {
    switch (part.type) {
      case 'text':
      case 'refusal':
        return part.text === '' ? [] : [{ type: 'TEXT', text: part.text }]
      case 'media': {
        const { source } = part
        if (part.media === 'image' && source.type !== 'id') {
          const url =
            source.type === 'url' ? source.url : `data:${source.mime};base64,${source.base64}`
          const detail = part.detail?.toUpperCase()
          return [{ type: 'IMAGE', imageUrl: compact({ url, detail }) }]
        }
        const words = textOfFile(part)
        if (words !== undefined) return [{ type: 'TEXT', text: words }]
        refuseMedia(part, to, 'text or an image', dropped)
        return []
      }
      case 'raw':
        dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
        return []
      case 'reasoning':
      case 'tool-call':
      case 'tool-result':
        return []
    }
  })
}

/** Four levels and none. */
const efforts: Partial<Record<Effort, string>> = {
  none: 'NONE',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
}
const encodeEffort = (effort: Effort | undefined): string | undefined =>
  effort === undefined ? undefined : efforts[effort]

function encodeChoice(choice: ToolChoice | undefined): Json | undefined {
  if (choice === undefined) return undefined
  if (typeof choice === 'string') return { type: choice.toUpperCase() }
  return 'name' in choice
    ? { type: 'FUNCTION', name: choice.name }
    : { type: choice.mode.toUpperCase() }
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  switch (output?.type) {
    case undefined:
      return undefined
    case 'text':
      return { type: 'TEXT' }
    case 'json':
      return { type: 'JSON_OBJECT' }
    case 'schema': {
      const { name, description, schema, strict } = output
      return {
        type: 'JSON_SCHEMA',
        jsonSchema: compact({ name, description, schema, isStrict: strict }),
      }
    }
  }
}
