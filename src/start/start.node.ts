import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { connectionFromEnv } from '../call/connection.node.ts'
import type { FetchMedia } from '../call/media.ts'
import type { NodeTransportOptions } from '../call/transport.node.ts'
import type { Connection, Transport } from '../call/transport.ts'
import type { Encoder } from '../chat/bpe.ts'
import { createTokenCounter } from '../chat/tokens.ts'
import type { EnvSettings } from '../config/environment.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { watchBatches } from '../gateway/batches.ts'
import { createGateway } from '../gateway/gateway.ts'
import { watchJobs } from '../gateway/jobs.ts'
import type { KeptAnswers } from '../gateway/kept.ts'
import { type OpenDeps, openRooms } from '../gateway/open.ts'
import type { Rooms, Tokens } from '../gateway/rooms.ts'
import { createUpgrade } from '../gateway/socket.ts'
import { rootOf } from '../http/door.ts'
import { createNodeServer } from '../http/serve.node.ts'
import type { SocketDoor } from '../http/socket.node.ts'
import type { Upgrade } from '../http/socket.ts'
import type { JsonObject } from '../json/json.ts'
import { createLedger } from '../ledger/ledger.ts'
import { type Ranges, rangesOf } from '../policy/address.ts'
import { type DoorRules, withRules } from '../policy/door.ts'
import { createIdentify, isLoopbackHost, isWeakKey } from '../policy/identify.ts'
import { loadCatalogue } from '../provider/catalogue.node.ts'
import { type Catalogue, createCatalogueHolder } from '../provider/catalogue.ts'
import type { Deployment } from '../provider/deployment.ts'
import { durationMs } from '../store/durations.ts'
import type { OpenBooks } from './books.node.ts'
import { adminKey, openDataDir } from './data.node.ts'
import { type ConfigFiles, openLive } from './live.node.ts'
import { openPrices } from './prices.node.ts'
import { watchRotation } from './rotation.node.ts'
import { createSchemes } from './schemes.node.ts'

export type StartOptions = {
  config: Config
  /** The files `config` was read from, which are read again when they change; absent where there were none. */
  files?: ConfigFiles | undefined
  env: Readonly<Record<string, string | undefined>>
  settings: EnvSettings
  dataDir: string
  /** As asked for on the command line; absent: the environment, then the rule of `addressFor`. */
  host?: string | undefined
  port?: number | undefined
  tls?:
    | { keyPath: string | undefined; certPath: string | undefined; ciphers?: string | undefined }
    | undefined
  log: Rooms['log']
  /** Where answers are kept that providers do not keep; absent: in this process. */
  answers?: KeptAnswers | undefined
}

export type Running = {
  url: string
  host: string
  port: number
  rooms: Rooms
  /** The generated key, where no master key is set. */
  admin: { key: string; created: boolean } | undefined
  /** Why this address was chosen, where nobody asked for one. */
  addressNote: string | undefined
  /** Reads the config files again; absent where there are none. Never rejects: the log tells. */
  reload?: () => Promise<void>
  /** Stops accepting, lets running answers finish, then cuts them. */
  close(graceMs?: number): Promise<void>
}

/** From settings to a listening server. Throws GatewayError with one clear line where it cannot start. */
export async function startServer(options: StartOptions): Promise<Running> {
  const { config, settings, dataDir, log } = options
  const { masterKey, permitWeak } = accessOf(options)
  const at = addressFor({ host: options.host ?? settings.host, masterKey, permitWeak })
  const tls = await readTls(options)
  await openDataDir(dataDir)
  const served: { rooms?: Rooms } = {}
  const rooms = (): Rooms => {
    if (!served.rooms) throw new GatewayError('unavailable', 'the gateway is still starting')
    return served.rooms
  }
  const opening = import('./books.node.ts').then(({ openBooks }) =>
    openBooks({ config, settings, env: options.env, dataDir, masterKey, log, rooms }),
  )
  try {
    return await listen(options, { at, tls, opening, served })
  } catch (cause) {
    // What was opened is closed where the start fails further on, as on a port that is taken.
    await opening.then(({ books }) => books.close()).catch(() => {})
    throw cause
  }
}

/** Two hundred routes with their schemas, which a gateway that only answers models never needs: 10 MB and 100 ms of a start. */
const management = async () => (await import('../admin/admin.ts')).adminRoutes

type Opened = {
  at: ReturnType<typeof addressFor>
  tls: Awaited<ReturnType<typeof readTls>>
  opening: Promise<OpenBooks>
  served: { rooms?: Rooms }
}

async function listen(
  options: StartOptions,
  { at, tls, opening, served }: Opened,
): Promise<Running> {
  const { config, env, settings, log } = options
  const { masterKey, permitWeak } = accessOf(options)
  const loopback = isLoopbackHost(at.host)
  const [catalogue, { books, find, access, admit, spentWith, follow }] = await Promise.all([
    loadCatalogue({ dataDir: options.dataDir, env: (name) => env[name] }),
    opening,
  ])
  const admin = masterKey === undefined ? await adminKey(options.dataDir) : undefined
  const holder = createCatalogueHolder(catalogue)
  const defaults = connectionFor(config, env)
  const way = lazyTransport({
    env,
    defaults,
    connectionsMax: 4096,
    waitingMax: 65_536,
  })
  const deps: OpenDeps = {
    ...depsOf(options, holder),
    transport: way.transport,
    dial: async (call) =>
      (await import('../call/dial.node.ts')).createDial({ env, defaults })(call),
    media: lazyMedia(options),
    // The same for every gateway of these settings, and after a restart.
    memory: {
      secret: settings.saltKey ?? masterKey ?? admin?.key,
      answers: options.answers,
    },
    identify: withRules(
      createIdentify({
        masterKey,
        adminKey: admin?.key,
        open: masterKey === undefined && loopback,
        openToAll: masterKey === undefined && !loopback && permitWeak,
        headerName: config.general.litellm_key_header_name,
        find,
      }),
      rulesOf(config),
    ),
    ledger: createLedger(
      settings.logLevel === 'DEBUG'
        ? [
            (entry) =>
              log('debug', 'request', {
                ...entry,
                usage: undefined,
                ...entry.usage,
                raw: undefined,
              }),
          ]
        : [],
      (cause) => log('error', 'a ledger sink failed', { cause }),
      books,
    ),
    books,
    access,
    admit,
    spentWith,
    // Open by default once a key protects the routes, as LiteLLM's; never without one.
    corsOrigins: masterKey === undefined ? [] : (settings.corsOrigins ?? ['*']),
  }
  const rooms: Rooms = openRooms(config, deps)
  served.rooms = rooms
  const live = await openLive({
    rooms,
    deps,
    config,
    store: books.store,
    env,
    files: options.files,
    log,
    onServed: follow,
  })
  const startRotation = rotationOf(options, books)
  const sockets = lazySockets(createUpgrade(rooms), options)
  const server = createNodeServer(createGateway(rooms, management), {
    limits: limitsOf(config, settings),
    tls,
    rootPath: settings.rootPath,
    onUpgrade: sockets.admit,
    bodyLimitOf: uploadLimit(config),
    onError: (cause) => log('error', 'the server failed on a request', { cause }),
  })
  const address = await server.listen({
    host: at.host,
    port: options.port ?? settings.port ?? 4000,
  })
  way
    .load()
    .catch((cause: unknown) =>
      log('error', 'the HTTP client cannot be loaded: install the package again', { cause }),
    )
  let booksClosed: Promise<void> | undefined
  const prices = openPrices({
    env: (name) => env[name],
    dataDir: options.dataDir,
    holder,
    store: books.store,
    served: async () => rooms.live?.refresh(),
    fetch: globalThis.fetch,
    log,
  })
  rooms.prices = prices
  const unwatch = [
    watchBatches(rooms, books.leads),
    watchJobs(rooms, books.leads),
    ...startRotation(),
  ]
  return {
    url: address.url,
    host: address.host,
    port: address.port,
    rooms,
    admin,
    addressNote: at.note,
    ...(live.reload && { reload: live.reload }),
    async close(graceMs = graceMsOf(options)) {
      prices.close()
      for (const end of unwatch) end()
      live.close()
      sockets.close()
      await server.close({ graceMs })
      await way.close()
      await (booksClosed ??= books.close())
    },
  }
}

/** How long answers may go on once the server closes. */
export const graceMsOf = ({
  config,
  settings,
}: Pick<StartOptions, 'config' | 'settings'>): number =>
  (settings.graceSeconds ?? config.limits.grace_seconds) * 1000

/** Keys that rotate by themselves, where that is wanted. */
function rotationOf(
  { config, env, settings, log }: StartOptions,
  books: OpenBooks['books'],
): () => (() => void)[] {
  if (settings.keyRotation !== true) return () => []
  const { keyRotationSeconds = 86_400, keyRotationGrace } = settings
  const graceMs = keyRotationGrace === undefined ? undefined : durationMs(keyRotationGrace)
  if (keyRotationGrace !== undefined && graceMs === undefined)
    throw new GatewayError(
      'internal',
      'LITELLM_KEY_ROTATION_GRACE_PERIOD is no duration: write it as 30m, 24h or 7d',
    )
  const everyMs = keyRotationSeconds * 1000
  return () => [watchRotation({ books, config, env, everyMs, graceMs, log })]
}

/** What a start with these settings would serve. Nothing is opened and nothing is sent. */
export async function planDeployments(
  options: Pick<StartOptions, 'config' | 'env' | 'settings' | 'dataDir' | 'log'>,
): Promise<{ deployments: readonly Deployment[]; catalogue: Catalogue }> {
  const { config, env, dataDir } = options
  const catalogue = await loadCatalogue({ dataDir, env: (name) => env[name] })
  const nobody = () => {
    throw new GatewayError('internal', 'a plan serves nobody')
  }
  const rooms = openRooms(config, {
    ...depsOf(options, createCatalogueHolder(catalogue)),
    transport: nobody,
    identify: nobody,
    ledger: createLedger([], nobody),
    corsOrigins: [],
  })
  return { deployments: rooms.router.groups.all(), catalogue }
}

/** What rooms need besides those who come in and the way out. */
function depsOf(
  { env, settings, log }: Pick<StartOptions, 'env' | 'settings' | 'log'>,
  holder: ReturnType<typeof createCatalogueHolder>,
): Omit<OpenDeps, 'transport' | 'identify' | 'ledger' | 'corsOrigins'> {
  return {
    env: (name) => env[name],
    catalogue: {
      get current() {
        return holder.current
      },
      loaded: async () => holder.current,
    },
    tokens: lazyTokens(log),
    log,
    connectionOf: rowConnection(),
    schemes: createSchemes(env),
    defaults: {
      dropParams: settings.dropParams ?? false,
      modifyParams: settings.modifyParams ?? false,
      requestTimeoutSeconds: settings.requestTimeoutSeconds ?? 6000,
      retries: settings.maxRetries ?? 2,
      allowedFails: settings.allowedFails,
      cooldownSeconds: settings.cooldownSeconds ?? 5,
      maxFallbacks: settings.maxFallbacks ?? 5,
      storePrompts: settings.storePrompts,
      promptLength: settings.promptLength,
    },
    docs: settings.noDocs !== true,
  }
}

/**
 * Loading what calls providers (TLS and zlib come with it) takes 15 ms of a start, and only calls need it: it is loaded
 * once the port is open, and a call that comes sooner waits for it.
 */
function lazyTransport(options: NodeTransportOptions) {
  let opened: (Transport & { close(): Promise<void> }) | undefined
  let opening: Promise<Transport & { close(): Promise<void> }> | undefined
  const load = () =>
    (opening ??= import('../call/transport.node.ts').then(
      ({ nodeTransport }) => (opened = nodeTransport(options)),
    ))
  const transport: Transport = (request) =>
    opened ? opened(request) : load().then((loaded) => loaded(request))
  return { transport, load, close: async () => (await opening)?.close() }
}

/** The package for WebSockets is loaded with the first one. */
function lazySockets(upgrade: Upgrade, { config, settings, log }: StartOptions) {
  let opening: Promise<SocketDoor> | undefined
  const open = async (): Promise<SocketDoor> => {
    const { createSocketDoor } = await import('../http/socket.node.ts')
    return createSocketDoor(upgrade, {
      root: rootOf(settings.rootPath),
      messageBytes: limitsOf(config, settings).bodyBytes,
      idleMs: 15 * 60_000,
      pingMs: 30_000,
      stallMs: 300_000,
      onError: (cause) => log('error', 'a WebSocket failed', { cause }),
    })
  }
  return {
    admit(request: IncomingMessage, socket: Duplex, head: Buffer): void {
      // Whoever leaves before the package is there breaks nothing.
      socket.on('error', () => socket.destroy())
      opening ??= open()
      opening.then(
        (door) => door.admit(request, socket, head),
        (cause: unknown) => {
          log('error', 'the package for WebSockets cannot be loaded: install it again', { cause })
          socket.destroy()
        },
      )
    },
    close: (): void => void opening?.then((door) => door.close()).catch(() => {}),
  }
}

/** Most gateways never fetch for a client: what it takes is loaded when one asks. */
function lazyMedia({ config, env }: Pick<StartOptions, 'config' | 'env'>): FetchMedia {
  let opening: Promise<FetchMedia> | undefined
  const open = async (): Promise<FetchMedia> => {
    const { createMediaFetch } = await import('../call/media.node.ts')
    const { user_url_validation, user_url_allowed_hosts } = config.settings
    return createMediaFetch({
      validate: user_url_validation,
      allowedHosts: user_url_allowed_hosts,
      connection: connectionFor(config, env),
      env,
    })
  }
  return async (url, wanted) => (await (opening ??= open()))(url, wanted)
}

/** The key that opens everything, and whether a bad one is meant. */
export const accessOf = ({ config, settings }: Pick<StartOptions, 'config' | 'settings'>) => ({
  masterKey: config.general.master_key ?? settings.masterKey,
  permitWeak:
    config.general.dangerously_permit_weak_or_unset_master_key === true ||
    settings.permitWeakMasterKey === true,
})

/**
 * Who may reach the port. Without a strong master key it is this machine only; asked to open further, it refuses and
 * says what to do, because a gateway holds other people's credentials.
 */
export function addressFor({
  host,
  masterKey,
  permitWeak,
}: {
  host: string | undefined
  masterKey: string | undefined
  permitWeak: boolean
}): { host: string; note: string | undefined } {
  const weak = masterKey !== undefined && isWeakKey(masterKey)
  if (host === undefined) {
    if (masterKey === undefined) return { host: '127.0.0.1', note: undefined }
    if (!weak)
      return {
        host: '0.0.0.0',
        note: 'a master key is set and no --host: listening on all addresses, as LiteLLM does',
      }
    return {
      host: '127.0.0.1',
      note: 'the master key is weak: listening on this machine only. Set one of 16 characters or more to let others in',
    }
  }
  if (isLoopbackHost(host) || permitWeak) return { host, note: undefined }
  if (masterKey === undefined)
    throw new GatewayError(
      'internal',
      `will not listen on ${host} without a master key: everybody who reaches it could use your provider accounts. Set LITELLM_MASTER_KEY (16 characters or more), or listen on 127.0.0.1`,
    )
  if (weak)
    throw new GatewayError(
      'internal',
      `will not listen on ${host} with a weak master key (a publicly known one, or under 16 characters): set a stronger LITELLM_MASTER_KEY, for example sk-$(openssl rand -hex 16), or LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true`,
    )
  return { host, note: undefined }
}

/** Who may come from where, and what is open at all. What is no address is an error: it would shut somebody out, or in. */
function rulesOf(config: Config): DoorRules {
  const { allowed_ips, trusted_proxy_ranges, allowed_routes, admin_only_routes } = config.general
  const ranges = (said: readonly string[], where: string): Ranges =>
    rangesOf(said, (one) => {
      throw new GatewayError(
        'internal',
        `general_settings.${where} has "${one.slice(0, 100)}", which is no address: write 10.1.2.3, 10.0.0.0/8 or fd00::/8`,
      )
    })
  return {
    allowed: allowed_ips && ranges(allowed_ips, 'allowed_ips'),
    addresses: {
      forwarded: config.general.use_x_forwarded_for === true,
      trusted: ranges(trusted_proxy_ranges ?? [], 'trusted_proxy_ranges'),
    },
    routes: allowed_routes,
    adminRoutes: admin_only_routes ?? [],
  }
}

const mega = 1024 * 1024

/** Files are larger than words, and pass without being held. */
function uploadLimit({ limits, general }: Config): (path: string) => number | undefined {
  const bytes = limits.upload_mb * mega
  return (path) =>
    general.max_request_size_mb === undefined && takesFiles.test(path) ? bytes : undefined
}
const takesFiles =
  /\/(audio\/(transcriptions|translations)|images\/(edits|variations)|files|videos)$/

function limitsOf({ limits, general }: Config, settings: EnvSettings) {
  return {
    bodyBytes: (general.max_request_size_mb ?? limits.json_body_mb) * mega,
    headBytes: limits.head_kb * 1024,
    headMs: limits.head_seconds * 1000,
    bodyIdleMs: limits.body_idle_seconds * 1000,
    connections: limits.connections,
    ...(settings.keepAliveSeconds !== undefined && {
      keepAliveMs: settings.keepAliveSeconds * 1000,
    }),
  }
}

async function readTls({ tls, settings }: StartOptions) {
  const keyPath = tls?.keyPath ?? settings.tlsKeyPath
  const certPath = tls?.certPath ?? settings.tlsCertificatePath
  if (keyPath === undefined && certPath === undefined) return undefined
  // One of them alone must not end in plain HTTP.
  if (keyPath === undefined || certPath === undefined)
    throw new GatewayError(
      'bad_request',
      `HTTPS needs a key and a certificate: ${keyPath === undefined ? '--ssl_keyfile_path (SSL_KEYFILE_PATH)' : '--ssl_certfile_path (SSL_CERTFILE_PATH)'} is missing`,
    )
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8')
    } catch (cause) {
      throw new GatewayError('internal', `cannot read ${path} for TLS`, { cause })
    }
  }
  return { key: await read(keyPath), cert: await read(certPath), ciphers: tls?.ciphers }
}

const readPem = (path: string): string => readFileSync(path, 'utf8')

/** TLS towards providers: litellm_settings over the environment. */
function connectionFor({ settings }: Config, env: StartOptions['env']): Connection {
  return connectionFromEnv(
    {
      ...env,
      ...(settings.ssl_verify !== undefined && { SSL_VERIFY: String(settings.ssl_verify) }),
      ...(settings.ssl_certificate !== undefined && { SSL_CERTIFICATE: settings.ssl_certificate }),
    },
    readPem,
  )
}

/** The same keys in one row. */
function rowConnection() {
  return (params: JsonObject): Connection | undefined => {
    const { ssl_verify, ssl_certificate } = params
    if (ssl_verify === undefined && ssl_certificate === undefined) return undefined
    return connectionFromEnv(
      {
        ...(ssl_verify !== undefined && { SSL_VERIFY: String(ssl_verify) }),
        ...(typeof ssl_certificate === 'string' && { SSL_CERTIFICATE: ssl_certificate }),
      },
      readPem,
    )
  }
}

/** Exact tokenizers cost memory and a few milliseconds: only a gateway that has to count loads them. */
function lazyTokens(log: Rooms['log']): Tokens {
  let encoderFor: ((model: string) => Encoder) | undefined
  let loading: Promise<void> | undefined
  const load = async (): Promise<void> => {
    try {
      const { loadTokenizers } = await import('../chat/tokenizer.node.ts')
      encoderFor = await loadTokenizers()
    } catch (cause) {
      log('warn', 'the tokenizers cannot be loaded: token counts are estimates', { cause })
    }
  }
  return {
    counter: createTokenCounter({ encoderFor: (model) => encoderFor?.(model) }),
    ready: () => (loading ??= load()),
  }
}
