import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Flag, type FlagName, flags, isFlag, spelt } from '../src/cli/flags.ts'
import { help } from '../src/cli/help.ts'

/** docs/cli.md, written by the table of flags. With `--check` nothing is written and a page that is out of date is an error. */
export function cliDocs(): string {
  return [
    '# Command line',
    '',
    'Written by `node scripts/cli-docs.ts` from `src/cli/flags.ts`; change the table, not this page.',
    '',
    'In a clone `npm start --` stands for `throughway`. What `--help` prints:',
    '',
    '```text',
    help().trimEnd(),
    '```',
    '',
    'Exit codes: 0 done, 1 it failed, 2 a mistake in the command line. SIGTERM and SIGINT let running answers finish and end with 0; a',
    'second one does not wait. SIGHUP reads the files of `--config` again.',
    '',
    '## Understood, without effect',
    '',
    "Flags of LiteLLM's command line that a start may carry; it says so and goes on.",
    '',
    ...table(({ idle }) => idle),
    '',
    '## Refused',
    '',
    'Flags whose purpose is not here; to start all the same would not be what was asked for.',
    '',
    ...table(({ gone }) => gone),
    '',
  ].join('\n')
}

const table = (of: (flag: Flag) => string | undefined): string[] => {
  const rows = Object.keys(flags)
    .filter(isFlag)
    .flatMap((name: FlagName) => {
      const about = of(flags[name])
      return about === undefined ? [] : `| \`${spelt(name)}\` | ${about} |`
    })
  return ['| Flag | |', '| --- | --- |', ...rows]
}

if (import.meta.main) {
  const path = new URL('../docs/cli.md', import.meta.url)
  const page = cliDocs()
  if (!process.argv.includes('--check')) writeFileSync(path, page)
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== page) {
    console.error('docs/cli.md is out of date: run node scripts/cli-docs.ts')
    process.exitCode = 1
  }
}
