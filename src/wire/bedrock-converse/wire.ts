import type { ProviderWire } from '../wire.ts'
import { converseCount } from './count.ts'
import { decodeError } from './errors.ts'
import { modelId } from './family.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream } from './stream.ts'

/** Amazon Bedrock's Converse: one form of messages for every model family. Only providers speak it. */
export const bedrockConverse: ProviderWire = {
  id: 'bedrock-converse',
  framing: 'aws-events',
  path: ({ model }, stream) =>
    `/model/${encodeURIComponent(modelId(model))}/${stream ? 'converse-stream' : 'converse'}`,
  encodeRequest,
  // Bytes and S3 only.
  takesUrl: () => false,
  decodeResult,
  decodeStream,
  decodeError,
  count: converseCount,
}
