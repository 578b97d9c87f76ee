/**
 * Names of functions: a letter or an underscore, then letters, digits and `_ . : -`, 128 in all (FunctionDeclaration.name
 * of @google/genai 3.1). Others allow more; what is not allowed is replaced, always in the same way, and names are read
 * back from the answer.
 */
export type ToolNames = {
  /** The name to send. */
  of(name: string): string
  /** Sent name → client's name, where they differ. */
  readonly changed: Map<string, string>
}

export function createToolNames(reserved: Iterable<string> = []): ToolNames {
  const taken = new Set(reserved)
  const sent = new Map<string, string>()
  const changed = new Map<string, string>()
  const counts = new Map<string, number>()
  return {
    changed,
    of(name) {
      const known = sent.get(name)
      if (known !== undefined) return known
      const plain = legal.test(name) ? name : safe(name)
      let chosen = plain.length > 128 ? `${plain.slice(0, 119)}_${hash(name)}` : plain
      const stem = plain.slice(0, 120)
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

const legal = /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/

function safe(name: string): string {
  const clean = name.replace(/[^a-zA-Z0-9_.:-]/g, '_')
  return /^[a-zA-Z_]/.test(clean) ? clean : `_${clean}`
}

/** FNV-1a: short and the same everywhere. Not for security. */
export function hash(of: string): string {
  let sum = 0x811c9dc5
  for (let at = 0; at < of.length; at++) sum = Math.imul(sum ^ of.charCodeAt(at), 0x01000193)
  return (sum >>> 0).toString(16).padStart(8, '0')
}

/**
 * The id of a call for which Gemini gave none: the same whenever the same answer is read, another for every call of a
 * conversation, and short enough for OpenAI's 40 characters.
 */
export function callId(responseId: string, choice: number, index: number, said: string): string {
  const of = responseId.replace(/[^a-zA-Z0-9_-]/g, '').slice(-24) || hash(said)
  return `call_${of}_${choice === 0 ? '' : `${choice}_`}${index}`
}
