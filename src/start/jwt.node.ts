import type { EnvSettings } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { GrantTerms } from '../policy/grant.ts'
import type { FindCaller } from '../policy/identify.ts'
import type { Store } from '../store/store.ts'

export type JwtDoorOptions = {
  config: Config
  settings: EnvSettings
  store: Store
  access: NonNullable<Rooms['access']>
  terms: GrantTerms
  rooms(): Rooms
  log: Rooms['log']
}

/**
 * Lets JSON web tokens in beside virtual keys (`enable_jwt_auth`). Undefined: they are not wanted. What checks signatures is
 * loaded only where they are.
 */
export async function openJwtDoor(
  options: JwtDoorOptions,
): Promise<{ isJwt(key: string): boolean; find: FindCaller } | undefined> {
  const { config, settings, store, access, rooms, log } = options
  if (config.general.enable_jwt_auth !== true) return undefined
  const jwt = object(object(config.raw['general_settings'])['litellm_jwtauth'])
  if (jwt['custom_validate'] !== undefined)
    throw new GatewayError(
      'internal',
      'litellm_jwtauth.custom_validate is Python, which cannot run here: tokens it would refuse would be let in. Take it out, and say in issuers, roles and scopes who may come in',
    )
  const issuers = issuersOf(jwt, settings)
  if (issuers.length === 0)
    throw new GatewayError(
      'internal',
      'enable_jwt_auth is on, and nobody says where the keys are that sign tokens: set JWT_PUBLIC_KEY_URL (a key set or a discovery document), or issuers of litellm_jwtauth',
    )
  for (const { issuer, audience } of issuers)
    if (audience === undefined && issuer === undefined)
      log(
        'warn',
        'tokens of every application that shares the issuer of JWT_PUBLIC_KEY_URL are let in: set JWT_AUDIENCE, and JWT_ISSUER',
      )
  const [{ createVerify, isJwt }, { createJwtCallers }] = await Promise.all([
    import('../policy/jwt.ts'),
    import('../policy/jwt-caller.ts'),
  ])
  const ms = (value: Json | undefined, otherwise: number): number =>
    (number(value) ?? otherwise) * 1000
  const find = createJwtCallers({
    store,
    verify: createVerify({
      issuers,
      keysMs: ms(jwt['public_key_ttl'], 600),
      staleMs: ms(jwt['public_key_stale_ttl'], 3600),
      fetch: globalThis.fetch,
      now: Date.now,
    }),
    settings: jwt,
    rolePermissions: list(config.general.role_permissions as Json).map(object),
    newUser: object(config.settings.default_internal_user_params as Json),
    terms: options.terms,
    mayUse(caller, model) {
      const { router } = rooms()
      return access.mayUse(caller, router.groups.nameOf(access.aliasOf(caller, model)))
    },
    now: Date.now,
  })
  return { isJwt, find }
}

function issuersOf(jwt: JsonObject, { jwtKeyUrl, jwtAudience, jwtIssuer }: EnvSettings) {
  const named = list(jwt['issuers']).map((value, nth) => {
    const one = object(value)
    const issuer = text(one['issuer'])
    const audience = namesOf(one['audience'])
    if (issuer === undefined) throw wrong(nth, 'has no "issuer"')
    // LiteLLM's rule: not to look at it has to be said.
    if (audience.length === 0 && one['disable_audience_validation'] !== true)
      throw wrong(nth, 'has no "audience", and does not say disable_audience_validation: true')
    return {
      issuer,
      keyUrls: [
        text(one['jwks_url']) ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      ],
      audience: audience.length > 0 ? audience : undefined,
    }
  })
  const general =
    jwtKeyUrl && jwtKeyUrl.length > 0
      ? [
          {
            issuer: jwtIssuer,
            keyUrls: jwtKeyUrl,
            audience: jwtAudience === undefined ? undefined : [jwtAudience],
          },
        ]
      : []
  return [...named, ...general]
}

const namesOf = (value: Json | undefined): string[] =>
  (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string')

const wrong = (nth: number, what: string): GatewayError =>
  new GatewayError('internal', `general_settings.litellm_jwtauth.issuers[${nth}] ${what}`)
