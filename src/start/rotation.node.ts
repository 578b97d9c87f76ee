import type { Handed } from '../admin/key-rotate.ts'
import type { Config } from '../config/schema.ts'
import type { SecretWriter } from '../config/secrets/secrets.ts'
import { GatewayError } from '../errors.ts'
import type { Rooms } from '../gateway/rooms.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'

export type RotationOptions = {
  books: Pick<Books, 'store' | 'leads'>
  config: Config
  env: Readonly<Record<string, string | undefined>>
  /** From one look to the next. */
  everyMs: number
  graceMs: number | undefined
  log: Rooms['log']
  /** Calls again and again; answers how it ends. */
  every?: (ms: number, run: () => void) => () => void
  /** Where new keys are kept; by default as the settings say. */
  open?: (system: string, settings: JsonObject) => Promise<SecretWriter>
}

/**
 * Rotates keys when their time has come (`auto_rotate`, LITELLM_KEY_ROTATION_ENABLED): one process does it for all. What it
 * makes nobody has seen, so it is put where secrets are kept (`key_management_settings.store_virtual_keys`); without such a
 * place keys stay as they are. Answers how it ends.
 */
export function watchRotation({
  books,
  config,
  env,
  everyMs,
  graceMs,
  log,
  every = usualTimer,
  open = async (system, settings) =>
    (await import('../config/secrets/open.node.ts')).openSecretWriter(system, settings, env),
}: RotationOptions): () => void {
  const general = object(config.raw['general_settings'])
  const settings = object(general['key_management_settings'])
  const system = text(general['key_management_system'])
  let writer: Promise<SecretWriter> | undefined
  const write = (): Promise<SecretWriter> => {
    if (system === undefined || settings['store_virtual_keys'] !== true)
      throw new GatewayError(
        'bad_request',
        'nobody would learn a new key: set general_settings.key_management_system, and store_virtual_keys of key_management_settings',
      )
    writer ??= open(system, settings).catch((cause: unknown) => {
      writer = undefined
      throw cause
    })
    return writer
  }
  const hand = async ({ name, secret }: Handed): Promise<void> =>
    (await write())(placeOf(settings, system, name), secret)
  let running = false
  async function look(): Promise<void> {
    if (running || !books.leads()) return
    running = true
    try {
      const { rotateKeys } = await import('../admin/key-rotate.ts')
      await rotateKeys({ store: books.store, graceMs, hand, log })
    } catch (cause) {
      log('warn', 'keys whose time has come could not be looked for; it is tried again', { cause })
    } finally {
      running = false
    }
  }
  return every(everyMs, () => void look())
}

/** LiteLLM's name of a stored key. Some managers have no slash in theirs. */
function placeOf(settings: JsonObject, system: string | undefined, name: string): string {
  const prefix = text(settings['prefix_for_stored_virtual_keys']) ?? 'litellm/'
  const joint = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  const flat = system === 'azure_key_vault' || system === 'google_secret_manager'
  return `${flat ? joint.replaceAll('/', '-') : joint}${name}`
}

function usualTimer(ms: number, run: () => void): () => void {
  const timer = setInterval(run, Math.min(ms, 2 ** 31 - 1))
  timer.unref()
  return () => clearInterval(timer)
}
