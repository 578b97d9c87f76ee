import { GatewayError } from '../errors.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import type { JsonObject } from '../json/json.ts'
import { jsonOf } from './key-fields.ts'
import { type AdminRoute, badRequest, json, readBody, storeOf } from './route.ts'
import { standingOf } from './standing.ts'
import { bulkUsers } from './user-fields.ts'
import { change } from './users.ts'

const usersMax = 500

/** Many users changed, each by itself: what fails is said, and the others are changed. */
async function updateMany(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, bulkUsers)
  const standing = await standingOf(visit)
  const asked = body.users?.length
    ? body.users.map(jsonOf)
    : await everybody(visit, jsonOf(body.user_updates ?? {}))
  const results: JsonObject[] = []
  for (const said of asked) {
    const named = { user_id: said['user_id'] ?? null, user_email: said['user_email'] ?? null }
    try {
      const { user_id, data } = await change(visit, standing, said)
      results.push({ ...named, user_id, success: true, error: null, updated_user: data })
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'internal') throw error
      results.push({ ...named, success: false, error: error.message, updated_user: null })
    }
  }
  const successful = results.filter(({ success }) => success === true).length
  return json({
    results,
    total_requested: asked.length,
    successful_updates: successful,
    failed_updates: asked.length - successful,
  })
}

async function everybody(visit: Visit, updates: JsonObject): Promise<JsonObject[]> {
  const field = ['password', 'user_email', 'sso_user_id', 'user_id'].find(
    (one) => updates[one] !== undefined,
  )
  if (field !== undefined)
    throw badRequest(
      `user_updates.${field} cannot be the same for all users: use per-user updates via the 'users' list`,
      `user_updates.${field}`,
    )
  const users = await storeOf(visit).docs.gateway_user.list({ limit: usersMax + 1 })
  if (users.length === 0) throw badRequest('No users found to update')
  if (users.length > usersMax)
    throw badRequest(
      `Maximum ${usersMax} users can be updated at once: there are more. Use the 'users' list.`,
    )
  return users.map(({ id }) => ({ ...updates, user_id: id }))
}

export const userBulkRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/user/bulk_update',
    permission: 'admin',
    summary: 'Change many users, each in their own way or all in the same',
    input: bulkUsers,
    run: updateMany,
  },
]
