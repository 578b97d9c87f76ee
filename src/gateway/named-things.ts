import { bytesOf, toUtf8, utf8 } from '../json/latin1.ts'
import type { Caller } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Inbound } from '../wire/inbound.ts'
import { readKept } from '../wire/media/resource.ts'
import { mentions, namedIn } from '../wire/named.ts'
import { ownersFor } from './owners.ts'
import type { Rooms } from './rooms.ts'
import { refusalOfStore, registeredStore } from './vector-stores.ts'

/**
 * Might a conversation name a file, a vector store or a container? Few do, and nobody else should pay for it: looking for
 * a rare sign takes 4 µs for 400 KB, where looking for `file_id` itself takes 350.
 */
export function mayNameThings({ glance, wire }: Inbound): boolean {
  if (!glance) return true
  const said = glance.text
  if (mentions(said)) return true
  if (wire.id !== 'openai-responses') return false
  const tools = glance.keys.get('tools')
  if (!tools) return false
  const at = said.indexOf('"container"', tools.valueStart)
  return at !== -1 && at < tools.valueEnd
}

export type NamedThings = {
  /** The body with the provider's own ids; undefined: it had no others. */
  bytes: Uint8Array | undefined
  /** Who keeps what is named, where that is among those who may be asked. */
  only: ((deployment: Deployment) => boolean) | undefined
  /** Throws 404 for another's file, 403 for a store of the config that the caller may not use. */
  check(): Promise<void>
}

/** What a body names; undefined: nothing. `check` is for when it has been let in: who guesses ids has the pace of its key. */
export function namedThings(heard: Inbound, caller: Caller, rooms: Rooms): NamedThings | undefined {
  const { things, containers } = namedIn(heard.json())
  if (things.size === 0 && containers.size === 0) return undefined
  return {
    ...sentOf(heard, [...things, ...containers], rooms),
    async check() {
      const own: string[] = []
      for (const id of things) {
        const store = registeredStore(id, rooms)
        const refusal = store && refusalOfStore(store, false, caller, rooms)
        if (refusal) throw refusal
        // An address is no id of anybody's.
        if (!store && !id.includes('://')) own.push(id)
      }
      const owners = ownersFor(caller, rooms)
      await owners?.checkIds(own)
      // Those that answers have made are told in answers, and nobody has noted them.
      await owners?.checkIds([...containers], { lenient: true })
    },
  }
}

/** Only the ids change: everything else goes on byte by byte. */
function sentOf(
  { glance, bytes, model }: Inbound,
  ids: readonly string[],
  { router, settings }: Rooms,
): Pick<NamedThings, 'bytes' | 'only'> {
  const sealed = ids.flatMap((id) => {
    const kept = readKept(id)
    return kept ? [{ told: id, ...kept }] : []
  })
  if (sealed.length === 0) return { bytes: undefined, only: undefined }
  const { groups } = router
  const keepers = new Set(sealed.map(({ keeper }) => keeper))
  const group = groups.find(groups.nameOf(settings.completionModel ?? model))
  const isThere = group.some(({ id }) => keepers.has(id))
  let said = glance?.text ?? utf8(bytes)
  for (const { told, id } of sealed) said = said.replaceAll(`"${told}"`, () => JSON.stringify(id))
  return {
    bytes: glance ? bytesOf(said) : toUtf8(said),
    only: isThere ? ({ id }) => keepers.has(id) : undefined,
  }
}
