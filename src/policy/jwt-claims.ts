import { type Json, type JsonObject, list, object, text } from '../json/json.ts'

/** `litellm_jwtauth`, as far as it acts, under LiteLLM's names. */
export type JwtSettings = JsonObject

/** Who a token names, before the database has been asked. */
export type Named = {
  /** Of the token's subject, for rows of spend. */
  subject: string
  admin: boolean
  userId: string | undefined
  email: string | undefined
  teamId: string | undefined
  teamAlias: string | undefined
  /** Teams of which one serves; in the token's order. */
  teamIds: readonly string[]
  organizationId: string | undefined
  organizationAlias: string | undefined
  customerId: string | undefined
  roles: readonly string[]
  scopes: readonly string[]
  expiresAt: number
}

/** Reads a token's claims by the fields the settings name; `own` are those of its issuer, over the general ones. */
export function namedBy(claims: JsonObject, settings: JwtSettings, own: JsonObject): Named {
  const fieldOf = (name: string): string | undefined => text(own[name]) ?? text(settings[name])
  const said = (name: string): Json | undefined => {
    const path = fieldOf(name)
    return path === undefined ? undefined : claimAt(claims, path)
  }
  const email = nameIn(said('user_email_jwt_field'))
  const teamIds = namesIn(said('team_ids_jwt_field'))
  const teamAlias = nameIn(said('team_alias_jwt_field'))
  const roles = namesIn(said('user_roles_jwt_field'))
  const scopes = scopesOf(claims)
  const named: Named = {
    subject: nameIn(claims['sub']) ?? nameIn(claims['client_id']) ?? 'nobody',
    admin: scopes.includes(text(settings['admin_jwt_scope']) ?? 'litellm_proxy_admin'),
    userId: nameIn(said('user_id_jwt_field')) ?? email,
    email,
    teamId:
      nameIn(said('team_id_jwt_field')) ??
      // Whoever names a team in another way is not of the standard one.
      (teamAlias === undefined && teamIds.length === 0
        ? text(settings['team_id_default'])
        : undefined),
    teamAlias,
    teamIds,
    organizationId: nameIn(said('org_id_jwt_field')),
    organizationAlias: nameIn(said('org_alias_jwt_field')),
    customerId: nameIn(said('end_user_id_jwt_field')),
    roles: [...roles, ...namesIn(said('roles_jwt_field'))],
    scopes,
    expiresAt: typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : 0,
  }
  return withObject(named, nameIn(said('object_id_jwt_field')), settings)
}

/** `object_id_jwt_field` names a user or a team: `role_mappings` say which. */
function withObject(named: Named, id: string | undefined, settings: JwtSettings): Named {
  const mapped = list(settings['role_mappings'])
    .map(object)
    .find(({ role }) => typeof role === 'string' && named.roles.includes(role))
  const role = text(mapped?.['internal_role'])
  if (role === 'proxy_admin') return { ...named, admin: true }
  if (id === undefined) return named
  if (role === 'team') return { ...named, teamId: named.teamId ?? id }
  if (role === 'internal_user') return { ...named, userId: named.userId ?? id }
  return named
}

/** `a.b.c`; a claim may have dots in its name, as those of Auth0 that are addresses. */
export function claimAt(claims: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(claims, path)) return claims[path]
  let at: Json | undefined = claims
  for (const step of path.replaceAll('\\.', '\u0000').split('.')) {
    const name = step.replaceAll('\u0000', '.')
    const inside = object(at)
    if (!Object.hasOwn(inside, name)) return undefined
    at = inside[name]
  }
  return at
}

const idMax = 255
/** A name; of several the first. Numbers are names to some issuers. */
function nameIn(value: Json | undefined): string | undefined {
  const one = Array.isArray(value) ? value[0] : value
  const name = typeof one === 'number' ? String(one) : text(one)
  return name === undefined || name === '' || name.length > idMax ? undefined : name
}
const namesIn = (value: Json | undefined): string[] =>
  (Array.isArray(value) ? value : [value])
    .map((one) => nameIn(one))
    .filter((name) => name !== undefined)
    .slice(0, namesMax)
const namesMax = 200

const scopesOf = ({ scope }: JsonObject): string[] =>
  typeof scope === 'string' ? scope.split(/\s+/).filter((one) => one !== '') : namesIn(scope)
