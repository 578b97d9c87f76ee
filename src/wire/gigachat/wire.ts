import { decodeError } from '../openai-chat/errors.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Sber's GigaChat: OpenAI's chat as it was when tools were functions, one call at a time. */
export const gigachat: ProviderWire = withToolNames(
  {
    id: 'gigachat',
    framing: 'sse',
    path: () => '/chat/completions',
    encodeRequest,
    // Pictures go by the id of a file that was uploaded before, so an address is refused either way; text is read here.
    takesUrl: ({ media }) => media !== 'file',
    decodeResult,
    decodeStream,
    decodeError,
  },
  forOthers,
)
