import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, number, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import type { AuthDeps, AuthScheme } from './auth.ts'
import { isHeaderValue, parsed } from './exchange.ts'
import { fromBase64 } from './jwt.ts'
import { readNamed, refused, secretsOf, settingsOf } from './settings.ts'
import { createTokenCache } from './token.ts'

type Login = { token: string; account: string | undefined }

/**
 * `chatgpt`: a subscription's login, in the file where LiteLLM's device login or OpenAI's codex leaves it. It is read, never
 * written: whoever logged in renews it, since a renewal makes the one before it useless.
 */
export function createChatgptScheme(deps: AuthDeps): AuthScheme {
  const cache = createTokenCache<Login>({ ...deps, errorMs: 5000 })
  return {
    open(row) {
      const settings = settingsOf(row, deps)
      const unset = settings.unset('api_key')
      if (unset) return refused(unset)
      const own = settings.own('api_key')
      const home = settings.env('HOME', 'USERPROFILE')
      const folder =
        settings.env('CHATGPT_TOKEN_DIR') ??
        (home === undefined ? undefined : `${home}/.config/litellm/chatgpt`)
      if (own === undefined && folder === undefined)
        return refused('ChatGPT: set CHATGPT_TOKEN_DIR to the folder of the login')
      const path = `${(folder ?? '').replace(/\/{1,10}$/, '')}/${settings.env('CHATGPT_AUTH_FILE') ?? 'auth.json'}`
      const session = crypto.randomUUID()
      const read = async () => {
        const { token, account, expiresAt } = loginIn(
          own ?? (await readNamed(path, login, deps)),
          path,
          deps.now(),
        )
        // A file that was renewed is found soon.
        return {
          value: { token, account },
          expiresAt: Math.min(expiresAt, deps.now() + rereadMs),
        }
      }
      return {
        secrets: secretsOf(own),
        async authorize({ headers }) {
          const { token, account } = await cache.get(own ?? path, read)
          headers['authorization'] = `Bearer ${token}`
          headers['session_id'] ??= session
          headers['originator'] ??= settings.env('CHATGPT_ORIGINATOR') ?? 'codex_cli_rs'
          if (account !== undefined) headers['chatgpt-account-id'] = account
        },
      }
    },
  }
}

const login = 'ChatGPT: the login (or set CHATGPT_TOKEN_DIR)'
const rereadMs = 10 * 60_000

function loginIn(said: string, path: string, now: number): Login & { expiresAt: number } {
  const file = parsed(said)
  // codex keeps the tokens one level deeper; a row's key is the token itself.
  const content = isObject(file) ? (isObject(file.tokens) ? file.tokens : file) : {}
  const token = text(content.access_token) ?? (isObject(file) ? undefined : said.trim())
  if (!token || !isHeaderValue(token))
    throw new GatewayError('authentication', `ChatGPT: ${path} holds no access_token: log in again`)
  const claims = claimsOf(token)
  const ends = number(content.expires_at) ?? number(claims.exp)
  const expiresAt = ends === undefined ? now + rereadMs : ends * 1000
  if (expiresAt <= now)
    throw new GatewayError(
      'authentication',
      'ChatGPT: the login has expired; renew it with the tool that made it (codex login, or LiteLLM)',
    )
  const account =
    text(content.account_id) ??
    accountIn(claimsOf(text(content.id_token) ?? '')) ??
    accountIn(claims)
  return { token, account: account && isHeaderValue(account) ? account : undefined, expiresAt }
}

const accountIn = (claims: JsonObject): string | undefined =>
  text(object(claims['https://api.openai.com/auth']).chatgpt_account_id)

/** What a token says of itself; it is read, not believed. */
function claimsOf(token: string): JsonObject {
  const bytes = fromBase64(token.split('.')[1] ?? '')
  return object(bytes && parsed(utf8(bytes)))
}
