import type { Visit } from '../gateway/routes.ts'
import { list } from '../json/json.ts'
import { accountOf, readAccounts } from '../store/accounts.ts'
import type { Where } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { keyAccounts } from './key-row.ts'
import { endKeys } from './key-write.ts'
import { storeOf } from './route.ts'
import { writerOf } from './written.ts'

/** What goes when something else goes. Spend that has been logged stays. */

/** Past this, processes are told that much has changed rather than what. */
const toldMax = 1000

/** Ends keys: they are refused with the next request. Returns how many there were. */
async function endKeysOf(visit: Visit, tx: Tx, where: Where<'virtual_key'>): Promise<number> {
  const keys = await tx.virtual_key.list({ where })
  const accounts = await readAccounts(tx.db, keyAccounts(keys))
  await endKeys(tx, keys, { by: writerOf(visit.caller), now: storeOf(visit).now(), accounts })
  return keys.length
}

/** Ends a membership, and the keys the member has in the team. */
export async function endMember(
  visit: Visit,
  tx: Tx,
  teamId: string,
  userId: string,
): Promise<boolean> {
  await endKeysOf(visit, tx, { team_id: teamId, user_id: userId })
  await closeAccounts(tx, [accountOf.member(teamId, userId)])
  return tx.team_member.remove(`${teamId}/${userId}`)
}

/** Ends a team with its keys and memberships; its projects belong to no team then. */
export async function endTeam(visit: Visit, tx: Tx, teamId: string): Promise<void> {
  await endKeysOf(visit, tx, { team_id: teamId })
  const members = await tx.team_member.list({ where: { team_id: teamId } })
  await removeMany(
    tx,
    'team_member',
    members.map(({ id }) => id),
  )
  await closeAccounts(tx, [
    accountOf.team(teamId),
    ...members.map(({ columns }) => accountOf.member(teamId, columns.user_id ?? '')),
  ])
  for (const { id } of await tx.project.list({ where: { team_id: teamId } }))
    await tx.project.update(id, (project) => {
      project.columns.team_id = null
      delete project.data['team_id']
    })
  for (const group of await tx.access_group.list())
    if (list(group.data['assigned_team_ids']).includes(teamId))
      await tx.access_group.update(group.id, ({ data }) => {
        data['assigned_team_ids'] = list(data['assigned_team_ids']).filter((id) => id !== teamId)
      })
  await tx.team.remove(teamId)
}

/** Ends an organisation with its teams, keys and memberships. */
export async function endOrganization(visit: Visit, tx: Tx, organizationId: string): Promise<void> {
  const where = { organization_id: organizationId }
  for (const { id } of await tx.team.list({ where })) await endTeam(visit, tx, id)
  await endKeysOf(visit, tx, where)
  const members = await tx.organization_member.list({ where })
  await removeMany(
    tx,
    'organization_member',
    members.map(({ id }) => id),
  )
  await closeAccounts(tx, [
    accountOf.organization(organizationId),
    ...members.map(({ columns }) =>
      accountOf.organizationMember(organizationId, columns.user_id ?? ''),
    ),
  ])
  await tx.organization.remove(organizationId)
}

async function removeMany(
  tx: Tx,
  kind: 'team_member' | 'organization_member',
  ids: readonly string[],
): Promise<void> {
  for (let at = 0; at < ids.length; at += 500)
    await tx.db
      .deleteFrom(kind)
      .where('id', 'in', ids.slice(at, at + 500))
      .execute()
  if (ids.length > toldMax) tx.changed(kind, '')
  else for (const id of ids) tx.changed(kind, id)
}

/** Closes accounts and those beside them: a few statements for hundreds of them. */
export async function closeAccounts(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const own = new Set(ids)
  const beside = await tx.db.selectFrom('account').select('id').where('id', 'like', '%|%').execute()
  const all = [...ids, ...beside.map(({ id }) => id).filter((id) => own.has(ownerOf(id)))]
  for (let at = 0; at < all.length; at += 500) {
    const some = all.slice(at, at + 500)
    await tx.db.deleteFrom('account').where('id', 'in', some).execute()
    await tx.db.deleteFrom('lease').where('account', 'in', some).execute()
  }
  if (all.length > toldMax) tx.changed('account', '')
  else for (const id of all) tx.changed('account', id)
}

/** Ids of people may have a bar in them too (`auth0|17`). */
const ownerOf = (account: string): string => account.split(/\|(?:model|window):/, 1)[0] ?? account
