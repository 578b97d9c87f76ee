import type { Wire } from '../wire.ts'
import { adaptRequest, requestKeys, requestWords } from './adapt.ts'
import { takesUrl } from './blocks.ts'
import { count } from './count.ts'
import { decodeError, encodeError, encodeStreamError } from './errors.ts'
import { passResult, passStream } from './pass.ts'
import { decodeRequest } from './request.ts'
import { encodeRequest } from './request-out.ts'
import { decodeResult, encodeResult } from './response.ts'
import { decodeStream } from './stream.ts'
import { encodeStream } from './stream-out.ts'

/** Anthropic's Messages, and of everyone compatible with them. */
export const anthropic: Wire = {
  id: 'anthropic',
  framing: 'sse',
  path: () => '/v1/messages',
  decodeRequest,
  encodeRequest,
  takesUrl,
  decodeResult,
  encodeResult,
  decodeStream,
  encodeStream,
  decodeError,
  count,
  encodeError,
  encodeStreamError,
  native: { lists: ['messages'], requestKeys, requestWords, adaptRequest, passResult, passStream },
}
