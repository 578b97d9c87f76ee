import { decodeError } from '../openai-chat/errors.ts'
import { forOthers, withToolNames, wordNames } from '../tool-names.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest, isCohere } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Oracle Cloud's Generative AI: one envelope around two ways of saying chat, Cohere's and everybody else's. */
export const oci: ProviderWire = withToolNames(
  {
    id: 'oci',
    framing: 'sse',
    path: () => '/20231130/actions/chat',
    encodeRequest,
    takesUrl: ({ media }) => media === 'image',
    decodeResult,
    decodeStream,
    decodeError,
  },
  (request, to) => (isCohere(to) ? wordNames : forOthers(request)),
)
