/**
 * Anthropic's tool names match ^[a-zA-Z0-9_-]{1,128}$ and its call ids ^[a-zA-Z0-9_-]+$, each id once. Others allow
 * more; what is not allowed is replaced, always in the same way, and names are read back from the answer.
 */
export type ToolNames = {
  /** The name to send. */
  of(name: string): string
  /** Sent name → client's name, where they differ. */
  readonly changed: Map<string, string>
}

export function createToolNames(reserved: Iterable<string>): ToolNames {
  const taken = new Set(reserved)
  const sent = new Map<string, string>()
  const changed = new Map<string, string>()
  return {
    changed,
    of(name) {
      const known = sent.get(name)
      if (known !== undefined) return known
      const plain = legalName.test(name) ? name : safe(name) || 'tool'
      let chosen = plain.length > 128 ? `${plain.slice(0, 119)}_${hash(name)}` : plain
      for (let next = 2; taken.has(chosen); next++) chosen = `${plain.slice(0, 120)}_${next}`
      taken.add(chosen)
      sent.set(name, chosen)
      if (chosen !== name) changed.set(chosen, name)
      return chosen
    },
  }
}

const legalName = /^[a-zA-Z0-9_-]{1,128}$/

export type CallIds = { call(id: string): string; result(id: string): string }

/** A result answers the first call of its id that has no result yet. */
export function createCallIds(): CallIds {
  const taken = new Set<string>()
  const waiting = new Map<string, string[]>()
  return {
    call(id) {
      const plain = idFor(id)
      let chosen = plain
      for (let next = 2; taken.has(chosen); next++) chosen = `${plain}_${next}`
      taken.add(chosen)
      const queue = waiting.get(id)
      if (queue) queue.push(chosen)
      else waiting.set(id, [chosen])
      return chosen
    },
    result(id) {
      const queue = waiting.get(id)
      return (queue && queue.length > 1 ? queue.shift() : queue?.[0]) ?? idFor(id)
    },
  }
}

const idFor = (id: string): string =>
  /^[a-zA-Z0-9_-]+$/.test(id) ? id : id === '' ? 'toolu_call' : `${safe(id)}_${hash(id)}`

const safe = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_')

/** FNV-1a: short and the same everywhere, so that two names which look alike once cleaned stay two. */
function hash(of: string): string {
  let sum = 0x811c9dc5
  for (let at = 0; at < of.length; at++) sum = Math.imul(sum ^ of.charCodeAt(at), 0x01000193)
  return (sum >>> 0).toString(16).padStart(8, '0')
}
