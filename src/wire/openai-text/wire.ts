import { beside } from '../media/media.ts'
import { decodeError, encodeError, encodeStreamError } from '../openai-chat/errors.ts'
import type { Wire } from '../wire.ts'
import { decodeRequest, encodeRequest } from './request.ts'
import { decodeResult, encodeResult, passResult } from './response.ts'
import { decodeStream, encodeStream, passStream } from './stream.ts'

/** OpenAI's legacy completions: a text that is gone on with. */
export const openaiText: Wire = {
  id: 'openai-text',
  framing: 'sse',
  path: (to) => beside(to, '/completions'),
  decodeRequest,
  encodeRequest,
  decodeResult,
  encodeResult,
  decodeStream,
  encodeStream,
  decodeError,
  encodeError,
  encodeStreamError,
  native: {
    lists: [],
    requestKeys: () => new Set(),
    adaptRequest: () => [],
    passResult,
    passStream,
  },
}
