import { type Flag, type FlagName, flags, isFlag, spelt } from './flags.ts'

/** What `--help` prints. Flags without effect are left out: nobody should begin to use them. */
export function help(): string {
  return `Throughway: one OpenAI-compatible endpoint in front of many model providers.

  throughway                              serve the providers whose keys are set, or a mock
  throughway --config config.yaml         serve what the file says
  throughway --model openai/gpt-5.5       serve one model
  throughway check [--config FILE]        is the config sound, are the keys set?
  throughway models [NAME]                what is served; or: find NAME in the catalogue, with prices
  throughway migrate                      bring the database to this version, without starting
  throughway move --to postgres://…       copy the SQLite database to PostgreSQL
  throughway import litellm               bring keys, people, models and spend over from LiteLLM's database
  throughway claude [--model NAME] …      Claude Code through the running gateway; so codex, gemini, opencode.
                                          --url and --key say which gateway; all other words are the agent's
${groups.map(([group, title]) => `\n${title}\n${lines(group)}`).join('')}
_ and - are alike in flags, and all flags of the litellm command are understood.
`
}

const groups: readonly [Flag['group'], string][] = [
  [undefined, 'General'],
  ['server', 'Server'],
  ['model', 'One model'],
  ['act', 'Instead of starting'],
]

function lines(wanted: Flag['group']): string {
  return Object.keys(flags)
    .filter(isFlag)
    .filter((name) => {
      const { group, idle, gone }: Flag = flags[name]
      return group === wanted && idle === undefined && gone === undefined
    })
    .map((name) => `  ${usage(name).padEnd(37)} ${flags[name].about}\n`)
    .join('')
}

function usage(name: FlagName): string {
  const { short, value, kind }: Flag = flags[name]
  const word =
    kind === 'maybe' ? `[${value}]` : kind === 'switch' ? '' : (value ?? placeholders[kind])
  return `${short === undefined ? '    ' : `-${short}, `}${spelt(name)} ${word}`.trimEnd()
}

const placeholders = {
  text: 'TEXT',
  assignment: 'NAME=VALUE',
  truth: 'BOOLEAN',
  integer: 'N',
  number: 'N',
  headers: 'JSON',
}
