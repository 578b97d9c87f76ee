import * as z from 'zod'
import { describeDeployment } from '../gateway/models.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { name } from './fields.ts'
import {
  type AdminRoute,
  iso,
  json,
  numberIn,
  pageOf,
  pagesOf,
  readQuery,
  storeOf,
} from './route.ts'

const infoQuery = z.object({
  page: numberIn(1, 100_000, 1),
  size: numberIn(1, 1000, 50),
  model: name.optional(),
  modelId: name.optional(),
  teamId: name.optional(),
  search: name.optional(),
  sortBy: z.enum(['model_name', 'created_at', 'updated_at', 'costs', 'status']).optional(),
  sortOrder: z.enum(['asc', 'desc']).default('asc'),
})

/** Deployments the caller may use, by the page. */
async function modelPages(visit: Visit): Promise<Outgoing> {
  const asked = readQuery(visit, infoQuery)
  const { rooms, caller } = visit
  const wanted = asked.search?.toLowerCase()
  const docs = new Map((await storeOf(visit).docs.model.list()).map((doc) => [doc.id, doc]))
  const nameOf = ({ group, row }: Deployment) => text(row.info['team_public_model_name']) ?? group
  const all = rooms.router.groups.all().filter((one) => {
    if (!(rooms.access?.mayUse(caller, one.group) ?? true)) return false
    if (asked.model !== undefined && nameOf(one) !== asked.model) return false
    if (asked.modelId !== undefined && one.id !== asked.modelId) return false
    if (asked.teamId !== undefined && text(one.row.info['team_id']) !== asked.teamId) return false
    return wanted === undefined || nameOf(one).toLowerCase().includes(wanted)
  })
  const { sortBy } = asked
  if (sortBy) {
    const rank = (one: Deployment): string | number => {
      if (sortBy === 'model_name') return nameOf(one)
      if (sortBy === 'costs') return Number(one.info['input_cost_per_token'] ?? 0)
      if (sortBy === 'status') return docs.has(one.id) ? 1 : 0
      const doc = docs.get(one.id)
      return (sortBy === 'created_at' ? doc?.createdAt : doc?.updatedAt) ?? 0
    }
    const way = asked.sortOrder === 'desc' ? -1 : 1
    all.sort((a, b) => (rank(a) < rank(b) ? -way : rank(a) > rank(b) ? way : 0))
  }
  const { limit, offset } = pageOf(asked.page, asked.size)
  return json({
    data: all.slice(offset, offset + limit).map((one) => {
      const row = describeDeployment(one)
      const doc = docs.get(one.id)
      if (!doc || !isObject(row['model_info'])) return row
      return {
        ...row,
        model_info: {
          ...row['model_info'],
          created_at: iso(doc.createdAt),
          updated_at: iso(doc.updatedAt),
          created_by: doc.data['created_by'] ?? null,
        },
      }
    }),
    total_count: all.length,
    current_page: asked.page,
    total_pages: pagesOf(all.length, asked.size),
    size: asked.size,
  })
}

export const modelPageRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/v2/model/info',
    permission: 'info',
    summary: 'Deployments with their facts, by the page',
    run: modelPages,
  },
]
