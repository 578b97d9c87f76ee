import { decodeError } from '../cohere/errors.ts'
import { takesUrl } from '../cohere/media.ts'
import { withToolNames, wordNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Cohere's chat, version 1 (docs.cohere.com/v1/reference/chat, 2026-11): for rows whose base names it. */
export const cohereV1: ProviderWire = withToolNames(
  {
    id: 'cohere-v1',
    framing: 'json-lines',
    path: () => '/v1/chat',
    encodeRequest,
    takesUrl,
    decodeResult,
    decodeStream,
    decodeError,
  },
  () => wordNames,
)
