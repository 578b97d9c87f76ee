import { decodeError, encodeError } from '../openai-chat/errors.ts'
import type { Wire } from '../wire.ts'
import { adaptRequest, requestKeys, requestWords } from './adapt.ts'
import { count } from './count.ts'
import { encodeStreamError } from './errors.ts'
import { passResult, passStream } from './pass.ts'
import { decodeRequest } from './request.ts'
import { encodeRequest } from './request-out.ts'
import { decodeResult, encodeResult } from './response.ts'
import { decodeStream } from './stream.ts'
import { encodeStream } from './stream-out.ts'

/** OpenAI's Responses, and of everyone compatible with them. */
export const openaiResponses: Wire = {
  id: 'openai-responses',
  framing: 'sse',
  path: ({ quirks }) => quirks.responsesPath ?? '/responses',
  decodeRequest,
  encodeRequest,
  decodeResult,
  encodeResult,
  decodeStream,
  encodeStream,
  decodeError,
  count,
  encodeError,
  encodeStreamError,
  // The input may be a text or stand elsewhere, so no field of the body has to be a list.
  native: { lists: [], requestKeys, requestWords, adaptRequest, passResult, passStream },
}
