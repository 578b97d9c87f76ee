import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * What a clone runs, as an address to import. Three hundred files to strip of their types take half a second at every
 * start and 50 MB, so it is a bundle of exactly the sources that are there: made by `bundle.ts` when they have changed,
 * kept under node_modules. Where that cannot be done (no esbuild, a read-only disk) it is the sources themselves.
 */
export async function programOf(root = '') {
  const home = join(root, 'node_modules', '.cache', 'throughway', stampOf(root))
  const bundled = join(home, 'main.node.mjs')
  // A process of its own: what it takes to make a bundle does not stay in the server.
  if (!existsSync(bundled)) {
    const { spawnSync } = await import('node:child_process')
    spawnSync(process.execPath, [join(root, 'bin', 'bundle.ts'), root, home], { stdio: 'ignore' })
  }
  const chosen = existsSync(bundled) ? bundled : join(root, 'src', 'cli', 'main.node.ts')
  return pathToFileURL(chosen).href
}

/** Any change of a source, of the packages or of Node is another stamp. 5 ms, where globSync takes 13. */
export function stampOf(root = '') {
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .map((name) => join('src', String(name)))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const hash = createHash('sha256').update(process.version)
  for (const file of [...sources.sort(), 'package-lock.json', 'tsconfig.json', 'bin/bundle.ts']) {
    const { mtimeMs, size } = statSync(join(root, file))
    hash.update(`${file} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex').slice(0, 24)
}
