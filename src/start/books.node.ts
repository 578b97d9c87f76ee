import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { EnvSettings } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { type Json, number, object, text } from '../json/json.ts'
import { type Books, createBooks } from '../ledger/books.ts'
import { type ClearingOptions, startClearing } from '../ledger/clearing.ts'
import { findDead, journalFolder, openJournal } from '../ledger/journal.node.ts'
import { createAccess } from '../policy/access.ts'
import { type AdmitSettings, createAdmit } from '../policy/admit.ts'
import { createGrants, type GrantTerms } from '../policy/grant.ts'
import type { FindCaller } from '../policy/identify.ts'
import { createLimits } from '../policy/limits.ts'
import { createParties } from '../policy/parties.ts'
import { openProviderBudgets } from '../policy/provider-budgets.ts'
import type { Budget } from '../policy/terms.ts'
import { accountOf } from '../store/accounts.ts'
import { durationMs } from '../store/durations.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { createStore } from '../store/store.ts'
import { secretFile } from './data.node.ts'
import { openDb } from './database.node.ts'
import { openJwtDoor } from './jwt.node.ts'

export type BooksOptions = {
  config: Config
  settings: EnvSettings
  dataDir: string
  masterKey: string | undefined
  log: Rooms['log']
  /** The rooms, once they are made: who may use which model is asked of their router. */
  rooms(): Rooms
}

/** Everything that needs the database. */
export type OpenBooks = {
  books: Books
  /** The caller behind a virtual key or a token. */
  find: FindCaller
  access: NonNullable<Rooms['access']>
  /** Why a provider is not asked now (`provider_budget_config`). */
  spentWith(provider: string): string | undefined
  admit: NonNullable<Rooms['admit']>
}

/** Opens the database, brings it up to date and closes the books of processes that ended without. */
export async function openBooks(options: BooksOptions): Promise<OpenBooks> {
  const { config, settings, dataDir, masterKey, log } = options
  const db = await openDb(options)
  let opened: Books | undefined
  try {
    await migrate(db)
    const secret = settings.saltKey ?? masterKey ?? (await secretFile(dataDir, db.dialect))
    const store = await createStore({
      db,
      node: randomBytes(9).toString('base64url').replace(/^-/, '_'),
      sealer: createSealer(secret),
    })
    const folder = journalFolder(dataDir)
    const clock = {
      timeZone: config.settings.timezone ?? 'UTC',
      ...(typeof config.settings.budget_reset_time === 'string' && {
        timeOfDay: config.settings.budget_reset_time,
      }),
    }
    const limits = createLimits(store, Date.now)
    const books = (opened = await createBooks({
      store,
      journal: openJournal(folder, store.node),
      host: hostname(),
      clock,
      rows: config.general.disable_spend_logs !== true,
      log,
      findDead: () => findDead(folder, store.node),
      onNodes: (alive, self) => limits.setNodes(alive, self),
    }))
    const parties = await createParties(store, config.settings.max_end_user_budget_id)
    const terms: GrantTerms = {
      userBudgetOnTeamKeys: config.general.apply_user_budget_to_team_keys === true,
      keyParallel: config.general.max_parallel_requests,
    }
    const grants = createGrants(store, { now: Date.now, ...terms })
    const access = createAccess(() => options.rooms().router.groups, parties)
    const jwt = await openJwtDoor({ ...options, store, access, terms })
    const providers = await openProviderBudgets({
      budgets: providerBudgets(object(config.router.provider_budget_config)),
      books,
      clock,
      now: Date.now,
      log,
    })
    const stopClearing = startClearing({ books, log, ...clearingOf(config) })
    return {
      books: {
        ...books,
        record: (entry) => books.record(providers.charged(entry)),
        close: () => {
          providers.close()
          stopClearing()
          return books.close()
        },
      },
      find: (key, incoming) =>
        jwt?.isJwt(key) === true ? jwt.find(key, incoming) : grants.find(key),
      access,
      spentWith: providers.spent,
      admit: createAdmit({
        books,
        limits,
        parties,
        now: Date.now,
        settings: admitSettings(config, log),
      }),
    }
  } catch (cause) {
    await (opened ?? db).close().catch(() => {})
    throw cause
  }
}

/** How long rows, prompts and answers stay, and how often that is looked at. */
function clearingOf({
  general,
}: Config): Pick<ClearingOptions, 'terms' | 'everyMs' | 'stepRows' | 'steps'> {
  const ms = (said: string | undefined): number | undefined =>
    said === undefined ? undefined : durationMs(said)
  const bytes = (mega: number | undefined): number | undefined =>
    mega === undefined ? undefined : mega * 1024 * 1024
  return {
    terms: {
      rowsMs: ms(general.maximum_spend_logs_retention_period),
      rowsBytes: bytes(general.maximum_spend_logs_size_mb),
      payloadsMs: ms(general.prompt_retention_period),
      payloadsBytes: bytes(general.prompt_size_mb),
    },
    everyMs: ms(general.maximum_spend_logs_retention_interval) ?? 86_400_000,
    stepRows: general.maximum_spend_logs_cleanup_batch_size ?? 1000,
    steps: general.maximum_spend_logs_cleanup_max_batches ?? 500,
  }
}

const nano = (dollars: number): number => Math.round(dollars * 1e9)

function admitSettings({ settings, general }: Config, log: Rooms['log']): AdmitSettings {
  const told = new Set<string>()
  const overshoot = text(general.budget_overshoot as Json)
  return {
    overshoot:
      overshoot === 'allow' || overshoot === 'deny'
        ? overshoot
        : general.fail_closed_budget_enforcement === true
          ? 'deny'
          : 'bounded',
    budgetStatus: settings.budget_exceeded_status_code ?? 422,
    proxy:
      settings.max_budget === undefined
        ? undefined
        : {
            account: accountOf.proxy(),
            max: nano(settings.max_budget),
            duration: settings.budget_duration,
          },
    customerMax:
      settings.max_end_user_budget === undefined ? undefined : nano(settings.max_end_user_budget),
    reserve: general.disable_budget_reservation !== true,
    tokens: general.token_rate_limit_type ?? 'total',
    parallel: general.global_max_parallel_requests,
    outputOtherwise: 4096,
    onSoft: (holder, spend) => {
      const name = `${holder.scope} ${holder.id}`
      if (told.has(name)) return
      if (told.size > 10_000) told.clear()
      told.add(name)
      log('warn', `${name} has passed its soft budget`, { spend: spend / 1e9 })
    },
  }
}

function providerBudgets(config: ReturnType<typeof object>): ReadonlyMap<string, Budget> {
  return new Map(
    Object.entries(config).flatMap(([provider, value]) => {
      const terms = object(value)
      const max = number(terms['budget_limit'] ?? terms['max_budget'])
      const duration = text(terms['time_period']) ?? text(terms['budget_duration'])
      return max === undefined
        ? []
        : [[provider, { account: accountOf.provider(provider), max: nano(max), duration }] as const]
    }),
  )
}
