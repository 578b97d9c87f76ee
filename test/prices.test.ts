import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { object } from '../src/json/json.ts'
import { ask, openaiRow, startGateway } from './support/gateway.ts'
import { fileScope, hello, startProvider } from './support/provider.ts'
import { masterKey } from './support/spending.ts'

const scope = fileScope()
const admin = { authorization: `Bearer ${masterKey}` }

/** Enough entries to be believed, one of them a model we know. */
const listAt = (price: number): string =>
  JSON.stringify({
    ...Object.fromEntries(
      Array.from({ length: 5000 }, (_, nth) => [`made-up-${nth}`, { litellm_provider: 'p' }]),
    ),
    'gpt-4o': {
      ...{ litellm_provider: 'openai', mode: 'chat' },
      ...{ input_cost_per_token: price, output_cost_per_token: 0 },
    },
  })

test('prices that were fetched anew are those of the next call, of every model that is served', async (t) => {
  let price = 1e-6
  const server = createServer((_request, response) => response.end(listAt(price)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => void server.close().closeAllConnections())
  const provider = await startProvider(scope, hello)
  const model = { model: 'openai/gpt-4o' }
  const gateway = await startGateway(t, {
    models: [
      openaiRow('m', provider, model),
      openaiRow('openai/*', provider, { model: 'openai/*' }),
    ],
    general: { master_key: masterKey },
    env: {
      LITELLM_LOCAL_MODEL_COST_MAP: '',
      LITELLM_MODEL_COST_MAP_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    },
  })
  const reload = () => gateway.post('/reload/model_cost_map', {}, admin)
  const costs = async (): Promise<unknown[]> => {
    const said: unknown[] = []
    for (const name of ['m', 'openai/gpt-4o']) {
      const answer = await gateway.post('/v1/chat/completions', ask(name), admin)
      await answer.text()
      said.push(Number(answer.headers.get('x-litellm-response-cost')))
    }
    return said
  }
  assert.equal((await reload()).status, 200)
  // Nine tokens in.
  assert.deepEqual(await costs(), [9e-6, 9e-6])
  price = 3e-6
  assert.equal(object(await (await reload()).json())['models_count'], 5001)
  assert.deepEqual(await costs(), [27e-6, 27e-6])
  price = Number.NaN
  server.removeAllListeners('request')
  server.on('request', (_request, response) => response.end('<html>'))
  const broken = await reload()
  assert.equal(broken.status, 502)
  assert.match(await broken.text(), /not JSON/)
  assert.deepEqual(await costs(), [27e-6, 27e-6])
})
