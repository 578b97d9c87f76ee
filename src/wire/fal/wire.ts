import { type ChatResult, noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, type JsonObject, object, text } from '../../json/json.ts'
import { withoutLacking } from '../cohere/lacking.ts'
import { takesUrl } from '../cohere/media.ts'
import { decodeError, decodeErrorObject } from '../openai-chat/errors.ts'
import { cutShort } from '../openai-chat/stream.ts'
import { encodePrompt } from '../replicate/prompt.ts'
import { ownFields } from '../tgi/request.ts'
import { count, decodeFinish } from '../tgi/response.ts'
import type { Notes, ProviderWire } from '../wire.ts'

/**
 * Models of fal that answer in text: a prompt and a picture in, an output and perhaps a thought out, whole (fal.ai/models,
 * moondream3 and any-llm, 2026-11).
 */
export const fal: ProviderWire = {
  id: 'fal',
  framing: 'sse',
  path: ({ model }) => `/${model.split('/').map(encodeURIComponent).join('/')}`,
  encodeRequest(asked, to) {
    const { request, dropped, passed } = withoutLacking(asked, to, known)
    const { prompt, system, images } = encodePrompt(request.messages, family, to, dropped)
    const effort = request.reasoning?.effort
    const thinks = effort === undefined ? undefined : effort !== 'none' && effort !== 'minimal'
    // Only the models that are told by a name take instructions apart.
    const apart = system !== '' && /any-llm|openrouter/.test(to.model)
    return {
      body: compact({
        ...ownFields(request, dropped),
        ...passed,
        prompt: apart || system === '' ? prompt : `${system}\n\n${prompt}`,
        system_prompt: apart ? system : undefined,
        image_url: images[0],
        reasoning: thinks,
        temperature: request.temperature,
        top_p: request.topP,
        max_tokens: request.maxTokens,
      }),
      ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
      notes: { model: to.model },
    }
  },
  takesUrl,
  decodeResult,
  // An answer comes whole, also where a stream was asked for.
  decodeStream: () => ({
    push: () => [],
    end: () => [{ type: 'fault', error: cutShort() }],
  }),
  decodeError,
}

const known: ReadonlySet<string> = new Set(['temperature', 'top_p', 'reasoning_effort'])
const family = {
  known,
  limit: 'max_tokens',
  images: { field: 'image_url', several: false },
} as const

function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const said = text(body.output)
  if (body.error) throw decodeErrorObject(body.error)
  if (said === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without an output')
  const thought = text(body.reasoning)
  const reason = text(body.finish_reason)
  const { input_tokens, output_tokens } = object(body.usage_info)
  const [input, output] = [count(input_tokens), count(output_tokens)]
  const usage = object(body.usage_info)
  return {
    id: text(body.request_id) ?? '',
    created: 0,
    model: notes.model,
    choices: [
      {
        parts: [
          ...(thought ? [{ type: 'reasoning' as const, text: thought }] : []),
          ...(said === '' ? [] : [{ type: 'text' as const, text: said }]),
        ],
        finish: reason === 'stop' ? 'stop' : decodeFinish(reason),
        ...(reason !== undefined && { reason }),
      },
    ],
    usage:
      input === undefined || output === undefined
        ? noUsage
        : { ...noUsage, input, output, raw: usage },
  }
}
