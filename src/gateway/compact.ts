import { beneath } from '../call/beside.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { type JsonObject, list, object, text } from '../json/json.ts'
import { toUtf8, utf8 } from '../json/latin1.ts'
import { parseObject, stringify } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import type { Deployment } from '../provider/deployment.ts'
import { compactionItem } from '../wire/openai-responses/compaction.ts'
import { wires } from '../wire/wires.ts'
import { groupFor } from './admission.ts'
import { lacksRoute } from './bridge.ts'
import { serveChat } from './chat.ts'
import { conversationTo, itemsOf, nativeOf, notFound } from './memory.ts'
import { json } from './models.ts'
import { createResponse, recallFor } from './responses.ts'
import type { Visit } from './routes.ts'

/**
 * `POST /v1/responses/compact`: a long conversation as a short one to go on with. Asked of providers that do it; for all
 * others the model itself is asked for a summary.
 */
export async function compactResponse(visit: Visit): Promise<Outgoing> {
  const { incoming, rooms, caller } = visit
  const { jsonDepth, completionModel } = rooms.settings
  const body = parseObject(await incoming.body(), { ...requestBounds, maxDepth: jsonDepth })
  const model = completionModel ?? text(body['model']) ?? ''
  const group = rooms.router.groups.find(groupFor(model, caller, rooms))
  const isNative = (one: Deployment) => nativeOf(one) !== undefined && !lacksRoute(one, rooms.now)
  if (group.length > 0 && group.every(isNative)) {
    const recall = recallFor(visit)
    const out = await serveChat(
      incoming,
      wires['openai-responses'],
      rooms,
      caller,
      {},
      async (...heard) => ({
        ...(await recall(...heard)),
        as: compacting,
      }),
    )
    // A compatible server has the route of Responses, but not each one below it.
    if (out.status !== 404 && out.status !== 405) return out
  }
  return summarise(visit, body)
}

function compacting(to: Deployment): Deployment {
  const own = nativeOf(to) ?? to
  return { ...own, url: { ...own.url, whole: beneath(own.url.whole, '/compact') } }
}

async function summarise(visit: Visit, body: JsonObject): Promise<Outgoing> {
  const { incoming, rooms, caller } = visit
  const { previous_response_id: previous, stream: _, ...rest } = body
  const id = text(previous)
  const before = id === undefined ? [] : await conversationTo(rooms.memory, caller.keyId, id)
  if (before === undefined) throw notFound(id ?? '', 400)
  const input = [...before, ...itemsOf(body['input'])]
  if (input.length === 0)
    throw new GatewayError('bad_request', "Missing required parameter: 'input'.", {
      param: 'input',
      type: 'invalid_request_error',
    })
  const asked = { ...rest, input: [...input, ...itemsOf(request)], store: false }
  const bytes = toUtf8(stringify(asked))
  const inner: Incoming = { ...incoming, body: async () => bytes }
  const out = await createResponse({ ...visit, incoming: inner })
  if (out.status !== 200) return out
  const told = parseObject(typeof out.body === 'string' ? out.body : utf8(bytesIn(out)))
  const summary = list(told['output'])
    .flatMap((item) => list(object(item)['content']))
    .map((part) => text(object(part)['text']) ?? '')
    .join('')
  if (summary === '')
    throw new GatewayError('bad_gateway', 'the model gave no summary: try again, or send all')
  // What people said stays in their own words, as OpenAI keeps it.
  const kept = input.filter((item) => item['role'] === 'user')
  const suffix = (text(told['id']) ?? '').replace(/^resp_/, '').slice(-40)
  return {
    ...json({
      id: told['id'],
      object: 'response.compaction',
      created_at: told['created_at'],
      model: told['model'],
      output: [...kept, compactionItem(`cmp_${suffix}`, summary)],
      usage: told['usage'],
    }),
    headers: out.headers,
  }
}

const bytesIn = ({ body }: Outgoing): Uint8Array =>
  body instanceof Uint8Array ? body : new Uint8Array(0)

const request =
  'Write a summary of this conversation for an assistant that will go on with it and has nothing else to go by: the task ' +
  'and its constraints, what was done and found so far with the names, paths and values that matter, what is still open, ' +
  'and what comes next. Answer with the summary alone and call no tools.'
