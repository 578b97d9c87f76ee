import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** How the server is made into few files: both for the published package and for a clone. */
export const bundleOptions = {
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.19',
  outExtension: { '.js': '.mjs' },
  // Packages written for require find it; esbuild's own shim would refuse Node's modules.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
  // Data beside its package; and a CommonJS package imported when first needed, which a bundle would give no names.
  external: ['gpt-tokenizer', '@smithy/signature-v4'],
  legalComments: 'none',
  logLevel: 'silent',
} as const

/**
 * A clone runs from source, but a hundred files to strip of their types take half a second at every start and 50 MB. So
 * what is run is a bundle of exactly the sources that are there: made when they have changed, kept under node_modules.
 * Undefined where that cannot be done (no esbuild, a read-only disk): then the sources are run as they are.
 */
export async function bundleOfClone(root: string): Promise<string | undefined> {
  try {
    const cache = join(root, 'node_modules', '.cache', 'throughway')
    const home = join(cache, stampOf(root))
    const entry = join(home, 'main.node.mjs')
    if (!existsSync(entry)) {
      const { build } = await import('esbuild')
      const making = `${home}.${process.pid}`
      mkdirSync(making, { recursive: true })
      await build({
        ...bundleOptions,
        external: [...bundleOptions.external],
        entryPoints: [join(root, 'src', 'cli', 'main.node.ts')],
        outdir: making,
      })
      renameSync(making, home)
      removeOldest(cache)
    }
    return pathToFileURL(entry).href
  } catch {
    return undefined
  }
}

/** A server that runs from an earlier bundle loads parts of it when first needed, so the last few are kept. */
function removeOldest(cache: string): void {
  const folders = readdirSync(cache).map((name) => join(cache, name))
  const made = (folder: string): number => statSync(folder).mtimeMs
  for (const folder of folders.sort((a, b) => made(b) - made(a)).slice(bundlesKept))
    rmSync(folder, { recursive: true, force: true })
}

const bundlesKept = 4

/** Any change of a source, of the packages or of Node is another stamp. */
function stampOf(root: string): string {
  const hash = createHash('sha256').update(process.version)
  for (const file of [
    ...globSync('src/**/*.ts', { cwd: root }).sort(),
    'package-lock.json',
    'bin/bundle.ts',
  ]) {
    const { mtimeMs, size } = statSync(join(root, file))
    hash.update(`${file} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex').slice(0, 24)
}
