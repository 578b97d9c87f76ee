import type { Deployment } from '../provider/deployment.ts'
import type { RouterOptions } from './router.ts'

/** Names and what stands behind them. */
export type Groups = {
  /** The model group a client's name means: itself, an alias's target, a deployment's group by its id. */
  nameOf(name: string): string
  /** Deployments of a group; for a name that only a wildcard row matches, deployments made for it. */
  find(group: string): readonly Deployment[]
  /** Is the group written in the config as it stands, and not made for a name that fits a wildcard? */
  isOwn(group: string): boolean
  /** The entry of a table whose key is a wildcard matching `name`, the most specific one. */
  wildcard<T>(table: Readonly<Record<string, T>>, name: string): T | undefined
  all(): readonly Deployment[]
  names(): string[]
}

/** Names made from wildcards are remembered up to this many: a client must not fill our memory with invented ones. */
const remembered = 2000
const nameLengthMax = 512

export function groupsOf({ deployments, settings, expand }: RouterOptions): Groups {
  const byGroup = new Map<string, Deployment[]>()
  const byId = new Map<string, Deployment[]>()
  for (const deployment of deployments) {
    const group = byGroup.get(deployment.group)
    if (group) group.push(deployment)
    else byGroup.set(deployment.group, [deployment])
    byId.set(deployment.id, [deployment])
  }
  const patterns = [...byGroup.keys()].filter((name) => name.includes('*')).sort(bySpecificity)
  const made = new Map<string, readonly Deployment[]>()

  function fromWildcards(name: string): readonly Deployment[] {
    const known = made.get(name)
    if (known) return known
    if (name.length > nameLengthMax) return []
    for (const pattern of patterns) {
      const part = matched(pattern, name)
      if (part === undefined) continue
      const rows = (byGroup.get(pattern) ?? []).map((row) =>
        expand(row, name, row.target.provider ? upstreamOf(row, part) : part),
      )
      if (made.size >= remembered) made.delete(made.keys().next().value ?? '')
      made.set(name, rows)
      return rows
    }
    return []
  }

  return {
    nameOf(name) {
      if (byGroup.has(name)) return name
      const alias = settings.aliases[name]
      if (alias && Object.hasOwn(settings.aliases, name)) return alias.group
      return name
    },
    isOwn: (group) => byGroup.has(group) && !group.includes('*'),
    find: (group) => byGroup.get(group) ?? byId.get(group) ?? fromWildcards(group),
    wildcard(table, name) {
      const key = Object.keys(table)
        .filter((pattern) => pattern !== '*' && pattern.includes('*'))
        .sort(bySpecificity)
        .find((pattern) => matched(pattern, name) !== undefined)
      return key === undefined ? undefined : table[key]
    },
    all: () => deployments,
    names: () => [...byGroup.keys()],
  }
}

/** The upstream's `*` is filled with what the public one matched: `groq/*` → `groq/llama-3`. Without one it stays as it is. */
const upstreamOf = (row: Deployment, part: string): string => {
  const model = String(row.row.params['model'] ?? '')
  // By a function: what a client writes (`$&`) is no pattern.
  return model.replace('*', () => part)
}

/** What a pattern's first `*` stands for in `name`, or undefined. */
export function matched(pattern: string, name: string): string | undefined {
  const at = pattern.indexOf('*')
  if (at === -1) return pattern === name ? '' : undefined
  const head = pattern.slice(0, at)
  const tail = pattern.slice(at + 1)
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail)
    ? name.slice(head.length, name.length - tail.length)
    : undefined
}

const bySpecificity = (a: string, b: string): number => b.length - a.length
