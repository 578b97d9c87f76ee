import type { Notice } from '../config/notice.ts'
import { GatewayError } from '../errors.ts'
import { accessOf, addressFor, planDeployments } from '../start/start.node.ts'
import { type Credential, credentialsOf } from './credentials.ts'
import type { Options } from './flags.ts'
import type { Source } from './rows.ts'
import { noticeLines, type Prepared, prepare } from './settings.node.ts'
import type { Terminal } from './terminal.node.ts'

type Verdict = {
  ok: boolean
  source: Source
  models: number
  errors: Notice[]
  warnings: Notice[]
  credentials: Credential[]
}

/** Would it start, and are the keys there? Asks nobody: whether a key is a good one is not known. */
export async function check(
  options: Options,
  terminal: Terminal,
  { keysMatter = true } = {},
): Promise<number> {
  const prepared = await prepare(options, process.env)
  const { deployments } = await planDeployments({ ...prepared, env: process.env, log: () => {} })
  const credentials = credentialsOf(deployments, process.env)
  const errors = [...prepared.errors, ...refusals(options, prepared)]
  const verdict = {
    ok: errors.length === 0 && (!keysMatter || credentials.every(({ ok }) => ok)),
    source: prepared.source,
    models: new Set(deployments.map(({ group }) => group)).size,
    errors,
    warnings: prepared.warnings,
    credentials,
  }
  terminal.out(
    options.json === true
      ? `${JSON.stringify(verdict, null, 2)}\n`
      : formatVerdict(verdict, terminal),
  )
  return verdict.ok ? 0 : 1
}

/** What would stop the start besides the settings themselves. */
function refusals({ host }: Options, { config, settings }: Prepared): Notice[] {
  try {
    addressFor({ host: host ?? settings.host, ...accessOf({ config, settings }) })
    return []
  } catch (cause) {
    return [{ file: '', path: '', message: GatewayError.from(cause).message }]
  }
}

function formatVerdict(verdict: Verdict, { paint }: Terminal): string {
  const { source, models, errors, warnings, credentials, ok } = verdict
  const what = `${models} ${models === 1 ? 'model' : 'models'}, ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`
  const marks = credentials.map(
    ({ ok, provider, state, models }) =>
      `${ok ? paint.green('✓') : paint.red('✗')} ${provider}: ${state} ${paint.dim(`(${models.length === 1 ? models[0] : `${models.length} models`})`)}`,
  )
  return [
    `${paint.bold(titleOf(source))}: ${what}`,
    ...noticeLines(errors, 'error').map(paint.red),
    ...noticeLines(warnings, 'warning').map(paint.yellow),
    ...marks,
    ok
      ? paint.green('It is ready to start.')
      : paint.red(
          errors.length > 0
            ? 'It would not start.'
            : 'It would start, but calls would fail for what is marked ✗.',
        ),
    '',
  ].join('\n')
}

const counted = (notices: readonly Notice[], word: string): string =>
  `${notices.length === 0 ? 'no' : notices.length} ${word}${notices.length === 1 ? '' : 's'}`

function titleOf(source: Source): string {
  switch (source.type) {
    case 'file':
      return source.path
    case 'model':
      return `--model ${source.model}`
    case 'environment':
      return 'provider keys of the environment'
    case 'mock':
      return 'no config and no provider key: the built-in mock'
  }
}
