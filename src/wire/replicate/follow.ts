import { type JsonObject, object, text } from '../../json/json.ts'
import type { Follow } from '../wire.ts'

/**
 * A prediction that is under way says where its events are told, if its model tells any, and where it can be asked for
 * (replicate.com/docs/reference/streaming, 2026-11). Events are told at hosts of Replicate's other than the API's.
 */
export const follow: Follow = {
  hosts: ['replicate.com', 'replicate.net'],
  next({ status, urls }: JsonObject, stream) {
    if (status !== 'starting' && status !== 'processing') return undefined
    const said = object(urls)
    const events = stream ? text(said.stream) : undefined
    if (events !== undefined) return { url: events, afterMs: 0, stream: true }
    const url = text(said.get)
    return url === undefined ? undefined : { url, afterMs: askAgainMs, stream: false }
  },
}

/** LiteLLM waits half a second. */
const askAgainMs = 500
