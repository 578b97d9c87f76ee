import type { ChatRequest } from '../../chat/chat.ts'
import { compact, type Json, type JsonObject } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { encodePrompt } from '../tgi/prompt.ts'
import { limitOf, ownFields } from '../tgi/request.ts'
import type { Encoded, Target } from '../wire.ts'

/** `{text_input, parameters}` (github.com/triton-inference-server, extension_generate, 2026-11). */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { prompt, parameters, dropped } = said(asked, to)
  const isEmpty = Object.keys(parameters).length === 0
  return {
    body: compact({
      text_input: prompt,
      parameters: isEmpty ? undefined : parameters,
      stream: asked.stream || undefined,
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

/** Every parameter is a tensor of one. */
export function encodeInference(asked: ChatRequest, to: Target): Encoded {
  const { prompt, parameters, dropped } = said(asked, to)
  return {
    body: {
      inputs: Object.entries({ text_input: prompt, ...parameters }).flatMap(([name, value]) =>
        value === undefined || value === null ? [] : [tensor(name, value)],
      ),
    },
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

function said(asked: ChatRequest, to: Target) {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  const { stop, topK } = request
  return {
    dropped,
    prompt: encodePrompt(request.messages, to, dropped),
    parameters: compact({
      ...ownFields(request, dropped),
      ...passed,
      max_tokens: limitOf(request.maxTokens, to),
      temperature: request.temperature,
      top_p: request.topP,
      top_k: topK || undefined,
      seed: request.seed,
      stop_words: stop && stop.length > 0 ? stop : undefined,
      presence_penalty: request.presencePenalty || undefined,
      frequency_penalty: request.frequencyPenalty || undefined,
    }),
  }
}

const known: ReadonlySet<string> = new Set(
  `temperature top_p top_k seed stop presence_penalty frequency_penalty`.split(' '),
)

function tensor(name: string, value: Json): JsonObject {
  const data = Array.isArray(value) ? value : [value]
  return { name, shape: [data.length], datatype: typeOf(name, data[0]), data }
}

/** A temperature of 1 is no whole number for all that. */
const fractions: ReadonlySet<string> = new Set([
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'length_penalty',
])
function typeOf(name: string, value: Json | undefined): string {
  if (typeof value === 'boolean') return 'BOOL'
  if (typeof value !== 'number') return 'BYTES'
  return fractions.has(name) || !Number.isInteger(value) ? 'FP32' : 'INT32'
}
