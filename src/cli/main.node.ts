import { GatewayError } from '../errors.ts'
import { isAgent } from './agents.ts'
import { readArguments } from './arguments.node.ts'
import { type Flag, flags, isFlag, type Options, spelt } from './flags.ts'
import { openTerminal, type Terminal } from './terminal.node.ts'

/** 0 done, 1 it failed, 2 it was asked for in a way nobody understands. */
export async function main(argv: readonly string[]): Promise<void> {
  const terminal = await openTerminal(process.env)
  const code = await run(argv, terminal).catch((cause: unknown) => fail(cause, terminal))
  // A server that started has no code: it goes on.
  if (code !== undefined) process.exitCode = code
}

async function run(argv: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const [first, ...rest] = argv
  // Behind its name all words but three are the agent's, flags of ours among them.
  if (isAgent(first)) return (await import('./agent.node.ts')).runAgent(first, rest, terminal)
  const asked = readArguments(argv)
  if (asked.type === 'mistake') {
    terminal.err(`throughway: ${asked.message}\nthroughway --help shows what there is\n`)
    return 2
  }
  const { command, words, options } = asked
  if (options.help === true) return say((await import('./help.ts')).help(), terminal)
  if (options.version === true) {
    const { litellmVersion, version } = await import('../version.ts')
    return say(`throughway ${version} (serves the API of LiteLLM ${litellmVersion})\n`, terminal)
  }
  const refusal = refused(options)
  if (refusal !== undefined) {
    terminal.err(`throughway: ${refusal}\n`)
    return 2
  }
  // What each of them needs is loaded only then.
  if (command === 'check') return (await import('./check.node.ts')).check(options, terminal)
  if (command === 'models')
    return (await import('./models.node.ts')).models(words, options, terminal)
  if (command === 'migrate') return (await import('./migrate.node.ts')).migrate(options, terminal)
  if (command === 'move') return (await import('./move.node.ts')).move(options, terminal)
  if (command === 'import')
    return (await import('./import.node.ts')).importLitellm(words, options, terminal)
  if (options.validate_config === true)
    return (await import('./check.node.ts')).check(options, terminal, { keysMatter: false })
  if (options.health === true)
    return (await import('./visit.node.ts')).visitHealth(options, terminal)
  if (options.test !== undefined)
    return (await import('./visit.node.ts')).visitChat(options, terminal)
  return (await import('./serve.node.ts')).serve(options, terminal)
}

const say = (text: string, { out }: Terminal): number => {
  out(text)
  return 0
}

/** Flags whose purpose is not here: to start all the same would not be what was asked for. */
function refused(options: Options): string | undefined {
  for (const name of Object.keys(options)) {
    if (!isFlag(name)) continue
    const flag: Flag = flags[name]
    if (flag.gone !== undefined) return `${spelt(name)} ${flag.gone}`
  }
  return undefined
}

/** Our own errors say what to do; anything else is a fault of ours, and is shown whole. */
function fail(cause: unknown, { err }: Terminal): number {
  if (GatewayError.is(cause)) err(`throughway: ${cause.message}\n`)
  else
    err(
      `throughway: this should not have happened, please report it\n${cause instanceof Error ? cause.stack : String(cause)}\n`,
    )
  return 1
}
