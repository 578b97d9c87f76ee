import type { ChatRequest } from '../../chat/chat.ts'
import { compact, type JsonObject } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { ownFields } from '../tgi/request.ts'
import type { Encoded, Target } from '../wire.ts'
import { encodeCohere } from './cohere.ts'
import { encodeGeneric } from './generic.ts'

/** Who pays, which model, and the chat itself (docs.oracle.com, generative-ai-inference 20231130, ChatDetails, 2026-11). */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const cohere = isCohere(to)
  const { request, dropped, passed } = withoutLacking(
    asked,
    to,
    cohere ? knownOfCohere : knownOfOthers,
  )
  const own = { ...ownFields(request, dropped), ...passed }
  const { chatRequest, custom } = cohere
    ? encodeCohere(request, to, dropped)
    : encodeGeneric(request, to, dropped)
  return {
    body: compact({
      compartmentId: to.values?.['oci_compartment_id'],
      servingMode: servingMode(to),
      chatRequest: { ...own, ...chatRequest },
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model, ...(custom.size > 0 && { customTools: custom }) },
  }
}

export const isCohere = ({ model }: Target): boolean => /^cohere\./i.test(model)

const sampling = `temperature top_p top_k seed stop presence_penalty frequency_penalty`
const knownOfCohere: ReadonlySet<string> = new Set(`${sampling} tools response_format`.split(' '))
const knownOfOthers: ReadonlySet<string> = new Set(
  `${sampling} n logit_bias logprobs top_logprobs tools tool_choice parallel_tool_calls response_format reasoning_effort verbosity`.split(
    ' ',
  ),
)

/** A dedicated cluster is asked by its endpoint; LiteLLM takes the model's name for one where the row has none. */
export function servingMode({ model, values = {} }: Target): JsonObject {
  return values['oci_serving_mode']?.toUpperCase() === 'DEDICATED'
    ? { servingType: 'DEDICATED', endpointId: values['oci_endpoint_id'] ?? model }
    : { servingType: 'ON_DEMAND', modelId: model }
}
