import * as z from 'zod'
import type { JsonObject } from '../json/json.ts'
import * as f from './fields.ts'
import { commonFields, metadataFields } from './key-fields.ts'

/** Bodies of the user routes. Null clears, and what is not known is kept. */

export const userRoles = [
  'proxy_admin',
  'proxy_admin_viewer',
  'internal_user',
  'internal_user_viewer',
] as const

const role = z.enum(userRoles, `expected ${userRoles.join(', ')}`)

/** Forms send empty text for what nobody has filled in. */
const cleared = <T extends z.ZodType>(kind: T) =>
  z.preprocess((value) => (value === '' ? null : value), kind.nullish())

const userFields = {
  ...commonFields,
  user_email: cleared(f.email),
  user_alias: cleared(f.name),
  user_role: cleared(role),
  sso_user_id: cleared(f.name),
}

const teamOfNew = z.union(
  [
    f.id,
    z.looseObject({
      team_id: f.id,
      max_budget_in_team: f.dollars.nullish(),
      user_role: z.enum(['user', 'admin'], "expected 'user' or 'admin'").nullish(),
    }),
  ],
  'expected the id of a team, or {team_id, max_budget_in_team, user_role}',
)
export const teamsOfNew = z.array(teamOfNew, 'expected a list of teams').max(1000)

const sizeMax = 2 * 1024 * 1024
const bounded = <S extends z.ZodRawShape>(shape: S) =>
  z
    .looseObject(shape)
    .refine((body) => JSON.stringify(body).length <= sizeMax, 'is larger than 2 MB')

export const newUser = bounded({
  ...userFields,
  user_id: cleared(f.id),
  auto_create_key: z.boolean('expected true or false').nullish(),
  teams: teamsOfNew.nullish(),
  team_id: cleared(f.id),
  organizations: f.ids.nullish(),
  key_alias: cleared(f.name),
  password: z.null('cannot be set here: set one with /user/update').optional(),
}).meta({ id: 'NewUser' })

const userId = cleared(f.id)
const password = z
  .string('expected text')
  .min(8, 'must be at least 8 characters long')
  .max(1000, 'is too long')

export const updateUser = bounded({ ...userFields, user_id: userId, password: password.nullish() })
  .refine(
    ({ user_id, user_email }) => user_id != null || user_email != null,
    'Either user_id or user_email must be provided',
  )
  .meta({ id: 'UpdateUser' })

export const bulkUsers = z
  .looseObject({
    users: z.array(updateUser).max(500, 'Maximum 500 users can be updated at once').nullish(),
    all_users: z.boolean('expected true or false').nullish(),
    user_updates: bounded(userFields).nullish(),
  })
  .refine(
    ({ users, all_users, user_updates }) =>
      (users?.length ?? 0) > 0 ? all_users !== true : all_users === true && user_updates != null,
    "Must specify either 'users' for individual updates or 'all_users=True' with 'user_updates' for bulk updates",
  )
  .meta({ id: 'BulkUpdateUsers' })

export const userIds = z
  .looseObject({
    user_ids: z
      .array(f.name, 'expected a list of ids')
      .min(1, 'names nobody')
      .max(1000, 'has more than 1000 ids'),
  })
  .meta({ id: 'UserIds' })

export const userAnswer = z
  .looseObject({
    user_id: z.string(),
    key: z
      .string()
      .meta({ description: 'A key for them, shown this once; empty where none was made' }),
    user_email: z.string().nullable(),
    user_role: z.string().nullable(),
    teams: z.array(z.string()),
  })
  .meta({ id: 'NewUserAnswer' })
export const userInfo = z
  .looseObject({
    user_id: z.string().nullable(),
    user_info: z.looseObject({ spend: z.number() }).nullable(),
    keys: z.array(z.looseObject({ token: z.string() })),
    teams: z.array(z.looseObject({ team_id: z.string() })),
  })
  .meta({ id: 'UserInfo' })

/** A user's policies stand beside the metadata. */
export const userMetadataFields = metadataFields.filter((field) => field !== 'policies')

/** Of the request, or shown in rows and kept elsewhere. */
export const userDerived: readonly string[] = [
  'user_id',
  'password',
  'teams',
  'team_id',
  'organizations',
  'organization_memberships',
  'auto_create_key',
  'send_invite_email',
  'key_alias',
  'key_type',
  'duration',
  'key',
  'token',
  'metadata',
  'object_permission_id',
  'model_max_budget_usage',
  'budget_limits_usage',
  'key_count',
  'password_reset_required',
  'last_breach_check_at',
  ...userMetadataFields,
]

/** Fields of a new user's body that are said of the key they get. */
export const fieldsOfKey = [
  'key_alias',
  'key_type',
  'duration',
  'team_id',
  'aliases',
  'config',
  'permissions',
  'allowed_cache_controls',
  'agent_id',
]

/** What people may change of themselves. */
export const ownFields: ReadonlySet<string> = new Set(['user_id', 'user_alias', 'metadata'])

/** Fields with a name of their own stand in the metadata. */
export function userMetadata(was: JsonObject, body: JsonObject, said: JsonObject): JsonObject {
  const metadata = { ...(body['metadata'] === undefined ? was : said) }
  for (const field of userMetadataFields) {
    const value = body[field]
    if (value === null) delete metadata[field]
    else if (value !== undefined) metadata[field] = value
  }
  return metadata
}
