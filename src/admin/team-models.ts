import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { list } from '../json/json.ts'
import { refuseUnknownModels } from './model-names.ts'
import { teamFor } from './reach.ts'
import { type AdminRoute, badRequest, json, notFound, readBody, storeOf } from './route.ts'
import { boundsOf, refuseBeyond } from './team-bounds.ts'
import { teamModels, teamRowShape } from './team-fields.ts'
import { teamRowNow } from './team-row.ts'
import { updated } from './written.ts'

/** The models of a team, added to and taken from. */

/** A team without a list may use all there is, or all of its organisation's: before a name is added, the list says so. */
async function addModels(visit: Visit): Promise<Outgoing> {
  const { team_id, models } = await readBody(visit, teamModels)
  const { docs } = storeOf(visit)
  const { team } = await teamFor(visit, team_id, 'run')
  const bounds = await boundsOf(docs, team.columns.organization_id)
  const known = { known: list(team.data['models']), teamId: team_id }
  await refuseUnknownModels(visit, docs, models, known)
  if (bounds) refuseBeyond(bounds, { models })
  return writeModels(visit, team_id, (was) => {
    const all = bounds && bounds.models.length > 0 ? bounds.models : ['all-proxy-models']
    return [...new Set([...(was.length === 0 ? all : was), ...models])]
  })
}

/** The last one taken away leaves a list that opens nothing, for an empty one opens everything. */
async function deleteModels(visit: Visit): Promise<Outgoing> {
  const { team_id, models } = await readBody(visit, teamModels)
  return writeModels(visit, team_id, (was) => {
    if (was.length === 0)
      throw badRequest(
        'this team has no list of models, so it may use all of them: set the list with /team/update',
        'models',
      )
    const left = was.filter((model) => !models.includes(model))
    return left.length > 0 ? left : ['no-default-models']
  })
}

async function writeModels(
  visit: Visit,
  id: string,
  change: (was: string[]) => string[],
): Promise<Outgoing> {
  const team = await storeOf(visit).write((tx) =>
    tx.team.update(id, ({ data }) => {
      Object.assign(data, { models: change(list(data['models']).map(String)) }, updated(visit))
    }),
  )
  if (!team) throw notFound(`Team not found, passed team_id=${id}`)
  return json(await teamRowNow(visit, team))
}

const output = teamRowShape

export const teamModelRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/team/model/add',
    permission: 'admin',
    summary: 'Add to the models of a team',
    input: teamModels,
    output,
    run: addModels,
  },
  {
    method: 'POST',
    path: '/team/model/delete',
    permission: 'admin',
    summary: 'Take from the models of a team',
    input: teamModels,
    output,
    run: deleteModels,
  },
]
