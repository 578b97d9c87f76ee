import { type Answer, call } from '../call/call.ts'
import { canceled } from '../call/connection-error.ts'
import { mockFailure } from '../call/mock-failures.ts'
import type { Ask } from '../call/prepare.ts'
import type { Limits } from '../call/transport.ts'
import { inputTokens, outputTokens, type Usage } from '../chat/chat.ts'
import { countedUsage } from '../chat/tokens.ts'
import { GatewayError } from '../errors.ts'
import { list, number, object, text } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import type { Units } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Routed, Router } from '../router/router.ts'
import { type Inbound, listen } from '../wire/inbound.ts'
import { openaiChat } from '../wire/openai-chat/wire.ts'
import { openaiResponses } from '../wire/openai-responses/wire.ts'
import type { PassedResult, Wire } from '../wire/wire.ts'
import { costOfCall } from './costs.ts'
import { type APIError, apiErrorFrom } from './errors.ts'
import { chatBase, hiddenOf, withHidden } from './hidden.ts'
import type { Said } from './options.ts'
import type { Room } from './room.ts'
import { openStream } from './stream.ts'
import type { ChatCompletion, ChatCompletionStream, CompletionBody, HiddenParams } from './types.ts'

/** A call, and who could answer it. */
export type Call = {
  said: Said
  /** In whose words: OpenAI's chat, Responses or legacy completions; absent where it is no conversation. */
  wire?: Wire
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

/** One call, whoever answers it in the end. Streamed and whole answers are in the words of `asked.wire`. */
export async function complete(
  asked: Call & { wire: Wire },
  room: Room,
): Promise<ChatCompletion | ChatCompletionStream> {
  const { said } = asked
  const begun = begin(asked)
  refuseImplausible(begun.inbound)
  const routed = await route(asked, begun, (to) => attempt(to, asked, begun, room))
  const { answer: got, release } = routed
  const { deployment } = got.answer
  const hidden = hiddenOf({
    answer: got.answer,
    base: chatBase(deployment, said.stream),
    callId: begun.callId,
    retries: routed.retries,
    fallbacks: routed.fallbacks,
    group: asked.groupName,
    ms: Date.now() - begun.at,
  })
  const measured = (usage: Usage): void =>
    routed.measured?.({ input: inputTokens(usage), output: outputTokens(usage) })
  if (got.type === 'stream') return streamed(got.answer, hidden, { release, measured }, begun, room)
  release(undefined)
  measured(got.usage)
  const served = text(got.completion.service_tier)
  hidden.response_cost = begun.cost({ usage: got.usage }, deployment, served)
  return withHidden(got.completion, hidden)
}

/** Whoever can answer, in the order of the router; what is thrown is what the caller sees. */
export async function route<Answered>(
  { said, router, group, fallbacks }: Call,
  begun: Begun,
  attempt: (to: Deployment) => Promise<Answered>,
): Promise<Routed<Answered>> {
  const { controls, stream, params } = said
  if (controls.mockError) throw controls.mockError
  try {
    return await router.route<Answered>({
      model: group,
      tags: controls.tags,
      hints: controls.hints,
      retries: controls.retries,
      fallbacks,
      disableFallbacks: controls.disableFallbacks,
      stream,
      ownTimeout: params.timeout !== undefined,
      signal: begun.signal,
      attempt,
    })
  } catch (cause) {
    throw begun.errorOf(cause)
  }
}

/** A call from its first attempt to its last chunk. */
export type Begun = {
  inbound: Inbound
  at: number
  callId: string
  streamUsage: boolean
  choices: number
  /** Aborted by the caller, or by `stop`. */
  signal: AbortSignal
  stop(): void
  /** Remembers who failed in this way. */
  blame(error: GatewayError, deployment: Deployment): void
  /** What was thrown, as the caller sees it: with who failed, and an abort as what it is. */
  errorOf(cause: unknown): APIError
  cost(used: Used, deployment: Deployment, served: string | undefined): number | null
}
export type Used = { usage: Usage; units?: Units | undefined }

export function begin({ said: { body, model, stream, controls }, wire }: Call): Begun {
  const whole = JSON.stringify({ ...body, model, ...(wire && { stream }) })
  const inbound = listen(toUtf8(whole), wire ?? openaiChat, { stream })
  const { signal: callers } = controls
  const ending = new AbortController()
  const failed = new WeakMap<GatewayError, Deployment>()
  const tier = text(body.service_tier)
  const at = Date.now()
  return {
    inbound,
    at,
    callId: controls.callId ?? crypto.randomUUID(),
    streamUsage: object(body.stream_options).include_usage === true,
    choices: number(body.n) ?? 1,
    signal: callers ? AbortSignal.any([callers, ending.signal]) : ending.signal,
    stop: () => ending.abort(),
    blame: (error, deployment) => void failed.set(error, deployment),
    errorOf(cause) {
      const error = GatewayError.from(cause)
      const by = failed.get(error)
      const whom = { provider: by?.provider, model: by?.target.model ?? model }
      if (!callers?.aborted) return apiErrorFrom(error, whom)
      const message = 'the call was canceled by its signal'
      return apiErrorFrom(new GatewayError('canceled', message, { cause: callers.reason }), whom)
    },
    cost: ({ usage, units }, deployment, served) =>
      costOfCall(usage, deployment, { tier, served, at, units }),
  }
}

/** Refuses what is no conversation, before anybody is asked. */
function refuseImplausible(inbound: Inbound): void {
  const lists = inbound.wire.native?.lists ?? []
  if (!lists.every((key) => Array.isArray(inbound.field(key)))) inbound.request()
}

type Whole = { completion: CompletionBody; usage: Usage }
type Attempt =
  | { type: 'stream'; answer: Extract<Answer, { type: 'stream' }> }
  | ({ type: 'whole'; answer: Answer } & Whole)

async function attempt(
  candidate: Deployment,
  asked: Call & { wire: Wire },
  begun: Begun,
  room: Room,
): Promise<Attempt> {
  const { wire } = asked
  const { inbound, signal } = begun
  return speak(candidate, asked, begun, async (own) => {
    const to = own.forClient[wire.id] ?? own
    if (to.wire !== wire) refuseElsewhere(inbound, to)
    const limits = limitsOf(asked, to)
    const answer = await call(inbound, to, askOf(to, begun), room.calls, { signal, limits })
    if (answer.type === 'stream') return { type: 'stream', answer }
    return { type: 'whole', answer, ...read(answer.result, inbound, answer, room) }
  })
}

/** Keeping answers is the provider's to do: without one that does, half a conversation would be answered. */
function refuseElsewhere(inbound: Inbound, { spec, target }: Deployment): void {
  if (inbound.wire !== openaiResponses) return
  for (const key of ['previous_response_id', 'conversation', 'prompt', 'background'])
    if (inbound.has(key) && inbound.field(key) !== null && inbound.field(key) !== false)
      throw new GatewayError(
        'unsupported_params',
        `${spec.name} keeps no answers of ${target.model}, so it does not know '${key}': send the whole conversation in 'input', or call it through a gateway, which keeps them`,
        { param: key, type: 'invalid_request_error' },
      )
}

/** One attempt, with what the call changes about the deployment, and its failure told of whom it was. */
export async function speak<Answered>(
  candidate: Deployment,
  { said, group, override }: Call,
  { signal, blame }: Begun,
  say: (to: Deployment) => Promise<Answered>,
): Promise<Answered> {
  let to = candidate
  try {
    to = override(candidate)
    if (signal.aborted) throw canceled(signal)
    const { failFirst } = said.controls
    if (failFirst !== undefined && candidate.group === group)
      throw mockFailure(failFirst, said.model)
    return await say(to)
  } catch (cause) {
    const error = GatewayError.from(cause)
    blame(error, to)
    throw error
  }
}

function streamed(
  answer: Extract<Answer, { type: 'stream' }>,
  hidden: HiddenParams,
  {
    release,
    measured,
  }: { release: (error: GatewayError | undefined) => void; measured: (usage: Usage) => void },
  begun: Begun,
  room: Room,
): ChatCompletionStream {
  const { deployment } = answer
  return openStream({
    answer,
    hidden,
    maxLineBytes: room.calls.maxLineBytes,
    count: (written) => count(begun.inbound, written, deployment, room),
    settle(usage) {
      measured(usage)
      hidden.response_cost = begun.cost({ usage }, deployment, undefined)
      hidden._response_ms = Date.now() - begun.at
    },
    release,
    stop: begun.stop,
    errorOf(error) {
      begun.blame(error, deployment)
      return begun.errorOf(error)
    },
  })
}

/** Read while another deployment can still be asked: what passed unread may be no JSON. */
function read(result: PassedResult, inbound: Inbound, { deployment }: Answer, room: Room): Whole {
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
export const askOf = (
  to: Deployment,
  { inbound, at, callId, streamUsage, choices }: Begun,
): Ask => ({
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
    // Nothing is kept here: an answer that could be asked for again would say something untrue.
    said: (key) => (key === 'store' ? false : inbound.field(key)),
  },
})

export function limitsOf({ said, timeout, streamTimeout }: Call, to: Deployment): Limits {
  const normal = (to.timeout ?? timeout) * 1000
  if (!said.stream) return { firstByteMs: normal, idleMs: normal, totalMs: normal }
  const seconds = to.streamTimeout ?? (to.timeout === undefined ? streamTimeout : undefined)
  const streaming = seconds === undefined ? normal : seconds * 1000
  return { firstByteMs: streaming, idleMs: streaming }
}

/** Nobody told the usage: it is counted, so that it is never zero. */
function count(inbound: Inbound, written: string, to: Deployment, { tokens }: Room): Usage {
  const { model } = to.target
  const input =
    inbound.wire === openaiChat
      ? tokens.countMessages(list(inbound.field('messages')), inbound.field('tools'), model)
      : tokens.countRequest(inbound.request(), model)
  return countedUsage(input, {
    output: tokens.countText(written, model),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
  })
}
