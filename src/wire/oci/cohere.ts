import type { ChatRequest, OutputFormat } from '../../chat/chat.ts'
import { compact, type JsonObject } from '../../json/json.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { encodeConversation, encodeTools, type Spelling } from '../cohere-v1/turns.ts'
import { limitOf } from '../tgi/request.ts'
import type { Target } from '../wire.ts'
import type { Chat } from './generic.ts'

/** Cohere's older chat: the last question apart from what was said before it, and tools by lists of parameters. */
export function encodeCohere(request: ChatRequest, to: Target, dropped: string[]): Chat {
  const { tools, custom } = encodeFunctions(request, dropped)
  const { preamble, turns } = encodeConversation(request, to, dropped, spelling)
  return {
    custom,
    chatRequest: compact({
      apiFormat: 'COHERE',
      ...turns,
      preambleOverride: preamble,
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
      tools: encodeTools(tools, spelling),
    }),
  }
}

const spelling: Spelling = {
  history: 'chatHistory',
  calls: 'toolCalls',
  results: 'toolResults',
  definitions: 'parameterDefinitions',
  required: 'isRequired',
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  if (output === undefined) return undefined
  if (output.type === 'text') return { type: 'TEXT' }
  return compact({
    type: 'JSON_OBJECT',
    schema: output.type === 'schema' ? output.schema : undefined,
  })
}
