import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import type { Deployment } from '../provider/deployment.ts'
import { wires } from '../wire/wires.ts'
import { groupFor } from './admission.ts'
import { noSuchModel } from './chat.ts'
import { type PassTarget, providerTarget, servePassthrough } from './passthrough.ts'
import type { Route, Visit } from './routes.ts'

/**
 * Google's Interactions API, at the paths its clients know: only Google has it. A model is one of the gateway's own names
 * and is asked with its credential; agents, and interactions that were made before, with that of Google's own API here.
 */
async function serveInteraction(visit: Visit): Promise<Outgoing> {
  const { incoming } = visit
  const { path } = incoming
  const at = path.startsWith('/interactions') ? `/v1beta${path}` : path
  const inner: Incoming = { ...incoming, path: at }
  const asked: Visit = { ...visit, incoming: inner }
  const isNew = incoming.method === 'POST' && at === '/v1beta/interactions'
  return servePassthrough(
    asked,
    () => (isNew ? newInteraction(asked) : ofAccount(asked)),
    wires.gemini,
    true,
  )
}

async function newInteraction(visit: Visit): Promise<PassTarget> {
  const { incoming, rooms, caller } = visit
  const { jsonDepth } = rooms.settings
  const body = parseObject(await incoming.body(), { ...requestBounds, maxDepth: jsonDepth })
  const model = text(body['model'])
  if (model === undefined || model === '') {
    if (text(body['agent'])) return ofAccount(visit)
    throw new GatewayError('bad_request', "an interaction names a 'model' or an 'agent'", {
      param: 'model',
    })
  }
  const group = groupFor(model, caller, rooms)
  if (!rooms.router.knows(group)) throw noSuchModel(incoming.path, model)
  const deployments = rooms.router.groups.find(group)
  const to = deployments.find((one) => one.provider === 'gemini' && !one.problem)
  if (!to) throw notGoogles(model, deployments)
  const said = { ...body, model: to.target.model }
  return { ...targetAt(visit, to), body: toUtf8(stringify(said)) }
}

const notGoogles = (model: string, deployments: readonly Deployment[]): GatewayError => {
  const names = [...new Set(deployments.map(({ provider }) => provider))].join(', ')
  return new GatewayError(
    'not_offered',
    `Interactions are Google AI Studio's own (provider gemini), and '${model.slice(0, 100)}' is at ${names || 'nobody'}: ask /v1beta/models/{model}:generateContent or /v1/responses`,
    { code: '501' },
  )
}

/** Nobody can tell which model an agent asks. */
function ofAccount(visit: Visit): PassTarget {
  visit.rooms.access?.refuseBound(visit.caller)
  return targetAt(visit, accountOf(visit))
}

/** Google's own API as it is passed to, else the first of the models there. */
function accountOf({ rooms }: Visit): Deployment | undefined {
  const own = rooms.provider('gemini', 'passthrough')
  if (own && !own.problem) return undefined
  return rooms.router.groups.all().find((one) => one.provider === 'gemini' && !one.problem)
}

/** Its address and credential in the place of the provider's own. */
function targetAt(visit: Visit, to: Deployment | undefined): PassTarget {
  if (!to) return providerTarget(visit, undefined, 'gemini')
  // One name for all of them: what was made by one model is looked at without it.
  const rooms = { ...visit.rooms, provider: () => ({ ...to, id: 'provider:gemini' }) }
  return providerTarget({ ...visit, rooms }, undefined, 'gemini')
}

export const interactionRoutes: readonly Route[] = [
  '/interactions',
  '/v1beta/interactions',
].flatMap((path) =>
  (
    [
      ['POST', path, "Google's Interactions: ask a model or an agent"],
      ['GET', `${path}/{interaction_id}`, 'An interaction that was made before'],
      ['DELETE', `${path}/{interaction_id}`, 'Forget an interaction'],
      ['POST', `${path}/{interaction_id}/cancel`, 'Stop one that goes on in the background'],
    ] as const
  ).map(
    ([method, place, summary]): Route => ({
      method,
      path: place,
      permission: 'llm',
      dialect: wires.gemini,
      summary,
      run: serveInteraction,
    }),
  ),
)
