import type { Visit } from '../gateway/routes.ts'
import { text } from '../json/json.ts'
import { isAdmin, seesAll } from '../policy/caller.ts'
import type { Doc } from '../store/docs.ts'
import { forbidden, storeOf } from './route.ts'

/** What a caller is in the teams and organisations of the house: read once per visit to a route that narrows. */
export type Standing = {
  /** Changes everything. */
  admin: boolean
  /** Reads everything. */
  sees: boolean
  userId: string | undefined
  keyId: string
  /** Teams the caller belongs to, and as what. */
  teams: ReadonlyMap<string, 'admin' | 'user'>
  /** Organisations the caller belongs to; true: administers. */
  organizations: ReadonlyMap<string, boolean>
}

export async function standingOf(visit: Visit): Promise<Standing> {
  const { caller } = visit
  const { userId } = caller
  const whole = seesAll(caller)
  const of = { where: { user_id: userId ?? '' } }
  const { docs } = storeOf(visit)
  const [teams, organizations] =
    whole || userId === undefined
      ? [[], []]
      : await Promise.all([docs.team_member.list(of), docs.organization_member.list(of)])
  return {
    admin: isAdmin(caller),
    sees: whole,
    userId,
    keyId: caller.keyId,
    teams: new Map(
      teams.map(({ columns, data }) => [
        columns.team_id ?? '',
        data['role'] === 'admin' ? 'admin' : 'user',
      ]),
    ),
    organizations: new Map(
      organizations.map(({ columns, data }) => [
        columns.organization_id ?? '',
        (text(data['user_role']) ?? text(data['role'])) === 'org_admin',
      ]),
    ),
  }
}

/** The caller may change what belongs to this team, its keys and members. */
export const runsTeam = (
  { admin, teams, organizations }: Standing,
  team: Pick<Doc<'team'>, 'id' | 'columns'> | undefined,
): boolean =>
  admin ||
  (team !== undefined &&
    (teams.get(team.id) === 'admin' ||
      organizations.get(team.columns.organization_id ?? '') === true))

export const administeredBy = ({ organizations }: Standing): string[] =>
  [...organizations].flatMap(([id, administers]) => (administers ? [id] : []))

/** A key that belongs to nobody manages nothing. */
export function refuseNobody({ caller }: Visit): void {
  if (caller.role === 'none')
    throw forbidden(
      'this key belongs to no user, so it manages nothing: use a key of a user, or the master key',
    )
}
