import { Socket } from 'node:net'

/** A connection whose bytes can be had as they come. */
export type Direct = {
  socket: Socket
  /**
   * From now on `reader` is told what comes: the bytes are there while it runs and no longer. Without one it comes as the
   * socket's 'data'.
   */
  tell(reader: Reader | undefined): void
}
export type Reader = (bytes: Buffer) => void

/**
 * Lets an accepted connection read into the one buffer all share, as Node offers to those who connect (`onread`). Else each
 * read has a buffer of 64 KB made for it, cut down and handed on by a stream: 2.5 µs. The answer's socket takes the place of
 * `accepted`, which must be new and is empty then.
 *
 * Node's manual does not say how to do this for an accepted connection. So it is tried, and where Node is not made as is
 * thought here, the accepted socket stays.
 */
export function directly(accepted: Socket): Direct {
  const handle: unknown = Reflect.get(accepted, '_handle')
  if (!canReadInto(handle)) return byStream(accepted)
  let reader: Reader | undefined
  const options: object = {
    handle,
    allowHalfOpen: accepted.allowHalfOpen,
    onread: {
      buffer: (shared ??= Buffer.allocUnsafeSlow(sharedBytes)),
      callback(count: number, buffer: Uint8Array): boolean {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, count)
        if (!reader) return socket.push(Buffer.from(bytes))
        reader(bytes)
        return true
      },
    },
  }
  const socket = new Socket(options)
  if (Reflect.get(socket, '_handle') !== handle) {
    socket.destroy()
    return byStream(accepted)
  }
  // The server counts its connections by what their sockets say when they close.
  for (const name of ['server', '_server']) Reflect.set(socket, name, Reflect.get(accepted, name))
  Reflect.set(accepted, '_handle', null)
  return { socket, tell: (next) => void (reader = next) }
}

let shared: Buffer | undefined
const sharedBytes = 65_536

const canReadInto = (handle: unknown): handle is object =>
  typeof handle === 'object' &&
  handle !== null &&
  typeof Reflect.get(handle, 'useUserBuffer') === 'function'

export function byStream(socket: Socket): Direct {
  let reader: Reader | undefined
  return {
    socket,
    tell(next) {
      if (reader) socket.off('data', reader)
      reader = next
      if (next) socket.on('data', next)
    },
  }
}
