import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ImportReport, importLitellm as importAll } from '../admin/import.ts'
import { type Json, text } from '../json/json.ts'
import { openDataDir, secretFile } from '../start/data.node.ts'
import { openDb } from '../start/database.node.ts'
import { accessOf } from '../start/start.node.ts'
import type { Db } from '../store/db.ts'
import { openLitellm } from '../store/litellm.node.ts'
import { createOpenSealed } from '../store/litellm-seal.node.ts'
import { migrate } from '../store/migrate.ts'
import { createSealer } from '../store/seal.node.ts'
import { openSqlite } from '../store/sqlite.node.ts'
import { createStore } from '../store/store.ts'
import type { DocKind } from '../store/tables.ts'
import type { Options } from './flags.ts'
import { noticeLines, type Prepared, prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

const tellMs = 1000
const daysOtherwise = 30

/** Brings LiteLLM's tables over, which are only read; as often as is asked for. */
export async function importLitellm(
  words: readonly string[],
  options: Options,
  terminal: Terminal,
): Promise<number> {
  if (words[0] !== 'litellm' || words.length > 1) {
    terminal.err('throughway: import takes one word, litellm: throughway import litellm\n')
    return 2
  }
  const prepared = await prepare(options, process.env)
  for (const line of noticeLines(prepared.errors, 'error')) terminal.err(`${line}\n`)
  if (prepared.errors.length > 0) return 1
  const { config, settings } = prepared
  const from =
    options.from ?? settings.databaseUrl ?? text(config.general.database_url as Json | undefined)
  if (from === undefined) {
    terminal.err('throughway: import litellm needs --from postgres://USER:PASSWORD@HOST/NAME\n')
    return 2
  }
  const source = await openLitellm(from)
  try {
    const target = await openTarget(options, prepared, terminal)
    try {
      await bring(source, target, options, prepared, terminal)
      return 0
    } finally {
      await target.close()
    }
  } finally {
    await source.close().catch(() => {})
  }
}

type Target = { db: Db; secret: string; close(): Promise<void> }

/** Where it is brought to: what a start with these settings would serve, or a folder that is gone afterwards. */
async function openTarget(
  { dry_run }: Options,
  prepared: Prepared,
  { err }: Terminal,
): Promise<Target> {
  const { settings, dataDir } = prepared
  const given = settings.saltKey ?? accessOf(prepared).masterKey
  if (dry_run === true) {
    const folder = await mkdtemp(join(tmpdir(), 'throughway-import-'))
    const db = openSqlite(join(folder, 'dry-run.db'))
    return {
      db,
      secret: given ?? randomBytes(32).toString('base64url'),
      async close() {
        await db.close()
        await rm(folder, { recursive: true, force: true })
      },
    }
  }
  await openDataDir(dataDir)
  const db = await openDb({ ...prepared, log: (_, message) => err(`${message}\n`) })
  try {
    return { db, secret: given ?? (await secretFile(dataDir, db.dialect)), close: () => db.close() }
  } catch (cause) {
    await db.close()
    throw cause
  }
}

async function bring(
  source: Awaited<ReturnType<typeof openLitellm>>,
  { db, secret }: Target,
  { days = daysOtherwise, dry_run }: Options,
  prepared: Prepared,
  { out }: Terminal,
): Promise<void> {
  const { config, settings } = prepared
  const { masterKey } = accessOf(prepared)
  await migrate(db)
  const store = await createStore({
    db,
    node: `import-${randomBytes(6).toString('hex')}`,
    sealer: createSealer(secret),
  })
  const requestsFrom = days === 0 ? undefined : Math.max(0, Date.now() - days * 86_400_000)
  let toldAt = 0
  const report = await importAll({
    source,
    store,
    open: createOpenSealed([settings.saltKey, masterKey].filter((secret) => secret !== undefined)),
    clock: {
      timeZone: config.settings.timezone ?? 'UTC',
      ...(typeof config.settings.budget_reset_time === 'string' && {
        timeOfDay: config.settings.budget_reset_time,
      }),
    },
    masterKeys: new Set([
      'litellm_proxy_master_key',
      ...(masterKey === undefined ? [] : [masterKey, store.sealer.digest(masterKey)]),
    ]),
    requestsFrom: dry_run === true ? undefined : requestsFrom,
    requestRows: config.general.disable_spend_logs !== true,
    onProgress(what, done, of) {
      if (done < of && Date.now() - toldAt < tellMs) return
      toldAt = Date.now()
      out(`${what}: ${done} of ${of}\n`)
    },
  })
  for (const line of summary(report)) out(`${line}\n`)
  if (dry_run !== true) {
    out('what was written was found again as it was written; LiteLLM’s tables are as they were\n')
    return
  }
  if (requestsFrom !== undefined) {
    const count = await source.countRequests({ from: requestsFrom, until: Date.now() + 86_400_000 })
    out(`requests of the last ${days} days: ${count}\n`)
  }
  out('nothing was written: this was a dry run, as into an empty database\n')
}

/** What became of what, a line each. */
function summary({ kinds, ended, requests, left, unread }: ImportReport): string[] {
  const dollars = (nano: number): string => `$${(nano / 1e9).toFixed(2)}`
  const lines = [...kinds].map(([kind, { written, same, kept, nameless, spend }]) =>
    [
      `${names[kind] ?? kind}: ${written} written`,
      ...(same > 0 ? [`${same} as before`] : []),
      ...(kept > 0 ? [`${kept} changed or ended here, and left so`] : []),
      ...(nameless > 0 ? [`${nameless} without their alias, which another one has`] : []),
      ...(spend !== 0 ? [`spend ${dollars(spend)}`] : []),
    ].join(', '),
  )
  if (ended > 0) lines.push(`gone there, and now here: ${ended} keys and memberships`)
  if (requests)
    lines.push(
      `requests since ${new Date(requests.from).toISOString().slice(0, 10)}: ${requests.written} written, ${requests.read - requests.written} here before, spend ${dollars(requests.spend)}`,
    )
  for (const [why, count] of left) lines.push(`left where they are: ${count} ${why}`)
  if (unread.length > 0)
    lines.push(
      `not brought over, for they have no place here: ${unread.join(', ')}${unread.includes('LiteLLM_Config') ? '. Settings (LiteLLM_Config) belong into config.yaml' : ''}`,
    )
  return lines
}

const names: Readonly<Partial<Record<DocKind, string>>> = {
  virtual_key: 'keys',
  former_key: 'former keys',
  gateway_user: 'users',
  team: 'teams',
  team_member: 'members of teams',
  organization: 'organisations',
  organization_member: 'members of organisations',
  customer: 'customers',
  budget: 'budgets',
  tag: 'tags',
  access_group: 'access groups',
  project: 'projects',
  model: 'models',
  credential: 'credentials',
}
