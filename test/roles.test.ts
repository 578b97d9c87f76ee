import { deepEqual, equal, ok } from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { adminRoutes } from '../src/admin/admin.ts'
import { createGateway } from '../src/gateway/gateway.ts'
import { type Route, routes } from '../src/gateway/routes.ts'
import { incoming, textOf } from '../src/gateway/visit.test.ts'
import type { Handler } from '../src/http/http.ts'
import type { JsonObject } from '../src/json/json.ts'
import { ask, type Gateway, startGateway } from './support/gateway.ts'
import { fileScope, hello, type Provider, startProvider } from './support/provider.ts'
import { makeKey, masterKey, pricedRow } from './support/spending.ts'

/** Who may use what: every route of this gateway by every kind of caller, over a database of its own. */
const scope = fileScope()
const every: readonly Route[] = [...routes, ...adminRoutes]
const file = join(import.meta.dirname, 'roles.snapshot.json')
let provider: Provider
let gateway: Gateway
let handler: Handler
/** In the order of the snapshot's columns. */
const who = new Map<string, string | undefined>()

async function manage(path: string, body: JsonObject): Promise<JsonObject> {
  const response = await gateway.post(path, body, { authorization: `Bearer ${masterKey}` })
  const said = await response.json()
  equal(response.status, 200, `${path} ${JSON.stringify(said)}`)
  return said
}

before(async () => {
  provider = await startProvider(scope, hello)
  gateway = await startGateway(scope, {
    models: [pricedRow(provider), { ...pricedRow(provider), model_name: 'another' }],
    general: { master_key: masterKey },
    sections: {
      search_tools: [
        {
          search_tool_name: 'm',
          litellm_params: {
            search_provider: 'tavily',
            api_key: 'k',
            api_base: provider.origin,
            input_cost_per_query: 0.01,
          },
        },
      ],
    },
    env: { OPENAI_API_KEY: 'sk-openai-credential', OPENAI_BASE_URL: provider.base },
  })
  handler = createGateway(gateway.running.rooms, adminRoutes)
  const key = (more: JsonObject = {}) => makeKey(gateway.url, more)
  const person = async (name: string, role: string): Promise<string> => {
    await manage('/user/new', { user_id: name, user_role: role, auto_create_key: false })
    return key({ user_id: name })
  }
  await manage('/organization/new', { organization_id: 'org', organization_alias: 'org' })
  who.set('admin', await person('ann', 'proxy_admin'))
  who.set('viewer', await person('vic', 'proxy_admin_viewer'))
  who.set('org_admin', await person('olga', 'internal_user'))
  who.set('team_admin', await person('tom', 'internal_user'))
  who.set('user', await person('una', 'internal_user'))
  who.set('user_viewer', await person('uwe', 'internal_user_viewer'))
  await manage('/organization/member_add', {
    organization_id: 'org',
    member: { user_id: 'olga', role: 'org_admin' },
  })
  await manage('/team/new', {
    team_id: 'team',
    members_with_roles: [
      { user_id: 'tom', role: 'admin' },
      { user_id: 'una', role: 'user' },
    ],
  })
  who.set('team_key', await key({ team_id: 'team' }))
  who.set('key', await key())
  for (const type of ['llm_api', 'management', 'read_only'])
    who.set(type, await key({ key_type: type }))
  const blocked = await key()
  await manage('/key/block', { key: blocked })
  who.set('blocked', blocked)
  who.set('expired', await key({ duration: '1s' }))
  who.set('wrong', 'sk-0123456789-nobody-made-it')
  // What management shows as a key's id opens nothing.
  who.set('hash', gateway.running.rooms.books?.store.sealer.digest(who.get('key') ?? ''))
  who.set('none', undefined)
  await new Promise((resolve) => void setTimeout(resolve, 1050))
})

/** One body that every operation reads as its own. */
const body: JsonObject = {
  ...ask('m', { max_tokens: 5 }),
  input: 'hi',
  prompt: 'hi',
  query: 'hi',
  documents: ['hi'],
  document: { type: 'document_url', document_url: 'https://example.org/a.pdf' },
  contents: [{ role: 'user', parts: [{ text: 'hi' }] }],
  content: { parts: [{ text: 'hi' }] },
  requests: [{ content: { parts: [{ text: 'hi' }] } }],
}
const form = /\/(images\/(edits|variations)|audio\/(transcriptions|translations))$/
const formBody = '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--x--\r\n'

async function visit(
  { method, path }: Route,
  key: string | undefined,
  said: JsonObject | string,
): Promise<{ status: number; text: string }> {
  const isForm = form.test(path) && said === body
  const out = await handler(
    incoming({
      method,
      path: path.replace('{provider}', 'openai').replace(/\{\w+\+?\}/g, 'm'),
      query: '',
      headers: {
        authorization: key === undefined ? '' : `Bearer ${key}`,
        'content-type': isForm ? 'multipart/form-data; boundary=x' : 'application/json',
        'content-length': '300',
      },
      body: isForm ? formBody : method === 'GET' ? '' : said,
    }),
  )
  return { status: out.status, text: await textOf(out) }
}

describe('every route and every kind of caller', () => {
  test('as the snapshot says (WRITE_SNAPSHOT=1 writes it)', async () => {
    const found: Record<string, string> = { columns: [...who.keys()].join(' ') }
    // Those that only look come first, so that what others do changes nothing for them.
    const order = [...every].sort((a, b) => Number(a.method !== 'GET') - Number(b.method !== 'GET'))
    const cells = new Map<Route, string>()
    for (const route of order) {
      let row = ''
      for (const [name, key] of who) {
        const { status, text } = await visit(route, key, {})
        ok(status !== 500, `${name} ${route.method} ${route.path}: ${text.slice(0, 300)}`)
        row += status === 401 || status === 403 ? '-' : '+'
      }
      cells.set(route, row)
    }
    for (const route of every)
      found[`${route.method} ${route.path}`] = `${route.permission} ${cells.get(route)}`
    if (process.env['WRITE_SNAPSHOT'])
      await writeFile(file, `${JSON.stringify(found, undefined, 1)}\n`)
    const kept = JSON.parse(await readFile(file, 'utf8'))
    for (const [route, row] of Object.entries(found)) equal(row, kept[route], route)
    deepEqual(Object.keys(found), Object.keys(kept))
  })

  test('what holds for all of them', async () => {
    const kept: Record<string, string> = JSON.parse(await readFile(file, 'utf8'))
    const columns = [...who.keys()]
    const may = (row: string, name: string): boolean =>
      row.split(' ')[1]?.[columns.indexOf(name)] === '+'
    const { columns: _, ...rows } = kept
    for (const [route, row] of Object.entries(rows)) {
      const permission = row.split(' ')[0]
      for (const name of ['blocked', 'expired', 'wrong', 'hash', 'none'])
        equal(may(row, name), permission === 'public', `${name} ${route}`)
      if (permission === 'admin')
        for (const name of columns.slice(1)) ok(!may(row, name), `${name} ${route}`)
      if (permission === 'view')
        for (const name of columns.slice(2)) ok(!may(row, name), `${name} ${route}`)
      if (permission === 'self_write')
        for (const name of ['viewer', 'user_viewer', 'llm_api', 'read_only'])
          ok(!may(row, name), `${name} ${route}`)
      if (permission === 'llm')
        for (const name of ['management', 'read_only']) ok(!may(row, name), `${name} ${route}`)
    }
  })
})

describe('routes by which models are called', () => {
  const llm = every.filter(({ permission }) => permission === 'llm')
  /** Nothing is asked of a model: a count, an answer that was paid for, a thing that is kept. */
  const isFree = ({ method, path }: Route): boolean =>
    /count_tokens$|input_tokens$|:countTokens$/.test(path) ||
    /\/responses\/\{id\}/.test(path) ||
    (kept.test(path) && (method !== 'POST' || /\/files$|\/cancel$/.test(path)))
  const kept =
    /\/(files|batches|fine_tuning|vector_stores|videos|containers|assistants|threads)(\/|$)/
  /** A WebSocket's path without one, and providers without a credential: nobody is asked. */
  const asksNobody = new Set([426, 501])

  test('a key without money is refused on each, or it costs nothing', async () => {
    const broke = await makeKey(gateway.url, { max_budget: 0 })
    const open: string[] = []
    for (const route of llm) {
      const { status } = await visit(route, broke, body)
      if (status !== 422 && !asksNobody.has(status) && !isFree(route))
        open.push(`${status} ${route.method} ${route.path}`)
    }
    deepEqual(open, [])
  })

  test('a key without a pace is refused on each', async () => {
    const slow = await makeKey(gateway.url, { rpm_limit: 0 })
    const open: string[] = []
    for (const route of llm) {
      const { status } = await visit(route, slow, body)
      if (status !== 429 && !asksNobody.has(status))
        open.push(`${status} ${route.method} ${route.path}`)
    }
    deepEqual(open, [])
  })

  test('a key of other models is refused on each', async () => {
    const bound = await makeKey(gateway.url, { models: ['another'] })
    const open: string[] = []
    for (const route of llm) {
      const { status } = await visit(route, bound, body)
      if (status !== 403 && !asksNobody.has(status) && !/\/responses\/\{id\}/.test(route.path))
        open.push(`${status} ${route.method} ${route.path}`)
    }
    deepEqual(open, [])
  })
})
