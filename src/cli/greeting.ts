import { version } from '../version.ts'
import type { Offer } from './offer.ts'
import type { Paint } from './paint.ts'
import type { Source } from './rows.ts'

export type Greeting = {
  url: string
  /** All addresses, when it is more than this machine. */
  wide: boolean
  source: Source
  offer: Offer
  /** What a caller must send: nothing, or the master key, which may stand in a variable of the shell. */
  key: { needed: false } | { needed: true; variable: string | undefined }
  admin: { key: string; created: boolean; path: string } | undefined
  /** Processes that serve. */
  workers: number
  notes: readonly string[]
}

/** What is printed once the port is open: first what to do now, then what there is. */
export function greet(greeting: Greeting, { bold, dim, cyan, yellow }: Paint): string {
  const { url, wide, source, offer, notes } = greeting
  const title = `${bold(`Throughway ${version}`)} listens on ${cyan(url)}${wide ? ' and all other addresses' : ''}.`
  const table = [
    ['Models', modelsLine(source, offer)],
    [
      'Clients',
      `base_url ${url}/v1, ${greeting.key.needed ? 'api_key: the master key' : 'any api_key'}`,
    ],
    ...adminLines(greeting.admin),
    ...(greeting.workers > 1 ? [['Workers', `${greeting.workers} processes on this port`]] : []),
  ].map(([name = '', text = '']) => `  ${dim(name.padEnd(10))} ${text}`)
  const rest = notes.map((note) => `  ${yellow(note)}`)
  return `${['', `  ${title} ${nextStep(greeting)}`, '', ...table, ...rest, ''].join('\n')}\n`
}

function nextStep({ source, offer, url, key }: Greeting): string {
  if (offer.example === undefined) return withoutExample(source, offer)
  return `Try it:\n\n${curl(url, offer.example, key)}`
}

function withoutExample(source: Source, { counts, usable }: Offer): string {
  if (source.type === 'file' && counts.size === 0)
    return `It has no model yet: add one to model_list in ${source.path} and start again.`
  return usable === 0
    ? 'None of its models can be called yet: the warnings say why.'
    : 'None of its models is for chat: GET /v1/models lists them.'
}

/** Works as it stands here, in any Unix shell. */
export function curl(url: string, model: string, key: Greeting['key']): string {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] })
  const headers = ["-H 'content-type: application/json'"]
  if (key.needed)
    headers.push(
      key.variable === undefined
        ? "-H 'authorization: Bearer YOUR_MASTER_KEY'"
        : `-H "authorization: Bearer $${key.variable}"`,
    )
  // A certificate is made for a name, and this is an address.
  const open = url.startsWith('https:') ? '--insecure ' : ''
  return `  curl ${open}${url}/v1/chat/completions ${headers.join(' ')} \\\n    -d ${quoted(body)}`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function modelsLine(source: Source, { counts }: Offer): string {
  switch (source.type) {
    case 'mock':
      return 'mock/echo, inside this process; for real ones set OPENAI_API_KEY (or the key of another provider) and start again'
    case 'model':
      return `${source.model}, under every name asked for`
    case 'environment':
      return source.found
        .map(({ provider, name }) => `${provider} ${counts.get(provider) ?? 'any'} (${name})`)
        .join(', ')
    case 'file': {
      const all = [...counts].map(
        ([provider, models]) => `${provider || 'unknown provider'} ${models}`,
      )
      return `${all.join(', ') || 'none'} (${source.path})`
    }
  }
}

const adminLines = (admin: Greeting['admin']): [string, string][] =>
  admin === undefined
    ? []
    : [
        [
          'Admin key',
          admin.created
            ? `${admin.key} (shown this once; kept in ${admin.path})`
            : `in ${admin.path}`,
        ],
      ]
