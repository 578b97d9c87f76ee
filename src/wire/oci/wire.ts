import { decodeError } from '../openai-chat/errors.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Oracle Cloud's Generative AI: one envelope around two ways of saying chat, Cohere's and everybody else's. */
export const oci: ProviderWire = {
  id: 'oci',
  framing: 'sse',
  path: () => '/20231130/actions/chat',
  encodeRequest,
  takesUrl: ({ media }) => media === 'image',
  decodeResult,
  decodeStream,
  decodeError,
}
