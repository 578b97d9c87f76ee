import type { ChatRequest, Message, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, extrasOf, type Json, type JsonObject, number, text } from '../../json/json.ts'
import { isSelfContained, lostFields } from '../foreign.ts'
import type { Encoded, Target } from '../wire.ts'

const known = new Set(
  `model prompt stream stream_options max_tokens temperature top_p n stop seed presence_penalty frequency_penalty
  logit_bias logprobs user echo suffix best_of`.split(/\s+/),
)

/** A prompt as the only thing a user says. What only a text model can do is refused. */
export function decodeRequest(body: JsonObject): ChatRequest {
  const lacking = [
    ...(body.echo === true ? ['echo'] : []),
    ...(typeof body.suffix === 'string' && body.suffix !== '' ? ['suffix'] : []),
    ...((number(body.best_of) ?? 1) > 1 ? ['best_of'] : []),
  ]
  if (lacking.length > 0)
    throw new GatewayError(
      'unsupported_params',
      `this model converses, and a conversation has no ${lacking.join(', no ')}: leave it out, or ask a text completion model`,
      { param: lacking[0], type: 'invalid_request_error' },
    )
  const logprobs = number(body.logprobs)
  const extras = extrasOf(body, known) ?? {}
  const stop = stopsOf(body.stop)
  const set = compact({
    maxTokens: number(body.max_tokens),
    temperature: number(body.temperature),
    topP: number(body.top_p),
    n: number(body.n),
    seed: number(body.seed),
    presencePenalty: number(body.presence_penalty),
    frequencyPenalty: number(body.frequency_penalty),
    user: text(body.user),
  })
  return {
    model: text(body.model) ?? '',
    messages: [{ role: 'user', parts: [{ type: 'text', text: promptOf(body.prompt) }] }],
    tools: [],
    stream: body.stream === true,
    ...set,
    ...(stop && { stop }),
    ...(logprobs !== undefined && { logprobs: true, topLogprobs: logprobs }),
    extras,
  }
}

function stopsOf(value: Json | undefined): string[] | undefined {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return undefined
  return value.filter((item) => typeof item === 'string')
}

function promptOf(prompt: Json | undefined): string {
  if (typeof prompt === 'string') return prompt
  if (prompt === undefined || prompt === null)
    throw new GatewayError('bad_request', "Missing required parameter: 'prompt'.", {
      param: 'prompt',
      type: 'invalid_request_error',
    })
  const [only] = Array.isArray(prompt) && prompt.length === 1 ? prompt : []
  if (typeof only === 'string') return only
  throw new GatewayError(
    'bad_request',
    "this model takes one text at a time: send 'prompt' as a string, and several prompts as several requests",
    { param: 'prompt', type: 'invalid_request_error' },
  )
}

/** A conversation for a model that only goes on writing: what was said, and by whom where there is more than one turn. */
export function encodeRequest(request: ChatRequest, { model }: Target): Encoded {
  const dropped: string[] = []
  if (request.tools.length > 0) dropped.push('tools')
  if (request.output !== undefined && request.output.type !== 'text')
    dropped.push('response_format')
  if (request.reasoning !== undefined) dropped.push('reasoning_effort')
  const isAlien = isSelfContained(request)
  if (isAlien) dropped.push(...lostFields(request))
  const { logprobs, topLogprobs } = request
  return {
    body: compact({
      ...(isAlien ? {} : request.extras),
      model,
      prompt: writtenAs(request.messages, dropped),
      max_tokens: request.maxTokens,
      temperature: request.temperature,
      top_p: request.topP,
      n: request.n,
      stop: request.stop,
      seed: request.seed,
      presence_penalty: request.presencePenalty,
      frequency_penalty: request.frequencyPenalty,
      logit_bias: request.logitBias,
      logprobs: logprobs === true ? (topLogprobs ?? 1) : undefined,
      user: request.user,
      stream: request.stream ? true : undefined,
      stream_options: request.stream ? { include_usage: true } : undefined,
    }),
    notes: { model },
    ...(dropped.length > 0 && { dropped: [...new Set(dropped)] }),
  }
}

function writtenAs(messages: readonly Message[], dropped: string[]): string {
  const said = messages.map(({ role, parts }) => ({
    role,
    words: parts.map((part) => wordsOf(part, dropped)).join(''),
  }))
  const [only] = said
  if (said.length === 1 && only) return only.words
  return `${said.map(({ role, words }) => `${role}: ${words}`).join('\n\n')}\n\nassistant:`
}

function wordsOf(part: Part, dropped: string[]): string {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return part.text
    case 'tool-result':
      return part.parts.map((one) => wordsOf(one, dropped)).join('')
    case 'tool-call':
      return `${part.name}(${part.input})`
    case 'reasoning':
      return ''
    case 'media':
    case 'raw':
      dropped.push(part.type === 'media' ? part.media : 'content')
      return ''
  }
}
