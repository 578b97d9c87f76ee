import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, text } from '../../json/json.ts'
import type { AuthDeps } from './auth.ts'
import { parsed } from './exchange.ts'
import { isMissing, readNamed } from './settings.ts'

/** Where a row's Google credentials come from, as far as is known without looking. */
export type GoogleSource =
  | { type: 'json'; content: JsonObject; from: string }
  | { type: 'file'; path: string; from: string }
  /** Nothing says: the file gcloud writes, or the machine's own account. */
  | { type: 'ambient' }
  | { type: 'wrong'; problem: GatewayError }

/** The content of a credentials file, or `undefined` for the account of the machine this runs on. */
export type GoogleCredentials = { content: JsonObject; from: string } | undefined

const parameters = ['vertex_credentials', 'vertex_ai_credentials'] as const
const variables = [
  'VERTEXAI_CREDENTIALS',
  'VERTEX_CREDENTIALS',
  'GOOGLE_APPLICATION_CREDENTIALS',
] as const

/** An object, JSON in a text, or the path of a file: the row's own first. */
export function sourceOf(params: JsonObject, env: AuthDeps['env']): GoogleSource {
  for (const name of parameters) {
    const value = params[name]
    if (isObject(value)) return { type: 'json', content: value, from: name }
    const said = text(value)?.trim()
    if (said) return textSource(said, name)
  }
  for (const name of variables) {
    const said = env(name)?.trim()
    if (said) return textSource(said, name)
  }
  return { type: 'ambient' }
}

function textSource(said: string, from: string): GoogleSource {
  if (!said.startsWith('{')) return { type: 'file', path: said, from }
  const content = parsed(said)
  return isObject(content)
    ? { type: 'json', content, from }
    : { type: 'wrong', problem: notJson(from) }
}

export async function findCredentials(
  source: GoogleSource,
  deps: AuthDeps,
): Promise<GoogleCredentials> {
  switch (source.type) {
    case 'wrong':
      throw source.problem
    case 'json':
      return source
    case 'file':
      return contentOf(await readNamed(source.path, source.from, deps), source.from)
    case 'ambient': {
      const path = wellKnown(deps.env)
      if (path === undefined || !deps.readFile) return undefined
      let file: string
      try {
        file = await deps.readFile(path)
      } catch (cause) {
        if (isMissing(cause)) return undefined
        throw new GatewayError('authentication', `Google: ${path} cannot be read`, { cause })
      }
      return contentOf(file, path)
    }
  }
}

function contentOf(file: string, from: string): GoogleCredentials {
  const content = parsed(file)
  if (!isObject(content)) throw notJson(from)
  return { content, from }
}

/** Where `gcloud auth application-default login` puts it. */
function wellKnown(env: AuthDeps['env']): string | undefined {
  const name = 'application_default_credentials.json'
  const own = env('CLOUDSDK_CONFIG')
  if (own) return `${own}/${name}`
  const windows = env('APPDATA')
  if (windows) return `${windows}/gcloud/${name}`
  const home = env('HOME')
  return home ? `${home}/.config/gcloud/${name}` : undefined
}

const notJson = (from: string): GatewayError =>
  new GatewayError(
    'authentication',
    `${from} does not hold a JSON object: give the whole credentials file, with \\n for the line breaks inside private_key`,
  )
