import { readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { variables } from '../src/config/environment.ts'
import { type Row, type Rows, type Status, topLevel } from '../src/config/keys.ts'
import * as k from '../src/config/kinds.ts'
import { configSchema } from '../src/config/schema.ts'

/**
 * docs/config.md and data/config.schema.json, written by the tables of keys. With `--check` nothing is written and a
 * file that is out of date is an error.
 */
export function configDocs(): { page: string; schema: string } {
  return { page: page(), schema: `${JSON.stringify(jsonSchema(), null, 1)}\n` }
}

function page(): string {
  return [
    '# Configuration',
    '',
    'Written by `node scripts/config-docs.ts` from `src/config/keys.ts` and `src/config/environment.ts`; change the tables, not this page.',
    '',
    "The file is LiteLLM's `config.yaml`, read unchanged. YAML or JSON, at most 4 MiB. Every error and warning names file, line",
    'and column. `throughway --validate_config --config config.yaml` reads it and starts nothing.',
    '',
    'For completion in an editor, put this line first:',
    '',
    '```yaml',
    '# yaml-language-server: $schema=node_modules/throughway/data/config.schema.json',
    '```',
    '',
    ...notes,
    '',
    'Status of a key:',
    '',
    ...Object.entries(statuses).map(([, { word, about }]) => `- **${word}**: ${about}`),
    '',
    ...tablesOf('The file', topLevel),
    '## Environment',
    '',
    'Variables the server reads. A file `.env` in the working directory adds those that are not set, unless',
    '`LITELLM_MODE=PRODUCTION`. A value that cannot be meant (`PORT=abc`) stops the start.',
    '',
    '| Variable | Type | Default | Meaning |',
    '| --- | --- | --- | --- |',
    ...Object.values(variables).map(
      ({
        name,
        kind,
        about,
        default: usual,
      }: {
        name: string
        kind: z.ZodType
        about: string
        default?: string
      }) => `| \`${name}\` | ${typeOf(kind)} | ${usual ?? ''} | ${cell(about)} |`,
    ),
    '',
  ].join('\n')
}

const notes = [
  '- `os.environ/NAME` as a whole value, at any depth, is what the environment variable NAME holds. If it is not set the key',
  '  counts as not written, and start-up names it; the text itself is never passed on.',
  '- Numbers and booleans may be text (`"30"`, `"True"`), as they are when they come from the environment.',
  '- `include` names other files, looked for beside the file that names them, then beside the main one. Their lists are',
  '  appended; any other section of theirs takes the place of the one before. A file is read once.',
  '- Keys of `litellm_params` that are neither below nor prices are parameters of every call (`temperature`, `max_tokens`, …).',
  '- Prices go into `litellm_params` or `model_info`, under the names of the price list (`input_cost_per_token`, …).',
  '- Keys at the top that begin with `x-` are left alone: a place for YAML anchors. `<<: *name` merges.',
  '- A key written twice is an error.',
]

const statuses: Record<Status, { word: string; about: string }> = {
  acted: { word: 'works', about: 'this build acts on it.' },
  known: { word: 'accepted', about: 'no error, no effect yet; start-up lists those that are set.' },
  unmet: {
    word: 'not enforced',
    about: 'the same, for a key that limits access or spend: start-up says so in capitals.',
  },
  python: {
    word: 'python',
    about: 'code that cannot run here: start-up names each, and what takes its place.',
  },
}

/** A table, then the tables of the maps inside it. Keys of one meaning share a line. */
function tablesOf(title: string, rows: Rows): string[] {
  const groups = new Map<Row, string[]>()
  for (const [key, row] of Object.entries(rows)) groups.set(row, [...(groups.get(row) ?? []), key])
  const out = [
    `## ${title}`,
    '',
    '| Key | Type | Default | Status | Meaning |',
    '| --- | --- | --- | --- | --- |',
  ]
  for (const [row, keys] of groups) {
    const { kind, default: usual, unit, status, about } = row
    const shown =
      usual === undefined || usual === ''
        ? ''
        : `\`${String(usual)}\`${unit === undefined ? '' : ` ${unit}`}`
    out.push(
      `| ${keys.map((key) => `\`${key}\``).join(', ')} | ${typeOf(kind)}${usual === undefined && unit !== undefined ? `, ${unit}` : ''} | ${shown} | ${statuses[status].word} | ${cell(about)} |`,
    )
  }
  out.push('')
  const prefix = rows === topLevel ? '' : `${title}.`
  for (const [row, keys] of groups) {
    if (row.inside === undefined) continue
    const mark = { item: '[]', name: '.<name>', none: '' }[row.inside.each ?? 'none']
    out.push(...tablesOf(`${prefix}${keys[0]}${mark}`, row.inside.rows))
  }
  return out
}

const words = new Map<z.ZodType, string>([
  [k.anything, 'any'],
  [k.text, 'text'],
  [k.label, 'text'],
  [k.map, 'map'],
  [k.list, 'list'],
  [k.labels, 'map of text'],
  [k.names, 'list of names'],
  [k.flag, 'true or false'],
  [k.flagOrText, 'true, false or text'],
  [k.flagOrNames, 'true, false or list of names'],
  [k.textOrMap, 'text or map'],
  [k.numberValue, 'number'],
  [k.amount, 'number ≥ 0'],
  [k.count, 'whole number'],
  [k.positive, 'whole number ≥ 1'],
  [k.port, 'port'],
  [k.seconds, 'seconds'],
  [k.secondsByName, 'map of seconds'],
  [k.fallbacks, 'list of `{group: [groups]}`'],
  [k.aliases, 'map of aliases'],
  [k.retryPolicy, 'map of whole numbers'],
  [k.failsPolicy, 'map of whole numbers'],
  [k.retryPolicies, 'map of maps'],
  [k.clientsideParams, 'list'],
  [k.unpricedModels, '`free`, `deny` or `{price_as: model}`'],
])

function typeOf(kind: z.ZodType): string {
  if (kind instanceof z.ZodEnum) return kind.options.map((option) => `\`${option}\``).join(', ')
  return words.get(kind) ?? 'text'
}

const cell = (about: string): string => about.replaceAll('|', '\\|')

type Schema = { [key: string]: unknown }

function jsonSchema(): Schema {
  for (const [id, kind] of Object.entries(k))
    if (kind instanceof z.ZodType && !plain.has(kind) && !z.globalRegistry.has(kind))
      z.globalRegistry.add(kind, { id })
  const made: Schema = z.toJSONSchema(configSchema(), {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema }) => fromEnvironment(jsonSchema),
  })
  return {
    ...made,
    title: 'Throughway (LiteLLM) config.yaml',
    patternProperties: { '^x-': {} },
  }
}

/** Shorter said than named. */
const plain: ReadonlySet<z.ZodType> = new Set<z.ZodType>([k.anything, k.text, k.map, k.list])

/** Wherever a number, a flag or one of a few words is wanted, `os.environ/NAME` is as good. */
function fromEnvironment(schema: Schema): void {
  const outside = '^os\\.environ/'
  if (typeof schema.pattern === 'string') schema.pattern = `${schema.pattern}|${outside}`
  // Zod writes case-blind patterns as they are, and JSON Schema has no flag for it.
  if (typeof schema.pattern === 'string' && schema.pattern.includes('true|false'))
    schema.pattern = `^([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|1|0|[tfynTFYN])$|${outside}`
  if (schema.type === 'string' && Array.isArray(schema.enum)) {
    const words = schema.enum
    delete schema.type
    delete schema.enum
    schema.anyOf = [
      { type: 'string', enum: words },
      { type: 'string', pattern: outside },
    ]
  }
}

if (import.meta.main) {
  const made = configDocs()
  const files = [
    ['docs/config.md', made.page],
    ['data/config.schema.json', made.schema],
  ] as const
  for (const [name, content] of files) {
    const path = new URL(`../${name}`, import.meta.url)
    if (!process.argv.includes('--check')) writeFileSync(path, content)
    else if (readPage(path) !== content) {
      console.error(`${name} is out of date: run node scripts/config-docs.ts`)
      process.exitCode = 1
    }
  }
}

function readPage(path: URL): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
