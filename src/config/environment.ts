import * as z from 'zod'
import * as k from './kinds.ts'
import type { Notice } from './notice.ts'

/** One environment variable this build acts on. */
export type Variable<K extends z.ZodType = z.ZodType> = {
  name: string
  kind: K
  about: string
  default?: string
}

const variable = <K extends z.ZodType>(
  name: string,
  kind: K,
  about: string,
  usual?: string,
): Variable<K> => ({
  name,
  kind,
  about,
  ...(usual === undefined ? {} : { default: usual }),
})

const logLevels = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const
const logLevel = z
  .string()
  .transform((word) => logLevels.find((level) => level === word.trim().toUpperCase()))
  .refine((level) => level !== undefined, `expected one of ${logLevels.join(', ')}`)

/** `a, b,c` */
const commas = z.string().transform((line) =>
  line
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== ''),
)
/** Set at all, whatever to: the rule of no-color.org. */
const presence = z.string().transform(() => true)
const rootPath = z
  .string()
  .regex(/^\/[^?#\s]*$/, 'expected a path that begins with /')
  .transform((path) => path.replace(/\/{1,100}$/, ''))

// biome-ignore format: a table reads by the line
/** The variables, by the name their value has in EnvSettings. */
export const variables = {
  masterKey: variable('LITELLM_MASTER_KEY', k.text, 'The admin key, if general_settings.master_key does not say it.'),
  permitWeakMasterKey: variable('LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY', k.flag, 'Start without a master key, or with a publicly known one.', 'false'),
  saltKey: variable('LITELLM_SALT_KEY', k.text, 'Key that stored credentials are encrypted with.', 'the master key'),
  databaseUrl: variable('DATABASE_URL', k.text, 'PostgreSQL. Made of the DATABASE_… parts when it is not set.'),
  databaseHost: variable('DATABASE_HOST', k.text, 'Its parts: host,'),
  databaseUsername: variable('DATABASE_USERNAME', k.text, 'user (or DATABASE_USER),'),
  databasePassword: variable('DATABASE_PASSWORD', k.text, 'password,'),
  databaseName: variable('DATABASE_NAME', k.text, 'name,'),
  databasePort: variable('DATABASE_PORT', k.port, 'port,', '5432'),
  databaseSchema: variable('DATABASE_SCHEMA', k.text, 'and schema.'),
  dataDirectory: variable('THROUGHWAY_DATA_DIR', k.text, "Throughway's own: folder of the built-in database."),
  host: variable('HOST', k.text, 'Address to listen on.', '0.0.0.0'),
  port: variable('PORT', k.port, 'Port to listen on.', '4000'),
  configPath: variable('CONFIG_FILE_PATH', k.text, 'The configuration, when --config does not say it.'),
  rootPath: variable('SERVER_ROOT_PATH', rootPath, 'Path under which everything is served.'),
  workers: variable('NUM_WORKERS', k.positive, 'Processes.', '1'),
  keepAliveSeconds: variable('KEEPALIVE_TIMEOUT', k.seconds, 'How long an idle client connection is kept.'),
  graceSeconds: variable('GRACEFUL_SHUTDOWN_TIMEOUT', k.seconds, 'How long running requests may go on after SIGTERM.', '30'),
  tlsKeyPath: variable('SSL_KEYFILE_PATH', k.text, 'Key of the server.'),
  tlsCertificatePath: variable('SSL_CERTFILE_PATH', k.text, 'Certificate of the server.'),
  corsOrigins: variable('LITELLM_CORS_ORIGINS', commas, 'Origins whose pages may call, with commas between.', '*'),
  corsCredentials: variable('LITELLM_CORS_ALLOW_CREDENTIALS', k.flag, 'They may send credentials.'),
  noDocs: variable('NO_DOCS', k.flag, 'No page of API docs.', 'false'),
  docsUrl: variable('DOCS_URL', k.text, 'Path of that page.', '/'),
  noOpenapi: variable('NO_OPENAPI', k.flag, 'No OpenAPI document.', 'false'),
  dropParams: variable('LITELLM_DROP_PARAMS', k.flag, 'litellm_settings.drop_params', 'false'),
  modifyParams: variable('LITELLM_MODIFY_PARAMS', k.flag, 'litellm_settings.modify_params', 'false'),
  requestTimeoutSeconds: variable('REQUEST_TIMEOUT', k.seconds, 'litellm_settings.request_timeout', '6000'),
  maxRetries: variable('DEFAULT_MAX_RETRIES', k.count, 'Retries when no setting says how many.', '2'),
  allowedFails: variable('DEFAULT_ALLOWED_FAILS', k.count, 'allowed_fails when no setting says it.', '3'),
  cooldownSeconds: variable('DEFAULT_COOLDOWN_TIME_SECONDS', k.seconds, 'cooldown_time when no setting says it.', '5'),
  maxFallbacks: variable('ROUTER_MAX_FALLBACKS', k.count, 'max_fallbacks when no setting says it.', '5'),
  jwtKeyUrl: variable('JWT_PUBLIC_KEY_URL', commas, "Where the keys are that sign tokens: an issuer's key set or its discovery document; several with commas between."),
  jwtAudience: variable('JWT_AUDIENCE', k.text, 'Whom tokens must be meant for.'),
  jwtIssuer: variable('JWT_ISSUER', k.text, 'Who must have issued them.'),
  storePrompts: variable('STORE_PROMPTS_IN_SPEND_LOGS', k.flag, 'general_settings.store_prompts_in_spend_logs', 'false'),
  promptLength: variable('MAX_STRING_LENGTH_PROMPT_IN_DB', k.count, 'Longest string of a prompt or an answer that is kept whole; 0: any.', '2048'),
  keyRotation: variable('LITELLM_KEY_ROTATION_ENABLED', k.flag, 'Rotate keys that say auto_rotate; new ones are written where general_settings.key_management_system says.', 'false'),
  keyRotationSeconds: variable('LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS', k.seconds, 'How often they are looked for.', '86400'),
  keyRotationGrace: variable('LITELLM_KEY_ROTATION_GRACE_PERIOD', k.text, 'How long the old key goes on, as 24h.'),
  webhookUrl: variable('WEBHOOK_URL', k.text, 'Where events of soft budgets are posted (general_settings.alerting: webhook).'),
  slackWebhookUrl: variable('SLACK_WEBHOOK_URL', k.text, "Slack's address for them (alerting: slack), or ALERTING_WEBHOOK_URL."),
  logLevel: variable('LITELLM_LOG', logLevel, `${logLevels.join(', ')}.`, 'INFO'),
  jsonLogs: variable('JSON_LOGS', k.flag, 'Log lines as JSON.', 'false'),
  noColor: variable('NO_COLOR', presence, 'Set at all: no colours.'),
  mode: variable('LITELLM_MODE', k.text, 'PRODUCTION: no .env is read.', 'DEV'),
  localCostMap: variable('LITELLM_LOCAL_MODEL_COST_MAP', k.flag, 'Only the prices that came with the program.', 'false'),
  costMapUrl: variable('LITELLM_MODEL_COST_MAP_URL', k.text, 'Where newer prices are.'),
  sslVerify: variable('SSL_VERIFY', k.flagOrText, 'Check the certificates of upstreams; a path names a bundle of authorities.', 'true'),
  sslCertFile: variable('SSL_CERT_FILE', k.text, 'Bundle of authorities.'),
  sslCertificate: variable('SSL_CERTIFICATE', k.text, 'Client certificate shown to upstreams (a path).'),
} satisfies Record<string, Variable>

export type EnvSettings = {
  -readonly [K in keyof typeof variables]?: z.output<(typeof variables)[K]['kind']>
} & {
  /** What a variable holds that it cannot mean. Do not start with these. */
  errors: Notice[]
}

/** What the environment says about the server. An empty variable counts as not set. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): EnvSettings {
  const out: Record<string, unknown> = {}
  const errors: Notice[] = []
  for (const [field, { name, kind }] of Object.entries(variables)) {
    const value = env[name] ?? (name === 'DATABASE_USERNAME' ? env.DATABASE_USER : undefined)
    if (value === undefined || value.trim() === '') continue
    const read: z.ZodSafeParseResult<unknown> = z.safeParse<z.ZodType>(kind, value, {
      jitless: true,
    })
    if (read.success) out[field] = read.data
    else
      errors.push({
        file: 'environment',
        path: name,
        message: `${read.error.issues[0]?.message ?? 'not understood'}, found ${shown(name, value)}`,
      })
  }
  const settings = out as Omit<EnvSettings, 'errors'> // each field was read by the kind the type is made of
  const databaseUrl = settings.databaseUrl ?? urlOf(settings)
  return { ...settings, ...(databaseUrl === undefined ? {} : { databaseUrl }), errors }
}

function urlOf(parts: Omit<EnvSettings, 'errors'>): string | undefined {
  const {
    databaseHost: host,
    databaseName: name,
    databaseUsername: user,
    databasePassword: password,
  } = parts
  if (host === undefined || name === undefined || user === undefined) return undefined
  const who =
    password === undefined
      ? encodeURIComponent(user)
      : `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  const port = parts.databasePort === undefined ? '' : `:${parts.databasePort}`
  const schema =
    parts.databaseSchema === undefined ? '' : `?schema=${encodeURIComponent(parts.databaseSchema)}`
  return `postgresql://${who}@${host}${port}/${encodeURIComponent(name)}${schema}`
}

const shown = (name: string, value: string): string =>
  /KEY|PASSWORD|URL/.test(name)
    ? 'something else'
    : JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
