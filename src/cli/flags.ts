import type { JsonObject } from '../json/json.ts'

/** How the value of a flag is read. `switch` takes none; `maybe` may have one, after `=` or as an address behind it. */
type Kinds = {
  switch: true
  text: string
  assignment: Record<string, string>
  maybe: string | true
  truth: boolean
  integer: number
  number: number
  headers: JsonObject
}

export type Command = 'serve' | 'check' | 'models' | 'migrate' | 'move' | 'import'

export type Flag<K extends keyof Kinds = keyof Kinds> = {
  kind: K
  about: string
  /** One letter. */
  short?: string
  /** How the value is called in the help. */
  value?: string
  min?: number
  max?: number
  /** The commands it belongs to; absent: all. */
  of?: readonly Command[]
  /** Accepted for LiteLLM's sake, without effect: what is said when it is given. */
  idle?: string
  /** It was for something that does not exist here: what is said instead of starting. */
  gone?: string
  /** Heading of the help it stands under. */
  group?: 'model' | 'server' | 'act'
}

type More = Omit<Flag, 'kind' | 'about'>
const flag = <K extends keyof Kinds>(kind: K, about: string, more: More = {}): Flag<K> => ({
  kind,
  about,
  ...more,
})
const idle = <K extends keyof Kinds>(kind: K, why: string): Flag<K> =>
  flag(kind, why, { idle: why })
const gone = (why: string): Flag<'switch'> => flag('switch', why, { gone: why })

const server = { group: 'server' } as const
const model = { group: 'model' } as const
const act = { group: 'act' } as const
const noRecycling = 'has no effect: a worker that dies is replaced, and none that lives'
const oneServer = 'has no effect: the server is built in'
const noPrisma = 'has no effect: there is no Prisma here, and migrations run by themselves'

// biome-ignore format: a table reads by the line
/** Every flag, by LiteLLM's spelling of it (1.106.2); `-` in place of `_` means the same. */
export const flags = {
  config: flag('text', 'Settings and models; without it, provider keys of the environment are used.', { short: 'c', value: 'FILE' }),
  host: flag('text', 'Address to listen on (HOST).', { value: 'ADDRESS', ...server }),
  port: flag('integer', 'Port to listen on (PORT); 0 takes any free one.', { short: 'p', min: 0, max: 65535, ...server }),
  data_dir: flag('text', 'Folder for what the gateway keeps (THROUGHWAY_DATA_DIR).', { value: 'FOLDER', ...server }),
  ssl_keyfile_path: flag('text', 'Key for HTTPS, a PEM file (SSL_KEYFILE_PATH).', { value: 'FILE', ...server }),
  ssl_certfile_path: flag('text', 'Its certificate (SSL_CERTFILE_PATH).', { value: 'FILE', ...server }),
  ciphers: flag('text', 'Ciphers of HTTPS, as OpenSSL writes them.', { value: 'LIST', ...server }),
  keepalive_timeout: flag('integer', 'Seconds an idle connection of a client is kept (KEEPALIVE_TIMEOUT).', { min: 0, value: 'SECONDS', ...server }),
  num_workers: flag('integer', 'Processes that serve, on one port and one database (NUM_WORKERS).', { min: 1, ...server }),
  debug: flag('switch', 'Log every request (never its content).', server),
  detailed_debug: flag('switch', 'The same.', server),

  model: flag('text', 'Serve this model without a config; any name asked for gets it.', { short: 'm', value: 'PROVIDER/MODEL', ...model }),
  alias: flag('text', 'Its public name.', { value: 'NAME', ...model }),
  api_base: flag('text', 'Where it is, if not at its provider.', { value: 'URL', ...model }),
  api_version: flag('text', 'Version of the API (Azure).', { value: 'DATE', ...model }),
  add_key: flag('assignment', 'A key for this start. Others on the machine can see it: better set the variable.', { value: 'NAME=VALUE', ...model }),
  headers: flag('headers', 'Headers sent to it, as a JSON map.', { value: 'JSON', ...model }),
  temperature: flag('number', 'Used where a request says none.', { min: 0, ...model }),
  max_tokens: flag('integer', 'The same.', { min: 1, ...model }),
  request_timeout: flag('integer', 'Longest wait for an answer, in seconds.', { min: 1, value: 'SECONDS' }),
  drop_params: flag('switch', 'Drop parameters a provider does not take, instead of refusing them.'),

  health: flag('switch', 'Ask the running gateway how its models are, and exit.', act),
  test: flag('maybe', 'Send a test chat to the running gateway (or to a URL), and exit.', { value: 'URL', ...act }),
  validate_config: flag('switch', 'As the command check, but a missing key is no failure.', act),
  skip_server_startup: flag('switch', 'Do everything up to listening, and exit.', act),
  json: flag('switch', 'Print JSON.', { of: ['check', 'models'] }),
  to: flag('text', 'PostgreSQL that the command move copies to: postgres://USER@HOST/NAME.', { value: 'URL', of: ['move'] }),
  from: flag('text', "LiteLLM's PostgreSQL, which `import litellm` reads (DATABASE_URL).", { value: 'URL', of: ['import'] }),
  days: flag('integer', 'How many days of requests it brings over (30); 0: none.', { min: 0, max: 36500, of: ['import'] }),
  dry_run: flag('switch', 'It writes nothing, and says what it would.', { of: ['import'] }),
  version: flag('switch', 'Print the version.', { short: 'v', ...act }),
  help: flag('switch', 'Print this.', { short: 'h', ...act }),

  max_budget: idle('number', 'is NOT ENFORCED by this build: nothing stops at that sum'),
  save: idle('switch', 'saves nothing: write the model into a config file'),
  use_queue: idle('switch', 'has no effect: there is no queue'),
  add_function_to_prompt: idle('switch', 'has no effect: tools are sent as tools'),
  telemetry: idle('truth', 'has no effect: nothing is ever reported'),
  log_config: idle('text', 'has no effect: LITELLM_LOG sets the level, JSON_LOGS the form'),
  run_gunicorn: idle('switch', oneServer),
  run_hypercorn: idle('switch', oneServer),
  run_granian: idle('switch', oneServer),
  granian_threads: idle('integer', oneServer),
  local: idle('switch', 'has no effect'),
  use_prisma_db_push: idle('switch', noPrisma),
  enforce_prisma_migration_check: idle('switch', noPrisma),
  use_v2_migration_resolver: idle('switch', noPrisma),
  use_legacy_migration_resolver: idle('switch', noPrisma),
  iam_token_db_auth: idle('switch', 'has no effect in this build: the login stands in DATABASE_URL'),
  azure_postgresql_auth: idle('switch', 'has no effect in this build: the login stands in DATABASE_URL'),
  timeout_worker_healthcheck: idle('integer', noRecycling),
  max_requests_before_restart: idle('integer', noRecycling),
  max_requests_before_restart_jitter: idle('integer', noRecycling),
  limit_concurrency: idle('integer', 'has no effect: general_settings.limits.connections bounds connections'),
  reload: idle('switch', 'has no effect: `node --watch` starts it again when a file changes'),
  prometheus_metrics_port: idle('integer', 'has no effect: this build has no port for metrics'),
  num_requests: idle('integer', 'has no effect: it was for --test_async'),
  test_async: gone('is not here: --test sends a test chat'),
  setup: gone('is not here, because nothing has to be set up: start without flags, or write a config file and start with --config FILE'),
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof flags

/** What was said on the command line. */
export type Options = { -readonly [K in FlagName]?: Kinds[(typeof flags)[K]['kind']] }

export const isFlag = (name: string): name is FlagName => Object.hasOwn(flags, name)

/** As it is written: `--api_base`. Our own are written with `-`. */
export const spelt = (name: FlagName): string =>
  name === 'data_dir' || name === 'dry_run' ? `--${name.replace('_', '-')}` : `--${name}`
