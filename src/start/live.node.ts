import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { createLive, type FileRead, type LiveOptions } from '../admin/live.ts'
import { formatNotice, type Notice } from '../config/notice.ts'
import type { Config } from '../config/schema.ts'
import type { Live, Reloaded } from '../gateway/live.ts'
import type { OpenDeps } from '../gateway/open.ts'
import type { Rooms } from '../gateway/rooms.ts'
import type { Store } from '../store/store.ts'

/** Where the configuration was read from, and how to read it again. */
export type ConfigFiles = {
  paths: readonly string[]
  read(): Promise<{
    config: Config
    errors: Notice[]
    warnings: Notice[]
    paths: readonly string[]
  }>
}

export type LiveNodeOptions = {
  rooms: Rooms
  deps: OpenDeps
  config: Config
  store: Store
  env: Readonly<Record<string, string | undefined>>
  /** Absent: the configuration is of no file. */
  files?: ConfigFiles | undefined
  log: Rooms['log']
  /** Told of what is served from now on. */
  onServed?: LiveOptions['onServed']
  /** How often the files are looked at, milliseconds. */
  watchMs?: number
}

export type OpenLive = {
  live: Live
  /** Reads the files again and tells the log; never rejects. Absent: there are none. */
  reload?: () => Promise<void>
  close(): void
}

/** Serves the models and settings of the database too, from now on, and whatever the files come to say. */
export async function openLive(options: LiveNodeOptions): Promise<OpenLive> {
  const { rooms, deps, config, store, files, env, log, onServed, watchMs = 1000 } = options
  let paths = files?.paths ?? []
  const read = async (): Promise<FileRead> => {
    if (!files) throw new Error('there are no files')
    const next = await files.read()
    // What a broken file includes cannot be told.
    if (next.errors.length === 0) paths = next.paths
    return { ...next, hash: hashOf(next.config), environment: environmentOf(env) }
  }
  const live = createLive({
    rooms,
    deps,
    config,
    store,
    onServed,
    ...(files && { read, first: { hash: hashOf(config), environment: environmentOf(env) } }),
  })
  rooms.live = live
  await live.refresh()
  if (!files) return { live, close: () => {} }

  const reload = async (): Promise<void> => {
    try {
      tell(await live.reload())
    } catch (cause) {
      log('error', 'the configuration could not be read again: what was served goes on', { cause })
    }
  }
  const tell = ({ changed, errors, warnings }: Reloaded): void => {
    if (errors.length > 0)
      log('error', 'the changed configuration has errors: what was served goes on', {
        errors: errors
          .slice(0, 10)
          .map((one) => formatNotice(one))
          .join('; '),
      })
    else if (changed)
      log('info', 'the changed configuration is served', {
        ...(warnings.length > 0 && { warnings: warnings.length }),
      })
  }
  const watch = watchFiles(() => paths, watchMs, reload)
  return { live, reload, close: watch.stop }
}

/**
 * By a look at each, not by the system's events: editors and clusters put new files, or links, in the place of old ones.
 * What is still being written is left until it is as it was at the last look: the half of a file may well be a valid one.
 */
function watchFiles(paths: () => readonly string[], everyMs: number, changed: () => Promise<void>) {
  let last: string | undefined
  // Nothing yet: the files may have changed since they were read.
  let taken: string | undefined
  let looking = false
  const look = async (): Promise<void> => {
    if (looking) return
    looking = true
    try {
      const now = (await Promise.all(paths().map(lookAt))).join('\n')
      const still = now === last
      last = now
      if (!still || now === taken) return
      taken = now
      await changed()
    } finally {
      looking = false
    }
  }
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

async function lookAt(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${path} ${mtimeMs} ${size} ${ino}`
  } catch {
    return `${path} is not there`
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const hashOf = ({ raw, models, settings }: Config): string =>
  digest(JSON.stringify([raw, models, settings]))
const environmentOf = (env: LiveNodeOptions['env']): string =>
  digest(JSON.stringify(Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))))
