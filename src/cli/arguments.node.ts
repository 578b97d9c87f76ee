import { parseArgs } from 'node:util'
import { nearest } from '../config/nearest.ts'
import { isObject, type Json } from '../json/json.ts'
import { agents } from './agents.ts'
import {
  type Command,
  type Flag,
  type FlagName,
  flags,
  isFlag,
  type Options,
  spelt,
} from './flags.ts'

export type Arguments =
  | { type: 'run'; command: Command; words: string[]; options: Options }
  | { type: 'mistake'; message: string }

/** What the words of a command line ask for. The last of two says, as with LiteLLM. */
export function readArguments(argv: readonly string[]): Arguments {
  const { tokens } = parseArgs({
    args: [...argv],
    options: declared,
    // Not strict: the messages are ours, with what was probably meant.
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values: Record<string, unknown> = {}
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const name = token.name.replaceAll('-', '_')
    if (!isFlag(name)) return mistake(unknownFlag(token.rawName))
    const read = readValue(name, token.value, token.inlineValue === true)
    if ('problem' in read) return mistake(`${token.rawName} ${read.problem}`)
    const before = values[name]
    values[name] =
      isObject(before) && isObject(read.value) ? { ...before, ...read.value } : read.value
  }
  const options = values as Options // each was read by the kind its type is made of
  if (options.test === true && isAddress(words[0])) options.test = words.shift() ?? true
  return withCommand(words, options)
}

const mistake = (message: string): Arguments => ({ type: 'mistake', message })

function withCommand(words: string[], options: Options): Arguments {
  const [first, ...rest] = words
  const command = first === undefined ? 'serve' : commands[first]
  if (command === undefined) return mistake(unknownCommand(first ?? ''))
  if (command === 'help')
    return { type: 'run', command: 'serve', words: [], options: { help: true } }
  if (!takesWords.has(command) && rest.length > 0)
    return mistake(`"${rest[0]}" is one word too many; ${first} takes flags only`)
  for (const name of Object.keys(options)) {
    const { of }: Flag = isFlag(name) ? flags[name] : flags.help
    if (of !== undefined && !of.includes(command))
      return mistake(
        `--${name} belongs to ${of.length > 1 ? 'the commands' : 'the command'} ${of.join(' and ')}`,
      )
  }
  return { type: 'run', command, words: rest, options }
}

const takesWords: ReadonlySet<Command> = new Set(['models', 'import'])
const commands: Readonly<Record<string, Command | 'help'>> = {
  serve: 'serve',
  check: 'check',
  models: 'models',
  migrate: 'migrate',
  move: 'move',
  import: 'import',
  help: 'help',
}

function unknownCommand(word: string): string {
  if (/\.ya?ml$/i.test(word))
    return `"${word}" is no command; to start with that file: --config ${word}`
  const close = nearest(word, [...Object.keys(commands), ...Object.keys(agents)])
  return `there is no command "${word}"${close === undefined ? `: they are check, models, migrate, move, import, ${Object.keys(agents).join(', ')}, and none starts the gateway` : `; did you mean ${close}?`}`
}

function unknownFlag(said: string): string {
  const name = said.replace(/^-+/, '').replaceAll('-', '_')
  const close = said.startsWith('--') ? nearest(name, Object.keys(flags)) : undefined
  return `there is no flag ${said}${close !== undefined && isFlag(close) ? `; did you mean ${spelt(close)}?` : ''}`
}

type Read = { value: unknown } | { problem: string }

function readValue(name: FlagName, said: string | undefined, inline: boolean): Read {
  const flag: Flag = flags[name]
  if (flag.kind === 'switch')
    return said === undefined ? { value: true } : { problem: 'takes no value' }
  if (flag.kind === 'maybe') return { value: said ?? true }
  if (said === undefined || said === '' || (!inline && isKnown(said)))
    return { problem: `needs a value${flag.value === undefined ? '' : ` (${flag.value})`}` }
  switch (flag.kind) {
    case 'text':
      return { value: said }
    case 'assignment':
      return readAssignment(said)
    case 'truth':
      return truths[said.toLowerCase()] === undefined
        ? { problem: `wants true or false, found "${said}"` }
        : { value: truths[said.toLowerCase()] }
    case 'integer':
    case 'number':
      return readNumber(flag, said)
    case 'headers':
      return readHeaders(said)
  }
}

/** `--config --port 4000`: the value was left out. A negative number is a value. */
const isKnown = (said: string): boolean =>
  said.startsWith('--')
    ? isFlag(said.slice(2).split('=')[0]?.replaceAll('-', '_') ?? '')
    : shorts.has(said.slice(1)) && said.startsWith('-')

const truths: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  on: true,
  '1': true,
  false: false,
  f: false,
  no: false,
  n: false,
  off: false,
  '0': false,
}

function readNumber(
  { kind, min = Number.NEGATIVE_INFINITY, max = Number.MAX_SAFE_INTEGER }: Flag,
  said: string,
): Read {
  const value = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i.test(said) ? Number(said) : Number.NaN
  if (value >= min && value <= max && (kind === 'number' || Number.isInteger(value)))
    return { value }
  const what = kind === 'number' ? 'a number' : 'a whole number'
  const range =
    max < Number.MAX_SAFE_INTEGER
      ? ` from ${min} to ${max}`
      : min > Number.NEGATIVE_INFINITY
        ? `, ${min} or more`
        : ''
  return { problem: `wants ${what}${range}, found "${said}"` }
}

/** The values may be secrets, so they are not repeated. */
function readAssignment(said: string): Read {
  const [, name, value] = /^([A-Za-z_]\w*)=(.+)$/s.exec(said) ?? []
  return name === undefined ? { problem: 'wants NAME=VALUE' } : { value: { [name]: value } }
}

function readHeaders(said: string): Read {
  let value: Json
  try {
    value = JSON.parse(said)
  } catch {
    return { problem: `wants JSON, for example '{"x-team": "blue"}'` }
  }
  return isObject(value) &&
    Object.values(value).every((each) => typeof each === 'string' || typeof each === 'number')
    ? { value }
    : { problem: `wants a JSON map of names to texts, for example '{"x-team": "blue"}'` }
}

const isAddress = (word: string | undefined): boolean =>
  word !== undefined && /^https?:\/\//.test(word)

type Declared = { type: 'boolean' | 'string'; short?: string }

/** Both spellings of each. */
function declare(): Record<string, Declared> {
  const out: Record<string, Declared> = {}
  for (const [name, row] of Object.entries(flags)) {
    const { kind, short }: Flag = row
    const type = kind === 'switch' || kind === 'maybe' ? 'boolean' : 'string'
    out[name.replaceAll('_', '-')] = { type }
    out[name] = { type, ...(short !== undefined && { short }) }
  }
  return out
}
const declared = declare()
const shorts = new Set(Object.values(declared).flatMap(({ short }) => short ?? []))
