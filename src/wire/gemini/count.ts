import { type JsonObject, number } from '../../json/json.ts'
import { pick } from '../anthropic/count.ts'
import type { Count } from '../wire.ts'

/**
 * Google's countTokens. AI Studio takes bare contents, or the whole request wrapped; Vertex takes the parts that count
 * beside the contents (api/tokens, model-reference/count-tokens, 2026-11).
 */
export const count: Count = {
  url: (chat) => {
    const [path = ''] = chat.split('?')
    const counted = path.replace(/:(streamG|g)enerateContent$/, ':countTokens')
    return counted === path ? undefined : counted
  },
  encode: (body, { provider, model }) =>
    provider.startsWith('vertex')
      ? pick(body, ['contents', 'systemInstruction', 'tools', 'generationConfig'])
      : Object.keys(body).every((key) => key === 'contents')
        ? body
        : { generateContentRequest: { ...body, model: `models/${model}` } },
  decode: ({ totalTokens }) => number(totalTokens),
  answer: (tokens) => ({
    totalTokens: tokens,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: tokens }],
  }),
}

/** What is to be counted may come wrapped; then the wrapping says nothing more. */
export function unwrapped(body: JsonObject): JsonObject {
  const inner = body['generateContentRequest'] ?? body['generate_content_request']
  if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return body
  const { model: _, ...request } = inner
  return request
}
