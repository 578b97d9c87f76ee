import type { Worker } from 'node:cluster'
import { isObject, number } from '../json/json.ts'

/** A connection on its way to a worker: what Node says of it, and its socket. */
export type Handover = { message: unknown; handle: { close(): void } }

/**
 * Node hands a connection to a worker and lets go of it when the worker says that it has it. Of a worker that dies before,
 * it never lets go, nor gives it to another: the client would wait for ever (seen with Node 24.21, at one kill in three
 * under load). Calls `lost` with each of those once the worker's channel has been read to its end.
 *
 * This looks at messages of node:cluster that are not documented; where they are others, nothing is seen and nothing done.
 */
export function watchHandovers({ process: child }: Worker, lost: (one: Handover) => void): void {
  const under = new Map<number, Handover>()
  const { send } = child
  const watching = (...said: unknown[]): unknown => {
    const [message, handle] = said
    const seq =
      isObject(message) && message['act'] === 'newconn' ? number(message['seq']) : undefined
    if (seq !== undefined && isHandle(handle)) under.set(seq, { message, handle })
    return Reflect.apply(send, child, said)
  }
  Object.defineProperty(child, 'send', { value: watching, configurable: true, writable: true })
  child.on('internalMessage', (message: unknown) => {
    const seq = isObject(message) ? number(message['ack']) : undefined
    if (seq !== undefined) under.delete(seq)
  })
  const end = (): void => {
    const left = [...under.values()]
    under.clear()
    for (const one of left) lost(one)
  }
  child.once('disconnect', end)
  // Where a handle was on its way, the end of the channel is not told.
  child.once('exit', () => setTimeout(end, child.connected ? channelMs : 0))
}

/** By then all has been read that a process has written before it died. */
const channelMs = 500

const isHandle = (value: unknown): value is Handover['handle'] =>
  typeof value === 'object' &&
  value !== null &&
  'close' in value &&
  typeof value.close === 'function'
