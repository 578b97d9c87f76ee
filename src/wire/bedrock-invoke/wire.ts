import { invokeCount } from '../bedrock-converse/count.ts'
import { decodeError } from '../bedrock-converse/errors.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeRequest } from './request.ts'
import { decodeResult } from './response.ts'
import { decodeStream, invokePath } from './stream.ts'

/** Amazon Bedrock's InvokeModel for Claude: Anthropic's own body and answers, in AWS's envelope. */
export const bedrockInvoke: ProviderWire = {
  id: 'bedrock-invoke',
  framing: 'aws-events',
  path: invokePath,
  encodeRequest,
  // Bytes only; sound and films Claude does not take at all.
  takesUrl: ({ media }) => media !== 'image' && media !== 'file',
  decodeResult,
  decodeStream,
  decodeError,
  count: invokeCount,
}
