import { readAll } from '../call/transport.ts'
import type { Provider } from '../call/upstream.test.ts'
import { createTokenCounter } from '../chat/tokens.ts'
import { type Config, readConfig } from '../config/schema.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { type Json, type JsonObject, object } from '../json/json.ts'
import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import { createLedger, type Entry } from '../ledger/ledger.ts'
import { createIdentify } from '../policy/identify.ts'
import { createCatalogue } from '../provider/catalogue.ts'
import { createGateway } from './gateway.ts'
import { type OpenDeps, openRooms } from './open.ts'
import type { Rooms } from './rooms.ts'

/** A gateway without a port: what it is asked, what it answers, what its ledger heard. */

export type Door = {
  rooms: Rooms
  /** What the rooms were opened with. */
  deps: OpenDeps
  config: Config
  entries: Entry[]
  logged: string[]
  visit(asked: Partial<Asked>): Promise<Outgoing>
}
export type Asked = {
  method: string
  path: string
  query: string
  headers: Record<string, string>
  body: JsonObject | string
  signal: AbortSignal
}

export const masterKey = 'sk-master-0123456789'

/** The rows' models are openai's unless they say otherwise, each with a price and a key. */
export function door(
  { models, ...config }: JsonObject & { models: Record<string, JsonObject> },
  { transport }: Pick<Provider, 'transport'>,
  more: { env?: Record<string, string>; now?: () => number } = {},
): Door {
  const rows = Object.entries(models).map(([name, params]): Json => {
    const { group = name, model_info = {}, ...rest } = params
    return {
      model_name: group,
      litellm_params: {
        model: 'openai/gpt-x',
        api_key: 'sk-upstream-0123456789',
        input_cost_per_token: 1e-6,
        output_cost_per_token: 2e-6,
        ...rest,
      },
      model_info: { id: name, ...object(model_info) },
    }
  })
  const read = readConfig({ model_list: rows, ...config })
  if (read.errors.length > 0) throw new Error(JSON.stringify(read.errors))
  const catalogue = createCatalogue({})
  const entries: Entry[] = []
  const logged: string[] = []
  const deps: OpenDeps = {
    env: (name) => more.env?.[name],
    transport,
    identify: createIdentify({
      masterKey,
      adminKey: undefined,
      open: false,
      headerName: undefined,
    }),
    ledger: createLedger([(entry) => entries.push(entry)], () => {}),
    catalogue: { current: catalogue, loaded: async () => catalogue },
    tokens: { counter: createTokenCounter({ encoderFor: () => undefined }), ready: async () => {} },
    log: (level, message) => logged.push(`${level} ${message}`),
    now: more.now ?? Date.now,
    defaults: {
      dropParams: false,
      modifyParams: false,
      requestTimeoutSeconds: 600,
      retries: 0,
      allowedFails: undefined,
      cooldownSeconds: 5,
      maxFallbacks: 5,
    },
    corsOrigins: [],
    docs: true,
  }
  const rooms = openRooms(read.config, deps)
  const handler = createGateway(rooms)
  return {
    rooms,
    deps,
    config: read.config,
    entries,
    logged,
    visit: (asked) => handler(incoming(asked)),
  }
}

export function incoming({
  method = 'POST',
  path = '/v1/chat/completions',
  query = '',
  headers = {},
  body = {},
  signal = new AbortController().signal,
}: Partial<Asked>): Incoming {
  const all: Record<string, string> = { authorization: `Bearer ${masterKey}`, ...headers }
  const bytes = toUtf8(typeof body === 'string' ? body : JSON.stringify(body))
  return {
    method,
    path,
    query,
    header: (name) => all[name],
    headers: () => ({ ...all }),
    headerNames: () => Object.keys(all),
    remoteAddress: '127.0.0.1',
    body: async () => bytes,
    stream: async function* () {
      yield bytes
    },
    signal,
  }
}

export const hi = (model: string, more: JsonObject = {}): JsonObject => ({
  model,
  messages: [{ role: 'user', content: 'hi' }],
  ...more,
})

/** The whole of an answer, as text. */
export async function textOf({ body, encoding }: Outgoing): Promise<string> {
  if (typeof body === 'string') return encoding === 'latin1' ? utf8(bytesOf(body)) : body
  if (body instanceof Uint8Array) return utf8(body)
  async function* bytes(of: AsyncIterable<Uint8Array | string>) {
    for await (const one of of) yield typeof one === 'string' ? toUtf8(one) : one
  }
  return utf8(await readAll(bytes(body)))
}
export const jsonOf = async (out: Outgoing): Promise<JsonObject> =>
  object(JSON.parse(await textOf(out)))
