import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEnvironment } from '../../src/config/environment.ts'
import { readConfig } from '../../src/config/schema.ts'
import type { JsonObject } from '../../src/json/json.ts'
import { createLog } from '../../src/start/log.node.ts'
import { type Running, startServer } from '../../src/start/start.node.ts'
import type { Provider, Scope } from './provider.ts'

export type Gateway = {
  url: string
  port: number
  /** Removed when it ends. */
  dataDir: string
  running: Running
  /** Everything it logged, request entries included. */
  logged(): string
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

export type GatewayOptions = {
  models?: readonly JsonObject[]
  litellm?: JsonObject
  general?: JsonObject
  router?: JsonObject
  /** Other sections of the file. */
  sections?: JsonObject
  env?: Record<string, string>
  host?: string
  /** False: its log is not kept. */
  logged?: boolean
  /** Sent with every request of `post` and `get`. */
  key?: string
}

/** A gateway in this process, on a free port, with a data folder of its own. Its environment is only what is given. */
export async function startGateway(
  t: Scope,
  {
    models = [],
    litellm = {},
    general = {},
    router = {},
    sections = {},
    env = {},
    host,
    logged = true,
    key,
  }: GatewayOptions = {},
): Promise<Gateway> {
  const { config, errors } = readConfig({
    ...sections,
    model_list: [...models],
    litellm_settings: litellm,
    general_settings: general,
    // A test that wants retries says so.
    router_settings: { num_retries: 0, disable_cooldowns: true, ...router },
  })
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  const dataDir = await mkdtemp(join(tmpdir(), 'throughway-test-'))
  let lines = ''
  const environment = { LITELLM_LOG: 'DEBUG', LITELLM_LOCAL_MODEL_COST_MAP: 'true', ...env }
  const running = await startServer({
    config,
    env: environment,
    settings: readEnvironment(environment),
    dataDir,
    host,
    port: 0,
    log: createLog({
      level: 'debug',
      json: false,
      write: (line) => {
        if (logged) lines += line
      },
    }),
  })
  t.after(async () => {
    await running.close(0)
    await rm(dataDir, { recursive: true, force: true })
  })
  const { url, port } = running
  const auth: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  return {
    url,
    port,
    dataDir,
    running,
    logged: () => lines,
    post: (path, body, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...auth, ...headers },
        body:
          typeof body === 'string' || body instanceof Uint8Array
            ? new Uint8Array(Buffer.from(body))
            : JSON.stringify(body),
      }),
    get: (path, headers = {}) => fetch(url + path, { headers: { ...auth, ...headers } }),
  }
}

/** A row that leads to the fake provider. */
export const openaiRow = (
  name: string,
  { base }: Pick<Provider, 'base'>,
  params: JsonObject = {},
  info: JsonObject = {},
): JsonObject => ({
  model_name: name,
  litellm_params: {
    model: 'openai/upstream-model',
    api_base: base,
    api_key: 'sk-upstream-credential',
    ...params,
  },
  model_info: info,
})

export const ask = (model: string, more: JsonObject = {}): JsonObject => ({
  model,
  messages: [{ role: 'user', content: 'Say hello' }],
  ...more,
})

/** The `data:` of each event, parsed where it is JSON. */
export async function eventsOf(response: Response): Promise<{ event: string; data: unknown }[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const line = (name: string) =>
        block
          .split('\n')
          .filter((one) => one.startsWith(`${name}: `))
          .map((one) => one.slice(name.length + 2))
          .join('\n')
      const data = line('data')
      return { event: line('event'), data: data.startsWith('{') ? JSON.parse(data) : data }
    })
}

/** Waits for something to become true; a test that waits in vain says so. */
export async function eventually(what: () => boolean, ms = 2000): Promise<void> {
  const until = performance.now() + ms
  while (!what()) {
    if (performance.now() > until) throw new Error(`not true after ${ms} ms: ${what}`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}
