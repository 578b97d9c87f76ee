import type { ProviderWire } from '../wire.ts'
import { decodeError } from './errors.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Ollama's own chat. Under LiteLLM's other name (`ollama/`, its prompt route) a request is a conversation just as well, so both are asked here. */
export const ollama: ProviderWire = {
  id: 'ollama',
  framing: 'json-lines',
  path: () => '/api/chat',
  encodeRequest,
  // Pictures are base64, files are told by their words.
  takesUrl: ({ media }) => media !== 'image' && media !== 'file',
  decodeResult,
  decodeStream,
  decodeError,
}
