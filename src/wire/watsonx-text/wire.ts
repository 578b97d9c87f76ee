import { takesUrl } from '../cohere/media.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { pathOf } from '../watsonx/paths.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** IBM watsonx.ai's text generation. */
export const watsonxText: ProviderWire = {
  id: 'watsonx-text',
  framing: 'sse',
  path: (to, stream) => pathOf(to, stream ? 'text/generation_stream' : 'text/generation'),
  encodeRequest,
  takesUrl,
  decodeResult,
  decodeStream,
  decodeError,
}
