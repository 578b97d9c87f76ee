import { createPrivateKey } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestSecure } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { AuthDeps } from './auth.ts'
import { createAwsChain } from './aws-chain.node.ts'

// See src/http/serve.node.ts: an import would load Node's own fetch.
const { Agent: HttpAgent, request: requestPlain } = process.getBuiltinModule('node:http')

export type AuthDepsOptions = {
  env: Readonly<Record<string, string | undefined>>
  now?: () => number
  /** For token endpoints behind a company's own authority. */
  tls?: { verifyTls?: boolean; ca?: string }
}

/** What auth schemes need, on Node. */
export function createAuthDeps({ env, now = Date.now, tls = {} }: AuthDepsOptions): AuthDeps {
  return {
    env: (name) => env[name],
    now,
    fetch: createAuthFetch(env, tls),
    readFile: readSmall,
    writeFile: putWhole,
    decryptKey: (key, passphrase) =>
      createPrivateKey({ key, passphrase }).export({ type: 'pkcs8', format: 'pem' }).toString(),
    awsChain: createAwsChain(),
  }
}

/**
 * Small questions over node:http: no redirect is followed, no connection is kept, an answer is 1 MiB at most. Proxies
 * of the environment are used (from Node 22.21), but never for services of this machine or its host, which would be
 * the proxy's own there.
 */
export function createAuthFetch(
  env: AuthDepsOptions['env'],
  { verifyTls, ca }: NonNullable<AuthDepsOptions['tls']> = {},
): AuthDeps['fetch'] {
  const proxyEnv = proxiesOf(env)
  const tls = {
    ...(verifyTls === undefined ? {} : { rejectUnauthorized: verifyTls }),
    ...(ca === undefined ? {} : { ca }),
  }
  // An agent refuses proxy settings it does not understand, so it is made where the failure has a place to go.
  const agentFor = ({ protocol, hostname }: URL) => {
    const proxied = isNear(hostname) ? {} : { proxyEnv }
    return protocol === 'https:'
      ? new HttpsAgent({ keepAlive: false, ...tls, ...proxied })
      : new HttpAgent({ keepAlive: false, ...proxied })
  }
  return (asked) =>
    new Promise((resolve, reject) => {
      const url = new URL(asked.url)
      const send = url.protocol === 'https:' ? requestSecure : requestPlain
      const request = send(url, {
        method: asked.method,
        headers: asked.headers,
        agent: agentFor(url),
      })
      const timer = setTimeout(() => request.destroy(fault('ETIMEDOUT')), asked.timeoutMs)
      request.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      request.on('response', (response) => {
        collect(response)
          .then((body) => {
            const { 'www-authenticate': challenge } = response.headers
            const status = response.statusCode ?? 0
            resolve({ status, body, ...(challenge !== undefined && { challenge }) })
          }, reject)
          .finally(() => {
            clearTimeout(timer)
            request.destroy()
          })
      })
      request.end(asked.body)
    })
}

async function collect(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    const bytes: Buffer = chunk
    size += bytes.length
    if (size > bytesMax) throw fault('TOO_LARGE')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** A credential file; the path may be a pipe, so it is read no further than allowed. `~/` is the home folder. */
async function readSmall(path: string): Promise<string> {
  const whole = path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of createReadStream(whole, { end: bytesMax })) {
    const bytes: Buffer = chunk
    size += bytes.length
    if (size > bytesMax) throw fault('TOO_LARGE')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** For its owner only: what is written here are tokens. */
async function putWhole(path: string, content: string): Promise<void> {
  const beside = `${path}.${process.pid}.new`
  try {
    await writeFile(beside, content, { mode: 0o600 })
    await rename(beside, path)
  } catch (cause) {
    await rm(beside, { force: true })
    throw cause
  }
}

/** Loopback and link-local: metadata services live there. */
function isNear(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const family = isIP(host)
  if (family !== 0) return near.check(host, family === 4 ? 'ipv4' : 'ipv6')
  return host === 'localhost' || host.endsWith('.localhost') || host === 'metadata.google.internal'
}

const near = new BlockList()
near.addSubnet('127.0.0.0', 8)
near.addSubnet('169.254.0.0', 16)
near.addAddress('::1', 'ipv6')
near.addSubnet('fe80::', 10, 'ipv6')
near.addAddress('fd00:ec2::254', 'ipv6')

const proxiesOf = (env: AuthDepsOptions['env']) =>
  Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'].flatMap(
      (name) => (env[name] ? [[name, env[name]]] : []),
    ),
  )

const fault = (code: string): Error => Object.assign(new Error(code), { code })

const bytesMax = 1024 * 1024
