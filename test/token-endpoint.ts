import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { AuthDeps, AuthRow, AuthScheme } from '../src/provider/auth/auth.ts'
import { createAuthFetch } from '../src/provider/auth/fetch.node.ts'

export type Asked = {
  method: string
  /** With the query. */
  path: string
  headers: Record<string, string | undefined>
  body: string
  form: Record<string, string>
}
export type Told = {
  status?: number
  json?: unknown
  text?: string
  headers?: Record<string, string>
}

/** A token endpoint on loopback that does as it is told, and remembers what it was asked. */
export async function startEndpoint(t: TestContext, tell: (asked: Asked) => Told | Promise<Told>) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', async () => {
      const one: Asked = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        ),
        body,
        form: Object.fromEntries(new URLSearchParams(body)),
      }
      asked.push(one)
      const { status = 200, json, text, headers } = await tell(one)
      response.writeHead(status, headers)
      response.end(text ?? JSON.stringify(json))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on a port
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}`, asked, close }
}

/** Deps with a clock and files of the test's own, and the real network. */
export function depsOf(
  env: Record<string, string>,
  files: Record<string, string> = {},
): AuthDeps & { clock: { now: number }; files: Record<string, string> } {
  const clock = { now: Date.parse('2026-06-01T12:00:00Z') }
  return {
    clock,
    files,
    env: (name) => env[name],
    now: () => clock.now,
    fetch: createAuthFetch({}),
    async readFile(path) {
      const content = files[path]
      if (content === undefined)
        throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' })
      return content
    },
  }
}

export const row = (params: AuthRow['params'] = {}, more: Partial<AuthRow> = {}): AuthRow => ({
  provider: 'x',
  model: 'm',
  params,
  hasBase: false,
  ...more,
})

/** The headers a request gets. */
export async function headersOf(
  opened: ReturnType<AuthScheme['open']>,
  { url = 'https://up.example/v1', headers = {}, body = '' } = {},
): Promise<Record<string, string>> {
  const request = {
    method: 'POST',
    url,
    headers: { ...headers },
    body: new TextEncoder().encode(body),
  }
  await opened.authorize(request)
  return request.headers
}

/** Lets what runs in the background come to an end. */
export async function settled(until: () => boolean | Promise<boolean>): Promise<void> {
  const started = Date.now()
  while (!(await until())) {
    if (Date.now() - started > 5000) throw new Error('it did not happen within 5 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** A fresh RSA key as PEM. */
export async function rsaKey(): Promise<{ pem: string; verify: CryptoKey; pair: CryptoKeyPair }> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const pair = await crypto.subtle.generateKey(
    { ...algorithm, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  )
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', pair.privateKey))
  return { pem: pemOf(der, 'PRIVATE KEY'), verify: pair.publicKey, pair }
}

export const pemOf = (der: Buffer, label: string): string =>
  `-----BEGIN ${label}-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`

/** Header and claims of a JWT whose signature is right. */
export async function readJwt(
  token: string,
  key: CryptoKey,
): Promise<{ header: Record<string, unknown>; claims: Record<string, unknown> }> {
  const [header = '', claims = '', signature = ''] = token.split('.')
  const right = await crypto.subtle.verify(
    'RSASSA-PKCS1-v1_5',
    key,
    Buffer.from(signature, 'base64url'),
    Buffer.from(`${header}.${claims}`),
  )
  if (!right) throw new Error('the signature is wrong')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: read(header), claims: read(claims) }
}
