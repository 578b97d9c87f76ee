import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../src/json/json.ts'
import type { Db } from '../../src/store/db.ts'
import { ask } from './gateway.ts'
import {
  chatAnswer,
  chatStream,
  type Provider,
  type Script,
  sleep,
  stream,
  whole,
} from './provider.ts'

export const masterKey = 'sk-test-master-key-of-some-length'

/** What `usage` of provider.ts comes to with `pricedRow`: 9 in, 3 out. */
export const callCost = 9 * 1000 + 3 * 2000

/** A row with prices of its own, in whole nano-dollars. */
export const pricedRow = (
  { base }: Pick<Provider, 'base'>,
  params: JsonObject = {},
): JsonObject => ({
  model_name: 'm',
  litellm_params: {
    model: 'openai/upstream-model',
    api_base: base,
    api_key: 'sk-upstream-credential',
    input_cost_per_token: 0.000001,
    output_cost_per_token: 0.000002,
    ...params,
  },
})

export const configOf = (
  provider: Pick<Provider, 'base'>,
  general: JsonObject = {},
): JsonObject => ({
  model_list: [pricedRow(provider)],
  router_settings: { num_retries: 0, disable_cooldowns: true },
  general_settings: { master_key: masterKey, ...general },
})

/** A provider that takes a few milliseconds, and streams where it was asked to. */
export const unhurried =
  (ms: number): Script =>
  async (asked) => {
    await sleep(ms * (0.5 + Math.random()))
    return asked.json['stream'] === true
      ? stream(chatStream(asked, [{ content: 'Hel' }, { content: 'lo' }]))
      : whole(chatAnswer({ content: 'Hello' }))
  }

export async function makeKey(url: string, more: JsonObject = {}): Promise<string> {
  const response = await fetch(`${url}/key/generate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(more),
  })
  const said = (await response.json()) as { key?: string }
  if (said.key === undefined) throw new Error(JSON.stringify(said))
  return said.key
}

/** What one client learnt of one call. `whole`: it has the answer to its last byte. */
export type Heard = { callId: string; status: number; whole: boolean; body: string }

export async function call(
  url: string,
  key: string,
  body: JsonObject = {},
  headers: Record<string, string> = {},
): Promise<Heard> {
  const callId = randomUUID()
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'x-litellm-call-id': callId,
        ...headers,
      },
      body: JSON.stringify(ask('m', body)),
    })
    const text = await response.text()
    const ended = body['stream'] !== true || text.includes('data: [DONE]')
    return { callId, status: response.status, whole: response.ok && ended, body: text }
  } catch {
    return { callId, status: 0, whole: false, body: '' }
  }
}

/**
 * The books of a database whose processes have all ended, and what is wrong with them. `keys`: how many of them have spent;
 * of a single one the account must say what all rows come to.
 */
export async function audit(
  db: Db,
  heard: readonly Heard[],
  { keys = 1 }: { keys?: number } = {},
): Promise<string[]> {
  const wrong: string[] = []
  const rows = await db.query
    .selectFrom('spend_log')
    .select(['request_id', 'call_id', 'spend', 'fault'])
    .execute()
  const byCall = new Map<string, { spend: number; times: number }>()
  let sum = 0
  for (const { request_id, call_id, spend } of rows) {
    sum += Number(spend)
    const id = call_id ?? request_id
    const one = byCall.get(id)
    if (one) one.times++
    else byCall.set(id, { spend: Number(spend), times: 1 })
  }
  for (const { callId, whole } of heard) {
    const row = byCall.get(callId)
    if (!whole) continue
    if (!row) wrong.push(`${callId} was answered and has no row`)
    else if (row.spend !== callCost)
      wrong.push(`${callId} cost ${callCost} and its row says ${row.spend}`)
  }
  for (const [id, { times }] of byCall) if (times > 1) wrong.push(`${id} has ${times} rows`)
  const accounts = (await db.query.selectFrom('account').selectAll().execute()).filter(
    ({ id }) => id.startsWith('key:') && !id.includes('master_key'),
  )
  if (accounts.length !== keys) wrong.push(`${accounts.length} keys have accounts, not ${keys}`)
  for (const name of ['spend', 'total'] as const) {
    const all = accounts.reduce((total, account) => total + Number(account[name]), 0)
    if (all !== sum) wrong.push(`accounts have a ${name} of ${all}, and rows come to ${sum}`)
  }
  for (const { id, leased } of accounts)
    if (Number(leased) !== 0) wrong.push(`${leased} of ${id} is still leased`)
  const hours = await db.query
    .selectFrom('spend_hour')
    .select((a) => [
      a.fn.sum<number>('spend').as('spend'),
      a.fn.sum<number>('requests').as('requests'),
    ])
    .where('scope', '=', 'all')
    .executeTakeFirstOrThrow()
  if (Number(hours.spend) !== sum) wrong.push(`hours say ${hours.spend}, rows ${sum}`)
  if (Number(hours.requests) !== rows.length)
    wrong.push(`hours say ${hours.requests} requests, rows ${rows.length}`)
  return wrong
}
