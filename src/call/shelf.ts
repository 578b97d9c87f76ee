/**
 * What the gateway keeps for a while because the provider it is for cannot: the lines of a batch, and what is still to be
 * paid of one. By name; whose it is belongs into the name.
 */
export interface Shelf {
  /** Replaces what has the same name. */
  save(name: string, text: string): Promise<void>
  /** Was there nothing of this name? True for one only, of all that ask at the same time; what was there stays. */
  add(name: string, text: string): Promise<boolean>
  find(name: string): Promise<string | undefined>
  /** Was it there? True for one only, of all that ask at the same time, in whatever process. */
  remove(name: string): Promise<boolean>
  names(prefix: string): Promise<string[]>
  /** Forgets what has lain there for longer. */
  sweep(olderThanMs: number): Promise<void>
}

/** In memory, for a gateway without a database: bounded, so that the oldest gives way. */
export function createShelf(now: () => number, charactersMax = 256 * 1024 * 1024): Shelf {
  const kept = new Map<string, { text: string; at: number }>()
  let characters = 0
  const drop = (name: string): boolean => {
    characters -= kept.get(name)?.text.length ?? 0
    return kept.delete(name)
  }
  return {
    async save(name, text) {
      drop(name)
      kept.set(name, { text, at: now() })
      characters += text.length
      for (const [oldest] of kept) {
        if (characters <= charactersMax || oldest === name) break
        drop(oldest)
      }
    },
    async add(name, text) {
      if (kept.has(name)) return false
      await this.save(name, text)
      return true
    },
    find: async (name) => kept.get(name)?.text,
    remove: async (name) => drop(name),
    names: async (prefix) => [...kept.keys()].filter((name) => name.startsWith(prefix)),
    async sweep(olderThanMs) {
      for (const [name, { at }] of kept) if (at < now() - olderThanMs) drop(name)
    },
  }
}
