import type { Notice } from '../config/notice.ts'
import { type Config, type Credential, type ModelRow, readConfig } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { Live, Reloaded } from '../gateway/live.ts'
import { type OpenDeps, openRouting, type Routing } from '../gateway/open.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { Store } from '../store/store.ts'
import {
  credentialOf,
  type Entry,
  type Env,
  openEntry,
  rowsOf,
  withVariables,
} from './live-rows.ts'
import { openSection, sectionNames } from './live-settings.ts'
import { isEndpoint, openEndpoint } from './pass-endpoint-rows.ts'
import { badRequest } from './route.ts'

export type LiveOptions = {
  rooms: Rooms
  /** What the rooms were opened with. */
  deps: OpenDeps
  /** The file's, as the rooms were opened with it. */
  config: Config
  store: Store
  /** Reads the files again; absent where there are none. */
  read?: () => Promise<FileRead>
  /** What `config` was told apart by. */
  first?: Pick<FileRead, 'hash' | 'environment'>
  /** Told of what is served from now on, and by which names of variables. */
  onServed?: ((config: Config, env: Env) => Promise<void>) | undefined
}
export type FileRead = {
  config: Config
  errors: Notice[]
  warnings: Notice[]
  /** Told apart by it: do the files say something else? */
  hash: string
  /** The same of the environment, from which credentials may come that no file names. */
  environment: string
}

/** Documents whose change changes what is served. */
const bearing = new Set(['model', 'credential', 'setting'])

/**
 * Keeps the rooms at what the files and the database say together. Everything is made beside what is served and put in its
 * place at once, so that a request meets the old or the new, and what is wrong is never served.
 */
export function createLive({
  rooms,
  deps,
  config,
  store,
  read,
  first,
  onServed,
}: LiveOptions): Live {
  let file = config
  let served = config
  /** Variables set over the API. */
  let variables = new Map<string, string>()
  let seen = first
  let catalogue = deps.catalogue.current
  /** Credentials may come from variables: with others, every deployment is made anew. */
  let anew = false
  const env: Env = (name) => variables.get(name) ?? deps.env(name)
  const liveDeps: OpenDeps = { ...deps, env }

  async function rebuild(): Promise<void> {
    const { docs, sealer } = store
    const [models, credentials, settings] = await Promise.all([
      docs.model.list(),
      docs.credential.list(),
      docs.setting.list(),
    ])
    const sections = Object.fromEntries(
      settings.flatMap((doc) => {
        if (isEndpoint(doc)) return []
        const data = opened(doc, () => openSection(doc, sealer))
        return data ? [[doc.id, data]] : []
      }),
    )
    const before = variables
    variables = variablesOf(object(sections['environment_variables']))
    const known = new Map([
      ...file.credentials,
      ...credentials.flatMap((doc): [string, Credential][] => {
        const one = opened(doc, () => credentialOf(doc, sealer, env))
        return one ? [[doc.id, one]] : []
      }),
    ])
    const rows = models.flatMap((doc): ModelRow[] => {
      const entry = opened(doc, () => openEntry(doc, sealer))
      if (!entry) return []
      const { rows: made, errors } = rowsOf(entry, known, env)
      if (errors.length > 0)
        rooms.log('warn', 'a model of the database is left out', {
          id: doc.id,
          errors: errors.join('; '),
        })
      return made
    })
    const endpoints = settings.filter(isEndpoint).flatMap((doc) => {
      const row = opened(doc, () => openEndpoint(doc, sealer))
      return row ? [row] : []
    })
    const { credentials: _, ...base } = withSections(file, sections, env)
    const ofFile = base.general.pass_through_endpoints
    const next: Config = {
      ...base,
      ...(endpoints.length > 0 && {
        general: { ...base.general, pass_through_endpoints: [...list(ofFile), ...endpoints] },
      }),
      credentials: known,
      models: [...relinked(file, credentials.length > 0 ? known : undefined), ...rows],
    }
    const kept = !anew && same(before, variables)
    const was = kept ? { config: served, router: rooms.router, catalogue } : undefined
    catalogue = deps.catalogue.current
    const routing: Routing = openRouting(next, liveDeps, was)
    Object.assign(rooms, routing)
    served = next
    anew = false
    await onServed?.(next, env)
  }

  /** What cannot be opened is left out, and said: the rest is served. */
  function opened<T>(doc: { kind: string; id: string }, open: () => T): T | undefined {
    try {
      return open()
    } catch (cause) {
      const why = GatewayError.is(cause) ? cause.message : 'it cannot be read'
      rooms.log('error', `${doc.kind} ${doc.id} of the database is left out: ${why}`, {
        ...(!GatewayError.is(cause) && { cause }),
      })
      return undefined
    }
  }

  let dirty = false
  let running: Promise<void> | undefined
  /** One at a time; what changes meanwhile is part of the same promise. */
  const refresh = (): Promise<void> => {
    running ??= (async () => {
      try {
        do {
          dirty = false
          await rebuild()
        } while (dirty)
      } finally {
        running = undefined
      }
    })()
    return running
  }
  const changed = (): void => {
    dirty = true
    refresh().catch((cause: unknown) =>
      rooms.log('error', 'the models of the database cannot be read: what was served goes on', {
        cause,
      }),
    )
  }
  store.onChange((kind, id) => {
    if (bearing.has(kind) || id === '') changed()
  })

  return {
    get config() {
      return served
    },
    get file() {
      return file
    },
    variable: env,
    refresh,
    async reload(): Promise<Reloaded> {
      if (!read)
        throw badRequest('this gateway was started without a config file: there is nothing to read')
      const next = await read()
      const { errors, warnings } = next
      if (errors.length > 0) return { changed: false, errors, warnings }
      const sameEnvironment = next.environment === seen?.environment
      if (next.hash === seen?.hash && sameEnvironment) return { changed: false, errors, warnings }
      const before = file
      file = next.config
      if (!sameEnvironment) anew = true
      try {
        dirty = true
        await refresh()
      } catch (cause) {
        file = before
        throw cause
      }
      seen = next
      return { changed: true, errors, warnings }
    },
    async try(entry) {
      const known = new Map([
        ...file.credentials,
        ...(await store.docs.credential.list()).flatMap((doc): [string, Credential][] => {
          const one = opened(doc, () => credentialOf(doc, store.sealer, env))
          return one ? [[doc.id, one]] : []
        }),
      ])
      return tried(asEntry(entry), known, served, liveDeps)
    },
    check(sections) {
      const names = served.models.map(({ modelName, params }) => ({
        model_name: modelName,
        litellm_params: { model: params.model },
      }))
      const said = resolvedSections(sections, env)
      const { errors, warnings } = readConfig({ ...said, model_list: names })
      const ours = ({ path }: Notice) => sectionNames.some((name) => path.startsWith(name))
      return { errors: errors.filter(ours), warnings: warnings.filter(ours) }
    },
  }
}

/** Rows of the file may name a credential of the database. */
const relinked = (
  { models, credentials: own }: Config,
  known: ReadonlyMap<string, Credential> | undefined,
): readonly ModelRow[] =>
  known === undefined
    ? models
    : models.map((row) => {
        const name = row.params.litellm_credential_name
        const credential = name === undefined || own.has(name) ? undefined : known.get(name)
        if (!credential) return row
        const params = { ...credential.values, ...row.params }
        return { ...row, params, unset: { ...credential.unset, ...row.unset } }
      })

const asEntry = (entry: JsonObject): Entry => ({
  model_name: text(entry['model_name']) ?? '',
  litellm_params: object(entry['litellm_params']),
  model_info: object(entry['model_info']),
})

function tried(
  entry: Entry,
  credentials: ReadonlyMap<string, Credential>,
  config: Config,
  deps: OpenDeps,
) {
  const named = text(entry.litellm_params['litellm_credential_name'])
  if (named !== undefined && !credentials.has(named))
    throw badRequest(
      `litellm_credential_name: there is no credential '${named.slice(0, 100)}': /credentials lists what there is`,
      'litellm_params.litellm_credential_name',
    )
  const { rows, errors } = rowsOf(entry, credentials, deps.env)
  if (errors.length > 0) throw badRequest(errors.slice(0, 5).join('; '), 'litellm_params')
  const { router } = openRouting(
    { ...config, models: rows, general: { ...config.general, infer_model_from_keys: false } },
    deps,
  )
  const deployments = router.groups.all()
  for (const { problem } of deployments) {
    // A credential may still come, and a blocked one is meant; an address or a provider that is none stays so.
    if (!problem || problem.kind === 'authentication' || problem.kind === 'permission') continue
    throw badRequest(`litellm_params: ${problem.message}`, 'litellm_params')
  }
  return deployments
}

/** Sections of the database over those of the file, key by key. What is null there says nothing. */
function withSections(
  file: Config,
  sections: Readonly<Record<string, JsonObject>>,
  env: Env,
): Config {
  const said = resolvedSections(sections, env)
  const { config } = readConfig(said)
  const over = (name: string): JsonObject => ({ ...object(file.raw[name]), ...object(said[name]) })
  return {
    ...file,
    settings: { ...file.settings, ...config.settings },
    general: { ...file.general, ...config.general },
    router: { ...file.router, ...config.router },
    raw: {
      ...file.raw,
      litellm_settings: over('litellm_settings'),
      general_settings: over('general_settings'),
      router_settings: over('router_settings'),
    },
  }
}

function resolvedSections(sections: Readonly<Record<string, Json>>, env: Env): JsonObject {
  const said: JsonObject = {}
  for (const name of sectionNames) {
    const section = withVariables(object(sections[name]), env).value
    const entries = Object.entries(section).filter(([, value]) => value !== null)
    if (entries.length > 0) said[name] = Object.fromEntries(entries)
  }
  return said
}

const variablesOf = (section: JsonObject): Map<string, string> =>
  new Map(
    Object.entries(section).flatMap(([name, value]) =>
      value === null || value === undefined || typeof value === 'object'
        ? []
        : [[name, String(value)] as const],
    ),
  )

const same = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  a.size === b.size && [...a].every(([name, value]) => b.get(name) === value)
