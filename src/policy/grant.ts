import { GatewayError } from '../errors.ts'
import { within } from '../ledger/purse.ts'
import type { Doc } from '../store/docs.ts'
import type { Store } from '../store/store.ts'
import type { Caller, Role } from './caller.ts'
import { type Holder, holderOf } from './terms.ts'

/** A virtual key with everything that bears on it, put together once and kept until one of its parts is written. */
export type Grant = {
  /** SHA-256 of the key. */
  readonly keyId: string
  readonly role: Role
  readonly key: Doc<'virtual_key'>
  readonly user: Doc<'gateway_user'> | undefined
  readonly team: Doc<'team'> | undefined
  readonly member: Doc<'team_member'> | undefined
  readonly organization: Doc<'organization'> | undefined
  readonly project: Doc<'project'> | undefined
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  /** Why it opens nothing, whoever asks. */
  readonly refusal: GatewayError | undefined
  /** What its requests count against, in the order budgets are checked. */
  readonly holders: readonly Holder[]
  /** The documents it is made of, as `kind:id`: when one of them is written, it is made anew. */
  readonly parts: ReadonlySet<string>
}

export type Grants = {
  /** The caller behind a key; undefined: there is no such key. At once when the key was seen lately. */
  find(key: string): Caller | undefined | Promise<Caller | undefined>
  /** The terms have changed: every key is put together anew. */
  forget(): void
}

/** What general_settings say of every key. */
export type GrantTerms = {
  /** `apply_user_budget_to_team_keys`: a user's budget bounds their keys of teams too. */
  userBudgetOnTeamKeys: boolean
  /** `max_parallel_requests`: of keys that say none themselves. */
  keyParallel?: number | undefined
}

/** Keys held, known and unknown ones; the one not asked for the longest is forgotten. */
const heldMax = 10_000
/** An unknown key is asked for again after this long, should another process have made it. */
const unknownMs = 2000

/** `terms` are looked at whenever a key is put together. */
export function createGrants(store: Store, terms: GrantTerms, now: () => number): Grants {
  const held = new Map<string, { caller: Caller | undefined; at: number }>()
  const loading = new Map<string, Promise<Caller | undefined>>()
  let writes = 0
  store.onChange((kind, id) => {
    if (!bearing.has(kind) && id !== '') return
    writes++
    loading.clear()
    const part = `${kind}:${id}`
    // A key that was not there may be the one just written.
    for (const [key, { caller }] of held)
      if (!caller?.grant || id === '' || caller.grant.parts.has(part)) held.delete(key)
  })

  async function load(key: string): Promise<Caller | undefined> {
    const before = writes
    const reading = read(store, key, terms)
    await within(reading)
    const grant = await reading
    const caller = grant && callerOf(grant)
    // What was written meanwhile may not be in what was read.
    if (before === writes) {
      if (held.size >= heldMax) held.delete(held.keys().next().value ?? '')
      held.set(key, { caller, at: now() })
    }
    return caller
  }

  async function findAnew(key: string): Promise<Caller | undefined> {
    let asked = loading.get(key)
    if (!asked) {
      asked = load(key).finally(() => loading.delete(key))
      loading.set(key, asked)
    }
    const caller = await asked
    if (caller) refuseEnded(caller, now())
    return caller
  }

  return {
    forget() {
      writes++
      loading.clear()
      held.clear()
    },
    find(key) {
      const found = held.get(key)
      if (found && (found.caller || now() - found.at < unknownMs)) {
        if (found.caller) refuseEnded(found.caller, now())
        return found.caller
      }
      return findAnew(key)
    },
  }
}

/** Documents a grant is made of. */
export const bearing: ReadonlySet<string> = new Set([
  'virtual_key',
  'former_key',
  'gateway_user',
  'team',
  'team_member',
  'organization',
  'organization_member',
  'project',
  'budget',
])

export function callerOf(grant: Grant): Caller {
  const { key, role, keyId } = grant
  return {
    role,
    keyId,
    userId: key.columns.user_id ?? undefined,
    teamId: key.columns.team_id ?? undefined,
    organizationId: key.columns.organization_id ?? grant.team?.columns.organization_id ?? undefined,
    grant,
  }
}

export function refuseEnded({ grant }: Caller, now: number): void {
  if (!grant) return
  if (grant.refusal) throw grant.refusal
  if (grant.expiresAt !== undefined && grant.expiresAt <= now)
    throw new GatewayError(
      'authentication',
      `Authentication Error - Expired Key. Key Expiry time ${new Date(grant.expiresAt).toISOString()} and current time ${new Date(now).toISOString()}`,
      { type: 'expired_key', param: 'None', code: '401' },
    )
}

async function read(store: Store, secret: string, terms: GrantTerms): Promise<Grant | undefined> {
  const { docs, sealer } = store
  const own =
    (await docs.virtual_key.first({ lookup: sealer.lookup(secret) })) ??
    // Rows imported from LiteLLM know only the SHA-256; what is itself such a hash is never a key.
    (await imported(store, secret))
  const former = own ? undefined : await replaced(store, secret)
  const key = own ?? former?.key
  return key && grantWith(store, key, terms, former)
}

/** Everything that bears on a key, be it one of the database or one that a token stands for. */
export async function grantWith(
  { docs }: Store,
  key: Doc<'virtual_key'>,
  { userBudgetOnTeamKeys, keyParallel }: GrantTerms,
  former?: { id: string; until: number },
): Promise<Grant> {
  const { user_id, team_id, project_id } = key.columns
  const [user, team, member, project] = await Promise.all([
    user_id ? docs.gateway_user.find(user_id) : undefined,
    team_id ? docs.team.find(team_id) : undefined,
    team_id && user_id ? docs.team_member.find(`${team_id}/${user_id}`) : undefined,
    project_id ? docs.project.find(project_id) : undefined,
  ])
  const organizationId = key.columns.organization_id ?? team?.columns.organization_id
  const [organization, organizationMember] = organizationId
    ? await Promise.all([
        docs.organization.find(organizationId),
        user_id ? docs.organization_member.find(`${organizationId}/${user_id}`) : undefined,
      ])
    : []
  const parts = [key, user, team, member, project, organization, organizationMember].filter(
    (one) => one !== undefined,
  )
  const budgetIds = parts
    .map(({ columns }) => ('budget_id' in columns ? columns.budget_id : undefined))
    .filter((id) => typeof id === 'string')
  const budgets = new Map((await docs.budget.many(budgetIds)).map((one) => [one.id, one]))
  const held = (doc: Doc | undefined) =>
    doc && holderOf(doc, budgets.get(String('budget_id' in doc.columns && doc.columns.budget_id)))
  const expires = key.columns.expires_at
  return {
    keyId: key.id,
    role: roleOf(user),
    key,
    user,
    team,
    member,
    organization,
    project,
    expiresAt: sooner(expires == null ? undefined : Number(expires), former?.until),
    refusal: refusalOf(key, user, team, organization, project),
    holders: [
      withParallel(held(key), keyParallel),
      // LiteLLM's rule: a team's keys are the team's to bound.
      team && !userBudgetOnTeamKeys ? user && { ...held(user), unbounded: true } : held(user),
      held(member),
      held(team),
      held(project),
      held(organizationMember),
      held(organization),
    ].filter((one): one is Holder => one !== undefined),
    parts: new Set([
      ...parts.map(({ kind, id }) => `${kind}:${id}`),
      ...budgetIds.map((id) => `budget:${id}`),
      // What is not there yet may come.
      ...(team_id && user_id ? [`team_member:${team_id}/${user_id}`] : []),
      ...(organizationId && user_id ? [`organization_member:${organizationId}/${user_id}`] : []),
      ...(user_id ? [`gateway_user:${user_id}`] : []),
      ...(team_id ? [`team:${team_id}`] : []),
      ...(former ? [`former_key:${former.id}`] : []),
    ]),
  }
}

const withParallel = (holder: Holder | undefined, parallel: number | undefined) =>
  holder && parallel !== undefined && holder.terms.parallel === undefined
    ? { ...holder, terms: { ...holder.terms, parallel } }
    : holder

async function imported(store: Store, secret: string) {
  const { docs, sealer } = store
  const key = await docs.virtual_key.find(sealer.digest(secret))
  if (!key || key.columns.lookup != null) return undefined
  // From now on it is found as others are. Where that cannot be written it opens all the same, and is tried again.
  await store.db
    .batch([
      {
        query: store.db.query
          .updateTable('virtual_key')
          .set({ lookup: sealer.lookup(secret) })
          .where('id', '=', key.id)
          .where('lookup', 'is', null)
          .compile(),
      },
    ])
    .catch(() => {})
  return key
}

/** A key that was made anew goes on for the new one until its grace is over. */
async function replaced({ docs, sealer }: Store, secret: string) {
  const former =
    (await docs.former_key.first({ lookup: sealer.lookup(secret) })) ??
    (await docs.former_key.find(sealer.digest(secret)))
  const until = Date.parse(String(former?.data['revoke_at']))
  if (!former?.columns.key_id || Number.isNaN(until)) return undefined
  const key = await docs.virtual_key.find(former.columns.key_id)
  return key && { id: former.id, key, until }
}

const sooner = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

const roles = new Set<unknown>([
  'proxy_admin',
  'proxy_admin_viewer',
  'org_admin',
  'internal_user',
  'internal_user_viewer',
])
export const isRole = (value: unknown): value is Role => roles.has(value)
function roleOf(user: Doc<'gateway_user'> | undefined): Role {
  const role = user?.data['user_role']
  return isRole(role) ? role : user ? 'internal_user_viewer' : 'none'
}

function refusalOf(
  key: Doc<'virtual_key'>,
  user: Doc<'gateway_user'> | undefined,
  team: Doc<'team'> | undefined,
  organization: Doc<'organization'> | undefined,
  project: Doc<'project'> | undefined,
): GatewayError | undefined {
  const refuse = (message: string): GatewayError =>
    new GatewayError('authentication', `Authentication Error, ${message}`, {
      type: 'auth_error',
      param: 'None',
      code: '401',
    })
  if (key.data['blocked'] === true)
    return refuse("Key is blocked. Update via `/key/unblock` if you're an admin.")
  if (key.columns.user_id != null && user?.data['blocked'] === true)
    return refuse(`User=${user.id.slice(0, 200)} is blocked.`)
  if (key.columns.team_id != null && !team)
    return refuse(`Team=${key.columns.team_id.slice(0, 200)} of this key does not exist any more.`)
  if (team?.data['blocked'] === true)
    return refuse(
      `Team=${team.id.slice(0, 200)} is blocked. Update via \`/team/unblock\` if you're an admin.`,
    )
  if (organization?.data['blocked'] === true)
    return refuse(`Organization=${organization.id.slice(0, 200)} is blocked.`)
  if (project?.data['blocked'] === true)
    return refuse(`Project=${project.id.slice(0, 200)} is blocked.`)
  return undefined
}
