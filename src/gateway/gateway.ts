import { GatewayError } from '../errors.ts'
import type { Handler, Incoming, Outgoing } from '../http/http.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { refusal } from './chat.ts'
import { callIdOf } from './headers.ts'
import { nameOfNotOffered, notOfferedHere } from './not-offered.ts'
import { endpointRoutes } from './pass-endpoints.ts'
import type { Rooms } from './rooms.ts'
import { compile, type Route, routes, type Table } from './routes.ts'

/**
 * The one door: finds the route, asks whether the caller may, runs it. The matched route is the only thing that decides
 * about permission; Host and headers never do.
 */
export function createGateway(
  rooms: Rooms,
  more: readonly Route[] | (() => Promise<readonly Route[]>) = [],
): Handler {
  let endpoints = rooms.settings.passThrough
  let configured = new Set(endpointRoutes(endpoints))
  let own: readonly Route[] = routes
  let all: readonly Route[] = [...configured, ...own]
  let table = compile(all)
  const add = (others: readonly Route[]): void => {
    own = [...own, ...others]
    all = [...configured, ...own]
    table = compile(all)
  }
  /** Endpoints of the operator's come and go while the gateway serves. */
  const look = (): void => {
    const now = rooms.settings.passThrough
    if (now === endpoints) return
    const same = JSON.stringify(now) === JSON.stringify(endpoints)
    endpoints = now
    if (same) return
    configured = new Set(endpointRoutes(now))
    add([])
  }
  let adding: Promise<void> | undefined
  /** Routes that come later are looked for where those that are here do not fit, or fit only by what was configured. */
  const find = async (method: string, path: string): Promise<ReturnType<Table['match']>> => {
    if (typeof more === 'function') await (adding ??= more().then(add))
    return table.match(method, path)
  }
  if (typeof more !== 'function') {
    add(more)
    adding = Promise.resolve()
  }
  /** No `async` function between the door and the route: with what it waits by, one is 300 bytes a request. */
  function run(incoming: Incoming, { route, params }: Found): Promise<Outgoing> {
    const failed = (cause: unknown): Outgoing =>
      failure(cause, incoming, route.dialect ?? wires['openai-chat'], rooms)
    try {
      const { publicRoutes } = rooms.settings
      const open = publicRoutes.size > 0 && publicRoutes.has(incoming.path)
      const asked = rooms.identify(incoming, open ? 'public' : route.permission)
      const out =
        asked instanceof Promise
          ? asked.then((caller) => route.run({ incoming, rooms, caller, params, routes: all }))
          : route.run({ incoming, rooms, caller: asked, params, routes: all })
      const running = out instanceof Promise ? out : Promise.resolve(out)
      return incoming.header('origin') === undefined
        ? running.catch(failed)
        : running.then((one) => withCors(one, incoming, route, rooms)).catch(failed)
    } catch (cause) {
      return Promise.resolve(failed(cause))
    }
  }
  /** What may be for a route that comes later, and what is no route's. */
  async function runElse(incoming: Incoming): Promise<Outgoing> {
    const { method, path } = incoming
    try {
      const found = await find(method, path)
      if (method === 'OPTIONS') return await preflight(incoming, rooms, table)
      if ('allowed' in found) throw notServed(incoming, found.allowed)
      return await run(incoming, found)
    } catch (cause) {
      return failure(cause, incoming, wires['openai-chat'], rooms)
    }
  }
  return (incoming) => {
    try {
      look()
      const found = table.match(incoming.method, incoming.path)
      return 'allowed' in found || configured.has(found.route) || found.route.tellsAll
        ? runElse(incoming)
        : run(incoming, found)
    } catch (cause) {
      return Promise.resolve(failure(cause, incoming, wires['openai-chat'], rooms))
    }
  }
}

type Found = Extract<ReturnType<Table['match']>, { route: Route }>

function failure(cause: unknown, { path }: Incoming, dialect: Wire, rooms: Rooms): Outgoing {
  const error = GatewayError.from(cause)
  if (error.kind === 'internal') rooms.log('error', 'a route failed', { cause: error.cause, path })
  return refusal(error, dialect, callIdOf(undefined), rooms)
}

function notServed({ method, path }: Incoming, allowed: readonly string[]): GatewayError {
  const known = nameOfNotOffered(method, path)
  if (known !== undefined) return notOfferedHere(known)
  return allowed.length > 0
    ? new GatewayError(
        'bad_request',
        `Method Not Allowed: ${path.slice(0, 200)} takes ${allowed.join(', ')}`,
        {
          status: 405,
          headers: { allow: allowed.join(', ') },
        },
      )
    : new GatewayError('not_found', `Not Found: there is no ${method} ${path.slice(0, 200)}`, {
        type: 'invalid_request_error',
      })
}

/** Web pages may call models and learn their names, where the operator has a key that protects them; never manage. */
const open: ReadonlySet<Route['permission']> = new Set(['llm', 'info', 'public'])

function originFor(incoming: Incoming, rooms: Rooms): string | undefined {
  const origin = incoming.header('origin')
  if (origin === undefined) return undefined
  const { corsOrigins } = rooms.settings
  return corsOrigins.includes('*') ? '*' : corsOrigins.includes(origin) ? origin : undefined
}

function withCors(out: Outgoing, incoming: Incoming, route: Route, rooms: Rooms): Outgoing {
  const origin = open.has(route.permission) ? originFor(incoming, rooms) : undefined
  if (origin === undefined) return out
  return {
    ...out,
    headers: {
      ...out.headers,
      'access-control-allow-origin': origin,
      'access-control-expose-headers': '*',
      ...(origin !== '*' && { vary: 'origin' }),
    },
  }
}

async function preflight(incoming: Incoming, rooms: Rooms, table: Table): Promise<Outgoing> {
  const asked = incoming.header('access-control-request-method') ?? 'GET'
  const found = table.match(asked, incoming.path)
  if ('allowed' in found) throw notServed(incoming, found.allowed)
  await rooms.identify(incoming, 'public')
  const origin = open.has(found.route.permission) ? originFor(incoming, rooms) : undefined
  if (origin === undefined)
    throw new GatewayError('permission', 'web pages of other origins may not call this route', {
      type: 'auth_error',
    })
  const headers = incoming.header('access-control-request-headers')
  return {
    status: 204,
    headers: {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': found.route.method,
      ...(headers !== undefined &&
        /^[\w\s,-]*$/.test(headers) && { 'access-control-allow-headers': headers }),
      'access-control-max-age': '600',
      ...(origin !== '*' && { vary: 'origin' }),
    },
    body: '',
  }
}
