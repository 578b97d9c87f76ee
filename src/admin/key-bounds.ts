import type { Visit } from '../gateway/routes.ts'
import { isObject, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import { durationMs } from '../store/durations.ts'
import type { Tx } from '../store/store.ts'
import { effective } from './budget-table.ts'
import { badRequest, notFound } from './route.ts'
import { defaultsOf } from './settings.ts'
import type { Standing } from './standing.ts'

/** What a key may be given: what the configuration, its team, project and organisation, and the caller's own key leave. */

/** `default_key_generate_params`: for what a body does not say. */
export function withDefaults(visit: Visit, body: JsonObject): JsonObject {
  const defaults = defaultsOf(visit, 'default_key_generate_params')
  const filled = { ...body }
  for (const [field, value] of Object.entries(defaults)) {
    const said = filled[field]
    const blank =
      said == null || (field === 'models' && list(said).length === 0 && Array.isArray(said))
    // A period sent as null is "never", not "not said".
    if (blank && !(field === 'budget_duration' && said === null)) filled[field] = value
    else if (isObject(said) && isObject(value)) filled[field] = { ...value, ...said }
  }
  return filled
}

const boundedNumbers = [
  'max_budget',
  'max_parallel_requests',
  'tpm_limit',
  'rpm_limit',
  'tpd_limit',
] as const
const boundedTimes = ['budget_duration', 'duration'] as const

/**
 * `upperbound_key_generate_params`. Throws 400. What is cleared is the bound itself, and for a new key (`fill`) what is
 * not said too.
 */
export function withinUpperBounds(visit: Visit, body: JsonObject, fill: boolean): JsonObject {
  const bounds = defaultsOf(visit, 'upperbound_key_generate_params')
  const filled = { ...body }
  const over = (field: string, value: unknown, most: unknown) =>
    badRequest(
      `${field} is over max limit set in config - user_value=${String(value).slice(0, 100)}; max_value=${String(most).slice(0, 100)}`,
      field,
    )
  for (const field of boundedNumbers) {
    const most = number(bounds[field])
    if (most === undefined) continue
    const said = number(filled[field])
    if (said !== undefined && said > most) throw over(field, said, most)
    if (said !== undefined) continue
    if (fill || filled[field] === null) filled[field] = most
  }
  for (const field of boundedTimes) {
    const bound = text(bounds[field])
    const most = bound === undefined ? undefined : durationMs(bound)
    if (bound === undefined || most === undefined) continue
    const said = text(filled[field])
    if (said !== undefined && (said === '-1' || (durationMs(said) ?? 0) > most))
      throw over(field, said, bound)
    if (said !== undefined) continue
    if (fill || filled[field] === null) filled[field] = bound
  }
  return filled
}

/** Sessions of the UI are keys of this team: what they may spend does not bound the keys made in them. */
const uiTeam = 'litellm-dashboard'
/** Stand for a list that is looked up when the key is used. */
const inherited = new Set(['all-team-models', 'all-proxy-models'])

/**
 * Nobody hands on more than their own key may do. `fill`: what a new key does not say is what the caller's key has.
 * Throws 400.
 */
export function withinOwnKey(
  { caller }: Visit,
  standing: Standing,
  body: JsonObject,
  fill: boolean,
): JsonObject {
  const own = caller.grant?.key
  if (standing.admin || !own || own.columns.team_id === uiTeam) return body
  const filled = { ...body }
  for (const field of ['max_budget', 'tpm_limit', 'rpm_limit', 'max_parallel_requests']) {
    const most = number(own.data[field])
    if (most === undefined) continue
    const said = number(filled[field])
    if (said !== undefined && said > most)
      throw badRequest(
        `${field} (${said}) cannot exceed the caller's own ${field} (${most})`,
        field,
      )
    if (fill || filled[field] === null) filled[field] = said ?? most
  }
  const most = number(own.data['max_budget'])
  // The same budget over again would be more of it: it starts anew no sooner than the caller's.
  if (fill && most !== undefined && own.data['budget_duration'] !== undefined)
    filled['budget_duration'] ??= own.data['budget_duration']
  for (const window of list(filled['budget_limits'])) {
    const said = number(object(window)['max_budget'])
    if (most !== undefined && said !== undefined && said > most)
      throw badRequest(
        `budget_limits entry max_budget (${said}) cannot exceed the caller's own max_budget (${most})`,
        'budget_limits',
      )
  }
  const models = list(own.data['models'])
  if (models.length === 0 || (!fill && filled['models'] === undefined)) return filled
  const said = list(filled['models'])
  const more = said.find(
    (model) =>
      !models.some((one) => inherited.has(String(one)) || covers(String(one), String(model))),
  )
  if (more !== undefined)
    throw badRequest(
      `models: '${String(more).slice(0, 100)}' is not among the models of the caller's own key`,
      'models',
    )
  if (said.length === 0) filled['models'] = models
  return filled
}

/** Everything a body refers to must be there. Throws 400, or 404 for a project. */
export async function namedBy(
  docs: Pick<Tx, 'team' | 'organization' | 'project' | 'budget'>,
  body: JsonObject,
): Promise<{
  team: Doc<'team'> | undefined
  organization: Doc<'organization'> | undefined
  project: Doc<'project'> | undefined
}> {
  const named = async <D>(
    field: string,
    find: (id: string) => Promise<D | undefined>,
  ): Promise<D | undefined> => {
    const id = text(body[field])
    if (id === undefined) return undefined
    const found = await find(id)
    if (found) return found
    const what = `${field.replace('_id', '')} not found for ${field}=${id.slice(0, 100)}`
    throw field === 'project_id'
      ? notFound(`Project not found, project_id=${id.slice(0, 100)}`)
      : badRequest(what[0]?.toUpperCase() + what.slice(1), field)
  }
  await named('budget_id', (id) => docs.budget.find(id))
  return {
    team: await named('team_id', (id) => docs.team.find(id)),
    organization: await named('organization_id', (id) => docs.organization.find(id)),
    project: await named('project_id', (id) => docs.project.find(id)),
  }
}

/** A key's models and budget lie within its project's. Throws 400. */
export function refuseBeyondProject(
  project: Doc<'project'> | undefined,
  budget: Doc<'budget'> | undefined,
  body: JsonObject,
): void {
  if (!project) return
  const models = list(project.data['models'])
  for (const model of list(body['models']))
    if (models.length > 0 && !models.includes(model) && !inherited.has(String(model)))
      throw badRequest(
        `Model '${String(model).slice(0, 100)}' not in project's allowed models. Project: ${project.id}`,
        'models',
      )
  const most = number(effective(project.data, budget)['max_budget'])
  const said = number(body['max_budget'])
  if (said !== undefined && most !== undefined && said > most)
    throw badRequest(
      `Key max_budget (${said}) exceeds project's max_budget (${most}). Project: ${project.id}`,
      'max_budget',
    )
}

/**
 * `guaranteed_throughput`: what all keys of a team (or an organisation) are promised together is not more than it has.
 * Throws 400. `key`: the one that is changed, whose own share does not count.
 */
export function refuseOverAllocation(
  entity: 'team' | 'organization',
  terms: JsonObject,
  keys: readonly Doc<'virtual_key'>[],
  body: JsonObject,
  key?: string,
): void {
  const said = { ...object(body['metadata']), ...body }
  if (
    said['rpm_limit_type'] !== 'guaranteed_throughput' &&
    said['tpm_limit_type'] !== 'guaranteed_throughput'
  )
    return
  const others = keys.filter(({ id }) => id !== key).map(({ data }) => data)
  const refuse = (kind: string, field: string, allocated: number, asked: number, most: number) => {
    if (allocated + asked > most)
      throw badRequest(
        `Allocated ${kind} limit=${allocated} + Key ${kind} limit=${asked} is greater than ${entity} ${kind} limit=${most}`,
        field,
      )
  }
  for (const kind of ['rpm', 'tpm']) {
    const field = `${kind}_limit`
    const most = number(terms[field])
    const asked = number(said[field])
    const word = kind.toUpperCase()
    if (most !== undefined && asked !== undefined)
      refuse(word, field, sum(others.map((data) => data[field])), asked, most)
    const perModel = object(terms[`model_${field}`] ?? object(terms['metadata'])[`model_${field}`])
    for (const [model, limit] of Object.entries(object(said[`model_${field}`]))) {
      const bound = most ?? number(perModel[model])
      const given = others.map(({ metadata }) => object(object(metadata)[`model_${field}`])[model])
      if (bound !== undefined) refuse(word, `model_${field}`, sum(given), number(limit) ?? 0, bound)
    }
  }
}
const sum = (values: readonly unknown[]): number =>
  values.reduce<number>((total, value) => total + (number(value) ?? 0), 0)

/** A key that moves to a team fits it: its models, its limits and its user. Throws 400. */
export function refuseMisfit(
  team: Doc<'team'>,
  data: JsonObject,
  member: Doc<'team_member'> | undefined,
): void {
  const models = list(team.data['models'])
  const misfit = list(data['models']).find(
    (model) =>
      !inherited.has(String(model)) && !models.some((one) => covers(String(one), String(model))),
  )
  if (models.length > 0 && misfit !== undefined)
    throw badRequest(
      `the key's model '${String(misfit).slice(0, 100)}' is not among the models of team ${team.id}`,
      'models',
    )
  for (const field of ['tpm_limit', 'rpm_limit']) {
    const most = number(team.data[field])
    const has = number(data[field])
    if (most !== undefined && has !== undefined && has > most)
      throw badRequest(
        `the key's ${field}=${has} is greater than ${field}=${most} of team ${team.id}`,
        field,
      )
  }
  const user = text(data['user_id'])
  if (user !== undefined && !member)
    throw badRequest(
      `User=${user} is not a member of the team=${team.id}: add them with /team/member_add first`,
      'team_id',
    )
}
const covers = (one: string, model: string): boolean =>
  one === model ||
  one === 'all-proxy-models' ||
  (one.endsWith('*') && model.startsWith(one.slice(0, -1)))

/** Who is in an organisation may make keys in it, and whoever makes one in a team of it. */
export const inOrganization = (standing: Standing, id: string, team: Doc<'team'> | undefined) =>
  standing.admin || team?.columns.organization_id === id || standing.organizations.has(id)
