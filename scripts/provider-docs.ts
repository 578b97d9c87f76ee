import { readFileSync, writeFileSync } from 'node:fs'
import {
  modelsNotOffered,
  notOffered,
  operationsNotOffered,
  sandboxesNotOffered,
} from '../src/provider/not-offered.ts'
import { mediaWireOf } from '../src/provider/operations.ts'
import { providers } from '../src/provider/providers.ts'
import type { Auth, Operation, ProviderSpec } from '../src/provider/spec.ts'
import type { Quirks } from '../src/wire/quirks.ts'

/**
 * docs/providers.md, written by the table of providers. `served` are the operations this build really serves; a provider
 * offers those of them that its row lists. With `--check` nothing is written and a page that is out of date is an error.
 */
export function providerDocs(served: readonly Operation[]): string {
  const rows = Object.entries<ProviderSpec>(providers).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    '# Providers',
    '',
    'Written by `node scripts/provider-docs.ts` from `src/provider/providers.ts`; change the table, not this page.',
    '',
    `A model is named \`provider/model\`, as in \`groq/llama-3.3-70b-versatile\`. ${rows.length} providers are on offer. Clients of`,
    'every API the gateway speaks (chat completions, Responses, Messages) reach all of them.',
    '',
    'A key comes from `api_key` in the row of `model_list`, else from the first environment variable below that is set; an',
    'address from `api_base`, else from the environment, else it is the one below.',
    '',
    ...grid(rows, served),
    '',
    '## Where they differ',
    '',
    'What the gateway does so that an OpenAI client need not know the difference. A parameter that is refused gives an',
    'error that names it, or is left out where `drop_params` is set. The role `developer` is sent as `system` to all that are',
    `compatible with OpenAI but ${code(rows.flatMap(([id, spec]) => (spec.knowsDeveloper ? [id] : [])))}.`,
    '',
    ...rows.flatMap(([id, spec]) => differences(id, spec)),
    '',
    '## What is not offered',
    '',
    "Prefixes of LiteLLM's that lead to no model here.",
    '',
    ...Object.entries(notOffered)
      .filter(([id]) => !Object.hasOwn(providers, id))
      .map(([id, why]) => `- \`${id}/\`: ${why}`),
    '',
    `Sandboxes that run code: ${code(sandboxesNotOffered)}; none is offered.`,
    '',
    'At providers that are on offer:',
    '',
    ...Object.entries(modelsNotOffered).flatMap(([id, models]) =>
      models.map(({ begins, why }) => `- \`${id}/${begins}\`: ${why}`),
    ),
    ...Object.entries(operationsNotOffered).flatMap(([id, rows]) =>
      Object.entries(rows).map(
        ([operation, why]) => `- \`${id}/\` ${operation.replaceAll('_', ' ')}: ${why}`,
      ),
    ),
    '',
  ].join('\n')
}

/** Chat is every row's own wire; what else a row lists is offered where the house knows the way. */
const offers = (spec: ProviderSpec, operation: Operation): boolean =>
  operation === 'chat' || operation === 'text_completion'
    ? spec.operations.includes(operation)
    : mediaWireOf(spec, operation) !== undefined

function grid(rows: readonly [string, ProviderSpec][], served: readonly Operation[]): string[] {
  const marks = (spec: ProviderSpec) =>
    served.map((operation) => (offers(spec, operation) ? ' ✓ |' : ' |')).join('')
  return [
    `| Provider | Name |${served.map((operation) => ` ${operation.replaceAll('_', ' ')} |`).join('')} Key | Address |`,
    `| --- | --- |${served.map(() => ' :-: |').join('')} --- | --- |`,
    ...rows.map(
      ([id, spec]) =>
        `| \`${id}/\` | ${spec.docs ? `[${spec.name}](${spec.docs})` : spec.name} |${marks(spec)} ${keyOf(spec.auth)} | ${addressOf(spec)} |`,
    ),
  ]
}

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

function keyOf(auth: Auth): string {
  if ('none' in auth) return 'none'
  const names = 'bearer' in auth ? auth.bearer : (auth.env ?? [])
  const optional = 'scheme' in auth || !auth.optional ? '' : ' (optional)'
  return `${names.length > 0 ? code(names) : '`api_key` of the row'}${optional}`
}

/** Places are shown by their first name: `{A|B=eu}` as `{A}`. */
function addressOf({ baseUrl, baseUrlEnv = [] }: ProviderSpec): string {
  const own =
    baseUrl === undefined
      ? '`api_base` of the row'
      : `\`${baseUrl.replace(/\{(\w+)[^}]*\}/g, '{$1}')}\``
  return baseUrlEnv.length > 0 ? `${own}; ${code(baseUrlEnv)}` : own
}

function differences(id: string, spec: ProviderSpec): string[] {
  const lines = inWords(spec.quirks ?? {})
  for (const { match, to } of spec.models ?? [])
    lines.push(`names that look like \`${match}\` are sent as \`${to}\``)
  for (const { match, quirks = {}, baseUrl } of spec.variants ?? []) {
    const words = [...inWords(quirks), ...(baseUrl ? [`address \`${baseUrl}\``] : [])]
    lines.push(`models like \`${match}\`: ${words.join('; ') || 'as the client sent it'}`)
  }
  for (const { match, to } of spec.places ?? [])
    lines.push(`models like \`${match}\`: address \`${to}\``)
  return lines.length > 0
    ? [`- \`${id}\` (${spec.name})`, ...lines.map((line) => `  - ${line}`)]
    : []
}

const inWords = (quirks: Quirks): string[] =>
  quirkNames.map((name) => inWord(quirks, name)).filter((line) => line !== undefined)

function inWord<Name extends keyof Facts>(quirks: Partial<Facts>, name: Name): string | undefined {
  const value: Facts[Name] | undefined = quirks[name]
  return value === undefined ? undefined : words[name](value)
}

type Facts = Required<Quirks>

const yes =
  (text: string, no?: string) =>
  (value: boolean): string | undefined =>
    value ? text : no

/** Every quirk has its words: the compiler asks for those of a new one. */
const words: { [Name in keyof Facts]: (value: Facts[Name]) => string | undefined } = {
  maxTokensField: (name) => `token limit is sent as \`${name}\``,
  systemRole: (role) => `system and developer messages are sent as \`${role}\``,
  reasoningField: (field) => `thoughts in \`${field}\` are given as \`reasoning_content\``,
  dropReasoningHistory: yes('thoughts in the history are left out'),
  unsupported: (names) => `refused: ${code(names)}`,
  refusedThere: (names) =>
    `left out with \`drop_params\`, else for the provider to refuse: ${code(names)}`,
  onlyDefault: (values) =>
    `refused unless at the default: ${Object.entries(values)
      .map(([name, value]) => `\`${name}\` (${value})`)
      .join(', ')}`,
  samplingFreeAt: (at) =>
    `these are free with \`reasoning_effort: none\`${at === 'none' ? '' : ' or without an effort'}`,
  fixed: (names) => `set by the model and left out: ${code(names)}`,
  temperatureMax: (max) => `\`temperature\` above ${max} is lowered to it`,
  rename: (names) =>
    Object.entries(names)
      .map(([from, to]) => `\`${from}\` is sent as \`${to}\``)
      .join(', '),
  toolChoiceAny: yes('`tool_choice: required` is sent as `any`'),
  flattenText: yes('lists of text parts are joined to one text'),
  flattenToolResults: yes('tool results are sent as one text'),
  splitToolCalls: yes(
    'parallel tool calls and their results are sent pair by pair',
    'parallel tool calls stay together',
  ),
  nineCharCallIds: yes(
    'ids of tool calls that are not nine letters or digits are replaced by such',
  ),
  filesAsDocuments: yes('files are sent as `document_url`, or by `file_id`'),
  dropStrict: yes('`strict` of tools is left out'),
  dropMessageNames: yes('`name` of messages is left out, except of tools'),
  noStreamUsage: yes('`stream_options` is left out'),
  schemaAsJsonObject: yes('a JSON schema is sent as `json_object` with the schema beside it'),
  contentParts: yes('answers in parts are given as text and `reasoning_content`'),
  effortAsThinking: yes('`reasoning_effort` is sent as `thinking: {type}`'),
  effortNoneAsThinkingOff: yes('`reasoning_effort: none` is sent as `thinking: {type: disabled}`'),
  effortAsEnableThinking: yes('`reasoning_effort` is sent as `enable_thinking`'),
  dropBookkeeping: yes('`user`, `metadata` and the like are left out'),
  singleChoice: yes('`n` above 1 is not offered'),
  keepEmptyTools: yes('an empty list of tools is sent'),
  toolsNeedResponses: yes('functions beside an effort are asked for in Responses'),
  responsesPath: (path) => `Responses are asked at \`${path}\``,
  streamPath: (path) => `streams are at \`${path}\` below the address`,
  dropModel: yes('`model` is not said in the body'),
  maxTokensDefault: (limit) => `without a token limit, ${limit} is sent`,
  chatPath: (path) => `chat is at \`${path}\` below the address`,
}
// The keys of a literal with a complete type are those of the type.
const quirkNames = Object.keys(words) as (keyof Quirks)[]

/** What this build serves; grows with it. */
const served: readonly Operation[] = [
  'chat',
  'text_completion',
  'embeddings',
  'rerank',
  'moderation',
  'image',
  'image_edit',
  'image_variation',
  'speech',
  'transcription',
  'ocr',
  'search',
  'files',
  'batch',
  'fine_tuning',
  'vector_stores',
  'video',
  'containers',
  'assistants',
]

if (import.meta.main) {
  const path = new URL('../docs/providers.md', import.meta.url)
  const page = providerDocs(served)
  if (!process.argv.includes('--check')) writeFileSync(path, page)
  else if (readPage(path) !== page) {
    console.error('docs/providers.md is out of date: run node scripts/provider-docs.ts')
    process.exitCode = 1
  }
}

function readPage(path: URL): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
