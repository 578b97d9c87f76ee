import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, list, text } from '../json/json.ts'
import type { ResetClock } from '../store/durations.ts'
import type { LitellmSource, OpenSealed } from '../store/litellm.ts'
import type { Store } from '../store/store.ts'
import type { DocKind } from '../store/tables.ts'
import { endVanished } from './import-ended.ts'
import { type Beside, jsonOf, type Left, type Made, type MakeDeps } from './import-fields.ts'
import { bringRequests, type RequestsReport } from './import-requests.ts'
import * as rows from './import-rows.ts'
import { type Placed, place } from './import-write.ts'

/** LiteLLM's tables brought over: again and again, until nobody asks LiteLLM any more. */

export type ImportOptions = {
  source: LitellmSource
  store: Store
  open: OpenSealed
  clock: Omit<ResetClock, 'now'>
  /** What LiteLLM's rows of spend name the master key by. */
  masterKeys: ReadonlySet<string>
  /** Requests that began from here on; undefined: none. Milliseconds since the epoch. */
  requestsFrom: number | undefined
  /** Rows of single requests; false: only sums (`disable_spend_logs`). */
  requestRows: boolean
  onProgress(what: string, done: number, of: number): void
}

export type ImportReport = {
  kinds: ReadonlyMap<DocKind, Placed>
  /** Keys and memberships that are gone there since, and now here. */
  ended: number
  requests: RequestsReport | undefined
  /** How many rows stay where they are, by the reason. */
  left: ReadonlyMap<string, number>
  /** Tables with rows that have no place here. */
  unread: readonly string[]
}

type Reach = ImportOptions & {
  deps: MakeDeps
  beside(of: readonly JsonObject[]): Promise<Beside>
  /** Names of models by teams, which are few. */
  aliases: ReadonlyMap<number, JsonObject>
  left(why: string, count?: number): void
}

type Step = {
  table: string
  key: readonly string[]
  what: string
  make(page: JsonObject[], reach: Reach): (Made | Left)[] | Promise<(Made | Left)[]>
}

/** Rows with what bears on each. */
const each =
  (make: (row: JsonObject, beside: Beside, deps: MakeDeps) => Made | Left) =>
  async (page: JsonObject[], { deps, beside }: Reach) => {
    const others = await beside(page)
    return page.map((row) => make(row, others, deps))
  }

/** In this order: what others refer to comes first. */
const steps: readonly Step[] = [
  {
    table: 'LiteLLM_BudgetTable',
    key: ['budget_id'],
    what: 'budgets',
    make: (page) => page.map(rows.budgetOf),
  },
  {
    table: 'LiteLLM_OrganizationTable',
    key: ['organization_id'],
    what: 'organisations',
    make: each(rows.organizationOf),
  },
  { table: 'LiteLLM_UserTable', key: ['user_id'], what: 'users', make: each(rows.userOf) },
  {
    table: 'LiteLLM_OrganizationMembership',
    key: ['user_id', 'organization_id'],
    what: 'members of organisations',
    make: each(rows.organizationMemberOf),
  },
  { table: 'LiteLLM_TeamTable', key: ['team_id'], what: 'teams', make: teamsOf },
  {
    table: 'LiteLLM_ProjectTable',
    key: ['project_id'],
    what: 'projects',
    make: each(rows.projectOf),
  },
  { table: 'LiteLLM_VerificationToken', key: ['token'], what: 'keys', make: each(rows.keyOf) },
  {
    table: 'LiteLLM_DeprecatedVerificationToken',
    key: ['id'],
    what: 'replaced keys',
    make: (page) => page.map(rows.replacedKeyOf),
  },
  {
    table: 'LiteLLM_DeletedVerificationToken',
    key: ['id'],
    what: 'deleted keys',
    make: deletedKeysOf,
  },
  {
    table: 'LiteLLM_AccessGroupTable',
    key: ['access_group_id'],
    what: 'access groups',
    make: (page) => page.map(rows.accessGroupOf),
  },
  {
    table: 'LiteLLM_EndUserTable',
    key: ['user_id'],
    what: 'customers',
    make: each(rows.customerOf),
  },
  { table: 'LiteLLM_TagTable', key: ['tag_name'], what: 'tags', make: each(rows.tagOf) },
  {
    table: 'LiteLLM_CredentialsTable',
    key: ['credential_name'],
    what: 'credentials',
    make: (page, { deps }) => page.map((row) => rows.credentialOf(row, deps)),
  },
  {
    table: 'LiteLLM_ProxyModelTable',
    key: ['model_id'],
    what: 'models',
    make: (page, { deps }) => page.map((row) => rows.modelOf(row, deps)),
  },
]

/**
 * Brings everything over that has changed since it was brought over last. What somebody has changed or ended here stays
 * as it is here; spend is added, as much as has come to it. Throws where what was written is not what is found again:
 * then nothing of that page stays, and another run goes on from there.
 */
export async function importLitellm(options: ImportOptions): Promise<ImportReport> {
  const { source, store, onProgress } = options
  const left = new Map<string, number>()
  const kinds = new Map<DocKind, Placed>()
  const reach: Reach = {
    ...options,
    deps: {
      sealer: store.sealer,
      open: options.open,
      clock: { ...options.clock, now: store.now() },
    },
    beside: (of) => besideOf(source, of),
    aliases: await aliasesOf(source),
    left: (why, count = 1) => void left.set(why, (left.get(why) ?? 0) + count),
  }
  const seen = new Map<DocKind, Set<string>>()
  for (const { table, key, what, make } of steps) {
    const of = await source.count(table)
    let read = 0
    for await (const page of source.pages(table, key)) {
      const made: Made[] = []
      for (const one of await make(page, reach))
        if ('left' in one) reach.left(one.left)
        else if (!isKeepable(one))
          reach.left(`${what} without a name, or with one of more than ${nameMax} characters`)
        else made.push(one)
      for (const [kind, some] of Map.groupBy(made, (one) => one.kind)) {
        addTo(kinds, kind, await place(store, source.name, kind, some))
        const ids = seen.get(kind) ?? new Set()
        seen.set(kind, ids)
        for (const { id } of some) ids.add(id)
      }
      read += page.length
      onProgress(what, read, of)
    }
    if (read !== of)
      throw new GatewayError('internal', `of ${table} ${read} rows were read, and there are ${of}`)
  }
  await countStrays(reach)
  const ended = await endVanished(store, source.name, seen)
  const requests =
    options.requestsFrom === undefined
      ? undefined
      : await bringRequests({ ...options, from: options.requestsFrom })
  return { kinds, ended, requests, left, unread: await unreadOf(source) }
}

/** An index of PostgreSQL takes 2700 bytes. */
const nameMax = 600
const isKeepable = ({ id, uniqueName, columns }: Made): boolean =>
  id !== '' &&
  [id, uniqueName, ...Object.values(columns)].every((name) => (name?.length ?? 0) <= nameMax)

function addTo(kinds: Map<DocKind, Placed>, kind: DocKind, placed: Placed): void {
  const sum = kinds.get(kind)
  if (!sum) kinds.set(kind, placed)
  else for (const name of Object.keys(sum) as (keyof Placed)[]) sum[name] += placed[name]
}

async function besideOf(
  source: LitellmSource,
  of: readonly JsonObject[],
): Promise<Required<Beside>> {
  const named = (column: string): string[] => [
    ...new Set(of.flatMap((row) => text(row[column]) ?? [])),
  ]
  const holders = of
    .filter((row) => list(jsonOf(row['budget_limits'])).length > 0)
    .flatMap((row) => text(row['token'] ?? row['team_id']) ?? [])
  const [budgets, permissions, windows] = [
    await source.where('LiteLLM_BudgetTable', 'budget_id', named('budget_id')),
    await source.where(
      'LiteLLM_ObjectPermissionTable',
      'object_permission_id',
      named('object_permission_id'),
    ),
    await source.where('LiteLLM_BudgetWindowSpend', 'entity_id', holders),
  ]
  const by = (found: readonly JsonObject[], column: string) =>
    new Map(found.map((row) => [text(row[column]) ?? '', row]))
  return {
    budgets: by(budgets, 'budget_id'),
    permissions: by(permissions, 'object_permission_id'),
    windows: Map.groupBy(windows, (row) => text(row['entity_id']) ?? ''),
  }
}

async function aliasesOf(source: LitellmSource): Promise<Map<number, JsonObject>> {
  const aliases = new Map<number, JsonObject>()
  for await (const page of source.pages('LiteLLM_ModelTable', ['id']))
    for (const row of page) {
      const said = jsonOf(row['aliases'])
      if (isObject(said)) aliases.set(Number(row['id']), said)
    }
  return aliases
}

async function teamsOf(page: JsonObject[], reach: Reach): Promise<(Made | Left)[]> {
  const { source, deps, beside, aliases } = reach
  const memberships = await source.where(
    'LiteLLM_TeamMembership',
    'team_id',
    page.map((row) => text(row['team_id']) ?? ''),
  )
  const ofTeam = Map.groupBy(memberships, (row) => text(row['team_id']) ?? '')
  const [others, budgets] = [await beside(page), await beside(memberships)]
  return page.flatMap((row) => {
    const id = text(row['team_id']) ?? ''
    return [
      rows.teamOf(row, others, aliases.get(Number(row['model_id'])) ?? {}, deps),
      ...rows.teamMembersOf(row, ofTeam.get(id) ?? [], budgets, deps),
    ]
  })
}

/** Of a key that was deleted more than once, or is there again, there is one row at most. */
async function deletedKeysOf(page: JsonObject[], { source, deps }: Reach) {
  const tokens = page.map((row) => text(row['token']) ?? '')
  const again = [
    ...(await source.where('LiteLLM_VerificationToken', 'token', tokens)),
    ...(await source.where('LiteLLM_DeprecatedVerificationToken', 'token', tokens)),
  ]
  const living = new Set(again.map((row) => row['token']))
  const latest = new Map<string, JsonObject>()
  for (const row of await source.where('LiteLLM_DeletedVerificationToken', 'token', tokens)) {
    const id = text(row['token']) ?? ''
    const other = latest.get(id)
    if (!other || String(row['deleted_at']) > String(other['deleted_at'])) latest.set(id, row)
  }
  return page
    .filter((row) => latest.get(text(row['token']) ?? '')?.['id'] === row['id'])
    .filter((row) => !living.has(row['token'] ?? null))
    .map((row) => rows.deletedKeyOf(row, deps))
}

/** A membership of a team that is gone stays where it is. */
async function countStrays({ source, left }: Reach): Promise<void> {
  const teams = new Set<string>()
  for await (const page of source.pages('LiteLLM_TeamTable', ['team_id']))
    for (const row of page) teams.add(text(row['team_id']) ?? '')
  for await (const page of source.pages('LiteLLM_TeamMembership', ['user_id', 'team_id'])) {
    const strays = page.filter((row) => !teams.has(text(row['team_id']) ?? '')).length
    if (strays > 0) left('memberships of teams that are gone', strays)
  }
}

async function unreadOf(source: LitellmSource): Promise<string[]> {
  const unread: string[] = []
  for (const table of source.tables.keys())
    if (!read.has(table) && !passing.test(table) && !(await source.isEmpty(table)))
      unread.push(table)
  return unread
}

const read: ReadonlySet<string> = new Set([
  ...steps.map(({ table }) => table),
  ...['LiteLLM_TeamMembership', 'LiteLLM_ModelTable', 'LiteLLM_ObjectPermissionTable'],
  ...['LiteLLM_BudgetWindowSpend', 'LiteLLM_SpendLogs'],
])
/** What LiteLLM works out of other rows, keeps for itself, or counts anew: nobody misses it. */
const passing =
  /^LiteLLM_(Daily|SpendLog(Guardrail|Tool)Index|CronJob|ProxyWorkerHeartbeat|HealthCheck|CacheConfig|ErrorLogs|UserNotifications|AdaptiveRouter|AutoRouter|ShadowEval|Lens)/
