import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { adminRoutes } from '../src/admin/admin.ts'
import { notOffered } from '../src/gateway/not-offered.ts'
import { type Route, routes } from '../src/gateway/routes.ts'
import { type JsonObject, object, text } from '../src/json/json.ts'
import { providers } from '../src/provider/providers.ts'
import type { ProviderSpec } from '../src/provider/spec.ts'
import { version } from '../src/version.ts'

/**
 * Whatever a table can write, written by it: docs/config.md, data/config.schema.json, docs/cli.md, docs/providers.md and
 * docs/endpoints.md and a block of README.md. With `--check` nothing is written, and what is out of date, or says of itself what is not so, is an error.
 */
const root = join(import.meta.dirname, '..')
const writers = ['scripts/config-docs.ts', 'scripts/cli-docs.ts', 'scripts/provider-docs.ts']

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const problems: string[] = []

function read(name: string): string {
  return readFileSync(join(root, name), 'utf8')
}

/** Puts each text between `<!-- name: … -->` and `<!-- /name -->`. */
function withBlocks(page: string, blocks: Record<string, string>): string {
  let out = page
  for (const [name, content] of Object.entries(blocks)) {
    const start = out.indexOf(`<!-- ${name}: `)
    const from = out.indexOf('-->\n', start) + 4
    const to = out.indexOf(`<!-- /${name} -->`, from)
    if (start === -1 || from === 3 || to === -1)
      throw new Error(`README.md has no block "${name}": <!-- ${name}: … --> and <!-- /${name} -->`)
    out = `${out.slice(0, from)}${content}${out.slice(to)}`
  }
  return out
}

/** Every route, a table per area: what clients call, and what manages the gateway. One row for routes that do the same. */
function endpoints(): string {
  const table = (all: readonly Route[]): string[] => {
    const rows = new Map<string, { paths: string[]; permission: Route['permission'] }>()
    for (const { method, path, summary, permission } of all) {
      const row = rows.get(`${summary} ${permission}`) ?? { paths: [], permission }
      row.paths.push(`\`${method} ${path}\``)
      rows.set(`${summary} ${permission}`, row)
    }
    return [
      '| Endpoint | What | Who |',
      '| --- | --- | --- |',
      ...[...rows].map(
        ([key, { paths, permission }]) =>
          `| ${paths.join('<br>')} | ${key.slice(0, -permission.length - 1)} | ${who[permission]} |`,
      ),
      '',
    ]
  }
  return [
    '# Endpoints',
    '',
    'Written by `npm run docs` from the tables of routes. A running gateway shows the same at `/docs`, with bodies and answers.',
    '',
    '## For clients',
    '',
    ...table(routes),
    '## Management',
    '',
    'Routes for users show and change what is theirs; administrators see and change everything.',
    '',
    ...table(adminRoutes),
    '## Known and not offered',
    '',
    "LiteLLM's other endpoints answer 501 with their name.",
    '',
    '| Area | Endpoints |',
    '| --- | --- |',
    ...[...Map.groupBy(notOffered, ({ area }) => area)].map(
      ([area, all]) =>
        `| ${area} | ${[...Map.groupBy(all, ({ path }) => path)].map(([path, same]) => `\`${same.map(({ method }) => method).join(' ')} ${path}\``).join('<br>')} |`,
    ),
    '',
  ].join('\n')
}

const who: Record<Route['permission'], string> = {
  llm: 'callers',
  info: 'callers',
  self: 'users, what is theirs',
  self_write: 'users, what is theirs',
  view: 'administrators and viewers',
  admin: 'administrators',
  public: 'anyone',
}

/** How many providers there are, by the API they are spoken to in. */
function providerCounts(): string {
  const counts = new Map<string, string[]>()
  for (const [id, { wire }] of Object.entries<ProviderSpec>(providers))
    counts.set(wire, [...(counts.get(wire) ?? []), id])
  const known = [...counts].sort(([, a], [, b]) => b.length - a.length)
  const all = Object.keys(providers).length
  return [
    `${all} providers, each with its address, key and differences: [docs/providers.md](docs/providers.md).`,
    '',
    '| Spoken to in | Providers |',
    '| --- | --- |',
    ...known.map(([wire, ids]) => `| \`${wire}\` | ${some(ids.sort())} |`),
    '',
  ].join('\n')
}

/** All of a few; of many the ones people look for first. */
function some(ids: readonly string[]): string {
  if (ids.length <= 12) return ids.map((id) => `\`${id}\``).join(', ')
  const shown = ids.filter((id) => wellKnown.has(id))
  return `${ids.length}, among them ${shown.map((id) => `\`${id}\``).join(', ')}`
}

const wellKnown = new Set(
  `azure azure_ai cerebras databricks deepseek fireworks_ai github groq huggingface hosted_vllm lm_studio mistral
  moonshot nvidia_nim openai openrouter perplexity together_ai vercel_ai_gateway vllm xai`.split(
    /\s+/,
  ),
)

/** data/models.meta.json counts what data/models.json.gz holds. */
function catalogueProblems(): string[] {
  const zipped = readFileSync(join(root, 'data', 'models.json.gz'))
  const models = object(JSON.parse(gunzipSync(zipped).toString('utf8')))
  const meta = object(JSON.parse(read('data/models.meta.json')))
  const infos = Object.entries(models).filter(([name]) => name !== 'fallback_generalizations')
  const counted: JsonObject = {
    models: infos.length,
    providers: new Set(infos.flatMap(([, info]) => text(object(info).litellm_provider) ?? [])).size,
    fields: new Set(infos.flatMap(([, info]) => Object.keys(object(info)))).size,
  }
  const wrong = Object.keys(counted).filter((key) => counted[key] !== meta[key])
  const notice = read('data/LICENSE-models.txt')
  return [
    ...wrong.map(
      (key) =>
        `data/models.meta.json says ${key}: ${meta[key]}, and models.json.gz has ${counted[key]}: run npm run catalogue`,
    ),
    ...(notice.includes(`LiteLLM ${meta.version}`)
      ? []
      : [
          'data/LICENSE-models.txt is of another release than models.meta.json: run npm run catalogue',
        ]),
  ]
}

/** The version stands in three places, since a start must not read package.json. */
function versionProblems(): string[] {
  const said = object(JSON.parse(read('package.json'))).version
  const locked = object(JSON.parse(read('package-lock.json'))).version
  return [
    ...(said === version ? [] : [`package.json says ${said}, src/version.ts ${version}`]),
    ...(said === locked
      ? []
      : [`package.json says ${said}, package-lock.json ${locked}: run npm i`]),
  ]
}

/** A page that is pointed to must be there. */
function linkProblems(): string[] {
  const pages = ['README.md', 'AGENTS.md', 'CHANGELOG.md', 'docs/architecture.md']
  return pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#\s:]+)(?:#[^)]*)?\)/g)].flatMap(([, target = '']) =>
      existsSync(join(root, page, '..', target))
        ? []
        : `${page} points to ${target}, which is not there`,
    ),
  )
}

for (const writer of writers) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    values.check ? [writer, '--check'] : [writer],
    { cwd: root, encoding: 'utf8' },
  )
  if (status !== 0) problems.push(`${stdout}${stderr}`.trim() || `${writer} failed`)
}

const readme = read('README.md')
for (const [name, before, after] of [
  ['README.md', readme, withBlocks(readme, { providers: providerCounts() })],
  [
    'docs/endpoints.md',
    existsSync(join(root, 'docs/endpoints.md')) ? read('docs/endpoints.md') : '',
    endpoints(),
  ],
] as const) {
  if (!values.check) writeFileSync(join(root, name), after)
  else if (before !== after) problems.push(`${name} is out of date: run npm run docs`)
}

problems.push(...catalogueProblems(), ...versionProblems(), ...linkProblems())
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
