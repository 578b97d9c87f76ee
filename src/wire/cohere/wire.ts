import { forOthers, withToolNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { decodeError } from './errors.ts'
import { takesUrl } from './media.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Cohere's chat, version 2. */
export const cohere: ProviderWire = withToolNames(
  {
    id: 'cohere',
    framing: 'sse',
    path: () => '/v2/chat',
    encodeRequest,
    takesUrl,
    decodeResult,
    decodeStream,
    decodeError,
  },
  forOthers,
)
