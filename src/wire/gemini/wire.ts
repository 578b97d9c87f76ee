import type { ProviderWire, Wire } from '../wire.ts'
import { adaptRequest, requestKeys, requestWords } from './adapt.ts'
import { count } from './count.ts'
import { decodeError, encodeError, encodeStreamError } from './errors.ts'
import { passResult, passStream } from './pass.ts'
import { decodeRequest } from './request.ts'
import { encodeRequest } from './request-out.ts'
import { decodeResult, encodeResult } from './response.ts'
import { decodeStream } from './stream.ts'
import { encodeStream } from './stream-out.ts'
import { takesUrl } from './urls.ts'

/** Google's generateContent, of AI Studio and, below `…/publishers/google`, of Vertex AI. */
export const gemini: Wire = {
  id: 'gemini',
  framing: 'sse',
  path: ({ model }, stream) => `${placeOf(model)}${method(stream)}`,
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
  native: {
    lists: ['contents'],
    modelInPath: true,
    requestKeys,
    requestWords,
    adaptRequest,
    passResult,
    passStream,
  },
}

/** The same where the base URL reaches down to the models, or to endpoints: `…/publishers/google/models`, `…/endpoints`. */
export const vertexGemini: ProviderWire = {
  ...gemini,
  id: 'vertex-gemini',
  path: ({ model }, stream) => `/${escaped(model)}${method(stream)}`,
}

const method = (stream: boolean): string =>
  stream ? ':streamGenerateContent?alt=sse' : ':generateContent'

/** A model may be named with the collection it is in. */
function placeOf(model: string): string {
  const found = /^(models|tunedModels|endpoints)\/(.+)$/.exec(model)
  return found ? `/${found[1]}/${escaped(found[2] ?? '')}` : `/models/${escaped(model)}`
}

/** A wildcard's model is the client's word: it must stay one step of the path. */
const escaped = (model: string): string => encodeURIComponent(model).replaceAll('%40', '@')
