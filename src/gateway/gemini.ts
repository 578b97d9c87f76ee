import type { Outgoing } from '../http/http.ts'
import { createItems } from '../wire/gemini/stream-out.ts'
import { wires } from '../wire/wires.ts'
import { serveChat } from './chat.ts'
import type { Visit } from './routes.ts'

/** Google's routes name the model and the method in the path; without `alt=sse` a stream is one JSON list. */
export async function generateContent({
  incoming,
  rooms,
  caller,
  params,
}: Visit): Promise<Outgoing> {
  return serveChat(incoming, wires.gemini, rooms, caller, {
    model: params['model'] ?? '',
    stream: false,
  })
}

export async function streamGenerateContent({
  incoming,
  rooms,
  caller,
  params,
}: Visit): Promise<Outgoing> {
  const said = { model: params['model'] ?? '', stream: true }
  const out = await serveChat(incoming, wires.gemini, rooms, caller, said)
  if (new URLSearchParams(incoming.query).get('alt') === 'sse' || !isStream(out.body)) return out
  return {
    ...out,
    headers: { ...out.headers, 'content-type': 'application/json; charset=utf-8' },
    body: listOf(out.body),
    encoding: 'utf8',
  }
}

const isStream = (body: Outgoing['body']): body is AsyncIterable<Uint8Array | string> =>
  typeof body !== 'string' && !(body instanceof Uint8Array)

/** By hand, as the body it wraps: a generator left before its first step would not tell that body. */
function listOf(body: AsyncIterable<Uint8Array | string>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  const items = createItems()
  const source = body[Symbol.asyncIterator]()
  let ended = false
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (!ended) {
          const { done, value } = await source.next()
          ended = done === true
          const text = typeof value === 'string' ? value : decoder.decode(value, { stream: !ended })
          const out = ended ? items.push(text) + items.end() : items.push(text)
          if (out !== '') return { done: false, value: out }
        }
        return { done: true, value: undefined }
      },
      async return() {
        ended = true
        await source.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
}
