import type { EnvSettings } from '../config/environment.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../json/json.ts'
import { isLoopbackHost } from '../policy/identify.ts'
import { readAdminKey } from '../start/data.node.ts'
import { accessOf } from '../start/start.node.ts'
import type { Options } from './flags.ts'
import { prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

/** A running gateway, as its own command line finds it: where it listens by default, with the key from its settings. */
export type Door = {
  base: string
  key: string | undefined
  /** What to do where nothing answers, and where the key is not taken. */
  hints?: { nobody: string; refused: string }
}

/** `--health`: how the models of the running gateway are. */
export async function visitHealth(options: Options, { out, err }: Terminal): Promise<number> {
  const door = await findDoor(options)
  const health = await ask(door, '/health')
  out(`${JSON.stringify(health, null, 2)}\n`)
  const sick = list(health['unhealthy_endpoints']).length
  if (sick === 0) return 0
  err(`throughway: ${sick} of its deployments cannot be called: the errors above say why\n`)
  return 1
}

/** `--test`: one short chat with the first model, or with `--model`. */
export async function visitChat(options: Options, { out }: Terminal): Promise<number> {
  const door = await findDoor(options)
  const model = options.alias ?? options.model ?? (await firstModel(door))
  const answer = await ask(door, '/v1/chat/completions', {
    model,
    messages: [{ role: 'user', content: 'This is a test. Answer with one short sentence.' }],
  })
  const content = object(object(list(answer['choices'])[0])['message'])['content']
  out(`${model}: ${visible(text(content) ?? JSON.stringify(answer))}\n`)
  return 0
}

async function firstModel(door: Door): Promise<string> {
  const models = list((await ask(door, '/v1/models'))['data']).map(object)
  const chat = models.find(
    ({ mode, id }) => (mode === undefined || mode === 'chat') && typeof id === 'string',
  )
  const name = text(chat?.['id'])
  if (name === undefined)
    throw new GatewayError('not_found', `${door.base} lists no chat model: name one with --model`)
  return name
}

async function findDoor(options: Options): Promise<Door> {
  const { config, settings, dataDir } = await prepare(options, process.env)
  const { masterKey } = accessOf({ config, settings })
  const { test } = options
  if (typeof test === 'string') {
    const base = baseOf(test)
    // The generated key opens this machine's gateway: nobody else is shown it.
    const here = isLoopbackHost(new URL(base).hostname)
    return { base, key: masterKey ?? (here ? await readAdminKey(dataDir) : undefined) }
  }
  const key = masterKey ?? (await readAdminKey(dataDir))
  const secure = (options.ssl_certfile_path ?? settings.tlsCertificatePath) !== undefined
  return { base: addressOf({ ...settings, ...options }, secure), key }
}

/** Where a gateway with these settings is reached from its own machine. */
export function addressOf(
  { host = '127.0.0.1', port = 4000, rootPath = '' }: Pick<EnvSettings, Placed>,
  secure: boolean,
): string {
  const name =
    host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return `${secure ? 'https' : 'http'}://${name}:${port}${rootPath}`
}
type Placed = 'host' | 'port' | 'rootPath'

/** LiteLLM's users give the whole address of the route, others that of the server. */
export function baseOf(address: string, flag = '--test'): string {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address))
    throw new GatewayError(
      'bad_request',
      `"${address.slice(0, 200)}" is no address: ${flag} http://127.0.0.1:4000`,
    )
  return address.replace(/\/{1,20}$/, '').replace(/(\/v1)?(\/chat\/completions)?$/, '')
}

const patienceMs = 300_000

/** One request to the gateway. Throws a GatewayError fit to be printed. */
export async function ask(
  { base, key, hints = ownHints }: Door,
  path: string,
  body?: JsonObject,
): Promise<JsonObject> {
  const url = base + path
  let response: Response
  let said: string
  try {
    response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // The key is for this address and no other.
      redirect: 'error',
      signal: AbortSignal.timeout(patienceMs),
    })
    said = await response.text()
  } catch (cause) {
    throw new GatewayError(
      'unavailable',
      `nothing answers at ${url} (${reasonOf(cause)}): ${hints.nobody}`,
      { cause },
    )
  }
  const answer = parsed(said)
  if (response.ok && answer !== undefined) return answer
  const told = text(object(answer?.['error'])['message']) ?? said.slice(0, 300)
  throw new GatewayError(
    'provider',
    `${url} answered ${response.status}: ${visible(told)}${response.status === 401 || response.status === 403 ? `\n${hints.refused}` : ''}`,
  )
}

const ownHints = {
  nobody: 'start the gateway, or say where it is with --host and --port',
  refused:
    'Give it its own settings (--config, --data-dir or LITELLM_MASTER_KEY), so that the key is found',
}

function parsed(said: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(said)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause
  const code: unknown = inner instanceof Error ? Reflect.get(inner, 'code') : undefined
  return typeof code === 'string' ? code : cause.message
}

/** What a model says must not steer the terminal. */
export const visible = (said: string): string =>
  said.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
