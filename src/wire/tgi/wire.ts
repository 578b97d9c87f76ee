import { takesUrl } from '../cohere/media.ts'
import { decodeError } from '../openai-chat/errors.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Hugging Face's Text Generation Inference: `/generate` and `/generate_stream` below the base or the row's path. */
export const tgi: ProviderWire = {
  id: 'tgi',
  framing: 'sse',
  path: ({ quirks, model, values }, stream) => {
    const places: Readonly<Record<string, string>> = { ...values, model }
    const root = quirks.chatPath?.replace(/\{(\w+)\}/g, (place, name: string) =>
      encodeURIComponent(places[name] ?? place),
    )
    return `${root ?? ''}/generate${stream ? '_stream' : ''}`
  },
  encodeRequest,
  takesUrl,
  decodeResult,
  decodeStream,
  decodeError,
}
