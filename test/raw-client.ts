import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Handler } from '../src/http/http.ts'
import { createNodeServer, type NodeServer, type ServerOptions } from '../src/http/serve.node.ts'

/** What the tests of the door share: a door on a free port, and clients that speak in bytes. */
export async function openDoor(
  t: TestContext,
  handler: Handler,
  options: ServerOptions = {},
): Promise<{ port: number; door: NodeServer; errors: unknown[] }> {
  const errors: unknown[] = []
  const door = createNodeServer(handler, {
    onError: (error) => void errors.push(error),
    ...options,
  })
  const { port } = await door.listen({ port: 0 })
  t.after(() => door.close({ graceMs: 0 }))
  return { port, door, errors }
}

export type Client = {
  socket: Socket
  /** Everything that came so far. */
  text(): string
  /** Waits until what came matches, or the connection is over. */
  until(pattern: RegExp): Promise<string>
  /** Waits for the end of the connection. */
  end(): Promise<{ text: string; error: string | undefined }>
}

export function openClient(port: number, first: string | Uint8Array = ''): Client {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let error: string | undefined
  let wake = () => {}
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    wake()
  })
  socket.on('error', (cause: Error & { code?: string }) => {
    error = cause.code ?? cause.message
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  void closed.then(() => wake())
  if (first.length > 0) socket.write(first)
  return {
    socket,
    text: () => text,
    async until(pattern) {
      while (!pattern.test(text) && !socket.destroyed)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return text
    },
    async end() {
      await closed
      return { text, error }
    },
  }
}

/** Sends bytes and gives back all that comes until the connection ends. */
export const exchange = async (port: number, bytes: string | Uint8Array): Promise<string> =>
  (await openClient(port, bytes).end()).text

export const head = (first: string, ...lines: string[]): string =>
  [`${first} HTTP/1.1`, 'Host: test', ...lines, '', ''].join('\r\n')

export const statusOf = (answer: string): number => Number(answer.split(' ')[1] ?? Number.NaN)

export const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms))

/** Waits for something to become true; a test that waits in vain says so. */
export async function eventually(what: () => boolean, ms = 2000): Promise<void> {
  const until = performance.now() + ms
  while (!what()) {
    if (performance.now() > until) throw new Error(`not true after ${ms} ms: ${what}`)
    await sleep(5)
  }
}
