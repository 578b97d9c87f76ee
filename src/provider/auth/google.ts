import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, object, text } from '../../json/json.ts'
import type { AuthDeps, AuthScheme } from './auth.ts'
import { ask } from './exchange.ts'
import { findCredentials, sourceOf } from './google-credentials.ts'
import {
  cloudPlatform,
  fetchGoogleToken,
  type GoogleToken,
  metadataBase,
  metadataHeaders,
  metadataMs,
} from './google-tokens.ts'
import { refused, secretsOf, settingsOf } from './settings.ts'
import { createTokenCache } from './token.ts'

/**
 * `google`: a bearer token of Google Cloud. Credentials are looked for as Google's libraries do, the row's own first:
 * https://cloud.google.com/docs/authentication/application-default-credentials.
 */
export function createGoogleScheme(deps: AuthDeps): AuthScheme {
  const cache = createTokenCache<GoogleToken>(deps)
  const projects = createTokenCache<string>(deps)
  return {
    open(row) {
      const problem = settingsOf(row, deps).unset('vertex_credentials', 'vertex_ai_credentials')
      if (problem) return refused(problem)
      const source = sourceOf(row.params, deps.env)
      if (source.type === 'wrong') return refused(source.problem)
      const key = JSON.stringify(source)
      const fetch = async () =>
        fetchGoogleToken(await findCredentials(source, deps), cloudPlatform, deps)
      return {
        secrets: source.type === 'json' ? secretsIn(source.content) : [],
        authorize({ headers }) {
          const sign = ({ token, quotaProject }: GoogleToken): void => {
            headers['authorization'] = `Bearer ${token}`
            if (quotaProject !== undefined) headers['x-goog-user-project'] = quotaProject
          }
          const held = cache.get(key, fetch)
          return held instanceof Promise ? held.then(sign) : sign(held)
        },
        fills: 'vertex_project',
        locate(url) {
          const put = (project: string): string => url.replace(projectPlace, () => project)
          if (put('') === url) return url
          const said = projectSaid(row.params, deps.env)
          if (said !== undefined) return put(said)
          const found = projects.get(key, async () => {
            const value = await projectOf(row.params, deps)
            if (value === undefined) throw new GatewayError('authentication', noProject)
            return { value, expiresAt: deps.now() + projectMs }
          })
          return typeof found === 'string' ? put(found) : found.then(put)
        },
      }
    },
  }
}

/** The project a row means, as far as the row and the environment say: for the open places of a URL. */
export function projectSaid(params: JsonObject, env: AuthDeps['env']): string | undefined {
  const source = sourceOf(params, env)
  return (
    named(params.vertex_project) ??
    named(params.vertex_ai_project) ??
    variables.map((name) => named(env(name))).find((name) => name !== undefined) ??
    (source.type === 'json' ? projectIn(source.content) : undefined)
  )
}

/** The same, files read and the machine asked; undefined when nobody knows. */
export async function projectOf(params: JsonObject, deps: AuthDeps): Promise<string | undefined> {
  const said = projectSaid(params, deps.env)
  if (said !== undefined) return said
  const found = await findCredentials(sourceOf(params, deps.env), deps)
  if (found) return projectIn(found.content)
  const url = `${metadataBase(deps.env)}/project/project-id`
  const question = { who: 'Google', url, headers: metadataHeaders, timeoutMs: metadataMs }
  const told = await ask(question, deps).catch(() => undefined)
  return told?.status === 200 ? named(told.body) : undefined
}

/** The open place of an address, as rows of providers write it. */
const projectPlace = /\{vertex_project\|[^}]*\}/g
const noProject =
  'Google: no project. Set vertex_project in litellm_params or VERTEXAI_PROJECT in the environment; the credentials name none'
/** A file may be replaced by another project's. */
const projectMs = 3600_000

/** A user's file names only the project that pays. */
const projectIn = (content: JsonObject): string | undefined =>
  named(content.project_id) ?? named(content.quota_project_id) ?? named(projectInSource(content))
const projectInSource = ({ source_credentials }: JsonObject): Json | undefined =>
  object(source_credentials).project_id

/** Nothing that could change the path it is put into. */
const named = (value: unknown): string | undefined => {
  const name = text(value)?.trim()
  return name && /^[\w.:-]+$/.test(name) ? name : undefined
}

const secretsIn = (content: JsonObject, depth = 0): string[] => [
  ...secretsOf(text(content.private_key), text(content.client_secret), text(content.refresh_token)),
  ...(content.source_credentials && depth < 3
    ? secretsIn(object(content.source_credentials), depth + 1)
    : []),
]

const variables = ['VERTEXAI_PROJECT', 'VERTEX_PROJECT', 'GOOGLE_CLOUD_PROJECT', 'GCLOUD_PROJECT']
