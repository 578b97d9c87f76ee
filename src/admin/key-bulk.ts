import * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import type { JsonObject } from '../json/json.ts'
import * as f from './fields.ts'
import { bulkKeys, jsonOf, updateKey } from './key-fields.ts'
import { alterKey } from './key-make.ts'
import { refuseMember } from './key-rights.ts'
import { findKey, keyIdOf, shown } from './keys.ts'
import { type AdminRoute, badRequest, json, notFound, readBody, storeOf } from './route.ts'
import { refuseNobody, type Standing, standingOf } from './standing.ts'

/** Many keys changed at once, each by itself: what fails is said, and the others are changed. */

const keysMax = 500

/** Fields that say how keys are used; whose they are and what they may do is not for many keys at once. */
const broadcast = [
  'max_budget',
  'budget_id',
  'budget_duration',
  'budget_limits',
  'model_max_budget',
  'tpm_limit',
  'rpm_limit',
  'model_tpm_limit',
  'model_rpm_limit',
  'max_parallel_requests',
  'rpm_limit_type',
  'tpm_limit_type',
  'temp_budget_increase',
  'temp_budget_expiry',
  'duration',
  'tags',
  'metadata',
]

const teamKeys = z
  .looseObject({
    team_id: f.id,
    key_ids: z
      .array(z.string('expected a key or its SHA-256').min(1).max(1000))
      .max(keysMax, `Maximum ${keysMax} keys can be updated at once`)
      .nullish(),
    all_keys_in_team: z.boolean('expected true or false').default(false),
    update_fields: updateKey,
  })
  .refine(
    ({ key_ids, all_keys_in_team }) => all_keys_in_team !== (key_ids?.length ?? 0) > 0,
    'Provide either key_ids (not empty) or all_keys_in_team=true, and not both',
  )
  .meta({ id: 'BulkUpdateTeamKeys' })

async function updateMany(visit: Visit): Promise<Outgoing> {
  const { keys } = await readBody(visit, bulkKeys)
  const standing = await standingOf(visit)
  for (const { key } of keys)
    if (key == null) throw badRequest('each of keys needs its key', 'keys')
  return json(
    await changed(
      visit,
      standing,
      keys.map((one) => ({ key: one.key ?? '', body: jsonOf(one) })),
    ),
  )
}

async function updateOfTeam(visit: Visit): Promise<Outgoing> {
  refuseNobody(visit)
  const { team_id, key_ids, update_fields } = await readBody(visit, teamKeys)
  const fields = jsonOf(update_fields)
  const strange = Object.keys(fields).find((field) => !broadcast.includes(field))
  if (strange !== undefined)
    throw badRequest(
      `update_fields.${strange.slice(0, 100)} cannot be changed for many keys at once: these can be: ${broadcast.join(', ')}`,
      `update_fields.${strange.slice(0, 100)}`,
    )
  if (Object.keys(fields).length === 0)
    throw badRequest('update_fields must specify at least one field to update', 'update_fields')
  const store = storeOf(visit)
  const standing = await standingOf(visit)
  const team = await store.docs.team.find(team_id)
  if (!team) throw notFound(`Team not found, team_id=${team_id}`)
  refuseMember(standing, team, '/key/update')
  const now = store.now()
  const all = await store.docs.virtual_key.list({ where: { team_id }, sort: 'id' })
  const chosen = key_ids
    ? [...new Map(key_ids.map((said) => [keyIdOf(store, said), said])).values()]
    : // What somebody has blocked, or let run out, stays so.
      all
        .filter(
          ({ data, columns }) =>
            data['blocked'] !== true &&
            (columns.expires_at == null || Number(columns.expires_at) > now),
        )
        .map(({ id }) => id)
  if (chosen.length === 0) throw notFound(`No keys found for team ${team_id}`)
  if (chosen.length > keysMax)
    throw badRequest(
      `Team ${team_id} has more than ${keysMax} keys. Use key_ids to update in batches of ${keysMax}.`,
      'all_keys_in_team',
    )
  const ofTeam = new Set(all.map(({ id }) => id))
  return json(
    await changed(
      visit,
      standing,
      chosen.map((key) => ({ key, body: fields })),
      (id) => ofTeam.has(id),
    ),
  )
}

async function changed(
  visit: Visit,
  standing: Standing,
  asked: readonly { key: string; body: JsonObject }[],
  allowed: (id: string) => boolean = () => true,
): Promise<JsonObject> {
  const store = storeOf(visit)
  const successful: JsonObject[] = []
  const failed: JsonObject[] = []
  for (const { key: said, body } of asked) {
    try {
      if (!allowed(keyIdOf(store, said))) throw notFound('Key not found in this team')
      const doc = await store.write(async (tx) =>
        alterKey(visit, tx, standing, await findKey(tx, store, said), body, '/key/update'),
      )
      const { token: _, ...key_info } = await shown(visit, doc)
      successful.push({ key: said, key_info })
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'internal') throw error
      failed.push({ key: said, key_info: null, failed_reason: error.message })
    }
  }
  return {
    total_requested: asked.length,
    successful_updates: successful,
    failed_updates: failed,
  }
}

export const keyBulkRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/key/bulk_update',
    permission: 'admin',
    summary: 'Change many keys, each in its own way',
    input: bulkKeys,
    run: updateMany,
  },
  {
    method: 'POST',
    path: '/team/key/bulk_update',
    permission: 'self_write',
    summary: 'Change many keys of a team in the same way',
    input: teamKeys,
    run: updateOfTeam,
  },
]
