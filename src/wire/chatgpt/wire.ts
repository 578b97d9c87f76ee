import { compact, type JsonObject, list } from '../../json/json.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { encodeRequest as encodeResponses } from '../openai-responses/request-out.ts'
import { decodeResult } from '../openai-responses/response.ts'
import { decodeStream } from '../openai-responses/stream.ts'
import type { ProviderWire } from '../wire.ts'

/**
 * Models of a ChatGPT subscription: OpenAI's Responses, of which this service takes few fields, keeps nothing and streams
 * every answer (github.com/openai/codex, 2026-11).
 */
export const chatgpt: ProviderWire = {
  id: 'chatgpt',
  framing: 'sse',
  streamOnly: true,
  path: () => '/responses',
  encodeRequest(request, to) {
    const { body, dropped = [], ...said } = encodeResponses({ ...request, stream: true }, to)
    const lost = Object.keys(body).filter((key) => !taken.has(key) && !quiet.has(key))
    const kept: JsonObject = {}
    for (const key of taken) if (body[key] !== undefined) kept[key] = body[key]
    return {
      ...said,
      headers: { ...said.headers, accept: 'text/event-stream' },
      body: compact({
        ...kept,
        // A request without instructions is refused.
        instructions: body.instructions || 'You are a helpful assistant.',
        store: false,
        stream: true,
        include: [...new Set([...list(body.include), 'reasoning.encrypted_content'])],
      }),
      dropped: [...new Set([...dropped, ...lost])],
    }
  },
  decodeResult,
  decodeStream,
  decodeError,
}

const taken: ReadonlySet<string> = new Set(
  `model input instructions include tools tool_choice parallel_tool_calls reasoning text
  previous_response_id truncation service_tier prompt_cache_key`.split(/\s+/),
)
/** Bookkeeping nobody misses. */
const quiet: ReadonlySet<string> = new Set(['store', 'stream', 'user', 'metadata'])
