/** An answer the gateway keeps for a client, because the provider that gave it keeps none. */
export type Kept = {
  /** As the client was told it: JSON text of a Responses object. */
  answer: string
  /** The items of this turn's input: JSON text of a list. */
  input: string
  /** The kept answer that came before. */
  previous: string | undefined
}

/** By owner and id, so that nobody finds what is another's. */
export interface KeptAnswers {
  find(owner: string, id: string): Promise<Kept | undefined>
  /** Replaces what has the same id. Old ones may be forgotten for it. */
  save(owner: string, id: string, kept: Kept): Promise<void>
  /** Was it there? */
  remove(owner: string, id: string): Promise<boolean>
}

export type KeptLimits = {
  answers: number
  /** Of text, both kinds together. */
  characters: number
  ttlMs: number
}

export const defaultKeptLimits: KeptLimits = {
  answers: 10_000,
  characters: 32 * 1024 * 1024,
  ttlMs: 24 * 3_600_000,
}

/** In memory. Where room is needed, the owner who holds most gives up what it used longest ago. */
export function createKeptAnswers(
  now: () => number,
  limits: KeptLimits = defaultKeptLimits,
): KeptAnswers {
  type Entry = { size: number; until: number; kept: Kept }
  type Shelf = { size: number; entries: Map<string, Entry> }
  const shelves = new Map<string, Shelf>()
  let count = 0
  let characters = 0
  let sweptAt = now()

  function drop(owner: string, id: string): boolean {
    const shelf = shelves.get(owner)
    const entry = shelf?.entries.get(id)
    if (!shelf || !entry) return false
    shelf.entries.delete(id)
    shelf.size -= entry.size
    characters -= entry.size
    count--
    if (shelf.entries.size === 0) shelves.delete(owner)
    return true
  }

  function put(owner: string, id: string, entry: Entry): void {
    let shelf = shelves.get(owner)
    if (!shelf) shelves.set(owner, (shelf = { size: 0, entries: new Map() }))
    shelf.entries.set(id, entry)
    shelf.size += entry.size
    characters += entry.size
    count++
  }

  function makeRoom(): void {
    while (count > limits.answers || characters > limits.characters) {
      let most: [owner: string, shelf: Shelf] | undefined
      for (const one of shelves) if (!most || one[1].size > most[1].size) most = one
      const oldest = most?.[1].entries.keys().next().value
      if (!most || oldest === undefined) return
      drop(most[0], oldest)
    }
  }

  /** Nobody asks for most of them again. */
  function sweep(): void {
    if (now() - sweptAt < sweepMs) return
    sweptAt = now()
    for (const [owner, { entries }] of shelves)
      for (const [id, { until }] of entries) {
        if (until > sweptAt) break
        drop(owner, id)
      }
  }

  return {
    async find(owner, id) {
      const entry = shelves.get(owner)?.entries.get(id)
      if (!entry) return undefined
      drop(owner, id)
      if (entry.until <= now()) return undefined
      put(owner, id, { ...entry, until: now() + limits.ttlMs })
      return entry.kept
    },
    async save(owner, id, kept) {
      sweep()
      drop(owner, id)
      const size = id.length + kept.answer.length + kept.input.length
      // One that would push all others out is not worth it.
      if (size > limits.characters / 4) return
      put(owner, id, { size, until: now() + limits.ttlMs, kept })
      makeRoom()
    },
    remove: async (owner, id) => drop(owner, id),
  }
}

const sweepMs = 60_000
