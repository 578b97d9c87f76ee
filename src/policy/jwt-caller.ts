import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { peek } from '../json/peek.ts'
import type { Doc } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import type { Caller, Role } from './caller.ts'
import { bearing, callerOf, type GrantTerms, grantWith, isRole, refuseEnded } from './grant.ts'
import type { FindCaller } from './identify.ts'
import type { Verify } from './jwt.ts'
import { type JwtSettings, type Named, namedBy } from './jwt-claims.ts'

export type JwtOptions = {
  store: Store
  verify: Verify
  settings: JwtSettings
  /** `general_settings.role_permissions`, which hold where `enforce_rbac` is on. */
  rolePermissions: readonly JsonObject[]
  /** What a user gets who is made because a token names them (`default_internal_user_params`). */
  newUser: JsonObject
  terms: GrantTerms
  /** May this caller use a model by this name? Of several teams one that may is chosen. */
  mayUse(caller: Caller, model: string): boolean
  now(): number
}

/** What was found for a token is looked at again after this long. */
const heldMs = 60_000
const heldMax = 5000

/** Tells who a token is, by its claims and the documents they name. A token that was seen lately costs no turn of the loop. */
export function createJwtCallers(options: JwtOptions): FindCaller {
  const { store, verify, settings, now } = options
  const names = new Map<string, { named: Named; until: number }>()
  const callers = new Map<string, { caller: Caller; until: number }>()
  let writes = 0

  store.onChange((kind, id) => {
    if (!bearing.has(kind) && id !== '') return
    writes++
    const part = `${kind}:${id}`
    for (const [key, { caller }] of callers)
      if (id === '' || anyTeam.has(kind) || caller.grant?.parts.has(part) !== false)
        callers.delete(key)
  })

  async function nameOf(token: string): Promise<Named> {
    const { issuer, claims } = await verify(token)
    const own = list(settings['issuers'])
      .map(object)
      .find((one) => one['issuer'] === issuer.issuer)
    const named = namedBy(claims, settings, own ?? {})
    keep(names, token, { named, until: Math.min(named.expiresAt, now() + heldMs) })
    return named
  }

  async function load(key: string, named: Named, wish: Wish): Promise<Caller> {
    const before = writes
    const caller = await resolve(named, wish, options)
    const until = Math.min(named.expiresAt, now() + heldMs)
    if (before === writes) keep(callers, key, { caller, until })
    refuseEnded(caller, now())
    return caller
  }

  async function find(token: string, incoming: Incoming): Promise<Caller> {
    const seen = names.get(token)
    const named = seen && seen.until > now() ? seen.named : await nameOf(token)
    const wish = await wishOf(named, incoming)
    const key = keyOf(token, wish)
    const held = callers.get(key)
    if (held && held.until > now()) {
      refuseEnded(held.caller, now())
      return held.caller
    }
    return load(key, named, wish)
  }

  return (token, incoming) => {
    const seen = names.get(token)
    if (seen && seen.until > now() && seen.named.teamIds.length < 2) {
      const held = callers.get(keyOf(token, { team: teamAsked(incoming), model: undefined }))
      if (held && held.until > now()) {
        refuseEnded(held.caller, now())
        return held.caller
      }
    }
    return find(token, incoming)
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= heldMax) map.delete(map.keys().next().value ?? '')
  map.set(key, value)
}

/** What a request says that bears on which team it is of. */
type Wish = { team: string | undefined; model: string | undefined }
const keyOf = (token: string, { team = '', model = '' }: Wish): string =>
  `${token}\n${team}\n${model}`
const teamAsked = (incoming: Incoming): string | undefined =>
  incoming.header('x-litellm-team-id')?.slice(0, 255) || undefined

async function wishOf({ teamIds }: Named, incoming: Incoming): Promise<Wish> {
  const team = teamAsked(incoming)
  const json = incoming.header('content-type')?.includes('json') === true
  if (team !== undefined || teamIds.length < 2 || !json) return { team, model: undefined }
  return { team, model: peek(await incoming.body())?.model?.slice(0, 255) }
}

/** Aliases and lists of teams are looked up by more than the documents that were found. */
const anyTeam = new Set(['team', 'team_member', 'organization'])

async function resolve(named: Named, wish: Wish, options: JwtOptions): Promise<Caller> {
  const { settings, store } = options
  refuseOtherDomain(named, settings)
  const role = roleOf(named, settings)
  const user = await userOf(named, options)
  const organization = await organizationOf(named, store)
  const callerWith = async (team: Doc<'team'> | undefined): Promise<Caller> => {
    if (team && user) await joinTeam(team, user, options)
    const grant = await grantWith(
      store,
      keyFor(named, options, { user, team, organization, role }),
      options.terms,
    )
    const is = named.admin ? 'proxy_admin' : (mappedRole(named, settings) ?? grant.role)
    return { ...callerOf({ ...grant, role: is }), customerId: named.customerId }
  }
  const teams = await teamsOf(named, wish, user, options)
  if (teams.length === 0) {
    if (settings['enforce_team_based_model_access'] === true && !named.admin)
      throw denied('the token names no team, and only teams may call models here')
    if (!named.admin && !user)
      throw denied(
        named.userId === undefined
          ? 'the token names no user and no team: set user_id_jwt_field or team_id_jwt_field of litellm_jwtauth'
          : `User=${named.userId} doesn't exist in db. Create the user via \`/user/new\`, or set user_id_upsert`,
      )
    return callerWith(undefined)
  }
  const { model } = wish
  for (const team of teams) {
    const caller = await callerWith(team)
    if (teams.length === 1 || model === undefined || options.mayUse(caller, model)) return caller
  }
  throw denied(
    `No team has access to the requested model: ${model}. Checked teams=${teams
      .map(({ id }) => id)
      .join(', ')
      .slice(0, 500)}`,
  )
}

const denied = (why: string): GatewayError =>
  new GatewayError('permission', why.slice(0, 1000), {
    type: 'auth_error',
    param: 'None',
    code: '403',
  })

function refuseOtherDomain({ email }: Named, settings: JwtSettings): void {
  const domain = text(settings['user_allowed_email_domain'])?.toLowerCase().replace(/^@/, '')
  if (domain === undefined || email?.toLowerCase().endsWith(`@${domain}`)) return
  throw denied(
    `Email domain not allowed. User email: ${email ?? 'none'}. Allowed domain: ${domain}`,
  )
}

type TokenRole = 'proxy_admin' | 'team' | 'internal_user' | undefined

/** As what the token comes, in LiteLLM's three words. Throws where that is enforced and it comes as nothing. */
function roleOf(named: Named, settings: JwtSettings): TokenRole {
  const allowed = list(settings['user_allowed_roles'])
  const fits = named.roles.some((role) => allowed.includes(role))
  if (allowed.length > 0 && !fits && !named.admin)
    throw denied(
      `none of the roles of the token is allowed here: ${allowed.join(', ').slice(0, 500)}`,
    )
  const hasTeam =
    named.teamId !== undefined || named.teamAlias !== undefined || named.teamIds.length > 0
  const role: TokenRole = named.admin
    ? 'proxy_admin'
    : hasTeam
      ? 'team'
      : named.userId !== undefined || fits
        ? 'internal_user'
        : undefined
  if (role === undefined && settings['enforce_rbac'] === true)
    throw denied(
      'Unmatched token passed in. enforce_rbac is set to True. Token must belong to a proxy admin, team, or user.',
    )
  return role
}

/** `jwt_litellm_role_map`: the first of its rows that fits. */
function mappedRole({ roles }: Named, settings: JwtSettings): Role | undefined {
  for (const row of list(settings['jwt_litellm_role_map']).map(object)) {
    const [said, is] = [text(row['jwt_role']), row['litellm_role']]
    if (said !== undefined && isRole(is) && roles.some((role) => matches(said, role))) return is
  }
  return undefined
}

/** `ops-*`: a star at the end stands for anything. */
const matches = (pattern: string, role: string): boolean =>
  pattern.endsWith('*') ? role.startsWith(pattern.slice(0, -1)) : pattern === role

async function userOf(named: Named, options: JwtOptions): Promise<Doc<'gateway_user'> | undefined> {
  const { userId, email } = named
  const { store, settings } = options
  if (userId === undefined) return undefined
  const { gateway_user } = store.docs
  const found =
    (await gateway_user.find(userId)) ??
    (await gateway_user.first({ sso_id: userId })) ??
    (email === undefined ? undefined : await gateway_user.first({ email: email.toLowerCase() }))
  const user =
    found ?? (settings['user_id_upsert'] === true ? await makeUser(named, options) : undefined)
  const role = mappedRole(named, settings)
  if (!user || settings['sync_user_role_and_teams'] !== true) return user
  if (role === undefined || user.columns.role === role) return user
  return store.write((tx) =>
    tx.gateway_user.update(user.id, (doc) => {
      doc.data = { ...doc.data, user_role: role }
      doc.columns.role = role
    }),
  )
}

async function makeUser(
  named: Named,
  { store, newUser, settings }: JwtOptions,
): Promise<Doc<'gateway_user'> | undefined> {
  const { userId = '', email } = named
  const { teams: _, available_teams: __, ...params } = newUser
  const role = mappedRole(named, settings) ?? text(params['user_role']) ?? 'internal_user'
  const data: JsonObject = {
    ...params,
    user_id: userId,
    user_role: role,
    ...(email !== undefined && { user_email: email }),
    created_by: 'jwt',
  }
  return store.write(async (tx) => {
    // Two requests with the first token of somebody may come at once.
    const other = await tx.gateway_user.find(userId)
    return (
      other ??
      tx.gateway_user.insert({
        id: userId,
        columns: {
          email: email?.toLowerCase() ?? null,
          role,
          budget_id: text(data['budget_id']) ?? null,
        },
        data,
      })
    )
  })
}

async function organizationOf(
  { organizationId, organizationAlias }: Named,
  { docs }: Store,
): Promise<Doc<'organization'> | undefined> {
  if (organizationId === undefined && organizationAlias === undefined) return undefined
  const found =
    organizationId === undefined
      ? await docs.organization.first({ alias: organizationAlias ?? '' })
      : await docs.organization.find(organizationId)
  if (!found)
    throw denied(
      `Organization doesn't exist in db. Organization=${organizationId ?? organizationAlias}`,
    )
  return found
}

/** The teams that may serve the request; of several the first that may use its model. */
async function teamsOf(
  named: Named,
  { team: asked }: Wish,
  user: Doc<'gateway_user'> | undefined,
  options: JwtOptions,
): Promise<Doc<'team'>[]> {
  const { docs } = options.store
  const { teamId, teamAlias, teamIds } = named
  const ofUser = async (): Promise<string[]> =>
    user
      ? (await docs.team_member.list({ where: { user_id: user.id } })).map(({ data }) =>
          String(data['team_id']),
        )
      : []
  if (asked !== undefined) {
    const claimed = [...teamIds, ...(teamId === undefined ? [] : [teamId])]
    const may = claimed.length > 0 || teamAlias !== undefined ? claimed : await ofUser()
    const team = may.includes(asked) ? await docs.team.find(asked) : undefined
    if (!team)
      throw denied(
        `Team '${asked}' (of the header x-litellm-team-id) is not one of the token's teams`,
      )
    return [team]
  }
  if (teamId !== undefined) return [await teamBy(teamId, options)]
  if (teamAlias !== undefined) {
    const team = await docs.team.first({ alias: teamAlias })
    if (!team) throw denied(`Team doesn't exist in db. Team alias=${teamAlias}`)
    return [team]
  }
  if (teamIds.length > 0) {
    const found = new Map((await docs.team.many(teamIds)).map((team) => [team.id, team]))
    return teamIds.map((id) => found.get(id)).filter((team) => team !== undefined)
  }
  // Who is in one team only is of that one.
  const [only, other] = named.admin ? [] : await ofUser()
  const team = only !== undefined && other === undefined ? await docs.team.find(only) : undefined
  return team ? [team] : []
}

async function teamBy(id: string, { store, settings }: JwtOptions): Promise<Doc<'team'>> {
  const found = await store.docs.team.find(id)
  if (found) return found
  if (settings['team_id_upsert'] !== true)
    throw denied(
      `Team doesn't exist in db. Team=${id}. Create the team via \`/team/new\`, or set team_id_upsert`,
    )
  return store.write(
    async (tx) =>
      (await tx.team.find(id)) ??
      (await tx.team.insert({
        id,
        columns: { alias: id },
        data: { team_id: id, team_alias: id, models: [] },
      })),
  )
}

/** `upsert_sso_user_to_team`. */
async function joinTeam(
  team: Doc<'team'>,
  user: Doc<'gateway_user'>,
  { store, settings }: JwtOptions,
): Promise<void> {
  if (settings['upsert_sso_user_to_team'] !== true) return
  const id = `${team.id}/${user.id}`
  if (await store.docs.team_member.find(id)) return
  await store.write(async (tx) => {
    if (await tx.team_member.find(id)) return
    await tx.team_member.insert({
      id,
      columns: { team_id: team.id, user_id: user.id },
      data: { team_id: team.id, user_id: user.id, role: 'user' },
    })
  })
}

/** The token as the key it stands for: what it may call, and whose it is. */
function keyFor(
  named: Named,
  { settings, rolePermissions }: JwtOptions,
  of: {
    user: Doc<'gateway_user'> | undefined
    team: Doc<'team'> | undefined
    organization: Doc<'organization'> | undefined
    role: TokenRole
  },
): Doc<'virtual_key'> {
  const own =
    settings['enforce_rbac'] === true
      ? rolePermissions.find(({ role }) => role === of.role)
      : undefined
  const scoped =
    settings['enforce_scope_based_access'] === true && !named.admin
      ? list(settings['scope_mappings'])
          .map(object)
          .filter(({ scope }) => typeof scope === 'string' && named.scopes.includes(scope))
      : undefined
  const ofScopes = (what: 'models' | 'routes') => scoped?.flatMap((one) => list(one[what]))
  const models = both(list(own?.['models']), ofScopes('models'))
  const routes =
    of.role === 'proxy_admin'
      ? (given(settings['admin_allowed_routes']) ?? adminRoutes)
      : of.role === 'team' && !of.user
        ? (given(settings['team_allowed_routes']) ?? teamRoutes)
        : []
  const laned =
    list(own?.['routes']).length > 0 ? list(own?.['routes']) : (ofScopes('routes') ?? [])
  const userId = of.user?.id ?? named.userId
  return {
    kind: 'virtual_key',
    id: `jwt:${named.subject}`,
    uniqueName: null,
    columns: {
      user_id: userId ?? null,
      team_id: of.team?.id ?? null,
      organization_id: of.organization?.id ?? null,
    },
    data: {
      models,
      allowed_routes: laned.length > 0 ? laned : [...routes],
      user_id: userId ?? null,
      team_id: of.team?.id ?? null,
    },
    createdAt: 0,
    updatedAt: 0,
  }
}

const given = (value: JsonObject[string]) => (Array.isArray(value) ? value : undefined)
/** Where two lists bound, what is in both; a list that bounds to nothing says so by a name that is no model. */
function both(role: readonly unknown[], scopes: readonly unknown[] | undefined): string[] {
  const names = (some: readonly unknown[]) => some.filter((one) => typeof one === 'string')
  if (!scopes) return names(role)
  const kept = names(scopes).filter((name) => role.length === 0 || role.includes(name))
  return kept.length > 0 ? kept : ['no-default-models']
}

const adminRoutes = ['management_routes', 'spend_tracking_routes', 'info_routes']
const teamRoutes = [
  'openai_routes',
  'info_routes',
  'mcp_routes',
  '/v1/messages',
  '/v1/messages/count_tokens',
]
