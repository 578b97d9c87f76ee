import { takesUrl } from '../cohere/media.ts'
import { decodeError } from '../openai-chat/errors.ts'
import type { ProviderWire } from '../wire.ts'
import { follow } from './follow.ts'
import { encodeRequest, path } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Replicate's predictions, of language models. Errors are `{title, detail, status}`, which the usual reader knows. */
export const replicate: ProviderWire = {
  id: 'replicate',
  framing: 'sse',
  path,
  encodeRequest,
  takesUrl,
  decodeResult,
  decodeStream,
  decodeError,
  follow,
}
