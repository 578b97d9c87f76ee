import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { GatewayError } from '../errors.ts'
import { openSocket } from './connection.node.ts'
import { createMediaFetch, type MediaFetchOptions } from './media.node.ts'
import type { Wanted } from './media.ts'

/** For pictures.test, cdn.test and inside.test; it protects nothing. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBpiFa820nn1fpefo
QFUxBr4Ekzg86jpfVYl2g/RH+yqhRANCAARmOCaz1XgVKugQrw/xgu3H+/1gfAcq
uqJrPvW1nAC2DnrVoHho9b711mcx1vt6qmzZhyhW4rZjY6YIKCuHkim+
-----END PRIVATE KEY-----
`
const cert = `-----BEGIN CERTIFICATE-----
MIIBujCCAWCgAwIBAgIUWVOsrD15igBJgivsNd7arshnKdcwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcGljdHVyZXMudGVzdDAgFw0yNjExMjExMjE4MTVaGA8yMTI2
MTAyODEyMTgxNVowGDEWMBQGA1UEAwwNcGljdHVyZXMudGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABGY4JrPVeBUq6BCvD/GC7cf7/WB8Byq6oms+9bWcALYO
etWgeGj1vvXWZzHW+3qqbNmHKFbitmNjpggoK4eSKb6jgYUwgYIwHQYDVR0OBBYE
FBpcgpKtIvF0TPJgjnE2RLnf5JoXMB8GA1UdIwQYMBaAFBpcgpKtIvF0TPJgjnE2
RLnf5JoXMA8GA1UdEwEB/wQFMAMBAf8wLwYDVR0RBCgwJoINcGljdHVyZXMudGVz
dIIIY2RuLnRlc3SCC2luc2lkZS50ZXN0MAoGCCqGSM49BAMCA0gAMEUCIBLgLjfE
oF95If3vYMtHpVHzGqnql6kQgIAhDjxrHk1RAiEApMntBOLv9pbqP3RUDiUiMzyG
Oww0CQjj88GU3duyYLM=
-----END CERTIFICATE-----
`

const png = Buffer.from('\x89PNG\r\n\x1a\n and so on', 'latin1')
const publicIp = '93.184.216.34'

type Page = (response: ServerResponse, asked: IncomingMessage) => void
const image: Page = (response) => response.writeHead(200, { 'content-type': 'image/png' }).end(png)
const redirect =
  (location: string, status = 302): Page =>
  (response) =>
    response.writeHead(status, { location }).end('moved')

const pages: Record<string, Page> = {
  '/a.png': image,
  '/to-a': redirect('/a.png'),
  '/to-cdn': redirect('https://cdn.test/a.png', 307),
  '/to-inside': redirect('https://inside.test/a.png'),
  '/to-literal': redirect('https://169.254.169.254/latest/meta-data/'),
  '/to-mapped': redirect('https://[::ffff:127.0.0.1]/a.png', 308),
  '/to-plain': redirect('http://pictures.test/a.png', 301),
  '/to-port': redirect('https://pictures.test:6379/'),
  '/to-file': redirect('file:///etc/passwd'),
  '/to-login': redirect('https://user:password@pictures.test/a.png'),
  '/to-nonsense': redirect('https://[', 303),
  '/round': redirect('/round'),
  '/1': redirect('/2'),
  '/2': redirect('/3'),
  '/3': redirect('/a.png'),
  '/nowhere': (response) => response.writeHead(302).end('no location'),
  '/missing': (response) => response.writeHead(404, { 'content-type': 'image/png' }).end(png),
  '/part': (response) => response.writeHead(206, { 'content-type': 'image/png' }).end(png),
  '/page': (response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>secret'),
  '/untyped': (response) => response.writeHead(200).end(png),
  '/untyped-page': (response) => response.writeHead(200).end('<html>secret'),
  '/empty': (response) => response.writeHead(200, { 'content-type': 'image/png' }).end(),
  '/packed': (response) =>
    response
      .writeHead(200, { 'content-type': 'image/png', 'content-encoding': 'gzip' })
      .end(gzipSync(png)),
  '/large': (response) =>
    response.writeHead(200, { 'content-type': 'image/png', 'content-length': 5000 }).write(png),
  '/endless': (response) => {
    response.writeHead(200, { 'content-type': 'image/png' })
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(512)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  },
  '/slow': (response) => {
    response.writeHead(200, { 'content-type': 'image/png' }).write(png)
    const drip = setInterval(() => response.write('.'), 5)
    response.on('close', () => clearInterval(drip))
  },
  '/silent': () => {},
  '/cut': (response) => {
    response.writeHead(200, { 'content-type': 'image/png', 'content-length': 100 }).write(png)
    setImmediate(() => response.destroy())
  },
  '/hang-up': (response) => response.destroy(),
  '/fresh': (response) =>
    response.writeHead(200, { 'content-type': 'image/png', 'cache-control': 'no-store' }).end(png),
  '/pdf': (response) =>
    response.writeHead(200, { 'content-type': 'application/pdf' }).end('%PDF-1.7'),
}

let asked: IncomingMessage[] = []
const answer = (request: IncomingMessage, response: ServerResponse) => {
  asked.push(request)
  const page = pages[new URL(request.url ?? '', 'http://x').pathname]
  if (page) page(response, request)
  else response.writeHead(404).end()
}
const secure = createServer({ key, cert }, answer)
const plain = createPlain(answer)
before(async () => {
  for (const server of [secure, plain])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(() => {
  for (const server of [secure, plain]) {
    server.close()
    server.closeAllConnections()
  }
})
const portOf = (server: typeof plain | typeof secure) => (server.address() as AddressInfo).port // listening

type World = {
  fetch: ReturnType<typeof createMediaFetch>
  looked: string[]
  /** Where connections were asked for: the address, the port, and the name in the certificate. */
  opened: string[]
}

/** The internet is one server: whatever address is asked for, it is there. What was asked for is remembered. */
function world(options: MediaFetchOptions = {}, names: Record<string, string[]> = {}): World {
  const looked: string[] = []
  const opened: string[] = []
  asked = []
  const known: Record<string, string[]> = {
    'pictures.test': [publicIp],
    'cdn.test': ['2606:4700::1'],
    'inside.test': ['10.0.0.7'],
    localhost: ['127.0.0.1', '::1'],
    ...names,
  }
  const fetch = createMediaFetch({
    connection: { ca: cert },
    lookup: async (host) => {
      looked.push(host)
      const found = known[host]
      if (!found) throw Object.assign(new Error(`ENOTFOUND ${host}`), { code: 'ENOTFOUND' })
      return found
    },
    open(route, name, done) {
      opened.push(`${route.host} ${route.port} ${name ?? ''}`.trim())
      const port = portOf(route.secure ? secure : plain)
      return openSocket({ ...route, host: '127.0.0.1', port }, name, done)
    },
    ...options,
    limits: { itemBytes: 4096, ...options.limits },
  })
  return { fetch, looked, opened }
}

const want = (more: Partial<Wanted> = {}): Wanted => ({
  kind: 'image',
  mime: undefined,
  signal: new AbortController().signal,
  take: () => {},
  ...more,
})

/** The server has been asked; a test that waits in vain says so. */
async function heard(): Promise<void> {
  for (let turn = 0; asked.length === 0; turn++) {
    ok(turn < 1000, 'nobody asked')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** The reason, which never tells what the network looks like inside. */
async function refusal(running: Promise<unknown>): Promise<string> {
  let message = ''
  await rejects(running, (error) => {
    ok(GatewayError.is(error), String(error))
    equal(error.kind, 'bad_request')
    message = error.message
    return true
  })
  for (const inside of ['10.0.0', '127.0.0', '169.254', '::1', 'ENOTFOUND', 'ECONN', 'secret'])
    ok(!message.includes(inside), message)
  return message
}

test('a picture is fetched from the address that was looked up, under its own name, and nothing goes along', async () => {
  const { fetch, looked, opened } = world()
  const taken: number[] = []
  const found = await fetch(
    'https://pictures.test/a.png?size=1#top',
    want({ take: (bytes) => taken.push(bytes) }),
  )
  deepEqual(found, { base64: png.toString('base64'), mime: 'image/png' })
  deepEqual(looked, ['pictures.test'])
  deepEqual(opened, [`${publicIp} 443 pictures.test`])
  equal(
    taken.reduce((sum, bytes) => sum + bytes, 0),
    png.length,
  )
  const [request] = asked
  equal(request?.url, '/a.png?size=1')
  deepEqual(Object.keys(request?.headers ?? {}).sort(), [
    'accept',
    'accept-encoding',
    'connection',
    'host',
    'user-agent',
  ])
  equal(request?.headers.host, 'pictures.test')
  equal(request?.headers['accept-encoding'], 'identity')
})

test('a name that answers differently the second time is only asked once, and the checked address is used', async () => {
  const answers = [[publicIp], ['127.0.0.1']]
  let looked = 0
  const { fetch, opened } = world({ lookup: async () => answers[looked++] ?? ['127.0.0.1'] })
  await fetch('https://pictures.test/a.png', want())
  equal(looked, 1)
  deepEqual(opened, [`${publicIp} 443 pictures.test`])
  // Asked again by a redirect, it is judged again.
  looked = 0
  const again = world({ lookup: async () => answers[looked++] ?? ['127.0.0.1'] })
  match(await refusal(again.fetch('https://pictures.test/to-a', want())), /no public address/)
  equal(again.opened.length, 1)
})

describe('nothing is connected to', () => {
  const cases: [name: string, url: string, reason: RegExp, addresses?: string[]][] = [
    ['a private address', 'https://inside.test/a.png', /no public address/],
    ['a name of this machine', 'https://localhost/a.png', /no public address/],
    ['the same with a dot', 'https://localhost./a.png', /no public address/],
    [
      'one private address among public ones',
      'https://mixed.test/',
      /no public address/,
      [publicIp, '10.0.0.7'],
    ],
    [
      'a private address behind a public one',
      'https://mixed.test/',
      /no public address/,
      ['10.0.0.7', publicIp],
    ],
    ['a mapped address', 'https://mixed.test/', /no public address/, ['::ffff:10.0.0.7']],
    ['a translated address', 'https://mixed.test/', /no public address/, ['64:ff9b::a00:7']],
    ['an address with a zone', 'https://mixed.test/', /no public address/, ['fe80::1%eth0']],
    ['a name without addresses', 'https://mixed.test/', /no public address/, []],
    ['a name that does not exist', 'https://nobody.test/', /no public address/],
    ['an address that is written out', 'https://10.0.0.7/', /no public address/],
    ['as a number', 'https://167772167/', /no public address/],
    ['in hexadecimal', 'https://0xA9FEA9FE/', /no public address/],
    ['in octal', 'https://0251.0376.0251.0376/', /no public address/],
    ['shortened', 'https://127.1/', /no public address/],
    ['all zeros', 'https://0.0.0.0/', /no public address/],
    ['in sixteen bytes', 'https://[::1]/', /no public address/],
    ['mapped into sixteen bytes', 'https://[::ffff:a9fe:a9fe]/', /no public address/],
    ['plain http', 'http://pictures.test/a.png', /only https/],
    ['another port', 'https://pictures.test:6379/', /port/],
    ['a login', 'https://user:secret@pictures.test/a.png', /login/],
    ['another scheme', 'ftp://pictures.test/a.png', /only https/],
    ['no URL', 'https://[', /no URL/],
    ['a URL without end', `https://pictures.test/${'a'.repeat(9000)}`, /no URL/],
  ]
  for (const [name, url, reason, addresses] of cases)
    test(name, async () => {
      const { fetch, opened } = world({}, addresses && { 'mixed.test': addresses })
      match(await refusal(fetch(url, want())), reason)
      deepEqual(opened, [])
      equal(asked.length, 0)
    })
})

describe('redirects', () => {
  const followed: [from: string, opened: string[]][] = [
    ['/to-a', [`${publicIp} 443 pictures.test`, `${publicIp} 443 pictures.test`]],
    ['/to-cdn', [`${publicIp} 443 pictures.test`, '2606:4700::1 443 cdn.test']],
  ]
  for (const [from, hops] of followed)
    test(`${from} is followed`, async () => {
      const { fetch, opened } = world()
      equal((await fetch(`https://pictures.test${from}`, want())).mime, 'image/png')
      deepEqual(opened, hops)
    })
  const refused: [from: string, reason: RegExp, hops: number][] = [
    ['/to-inside', /no public address/, 1],
    ['/to-literal', /no public address/, 1],
    ['/to-mapped', /no public address/, 1],
    ['/to-plain', /only https/, 1],
    ['/to-port', /port/, 1],
    ['/to-file', /only https/, 1],
    ['/to-login', /login/, 1],
    ['/to-nonsense', /no URL/, 1],
    ['/nowhere', /status 302/, 1],
    ['/round', /more than 3 times/, 4],
  ]
  for (const [from, reason, hops] of refused)
    test(`${from} is not followed`, async () => {
      const { fetch, opened } = world()
      match(await refusal(fetch(`https://pictures.test${from}`, want())), reason)
      equal(opened.length, hops)
    })
  test('three are', async () => {
    const { fetch, opened } = world()
    await fetch('https://pictures.test/1', want())
    equal(opened.length, 4)
  })
})

describe('what comes is bounded and what was asked for', () => {
  const cases: [path: string, wanted: Partial<Wanted>, outcome: RegExp | string][] = [
    ['/missing', {}, /status 404/],
    ['/part', {}, /status 206/],
    ['/page', {}, /says it is text\/html, and an image was expected/],
    ['/untyped-page', {}, /of no known type, and an image was expected/],
    ['/untyped', {}, 'image/png'],
    ['/a.png', { kind: 'audio' }, /says it is image\/png, and audio was expected/],
    ['/pdf', { kind: 'file' }, 'application/pdf'],
    ['/pdf', { kind: 'image' }, /application\/pdf/],
    [
      '/page',
      { kind: 'file', mime: 'application/pdf' },
      /text\/html, and application\/pdf was expected/,
    ],
    ['/empty', {}, /it is empty/],
    ['/packed', {}, /compressed/],
    ['/large', {}, /larger than 0\.00390625 MiB/],
    ['/endless', {}, /larger than/],
    ['/slow', {}, /longer than 0\.1 seconds/],
    ['/silent', {}, /longer than 0\.1 seconds/],
    ['/cut', {}, /broke off/],
    ['/hang-up', {}, /did not answer/],
  ]
  for (const [path, wanted, outcome] of cases)
    test(`${path} as ${wanted.kind ?? 'image'}${wanted.mime ? ` ${wanted.mime}` : ''}`, async () => {
      const { fetch } = world({ limits: { totalMs: typeof outcome === 'string' ? 5000 : 100 } })
      const running = fetch(`https://pictures.test${path}`, want(wanted))
      if (typeof outcome === 'string') equal((await running).mime, outcome)
      else match(await refusal(running), outcome)
    })
  test('whoever counts the bytes may end it', async () => {
    const { fetch } = world()
    const take = () => {
      throw new GatewayError('bad_request', 'enough')
    }
    equal(await refusal(fetch('https://pictures.test/a.png', want({ take }))), 'enough')
  })
  test('a name server that says nothing', async () => {
    const { fetch } = world({ lookup: () => new Promise(() => {}), limits: { totalMs: 20 } })
    match(await refusal(fetch('https://pictures.test/', want())), /longer than/)
  })
})

test('a certificate of another name is refused', async () => {
  const { fetch } = world({}, { 'other.test': [publicIp] })
  match(await refusal(fetch('https://other.test/a.png', want())), /no connection/)
  equal(asked.length, 0)
})

test('an address that does not answer gives way to the next', async () => {
  const tried: string[] = []
  const { fetch } = world(
    {
      open(route, name, done) {
        tried.push(route.host)
        const port = route.host === publicIp ? 1 : portOf(secure)
        return openSocket({ ...route, host: '127.0.0.1', port }, name, done)
      },
    },
    { 'pictures.test': [publicIp, '2606:4700::1'] },
  )
  await fetch('https://pictures.test/a.png', want())
  deepEqual(tried, [publicIp, '2606:4700::1'])
})

test('a client that goes away: the fetch ends, and its connection with it', async () => {
  const { fetch } = world()
  const client = new AbortController()
  const running = fetch('https://pictures.test/silent', want({ signal: client.signal }))
  await heard()
  const closed = new Promise((resolve) => asked[0]?.socket.once('close', resolve))
  client.abort()
  await rejects(running)
  await closed
})

test('a host the operator allows may be inside, plain, and on any port', async () => {
  const { fetch, opened } = world({ allowedHosts: ['inside.test', '127.0.0.1:8080'] })
  await fetch('https://inside.test/a.png', want())
  await fetch('http://inside.test:8080/a.png', want())
  await fetch('http://127.0.0.1:8080/a.png', want())
  deepEqual(opened, ['10.0.0.7 443 inside.test', '10.0.0.7 8080 inside.test', '127.0.0.1 8080'])
  match(await refusal(fetch('http://127.0.0.1:8081/a.png', want())), /only https/)
  match(await refusal(fetch('https://127.0.0.1/a.png', want())), /no public address/)
  match(await refusal(fetch('https://user@inside.test/a.png', want())), /login/)
})

test('a host that is allowed does not vouch for where it redirects to', async () => {
  const { fetch, opened } = world({ allowedHosts: ['pictures.test'] })
  match(await refusal(fetch('http://pictures.test/to-inside', want())), /no public address/)
  equal(opened.length, 1)
})

test('without validation everything on the web is fetched, and nothing else', async () => {
  const { fetch, opened } = world({ validate: false })
  await fetch('http://inside.test:9/a.png', want())
  deepEqual(opened, ['10.0.0.7 9 inside.test'])
  match(await refusal(fetch('file:///etc/passwd', want())), /only https/)
})

test('a proxy is asked for the checked address, never for the name', async (t) => {
  const told: string[] = []
  const proxy = createPlain((request, response) => {
    told.push(request.url ?? '')
    response.writeHead(200, { 'content-type': 'image/png' }).end(png)
  })
  proxy.on('connect', (request, socket) => {
    told.push(request.url ?? '')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` // listening
  const { fetch } = world({
    env: { https_proxy: address, http_proxy: address },
    allowedHosts: ['inside.test'],
    open: openSocket,
  })
  match(await refusal(fetch('https://pictures.test/a.png', want())), /no connection/)
  await fetch('http://inside.test/a.png?b', want())
  match(await refusal(fetch('https://localhost/a.png', want())), /no public address/)
  deepEqual(told, [`${publicIp}:443`, 'http://10.0.0.7:80/a.png?b'])
})

describe('what an agent sends again with the next turn', () => {
  const a = 'https://pictures.test/a.png'
  test('is fetched once a minute, and counted each time', async () => {
    let now = 0
    const { fetch } = world({ now: () => now })
    let taken = 0
    const take = (bytes: number) => {
      taken += bytes
    }
    const first = await fetch(a, want({ take }))
    now = 59_999
    deepEqual(await fetch(a, want({ take })), first)
    equal(asked.length, 1)
    equal(taken, 2 * png.length)
    now = 60_000
    await fetch(a, want())
    equal(asked.length, 2)
  })
  test('is judged for what it is wanted as', async () => {
    const { fetch } = world()
    await fetch(a, want())
    match(await refusal(fetch(a, want({ kind: 'video' }))), /video was expected/)
    equal(asked.length, 1)
  })
  test('is fetched again if its server wants that, or if it failed', async () => {
    const { fetch } = world()
    for (const path of ['/fresh', '/fresh']) await fetch(`https://pictures.test${path}`, want())
    for (const path of ['/missing', '/missing'])
      await refusal(fetch(`https://pictures.test${path}`, want()))
    equal(asked.length, 4)
  })
  test('is kept as long as there is room; what was not used for longest goes first', async () => {
    const room = 2 * png.toString('base64').length
    const { fetch } = world({ limits: { cacheBytes: room } })
    const get = async (name: string) => {
      const before = asked.length
      await fetch(`${a}?${name}`, want())
      return asked.length > before ? 'fetched' : 'kept'
    }
    const said: string[] = []
    for (const name of ['1', '2', '1', '3', '1', '2']) said.push(await get(name))
    deepEqual(said, ['fetched', 'fetched', 'kept', 'fetched', 'kept', 'fetched'])
    const none = world({ limits: { cacheBytes: 1 } })
    for (const _ of [1, 2]) await none.fetch(a, want())
    equal(asked.length, 2)
  })
})

test('only so many run at a time; who waits too long or leaves is let go', async () => {
  const { fetch } = world({ limits: { concurrency: 1, totalMs: 300 } })
  const client = new AbortController()
  const first = new AbortController()
  const running = fetch('https://pictures.test/silent', want({ signal: first.signal }))
  const left = fetch('https://pictures.test/a.png?left', want({ signal: client.signal }))
  const next = fetch('https://pictures.test/a.png?next', want())
  client.abort()
  await rejects(left)
  await heard()
  equal(asked.length, 1)
  first.abort()
  await rejects(running)
  equal((await next).mime, 'image/png')
  deepEqual(
    asked.map(({ url }) => url),
    ['/silent', '/a.png?next'],
  )
})
