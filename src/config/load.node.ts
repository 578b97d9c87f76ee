import { dirname, isAbsolute, join, resolve } from 'node:path'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import { reservedVariables as reserved } from './names.ts'
import { nearest } from './nearest.ts'
import { formatPath, type Notice, type Path, type Position } from './notice.ts'
import { fileBytesMax, readBounded, whyUnreadable } from './read.node.ts'
import { type Config, readConfig } from './schema.ts'
import { openSecrets as openManager } from './secrets/open.node.ts'
import { resolveSecrets } from './secrets/secrets.ts'
import { type Place, type Places, positionOf, readYaml } from './yaml.node.ts'

export type LoadOptions = {
  path: string
  env: Readonly<Record<string, string | undefined>>
  /** For tests, and for files that are not on this machine's disk. */
  readFile?: (path: string) => Promise<string>
  /** How a secret manager is reached; for tests. */
  openSecrets?: typeof openManager
}

export type LoadedConfig = {
  config: Config
  /** With errors, do not start: what they speak of is missing from `config`. */
  errors: Notice[]
  warnings: Notice[]
  unsetVariables: UnsetVariable[]
  /** environment_variables: to be put into the environment. They are part of what `os.environ/` saw. */
  environment: Record<string, string>
  /** The files it was read from, the main one first. */
  sources: string[]
}

/** `os.environ/NAME`, and there is no NAME. The key counts as not written. */
export type UnsetVariable = Notice & { name: string }

/** Reads config.yaml and what it includes. Never throws: what is wrong stands in `errors`, with its line. */
export async function loadConfig({
  path,
  env,
  readFile = readBounded,
  openSecrets = openManager,
}: LoadOptions): Promise<LoadedConfig> {
  const places: Places = new WeakMap()
  const merged = await readFiles(path, readFile, places)
  const { errors, warnings, sources } = merged

  const variables = object(merged.value.environment_variables)
  const kept = await readSecrets(merged.value, {
    env: { ...env, ...variablesOf(variables, env) },
    openSecrets,
  })
  if (kept.problem)
    errors.push({
      file: path,
      ...locate(merged.value, kept.problem.at, 'value', places),
      path: formatPath(kept.problem.at),
      message: kept.problem.message,
    })
  const known = { ...env, ...kept.secrets }
  const environment = variablesOf(variables, known)
  for (const name of Object.keys(variables).filter((one) => reserved.has(one))) {
    const at: Path = ['environment_variables', name]
    warnings.push({
      file: path,
      ...locate(merged.value, at, 'key', places),
      path: formatPath(at),
      message: 'not set from a file: it decides how programs are started; set it outside',
    })
  }

  const unsetVariables: UnsetVariable[] = []
  const unset = new Map<string, Record<string, string>>()
  const seen = { ...env, ...environment, ...kept.secrets }
  const elsewhere = kept.system === undefined ? '' : `, and ${kept.system} has no such secret`
  const value = resolveVariables(merged.value, seen, places, (at, name, place) => {
    for (const [index, step] of at.entries()) {
      const above = formatPath(at.slice(0, index))
      unset.set(above, Object.assign(unset.get(above) ?? {}, { [step]: name }))
    }
    const close = nearest(name, Object.keys(seen), name.length <= 8 ? 1 : 2)
    unsetVariables.push({
      name,
      file: path,
      ...(place === undefined ? {} : positionOf(place, 'value')),
      path: formatPath(at),
      message: `the environment variable ${name} is not set${elsewhere}${close === undefined ? '' : `; ${close} is`}`,
    })
  })

  const read = readConfig(value, {
    file: path,
    unset: (at) => unset.get(formatPath(at)) ?? {},
    locate: (at, part) => locate(value, at, part, places),
    variable: (at) => placeOf(value, at, places)?.variable,
  })
  return {
    config: read.config,
    errors: inOrder([...errors, ...read.errors], sources),
    warnings: inOrder([...warnings, ...read.warnings], sources),
    unsetVariables,
    environment,
    sources,
  }
}

/** environment_variables, as texts; what decides how programs are started is left out. */
function variablesOf(
  variables: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(variables)) {
    const said =
      typeof value === 'string' && value.startsWith(prefix)
        ? (out[value.slice(prefix.length)] ?? env[value.slice(prefix.length)])
        : asVariable(value)
    if (said !== undefined && !reserved.has(name)) out[name] = said
  }
  return out
}

type Kept = {
  /** Which manager there is. */
  system?: string
  secrets: Record<string, string>
  problem?: { at: Path; message: string }
}

/** What the secret manager of the file knows of the names in it. It comes before the environment, as with LiteLLM. */
async function readSecrets(
  value: JsonObject,
  {
    env,
    openSecrets,
  }: { env: Record<string, string | undefined>; openSecrets: typeof openManager },
): Promise<Kept> {
  const general = object(value.general_settings)
  const plain = (said: Json | undefined): Json | undefined =>
    typeof said === 'string' && said.startsWith(prefix) ? env[said.slice(prefix.length)] : said
  const former = formerSystems.find(([key]) => plain(general[key]) === true)
  const system = text(plain(general.key_management_system)) ?? former?.[1]
  if (!system) return { secrets: {} }
  const settings: JsonObject = {}
  for (const [key, said] of Object.entries(object(general.key_management_settings)))
    settings[key] = plain(said)
  const at: Path = ['general_settings', former ? former[0] : 'key_management_system']
  try {
    const { general_settings: _, ...others } = value
    const { key_management_settings: __, key_management_system: ___, ...rest } = general
    const names = namesIn([others, rest])
    if (names.length === 0) return { system, secrets: {} }
    return { system, secrets: await resolveSecrets(names, openSecrets(system, settings, env)) }
  } catch (cause) {
    return { system, secrets: {}, problem: { at, message: GatewayError.from(cause).message } }
  }
}

const formerSystems: readonly (readonly [key: string, system: string])[] = [
  ['use_azure_key_vault', 'azure_key_vault'],
  ['use_google_kms', 'google_kms'],
  ['use_aws_kms', 'aws_kms'],
]

/** Every NAME of an `os.environ/NAME`. */
function namesIn(value: Json | undefined): string[] {
  if (typeof value === 'string')
    return value.startsWith(prefix) ? [value.slice(prefix.length).trim()] : []
  if (Array.isArray(value)) return value.flatMap(namesIn)
  return isObject(value) ? Object.values(value).flatMap(namesIn) : []
}

/** As one reads the files. */
const inOrder = (notices: Notice[], sources: readonly string[]): Notice[] =>
  notices.sort(
    (a, b) =>
      sources.indexOf(a.file) - sources.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  )

/** The main file and all that it includes, breadth first: lists are appended, other sections replaced. A file is read once. */
async function readFiles(
  path: string,
  readFile: (path: string) => Promise<string>,
  places: Places,
) {
  const errors: Notice[] = []
  const warnings: Notice[] = []
  const sources: string[] = []
  let value: JsonObject = {}
  let top = new Map<string | number, Place>()
  const queue: { file: string; from?: Notice }[] = [{ file: path }]
  const seen = new Set<string>()

  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { file, from } = next
    if (seen.has(resolve(file))) {
      if (from !== undefined)
        warnings.push({ ...from, message: `${file} has been read before: it is not read again` })
      continue
    }
    seen.add(resolve(file))
    if (seen.size > filesMax) {
      errors.push({ ...(from ?? { file, path: '' }), message: `more than ${filesMax} files` })
      break
    }
    const text = await readOne(file, readFile)
    if (typeof text !== 'string') {
      errors.push(
        from === undefined
          ? { file, path: '', message: text.why }
          : { ...from, message: `${file} ${text.why}` },
      )
      continue
    }
    sources.push(file)
    const read = readYaml(text, file, places)
    errors.push(...read.errors)
    warnings.push(...read.warnings)
    const own = places.get(read.value) ?? new Map()
    const { include, ...sections } = read.value
    for (const [key, section] of Object.entries(sections)) {
      const before = value[key]
      const place = own.get(key)
      if (Array.isArray(before) && Array.isArray(section)) {
        const both = [...before, ...section]
        places.set(
          both,
          new Map([...(places.get(before) ?? []), ...shifted(places.get(section), before.length)]),
        )
        value = { ...value, [key]: both }
        continue
      }
      if (before !== undefined && before !== null && place !== undefined)
        warnings.push({
          ...positionOf(place, 'key'),
          path: key,
          message: 'takes the place of the section of that name in the file that includes this one',
        })
      value = { ...value, [key]: section }
      if (place !== undefined) top = new Map(top).set(key, place)
    }
    const place = own.get('include')
    const at: Notice = {
      file,
      ...(place === undefined ? {} : positionOf(place, 'value')),
      path: 'include',
      message: '',
    }
    for (const { name, notice } of included(include, at, places)) {
      if (name === undefined) errors.push({ ...notice, message: 'expected a list of file names' })
      else queue.push({ file: await beside(file, path, name, readFile), from: notice })
    }
  }
  places.set(value, top)
  return { value, errors, warnings, sources }
}

function included(
  value: Json | undefined,
  at: Notice,
  places: Places,
): { name?: string; notice: Notice }[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value))
    return [typeof value === 'string' ? { name: value, notice: at } : { notice: at }]
  const own = places.get(value)
  return value.map((name, index) => {
    const place = own?.get(index)
    const notice = {
      ...at,
      ...(place === undefined ? {} : positionOf(place, 'value')),
      path: `include[${index}]`,
    }
    return typeof name === 'string' ? { name, notice } : { notice }
  })
}

/** A name is looked for beside the file that says it, then beside the main file, as LiteLLM does. */
async function beside(
  file: string,
  main: string,
  name: string,
  readFile: (path: string) => Promise<string>,
): Promise<string> {
  const near = isAbsolute(name) ? name : join(dirname(file), name)
  const far = isAbsolute(name) ? name : join(dirname(main), name)
  if (near === far) return near
  return typeof (await readOne(near, readFile)) === 'string' ||
    typeof (await readOne(far, readFile)) !== 'string'
    ? near
    : far
}

const shifted = (own: Map<string | number, Place> | undefined, by: number): [number, Place][] =>
  [...(own ?? [])].map(([index, place]) => [Number(index) + by, place])

async function readOne(
  file: string,
  readFile: (path: string) => Promise<string>,
): Promise<string | { why: string }> {
  try {
    const text = await readFile(file)
    return text.length > fileBytesMax ? { why: 'is larger than 4 MiB' } : text
  } catch (cause) {
    return { why: whyUnreadable(cause) }
  }
}

const filesMax = 100

const prefix = 'os.environ/'

/** A copy in which every `os.environ/NAME` is what NAME holds. What is not set is taken out, and said. */
function resolveVariables(
  value: JsonObject,
  env: Readonly<Record<string, string | undefined>>,
  places: Places,
  missing: (path: Path, name: string, place: Place | undefined) => void,
): JsonObject {
  const copy = (
    from: Json | undefined,
    path: Path,
    place: Place | undefined,
  ): [Json | undefined, Place | undefined] => {
    if (typeof from === 'string' && from.startsWith(prefix)) {
      const variable = from.slice(prefix.length).trim()
      const found = Object.hasOwn(env, variable) ? env[variable] : undefined
      if (found === undefined) missing(path, variable, place)
      return [found, place && { ...place, variable }]
    }
    if (Array.isArray(from)) {
      const out: Json[] = []
      const own = new Map<string | number, Place>()
      const there = places.get(from)
      from.forEach((item, index) => {
        const [made, at] = copy(item, [...path, index], there?.get(index))
        if (made === undefined) return
        if (at !== undefined) own.set(out.length, at)
        out.push(made)
      })
      places.set(out, own)
      return [out, place]
    }
    return isObject(from) ? [copyMap(from, path), place] : [from, place]
  }
  const copyMap = (from: JsonObject, path: Path): JsonObject => {
    const out: JsonObject = {}
    const own = new Map<string | number, Place>()
    const there = places.get(from)
    for (const [key, item] of Object.entries(from)) {
      const [made, at] = copy(item, [...path, key], there?.get(key))
      if (at !== undefined) own.set(key, at)
      if (made !== undefined) out[key] = made
    }
    places.set(out, own)
    return out
  }
  return copyMap(value, [])
}

/** The place of the nearest thing on the way to `path`: what is missing has none of its own. */
function placeOf(value: unknown, path: Path, places: Places): Place | undefined {
  let here = value
  let place: Place | undefined
  for (const [index, step] of path.entries()) {
    const found =
      typeof here === 'object' && here !== null ? places.get(here)?.get(step) : undefined
    if (found === undefined)
      return place && { ...place, key: index === 0 ? place.key : place.value }
    place = found
    here = Reflect.get(Object(here), step)
  }
  return place
}

function locate(
  value: unknown,
  path: Path,
  part: 'key' | 'value',
  places: Places,
): Position | undefined {
  const place = placeOf(value, path, places)
  return place && positionOf(place, part)
}

/** As Python writes them, because that is what LiteLLM puts into its environment. */
const asVariable = (value: Json | undefined): string | undefined =>
  value === null || value === undefined || typeof value === 'object'
    ? undefined
    : typeof value === 'boolean'
      ? value
        ? 'True'
        : 'False'
      : String(value)
