import { forOthers, withToolNames } from '../tool-names.ts'
import type { Wire } from '../wire.ts'
import { adaptRequest, requestKeys, requestWords } from './adapt.ts'
import { decodeError, encodeError, encodeStreamError } from './errors.ts'
import { passResult, passStream } from './pass.ts'
import { decodeRequest, encodeRequest } from './request.ts'
import { decodeResult, encodeResult } from './response.ts'
import { decodeStream, encodeStream } from './stream.ts'

/** OpenAI's chat completions, and of everyone compatible with them. */
export const openaiChat: Wire = withToolNames(
  {
    id: 'openai-chat',
    framing: 'sse',
    path: ({ quirks, model }, stream) => {
      const path = (stream ? quirks.streamPath : undefined) ?? quirks.chatPath
      return path?.replace('{model}', encodeURIComponent(model)) ?? '/chat/completions'
    },
    decodeRequest,
    encodeRequest,
    takesUrl: ({ media }, { provider }) =>
      media !== 'audio' && (media !== 'file' || !filesByBytes.has(provider)),
    decodeResult,
    encodeResult,
    decodeStream,
    encodeStream,
    decodeError,
    encodeError,
    encodeStreamError,
    native: {
      lists: ['messages'],
      requestKeys,
      requestWords,
      adaptRequest,
      passResult,
      passStream,
    },
  },
  forOthers,
)

/** Sound has no field for an address, and OpenAI's own servers have none for a file's. */
const filesByBytes: ReadonlySet<string> = new Set(['openai', 'azure'])
