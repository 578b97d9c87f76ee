import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { readDotEnv } from '../config/env.node.ts'
import { type EnvSettings, readEnvironment } from '../config/environment.ts'
import { formatNotice, type Notice } from '../config/notice.ts'
import { type Config, readConfig } from '../config/schema.ts'
import { keysInEnvironment } from '../provider/resolve.ts'
import { defaultDataDir } from '../start/data.node.ts'
import { type Flag, flags, isFlag, type Options, spelt } from './flags.ts'
import { mockEntries, modelEntries, modelFlags, providerEntries, type Source } from './rows.ts'
import { workersMax } from './worker.ts'

/** Everything that is known before anything is opened. */
export type Prepared = {
  config: Config
  settings: EnvSettings
  dataDir: string
  source: Source
  /** The files it was read from, the main one first; none where there is no config file. */
  paths: readonly string[]
  /** Processes that are to serve. */
  workers: number
  /** With errors, do not start. */
  errors: Notice[]
  warnings: Notice[]
}

/**
 * Reads `.env`, the config and the environment, in this order, and puts over them what the flags say. `env` is the
 * process's own: what the files add to it is for the providers and for programs started later, too.
 */
export async function prepare(options: Options, env: NodeJS.ProcessEnv): Promise<Prepared> {
  Object.assign(env, await readDotEnv({ env }), options.add_key)
  if (options.api_version !== undefined) env['AZURE_API_VERSION'] = options.api_version
  const path = options.config ?? (env['CONFIG_FILE_PATH'] || undefined)
  const { config, source, paths, errors, warnings } =
    path === undefined ? withoutFile(options, env) : await withFile(path, options, env)
  const settings = readEnvironment(env)
  const workers = options.num_workers ?? settings.workers ?? 1
  return {
    config: {
      ...config,
      settings: {
        ...config.settings,
        ...(options.request_timeout !== undefined && { request_timeout: options.request_timeout }),
        ...(options.drop_params === true && { drop_params: true }),
      },
    },
    settings: {
      ...settings,
      ...(options.keepalive_timeout !== undefined && {
        keepAliveSeconds: options.keepalive_timeout,
      }),
    },
    dataDir: resolve(options.data_dir ?? settings.dataDirectory ?? defaultDataDir(env)),
    source,
    paths,
    workers,
    errors: [...settings.errors, ...workerErrors(workers), ...errors],
    warnings: [...flagNotices(options), ...warnings],
  }
}

type Read = Pick<Prepared, 'config' | 'source' | 'paths' | 'errors' | 'warnings'>

async function withFile(path: string, options: Options, env: NodeJS.ProcessEnv): Promise<Read> {
  // YAML is loaded only where there is a file.
  const { loadConfig } = await import('../config/load.node.ts')
  const loaded = await loadConfig({ path, env })
  Object.assign(env, loaded.environment)
  const { config, errors, warnings } = loaded
  const more =
    options.model === undefined ? [] : readEntries(modelEntries(options.model, options)).models
  return {
    config: { ...config, models: [...config.models, ...more] },
    source: { type: 'file', path },
    paths: loaded.sources,
    errors,
    warnings: [...warnings, ...oncePerVariable(loaded.unsetVariables)],
  }
}

function withoutFile(options: Options, env: NodeJS.ProcessEnv): Read {
  const told = { paths: [], errors: [], warnings: [] }
  const { model } = options
  if (model !== undefined)
    return {
      ...told,
      config: readEntries(modelEntries(model, options)),
      source: { type: 'model', model },
    }
  const hint = existsSync('config.yaml')
    ? './config.yaml exists: start with --config config.yaml to use it'
    : undefined
  const found = keysInEnvironment((name) => env[name])
  if (found.length === 0)
    return {
      ...told,
      config: readEntries(mockEntries),
      source: { type: 'mock', hint },
    }
  const providers = found.map(({ provider }) => provider)
  return {
    ...told,
    config: readEntries(providerEntries(providers)),
    source: { type: 'environment', found, hint },
  }
}

const readEntries = (entries: ReturnType<typeof modelEntries>): Config =>
  readConfig({ model_list: entries }).config

/** Twenty rows with one key: one line. */
function oncePerVariable(unset: readonly (Notice & { name: string })[]): Notice[] {
  const names = new Map<string, (Notice & { name: string })[]>()
  for (const notice of unset) names.set(notice.name, [...(names.get(notice.name) ?? []), notice])
  return [...names.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return []
    const { name: _name, ...notice } = first
    return others.length === 0
      ? notice
      : { ...notice, message: `${notice.message} (and so in ${others.length} more places)` }
  })
}

function flagNotices(options: Options): Notice[] {
  const said = Object.keys(options).filter(isFlag)
  const idle = said.flatMap((name) => {
    const flag: Flag = flags[name]
    return flag.idle === undefined ? [] : say(spelt(name), flag.idle)
  })
  const orphans =
    options.model === undefined ? modelFlags.filter((name) => options[name] !== undefined) : []
  return [...idle, ...orphans.map((name) => say(spelt(name), 'has no effect without --model'))]
}

const workerErrors = (workers: number): Notice[] =>
  workers > workersMax
    ? [
        say(
          `--num_workers ${workers}`,
          `is more than ${workersMax}: one for each processor will do`,
        ),
      ]
    : []

const say = (path: string, message: string): Notice => ({ file: '', path, message })

/** Notices as lines, the most of them at a start: `check` shows the rest. */
export function noticeLines(
  notices: readonly Notice[],
  level: 'error' | 'warning',
  max = Number.POSITIVE_INFINITY,
): string[] {
  const lines = notices.slice(0, max).map((notice) => formatNotice(notice, level))
  const more = notices.length - lines.length
  return more > 0 ? [...lines, `… and ${more} more: throughway check shows all`] : lines
}
