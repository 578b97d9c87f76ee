import { callBeside } from '../call/beside.ts'
import { type Ask, prepare } from '../call/prepare.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import type { Signal } from '../http/signal.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import type { Deployment } from '../provider/deployment.ts'
import { unknownModel } from '../router/router.ts'
import { unwrapped } from '../wire/gemini/count.ts'
import { type Inbound, listen, type Said } from '../wire/inbound.ts'
import { readObject } from '../wire/relay.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { groupFor, paced } from './admission.ts'
import { type Controls, readControls, refuseUpstreamElsewhere } from './fields.ts'
import { callIdOf, dialectHeaders, forwarded } from './headers.ts'
import { json } from './models.ts'
import { mayNameThings, type NamedThings, namedThings } from './named-things.ts'
import type { Rooms } from './rooms.ts'
import type { Visit } from './routes.ts'
import { limitsOf } from './stored.ts'

/** Anthropic's count_tokens, OpenAI's input_tokens: the body of a conversation, with the model in it. */
export const countTokens =
  (wire: Wire) =>
  async (visit: Visit): Promise<Outgoing> =>
    counted(await visit.incoming.body(), {}, wire, visit)

/** Google's countTokens: the model is in the path, and the request may be wrapped. */
export async function geminiCountTokens(visit: Visit): Promise<Outgoing> {
  const { incoming, rooms, params } = visit
  const { jsonDepth } = rooms.settings
  const body = parseObject(await incoming.body(), { ...requestBounds, maxDepth: jsonDepth })
  const said: Said = { model: params['model'] ?? '', stream: false }
  return counted(toUtf8(stringify(unwrapped(body))), said, wires.gemini, visit)
}

/**
 * What a request would be billed for reading: asked of the provider where it tells, counted here where it does not, or
 * where it cannot be asked just now. Agents ask for dozens at once, so nothing is waited for twice.
 */
async function counted(bytes: Uint8Array, path: Said, wire: Wire, visit: Visit): Promise<Outgoing> {
  const { incoming, rooms, caller } = visit
  refuseUpstreamElsewhere(incoming.query, incoming.headerNames())
  const { settings, router } = rooms
  const asked = { stream: false, ...path }
  let said = listen(bytes, wire, asked, settings.jsonDepth)
  const things = mayNameThings(said) ? namedThings(said, caller, rooms) : undefined
  if (things?.bytes) said = listen(things.bytes, wire, asked, settings.jsonDepth)
  const controls = readControls(said, settings.fields, incoming)
  const group = groupFor(settings.completionModel ?? said.model, caller, rooms)
  if (!router.knows(group)) throw unknownModel(said.model)
  const end = await paced(incoming, said, group, caller, rooms)
  try {
    if (things) await things.check()
    return await count(said, controls, group, visit, things?.only)
  } finally {
    end()
  }
}

async function count(
  said: Inbound,
  controls: Controls,
  group: string,
  { incoming, rooms }: Visit,
  only: NamedThings['only'],
): Promise<Outgoing> {
  const { settings, router } = rooms
  const { wire } = said
  const found = router.groups.find(group)
  const all = only ? found.filter(only) : found
  const [first] = all
  if (!first) throw unknownModel(said.model)
  const headers = { 'x-litellm-call-id': callIdOf(incoming.header('x-litellm-call-id')) }
  const answer = (told: ReturnType<typeof json>, source: string): Outgoing => ({
    ...told,
    headers: { ...told.headers, ...headers, 'x-throughway-count': source },
  })
  const ask: Ask = {
    remove: controls.remove,
    dropParams: true,
    headers: forwarded(incoming, group, settings, controls.headers),
    dialectHeaders: wire.id === 'anthropic' ? dialectHeaders(incoming) : {},
    context: {
      model: said.model,
      requestId: headers['x-litellm-call-id'],
      created: 0,
      streamUsage: true,
      choices: 1,
    },
  }
  const asked = pick(all, said, rooms)
  const theirs = asked && (await askProvider(said, asked, ask, incoming.signal, rooms))
  if (theirs && asked.wire === wire) return answer(json(theirs.body), 'provider')
  const tell = wire.count?.answer
  if (!tell) throw new GatewayError('not_offered', 'tokens are not counted in this dialect')
  if (theirs) return answer(json(tell(theirs.tokens)), 'provider')
  await rooms.tokens.ready()
  const { model } = first.target
  return answer(json(tell(rooms.tokens.counter.countRequest(said.request(), model))), 'local')
}

/** The first that counts and is in good health, as it speaks with this client. */
function pick(
  all: readonly Deployment[],
  said: Inbound,
  { router }: Rooms,
): Deployment | undefined {
  for (const one of all) {
    const as = one.forClient[said.wire.id] ?? one
    if (as.wire.count?.url(as.url.whole) && !as.problem && !as.mock && !router.health.cooling(one))
      return as
  }
  return undefined
}

/** Undefined where the provider could not tell; throws where it says what is wrong with the request, in the client's own dialect. */
async function askProvider(
  said: Inbound,
  to: Deployment,
  ask: Ask,
  signal: Signal,
  rooms: Rooms,
): Promise<{ tokens: number; body: ReturnType<typeof readObject> } | undefined> {
  const { count } = to.wire
  const url = count?.url(to.url.whole)
  if (!count || url === undefined) return undefined
  try {
    const { body: chat, headers: own } = prepare(said, to, ask)
    const body = toUtf8(
      stringify(count.encode(parseObject(chat), to.target, to.wire === said.wire)),
    )
    const headers = own === to.headers ? {} : own
    const { reply } = await callBeside(
      to,
      { method: 'POST', url, headers, body },
      rooms.calls.transport,
      { signal, limits: { ...limitsOf(to, rooms), totalMs: patienceMs } },
    )
    const told = readObject(await reply.bytes(1_000_000))
    const tokens = count.decode(told)
    return tokens === undefined ? undefined : { tokens, body: told }
  } catch (cause) {
    const error = GatewayError.from(cause)
    if (error.kind === 'canceled') throw error
    if (to.wire === said.wire && blames.has(error.kind)) throw error
    rooms.log('debug', 'the provider did not count: counted here', { cause: error.message })
    return undefined
  }
}

/** A count that takes longer is worth less than an estimate. */
const patienceMs = 15_000
/** What the request itself is to blame for. */
const blames = new Set(['bad_request', 'unprocessable', 'too_large', 'context_window'])
