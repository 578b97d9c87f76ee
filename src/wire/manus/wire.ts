import { compact, type JsonObject, object, text } from '../../json/json.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { encodeRequest as encodeResponses } from '../openai-responses/request-out.ts'
import { decodeResult } from '../openai-responses/response.ts'
import { decodeStream } from '../openai-responses/stream.ts'
import type { ProviderWire } from '../wire.ts'
import { follow } from './follow.ts'

/**
 * Manus: OpenAI's Responses in which an agent works on a task. It answers with the task at once and is asked for it until
 * it is done; nothing is streamed (open.manus.im, OpenAI compatibility, 2026-11).
 */
export const manus: ProviderWire = {
  id: 'manus',
  framing: 'sse',
  path: () => '/v1/responses',
  encodeRequest(request, to) {
    const { body, ...said } = encodeResponses({ ...request, stream: false }, to)
    return { ...said, body: compact({ ...body, task_mode: 'agent', agent_profile: to.model }) }
  },
  decodeResult: (body, notes) => decodeResult(spelt(body), notes),
  decodeStream,
  decodeError,
  follow,
}

/** Its names are JavaScript's, and `error` is OpenAI's `failed`. */
function spelt({ createdAt, ...body }: JsonObject): JsonObject {
  const at = typeof createdAt === 'string' ? Date.parse(createdAt) / 1000 : createdAt
  const seconds = typeof at === 'number' && Number.isFinite(at) ? Math.floor(at) : undefined
  const isError = text(body.status) === 'error'
  return compact({
    ...body,
    created_at: body.created_at ?? seconds,
    status: isError ? 'failed' : body.status,
    error: isError
      ? (body.error ?? { message: text(object(body.metadata).error) ?? 'the task failed' })
      : body.error,
  })
}
