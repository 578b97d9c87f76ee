import assert from 'node:assert/strict'
import { test } from 'node:test'
import { depsOf, headersOf, row } from '../../../test/token-endpoint.ts'
import type { JsonObject } from '../../json/json.ts'
import { createChatgptScheme } from './chatgpt.ts'

const jwt = (claims: JsonObject): string =>
  ['{}', JSON.stringify(claims), 'sig'].map((part) => btoa(part).replaceAll('=', '')).join('.')
const account = { 'https://api.openai.com/auth': { chatgpt_account_id: 'acc-of-token' } }
const soon = Math.floor(depsOf({}).now() / 1000) + 3600

const logins: [name: string, file: JsonObject, token: string, account: string | undefined][] = [
  ["LiteLLM's", { access_token: 'at', account_id: 'acc', expires_at: soon }, 'at', 'acc'],
  ["codex's", { tokens: { access_token: 'at', account_id: 'acc' } }, 'at', 'acc'],
  [
    'an account in the id token',
    { access_token: 'at', id_token: jwt(account) },
    'at',
    'acc-of-token',
  ],
  [
    'an account in the token itself',
    { access_token: jwt({ ...account, exp: soon }) },
    jwt({ ...account, exp: soon }),
    'acc-of-token',
  ],
]
for (const [name, file, token, id] of logins)
  test(`login: ${name}`, async () => {
    const deps = depsOf(
      { HOME: '/h' },
      { '/h/.config/litellm/chatgpt/auth.json': JSON.stringify(file) },
    )
    const headers = await headersOf(createChatgptScheme(deps).open(row({})))
    assert.equal(headers['authorization'], `Bearer ${token}`)
    assert.equal(headers['chatgpt-account-id'], id)
    assert.equal(headers['originator'], 'codex_cli_rs')
  })

const refusals: [name: string, file: string | undefined, words: RegExp][] = [
  ['no file', undefined, /auth\.json does not exist/],
  ['nothing in it', '{}', /holds no access_token/],
  ['expired', JSON.stringify({ access_token: 'at', expires_at: 1 }), /has expired; renew it/],
]
for (const [name, file, words] of refusals)
  test(`login: ${name}`, async () => {
    const deps = depsOf(
      { CHATGPT_TOKEN_DIR: '/d' },
      file === undefined ? {} : { '/d/auth.json': file },
    )
    await assert.rejects(headersOf(createChatgptScheme(deps).open(row({}))), {
      kind: 'authentication',
      message: words,
    })
  })

test("a row's key is a token already, and a file that was renewed is read again", async () => {
  const own = createChatgptScheme(depsOf({})).open(row({ api_key: 'row-token-1' }))
  assert.equal((await headersOf(own))['authorization'], 'Bearer row-token-1')
  const files = { '/d/auth.json': JSON.stringify({ access_token: 'first' }) }
  const deps = depsOf({ CHATGPT_TOKEN_DIR: '/d' }, files)
  const opened = createChatgptScheme(deps).open(row({}))
  assert.equal((await headersOf(opened))['authorization'], 'Bearer first')
  files['/d/auth.json'] = JSON.stringify({ access_token: 'second' })
  deps.clock.now += 11 * 60_000
  assert.equal((await headersOf(opened))['authorization'], 'Bearer second')
})
