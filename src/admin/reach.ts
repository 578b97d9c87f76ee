import type { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import { seesAll } from '../policy/caller.ts'
import type { Doc, Docs, Where } from '../store/docs.ts'
import type { ColumnOf, DocKind } from '../store/tables.ts'
import { forbidden, notFound, storeOf } from './route.ts'
import { runsTeam, type Standing, standingOf } from './standing.ts'

type Need = 'see' | 'run'

/**
 * The team, for a caller who may see or run it. Throws 404 to those who see everything and 403 to everybody else, the
 * same whether it is not there or not theirs.
 */
export async function teamFor(
  visit: Visit,
  teamId: string,
  need: Need,
): Promise<{ team: Doc<'team'>; standing: Standing }> {
  const [team, standing] = await Promise.all([
    storeOf(visit).docs.team.find(teamId),
    standingOf(visit),
  ])
  if (!team) throw absent(visit, `Team not found, passed team_id=${teamId.slice(0, 200)}`, 'team')
  const may =
    runsTeam(standing, team) ||
    (need === 'see' &&
      (standing.sees || standing.teams.has(teamId) || visit.caller.teamId === teamId))
  if (!may) throw denied('team')
  return { team, standing }
}

/** The organisation, likewise. Members who do not administer it see it in lists only, and only what is theirs of it. */
export async function organizationFor(
  visit: Visit,
  organizationId: string,
  need: Need,
): Promise<{ organization: Doc<'organization'>; standing: Standing }> {
  const [organization, standing] = await Promise.all([
    storeOf(visit).docs.organization.find(organizationId),
    standingOf(visit),
  ])
  if (!organization)
    throw absent(
      visit,
      `Organization not found for organization_id=${organizationId.slice(0, 200)}`,
      'organization',
    )
  const may = runsOrganization(standing, organizationId) || (need === 'see' && standing.sees)
  if (!may) throw denied('organization')
  return { organization, standing }
}

export const runsOrganization = (
  { admin, organizations }: Standing,
  organizationId: string,
): boolean => admin || organizations.get(organizationId) === true

/** What a caller may not know the existence of is forbidden, not missing. */
export const absent = ({ caller }: Visit, what: string, kind: string): GatewayError =>
  seesAll(caller) ? notFound(what) : denied(kind)

export const denied = (kind: string): GatewayError =>
  forbidden(
    `Call not allowed: you are neither a proxy administrator nor an administrator of this ${kind}, or it does not exist`,
  )

/** Every document whose column is one of these. */
export async function allOf<K extends DocKind>(
  docs: Pick<Docs<K>, 'list'>,
  column: ColumnOf<K>,
  values: readonly string[],
): Promise<Doc<K>[]> {
  const found: Doc<K>[] = []
  for (let at = 0; at < values.length; at += 500) {
    // The key is a column of this very kind.
    const where = { [column]: values.slice(at, at + 500) } as unknown as Where<K>
    found.push(...(await docs.list({ where })))
  }
  return found
}
