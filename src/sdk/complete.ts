import { type Answer, call } from '../call/call.ts'
import { canceled } from '../call/connection-error.ts'
import type { Ask } from '../call/prepare.ts'
import type { Limits } from '../call/transport.ts'
import type { Usage } from '../chat/chat.ts'
import { countedUsage } from '../chat/tokens.ts'
import { GatewayError } from '../errors.ts'
import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Routed, Router } from '../router/router.ts'
import { type Inbound, listen } from '../wire/inbound.ts'
import { openaiChat } from '../wire/openai-chat/wire.ts'
import type { PassedResult } from '../wire/wire.ts'
import { costOfCall } from './costs.ts'
import { apiErrorFrom } from './errors.ts'
import { hiddenOf, withHidden } from './hidden.ts'
import { type Said, testing } from './options.ts'
import type { Room } from './room.ts'
import { openStream } from './stream.ts'
import type { ChatCompletion, ChatCompletionStream, HiddenParams } from './types.ts'

export type Call = {
  said: Said
  router: Router
  /** The group to ask first. */
  group: string
  /** Told in `additional_headers`; absent: the caller never named a group. */
  groupName?: string
  /** What the options of this call change about a deployment. */
  override(to: Deployment): Deployment
  fallbacks: readonly string[] | undefined
  /** Seconds, where neither call nor deployment say. */
  timeout: number
  streamTimeout: number | undefined
}

/** One call, whoever answers it in the end. */
export async function complete(
  asked: Call,
  room: Room,
): Promise<ChatCompletion | ChatCompletionStream> {
  const { said, router, group, fallbacks } = asked
  const { body, stream, controls } = said
  const { signal: callers } = controls
  if (controls.mockError) throw controls.mockError
  const inbound = listen(toUtf8(JSON.stringify({ ...body, model: said.model, stream })), openaiChat)
  // Refuses what is no conversation, before anybody is asked.
  if (!Array.isArray(body.messages)) inbound.request()
  const ending = new AbortController()
  const signal = callers ? AbortSignal.any([callers, ending.signal]) : ending.signal
  const failed = new WeakMap<GatewayError, Deployment>()
  const start: Start = {
    at: Date.now(),
    callId: controls.callId ?? crypto.randomUUID(),
    streamUsage: object(body.stream_options).include_usage === true,
    choices: number(body.n) ?? 1,
  }

  async function attempt(candidate: Deployment): Promise<Attempt> {
    const to = overridden(candidate)
    try {
      if (signal.aborted) throw canceled(signal)
      if (controls.failFirst !== undefined && candidate.group === group) throw mockFailure(said)
      const ask = askOf(to, start)
      const limits = limitsOf(asked, to)
      const answer = await call(inbound, to, ask, room.calls, { signal, limits })
      return answer.type === 'stream'
        ? { type: 'stream', answer }
        : { type: 'whole', answer, ...(await read(answer.result, inbound, answer, room)) }
    } catch (cause) {
      const error = GatewayError.from(cause)
      failed.set(error, to)
      throw error
    }
  }
  function overridden(candidate: Deployment): Deployment {
    const to = asked.override(candidate)
    return to.forClient[openaiChat.id] ?? to
  }
  /** The provider that failed, and an abort as what it is, whatever came of it on the way. */
  function errorOf(cause: unknown): unknown {
    const aborted = callers?.aborted === true
    const error = aborted
      ? new GatewayError('canceled', 'the call was canceled by its signal', {
          cause: callers.reason,
        })
      : GatewayError.from(cause)
    const at = failed.get(GatewayError.from(cause))
    return apiErrorFrom(error, { provider: at?.provider, model: at?.target.model ?? said.model })
  }

  let routed: Routed<Attempt>
  try {
    routed = await router.route<Attempt>({
      model: group,
      tags: controls.tags,
      retries: controls.retries,
      fallbacks,
      disableFallbacks: controls.disableFallbacks,
      ownTimeout: said.params.timeout !== undefined,
      signal,
      attempt,
    })
  } catch (cause) {
    throw errorOf(cause)
  }
  const { answer: got, release } = routed
  const { answer } = got
  const hidden = hiddenOf({
    answer,
    stream,
    callId: start.callId,
    retries: routed.retries,
    fallbacks: routed.fallbacks,
    group: asked.groupName,
    ms: Date.now() - start.at,
  })
  const { deployment } = answer
  const tier = text(body.service_tier)
  if (got.type === 'whole') {
    release(undefined)
    const served = text(got.completion.service_tier)
    hidden.response_cost = costOfCall(got.usage, deployment, { tier, served, at: start.at })
    return withHidden(got.completion, hidden)
  }
  return openStream({
    answer: got.answer,
    hidden,
    maxLineBytes: room.calls.maxLineBytes,
    count: (written) => count(inbound, written, deployment, room),
    settle(usage) {
      hidden.response_cost = costOfCall(usage, deployment, {
        tier,
        served: undefined,
        at: start.at,
      })
      hidden._response_ms = Date.now() - start.at
    },
    release,
    stop: () => ending.abort(),
    errorOf(error) {
      if (GatewayError.is(error)) failed.set(error, deployment)
      return errorOf(error)
    },
  })
}

type Start = { at: number; callId: string; streamUsage: boolean; choices: number }
type Whole = { completion: Omit<ChatCompletion, '_hidden_params'> & JsonObject; usage: Usage }
type Attempt =
  | { type: 'stream'; answer: Extract<Answer, { type: 'stream' }> }
  | ({ type: 'whole'; answer: Answer } & Whole)

/** Read while another deployment can still be asked: what passed unread may be no JSON. */
async function read(
  result: PassedResult,
  inbound: Inbound,
  { deployment }: Answer,
  room: Room,
): Promise<Whole> {
  const usage = result.usage ?? count(inbound, result.text(), deployment, room)
  const { body, encoding } = result.encode(result.usage ? undefined : usage)
  try {
    return { completion: JSON.parse(encoding === 'latin1' ? utf8(bytesOf(body)) : body), usage }
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON', {
      cause,
    })
  }
}

/** The answer names the model that gave it, as LiteLLM's library has it. */
const askOf = (to: Deployment, { at, callId, streamUsage, choices }: Start): Ask => ({
  remove: [],
  dropParams: false,
  headers: {},
  dialectHeaders: {},
  context: {
    model: to.target.model,
    requestId: callId,
    created: Math.floor(at / 1000),
    streamUsage,
    choices,
  },
})

function limitsOf({ said, timeout, streamTimeout }: Call, to: Deployment): Limits {
  const normal = (to.timeout ?? timeout) * 1000
  if (!said.stream) return { firstByteMs: normal, idleMs: normal, totalMs: normal }
  const seconds = to.streamTimeout ?? (to.timeout === undefined ? streamTimeout : undefined)
  const streaming = seconds === undefined ? normal : seconds * 1000
  return { firstByteMs: streaming, idleMs: streaming }
}

function mockFailure({ controls, model }: Said): GatewayError {
  const [, kind] = Object.entries(testing).find(([name]) => name === controls.failFirst) ?? []
  return new GatewayError(
    kind ?? 'provider',
    `this failure of ${model} was asked for by ${controls.failFirst}`,
    {
      provider: 'Mock',
    },
  )
}

/** Nobody told the usage: it is counted, so that it is never zero. */
function count(inbound: Inbound, written: string, to: Deployment, { tokens }: Room): Usage {
  const { model } = to.target
  const messages = list(inbound.field('messages'))
  const input = tokens.countMessages(messages, inbound.field('tools'), model)
  return countedUsage(input, {
    output: tokens.countText(written, model),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
  })
}
