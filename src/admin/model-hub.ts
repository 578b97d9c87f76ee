import * as z from 'zod'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { type JsonObject, number, object, text } from '../json/json.ts'
import { accountOf } from '../store/accounts.ts'
import { changeSections } from './config.ts'
import { name } from './fields.ts'
import { liveOf } from './live-visit.ts'
import { type AdminRoute, badRequest, booksOf, dollarsOf, iso, json, readBody } from './route.ts'

const publicBody = z
  .looseObject({ model_groups: z.array(name).max(10_000) })
  .meta({ id: 'PublicModelGroups' })
const linksBody = z
  .looseObject({ useful_links: z.record(name, z.unknown()) })
  .meta({ id: 'UsefulLinks' })

async function makePublic(visit: Visit): Promise<Outgoing> {
  const { model_groups: groups } = await readBody(visit, publicBody)
  const { router } = visit.rooms
  const unknown = groups.find((group) => !router.knows(router.groups.nameOf(group)))
  if (unknown !== undefined)
    throw badRequest(`model_groups: there is no model '${unknown.slice(0, 100)}'`, 'model_groups')
  await changeSections(visit, new Map([['litellm_settings', { public_model_groups: groups }]]))
  return json({
    message: 'Successfully updated public model groups',
    public_model_groups: groups,
  })
}

async function updateLinks(visit: Visit): Promise<Outgoing> {
  const { useful_links: links } = await readBody(visit, linksBody)
  // Bodies were JSON.
  const said = { public_model_groups_links: links as JsonObject }
  await changeSections(visit, new Map([['litellm_settings', said]]))
  return json({ message: 'Successfully updated useful links', useful_links: links })
}

/** Providers whose spend is bounded, with what they have spent. */
async function providerBudgets(visit: Visit): Promise<Outgoing> {
  const { config } = liveOf(visit)
  const bounds = Object.entries(
    object(object(config.raw['router_settings'])['provider_budget_config']),
  )
  const accounts = await booksOf(visit).accounts(
    bounds.map(([provider]) => accountOf.provider(provider)),
  )
  return json({
    providers: Object.fromEntries(
      bounds.map(([provider, said]) => {
        const { budget_limit, max_budget, time_period, budget_duration } = object(said)
        const account = accounts.get(accountOf.provider(provider))
        return [
          provider,
          {
            budget_limit: number(budget_limit) ?? number(max_budget) ?? null,
            time_period: text(time_period) ?? text(budget_duration) ?? null,
            spend: dollarsOf(account?.spend ?? 0),
            budget_reset_at: account?.resetsAt == null ? null : iso(account.resetsAt),
          },
        ]
      }),
    ),
  })
}

export const modelHubRoutes: readonly AdminRoute[] = [
  {
    method: 'POST',
    path: '/model_group/make_public',
    permission: 'admin',
    summary: 'Which models are public',
    input: publicBody,
    run: makePublic,
  },
  {
    method: 'POST',
    path: '/model_hub/update_useful_links',
    permission: 'admin',
    summary: 'Links of the hub',
    input: linksBody,
    run: updateLinks,
  },
  {
    method: 'GET',
    path: '/provider/budgets',
    permission: 'view',
    summary: 'Budgets of providers',
    run: providerBudgets,
  },
]
