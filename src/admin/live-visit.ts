import { GatewayError } from '../errors.ts'
import type { Live } from '../gateway/live.ts'
import type { Visit } from '../gateway/routes.ts'

/** The configuration while it is served. Throws where it cannot change. */
export function liveOf({ rooms }: Visit): Live {
  if (!rooms.live)
    throw new GatewayError(
      'internal',
      'this gateway cannot change while it serves: start it with a data folder or DATABASE_URL',
      { status: 503, type: 'no_db_connection' },
    )
  return rooms.live
}
