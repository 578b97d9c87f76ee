import { decodeError, decodeException } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import { invokePath, unwrapping } from '../bedrock-invoke/stream.ts'
import { encodeRequest as encodeChat } from '../openai-chat/request.ts'
import { decodeResult as decodeChat } from '../openai-chat/response.ts'
import { decodeStream as decodeChatStream } from '../openai-chat/stream.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { decodeStream } from './stream.ts'

/**
 * Amazon Bedrock's InvokeModel with OpenAI's chat for a body: what imported models speak that Converse does not take,
 * Qwen 2.5 and gpt-oss among them (invoke-imported-model, 2026-11).
 */
export const bedrockOpenAI: ProviderWire = withToolNames(
  {
    id: 'bedrock-openai',
    framing: 'aws-events',
    path: invokePath,
    encodeRequest(request, to) {
      const { body, ...said } = encodeChat(request, to)
      // The path names the model and whether it streams; what a stream used is in its last event.
      const { model: _, stream: __, stream_options: ___, ...chat } = body
      return { ...said, body: chat }
    },
    // Pictures and sound are read from the request; nothing is fetched.
    takesUrl: ({ media }) => media !== 'image' && media !== 'audio',
    decodeResult(body, notes) {
      if (!Array.isArray(body.choices) && !body.error && typeof body.message === 'string')
        throw decodeException(
          typeof body.__type === 'string' ? body.__type : '',
          JSON.stringify(body),
        )
      return decodeChat(body, notes)
    },
    decodeStream: (notes) => unwrapping(decodeStream(notes)),
    decodeError,
  },
  forOthers,
)

/** OpenAI's chat at Bedrock's own address, which its newer OpenAI models have besides Converse (inference-chat-completions, 2026-11). */
export const bedrockChat: ProviderWire = withToolNames(
  {
    ...bedrockOpenAI,
    id: 'bedrock-chat',
    framing: 'sse',
    path: () => '/openai/v1/chat/completions',
    encodeRequest(request, to) {
      const { body, ...said } = encodeChat(request, to)
      return { ...said, body: { ...body, model: modelId(to.model) } }
    },
    decodeStream: decodeChatStream,
  },
  forOthers,
)
