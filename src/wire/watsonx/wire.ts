import { decodeError } from '../openai-chat/errors.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { pathOf } from './paths.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** IBM watsonx.ai's chat: OpenAI's answers to a request of its own words. */
export const watsonx: ProviderWire = withToolNames(
  {
    id: 'watsonx',
    framing: 'sse',
    path: (to, stream) => pathOf(to, stream ? 'text/chat_stream' : 'text/chat'),
    encodeRequest,
    takesUrl: ({ media }) => media !== 'audio',
    decodeResult,
    decodeStream,
    decodeError,
  },
  forOthers,
)
