import { flushCompileCache } from 'node:module'
import { formatNotice } from '../config/notice.ts'
import { GatewayError } from '../errors.ts'
import { adminKeyPath, openDataDir } from '../start/data.node.ts'
import { boundOldGeneration, boundYoungGeneration, makeYoung } from '../start/heap.node.ts'
import { createLog, type Level } from '../start/log.node.ts'
import {
  accessOf,
  addressFor,
  graceMsOf,
  type Running,
  type StartOptions,
  startServer,
} from '../start/start.node.ts'
import type { Options } from './flags.ts'
import { type Greeting, greet } from './greeting.ts'
import { type Offer, offerOf } from './offer.ts'
import { noticeLines, type Prepared, prepare } from './settings.node.ts'
import { watchShellOfNpm } from './shell.node.ts'
import type { Terminal } from './terminal.node.ts'
import type { Primary } from './worker.node.ts'
import { type Said, variables } from './worker.ts'

/** Starts the gateway. Resolves with an exit code when it has not started; else the process ends by a signal. */
export async function serve(options: Options, terminal: Terminal): Promise<number | undefined> {
  // Files add to the environment; what a shell beside us has is what we came with.
  const shell = { ...process.env }
  const primary = await primaryOf(process.env)
  const prepared = await prepare(options, process.env)
  const { settings, config, workers } = prepared
  const json = settings.jsonLogs ?? config.settings.json_logs ?? false
  const log = createLog({ level: levelOf(options, prepared), json, worker: primary?.nth })
  const start = { ...startOptions(options, prepared, log), files: filesOf(options, prepared) }
  if (primary) {
    await serveOne(primary, start, { prepared, shell, terminal })
    return undefined
  }
  const tell = json ? log : tellOn(terminal)
  report(prepared, tell)
  if (prepared.errors.length > 0) return 1
  if (options.skip_server_startup === true) return await rehearse(start, prepared, terminal)
  const say = ({ greeting, fields, problems }: Said) => {
    for (const line of problems) tell('warn', line)
    if (json) log('info', 'listening', fields)
    else terminal.out(greeting)
  }
  if (workers > 1) {
    // They read the files themselves, and the last of what they say holds.
    for (const name of Object.keys(process.env)) delete process.env[name]
    Object.assign(process.env, shell)
    return (await import('./workers.node.ts')).serveByWorkers({
      count: workers,
      graceMs: graceMsOf(start),
      reloads: start.files !== undefined,
      log,
      complain: json
        ? (line) => log('error', line)
        : (line) => terminal.err(`throughway: ${line}\n`),
      greet: say,
    })
  }
  const running = await open(start)
  closeOnSignals(running, log)
  watchShellOfNpm(() => process.kill(process.pid, 'SIGTERM'))
  say(await saidOf(running, prepared, shell, terminal))
  return undefined
}

/** Whose worker this process is. */
const primaryOf = async (env: NodeJS.ProcessEnv): Promise<Primary | undefined> =>
  env[variables.nth] === undefined || process.send === undefined
    ? undefined
    : (await import('./worker.node.ts')).openPrimary(env)

async function open(start: StartOptions): Promise<Running> {
  const running = await startServer(start)
  makeYoung()
  boundYoungGeneration()
  boundOldGeneration()
  reloadOnSignal(running)
  process.on('unhandledRejection', (cause) =>
    start.log('error', 'a promise failed and nobody listened: please report this', { cause }),
  )
  // Written now, as a process that is killed cannot, but after the first requests.
  setTimeout(flushCompileCache, 2000).unref()
  return running
}

type Start = { prepared: Prepared; shell: NodeJS.ProcessEnv; terminal: Terminal }

/** One of several workers: it says nothing by itself but what is for the log. */
async function serveOne(
  primary: Primary,
  start: StartOptions,
  { prepared, shell, terminal }: Start,
): Promise<void> {
  try {
    if (prepared.errors.length > 0)
      throw new GatewayError('bad_request', noticeLines(prepared.errors, 'error').join('\n'))
    const running = await open({
      ...start,
      port: primary.port ?? start.port,
      answers: primary.answers,
    })
    const close = closeOnSignals(running, () => {})
    primary.onClose(close)
    primary.onReload(() => void running.reload?.())
    const said = primary.nth === 1 ? await saidOf(running, prepared, shell, terminal) : undefined
    primary.serving(running.port, said)
  } catch (cause) {
    primary.failed(cause)
  }
}

/** What a start says once the port is open. */
async function saidOf(
  running: Running,
  prepared: Prepared,
  shell: NodeJS.ProcessEnv,
  { paint }: Terminal,
): Promise<Said> {
  const greeting = await greetingOf(running, prepared, shell)
  return {
    greeting: greet(greeting, paint),
    fields: logged(greeting, running),
    problems: problemLines(running),
  }
}

/** The files, to be read again with the flags of this start over them. */
const filesOf = (options: Options, { paths }: Prepared): StartOptions['files'] =>
  paths.length === 0 ? undefined : { paths, read: () => prepare(options, process.env) }

/** A signal that would end the process where nobody listens: only where there are files to read. */
function reloadOnSignal({ reload }: Running): void {
  if (reload) process.on('SIGHUP', () => void reload())
}

export const startOptions = (
  options: Options,
  { config, settings, dataDir }: Prepared,
  log: StartOptions['log'],
): StartOptions => ({
  config,
  env: process.env,
  settings,
  dataDir,
  host: options.host,
  port: options.port,
  tls: {
    keyPath: options.ssl_keyfile_path,
    certPath: options.ssl_certfile_path,
    ciphers: options.ciphers,
  },
  log,
})

function levelOf({ debug, detailed_debug }: Options, { settings, config }: Prepared): Level {
  const { DEBUG, DETAILED_DEBUG } = process.env
  const asked =
    debug === true ||
    detailed_debug === true ||
    config.settings.set_verbose === true ||
    [DEBUG, DETAILED_DEBUG].some((said) => /^(true|1)$/i.test(said ?? ''))
  return asked ? 'debug' : levels[settings.logLevel ?? 'INFO']
}

const levels = {
  DEBUG: 'debug',
  INFO: 'info',
  WARNING: 'warn',
  ERROR: 'error',
  CRITICAL: 'error',
} as const

type Tell = (level: 'error' | 'warn', line: string) => void

const tellOn =
  ({ err, paintErr }: Terminal): Tell =>
  (level, line) =>
    err(`${level === 'error' ? paintErr.red(line) : paintErr.yellow(line)}\n`)

/** What is wrong with the settings, with its place. Where it cannot start, that is all there is to read. */
function report({ errors, warnings }: Prepared, tell: Tell): void {
  for (const line of noticeLines(errors, 'error')) tell('error', line)
  if (errors.length === 0)
    for (const line of noticeLines(warnings, 'warning', warningsMax)) tell('warn', line)
}
const warningsMax = 20

/** `--skip_server_startup`: whatever can fail before listening. */
async function rehearse(
  { host, settings, config, dataDir }: StartOptions,
  { source }: Prepared,
  { out }: Terminal,
) {
  addressFor({ host: host ?? settings.host, ...accessOf({ config, settings }) })
  await openDataDir(dataDir)
  out(
    `ready to start: ${source.type === 'file' ? source.path : 'the settings'} and the data folder ${dataDir} can be used\n`,
  )
  return 0
}

/** Ends like a server should: running answers may finish. Whoever asks twice does not want to wait. */
function closeOnSignals(running: Running, log: StartOptions['log']): () => void {
  let closing = false
  const close = () => {
    if (closing) return
    closing = true
    running.close().then(
      () => process.exit(0),
      (cause: unknown) => {
        log('error', 'the gateway did not close cleanly', { cause })
        process.exit(1)
      },
    )
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (closing) process.exit(1)
    log('info', `${signal}: no new requests; running ones may finish, a second signal ends them`)
    close()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return close
}

async function greetingOf(
  { url, host, rooms, admin, addressNote }: Running,
  { source, config, settings, dataDir, workers }: Prepared,
  shell: NodeJS.ProcessEnv,
): Promise<Greeting> {
  const { masterKey } = accessOf({ config, settings })
  const hint = 'hint' in source ? source.hint : undefined
  const offer: Offer = offerOf(
    rooms.router.groups.all(),
    await rooms.catalogue(),
    new Date().toISOString().slice(0, 10),
  )
  return {
    url,
    wide: host === '0.0.0.0' || host === '::',
    source,
    offer,
    key:
      masterKey === undefined
        ? { needed: false }
        : { needed: true, variable: Object.keys(shell).find((name) => shell[name] === masterKey) },
    admin: admin && { ...admin, path: adminKeyPath(dataDir) },
    workers,
    notes: [addressNote, hint].filter((note) => note !== undefined),
  }
}

/** Rows that cannot be called are known before anybody calls them. Unset variables have been named already. */
function problemLines({ rooms }: Running): string[] {
  const groups = new Map<string, string[]>()
  for (const { problem, group, row } of rooms.router.groups.all()) {
    if (problem === undefined || row.unset['api_key'] !== undefined) continue
    groups.set(problem.message, [...(groups.get(problem.message) ?? []), group])
  }
  return [...groups].map(([message, models]) => {
    const more = models.length > 3 ? ` and ${models.length - 3} more` : ''
    return formatNotice(
      { file: '', path: `${models.slice(0, 3).join(', ')}${more}`, message },
      'warning',
    )
  })
}

/** For machines. The admin key is in its file only: logs are kept, and read by many. */
const logged = (
  { url, source, offer, admin, workers, notes }: Greeting,
  { host, port }: Running,
) => ({
  url,
  host,
  port,
  source: source.type,
  models: JSON.stringify(Object.fromEntries(offer.counts)),
  ...(workers > 1 && { workers }),
  ...(admin && { adminKeyFile: admin.path }),
  ...(notes.length > 0 && { notes: notes.join('; ') }),
})
