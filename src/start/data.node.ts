import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'

/** Where the platform keeps what a program stores for its user. */
export function defaultDataDir(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'throughway')
  if (platform === 'win32')
    return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'throughway')
  return join(env['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'throughway')
}

/** Makes the folder, for its owner only, and sees that it can be written. */
export async function openDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const probe = await open(join(path, '.write-test'), 'w', 0o600)
    await probe.close()
  } catch (cause) {
    throw new GatewayError(
      'internal',
      `the data folder ${path} cannot be written (${codeOf(cause)}): choose another with --data-dir or THROUGHWAY_DATA_DIR`,
      { cause },
    )
  }
}

export const adminKeyPath = (dataDir: string): string => join(dataDir, 'admin.key')

/** The generated key of a gateway that has been started with this folder. */
export async function readAdminKey(dataDir: string): Promise<string | undefined> {
  return (await readFile(adminKeyPath(dataDir), 'utf8').catch(() => '')).trim() || undefined
}

/** The key that opens management where no master key is set: made once, readable by its owner only. `created` at the first start. */
export async function adminKey(dataDir: string): Promise<{ key: string; created: boolean }> {
  const path = adminKeyPath(dataDir)
  try {
    const file = await open(path, 'wx', 0o600)
    const key = `sk-${randomBytes(24).toString('base64url')}`
    try {
      await file.writeFile(`${key}\n`)
    } finally {
      await file.close()
    }
    return { key, created: true }
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST')
      throw new GatewayError('internal', `${path} cannot be written (${codeOf(cause)})`, { cause })
  }
  const key = await writtenKey(path)
  if (key.length < 16)
    throw new GatewayError(
      'internal',
      `${path} holds no key: delete it, and the next start makes a new one`,
    )
  await chmod(path, 0o600).catch(() => {})
  return { key, created: false }
}

/** Another process may have made the file this moment, and be about to write into it. */
async function writtenKey(path: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    const key = (await readFile(path, 'utf8')).trim()
    if (key !== '' || tries === 20) return key
    await setTimeout(25)
  }
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)

/**
 * What secrets in the database are sealed with where neither LITELLM_SALT_KEY nor a master key is set: made once, kept
 * beside an embedded database. A database that several machines share needs a key that all of them are given.
 */
export async function secretFile(dataDir: string, dialect: 'sqlite' | 'postgres'): Promise<string> {
  if (dialect === 'postgres')
    throw new GatewayError(
      'internal',
      'DATABASE_URL is set but neither LITELLM_SALT_KEY nor LITELLM_MASTER_KEY: keys and credentials could not be sealed so that other machines can read them. Set LITELLM_SALT_KEY (16 characters or more)',
    )
  const path = join(dataDir, 'salt.key')
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      const secret = randomBytes(32).toString('base64url')
      await file.writeFile(`${secret}\n`)
      await file.sync()
      return secret
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST')
      throw new GatewayError('internal', `${path} cannot be written (${codeOf(cause)})`, { cause })
  }
  return writtenKey(path)
}
