import { GatewayError } from '../../errors.ts'
import { base64, readRsaKey, signJwt } from './jwt.ts'
import type { Plan, Planner } from './plan.ts'
import { readNamed } from './settings.ts'

/**
 * Snowflake: `pat/…` is a programmatic access token, any other key a JWT of one's own; or the private key of a user,
 * with which the JWT is made here, as Snowflake accepts none older than an hour
 * (https://docs.snowflake.com/en/developer-guide/sql-api/authenticating).
 */
export const snowflake: Planner = (settings, _row, deps) => {
  const own = settings.own('api_key')
  if (own) return ready(own)
  const pem = settings.env('SNOWFLAKE_PRIVATE_KEY')
  const path = settings.env('SNOWFLAKE_PRIVATE_KEY_PATH', 'SNOWFLAKE_PRIVATE_KEY_FILE')
  const user = settings.env('SNOWFLAKE_USER')
  if ((!pem && !path) || !user) {
    const jwt = settings.env('SNOWFLAKE_JWT')
    if (jwt) return ready(jwt)
    return {
      type: 'wrong',
      message:
        'Snowflake: no credentials. Set api_key in litellm_params (a JWT, or pat/ and a programmatic access token), SNOWFLAKE_JWT, or SNOWFLAKE_USER and SNOWFLAKE_PRIVATE_KEY_PATH',
    }
  }
  const account =
    settings.own('account_id') ?? settings.env('SNOWFLAKE_ACCOUNT_ID', 'SNOWFLAKE_ACCOUNT')
  if (!account)
    return { type: 'wrong', message: 'Snowflake: set SNOWFLAKE_ACCOUNT_ID beside SNOWFLAKE_USER' }
  const from = pem ? 'SNOWFLAKE_PRIVATE_KEY' : 'SNOWFLAKE_PRIVATE_KEY_PATH'
  return {
    type: 'token',
    async fetch() {
      const text = pem ?? (await readNamed(path ?? '', from, deps))
      const key = await readRsaKey(text, from, { extractable: true })
      const issued = Math.floor(deps.now() / 1000)
      // A locator may carry its region (xy12345.us-east-1); the name in a JWT does not.
      const subject = `${account.split('.', 1)[0]}.${user}`.toUpperCase()
      const claims = {
        iss: `${subject}.SHA256:${await fingerprint(key, from)}`,
        sub: subject,
        iat: issued,
        exp: issued + lifeSeconds,
      }
      return { value: await signJwt(key, claims), expiresAt: (issued + lifeSeconds) * 1000 }
    },
    key: [account, user, pem ?? '', path ?? ''],
    secrets: pem ? [pem] : [],
    headers: { [typeHeader]: 'KEYPAIR_JWT' },
  }
}

const ready = (key: string): Plan => {
  const pat = key.startsWith('pat/')
  const token = pat ? key.slice(4) : key
  return {
    type: 'headers',
    headers: {
      authorization: `Bearer ${token}`,
      [typeHeader]: pat ? 'PROGRAMMATIC_ACCESS_TOKEN' : 'KEYPAIR_JWT',
    },
    secrets: [token],
  }
}

/** Of the public half, as `RSA_PUBLIC_KEY_FP` shows it. */
async function fingerprint(key: CryptoKey, from: string): Promise<string> {
  const { n, e } = await crypto.subtle.exportKey('jwk', key)
  if (n === undefined || e === undefined)
    throw new GatewayError('authentication', `${from} is not an RSA key`)
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const jwk = { kty: 'RSA', n, e }
  const open = await crypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify'])
  const spki = await crypto.subtle.exportKey('spki', open)
  return base64(new Uint8Array(await crypto.subtle.digest('SHA-256', spki)))
}

const typeHeader = 'x-snowflake-authorization-token-type'
const lifeSeconds = 59 * 60
