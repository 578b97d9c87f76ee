import { named } from '../call/call.ts'
import { headersBack } from '../call/scrub.ts'
import type { Limits, Reply } from '../call/transport.ts'
import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { refusePass } from '../policy/lanes.ts'
import { priceOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import { specOf } from '../provider/resolve.ts'
import { sentSecrets } from '../provider/secrets.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { admission } from './admission.ts'
import { refusal } from './chat.ts'
import { isPlainHeader, refuseUpstreamElsewhere } from './fields.ts'
import { callIdOf } from './headers.ts'
import { heardOf } from './operation.ts'
import { billPassed, costsUntold, refuseUntold, settlePassed } from './pass-cost.ts'
import { type Passed, passed } from './pass-count.ts'
import { passedThings } from './pass-owners.ts'
import { openReceipt, type Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import type { Route, Visit } from './routes.ts'
import { nothingLearnt, type PassTap, passTap } from './tap.ts'

/** Where a request goes that is neither read nor changed, and with whose credential. */
export type PassTarget = {
  url: string
  /** Ours: over whatever the client sent under these names. */
  headers: Readonly<Record<string, string>>
  /** Do the client's own headers go along? Its credentials never do. */
  forward: boolean
  /** Who is asked, where it is one of our providers: its signature, its secrets, its prices. */
  deployment: Deployment | undefined
  limits: Limits
  /** Dollars for each request, whatever it is; at a provider, for each that succeeds. */
  cost: number | undefined
  /** The name of another of the provider's services, for signatures. */
  service?: string
  /** In the place of the client's. */
  body?: Uint8Array
  /** What is looked at only once the caller is let in: the rest of it. */
  ready?: () => Promise<PassTarget>
}

/**
 * `/openai/…`, `/anthropic/…` and the like: the provider's own API with our credential in the place of the caller's. Path
 * and bytes are untouched; the answer is the provider's, errors too. What it used is read from what passes.
 */
export async function servePassthrough(
  { incoming, rooms, caller }: Visit,
  targetFor: () => PassTarget | Promise<PassTarget>,
  /** In whose words our own refusals are. */
  dialect: Wire = wires['openai-chat'],
  /** Does `targetFor` itself look whether the caller may? */
  looks = false,
): Promise<Outgoing> {
  const receipt = openReceipt(rooms, 'passthrough', callIdOf(incoming.header('x-litellm-call-id')))
  receipt.keyId = caller.keyId
  let begun: { asked: Passed; to: Deployment } | undefined
  try {
    refuseUpstreamElsewhere(incoming.query, incoming.headerNames())
    if (!looks) rooms.access?.refuseBound(caller)
    const made = targetFor()
    let target = made instanceof Promise ? await made : made
    const { deployment } = target
    receipt.model = incoming.path
    receipt.deployment = deployment
    const group = deployment?.provider ?? 'passthrough'
    receipt.group = group
    const bytes = Number(incoming.header('content-length') ?? 0) || 0
    const admitted = admission(
      incoming,
      heardOf({}, group),
      noControls,
      group,
      caller,
      receipt,
      rooms,
      {
        input: () => bytes,
        exactInput: async () => bytes,
        output: () => undefined,
        modelOutput: () => undefined,
        unknown: true,
      },
    )
    if (admitted) await admitted
    if (target.ready) target = await target.ready()
    const asked = passed(incoming.path, incoming.header('content-type') ?? '', rooms)
    if (costsUntold(incoming, target)) await refuseUntold(incoming, target, asked, rooms)
    const things = deployment && (await passedThings(incoming, deployment, caller, rooms))
    const costs = costsUntold(incoming, target)
    if (costs && deployment) begun = { asked, to: deployment }
    const { reply: told, secrets } = await send(incoming, target, asked, rooms)
    const reply = things ? await things.heard(told) : told
    receipt.status = reply.status
    const type = reply.header('content-type') ?? ''
    const tap = passTap(deployment, incoming.path, type, (name) => reply.header(name))
    const over = { ...target, asked, pays: costs && reply.status < 400 }
    return answer(reply, secrets, tap, over, receipt, rooms)
  } catch (cause) {
    const error = receipt.failed(cause)
    if (begun && error.kind === 'canceled') await billPassed(begun, receipt, rooms)
    receipt.settle()
    if (error.kind === 'internal')
      rooms.log('error', 'a request failed inside the gateway', {
        cause: error.cause,
        requestId: receipt.requestId,
      })
    return refusal(error, dialect, receipt.requestId, rooms)
  }
}

const noControls = {
  remove: [],
  dropParams: false,
  timeoutSeconds: undefined,
  streamTimeoutSeconds: undefined,
  retries: undefined,
  fallbacks: undefined,
  disableFallbacks: true,
  tags: [],
  headers: {},
  clientSide: {},
}

async function send(
  incoming: Incoming,
  target: PassTarget,
  asked: Passed,
  rooms: Rooms,
): Promise<{ reply: Reply; secrets: readonly string[] }> {
  const { method, signal } = incoming
  const { url, deployment, limits } = target
  const headers = { ...clientHeaders(incoming, target, rooms), ...target.headers }
  const bare = method === 'GET' || method === 'DELETE' || method === 'HEAD'
  // A signature is over the bytes; where none is needed they pass as they come.
  const signed = deployment?.authorize && deployment.spec.auth && 'scheme' in deployment.spec.auth
  const whole = signed || rooms.settings.unpriced === 'deny'
  const theirs = () => (whole ? incoming.body() : incoming.stream())
  const said = bare ? undefined : (target.body ?? (await theirs()))
  const body = said && asked.through(said)
  let secrets = deployment?.secrets ?? []
  if (deployment?.authorize) {
    const bytes = body instanceof Uint8Array ? body : new Uint8Array(0)
    const { service } = target
    const more = service === undefined ? {} : { service }
    const signing = deployment.authorize({ method, url, headers, body: bytes, ...more })
    if (signing) await signing
    secrets = [...secrets, ...sentSecrets(headers)]
  }
  try {
    const reply = await rooms.calls.transport({
      method: methodOf(method),
      url,
      headers,
      ...(body !== undefined && { body }),
      signal,
      limits,
      connection: deployment?.connection,
    })
    return { reply, secrets }
  } catch (cause) {
    throw deployment ? named(cause, deployment) : cause
  }
}

export const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const methodOf = (method: string): (typeof methods)[number] =>
  methods.find((one) => one === method) ?? 'GET'

/** What is the client's to say; not who it is to us, nor what belongs to its connection. */
function clientHeaders(
  incoming: Incoming,
  { forward }: PassTarget,
  rooms: Rooms,
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headers())) {
    const described = name === 'content-type' || name === 'accept'
    if (!described && (!forward || name === rooms.settings.keyHeader || ours.test(name))) continue
    if (described || isPlainHeader(name, value)) out[name] = value
  }
  return out
}
const ours =
  /^(x-litellm-|x-forwarded|x-real-ip|x-envoy|x-amz|forwarded|via$|origin$|referer$|user-agent$|sec-|ocp-apim|x-goog-api-key|date$|expect$)/

function answer(
  reply: Reply,
  secrets: readonly string[],
  tap: PassTap | undefined,
  { cost, deployment, asked, pays }: PassTarget & { asked: Passed; pays: boolean },
  receipt: Receipt,
  rooms: Rooms,
): Outgoing {
  receipt.firstByteAt = rooms.now()
  const source = reply.body[Symbol.asyncIterator]()
  let closed = false
  const settle = async (cause?: unknown): Promise<void> => {
    if (closed) return
    closed = true
    if (cause !== undefined) receipt.failed(cause)
    try {
      const learnt = tap?.end() ?? nothingLearnt
      receipt.usage = learnt.usage ?? noUsage
      if (cost !== undefined && (!deployment || reply.status < 400))
        receipt.deployment = flat(deployment, cost, rooms)
      else if (deployment) await settlePassed(deployment, learnt, { asked, pays }, receipt, rooms)
    } catch (failure) {
      // The answer has passed all the same.
      rooms.log('error', 'what a request that passed used could not be priced', {
        cause: failure,
        requestId: receipt.requestId,
      })
    } finally {
      await receipt.settle()
    }
  }
  const headers: Record<string, string> = {
    ...headersBack(reply, secrets),
    ...uploadHeaders(reply, secrets),
    'content-type': reply.header('content-type') ?? 'application/octet-stream',
    'x-litellm-call-id': receipt.requestId,
  }
  return {
    status: reply.status,
    headers,
    body: {
      [Symbol.asyncIterator]: () => ({
        async next() {
          try {
            const step = await source.next()
            if (!step.done) {
              tap?.push(step.value)
              return { done: false, value: step.value }
            }
            await settle()
            return { done: true, value: undefined }
          } catch (cause) {
            await settle(cause)
            throw cause
          }
        },
        async return() {
          await settle(closed ? undefined : new GatewayError('canceled', 'the client has gone'))
          await source.return?.()
          return { done: true, value: undefined }
        },
      }),
    },
  }
}

/** Google's uploads go on at an address that its answer names in a header: clients look for these by their own names. */
function uploadHeaders(reply: Reply, secrets: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.headers()).filter(
      ([name, value]) =>
        name.startsWith('x-goog-upload-') && !secrets.some((secret) => value.includes(secret)),
    ),
  )
}

/** A price for the request itself, wherever it went. */
function flat(to: Deployment | undefined, dollars: number, rooms: Rooms): Deployment | undefined {
  const like = to ?? rooms.provider('custom_openai', 'passthrough')
  const info = { input_cost_per_request: dollars }
  const own = to ? {} : { id: 'passthrough', provider: 'passthrough' }
  return like && { ...like, ...own, info, price: priceOf(info, { ownPrices: true }) }
}

/** Providers by the first step of the path; most are named alike. */
const places: readonly [prefix: string, provider: string][] = [
  ['openai', 'openai'],
  ['openai_passthrough', 'openai'],
  ['anthropic', 'anthropic'],
  ['gemini', 'gemini'],
  ['vertex_ai', 'vertex_ai'],
  ['vertex-ai', 'vertex_ai'],
  ['bedrock', 'bedrock'],
  ['cohere', 'cohere'],
  ['azure', 'azure'],
  ['azure_ai', 'azure_ai'],
  ['mistral', 'mistral'],
  ['openrouter', 'openrouter'],
  ['fal_ai', 'fal_ai'],
  ['vllm', 'hosted_vllm'],
  ['nvidia_nim', 'nvidia_nim'],
]

export const passthroughRoutes: readonly Route[] = places.flatMap(([prefix, provider]) =>
  wholeApi(prefix, provider, (visit) => providerTarget(visit, prefix, provider)),
)

/** Everything below the first step, by every method. */
export function wholeApi(
  prefix: string,
  provider: string,
  targetFor: (visit: Visit) => PassTarget | Promise<PassTarget>,
): Route[] {
  return methods.map((method) => ({
    method,
    path: `/${prefix}/{path+}`,
    permission: 'llm',
    summary: `${specOf(provider)?.name ?? provider}'s own API, with the gateway's credential`,
    run: (visit) => servePassthrough(visit, () => targetFor(visit)),
  }))
}

/**
 * What only the provider's own clients speak of, at the paths they know: Google's files and the uploads of them, and with
 * `anthropic-version` Anthropic's.
 */
export const nativeFileRoutes: readonly Route[] = (
  [
    ['POST', '/upload/v1beta/files'],
    ['PUT', '/upload/v1beta/files'],
    ['GET', '/v1beta/files'],
    ['GET', '/v1beta/files/{path+}'],
    ['DELETE', '/v1beta/files/{path+}'],
  ] as const
).map(
  ([method, path]): Route => ({
    method,
    path,
    permission: 'llm',
    dialect: wires.gemini,
    summary: "Google's files, with the gateway's credential",
    run: (visit) => passTo(visit, 'gemini', wires.gemini),
  }),
)

/** The same path at a provider, without the first step where that names it. */
export const passTo = (
  visit: Visit,
  provider: string,
  dialect: Wire,
  prefix?: string,
): Promise<Outgoing> =>
  servePassthrough(visit, () => providerTarget(visit, prefix, provider), dialect)

export function providerTarget(
  { incoming, rooms, caller }: Visit,
  prefix: string | undefined,
  provider: string,
  /** Where it is not the provider's own, or its path is another. */
  urlOf: (to: Deployment, below: string) => string = (to, below) =>
    rootOf(to, incoming.path) + below,
): PassTarget {
  refusePass(caller, incoming.path, false)
  const to = rooms.provider(provider, 'passthrough')
  const problem = to?.problem
  if (!to || problem || to.place.base === '')
    throw new GatewayError(
      'not_offered',
      `nothing can be passed to ${provider}: ${problem?.message ?? 'its address is not set'}`,
    )
  const { 'content-type': _, ...headers } = to.headers
  const seconds = rooms.settings.passThroughSeconds
  return {
    url: urlOf(to, pathBelow(incoming.path, prefix)) + queryOf(incoming.query),
    headers,
    forward: true,
    deployment: to,
    limits: { firstByteMs: seconds * 1000, idleMs: seconds * 1000 },
    cost: undefined,
  }
}

/**
 * Without the version that the client's path begins with. Vertex has a host for each place, which the path names, and
 * Bedrock one for agents and what they know.
 */
function rootOf({ place, provider }: Deployment, path: string): string {
  const { origin, pathname } = new URL(place.base)
  if (provider === 'bedrock' && !place.own && ofAgents.test(path))
    return origin.replace('//bedrock-runtime', '//bedrock-agent-runtime')
  if (provider !== 'vertex_ai') return origin + pathname.replace(/\/(v\d+\w*)?\/?$/, '')
  const location = /\/locations\/([a-z]+(?:-[a-z]+\d+)?)\//.exec(path)?.[1]
  if (place.own || location === undefined) return origin
  return location === 'global'
    ? 'https://aiplatform.googleapis.com'
    : `https://${location}-aiplatform.googleapis.com`
}
const ofAgents =
  /^\/bedrock\/(?:agents|knowledgebases|flows|retrieveAndGenerate|retrieveAndGenerateStream|rerank|generateQuery|optimize-prompt)(?:\/|$)/

/** As it was sent, and never upwards. */
export function pathBelow(path: string, prefix: string | undefined): string {
  const below = prefix === undefined ? path : path.slice(prefix.length + 1)
  if (upwards.test(below) || below.includes('\\'))
    throw new GatewayError('bad_request', 'the path leads upwards; write it out')
  return below
}
const upwards = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|%2f\.\.|%5c/i

/** Google's clients put the gateway's key into the query. */
export function queryOf(query: string): string {
  const kept = query.split('&').filter((part) => part !== '' && !/^(key|api[-_]?key)=/i.test(part))
  return kept.length > 0 ? `?${kept.join('&')}` : ''
}
