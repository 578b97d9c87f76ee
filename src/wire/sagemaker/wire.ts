import { compact } from '../../json/json.ts'
import { takesUrl } from '../cohere/media.ts'
import { encodeRequest as encodeChat } from '../openai-chat/request.ts'
import { decodeResult as decodeChatResult } from '../openai-chat/response.ts'
import { decodeStream as decodeChatStream } from '../openai-chat/stream.ts'
import { encodeRequest as encodeText } from '../tgi/request.ts'
import { decodeResult as decodeTextResult } from '../tgi/response.ts'
import { decodeStream as decodeTextStream } from '../tgi/stream.ts'
import { forOthers, withToolNames } from '../tool-names.ts'
import type { Encoded, ProviderWire, Target } from '../wire.ts'
import { decodeError } from './errors.ts'
import { decodeStream } from './stream.ts'

/** An endpoint of Amazon SageMaker whose container speaks OpenAI's chat. */
export const sagemakerChat: ProviderWire = withToolNames(
  {
    id: 'sagemaker-chat',
    framing: 'aws-payload',
    path,
    encodeRequest(request, to) {
      const { body, ...said } = encodeChat(request, to)
      // A container of several models is told which; LiteLLM names the endpoint where the row names none.
      const model = to.quirks.dropModel ? undefined : (to.values?.['hf_model_name'] ?? to.model)
      return component({ ...said, body: compact({ ...body, model }) }, to)
    },
    takesUrl: ({ media }) => media !== 'audio',
    decodeResult: decodeChatResult,
    decodeStream: (notes) => decodeStream(decodeChatStream(notes)),
    decodeError,
  },
  forOthers,
)

/** One whose container goes on with a text, as Hugging Face's do. */
export const sagemaker: ProviderWire = {
  id: 'sagemaker',
  framing: 'aws-payload',
  path,
  encodeRequest: (request, to) => component(encodeText(request, to), to),
  takesUrl,
  decodeResult: decodeTextResult,
  decodeStream: (notes) => decodeStream(decodeTextStream(notes)),
  decodeError,
}

function path({ model }: Target, stream: boolean): string {
  return `/endpoints/${encodeURIComponent(model)}/invocations${stream ? '-response-stream' : ''}`
}

/** Several models may share an endpoint (API_runtime_InvokeEndpoint, 2026-11). */
function component(said: Encoded, { values = {} }: Target): Encoded {
  const name = values['inference_component']
  if (name === undefined || !/^[\w-]{1,63}$/.test(name)) return said
  return {
    ...said,
    headers: { ...said.headers, 'x-amzn-sagemaker-inference-component': name },
  }
}
