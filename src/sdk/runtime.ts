import { fetchTransport } from '../call/fetch.ts'
import type { FetchMedia } from '../call/media.ts'
import type { Transport } from '../call/transport.ts'
import type { Encoder } from '../chat/bpe.ts'
import { GatewayError } from '../errors.ts'
import type { Signal } from '../http/signal.ts'
import type { JsonObject } from '../json/json.ts'
import type { AuthDeps, AuthScheme } from '../provider/auth/auth.ts'
import type { AwsDeps } from '../provider/auth/aws.ts'
import { createSchemes } from '../provider/auth/schemes.ts'
import { type Catalogue, createCatalogue } from '../provider/catalogue.ts'
import type { ConnectionValues } from '../provider/deployment.ts'

/** Everything the library has from where it runs. */
export type Runtime = {
  env(name: string): string | undefined
  transport: Transport
  /** Prices and abilities; absent where nobody brought them. */
  catalogue(): Catalogue | undefined
  setCatalogue(next: Catalogue): void
  /** Exact tokenizers; absent: counts are estimates. */
  encoderFor(model: string): Encoder | undefined
  schemes: Readonly<Record<string, AuthScheme>>
  /** What they were made of. */
  auth: AwsDeps
  connectionOf?: (params: JsonObject) => ConnectionValues | undefined
  /** Fetches what is named by its address, for providers that do not; absent where nothing could guard it. */
  media?: (rules: MediaRules) => FetchMedia
  /** Hears what was asked for and has no effect. */
  warn(message: string): void
  /** Waits between two tries; absent: timers. */
  sleep?: (ms: number, signal: Signal) => Promise<void>
  /** Connections that are kept for the next call. */
  close(): Promise<void>
}

/** Which addresses may be fetched: LiteLLM's `user_url_validation` and `user_url_allowed_hosts`. */
export type MediaRules = {
  validate?: boolean | undefined
  allowedHosts?: readonly string[] | undefined
}

/** What `createSdk` may be told; the rest is as it is where it runs. */
export type SdkOptions = {
  /** Credentials and addresses by their environment names. */
  env?: Readonly<Record<string, string | undefined>> | undefined
  /** How providers are reached: the web's `fetch`, or one that behaves like it. */
  fetch?: typeof fetch | undefined
  /** LiteLLM's price list, as in model_prices_and_context_window.json. */
  catalogue?: JsonObject | undefined
  warn?: ((message: string) => void) | undefined
}

/** A place that has `fetch` and perhaps `process.env`: edge workers, browsers, Deno, Bun. */
export function webRuntime(): Runtime {
  // A worker's bindings may replace it at any time, so it is looked up when it is needed.
  const env = (name: string) => globalThis.process?.env?.[name]
  return {
    env,
    transport: (request) => fetchTransport(globalThis.fetch)(request),
    ...holding(undefined),
    encoderFor: () => undefined,
    ...signing({ env, now: Date.now, fetch: webFetch(() => globalThis.fetch) }),
    warn: (message) => console.warn(`throughway: ${message}`),
    close: async () => {},
  }
}

/** The same place, some things of it replaced. */
export function runtimeWith(base: Runtime, options: SdkOptions): Runtime {
  const { env: given, fetch: send, catalogue, warn } = options
  const env = given === undefined ? base.env : (name: string) => given[name]
  const auth = { ...base.auth, env, ...(send && { fetch: webFetch(() => send) }) }
  const { media, ...rest } = base
  return {
    ...rest,
    // Whoever brings a network of his own wants no other to be used.
    ...(media && !send && { media }),
    env,
    ...(send && { transport: fetchTransport(send) }),
    ...(given || send ? signing(auth) : {}),
    ...holding(catalogue ? () => createCatalogue(catalogue) : () => base.catalogue()),
    ...(warn && { warn }),
  }
}

/** One catalogue, had when it is first asked for, until it is replaced. */
export function holding(
  load: (() => Catalogue | undefined) | undefined,
): Pick<Runtime, 'catalogue' | 'setCatalogue'> {
  let held: Catalogue | undefined
  return {
    catalogue: () => (held ??= load?.()),
    setCatalogue: (next) => {
      held = next
    },
  }
}

/** Credentials that are more than a header. Made once, since they keep the tokens they have fetched. */
export const signing = (auth: AwsDeps): Pick<Runtime, 'auth' | 'schemes'> => ({
  auth,
  schemes: createSchemes(auth),
})

const answerBytesMax = 1024 * 1024

/** Questions to token endpoints. No redirect is followed: what is sent is a credential. */
export const webFetch =
  (send: () => typeof fetch): AuthDeps['fetch'] =>
  async ({ method, url, headers, body, timeoutMs }) => {
    const response = await send()(url, {
      method,
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(body !== undefined && { body }),
    })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > answerBytesMax)
        throw new GatewayError('bad_gateway', 'the token endpoint answered with more than 1 MiB')
      chunks.push(chunk)
    }
    return { status: response.status, body: await new Blob(chunks.map(plain)).text() }
  }

/** The web's types leave out memory shared between threads; nobody here has any. */
const plain = (chunk: Uint8Array) => chunk as Uint8Array<ArrayBuffer>

let make = webRuntime
let made: Runtime | undefined

/** The one all functions of the package's face work in; made at the first call. */
export const shared = (): Runtime => (made ??= make())

/** A face for another place says so before anyone calls. */
export function runIn(maker: () => Runtime): void {
  make = maker
  made = undefined
}
