import { call } from '../call/call.ts'
import { operate } from '../call/operate.ts'
import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import type { Signal } from '../http/signal.ts'
import { type JsonObject, number, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import type { Deployment } from '../provider/deployment.ts'
import { mediaWireOf } from '../provider/operations.ts'
import { litellmVersion, version } from '../version.ts'
import { listen } from '../wire/inbound.ts'
import { embeddings } from '../wire/media/embeddings.ts'
import { moderation } from '../wire/media/moderation.ts'
import { rerank } from '../wire/media/rerank.ts'
import { wires } from '../wire/wires.ts'
import { json, publicParams } from './models.ts'
import type { Rooms } from './rooms.ts'

export const alive = (): Outgoing => json("I'm alive!")

export function readiness(rooms: Rooms): Outgoing {
  return json({
    status: 'healthy',
    db: 'Not connected',
    litellm_version: litellmVersion,
    throughway_version: version,
    uptime_seconds: Math.round((rooms.now() - rooms.startedAt) / 1000),
    // What was answered and counts as free because nobody knows its price (`unpriced_models`).
    unpriced_requests: rooms.ledger.totals().unpriced,
  })
}

/** At most so many test calls at a time, and so long for each. */
const atOnce = 8
const patienceMs = 15_000

/** Asks every deployment (or the named ones) a one-word question. It costs money, so it asks for the key. */
export async function health(
  rooms: Rooms,
  query: URLSearchParams,
  signal: Signal,
): Promise<Outgoing> {
  const model = query.get('model')
  const id = query.get('model_id')
  const all = rooms.router.groups
    .all()
    .filter((one) => !one.group.includes('*') && testOf(one) !== 'none')
    .filter((one) => (model === null || one.group === model) && (id === null || one.id === id))
  const healthy: JsonObject[] = []
  const unhealthy: JsonObject[] = []
  const queue = [...all]
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const row = { ...publicParams(next.row.params), model_id: next.id, model_name: next.group }
      const error = await test(next, rooms, signal)
      if (error) unhealthy.push({ ...row, error: error.message, status: error.status })
      else healthy.push(row)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return json({
    healthy_endpoints: healthy,
    unhealthy_endpoints: unhealthy,
    healthy_count: healthy.length,
    unhealthy_count: unhealthy.length,
  })
}

/** What is asked of a deployment to see that it answers; nothing of those that would make a picture or a sound for it. */
const tests = {
  embedding: { operation: embeddings, body: { input: 'test' } },
  rerank: { operation: rerank, body: { query: 'test', documents: ['test'] } },
  moderation: { operation: moderation, body: { input: 'test' } },
} as const
const silent = new Set(
  'image_generation image_edit audio_speech audio_transcription ocr video_generation realtime batch'.split(
    ' ',
  ),
)

function testOf({ info, noChat, spec }: Deployment): 'chat' | 'none' | keyof typeof tests {
  const mode = text(info['mode'])
  if (mode === 'embedding' || mode === 'rerank' || mode === 'moderation') return mode
  if (mode !== undefined && silent.has(mode)) return 'none'
  if (!noChat) return 'chat'
  return spec.operations.includes('embeddings') ? 'embedding' : 'none'
}

async function test(
  to: Deployment,
  rooms: Rooms,
  signal: Signal,
): Promise<GatewayError | undefined> {
  const model = to.group
  const { info } = to.row
  const max_tokens = number(info['health_check_max_tokens']) ?? 5
  const body = { model, messages: [{ role: 'user', content: 'test' }], max_tokens }
  const said = listen(toUtf8(JSON.stringify(body)), wires['openai-chat'])
  const requestId = crypto.randomUUID()
  const context = { model, requestId, created: 0, streamUsage: false, choices: 1 }
  const seconds = number(info['health_check_timeout'])
  const ms = seconds === undefined ? patienceMs : seconds * 1000
  const limits = { totalMs: ms, firstByteMs: ms }
  const ask = { remove: [], dropParams: true, headers: {}, dialectHeaders: {}, context }
  try {
    const kind = testOf(to)
    if (kind === 'chat') await call(said, to, ask, rooms.calls, { signal, limits })
    else if (kind !== 'none') {
      const { operation, body } = tests[kind]
      const asked = listen(toUtf8(JSON.stringify({ model, ...body })), wires['openai-chat'])
      const how = { said: asked, upload: undefined, context, check: () => {} }
      const wire = mediaWireOf(to.spec, operation.id) ?? 'openai'
      await operate(operation, wire, how, to, ask, rooms.calls, { signal, limits })
    }
    return undefined
  } catch (cause) {
    return GatewayError.from(cause)
  }
}
