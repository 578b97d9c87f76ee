/**
 * Anthropic's tool names match ^[a-zA-Z0-9_-]{1,128}$ and its call ids ^[a-zA-Z0-9_-]+$, each id once. Others allow
 * more; what is not allowed is replaced, always in the same way, and names are read back from the answer.
 */
export type ToolNames = {
  /** The name to send. */
  of(name: string): string
  /** Sent name → client's name, where they differ; undefined where none does. */
  readonly changed: Map<string, string> | undefined
}

export const createToolNames = (reserved: readonly string[]): ToolNames => new Names(reserved)

/** Most requests name no tool: what there is to remember is made when there is something. */
class Names implements ToolNames {
  changed: Map<string, string> | undefined
  readonly #reserved: readonly string[]
  #free: ((name: string) => string) | undefined
  #sent: Map<string, string> | undefined
  constructor(reserved: readonly string[]) {
    this.#reserved = reserved
  }
  of(name: string): string {
    this.#sent ??= new Map()
    const known = this.#sent.get(name)
    if (known !== undefined) return known
    this.#free ??= unique(this.#reserved)
    const plain = safe(name) || 'tool'
    const chosen = this.#free(
      plain.length > (plain === name ? 128 : 120) ? `${plain.slice(0, 111)}_${hash(name)}` : plain,
    )
    this.#sent.set(name, chosen)
    if (chosen !== name) {
      this.changed ??= new Map()
      this.changed.set(chosen, name)
    }
    return chosen
  }
}

export type CallIds = { call(id: string): string; result(id: string): string }

/** A result answers the first call of its id that has no result yet. */
export const createCallIds = (): CallIds => new Ids()

class Ids implements CallIds {
  #free: ((name: string) => string) | undefined
  #waiting: Map<string, string[]> | undefined
  call(id: string): string {
    this.#free ??= unique([])
    this.#waiting ??= new Map()
    const chosen = this.#free(idFor(id))
    const queue = this.#waiting.get(id)
    if (queue) queue.push(chosen)
    else this.#waiting.set(id, [chosen])
    return chosen
  }
  result(id: string): string {
    const queue = this.#waiting?.get(id)
    return (queue && queue.length > 1 ? queue.shift() : queue?.[0]) ?? idFor(id)
  }
}

/** The name itself, or with the first number that makes it new. */
function unique(reserved: readonly string[]): (name: string) => string {
  const taken = new Set(reserved)
  const numbers = new Map<string, number>()
  return (name) => {
    let chosen = name
    let number = numbers.get(name) ?? 1
    while (taken.has(chosen)) chosen = `${name}_${++number}`
    numbers.set(name, number)
    taken.add(chosen)
    return chosen
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
