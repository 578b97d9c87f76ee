import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, list, text } from '../../json/json.ts'
import type { AuthDeps, Authorize } from '../../provider/auth/auth.ts'
import { parsed } from '../../provider/auth/exchange.ts'
import { createAwsReader, createAwsWriter } from './aws.ts'
import { createAzureReader, createAzureWriter } from './azure.ts'
import { createGoogleReader, createGoogleWriter } from './google.ts'
import { createVaultReader, createVaultWriter } from './vault.ts'

/** The secret of that name; undefined where there is none. GatewayError when the manager cannot be asked. */
export type SecretReader = (name: string) => Promise<string | undefined>

/** Keeps a secret under a name, over what was there. GatewayError where it could not be kept. */
export type SecretWriter = (name: string, value: string) => Promise<void>

export type SecretDeps = AuthDeps & {
  /** Signs requests to AWS Secrets Manager; the other managers need none. */
  authorize?: Authorize
}

/**
 * Reads secrets from `general_settings.key_management_system`; `settings` are its key_management_settings. Throws a
 * GatewayError that says what to do when it is not set up.
 */
export function createSecretReader(
  system: string,
  settings: JsonObject,
  deps: SecretDeps,
): SecretReader {
  const create = Object.hasOwn(managers, system) ? managers[system] : undefined
  if (!create)
    throw new GatewayError(
      'bad_request',
      Object.hasOwn(refusedManagers, system)
        ? `key_management_system: ${system} is not offered here: ${refusedManagers[system]}`
        : `key_management_system: ${JSON.stringify(system.slice(0, 40))} is not known: use one of ${Object.keys(managers).join(', ')}`,
    )
  const hosted = Array.isArray(settings.hosted_keys)
    ? new Set(list(settings.hosted_keys).map(text))
    : undefined
  const readable = settings.access_mode !== 'write_only'
  const read = create(settings, deps)
  const primary = text(settings.primary_secret_name)
  const inside = primary === undefined ? read : withinPrimary(primary, read)
  return async (name) => {
    if (!readable || (hosted && !hosted.has(name)) || !isSafeName(name)) return undefined
    return inside(name)
  }
}

/**
 * Writes into the same place. Throws a GatewayError that says what to do where it may not be written (`access_mode`), or
 * cannot.
 */
export function createSecretWriter(
  system: string,
  settings: JsonObject,
  deps: SecretDeps,
): SecretWriter {
  const create = Object.hasOwn(writers, system) ? writers[system] : undefined
  if (!create)
    throw new GatewayError(
      'bad_request',
      `key_management_system: nothing can be written to ${JSON.stringify(system.slice(0, 40))}: use one of ${Object.keys(writers).join(', ')}`,
    )
  if (settings.access_mode !== 'write_only' && settings.access_mode !== 'read_and_write')
    throw new GatewayError(
      'bad_request',
      'key_management_settings.access_mode is read_only: set it to read_and_write to let keys be written there',
    )
  const write = create(settings, deps)
  return async (name, value) => {
    if (!isSafeName(name))
      throw new GatewayError(
        'bad_request',
        `${JSON.stringify(name.slice(0, 100))} cannot be the name of a secret`,
      )
    await write(name, value)
  }
}

/** What the manager knows of `names`, each asked for once; names it does not know are left out. */
export async function resolveSecrets(
  names: readonly string[],
  reader: SecretReader,
): Promise<Record<string, string>> {
  const waiting = [...new Set(names)]
  const found: [name: string, value: string][] = []
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const value = await reader(name).catch((cause) => {
        waiting.length = 0 // the others need not be asked any more
        throw cause
      })
      if (value !== undefined) found.push([name, value])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return Object.fromEntries(found)
}

/** One secret that holds many, as a JSON object: fetched once. */
function withinPrimary(primary: string, read: SecretReader): SecretReader {
  let fetched: Promise<JsonObject> | undefined
  const open = async (): Promise<JsonObject> => {
    const content = await read(primary)
    if (content === undefined)
      throw new GatewayError('authentication', `primary_secret_name: there is no secret ${primary}`)
    const values = parsed(content)
    if (!isObject(values))
      throw new GatewayError(
        'authentication',
        `primary_secret_name: the secret ${primary} is not a JSON object of names and values`,
      )
    return values
  }
  return async (name) => {
    fetched ??= open().catch((cause) => {
      fetched = undefined
      throw cause
    })
    const values = await fetched
    return Object.hasOwn(values, name) ? plain(values[name]) : undefined
  }
}

/** A manager's console makes numbers of what looks like one. */
const plain = (value: Json | undefined): string | undefined =>
  typeof value === 'number' || typeof value === 'boolean' ? String(value) : text(value)

/** Names become parts of paths, so nothing may step out of them; no manager has a secret of another name. */
const isSafeName = (name: string): boolean =>
  name.length <= 512 &&
  /^[\w.+=@-]+(\/[\w.+=@-]+)*$/.test(name) &&
  !/(^|\/)\.{1,2}(\/|$)/.test(name)

type CreateReader = (settings: JsonObject, deps: SecretDeps) => SecretReader

const managers: Readonly<Record<string, CreateReader>> = {
  aws_secret_manager: createAwsReader,
  azure_key_vault: createAzureReader,
  google_secret_manager: createGoogleReader,
  hashicorp_vault: createVaultReader,
  local:
    (_settings, { env }) =>
    async (name) =>
      env(name),
}

const writers: Readonly<Record<string, (settings: JsonObject, deps: SecretDeps) => SecretWriter>> =
  {
    aws_secret_manager: createAwsWriter,
    azure_key_vault: createAzureWriter,
    google_secret_manager: createGoogleWriter,
    hashicorp_vault: createVaultWriter,
  }

const refusedManagers: Readonly<Record<string, string>> = {
  aws_kms: 'keep the secrets in AWS Secrets Manager (aws_secret_manager)',
  google_kms: 'keep the secrets in Google Secret Manager (google_secret_manager)',
  cyberark: 'let its agent put the secrets into the environment',
  custom: 'it is Python code; put the secrets into the environment',
}

const atOnce = 8
