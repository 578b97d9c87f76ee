import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import type { EnvSettings } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { object } from '../json/json.ts'
import { type Books, createBooks } from '../ledger/books.ts'
import { startClearing } from '../ledger/clearing.ts'
import { findDead, journalFolder, openJournal } from '../ledger/journal.node.ts'
import { createAccess } from '../policy/access.ts'
import { type AdmitSettings, createAdmit } from '../policy/admit.ts'
import { createAlerts, placesOf } from '../policy/alerts.ts'
import { createGrants } from '../policy/grant.ts'
import type { FindCaller } from '../policy/identify.ts'
import { createLimits } from '../policy/limits.ts'
import { createParties } from '../policy/parties.ts'
import { openProviderBudgets } from '../policy/provider-budgets.ts'
import { holdsLitellm } from '../store/litellm.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openShelf } from '../store/shelf.ts'
import { createStore } from '../store/store.ts'
import { type Bounds, boundsOf } from './bounds.node.ts'
import { secretFile } from './data.node.ts'
import { openDb } from './database.node.ts'
import { openJwtDoor } from './jwt.node.ts'

export type BooksOptions = {
  config: Config
  settings: EnvSettings
  env: Readonly<Record<string, string | undefined>>
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
  /** The settings are others now, and so may be what the environment says. Never rejects. */
  follow(config: Config, env: (name: string) => string | undefined): Promise<void>
}

/** Opens the database, brings it up to date and closes the books of processes that ended without. */
export async function openBooks(options: BooksOptions): Promise<OpenBooks> {
  const { config, settings, env, dataDir, masterKey, log } = options
  const db = await openDb(options)
  let opened: Books | undefined
  try {
    // Before the first table: a start that is refused leaves nothing behind.
    const secret = settings.saltKey ?? masterKey ?? (await secretFile(dataDir, db.dialect))
    await migrate(db)
    const store = await createStore({
      db,
      node: randomBytes(9).toString('base64url').replace(/^-/, '_'),
      sealer: createSealer(secret),
    })
    if (await holdsLitellm(db).catch(() => false))
      log(
        'info',
        "LiteLLM's tables lie in this database too, and are left as they are: `throughway import litellm` brings keys, people, models and spend over",
      )
    const folder = journalFolder(dataDir)
    const clock = {
      timeZone: config.settings.timezone ?? 'UTC',
      ...(typeof config.settings.budget_reset_time === 'string' && {
        timeOfDay: config.settings.budget_reset_time,
      }),
    }
    const limits = createLimits(store, Date.now, () => bounds.limitsClosed)
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
    let bounds = boundsOf(config)
    const terms = { ...bounds.grants }
    const parties = await createParties(store, bounds.customerBudget)
    const grants = createGrants(store, terms, Date.now)
    const access = createAccess(() => options.rooms().router.groups, parties)
    const jwt = await openJwtDoor({ ...options, store, access, terms })
    const openProviders = () =>
      openProviderBudgets({ budgets: bounds.providers, books, clock, now: Date.now, log })
    let providers = await openProviders()
    const startClearingAnew = () => startClearing({ books, log, ...bounds.clearing })
    let stopClearing = startClearingAnew()
    let variables = (name: string): string | undefined => env[name]
    let general = object(config.raw['general_settings'])
    const shelf = openShelf(db, Date.now)
    const alerts = createAlerts({
      places: () => placesOf(general, variables),
      post: postAlert,
      isFirst: (name) => shelf.add(`alert ${name}`, store.node),
      log,
      now: Date.now,
    })
    const admitting: AdmitSettings = { ...bounds.admit, onSoft: alerts.soft }
    let missed = ''
    const tellMissing = (): void => {
      const missing = placesOf(general, variables).missing.join(', ')
      if (missing !== '' && missing !== missed)
        log('warn', `general_settings.alerting has no address for ${missing}: set it`)
      missed = missing
    }
    tellMissing()
    let following = Promise.resolve()
    /** What bounds requests changes with the settings, one change after the other. */
    async function follow(next: Config): Promise<void> {
      const before = bounds
      bounds = boundsOf(next)
      const differs = (part: keyof Bounds): boolean =>
        !isDeepStrictEqual(before[part], bounds[part])
      if (differs('admit')) Object.assign(admitting, bounds.admit)
      if (differs('grants')) {
        Object.assign(terms, bounds.grants)
        grants.forget()
      }
      if (differs('customerBudget')) await parties.setDefaultBudget(bounds.customerBudget)
      if (differs('clearing')) {
        stopClearing()
        stopClearing = startClearingAnew()
      }
      if (!differs('providers')) return
      const former = providers
      providers = await openProviders()
      former.close()
    }
    return {
      books: {
        ...books,
        record: (entry) => books.record(providers.charged(entry)),
        close: () => {
          providers.close()
          alerts.close()
          stopClearing()
          return books.close()
        },
      },
      find: (key, incoming) =>
        jwt?.isJwt(key) === true ? jwt.find(key, incoming) : grants.find(key),
      access,
      spentWith: (provider) => providers.spent(provider),
      admit: createAdmit({ books, limits, parties, now: Date.now, settings: admitting }),
      follow(next, named) {
        variables = named
        general = object(next.raw['general_settings'])
        tellMissing()
        following = following
          .then(() => follow(next))
          .catch((cause: unknown) =>
            log('error', 'a changed setting of budgets or limits acts only after a restart', {
              cause,
            }),
          )
        return following
      },
    }
  } catch (cause) {
    await (opened ?? db).close().catch(() => {})
    throw cause
  }
}

/** By the runtime's own fetch: alerts are seldom, and not a provider's. */
async function postAlert(url: string, body: string): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(10_000),
  })
  await response.body?.cancel()
  return response.status
}
