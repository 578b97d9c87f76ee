import { takesUrl } from '../cohere/media.ts'
import { decodeError } from '../openai-chat/errors.ts'
import type { ProviderWire } from '../wire.ts'
import { encodeInference, encodeRequest } from './request.ts'
import { decodeInference, decodeResult } from './response.ts'
import { decodeInferenceStream, decodeStream } from './stream.ts'

/** NVIDIA Triton's generate extension, as its TensorRT-LLM and vLLM backends have it. */
export const triton: ProviderWire = {
  id: 'triton',
  framing: 'sse',
  path: (_to, stream) => (stream ? '/generate_stream' : '/generate'),
  encodeRequest,
  takesUrl,
  decodeResult,
  decodeStream,
  decodeError,
}

/** The inference protocol all of its models have: tensors in, tensors out, and no streams over HTTP. */
export const tritonInfer: ProviderWire = {
  ...triton,
  id: 'triton-infer',
  path: () => '/infer',
  encodeRequest: encodeInference,
  decodeResult: decodeInference,
  decodeStream: decodeInferenceStream,
}
