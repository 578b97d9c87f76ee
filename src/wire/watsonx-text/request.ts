import type { ChatRequest } from '../../chat/chat.ts'
import { compact, isObject } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { encodePrompt } from '../tgi/prompt.ts'
import { limitOf, ownFields } from '../tgi/request.ts'
import { placeOf } from '../watsonx/paths.ts'
import type { Encoded, Target } from '../wire.ts'

/** watsonx.ai's text generation, for models that have no chat. */
export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const { request, dropped, passed } = withoutLacking(asked, to, known)
  // Who pays is the operator's choice.
  const { moderations, project_id: _, space_id: __, ...own } = ownFields(request, dropped)
  const { temperature } = request
  const samples = temperature !== undefined || request.topP !== undefined || request.topK
  return {
    body: compact({
      ...placeOf(to),
      input: encodePrompt(request.messages, to, dropped),
      moderations: isObject(moderations) ? moderations : undefined,
      parameters: compact({
        // Without it the likeliest word is taken, and temperature says nothing.
        decoding_method: temperature === 0 ? 'greedy' : samples ? 'sample' : undefined,
        ...own,
        ...passed,
        max_new_tokens: limitOf(request.maxTokens, to),
        temperature: temperature === 0 ? undefined : temperature,
        top_p: request.topP,
        top_k: request.topK || undefined,
        random_seed: request.seed,
        stop_sequences: request.stop,
        repetition_penalty: penaltyOf(request.frequencyPenalty) ?? own.repetition_penalty,
      }),
    }),
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

const known: ReadonlySet<string> = new Set(
  `temperature top_p top_k seed stop frequency_penalty`.split(' '),
)

/** 1 is none and 2 the most there; OpenAI's begin at 0. */
const penaltyOf = (said: number | undefined): number | undefined =>
  said === undefined || said === 0 ? undefined : Math.min(Math.max(1 + said / 2, 1), 2)
