import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadCatalogue, refreshCatalogue, refreshUrl } from './catalogue.node.ts'
import { type Catalogue, createCatalogue } from './catalogue.ts'

const shipped = await loadCatalogue({ env: () => undefined })

test('the shipped list is whole, and read once', async () => {
  const about = JSON.parse(
    readFileSync(new URL('../../data/models.meta.json', import.meta.url), 'utf8'),
  )
  assert.equal(shipped.size, about.models)
  assert.equal(shipped.providers().length, about.providers)
  assert.equal(await loadCatalogue({ env: () => undefined }), shipped)
})

const switches: [env: Record<string, string>, url: string | undefined][] = [
  [{}, undefined],
  [{ LITELLM_MODEL_COST_MAP_URL: 'http://a/b.json' }, 'http://a/b.json'],
  [
    { LITELLM_MODEL_COST_MAP_URL: 'http://a/b.json', LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
    undefined,
  ],
  [
    { LITELLM_MODEL_COST_MAP_URL: 'http://a/b.json', LITELLM_LOCAL_MODEL_COST_MAP: 'false' },
    'http://a/b.json',
  ],
  [{ LITELLM_MODEL_COST_MAP_URL: ' ' }, undefined],
]
for (const [env, url] of switches)
  test(`where to refresh from: ${JSON.stringify(env)}`, () =>
    assert.equal(
      refreshUrl((name) => env[name]),
      url,
    ))

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

const listOf = (count: number, extra: object = {}): string =>
  JSON.stringify({
    ...Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `m${at}`,
        { litellm_provider: 'p', mode: 'chat', input_cost_per_token: at },
      ]),
    ),
    ...extra,
  })
const sixty = createCatalogue(JSON.parse(listOf(60)))

type Answer = (request: IncomingMessage, response: ServerResponse) => void
type Run = { result: Catalogue | undefined; wrong: string; asked: number; folder: string }

/** Serves the answers one after another, the last one for ever, and refreshes from them once. */
async function run(
  answers: Answer[],
  check: (run: Run) => void | Promise<void>,
  current = sixty,
): Promise<void> {
  let asked = 0
  const server = createServer((request, response) =>
    (answers[asked++] ?? answers.at(-1))?.(request, response),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'catalogue-'))
  try {
    let wrong = ''
    const url = `http://127.0.0.1:${portOf(server)}/models.json`
    const result = await refreshCatalogue({
      url,
      dataDir: folder,
      current,
      fetch,
      retryMs: 1,
    }).catch((cause: unknown) => {
      wrong = String(cause)
      return undefined
    })
    await check({ result, wrong, asked, folder })
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  }
}

const say =
  (body: string, status = 200, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    response.writeHead(status, headers).end(body)

test('a good list takes the place of the old one and is kept', () =>
  run([say(listOf(70), 200, { etag: '"v1"' })], ({ result, asked, folder }) => {
    assert.equal(result?.size, 70)
    assert.equal(result?.find('p', 'm69')?.info.input_cost_per_token, 69)
    assert.equal(asked, 1)
    assert.deepEqual(readdirSync(folder).sort(), ['models.json', 'models.meta.json'])
  }))

const refused: [
  name: string,
  answers: Answer[],
  asked: number,
  says: RegExp,
  current?: Catalogue,
][] = [
  ['not JSON', [say('<html>')], 1, /not JSON/],
  ['cut short', [say(listOf(70).slice(0, -9))], 1, /not JSON/],
  ['a list', [say('[]')], 1, /not a JSON object/],
  ['an entry that is text', [say(listOf(70, { bad: 'x' }))], 1, /"bad" is not a model/],
  ['a provider that is a number', [say(listOf(70, { bad: { litellm_provider: 5 } }))], 1, /"bad"/],
  [
    'a price that is no number',
    [say(listOf(70, { bad: { input_cost_per_token: 'cheap' } }))],
    1,
    /"bad"/,
  ],
  ['fewer than fifty', [say(listOf(49))], 1, /only 49/],
  ['less than half', [say(listOf(70))], 1, /less than half/, shipped],
  ['not found', [say('', 404)], 1, /404/],
  ['failing for good', [say('', 500)], 3, /500/],
  ['hanging up', [(request) => request.socket.destroy()], 3, /fetch failed/],
  [
    'too large',
    [
      (_request, response) => {
        response.writeHead(200)
        const piece = Buffer.alloc(4 << 20, 32)
        const pump = (): void => {
          while (!response.destroyed && response.write(piece));
          response.once('drain', pump)
        }
        pump()
      },
    ],
    1,
    /larger than/,
  ],
]
for (const [name, answers, asked, says, current] of refused) {
  test(`refused: ${name}`, () =>
    run(
      answers,
      (told) => {
        assert.equal(told.result, undefined)
        assert.equal(told.asked, asked)
        assert.match(told.wrong, says)
        assert.deepEqual(readdirSync(told.folder), [])
      },
      current,
    ))
}

test('a server that fails at first is asked again', () =>
  run([say('', 503), say('', 429), say(listOf(70))], ({ result, asked }) => {
    assert.equal(result?.size, 70)
    assert.equal(asked, 3)
  }))

test('the list in use is not fetched again, another server is asked for all', async () => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers['if-none-match'])
    if (request.headers['if-none-match'] === '"v1"') response.writeHead(304).end()
    else response.writeHead(200, { etag: '"v1"' }).end(listOf(70))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${portOf(server)}`
  try {
    const first = await refreshCatalogue({ url: `${base}/a`, current: sixty, fetch })
    assert.ok(first)
    assert.equal(await refreshCatalogue({ url: `${base}/a`, current: first, fetch }), undefined)
    assert.equal((await refreshCatalogue({ url: `${base}/b`, current: first, fetch }))?.size, 70)
    assert.deepEqual(seen, [undefined, '"v1"', undefined])
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

test('patterns from the network are not run: the shipped ones are', () =>
  run(
    [
      say(
        listOf(70, {
          fallback_generalizations: { rules: [{ pattern: '(a+)+$', model_info: { evil: true } }] },
        }),
      ),
    ],
    ({ result }) => {
      assert.equal(result?.find('p', `${'a'.repeat(40)}!`), undefined)
      assert.equal(result?.providerOf('claude-newfamily-7'), 'anthropic')
    },
  ))

test('a refresh that is called off ends', async () => {
  const stop = new AbortController()
  const stuck: typeof fetch = async () => {
    stop.abort(new Error('stopping'))
    throw new Error('cut')
  }
  await assert.rejects(
    refreshCatalogue({
      url: 'http://127.0.0.1:9/',
      current: sixty,
      fetch: stuck,
      signal: stop.signal,
    }),
  )
})

const env = (name: string): string | undefined =>
  name === 'LITELLM_MODEL_COST_MAP_URL' ? 'http://127.0.0.1:9/' : undefined
const keptCases: [name: string, body: string, about: object, size: number][] = [
  ['newer than the shipped one', listOf(3000), { fetched: '2999-01-01T00:00:00Z' }, 3000],
  ['older', listOf(3000), { fetched: '2001-01-01T00:00:00Z' }, shipped.size],
  ['too small', listOf(70), { fetched: '2999-01-01T00:00:00Z' }, shipped.size],
  [
    'not what its notes say',
    listOf(3000),
    { fetched: '2999-01-01T00:00:00Z', length: 3 },
    shipped.size,
  ],
  ['broken', '{', { fetched: '2999-01-01T00:00:00Z' }, shipped.size],
]
for (const [name, body, about, size] of keptCases) {
  test(`at the start, a kept list that is ${name}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'catalogue-'))
    try {
      writeFileSync(join(folder, 'models.json'), body)
      writeFileSync(
        join(folder, 'models.meta.json'),
        JSON.stringify({ length: body.length, ...about }),
      )
      assert.equal((await loadCatalogue({ dataDir: folder, env })).size, size)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}
test('without a URL a kept list is not read', async () => {
  assert.equal(await loadCatalogue({ dataDir: tmpdir(), env: () => undefined }), shipped)
})
