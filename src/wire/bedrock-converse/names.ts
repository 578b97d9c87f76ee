/**
 * Bedrock's tool names and call ids match ^[a-zA-Z0-9_-]{1,64}$. Other dialects allow more; what does not fit is
 * replaced, always in the same way, and names are read back from the answer.
 */
export type ToolNames = {
  /** The name to send. */
  of(name: string): string
  /** Sent name → client's name, where they differ. */
  readonly changed: Map<string, string>
}

export function createToolNames(reserved: Iterable<string>): ToolNames {
  const free = unique(reserved)
  const sent = new Map<string, string>()
  const changed = new Map<string, string>()
  return {
    changed,
    of(name) {
      const known = sent.get(name)
      if (known !== undefined) return known
      const chosen = free(fitting(name || 'tool'))
      sent.set(name, chosen)
      if (chosen !== name) changed.set(chosen, name)
      return chosen
    },
  }
}

export type CallIds = { call(id: string): string; result(id: string): string }

/** A result answers the first call of its id that has no result yet. */
export function createCallIds(): CallIds {
  const free = unique([])
  const waiting = new Map<string, string[]>()
  return {
    call(id) {
      const chosen = free(fitting(id || 'tooluse_call'))
      const queue = waiting.get(id)
      if (queue) queue.push(chosen)
      else waiting.set(id, [chosen])
      return chosen
    },
    result(id) {
      const queue = waiting.get(id)
      return (
        (queue && queue.length > 1 ? queue.shift() : queue?.[0]) ?? fitting(id || 'tooluse_call')
      )
    },
  }
}

const longest = 64

/** Two names that look alike once cleaned stay two. */
function fitting(name: string): string {
  const clean = name.replace(/[^a-zA-Z0-9_-]/g, '_')
  if (clean === name && name.length <= longest) return name
  return `${clean.slice(0, longest - 9)}_${hash(name)}`
}

/** The name itself, or with the first number that makes it new. */
export function unique(reserved: Iterable<string>, between = '_'): (name: string) => string {
  const taken = new Set(reserved)
  const numbers = new Map<string, number>()
  return (name) => {
    let chosen = name
    let number = numbers.get(name) ?? 1
    while (taken.has(chosen)) {
      const end = `${between}${++number}`
      chosen = name.slice(0, longest - end.length) + end
    }
    numbers.set(name, number)
    taken.add(chosen)
    return chosen
  }
}

/** FNV-1a: short and the same everywhere. */
function hash(of: string): string {
  let sum = 0x811c9dc5
  for (let at = 0; at < of.length; at++) sum = Math.imul(sum ^ of.charCodeAt(at), 0x01000193)
  return (sum >>> 0).toString(16).padStart(8, '0')
}
