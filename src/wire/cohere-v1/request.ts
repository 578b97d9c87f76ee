import type { ChatRequest, OutputFormat } from '../../chat/chat.ts'
import { compact, type JsonObject } from '../../json/json.ts'
import { encodeFunctions } from '../cohere/functions.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { ownFields } from '../tgi/request.ts'
import type { Encoded, Target } from '../wire.ts'
import { encodeConversation, encodeTools, type Spelling } from './turns.ts'

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  const own = ownFields(request, dropped)
  const { tools, custom } = encodeFunctions(request, dropped)
  const { preamble, turns } = encodeConversation(request, to, dropped, spelling)
  const body = compact({
    ...own,
    ...passed,
    model: to.model,
    ...turns,
    preamble,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    p: request.topP,
    k: request.topK,
    seed: request.seed,
    stop_sequences: request.stop,
    presence_penalty: request.presencePenalty || undefined,
    frequency_penalty: request.frequencyPenalty || undefined,
    response_format: encodeOutput(request.output),
    tools: encodeTools(tools, spelling),
    stream: request.stream || undefined,
  })
  return {
    body,
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model, ...(custom.size > 0 && { customTools: custom }) },
  }
}

const known: ReadonlySet<string> = new Set(
  `temperature top_p top_k seed stop presence_penalty frequency_penalty tools response_format`.split(
    ' ',
  ),
)

const spelling: Spelling = {
  history: 'chat_history',
  calls: 'tool_calls',
  results: 'tool_results',
  definitions: 'parameter_definitions',
  required: 'required',
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  if (output === undefined || output.type === 'text') return undefined
  return compact({
    type: 'json_object',
    schema: output.type === 'schema' ? output.schema : undefined,
  })
}
