import { type Json, type JsonObject, number, text } from '../json/json.ts'
import type { Catalogue } from '../provider/catalogue.ts'
import type { Deployment } from '../provider/deployment.ts'
import { planDeployments } from '../start/start.node.ts'
import type { Options } from './flags.ts'
import { namesOf } from './offer.ts'
import { noticeLines, prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

type Model = { name: string; provider: string; info: JsonObject }

/** What a start would serve; with a word, what the catalogue knows by it. */
export async function models(
  words: string[],
  options: Options,
  { out, err, paint }: Terminal,
): Promise<number> {
  const prepared = await prepare(options, process.env)
  const { deployments, catalogue } = await planDeployments({
    ...prepared,
    env: process.env,
    log: () => {},
  })
  for (const line of noticeLines(prepared.errors, 'error')) err(`${line}\n`)
  const found = words.length > 0 ? search(words, catalogue) : served(deployments, catalogue)
  if (options.json === true) out(`${JSON.stringify(found.map(described), null, 2)}\n`)
  else if (found.length === 0)
    err(
      words.length > 0
        ? `throughway: no model of the catalogue has "${words.join(' ')}" in its name\n`
        : 'throughway: no models: give --config, or set the key of a provider\n',
    )
  else out(table(found, paint.bold))
  return prepared.errors.length > 0 || found.length === 0 ? 1 : 0
}

function served(deployments: readonly Deployment[], catalogue: Catalogue): Model[] {
  return deployments.flatMap((deployment) => {
    const { provider, group, info } = deployment
    const names = namesOf(deployment, catalogue)
    if (names.length === 0) return { name: group, provider, info }
    return names.map(({ name, model }) => ({
      name,
      provider,
      info: group === name ? info : (catalogue.find(provider, model)?.info ?? {}),
    }))
  })
}

/** Every word must be in the name, whatever its case. */
function search(words: readonly string[], catalogue: Catalogue): Model[] {
  const wanted = words.map((word) => word.toLowerCase())
  const found: Model[] = []
  for (const [name, info] of catalogue.entries())
    if (wanted.every((word) => name.toLowerCase().includes(word)))
      found.push({ name, provider: text(info.litellm_provider) ?? '', info })
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

const described = ({ name, provider, info }: Model): JsonObject => ({
  name,
  provider,
  mode: text(info.mode) ?? null,
  input_cost_per_token: number(info.input_cost_per_token) ?? null,
  output_cost_per_token: number(info.output_cost_per_token) ?? null,
  max_input_tokens: number(info.max_input_tokens) ?? null,
  max_output_tokens: number(info.max_output_tokens) ?? null,
})

const heads = ['MODEL', 'PROVIDER', 'MODE', '$/M IN', '$/M OUT', 'CONTEXT']

function table(found: readonly Model[], bold: (text: string) => string): string {
  const rows = found.map(({ name, provider, info }) => [
    name,
    provider,
    text(info.mode) ?? '',
    perMillion(info.input_cost_per_token),
    perMillion(info.output_cost_per_token),
    number(info.max_input_tokens)?.toLocaleString('en') ?? '',
  ])
  const widths = heads.map((head, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), head.length),
  )
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [bold(line(heads)), ...rows.map(line), ''].join('\n')
}

/** As price lists write it; seven digits after the point are enough for any of them. */
function perMillion(perToken: Json | undefined): string {
  const price = number(perToken)
  return price === undefined ? '' : String(Number((price * 1e6).toFixed(7)))
}
