import type { Incoming } from '../http/http.ts'
import type { Caller } from '../policy/caller.ts'
import { keepsThreads } from '../router/affinity.ts'
import { readLar1 } from '../router/lar1.ts'
import type { RouteHints } from '../router/router.ts'
import type { Inbound } from '../wire/inbound.ts'
import { metadataOf, sessionOf } from './admission.ts'
import { prefixesOf } from './prefixes.ts'
import type { Rooms } from './rooms.ts'
import { threadOf } from './thread.ts'

/** Whose request it is and what it says of itself, where the router's settings ask for that; the everyday router does not. */
export function hintsOf(
  incoming: Incoming,
  said: Inbound,
  caller: Caller,
  { router: { settings }, log }: Rooms,
): RouteHints | undefined {
  if (!settings.affinity && settings.strategy !== 'lar1') return undefined
  const metadata = metadataOf(said)
  const lar1 = settings.strategy === 'lar1' ? readLar1(metadata?.['lar1']) : undefined
  if (settings.strategy === 'lar1' && !lar1)
    log('debug', 'metadata.lar1 is not of the LAR-1 protocol: it counts as absent')
  return {
    caller: caller.keyId || caller.userId || undefined,
    session: sessionOf(incoming, said, metadata),
    prefixes: settings.affinity?.prompts ? prefixesOf(said) : undefined,
    thread: settings.affinity && keepsThreads(settings.affinity) ? threadOf(said) : undefined,
    lar1,
  }
}
