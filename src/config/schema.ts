import * as z from 'zod'
import { isObject, type Json, type JsonObject, text } from '../json/json.ts'
import { checkHooks, checkReferences, checkRouting } from './checks.ts'
import {
  credentialEntry,
  type generalSettings,
  limits,
  litellmParams,
  type litellmSettings,
  modelEntry,
  modelInfo,
  type Row,
  type Rows,
  type routerSettings,
  topLevel,
} from './keys.ts'
import * as k from './kinds.ts'
import { isPrice, numberParameters } from './names.ts'
import type { Notice, Path, Position } from './notice.ts'
import {
  createReport,
  notice,
  type Origin,
  type Report,
  readTable,
  reportIdle,
  type Settings,
  show,
} from './table.ts'

/** The whole file, read. Nothing is filled in but `limits`: an absent key is absent, so that precedence can be told. */
export type Config = {
  /** One for each deployment, in the order of the file. */
  models: readonly ModelRow[]
  /** litellm_settings */
  settings: LitellmSettings
  /** general_settings */
  general: GeneralSettings
  /** router_settings */
  router: RouterSettings
  credentials: ReadonlyMap<string, Credential>
  /** general_settings.limits with its defaults. */
  limits: Limits
  /** Everything that was said, known or not, with `os.environ/` resolved. */
  raw: JsonObject
}

export type LitellmSettings = Settings<typeof litellmSettings>
export type GeneralSettings = Settings<typeof generalSettings>
export type RouterSettings = Settings<typeof routerSettings>
export type Limits = Required<Settings<typeof limits>>
export type ModelInfo = Settings<typeof modelInfo>
export type Credential = {
  values: JsonObject
  info: JsonObject
  /** See `ModelRow.unset`. */
  unset: Readonly<Record<string, string>>
}

type Params = Settings<typeof litellmParams>
/** Keys of litellm_params that are for the gateway. Second spellings are folded into the first. */
export type ModelParams = Omit<Params, 'model' | 'organization' | SecondSpelling> & {
  model: string
  organization?: string
}

export type ModelRow = {
  modelName: string
  params: ModelParams
  /** Parameters of every call, unless the request says otherwise. */
  defaults: JsonObject
  /** Price fields of litellm_params and model_info; the former win. */
  prices: JsonObject
  /** model_info with all that was said in it, so that discovery can repeat it. */
  info: ModelInfo & { readonly [key: string]: unknown }
  /** Parameters that were to come from environment variables which are not set. Do not fall back to other credentials for them. */
  unset: Readonly<Record<string, string>>
  position?: Position
}

export type ConfigRead = { config: Config; errors: Notice[]; warnings: Notice[] }

/** Reads a configuration whose `os.environ/` values are resolved. Never throws; what is wrong is left out and reported. */
export function readConfig(raw: JsonObject, origin: Origin = {}): ConfigRead {
  const report = createReport(origin)
  const { model_list: modelList, credential_list: credentialList, ...others } = raw
  const { known } = readTable({ rows: topLevel, value: others, path: [], report })
  // Each was read by the row of its name, whose kinds the types are made of.
  const settings = (known.litellm_settings ?? {}) as LitellmSettings
  const general = (known.general_settings ?? {}) as GeneralSettings
  const router = (known.router_settings ?? {}) as RouterSettings
  const credentials = readCredentials(credentialList, report)
  const lenient = router.ignore_invalid_deployments ?? false
  const models = readModels(modelList, credentials, report, lenient)
  reportIdle(report)
  const config: Config = {
    models,
    settings,
    general,
    router,
    credentials,
    limits: { ...defaultLimits, ...general.limits },
    raw,
  }
  for (const check of [checkHooks, checkRouting, checkReferences]) check(config, report)
  return { config, errors: report.errors, warnings: report.warnings }
}

/** Reads one entry of model_list, as it comes from a file or over the API: one row, or one for each organisation. */
export function readModel(
  entry: Json | undefined,
  credentials: Config['credentials'],
  report: Report,
  path: Path = [],
): ModelRow[] {
  const fail = (at: Path, message: string) => report.errors.push(notice(report, at, message))
  if (!isObject(entry)) {
    fail(
      path,
      `expected a map with model_name and litellm_params, found ${show(entry, path, report)}`,
    )
    return []
  }
  const before = report.errors.length
  const { litellm_params: given, model_info: about, ...head } = entry
  const { known } = readTable({
    rows: modelEntry,
    // The two parts are read below; here they only have to be there.
    value: { ...head, ...(isObject(given) ? { litellm_params: {} } : { litellm_params: given }) },
    path,
    report,
    required: ['model_name', 'litellm_params'],
  })
  const paramsPath = [...path, 'litellm_params']
  const infoPath = [...path, 'model_info']
  if (about !== undefined && about !== null && !isObject(about))
    fail(infoPath, `expected a map, found ${show(about, infoPath, report)}`)
  if (!isObject(given)) return []

  const unset = { ...report.origin.unset?.(paramsPath) }
  const value = withCredential(given, unset, credentials)
  const params = readTable({
    rows: litellmParams,
    value,
    path: paramsPath,
    report,
    open: true,
    required: ['model'],
  })
  const info = readTable({
    rows: modelInfo,
    value: isObject(about) ? about : {},
    path: infoPath,
    report,
    open: true,
  })
  const said = {
    ...(isObject(params.known.model_info) ? params.known.model_info : {}),
    ...info.rest,
    ...info.known,
  }
  const prices = {
    ...readPrices(said, [...infoPath], report),
    ...readPrices(params.rest, paramsPath, report),
  }
  if (report.errors.length > before) return []

  const { organization, ...folded } = foldSpellings(params.known)
  const base: Omit<ModelRow, 'params'> = {
    modelName: text(known.model_name) ?? '',
    defaults: readDefaults(params.rest, paramsPath, report),
    prices,
    info: {
      ...(params.known.base_model === undefined ? {} : { base_model: params.known.base_model }),
      ...said,
    } as ModelRow['info'],
    unset,
  }
  const position = report.origin.locate?.(path, 'value')
  if (position !== undefined) base.position = position
  // `model` was required above, and the rest was read by the rows the type is made of.
  const own = folded as Omit<ModelParams, 'organization'>
  const organizations = Array.isArray(organization) ? organization.map(String) : []
  if (organizations.length === 0) return [{ ...base, params: own }]
  return organizations.map((each, index) => ({
    ...base,
    // Deployments rest and are counted by id, so two may not share one.
    info:
      index > 0 && base.info.id !== undefined
        ? { ...base.info, id: `${base.info.id}-${index + 1}` }
        : base.info,
    params: { ...own, organization: each },
  }))
}

function readModels(
  value: Json | undefined,
  credentials: Config['credentials'],
  report: Report,
  lenient: boolean,
): ModelRow[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    report.errors.push(
      notice(
        report,
        ['model_list'],
        `expected a list of deployments, found ${show(value, ['model_list'], report)}`,
      ),
    )
    return []
  }
  const rows: ModelRow[] = []
  value.forEach((entry, index) => {
    const own: Report = { ...report, errors: [] }
    rows.push(...readModel(entry, credentials, own, ['model_list', index]))
    if (!lenient) report.errors.push(...own.errors)
    else
      for (const error of own.errors)
        report.warnings.push({ ...error, message: `${error.message}; the deployment is left out` })
  })
  return rows
}

function readCredentials(value: Json | undefined, report: Report): Map<string, Credential> {
  const out = new Map<string, Credential>()
  if (value === undefined || value === null) return out
  if (!Array.isArray(value)) {
    report.errors.push(
      notice(
        report,
        ['credential_list'],
        `expected a list, found ${show(value, ['credential_list'], report)}`,
      ),
    )
    return out
  }
  value.forEach((entry, index) => {
    const path = ['credential_list', index]
    if (!isObject(entry)) {
      report.errors.push(notice(report, path, `expected a map, found ${show(entry, path, report)}`))
      return
    }
    const { known } = readTable({
      rows: credentialEntry,
      value: entry,
      path,
      report,
      required: ['credential_name'],
    })
    const name = text(known.credential_name)
    if (name === undefined) return
    if (out.has(name))
      report.warnings.push(
        notice(
          report,
          path,
          `there is a credential ${JSON.stringify(name)} before: the later one counts`,
        ),
      )
    out.set(name, {
      values: isObject(known.credential_values) ? known.credential_values : {},
      info: isObject(known.credential_info) ? known.credential_info : {},
      unset: { ...report.origin.unset?.([...path, 'credential_values']) },
    })
  })
  return out
}

/** What the row says itself counts more than what its credential says. */
function withCredential(
  given: JsonObject,
  unset: Record<string, string>,
  credentials: Config['credentials'],
): JsonObject {
  const name = text(given.litellm_credential_name)
  const credential = name === undefined ? undefined : credentials.get(name)
  if (credential === undefined) return given
  for (const [key, variable] of Object.entries(credential.unset))
    if (given[key] === undefined) unset[key] ??= variable
  const out = { ...given }
  for (const [key, value] of Object.entries(credential.values)) {
    if (out[key] !== undefined && out[key] !== null) continue
    out[key] = value
    delete unset[key]
  }
  return out
}

function readPrices(
  value: Readonly<Record<string, unknown>>,
  path: Path,
  report: Report,
): JsonObject {
  const out: JsonObject = {}
  for (const [key, item] of Object.entries(value)) {
    if (!isPrice(key) || item === undefined || item === null) continue
    const read = k.price.safeParse(item)
    if (read.success)
      out[key] = read.data as Json // numbers, or maps and lists as they came
    else
      report.errors.push(
        notice(
          report,
          [...path, key],
          `expected dollars (0 or more), found ${show(item, [...path, key], report)}`,
        ),
      )
  }
  return out
}

function readDefaults(rest: JsonObject, path: Path, { origin }: Report): JsonObject {
  const out: JsonObject = {}
  for (const [key, value] of Object.entries(rest)) {
    if (isPrice(key) || value === null || value === undefined) continue
    const fromOutside = typeof value === 'string' && origin.variable?.([...path, key]) !== undefined
    out[key] = fromOutside ? fromEnvironment(key, value) : value
  }
  return out
}

/** The environment knows only text. */
function fromEnvironment(key: string, value: string): Json {
  if (/^(true|false)$/i.test(value)) return value.toLowerCase() === 'true'
  const read = numberParameters.has(key) ? k.numberValue.safeParse(value) : undefined
  return read?.success ? read.data : value
}

const secondSpellings = {
  base_url: 'api_base',
  request_timeout: 'timeout',
  vertex_ai_project: 'vertex_project',
  vertex_ai_location: 'vertex_location',
  vertex_ai_credentials: 'vertex_credentials',
} as const
type SecondSpelling = keyof typeof secondSpellings | 'headers' | 'model_info' | 'base_model'

function foldSpellings(known: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { headers, model_info: _info, base_model: _base, ...rest } = known
  const out: Record<string, unknown> = rest
  for (const [second, first] of Object.entries(secondSpellings)) {
    if (out[second] !== undefined) out[first] ??= out[second]
    delete out[second]
  }
  if (isObject(headers))
    out.extra_headers = { ...headers, ...(isObject(out.extra_headers) ? out.extra_headers : {}) }
  return out
}

const defaultLimits = Object.fromEntries(
  Object.entries(limits).map(([key, row]) => [key, row.default]),
) as Limits // every row of the table has a default, of its own kind

/** One schema of the whole file, for tools that want one: the tables as zod objects. The loader reads by the tables themselves. */
export const configSchema = (): z.ZodType => objectOf(topLevel)

function objectOf(rows: Rows, open = false): z.ZodType {
  const needed = required.get(rows) ?? []
  const shape: Record<string, z.ZodType> = {}
  for (const [key, row] of Object.entries(rows)) {
    if (key.endsWith('*')) continue
    const { about, default: usual } = row
    const inner = schemaOf(row)
    shape[key] = (needed.includes(key) ? inner : inner.nullish()).meta({
      description: row.unit === undefined ? about : `${about} (${row.unit})`,
      ...(usual === undefined ? {} : { default: usual }),
    })
  }
  const more = open || Object.keys(rows).some((key) => key.endsWith('*'))
  return more ? z.looseObject(shape) : z.strictObject(shape)
}

const required: ReadonlyMap<Rows, readonly string[]> = new Map<Rows, readonly string[]>([
  [modelEntry, ['model_name', 'litellm_params']],
  [litellmParams, ['model']],
  [credentialEntry, ['credential_name']],
])

function schemaOf(row: Row): z.ZodType {
  if (row.inside === undefined || (row.kind !== k.map && row.kind !== k.list)) return row.kind
  const inner = objectOf(row.inside.rows, row.open)
  if (row.inside.each === 'item') return z.array(inner)
  return row.inside.each === 'name' ? z.record(z.string(), inner) : inner
}
