import type { AuthRequest } from './auth.ts'
import type { HashClass } from './aws-hash.ts'
import type { AwsCredentials } from './aws-keys.ts'

export type Sign = (
  request: AuthRequest,
  as: { credentials: AwsCredentials; region: string; service: string },
) => Promise<void>

/** Signature Version 4 over the final bytes and URL. Only `request.headers` changes. */
export function createSign({ hash, now }: { hash: HashClass; now: () => number }): Sign {
  return async (request, { credentials, region, service }) => {
    const { SignatureV4 } = await loadSigner()
    const url = new URL(request.url)
    const signer = new SignatureV4({
      service,
      region,
      credentials,
      sha256: hash,
      // S3 takes a path as it is written and wants the sum of the body said (docs.aws.amazon.com/AmazonS3, sig-v4, 2026-11).
      applyChecksum: service === 's3',
      uriEscapePath: service !== 's3',
    })
    // What a proxy in between may change is not signed.
    const headers: Record<string, string> = { host: url.host }
    for (const [name, value] of Object.entries(request.headers))
      if (signs.test(name) && !ours.includes(name)) headers[name] = value
    const signed = await signer.sign(
      {
        method: request.method,
        protocol: url.protocol,
        hostname: url.hostname,
        path: url.pathname,
        query: queryOf(url),
        headers,
        body: request.body,
      },
      { signingDate: new Date(now()) },
    )
    for (const name of ours) {
      const value = signed.headers[name]
      if (value === undefined) delete request.headers[name]
      else request.headers[name] = value
    }
  }
}

/** Google's names whom a question is asked for that Google passes on to AWS. */
const signs = /^(?:content-type|x-amz-.*|x-goog-cloud-target-resource)$/
const ours = ['authorization', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token']

function queryOf({ searchParams }: URL): Record<string, string[]> {
  const query: Record<string, string[]> = {}
  for (const name of searchParams.keys()) query[name] = searchParams.getAll(name)
  return query
}

/** Loading takes 20 ms, which only those who sign should pay. */
let signer: Promise<typeof import('@smithy/signature-v4')> | undefined
const loadSigner = () => (signer ??= import('@smithy/signature-v4'))
