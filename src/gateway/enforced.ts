import { GatewayError } from '../errors.ts'
import { type JsonObject, list, object } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import type { Inbound } from '../wire/inbound.ts'

/** What a body must have, by general_settings. */
export type Enforced = {
  /** `enforce_user_param`. */
  user: boolean
  /** `enforced_params`: names, or `metadata.name`. */
  params: readonly string[]
  /** `service_account_settings.enforced_params`: of keys of services. */
  ofServices: readonly string[]
  /** `reject_clientside_metadata_tags`. */
  noTags: boolean
}

/** Throws 400 where a body lacks what it must have, or has what it must not. */
export function refuseLacking(said: Inbound, { grant }: Caller, enforced: Enforced): void {
  const { user, params, ofServices, noTags } = enforced
  if (user && !said.has('user'))
    throw bad("'user' param not passed in. 'enforce_user_param'=True", 'user')
  if (noTags && said.has('metadata') && object(said.field('metadata'))['tags'] !== undefined)
    throw bad(
      "Client-side 'metadata.tags' not allowed in request. 'reject_clientside_metadata_tags'=True. Tags can only be set via API key metadata.",
      'metadata.tags',
    )
  for (const param of params) refuse(said, param)
  if (!grant) return
  const metadata = object(grant.key.data['metadata'])
  if (metadata['service_account_id'] !== undefined)
    for (const param of ofServices) refuse(said, param)
  for (const param of ownParams(grant.key.data, metadata)) refuse(said, param)
  if (grant.team)
    for (const param of ownParams(grant.team.data, object(grant.team.data['metadata'])))
      refuse(said, param)
}

const ownParams = (data: JsonObject, metadata: JsonObject): string[] =>
  [...list(data['enforced_params']), ...list(metadata['enforced_params'])].filter(
    (param) => typeof param === 'string',
  )

function refuse(said: Inbound, param: string): void {
  const dot = param.indexOf('.')
  const name = dot === -1 ? param : param.slice(0, dot)
  const inside = dot === -1 ? undefined : param.slice(dot + 1)
  if (!said.has(name))
    throw bad(
      `BadRequest please pass param=${name} in request body. This is a required param`,
      name,
    )
  if (inside !== undefined && object(said.field(name))[inside] === undefined)
    throw bad(
      `BadRequest please pass param=[${name}][${inside}] in request body. This is a required param`,
      param,
    )
}

const bad = (message: string, param: string): GatewayError =>
  new GatewayError('bad_request', message, { type: 'bad_request_error', param, code: '400' })
