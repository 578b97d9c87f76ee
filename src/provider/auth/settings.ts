import { GatewayError } from '../../errors.ts'
import { text } from '../../json/json.ts'
import type { AuthDeps, AuthRow } from './auth.ts'

/** Reads one credential of a row: the parameter, else the environment; empty is as good as not there. */
export type Settings = {
  /** A text of the row. */
  own(...params: readonly string[]): string | undefined
  env(...names: readonly string[]): string | undefined
  /** Parameters the row took from variables that are not set, as an error; undefined when there are none. */
  unset(...params: readonly string[]): GatewayError | undefined
}

export function settingsOf(
  { params, unset = {} }: AuthRow,
  { env }: Pick<AuthDeps, 'env'>,
): Settings {
  return {
    own: (...names) => first(names, (name) => text(params[name])),
    env: (...names) => first(names, env),
    unset(...names) {
      const name = names.find((param) => unset[param] !== undefined)
      if (name === undefined) return undefined
      const variable = unset[name] ?? ''
      return new GatewayError(
        'authentication',
        `${name} of this model is os.environ/${variable}, which is not set: set ${variable} and restart`,
      )
    },
  }
}

function first(
  names: readonly string[],
  read: (name: string) => string | undefined,
): string | undefined {
  for (const name of names) {
    const value = read(name)?.trim()
    if (value) return value
  }
  return undefined
}

/** A file a setting names, as text; its faults are told with the setting's name. */
export async function readNamed(
  path: string,
  what: string,
  { readFile }: Pick<AuthDeps, 'readFile'>,
): Promise<string> {
  if (!readFile)
    throw new GatewayError('authentication', `${what} names a file, and there are no files here`)
  try {
    return await readFile(path)
  } catch (cause) {
    throw new GatewayError('authentication', `${what}: ${path} ${whyUnreadable(cause)}`, { cause })
  }
}

export const isMissing = (cause: unknown): boolean => /^ENO(ENT|TDIR)$/.test(codeOf(cause))

function whyUnreadable(cause: unknown): string {
  const code = codeOf(cause)
  if (isMissing(cause)) return 'does not exist'
  if (code === 'EACCES') return 'may not be read by this process'
  if (code === 'EISDIR') return 'is a folder'
  return code === '' ? 'cannot be read' : `cannot be read (${code})`
}

function codeOf(cause: unknown): string {
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  return typeof code === 'string' ? code : ''
}

/** What cannot be called, and why: an answer of `AuthScheme.open`. */
export const refused = (problem: GatewayError | string, secrets: readonly string[] = []) => {
  const error = typeof problem === 'string' ? new GatewayError('authentication', problem) : problem
  return {
    authorize: (): void => {
      throw error
    },
    secrets,
    problem: error,
  }
}

/** Long enough to be told from ordinary words when it is searched for in a provider's answer. */
export const secretsOf = (...values: readonly (string | undefined)[]): string[] =>
  values.filter((value): value is string => value !== undefined && value.length >= 8)
