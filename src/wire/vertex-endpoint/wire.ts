import type { ChatRequest, ChatResult } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, number, object } from '../../json/json.ts'
import { decodeError, decodeErrorObject } from '../openai-chat/errors.ts'
import { encodeRequest as encodeChat } from '../openai-chat/request.ts'
import { decodeResult as decodeChat } from '../openai-chat/response.ts'
import { cutShort, decodeStream } from '../openai-chat/stream.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { Encoded, Notes, ProviderWire, Target } from '../wire.ts'

/**
 * One's own endpoint on Vertex AI, whose container speaks OpenAI's chat. It serves one model, whose name only the
 * container knows: an empty one is right (cloud.google.com, Model Garden, chat completions of a deployed model, 2026-11).
 */
export const vertexEndpoint: ProviderWire = withToolNames(
  {
    id: 'vertex-endpoint',
    framing: 'sse',
    path: () => '/chat/completions',
    encodeRequest(request, to) {
      const { body, ...said } = encodeChat(request, to)
      return { ...said, body: { ...body, model: '' } }
    },
    takesUrl: ({ media }) => media !== 'audio',
    decodeResult: decodeChat,
    decodeStream,
    decodeError,
  },
  forOthers,
)

/** The same by Vertex AI's verb for every model, which has the chat as an instance; it answers whole. */
export const vertexPredict: ProviderWire = withToolNames(
  {
    id: 'vertex-predict',
    framing: 'sse',
    path: () => ':predict',
    encodeRequest: encodePredict,
    takesUrl: ({ media }) => media !== 'audio',
    decodeResult: decodePrediction,
    // An answer comes whole, also where a stream was asked for.
    decodeStream: () => ({
      push: () => [],
      end: () => [{ type: 'fault', error: cutShort() }],
    }),
    decodeError,
  },
  forOthers,
)

function encodePredict(request: ChatRequest, to: Target): Encoded {
  const { body, ...said } = encodeChat(request, to)
  const { model: _, stream: __, stream_options: ___, ...chat } = body
  return { ...said, body: { instances: [{ '@requestFormat': 'chatCompletions', ...chat }] } }
}

/** The answer itself, or a list of the one. */
function decodePrediction(body: JsonObject, notes: Notes): ChatResult {
  const [first] = Array.isArray(body.predictions) ? body.predictions : [body.predictions]
  if (!isObject(first))
    throw body.error
      ? decodeErrorObject(body.error)
      : new GatewayError('bad_gateway', 'the upstream answered without predictions')
  const fault = faultIn(first)
  if (fault !== undefined) throw decodeErrorObject(fault)
  return decodeChat(first, notes)
}

/** What goes wrong in the container comes with status 200. */
function faultIn(prediction: JsonObject): Json | undefined {
  if (prediction.error) return prediction.error
  const { object: kind, code } = prediction
  return kind === 'error' ? { ...object(prediction), status: number(code) } : undefined
}
