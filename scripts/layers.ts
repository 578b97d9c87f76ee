import { globSync, readFileSync } from 'node:fs'

/**
 * The rooms of the house, from the door inwards. A room may import any room below it and none above.
 * Portable rooms import no Node module and only the packages named here; a file that needs Node says so: `*.node.ts`.
 */
const rooms = [
  'cli',
  'node',
  'index',
  'gateway-face',
  'start',
  'http-node',
  'admin',
  'gateway',
  'sdk',
  'guard',
  'cache',
  'policy',
  'ledger',
  'store',
  'config',
  'router',
  'call',
  'provider',
  'wire',
  'chat',
  'http',
  'json',
  'errors',
  'version',
]
const portablePackages = new Set([
  'zod',
  'eventsource-parser',
  '@smithy/eventstream-codec',
  '@smithy/signature-v4',
  'kysely',
  'jose',
])

/** `src/index.ts`, `src/node.ts` and `src/gateway.ts` are faces: exports and nothing else. */
const faces: Record<string, string> = {
  'gateway.ts': 'gateway-face',
  'index.node.ts': 'index',
  'index.ts': 'index',
  'node.ts': 'node',
}
const roomOf = (path: string): string => {
  const [, first = '', second] = path.split('/')
  if (second === undefined) return faces[first] ?? first.replace('.ts', '')
  return first === 'http' && path.endsWith('.node.ts') ? 'http-node' : first
}
const depth = (room: string): number => rooms.indexOf(room)

/**
 * Nothing that comes over the network may start a process, so few files can: one that starts what a person's own command
 * line names, and those by which the gateway starts itself again.
 */
const startProcesses = new Set([
  'src/cli/agent.node.ts',
  'src/cli/worker.node.ts',
  'src/cli/workers.node.ts',
])

const broken: string[] = []
for (const file of globSync('src/**/*.ts').filter((name) => !/\.(test|d)\.ts$/.test(name))) {
  const room = roomOf(file)
  const nodeOnly = file.endsWith('.node.ts') || file === 'src/node.ts'
  if (depth(room) === -1)
    broken.push(`${file}: room "${room}" is not on the map in scripts/layers.ts`)
  const source = readFileSync(file, 'utf8')
  const runs = source.replace(/^import type .*$/gm, '')
  if (/'(node:)?(child_process|cluster)'/.test(runs) && !startProcesses.has(file))
    broken.push(`${file}: may not start processes`)
  for (const [, from = ''] of source.matchAll(/(?:\bfrom |^import |\bimport\()'([^'\n]+)'\)?$/gm)) {
    if (!from.startsWith('.')) {
      const name = from.startsWith('@')
        ? from.split('/').slice(0, 2).join('/')
        : (from.split('/')[0] ?? '')
      if (!nodeOnly && !portablePackages.has(name))
        broken.push(`${file}: imports ${from}; only *.node.ts may leave the house`)
      continue
    }
    const target = new URL(from, `file:///${file}`).pathname.slice(1)
    if (depth(roomOf(target)) < depth(room))
      broken.push(`${file}: ${room} may not import ${roomOf(target)}`)
    if (target.endsWith('.node.ts') && !nodeOnly)
      broken.push(`${file}: imports ${target}, so it is Node only too`)
  }
}
for (const line of broken) console.error(line)
if (broken.length === 0) console.log('layers: clean')
process.exit(broken.length === 0 ? 0 : 1)
