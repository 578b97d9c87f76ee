import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { GatewayError } from '../errors.ts'
import { readBounded, whyUnreadable } from './read.node.ts'

export type DotEnvOptions = {
  env: Readonly<Record<string, string | undefined>>
  directory?: string
}

/**
 * What the `.env` of the working directory adds to the environment: never what is set already. Nothing with
 * LITELLM_MODE=PRODUCTION, where a file lying about must not decide anything. The caller puts it into `process.env`.
 */
export async function readDotEnv({
  env,
  directory = '.',
}: DotEnvOptions): Promise<Record<string, string>> {
  if (env.LITELLM_MODE?.toUpperCase() === 'PRODUCTION') return {}
  const path = join(directory, '.env')
  let content: string
  try {
    content = await readBounded(path)
  } catch (cause) {
    const why = whyUnreadable(cause)
    // Most have none, and some have a folder of that name (Python's venv).
    if (/^not found|folder/.test(why)) return {}
    throw new GatewayError('bad_request', `${path} ${why}`, { cause })
  }
  const added: Record<string, string> = {}
  for (const [name, value] of Object.entries(parseEnv(content)))
    if (value !== undefined && env[name] === undefined) added[name] = value
  return added
}
