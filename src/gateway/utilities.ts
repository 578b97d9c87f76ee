import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { isObject, type Json, list, text } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { supportedOpenAiParams } from '../provider/params.ts'
import { json } from './models.ts'
import type { Rooms } from './rooms.ts'

/** `POST /utils/token_counter`: what a request would be billed for reading, counted here. */
export async function tokenCounter(incoming: Incoming, rooms: Rooms): Promise<Outgoing> {
  const body = parseObject(await incoming.body(), requestBounds)
  const asked = text(body['model'])
  if (asked === undefined) throw missing('model')
  const prompt = text(body['prompt'])
  const messages = Array.isArray(body['messages']) ? list(body['messages']) : undefined
  if (prompt === undefined && messages === undefined) throw missing('messages')
  const deployment = rooms.router.groups.find(rooms.router.groups.nameOf(asked))[0]
  const model = deployment?.target.model ?? asked
  await rooms.tokens.ready()
  const { counter } = rooms.tokens
  const system: Json[] =
    typeof body['system'] === 'string' ? [{ role: 'system', content: body['system'] }] : []
  const total =
    prompt !== undefined
      ? counter.countText(prompt, model)
      : counter.countMessages(
          [...system, ...(messages ?? [])],
          body['tools'],
          model,
          body['tool_choice'],
        )
  return json({
    total_tokens: total,
    request_model: asked,
    model_used: model,
    tokenizer_type: counter.tokenizer(model),
    count_source: 'local',
    original_response: null,
    error: false,
    error_message: null,
    status_code: null,
  })
}

const missing = (name: string): GatewayError =>
  new GatewayError('bad_request', `Missing required parameter: '${name}'.`, {
    param: name,
    type: 'invalid_request_error',
  })

/** `GET /utils/supported_openai_params?model=`. */
export function supportedParams(rooms: Rooms, query: URLSearchParams): Outgoing {
  const asked = query.get('model')
  if (!asked) throw missing('model')
  const deployment = rooms.router.groups.find(rooms.router.groups.nameOf(asked))[0]
  const slash = asked.indexOf('/')
  const provider = deployment?.provider ?? (slash > 0 ? asked.slice(0, slash) : 'openai')
  const model = deployment?.target.model ?? asked.slice(slash + 1)
  return json({
    supported_openai_params: supportedOpenAiParams(provider, model, deployment?.info ?? {}),
  })
}

/** The catalogue as LiteLLM's clients read it: name → facts. */
export async function costMap(rooms: Rooms): Promise<Outgoing> {
  const catalogue = await rooms.catalogue()
  const all = Object.fromEntries(catalogue.entries())
  return isObject(all) ? json(all) : json({})
}
