import { compact, type JsonObject } from '../json/json.ts'

/** A running gateway, as an agent is led to it. */
export type Way = {
  /** Without a path: `http://127.0.0.1:4000`. */
  base: string
  key: string
  model: string
  /** Every chat model the gateway lists, in its order. */
  models: readonly ListedModel[]
}

export type ListedModel = { id: string; context?: number | undefined; output?: number | undefined }

/** What is to be started: the agent's own files are never written. */
export type Launch = {
  /** Before what the user says. */
  args: readonly string[]
  env: Readonly<Record<string, string>>
  /** Variables that would lead it elsewhere, or make it ask for a login. */
  without: readonly string[]
  /** What has to stand in a file of its home: it gets another one, in which all else is the user's. */
  home?: Home
}

/** `variable` names the home; in it are `folder` and its `file` of settings, which say at least `content`. */
export type Home = { variable: string; folder: string; file: string; content: JsonObject }

export type Agent = {
  title: string
  /** What is looked for in PATH. */
  program: string
  install: string
  /** Which models of a list it is at home with, best first. */
  prefers: readonly RegExp[]
  launch(way: Way): Launch
}

/** The coding agents `throughway NAME` starts. Their settings were read from the releases of November 2026. */
export const agents = {
  claude: {
    title: 'Claude Code',
    program: 'claude',
    install: 'npm install -g @anthropic-ai/claude-code',
    prefers: [/claude.*sonnet/i, /claude.*opus/i, /claude/i],
    launch: claude,
  },
  codex: {
    title: 'Codex',
    program: 'codex',
    install: 'npm install -g @openai/codex',
    prefers: [/gpt-\d[\d.]*-codex$/i, /(^|\/)gpt-[5-9][\d.]*$/i, /gpt/i],
    launch: codex,
  },
  gemini: {
    title: 'Gemini CLI',
    program: 'gemini',
    install: 'npm install -g @google/gemini-cli',
    prefers: [/gemini-\d.*-pro/i, /gemini-\d.*flash/i, /gemini/i],
    launch: gemini,
  },
  opencode: {
    title: 'opencode',
    program: 'opencode',
    install: 'npm install -g opencode-ai',
    prefers: [/claude.*sonnet/i, /(^|\/)gpt-[5-9][\d.]*$/i, /gemini-\d.*-pro/i],
    launch: opencode,
  },
} as const satisfies Record<string, Agent>

export type AgentName = keyof typeof agents

export const isAgent = (word: string | undefined): word is AgentName =>
  word !== undefined && Object.hasOwn(agents, word)

/** The newest of the kind the agent prefers; where it knows none of them, the first. */
export function chooseModel(
  models: readonly ListedModel[],
  prefers: readonly RegExp[],
): ListedModel | undefined {
  for (const kind of prefers) {
    const [best] = models.filter(({ id }) => kind.test(id)).sort(newestFirst)
    if (best) return best
  }
  return models[0]
}

/** `claude-sonnet-4-5` before `claude-sonnet-4-20250514`: a date is no version. */
function newestFirst(a: ListedModel, b: ListedModel): number {
  const [one, other] = [undated(a.id), undated(b.id)]
  return other.localeCompare(one, 'en', { numeric: true }) || a.id.length - b.id.length
}
const undated = (id: string): string =>
  id.replace(/[-@](?:20\d{6}|20\d\d-\d\d-\d\d|latest)(?=$|[-:/@])/g, '')

/**
 * Claude Code sends ANTHROPIC_AUTH_TOKEN as Bearer, and an API key of the user's beside it; what it does in the
 * background it asks of its own haiku, which a gateway need not have.
 */
function claude({ base, key, model, models }: Way): Launch {
  const kind = (word: string): string =>
    chooseModel(
      models.filter(({ id }) => id.toLowerCase().includes(word)),
      [/claude/i],
    )?.id ?? model
  return {
    args: [],
    env: {
      ANTHROPIC_BASE_URL: base,
      ANTHROPIC_AUTH_TOKEN: key,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: kind('haiku'),
      ANTHROPIC_DEFAULT_SONNET_MODEL: kind('sonnet'),
      ANTHROPIC_DEFAULT_OPUS_MODEL: kind('opus'),
      CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY: '1',
    },
    without: [
      'ANTHROPIC_API_KEY',
      'ANTHROPIC_SMALL_FAST_MODEL',
      'CLAUDE_CODE_USE_BEDROCK',
      'CLAUDE_CODE_USE_VERTEX',
      'CLAUDE_CODE_USE_FOUNDRY',
      'CLAUDE_CODE_USE_MANTLE',
      'CLAUDE_CODE_USE_ANTHROPIC_AWS',
      'CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD',
      'CLAUDE_CODE_OAUTH_TOKEN',
    ],
  }
}

/** `-c` goes over config.toml. The key is a variable, because whatever is on a command line can be read by others. */
function codex({ base, key, model, models }: Way): Launch {
  const provider = 'model_providers.throughway'
  const context = models.find(({ id }) => id === model)?.context
  const said: readonly [name: string, value: string | number | undefined][] = [
    ['model', model],
    ['model_provider', 'throughway'],
    [`${provider}.name`, 'Throughway'],
    [`${provider}.base_url`, `${base}/v1`],
    [`${provider}.env_key`, keyVariable],
    [`${provider}.wire_api`, 'responses'],
    ['model_context_window', context],
  ]
  return {
    // JSON's texts and numbers are TOML's.
    args: said.flatMap(([name, value]) =>
      value === undefined ? [] : ['-c', `${name}=${JSON.stringify(value)}`],
    ),
    env: { [keyVariable]: key },
    without: [],
  }
}

/**
 * Which login Gemini CLI uses is a setting that no variable replaces: without it a run without a terminal ends with
 * "Invalid auth method", and a login with Google that was chosen once goes over the key. The settings of the system would
 * go over the user's, but only where root has written them.
 */
function gemini({ base, key, model }: Way): Launch {
  return {
    args: [],
    env: { GOOGLE_GEMINI_BASE_URL: base, GEMINI_API_KEY: key, GEMINI_MODEL: model },
    without: [
      'GOOGLE_API_KEY',
      'GOOGLE_GENAI_USE_VERTEXAI',
      'GOOGLE_GENAI_USE_GCA',
      'GOOGLE_VERTEX_BASE_URL',
      'GEMINI_CLI_USE_COMPUTE_ADC',
    ],
    home: {
      variable: 'GEMINI_CLI_HOME',
      folder: '.gemini',
      file: 'settings.json',
      content: { security: { auth: { selectedType: 'gemini-api-key' } } },
    },
  }
}

/** What stands in OPENCODE_CONFIG_CONTENT goes over the user's files, and is merged with them. */
function opencode({ base, key, model, models }: Way): Launch {
  const listed = models.some(({ id }) => id === model) ? models : [...models, { id: model }]
  const config: JsonObject = {
    model: `throughway/${model}`,
    small_model: `throughway/${model}`,
    provider: {
      throughway: {
        name: 'Throughway',
        npm: '@ai-sdk/openai-compatible',
        options: { baseURL: `${base}/v1`, apiKey: `{env:${keyVariable}}` },
        models: Object.fromEntries(listed.map((one) => [one.id, described(one)])),
      },
    },
  }
  return {
    args: [],
    env: { OPENCODE_CONFIG_CONTENT: JSON.stringify(config), [keyVariable]: key },
    without: [],
  }
}

/** opencode wants both bounds or none. */
const described = ({ id, context, output }: ListedModel): JsonObject =>
  compact({
    name: id,
    limit: context !== undefined && output !== undefined ? { context, output } : undefined,
  })

/** Where an agent that takes the name of a variable finds the key. */
const keyVariable = 'THROUGHWAY_KEY'
