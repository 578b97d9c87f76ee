import { askJson, readToken } from './exchange.ts'
import { asBearer, type Planner } from './plan.ts'
import { readNamed } from './settings.ts'

/**
 * GitHub Copilot: the login of a user (an OAuth token in a file, where LiteLLM's device login leaves it) is exchanged
 * for tokens of half an hour. A row's key is such a token already.
 */
export const copilot: Planner = (settings, _row, deps) => {
  const own = settings.own('api_key')
  if (own) return asBearer(own)
  const home = settings.env('HOME', 'USERPROFILE')
  const folder =
    settings.env('GITHUB_COPILOT_TOKEN_DIR') ??
    (home === undefined ? undefined : `${home}/.config/litellm/github_copilot`)
  if (folder === undefined)
    return {
      type: 'wrong',
      message: 'GitHub Copilot: set GITHUB_COPILOT_TOKEN_DIR to the folder of its token',
    }
  const path = `${folder.replace(/\/{1,10}$/, '')}/${settings.env('GITHUB_COPILOT_ACCESS_TOKEN_FILE') ?? 'access-token'}`
  const url =
    settings.env('GITHUB_COPILOT_API_KEY_URL') ?? 'https://api.github.com/copilot_internal/v2/token'
  return {
    type: 'token',
    async fetch() {
      const what = 'GitHub Copilot: the token of the device login (or set GITHUB_COPILOT_TOKEN_DIR)'
      const login = (await readNamed(path, what, deps)).trim()
      const headers = { authorization: `token ${login}`, ...editor }
      const question = { who: 'GitHub Copilot', url, headers, secrets: [login] }
      const askedAt = deps.now()
      const { token, expiresAt } = readToken(await askJson(question, deps), question, askedAt)
      return { value: token, expiresAt }
    },
    key: [url, path],
    secrets: [],
  }
}

/** GitHub answers editors only. */
const editor = {
  'editor-version': 'vscode/1.95.0',
  'editor-plugin-version': 'copilot-chat/0.26.7',
  'user-agent': 'GitHubCopilotChat/0.26.7',
}
