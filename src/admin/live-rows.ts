import { formatNotice } from '../config/notice.ts'
import type { Credential, ModelRow } from '../config/schema.ts'
import { readModel } from '../config/schema.ts'
import { createReport } from '../config/table.ts'
import { isObject, type Json, type JsonObject, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Sealer } from '../store/seal.ts'

export type Env = (name: string) => string | undefined

/** An entry of model_list as it was given over the API; parameters with what is secret in them open. */
export type Entry = { model_name: string; litellm_params: JsonObject; model_info: JsonObject }

/** As it lies in the database: the parameters are one sealed text, for any of them may hold a secret. */
export const sealedEntry = (entry: Entry, { seal }: Sealer): JsonObject => ({
  model_name: entry.model_name,
  litellm_params: seal(JSON.stringify(entry.litellm_params)),
  model_info: entry.model_info,
})

/** Throws where it was sealed with another key. */
export const openEntry = ({ id, data }: Doc<'model'>, { open }: Sealer): Entry => ({
  model_name: text(data['model_name']) ?? '',
  litellm_params: object(JSON.parse(open(text(data['litellm_params']) ?? '{}'))),
  model_info: { ...object(data['model_info']), id, db_model: true },
})

export const sealValues = (values: JsonObject, { seal }: Sealer): JsonObject =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, seal(JSON.stringify(value ?? null))]),
  )
export const openValues = (values: JsonObject, { open }: Sealer): JsonObject =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, JSON.parse(open(text(value) ?? 'null'))]),
  )

/** The rows of an entry, and what is wrong with it in words that hold no secret. */
export function rowsOf(
  entry: Entry,
  credentials: ReadonlyMap<string, Credential>,
  env: Env,
): { rows: ModelRow[]; errors: string[] } {
  const { value: params, unset } = withVariables(entry.litellm_params, env)
  const report = createReport({
    unset: (path) => (path.at(-1) === 'litellm_params' ? unset : {}),
    // What the environment holds is not for those to read who may only name it.
    variable: (path) => variableAt(entry, path),
  })
  const rows = readModel({ ...entry, litellm_params: params }, credentials, report)
  return { rows, errors: report.errors.map((one) => formatNotice(one).replace(/^\u2716 /, '')) }
}

export function credentialOf({ data }: Doc<'credential'>, sealer: Sealer, env: Env): Credential {
  const opened = openValues(object(data['credential_values']), sealer)
  const { value, unset } = withVariables(opened, env)
  return { values: value, info: object(data['credential_info']), unset }
}

const prefix = 'os.environ/'

/** `os.environ/NAME` replaced by what NAME holds. What is not set is taken out, and said by the key it was under. */
export function withVariables(
  values: JsonObject,
  env: Env,
): { value: JsonObject; unset: Record<string, string> } {
  const unset: Record<string, string> = {}
  const read = (value: Json | undefined, key: string): Json | undefined => {
    if (typeof value === 'string' && value.startsWith(prefix)) {
      const name = value.slice(prefix.length).trim()
      const found = env(name)
      if (found === undefined) unset[key] = name
      return found
    }
    if (Array.isArray(value))
      return value.flatMap((item) => {
        const made = read(item, key)
        return made === undefined ? [] : [made]
      })
    return isObject(value) ? mapOf(value, () => key) : value
  }
  const mapOf = (from: JsonObject, keyOf: (key: string) => string): JsonObject =>
    Object.fromEntries(
      Object.entries(from).flatMap(([key, item]) => {
        const made = read(item, keyOf(key))
        return made === undefined ? [] : [[key, made]]
      }),
    )
  return { value: mapOf(values, (key) => key), unset }
}

/** Does anything in it come from the environment? */
export const namesVariable = (value: Json | undefined): boolean =>
  typeof value === 'string'
    ? value.startsWith(prefix)
    : Array.isArray(value)
      ? value.some(namesVariable)
      : isObject(value) && Object.values(value).some(namesVariable)

function variableAt(entry: Entry, path: readonly (string | number)[]): string | undefined {
  let here: unknown = entry
  for (const step of path)
    here = typeof here === 'object' && here !== null ? Reflect.get(here, step) : undefined
  return typeof here === 'string' && here.startsWith(prefix) ? here.slice(prefix.length) : undefined
}
