import type { AuthDeps, AuthScheme } from './auth.ts'
import { isHeaderValue } from './exchange.ts'
import { refused, secretsOf, settingsOf } from './settings.ts'

/**
 * `anthropic`: API keys go as `x-api-key`; tokens of a subscription's login (`sk-ant-oat…`) and ANTHROPIC_AUTH_TOKEN as a
 * bearer. The former are taken only with the beta that names them (https://docs.claude.com/en/api/overview).
 */
export function createAnthropicScheme(deps: AuthDeps): AuthScheme {
  return {
    open(row) {
      const settings = settingsOf(row, deps)
      const problem = settings.unset('api_key')
      if (problem) return refused(problem)
      const key = settings.own('api_key') ?? settings.env('ANTHROPIC_API_KEY')
      const token = key === undefined ? settings.env('ANTHROPIC_AUTH_TOKEN') : undefined
      const said = (key ?? token)?.replace(/^Bearer /i, '')
      if (said === undefined)
        return row.hasBase
          ? { authorize: () => undefined, secrets: [] }
          : refused(
              'Anthropic: no API key. Set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN in the environment, or api_key in litellm_params',
            )
      if (!isHeaderValue(said))
        return refused('Anthropic: the key has characters no header may have: is it several lines?')
      const login = said.startsWith('sk-ant-oat')
      return {
        secrets: secretsOf(said),
        authorize({ headers }) {
          if (token === undefined && !login) {
            headers['x-api-key'] = said
            return
          }
          delete headers['x-api-key']
          headers['authorization'] = `Bearer ${said}`
          if (login) headers['anthropic-beta'] = withBeta(headers['anthropic-beta'])
        },
      }
    },
  }
}

function withBeta(already: string | undefined): string {
  const names = (already ?? '').split(',').map((name) => name.trim())
  return [...new Set([...names.filter((name) => name !== ''), loginBeta])].join(',')
}

const loginBeta = 'oauth-2025-04-20'
