import { GatewayError } from '../errors.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Inbound } from '../wire/inbound.ts'
import { isSearch, refusesSearch } from '../wire/search-tool.ts'
import { wires } from '../wire/wires.ts'

const responses = wires['openai-responses']

/**
 * Speaks to a deployment as it speaks with clients of this wire. A compatible server may lack the route although its row
 * has it (its base leads anywhere): it is then asked in the words everyone knows, and remembered for a while.
 */
export function forClient<T>(
  said: Inbound,
  to: Deployment,
  now: () => number,
  attempt: (as: Deployment) => Promise<T>,
): Promise<T> {
  const own = ownWay(said, to)
  if (own.wire !== responses || own === to) return attempt(own)
  if (lacksRoute(to, now)) return attempt(to)
  return attempt(own).catch((cause: unknown) => {
    const error = GatewayError.from(cause)
    if (!isRouteless(error) || isKeptThere(said)) throw error
    return attempt(to).then(
      (answer) => {
        routeless.set(to, now() + rememberedMs)
        return answer
      },
      (second: unknown) => {
        // Where chat is not found either, it was not for want of the route.
        if (!isRouteless(GatewayError.from(second))) routeless.set(to, now() + rememberedMs)
        throw second
      },
    )
  })
}

/** The deployment as its row says that it speaks with clients of this wire. */
export const ownWay = (said: Inbound, to: Deployment): Deployment =>
  to.forClient[said.wire.id] ?? inResponses(said, to) ?? searching(said, to) ?? to

/** OpenAI's own servers refuse functions in chat while the model thinks; the servers that only look like them do not. */
function inResponses(said: Inbound, to: Deployment): Deployment | undefined {
  const { quirks } = to.target
  const { 'openai-responses': own } = to.forClient
  if (!quirks.toolsNeedResponses || !own || !openAisOwn.test(to.url.whole) || !said.has('tools'))
    return undefined
  const { tools, reasoning } = said.request()
  if (!tools.some(({ type }) => type === 'function')) return undefined
  const effort = reasoning?.effort ?? (reasoning?.budget === 0 ? 'none' : undefined)
  const thinks =
    effort === undefined ? quirks.samplingFreeAt !== 'none-or-unset' : effort !== 'none'
  return thinks ? own : undefined
}
/** Another dialect's web search, at a model that searches in Responses and not in chat. */
function searching(said: Inbound, to: Deployment): Deployment | undefined {
  const { quirks, info } = to.target
  const { 'openai-responses': own } = to.forClient
  if (!own || said.wire.id === 'openai-chat' || info['supports_web_search'] !== true)
    return undefined
  if (!refusesSearch(quirks) || !said.has('tools')) return undefined
  const { tools, toolChoice } = said.request()
  return toolChoice !== 'none' && tools.some(isSearch) ? own : undefined
}

const openAisOwn = /^https:\/\/[^/]*(?:api\.openai\.com|\.azure\.com)(?:[:/]|$)/

/** Was the server found to lack the route its row has? */
export const lacksRoute = (to: Deployment, now: () => number): boolean =>
  (routeless.get(to) ?? 0) > now()

/** The server may be updated. */
const rememberedMs = 3_600_000
const routeless = new WeakMap<Deployment, number>()

/** No such path; what a provider names more closely (a model, an earlier answer) is the client's to hear. */
const isRouteless = ({ status, code }: GatewayError): boolean =>
  (status === 404 || status === 405) &&
  !(code !== undefined && /model|response|deployment/i.test(code))

/** Is part of the conversation with the provider, so that other words would leave it out? */
export const isKeptThere = (said: Inbound): boolean =>
  ['previous_response_id', 'conversation', 'prompt'].some(
    (key) => said.has(key) && (said.field(key) ?? null) !== null,
  )

/** May items be named that an answer had before, as the AI SDK does unless it is told not to store? 4 µs for 400 KB. */
export function mayNameItems({ glance }: Inbound): boolean {
  if (!glance) return true
  const input = glance.keys.get('input')
  if (!input) return false
  const at = glance.text.indexOf('"item_reference"', input.valueStart)
  return at !== -1 && at < input.valueEnd
}
