import { text } from '../../json/json.ts'
import type { AuthDeps } from './auth.ts'

/**
 * AWS's own chain of credentials, for what is not spoken here (`credential_process`, logins of the console): used where
 * somebody has installed its package beside this one, and loaded when it is first needed.
 */
export function createAwsChain(
  load: (name: string) => Promise<unknown> = (name) => import(name),
): NonNullable<AuthDeps['awsChain']> {
  return async (profile) => {
    const chain = await load(awsChainPackage).catch((cause: unknown) => {
      if (isAbsent(cause)) return undefined
      throw cause
    })
    const make: unknown = isRecord(chain) ? chain['defaultProvider'] : undefined
    if (typeof make !== 'function') return undefined
    const provide: unknown = make(profile === undefined ? {} : { profile })
    if (typeof provide !== 'function') return undefined
    const found: unknown = await provide()
    if (!isRecord(found)) return undefined
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = found
    return {
      accessKeyId: text(accessKeyId),
      secretAccessKey: text(secretAccessKey),
      sessionToken: text(sessionToken),
      expires: expiration instanceof Date ? expiration.getTime() : undefined,
    }
  }
}

export const awsChainPackage = '@aws-sdk/credential-provider-node'

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const isAbsent = (cause: unknown): boolean =>
  isRecord(cause) && /^(ERR_)?MODULE_NOT_FOUND$/.test(String(cause['code']))
