import type { Deployment } from '../provider/deployment.ts'

/** Who a request belongs to. A session is its caller's: two that name theirs alike do not steer each other. */
export type Belonging = {
  caller?: string | undefined
  session?: string | undefined
  /** Keys of what its prompt begins with, the longest first. */
  prefixes?: readonly string[] | undefined
  /** Key of what its conversation began with, before the first encrypted thought. */
  thread?: string | undefined
}

/** LiteLLM's `deployment_affinity` and `session_affinity`. */
export type Stickiness = {
  callers: boolean
  sessions: boolean
  /** `encrypted_content_affinity`: what one account has encrypted goes back to it. */
  threads?: boolean
}
export type AffinitySettings = Stickiness & {
  ttlSeconds: number
  /** LiteLLM's `prompt_caching`: who has the beginning of a prompt in its cache is asked. */
  prompts?: boolean
  /** `model_group_affinity_config`: in place of the above. */
  groups: ReadonlyMap<string, Stickiness>
}

/** Does any group look at conversations? */
export const keepsThreads = ({ threads, groups }: AffinitySettings): boolean =>
  threads === true || [...groups.values()].some((one) => one.threads)

/** Key → deployment, the one used longest ago first. */
export type Pins = Map<string, { id: string; until: number }>

export type Affinity = {
  /** The one of `level` that this session, or this caller, was last given. */
  find(group: string, who: Belonging, level: readonly Deployment[]): Deployment | undefined
  /** It was given this one: remembered, unless it has another that is only away for a while. */
  given(group: string, who: Belonging, deployment: Deployment): void
}

/**
 * Keeps a session, or all of a caller, at one deployment of a group, whose provider then has the prompt in its cache. In
 * memory, so each process has its own.
 */
export function createAffinity(
  settings: AffinitySettings,
  now: () => number,
  pins: Pins = new Map(),
): Affinity {
  const ttlMs = settings.ttlSeconds * 1000

  /** The first that leads somewhere counts. */
  function keysOf(group: string, { caller, session, thread }: Belonging): string[] {
    const { callers, sessions, threads } = settings.groups.get(group) ?? settings
    const out: string[] = []
    // Another could not read it, whatever else is wished.
    if (threads && thread !== undefined) out.push(JSON.stringify([group, caller ?? '', thread, 2]))
    if (sessions && session !== undefined) out.push(JSON.stringify([group, caller ?? '', session]))
    if (callers && caller !== undefined) out.push(JSON.stringify([group, caller]))
    return out
  }

  function pinAt(key: string): string | undefined {
    const pin = pins.get(key)
    if (pin && pin.until > now()) return pin.id
    if (pin) pins.delete(key)
    return undefined
  }

  const prefixesOf = ({ prefixes = [] }: Belonging): readonly string[] =>
    settings.prompts ? prefixes : []

  function put(key: string, id: string, ms: number): void {
    pins.delete(key)
    pins.set(key, { id, until: now() + ms })
    // Sessions are named by clients.
    if (pins.size <= pinsMax) return
    for (const oldest of pins.keys()) {
      pins.delete(oldest)
      break
    }
  }

  return {
    find(group, who, level) {
      for (const key of keysOf(group, who)) {
        const id = pinAt(key)
        const found = id === undefined ? undefined : level.find((one) => one.id === id)
        if (found) return found
      }
      for (const prefix of prefixesOf(who)) {
        const id = pinAt(prefixKey(group, prefix))
        const found = id === undefined ? undefined : level.find((one) => one.id === id)
        if (found) return found
      }
      return undefined
    },
    given(group, who, { id }) {
      for (const key of keysOf(group, who)) {
        const pinned = pinAt(key)
        if (pinned === undefined || pinned === id) put(key, id, ttlMs)
      }
      // Only the latest has it for sure.
      const [longest] = prefixesOf(who)
      if (longest !== undefined) put(prefixKey(group, longest), id, cachedMs)
    },
  }
}

const pinsMax = 100_000
/** As long as providers keep a prompt that nobody asks for. */
const cachedMs = 5 * 60_000
const prefixKey = (group: string, prefix: string): string => JSON.stringify([group, '', prefix, 1])
