import type { ChatRequest } from '../../chat/chat.ts'
import { compact, type JsonObject } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import type { Encoded, Target } from '../wire.ts'
import { familyOf } from './families.ts'
import { encodePrompt } from './prompt.ts'

/** `owner/name` runs a model, `deployments/owner/name` one's own machines, `owner/name:version` a fixed version. */
export function path({ model }: Target): string {
  if (versionOf(model) !== undefined) return '/predictions'
  const steps = model.split('/').map(encodeURIComponent).join('/')
  return `${steps.startsWith('deployments/') ? '' : '/models'}/${steps}/predictions`
}

const versionOf = (model: string): string | undefined => /:([0-9a-f]{64})$/.exec(model)?.[1]

export function encodeRequest(asked: ChatRequest, to: Target): Encoded {
  const family = familyOf(to.model)
  const { request, dropped, passed } = withoutLacking(asked, to, family.known)
  const { prompt, system, images } = encodePrompt(request.messages, family, to, dropped)
  const apart = family.system !== undefined && system !== ''
  const input = compact({
    ...encodeExtras(request, dropped),
    ...passed,
    prompt: apart || system === '' ? prompt : `${system}\n\n${prompt}`,
    [family.system ?? 'system_prompt']: apart ? system : undefined,
    [family.limit]: request.maxTokens,
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK,
    seed: request.seed,
    stop_sequences: request.stop,
    presence_penalty: request.presencePenalty,
    frequency_penalty: request.frequencyPenalty,
  })
  if (family.images && images.length > 0)
    input[family.images.field] = family.images.several ? images : (images[0] ?? '')
  return {
    body: compact({
      version: versionOf(to.model),
      input,
      stream: request.stream || undefined,
    }),
    headers: request.stream ? ending : { ...ending, prefer: 'wait' },
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
    notes: { model: to.model },
  }
}

/**
 * A whole answer is waited for, which Replicate does for a minute (replicate.com/docs/topics/predictions), and asked for
 * again after that. Beyond this time nobody asks any more, so the prediction ends and stops costing money.
 */
const ending = { 'cancel-after': '10m' }

/** OpenAI's own, which no model here has. */
const foreign = new Set(
  `store metadata prediction safety_identifier prompt_cache_key prompt_cache_retention thinking`.split(
    ' ',
  ),
)

/** An OpenAI client's unknown fields are the model's own (`top_k`, `prompt_template`, `system_prompt`…). */
function encodeExtras({ extras, dialect }: ChatRequest, dropped: string[]): JsonObject {
  const isOpenAi = dialect === undefined || dialect === 'openai-chat'
  const own: JsonObject = {}
  for (const [key, value] of Object.entries(extras)) {
    if (value === undefined) continue
    if (isOpenAi && !foreign.has(key) && key !== '__proto__') own[key] = value
    else if (key !== 'thinking') dropped.push(key)
  }
  return own
}
