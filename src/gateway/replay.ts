import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import type { Signal } from '../http/signal.ts'
import { isObject, type JsonObject, number, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { encodeStreamError } from '../wire/openai-responses/errors.ts'
import { replayOf } from '../wire/openai-responses/replay.ts'
import { callIdOf } from './headers.ts'
import { parsedAnswer, runningKey } from './memory.ts'
import type { Visit } from './routes.ts'

/**
 * A kept answer as a stream: what is there is told at once, and the end of one that is still being made when it is there.
 * `starting_after` is the number of the last event a client has; the last one is always told, since the answer may have
 * been told in more events before than it is now.
 */
export function replayed(visit: Asking, id: string, query: URLSearchParams): Outgoing {
  const after = startingAfter(query.get('starting_after'))
  return {
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'x-litellm-call-id': callIdOf(visit.incoming.header('x-litellm-call-id')),
    },
    body: tell(visit, id, after),
  }
}

type Asking = Pick<Visit, 'incoming' | 'rooms' | 'caller'>

function startingAfter(said: string | null): number {
  if (said === null) return -1
  const at = Number(said)
  if (Number.isInteger(at) && at >= 0) return at
  throw new GatewayError('bad_request', "'starting_after' must be a whole number from 0.", {
    param: 'starting_after',
    type: 'invalid_request_error',
  })
}

async function* tell(
  { rooms, caller, incoming }: Asking,
  id: string,
  after: number,
): AsyncGenerator<Uint8Array> {
  const until = rooms.now() + longestMs
  const running = runningKey(caller.keyId, id)
  let told = after
  let waitMs = 50
  let quietMs = 0
  for (;;) {
    const kept = await rooms.memory.answers.find(caller.keyId, id)
    if (!kept || rooms.now() > until) {
      const error = kept
        ? new GatewayError('timeout', 'the response is not ready yet: ask for it again')
        : new GatewayError('not_found', 'the response is not kept any longer')
      yield toUtf8(encodeStreamError(error, told + 1))
      return
    }
    const answer = parsedAnswer(kept.answer)
    const all = replayOf(answer)
    const over = ended(all.at(-1))
    const fresh = all.filter(
      (event, at) => numberOf(event) > told || (over && at === all.length - 1),
    )
    if (fresh.length > 0) {
      const last = numberOf(fresh.at(-1))
      // Numbers only go up.
      const frames = fresh.map((event) => frame(event, Math.max(numberOf(event), told + 1)))
      told = Math.max(told + 1, last)
      yield toUtf8(frames.join(''))
    }
    if (over) return
    // Made in this process: there is nothing new before it is over.
    const isHere = (): boolean => rooms.memory.running.has(running)
    waitMs = Math.min(waitMs * 2, waitMsMax)
    do {
      const ms = isHere() ? besideMs : waitMs
      await pause(ms, incoming.signal)
      if (incoming.signal.aborted) return
      quietMs += ms
      if (quietMs >= quietMsMax) {
        quietMs = 0
        yield toUtf8(': ping\n\n')
      }
    } while (isHere())
  }
}
/** Between two looks at the database, for what another process makes. */
const waitMsMax = 4000
const besideMs = 100
/** Proxies in between cut what is silent for longer. */
const quietMsMax = 15_000
/** As long as a response in the background may take. */
const longestMs = 3_600_000

const numberOf = (event: JsonObject | undefined): number => number(event?.['sequence_number']) ?? -1

const ended = (event: JsonObject | undefined): boolean =>
  isObject(event) && /\.(completed|incomplete|failed|cancelled)$/.test(text(event['type']) ?? '')

const frame = (event: JsonObject, sequence_number: number): string =>
  `event: ${text(event['type']) ?? ''}\ndata: ${JSON.stringify({ ...event, sequence_number })}\n\n`

function pause(ms: number, signal: Signal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
