import { GatewayError } from '../../errors.ts'

/** Sections of AWS's two shared files, each a table of its settings. */
export type SharedFiles = {
  profiles: ReadonlyMap<string, Settings>
  ssoSessions: ReadonlyMap<string, Settings>
}
export type Settings = Readonly<Record<string, string>>

/**
 * `~/.aws/config` and `~/.aws/credentials`, or the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.
 * What the credentials file says of a profile wins. A file that is not there is empty.
 */
export async function readShared(
  env: (name: string) => string | undefined,
  readFile: (path: string) => Promise<string>,
): Promise<SharedFiles> {
  const home = homeOf(env)
  const read = async (name: string, usual: string): Promise<string> => {
    const named = env(name)
    if (named === undefined && home === undefined) return ''
    return await readFile(named ? expand(named, home) : `${home}/.aws/${usual}`).catch(() => '')
  }
  const [config, credentials] = await Promise.all([
    read('AWS_CONFIG_FILE', 'config'),
    read('AWS_SHARED_CREDENTIALS_FILE', 'credentials'),
  ])
  const profiles = new Map<string, Settings>()
  const ssoSessions = new Map<string, Settings>()
  for (const [title, settings] of sections(config)) {
    const { kind, name } =
      /^(?:(?<kind>profile|sso-session)\s+)?(?<name>.*)$/.exec(title)?.groups ?? {}
    if (name === undefined) continue
    if (kind === 'sso-session') ssoSessions.set(unquoted(name), settings)
    else if (kind === 'profile' || name === 'default') profiles.set(unquoted(name), settings)
  }
  for (const [name, settings] of sections(credentials))
    profiles.set(name, { ...profiles.get(name), ...settings })
  return { profiles, ssoSessions }
}

export const homeOf = (env: (name: string) => string | undefined): string | undefined =>
  env('HOME') ?? env('USERPROFILE')

const expand = (path: string, home: string | undefined): string =>
  home !== undefined && path.startsWith('~/') ? home + path.slice(1) : path

const unquoted = (name: string): string => name.replace(/^(["'])(.*)\1$/, '$2')

/** INI as AWS writes it: settings that are indented belong to the one above and mean nothing here. */
function sections(source: string): Map<string, Settings> {
  if (source.length > 4_000_000)
    throw new GatewayError('authentication', 'the AWS config file is larger than 4 MB')
  const found = new Map<string, Record<string, string>>()
  let settings: Record<string, string> | undefined
  for (const line of source.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line) || /^\s/.test(line)) continue
    if (line.startsWith('[')) {
      const title = line.slice(1, line.indexOf(']')).trim()
      settings = found.get(title) ?? {}
      found.set(title, settings)
      continue
    }
    const at = line.indexOf('=')
    if (at <= 0 || settings === undefined) continue
    const name = line.slice(0, at).trim().toLowerCase()
    Object.defineProperty(settings, name, {
      value: line
        .slice(at + 1)
        .trim()
        .replace(/\s[#;].*$/, '')
        .trim(),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return found
}
