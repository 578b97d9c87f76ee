import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { keyOfProtocols, type Upgrade } from '../http/socket.ts'
import { wires } from '../wire/wires.ts'
import { refusal } from './chat.ts'
import { callIdOf } from './headers.ts'
import type { Rooms } from './rooms.ts'
import { compile, type Route, routes } from './routes.ts'

/** The door for WebSockets: the same table of routes, the same question who is asking. */
export function createUpgrade(rooms: Rooms, more: readonly Route[] = []): Upgrade {
  const table = compile([...routes, ...more])
  return async (asked) => {
    const incoming = withPlainPath(asked)
    try {
      const found = table.match('GET', incoming.path)
      if ('allowed' in found) throw noSocket(incoming.path, found.allowed.length > 0)
      const { route, params } = found
      const { socket, connect } = route
      if (!socket && !connect) throw noSocket(incoming.path, true)
      const caller = await rooms.identify(withKey(incoming), route.permission)
      const visit = { incoming, rooms, caller, params }
      if (connect) return { accepted: await connect(visit) }
      return { accepted: async (peer) => socket?.(visit, peer) }
    } catch (cause) {
      const error = GatewayError.from(cause)
      if (error.kind === 'internal')
        rooms.log('error', 'a handshake failed', { cause: error.cause, path: incoming.path })
      return { refused: refusal(error, wires['openai-chat'], callIdOf(undefined), rooms) }
    }
  }
}

/** Google's SDK puts its path behind an address that ends in a slash (@google/genai 3.1). */
const withPlainPath = (incoming: Incoming): Incoming =>
  incoming.path.startsWith('//ws/') ? { ...incoming, path: incoming.path.slice(1) } : incoming

/** Web pages can set no header, and Google's clients put the key into the query. */
function withKey(incoming: Incoming): Incoming {
  const query = new URLSearchParams(incoming.query)
  const key =
    keyOfProtocols(incoming.header('sec-websocket-protocol')) ??
    (incoming.path.startsWith('/ws/google.')
      ? (query.get('key') ?? query.get('access_token'))
      : undefined)
  if (!key || incoming.header('authorization') !== undefined) return incoming
  return {
    ...incoming,
    header: (name) => (name === 'authorization' ? `Bearer ${key}` : incoming.header(name)),
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
