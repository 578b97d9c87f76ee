import type * as z from 'zod'
import { isObject, type Json, type JsonObject } from '../json/json.ts'
import { type Row, type Rows, type Status, topLevel } from './keys.ts'
import * as k from './kinds.ts'
import { callParameters, commonPrices, isPrice } from './names.ts'
import { nearest } from './nearest.ts'
import { formatPath, type Notice, type Path, type Position } from './notice.ts'

/** What a table of rows gives when it has been read: every key may be absent. */
export type Settings<T extends Rows> = { -readonly [K in keyof T]?: z.output<T[K]['kind']> }

/** Where values came from, for messages. All of it may be missing: settings also arrive over the API. */
export type Origin = {
  file?: string
  locate?: (path: Path, part: 'key' | 'value') => Position | undefined
  /** The environment variable a value was taken from. */
  variable?: (path: Path) => string | undefined
  /** Of the map at `path`: the keys that are gone (or lack something) because a variable is not set, and its name. */
  unset?: (path: Path) => Readonly<Record<string, string>>
}

export type Report = {
  origin: Origin
  errors: Notice[]
  warnings: Notice[]
  /** Keys without effect, by section: told in one notice each. */
  idle: Map<string, { path: Path; keys: Set<string>; guards: Set<string> }>
}

export const createReport = (origin: Origin): Report => ({
  origin,
  errors: [],
  warnings: [],
  idle: new Map(),
})

export function notice(
  { origin }: Report,
  path: Path,
  message: string,
  part: 'key' | 'value' = 'value',
): Notice {
  const position = origin.locate?.(path, part)
  return { file: origin.file ?? '', ...position, path: formatPath(path), message }
}

type Table = {
  rows: Rows
  value: JsonObject
  path: Path
  report: Report
  /** See `Row.open`. */
  open?: boolean
  required?: readonly string[]
  /** False inside something that has no effect itself: keys without effect are not worth telling there, and shapes refuse no start. */
  tell?: boolean
  /** Only look for names nobody knows. */
  namesOnly?: boolean
}

/** Reads a map by its table: what fits is in `known`, what no row speaks of in `rest`; everything else is reported. */
export function readTable({
  rows,
  value,
  path,
  report,
  open = false,
  required = [],
  tell = true,
  namesOnly = false,
}: Table): {
  known: JsonObject & Record<string, unknown>
  rest: JsonObject
} {
  const known: Record<string, unknown> = {}
  const rest: JsonObject = {}
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined || key === '__proto__') continue
    const row = rowOf(rows, key)
    if (row === undefined) {
      rest[key] = item
    } else if (item !== null && !namesOnly) {
      const data = readRow(row, item, [...path, key], report, tell)
      if (data !== undefined) known[key] = data
    }
  }
  const meant = readMissing({ rows, value, path, report, required }, rest)
  for (const key of Object.keys(rest))
    if (!meant.has(key)) reportUnknown({ rows, path, report, open }, key)
  return { known: known as JsonObject & Record<string, unknown>, rest }
}

export function rowOf(rows: Rows, key: string): Row | undefined {
  if (Object.hasOwn(rows, key)) return rows[key]
  for (const pattern of patternsOf(rows))
    if (key.startsWith(pattern.slice(0, -1))) return rows[pattern]
  return undefined
}

const patterns = new WeakMap<Rows, string[]>()
function patternsOf(rows: Rows): string[] {
  let found = patterns.get(rows)
  if (found === undefined) {
    found = Object.keys(rows).filter((key) => key.endsWith('*'))
    patterns.set(rows, found)
  }
  return found
}

function readRow(row: Row, value: Json, path: Path, report: Report, tell: boolean): unknown {
  const read = row.kind.safeParse(value, parsing)
  // What has no effect cannot do harm by its shape, so it is no reason not to start.
  const effective = tell && row.status === 'acted'
  if (!read.success) {
    for (const issue of read.error.issues) reportIssue(issue, value, path, report, effective)
    return undefined
  }
  if (idle.has(row.status) && tell && !isDefault(row, read.data)) addIdle(row, path, report)
  return row.inside === undefined
    ? read.data
    : readInside(row, value, read.data, path, report, effective)
}

const idle: ReadonlySet<Status> = new Set(['known', 'unmet'])

/** Compiling a validator costs more than it saves: a configuration is read once. */
const parsing = { jitless: true }

function readInside(
  row: Row,
  value: Json,
  data: unknown,
  path: Path,
  report: Report,
  effective: boolean,
): unknown {
  const { rows, each } = row.inside ?? { rows: {} }
  const plain = row.kind === k.map || row.kind === k.list
  const one = (item: Json | undefined, at: Path): unknown => {
    if (!isObject(item)) {
      if (plain && item !== undefined)
        (effective ? report.errors : report.warnings).push(
          notice(report, at, `expected a map, found ${show(item, at, report)}`),
        )
      return undefined
    }
    const table = {
      rows,
      value: item,
      path: at,
      report,
      open: row.open ?? false,
      namesOnly: !plain,
    }
    const { known, rest } = readTable({ ...table, tell: effective })
    return row.open ? { ...rest, ...known } : known
  }
  if (each === undefined) {
    const inner = one(value, path)
    return plain ? inner : data
  }
  const inner =
    each === 'item' && Array.isArray(value)
      ? value.map((item, index) => one(item, [...path, index])).filter((item) => item !== undefined)
      : isObject(value)
        ? Object.fromEntries(
            Object.entries(value).map(([name, item]) => [name, one(item, [...path, name])]),
          )
        : undefined
  return plain ? inner : data
}

function isDefault({ default: usual }: Row, value: unknown): boolean {
  if (usual !== undefined) return value === usual
  if (Array.isArray(value)) return value.length === 0
  return value === false || (isObject(value) && Object.keys(value).length === 0)
}

function addIdle(row: Row, path: Path, report: Report): void {
  const section = path
    .slice(0, -1)
    .map((step) => (typeof step === 'number' ? '[]' : `.${step}`))
    .join('')
    .slice(1)
  let entry = report.idle.get(section)
  if (entry === undefined) {
    entry = { path, keys: new Set(), guards: new Set() }
    report.idle.set(section, entry)
  }
  const key = String(path.at(-1))
  if (row.status === 'unmet') entry.guards.add(key)
  else entry.keys.add(key)
}

/** One notice for each section, however many keys there are. */
export function reportIdle(report: Report): void {
  for (const [section, { path, keys, guards }] of report.idle) {
    const words = [
      ...(guards.size > 0 ? [`NOT ENFORCED by this build: ${[...guards].join(', ')}`] : []),
      ...(keys.size > 0 ? [`accepted, without effect in this build: ${[...keys].join(', ')}`] : []),
    ]
    report.warnings.push({ ...notice(report, path, words.join('; '), 'key'), path: section })
  }
}

/** Reports required keys that are not there. A key that was meant is answered, so that it is not reported twice. */
function readMissing(
  { rows, value, path, report, required = [] }: Table,
  rest: JsonObject,
): Set<string> {
  const meant = new Set<string>()
  for (const key of required) {
    if (value[key] !== undefined && value[key] !== null) continue
    const slip = nearest(key, Object.keys(rest))
    const variable = report.origin.unset?.(path)[key]
    if (slip !== undefined) {
      meant.add(slip)
      const found = notice(
        report,
        [...path, slip],
        `missing; found ${quote(slip)}: did you mean ${key}?`,
        'key',
      )
      report.errors.push({ ...found, path: formatPath([...path, key]) })
    } else if (variable !== undefined) {
      report.errors.push(
        notice(report, [...path, key], `missing: the environment variable ${variable} is not set`),
      )
    } else {
      const about = rowOf(rows, key)?.about
      const empty = value[key] === null ? 'has no value' : 'missing'
      report.errors.push(
        notice(
          report,
          [...path, key],
          about === undefined ? empty : `${empty} (${about.replace(/\.$/, '')})`,
        ),
      )
    }
  }
  return meant
}

function reportUnknown(
  { rows, path, report, open = false }: Omit<Table, 'value'>,
  key: string,
): void {
  const at = [...path, key]
  if (open) {
    if (callParameters.has(key) || isPrice(key)) return
    const close =
      nearest(key, Object.keys(rows), key.length < 5 ? 1 : 2) ?? nearest(key, commonPrices, 2)
    if (close !== undefined)
      report.warnings.push(
        notice(
          report,
          at,
          `no key of LiteLLM's, so it is taken for a parameter of the call; did you mean ${close}?`,
          'key',
        ),
      )
    return
  }
  if (path.length === 0 && /^[x.][-_.]/.test(key)) return // a place for anchors, by custom
  const close = nearest(
    key,
    Object.keys(rows).filter((name) => !name.endsWith('*')),
  )
  const home = close === undefined ? homeOf(key, path) : undefined
  const hint =
    close !== undefined
      ? `; did you mean ${close}?`
      : home !== undefined
        ? `; it belongs in ${home}`
        : ''
  report.warnings.push(notice(report, at, `unknown key, without effect${hint}`, 'key'))
}

/** The section a key would have been right in; within an entry of model_list, most likely another part of it. */
function homeOf(key: string, path: Path): string | undefined {
  const entry = topLevel.model_list.inside?.rows ?? {}
  const homes: [string, Rows][] = [
    ['the top level', topLevel],
    ...(['general_settings', 'litellm_settings', 'router_settings'] as const).map(
      (section): [string, Rows] => [section, topLevel[section].inside?.rows ?? {}],
    ),
    ['an entry of model_list', entry],
    ...['litellm_params', 'model_info'].map((part): [string, Rows] => [
      `${part} of an entry of model_list`,
      entry[part]?.inside?.rows ?? {},
    ]),
  ]
  if (path[0] === 'model_list') homes.reverse()
  return homes.find(([, rows]) => rowOf(rows, key) !== undefined)?.[0]
}

function reportIssue(
  issue: z.core.$ZodIssue,
  value: Json,
  path: Path,
  report: Report,
  effective: boolean,
): void {
  const to = effective ? report.errors : report.warnings
  let found: unknown = value
  const steps: (string | number)[] = []
  for (const step of issue.path) {
    if (typeof step === 'symbol') break
    steps.push(step)
    found = Array.isArray(found) || isObject(found) ? Reflect.get(found, step) : undefined
  }
  const at = [...path, ...steps]
  if (found === undefined) {
    to.push(notice(report, at, 'missing'))
    return
  }
  const quoted =
    issue.message === 'expected text' && typeof found !== 'object' ? ': put it in quotes' : ''
  to.push(notice(report, at, `${issue.message}, found ${show(found, at, report)}${quoted}`))
}

/** What was found, in words. Text that may be a secret, or came from the environment, is not repeated. */
export function show(value: unknown, path: Path, { origin }: Report): string {
  const variable = origin.variable?.(path)
  if (variable !== undefined) return `what the environment variable ${variable} holds`
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  const word = typeof value === 'string' ? 'text' : typeof value
  if (path.some((step) => secretNames.test(String(step))))
    return `a ${word}`.replace('a text', 'text')
  return `the ${word} ${typeof value === 'string' ? quote(value) : String(value)}`
}

const secretNames =
  /(^|_)(key|secret|password|salt|url|base)$|(^|(?<!_per)_)token$|header|credential|environment|auth/i

const quote = (value: string): string =>
  JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
