import type { ChatRequest, OutputFormat } from '../../chat/chat.ts'
import { compact, type JsonObject, number } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import type { Encoded, Target } from '../wire.ts'
import { encodePrompt } from './prompt.ts'

/** `{inputs, parameters}` of Hugging Face's Text Generation Inference, and of who is compatible with it. */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  const { n = 1, temperature, topP, maxTokens } = request
  const parameters = compact({
    return_full_text: false,
    // Why it ended and how long it is.
    details: true,
    ...ownFields(request, dropped),
    ...passed,
    // Of several, each has to be drawn.
    best_of: n > 1 ? n : undefined,
    do_sample: n > 1 ? true : temperature === 0 ? false : undefined,
    max_new_tokens: Math.max(limitOf(maxTokens, to) ?? 1, 1),
    // "must be strictly positive", and top_p below 1: what is beyond means the same as nothing said.
    temperature: temperature === 0 ? undefined : temperature,
    top_p: topP !== undefined && topP > 0 && topP < 1 ? topP : undefined,
    top_k: request.topK || undefined,
    seed: request.seed,
    stop: request.stop && request.stop.length > 0 ? request.stop : undefined,
    frequency_penalty: request.frequencyPenalty || undefined,
    grammar: encodeGrammar(request.output),
  })
  if (limitOf(maxTokens, to) === undefined) delete parameters.max_new_tokens
  return {
    body: compact({
      inputs: encodePrompt(request.messages, to, dropped),
      parameters,
      stream: request.stream || undefined,
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

const known: ReadonlySet<string> = new Set(
  `temperature top_p top_k seed stop n frequency_penalty response_format`.split(' '),
)

export const limitOf = (asked: number | undefined, { info, quirks }: Target): number | undefined =>
  asked ??
  (quirks.maxTokensDefault === undefined
    ? undefined
    : Math.min(quirks.maxTokensDefault, number(info.max_output_tokens) ?? Number.MAX_SAFE_INTEGER))

function encodeGrammar(output: OutputFormat | undefined): JsonObject | undefined {
  if (output === undefined || output.type === 'text') return undefined
  const value = output.type === 'schema' ? output.schema : { type: 'object' }
  return { type: 'json', value }
}

/** OpenAI's own, which say nothing to a server of one model. */
const foreign = new Set(
  `store metadata prediction safety_identifier prompt_cache_key prompt_cache_retention thinking user`.split(
    ' ',
  ),
)

/** An OpenAI client's unknown fields are the server's own (`repetition_penalty`, `adapter_id`, `truncate`…). */
export function ownFields({ extras, dialect }: ChatRequest, dropped: string[]): JsonObject {
  const isOpenAi = dialect === undefined || dialect === 'openai-chat'
  const own: JsonObject = {}
  for (const [key, value] of Object.entries(extras)) {
    if (value === undefined) continue
    if (isOpenAi && !foreign.has(key) && key !== '__proto__') own[key] = value
    else if (key !== 'thinking') dropped.push(key)
  }
  return own
}
