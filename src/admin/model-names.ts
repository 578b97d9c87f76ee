import type { Visit } from '../gateway/routes.ts'
import { list, object } from '../json/json.ts'
import type { AllDocs } from '../store/store.ts'
import { badRequest } from './route.ts'

/** Names in lists of models that are none. */
const words = new Set(['all-team-models', 'all-proxy-models', 'no-default-models'])

/**
 * What a list of models may name: a model group or its alias, a name that a wildcard row serves, a wildcard, an access
 * group, a model of the team, a model another process has just added. Throws 400 naming the first that is none of these.
 * A gateway without any model takes every name: its models are yet to come.
 */
export async function refuseUnknownModels(
  { rooms }: Visit,
  docs: Pick<AllDocs, 'access_group' | 'model'>,
  models: readonly unknown[],
  more: { known?: readonly unknown[]; teamId?: string | undefined } = {},
): Promise<void> {
  const { router } = rooms
  const known = new Set(more.known)
  const groups = new Set(router.groups.all().flatMap(({ info }) => list(info['access_groups'])))
  const strange = models
    .map(String)
    .filter(
      (name) =>
        !known.has(name) &&
        !words.has(name) &&
        !name.includes('*') &&
        !groups.has(name) &&
        !router.knows(router.groups.nameOf(name)),
    )
  if (strange.length === 0) return
  const [stored, ofTeam, inDatabase] = await Promise.all([
    docs.access_group.list({ where: { unique_name: strange } }),
    more.teamId === undefined ? [] : docs.model.list({ where: { team_id: more.teamId } }),
    docs.model.list({ where: { alias: strange } }),
  ])
  const found = new Set<unknown>([
    ...stored.map(({ uniqueName }) => uniqueName),
    ...inDatabase.map(({ columns }) => columns.alias),
    ...ofTeam.map(({ data }) => object(data['model_info'])['team_public_model_name']),
  ])
  const unknown = strange.find((name) => !found.has(name))
  if (unknown === undefined) return
  if (router.groups.all().length === 0 && (await docs.model.count()) === 0) return
  throw badRequest(
    `models: '${unknown.slice(0, 100)}' is no model and no access group of this gateway: /v1/models lists what there is`,
    'models',
  )
}
