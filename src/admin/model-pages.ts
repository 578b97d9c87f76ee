import * as z from 'zod'
import { describeDeployment } from '../gateway/models.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, text } from '../json/json.ts'
import type { Deployment } from '../provider/deployment.ts'
import { providers } from '../provider/providers.ts'
import type { ProviderSpec } from '../provider/spec.ts'
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

/** Of every provider, what a row of it may say of its own; where it is silent, these variables are read. */
function modelSettings(): Outgoing {
  const table: Readonly<Record<string, ProviderSpec>> = providers
  return json(
    Object.entries(table).map(([name, { auth, baseUrl, baseUrlEnv = [] }]) => {
      const variables = variablesOf(auth)
      const key = variables.length > 0 || 'scheme' in auth
      const address = baseUrlEnv.length > 0 || baseUrl === undefined
      return {
        name,
        fields: [
          ...(key ? [field('api_key', variables)] : []),
          ...(address ? [field('api_base', baseUrlEnv)] : []),
        ],
      }
    }),
  )
}

const variablesOf = (auth: ProviderSpec['auth']): readonly string[] =>
  'bearer' in auth ? auth.bearer : 'env' in auth ? (auth.env ?? []) : []

const field = (name: string, variables: readonly string[]) => ({
  field_name: name,
  field_type: 'string',
  field_description:
    variables.length > 0 ? `Else of the environment: ${variables.join(', ')}` : 'Of the row alone',
  field_value: variables[0] === undefined ? '' : `os.environ/${variables[0]}`,
})

export const modelPageRoutes: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/model/settings',
    permission: 'view',
    summary: 'Providers, and what a model of theirs needs',
    run: modelSettings,
  },
  {
    method: 'GET',
    path: '/v2/model/info',
    permission: 'info',
    summary: 'Deployments with their facts, by the page',
    run: modelPages,
  },
]
