import { hash } from '../gemini/names.ts'

/**
 * Tool names match ^[a-zA-Z0-9_-]{1,64}$ and call ids have at most 64 characters. Other dialects allow more; what does
 * not fit is replaced, always in the same way, and names are read back from the answer.
 */
export type ToolNames = {
  /** The name to send. */
  of(name: string): string
  /** Sent name → client's name, where they differ. */
  readonly changed: Map<string, string>
}

export function createToolNames(): ToolNames {
  const taken = new Set<string>()
  const sent = new Map<string, string>()
  const changed = new Map<string, string>()
  const counts = new Map<string, number>()
  return {
    changed,
    of(name) {
      const known = sent.get(name)
      if (known !== undefined) return known
      const plain = shortened(name.replace(/[^a-zA-Z0-9_-]/g, '_') || 'tool')
      let chosen = plain
      const stem = plain.slice(0, 56)
      for (let next = counts.get(stem) ?? 2; taken.has(chosen); next++) {
        chosen = `${stem}_${next}`
        counts.set(stem, next + 1)
      }
      taken.add(chosen)
      sent.set(name, chosen)
      if (chosen !== name) changed.set(chosen, name)
      return chosen
    },
  }
}

/** For clients of this wire: their names are the provider's. */
export const sameNames: ToolNames = { of: (name) => name, changed: new Map() }

export const shortened = (name: string): string =>
  name.length <= longest ? name : `${name.slice(0, longest - 9)}_${hash(name)}`
const longest = 64

/** A tool inside a namespace, under the one name by which providers without namespaces know it. */
export const flatName = (namespace: string, name: string): string =>
  shortened(namespace.endsWith('__') ? namespace + name : `${namespace}__${name}`)
