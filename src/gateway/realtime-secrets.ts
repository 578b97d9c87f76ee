import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { modelOfSession, realtimeSecret, type SecretKind } from '../wire/media/realtime-secret.ts'
import { serveOperation } from './operation.ts'
import type { Route, Visit } from './routes.ts'

/**
 * A key for one realtime session, made by the provider with the real key. What the session uses is between the client and
 * the provider: nobody here sees it, so where nothing without a price may be asked it is refused.
 */
const mint =
  (kind: SecretKind) =>
  async ({ incoming, rooms, caller }: Visit): Promise<Outgoing> => {
    if (rooms.settings.unpriced === 'deny')
      throw new GatewayError(
        'permission',
        'what a session with a key of its own uses is not seen here, and what has no price is refused here: connect to /v1/realtime instead',
        { type: 'model_cost_map_missing', param: 'model' },
      )
    const bytes = await incoming.body()
    const bounds = { ...requestBounds, maxDepth: rooms.settings.jsonDepth }
    const model = modelOfSession(kind, bytes.length === 0 ? {} : parseObject(bytes, bounds))
    const again = { ...incoming, body: async () => bytes }
    return serveOperation(again, realtimeSecret(kind), rooms, caller, { model })
  }

const kinds = ['client_secrets', 'sessions', 'transcription_sessions'] as const

export const realtimeSecretRoutes: readonly Route[] = kinds.flatMap((kind) =>
  ['/v1/realtime', '/realtime', '/openai/v1/realtime'].map(
    (path): Route => ({
      method: 'POST',
      path: `${path}/${kind}`,
      permission: 'llm',
      summary: 'A key for one realtime session, made by the provider',
      run: mint(kind),
    }),
  ),
)
