import { GatewayError } from '../errors.ts'
import type { Upgrade } from '../http/socket.ts'
import { wires } from '../wire/wires.ts'
import { refusal } from './chat.ts'
import { callIdOf } from './headers.ts'
import type { Rooms } from './rooms.ts'
import { compile, type Route, routes } from './routes.ts'

/** The door for WebSockets: the same table of routes, the same question who is asking. */
export function createUpgrade(rooms: Rooms, more: readonly Route[] = []): Upgrade {
  const table = compile([...routes, ...more])
  return async (incoming) => {
    try {
      const found = table.match('GET', incoming.path)
      if ('allowed' in found) throw noSocket(incoming.path, found.allowed.length > 0)
      const { route, params } = found
      if (!route.socket) throw noSocket(incoming.path, true)
      const caller = await rooms.identify(incoming, route.permission)
      const { socket } = route
      return { accepted: (peer) => socket({ incoming, rooms, caller, params }, peer) }
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'internal')
        rooms.log('error', 'a handshake failed', { cause: error.cause, path: incoming.path })
      return { refused: refusal(error, wires['openai-chat'], callIdOf(undefined), rooms) }
    }
  }
}

const noSocket = (path: string, isServed: boolean): GatewayError =>
  isServed
    ? new GatewayError(
        'bad_request',
        `${path.slice(0, 200)} has no WebSocket here: send an HTTP request`,
        { status: 426, code: 'websocket_not_offered' },
      )
    : new GatewayError('not_found', `Not Found: there is no ${path.slice(0, 200)}`, {
        type: 'invalid_request_error',
      })
