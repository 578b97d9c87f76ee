import { type Generated, sql } from 'kysely'

/**
 * What the database holds. Money is integer nano-dollars, instants are milliseconds since the epoch, JSON is text, and
 * nothing here is particular to SQLite or PostgreSQL.
 */
export type Tables = DocTables & {
  account: AccountRow
  lease: LeaseRow
  meter: MeterRow
  node: NodeRow
  change: ChangeRow
  word: WordRow
  spend_log: SpendLogRow
  spend_hour: SpendHourRow
  payload: PayloadRow
  owned: OwnedRow
  imported: ImportedRow
}

/**
 * Things people manage are documents: `data` is JSON in LiteLLM's field names, the other columns are what is looked up
 * or sorted by. `unique_name` is whatever must not be taken twice.
 */
export const docTables = {
  /**
   * id: SHA-256 of the key in hex. unique_name: the alias. lookup: the keyed hash it is found by. account: the id its books
   * are kept under, where that is not its own: a key that was made anew goes on with the books of the first.
   */
  virtual_key: [
    'lookup',
    'account',
    'user_id',
    'team_id',
    'organization_id',
    'project_id',
    'budget_id',
    'expires_at',
  ],
  /**
   * A key that is no more. id: SHA-256 of it. Replaced by `key_id`, it goes on for that one while there is a `lookup` and
   * until `revoke_at` of the data; deleted, it has neither.
   */
  former_key: [
    'lookup',
    'key_id',
    'user_id',
    'team_id',
    'organization_id',
    'project_id',
    'expires_at',
  ],
  /** unique_name: nothing; e-mail addresses are compared by `email`. */
  gateway_user: ['email', 'sso_id', 'role', 'budget_id'],
  team: ['organization_id', 'alias'],
  /** id: `team/user`. */
  team_member: ['team_id', 'user_id', 'budget_id'],
  organization: ['alias', 'budget_id'],
  /** id: `organization/user`. */
  organization_member: ['organization_id', 'user_id', 'budget_id'],
  customer: ['alias', 'budget_id'],
  budget: [],
  tag: ['budget_id'],
  /** unique_name: its name. */
  access_group: [],
  project: ['team_id', 'alias', 'budget_id'],
  /** A deployment added at run time; `alias` is its public name. Secrets in `data` are sealed. */
  model: ['alias', 'team_id'],
  /** id: its name. Values in `data` are sealed. */
  credential: [],
  /** Settings changed at run time, one document per section of the config. */
  setting: [],
  /** Who changed what: `entity` is `table:id`. */
  audit: ['entity', 'user_id'],
} as const satisfies Record<string, readonly string[]>

export type DocKind = keyof typeof docTables

/** The columns of one kind of document beside `id`, `unique_name`, `data` and the two instants. */
export type ColumnOf<K extends DocKind> = (typeof docTables)[K][number]

export type DocRow = {
  id: string
  unique_name: string | null
  data: string
  created_at: number
  updated_at: number
}
type DocTables = {
  [K in DocKind]: DocRow & { [C in ColumnOf<K>]: string | null }
}

/** Columns that are instants although documents' columns are text. */
export const instants: ReadonlySet<string> = new Set(['expires_at'])

/**
 * One row per budget or spend counter, named for what it belongs to: `key:<id>`, `user:<id>`, `team:<id>`,
 * `member:<team>/<user>`, `org:<id>`, `project:<id>`, `customer:<id>`, `tag:<name>`, `provider:<name>`, `proxy`, and with
 * a suffix where one thing has several: `key:<id>|model:<name>`, `key:<id>|window:<duration>`.
 */
type AccountRow = {
  id: string
  /** Of the running period. */
  spend: number
  /** Since ever; never reset. */
  total: number
  /** The sum of its leases. */
  leased: number
  /** `budget_duration`; null: never resets. */
  duration: string | null
  resets_at: number | null
}

/** What one process may hand out of a budget without asking again. */
type LeaseRow = {
  account: string
  node: string
  amount: number
  /** How much of it requests in flight had reserved when it was last written. */
  busy: number
  /** The latest recall of this account that the process has answered. */
  recalled: number
}

/** Requests or tokens of a rate limit, counted per slot of time, shared by processes. */
type MeterRow = { id: string; slot: number; used: number }

/** A process that serves on this database. */
type NodeRow = {
  id: string
  host: string
  started_at: number
  heartbeat_at: number
  /** The newest process this one knows of. */
  seen: number
  /** Its place in the order of arrival. */
  seq: Generated<number>
  /** Entries of its journal up to this one are in the tables. */
  flushed: number
  /** The process that has taken over its journal; null while it lives. */
  taken_by: string | null
}

/** What other processes have to forget: a document was written. */
type ChangeRow = { seq: Generated<number>; kind: string; id: string; node: string; at: number }

/** Names that spend rows repeat a million times, once. */
type WordRow = { id: Generated<number>; text: string }

/** One request. References are words. */
type SpendLogRow = {
  seq: Generated<number>
  /** The answer's id, or the call's where there is none. Providers that repeat themselves repeat it. */
  request_id: string
  call_id: string | null
  started_at: number
  /** Milliseconds from the start. */
  duration: number
  first_byte: number | null
  operation: number
  key_id: number | null
  user_id: number | null
  team_id: number | null
  organization_id: number | null
  customer_id: number | null
  /** The public name that answered. */
  model_group: number | null
  model: number | null
  deployment_id: number | null
  provider: number | null
  spend: number
  input: number
  output: number
  cache_read: number
  cache_write: number
  reasoning: number
  status: number
  /** Kind of error; null for a success. */
  fault: number | null
  /** Bits: 1 streamed, 2 estimated, 4 unpriced, 8 answered from the cache. */
  flags: number
  /** JSON of what most requests do not have: tags, metadata, session, address, cost in parts, retries. */
  more: string | null
}

/** What an index has of the ids in `spend_log`, in characters; a search asks for the part and for the whole. */
export const idParts = (length: number) => ({
  request_id: sql<string>`(case when length(request_id) > ${sql.lit(length)} then substr(request_id, length(request_id) - ${sql.lit(length - 1)}) else request_id end)`,
  call_id: sql<string>`(substr(call_id, 1, ${sql.lit(length)}))`,
})
/** In a block three characters tell the rows apart. */
export const idLength = { sqlite: 3, postgres: 5 } as const

/**
 * In SQLite the rows' ids are indexed by blocks of rows: ids are random, and without blocks each row would write two pages
 * somewhere in an index of the whole table, which is most of what writing a row costs.
 */
export const blockBits = 13
export const idBlock = sql<number>`(seq >> ${sql.lit(blockBits)})`

/**
 * Sums per hour: `scope` says whose (`all`, `user`, `team`, `organization`, `customer`, `tag`) and `scope_id` which.
 */
type SpendHourRow = {
  hour: number
  scope: string
  scope_id: number
  key_id: number
  model_group: number
  model: number
  provider: number
  operation: number
  spend: number
  input: number
  output: number
  cache_read: number
  cache_write: number
  requests: number
  failures: number
  /** Milliseconds of those that did not fail, all together. */
  duration: number
}

/** Prompts and answers, where an operator wants them kept; and what lies on the shelf (shelf.ts). */
type PayloadRow = { request_id: string; at: number; bytes: number; data: string }

/**
 * Whose a thing is that a provider keeps (a file, a batch). `id`: the provider's own; `keeper`: the deployment, or
 * `provider:` and its name. Whoever has no row is an administrator's.
 */
type OwnedRow = {
  id: string
  keeper: string
  /** The key that made it. */
  key_id: string
  /** `user:<id>`, or the account of a key that belongs to no user; null for a team's key. */
  owner: string | null
  team_id: string | null
  /** The public name it was made by; empty where it belongs to no model. */
  model: string
  at: number
}

/**
 * A row of LiteLLM's tables that has been brought over, by the document it became. For spend rows `kind` is `spend_log`
 * and `id` their database.
 */
type ImportedRow = {
  kind: string
  id: string
  /** The database it came from. */
  source: string
  /** SHA-256 of what it was there, without what use alone changes. */
  print: string
  /**
   * `updated_at` of the document as it was written: where it differs, somebody here has changed it since. Of an account
   * (`kind` is `account`): when it was to start again.
   */
  at: number
  /** What had been spent there, which has been added here. Nano-dollars. */
  spend: number
  total: number
}
