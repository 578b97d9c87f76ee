import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

/**
 * The server as few files, for the published package and for a clone (`clone.js`).
 *
 * Each of these sources becomes a file of its own, by its own name and beside the others: `main.node.mjs`. What they
 * share is split off into chunks in the same folder. So a worker is a source listed here, in the folder of the module that
 * starts it, with
 *
 *     new Worker(new URL(`./worker.node${extname(import.meta.url)}`, import.meta.url))
 *
 * which is `.ts` from source, `.mjs` from a bundle and `.js` in the compiled library.
 */
export const entries = ['src/cli/main.node.ts', 'src/store/sqlite-worker.node.ts'] as const

export async function bundleInto(outdir: string, root: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [...entries],
    entryNames: '[name]',
    outdir,
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
    // Node keeps a module's text, at two bytes a character where one of them is not ASCII, as in many a comment (in a
    // regular expression, which esbuild leaves as it is, write \u...: one cost 1 MB, and 15 MB more, because what is
    // freed when it is loaded is what malloc takes for little from then on). Lines end somewhere, because a failure
    // prints its line.
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: 'none',
    logLevel: 'silent',
  })
}

/** Two starts may make the same bundle at once: each in a folder of its own, and the first one's is kept. */
async function makeOnce(root: string, home: string): Promise<void> {
  const making = `${home}${unfinished}${process.pid}`
  try {
    mkdirSync(making, { recursive: true })
    await bundleInto(making, root)
    renameSync(making, home)
  } finally {
    rmSync(making, { recursive: true, force: true })
    sweep(dirname(home))
  }
}

/**
 * A server that runs from an earlier bundle loads parts of it when first needed, so the last few are kept. Unfinished
 * ones go once nobody can still be at work on them.
 */
function sweep(cache: string): void {
  const folders = readdirSync(cache)
    .map((name) => ({ path: join(cache, name), madeMs: madeMs(join(cache, name)), name }))
    .sort((a, b) => b.madeMs - a.madeMs)
  const finished = folders.filter(({ name }) => !name.includes(unfinished))
  const abandoned = folders.filter(
    ({ name, madeMs }) => name.includes(unfinished) && madeMs < Date.now() - makingMsMax,
  )
  for (const { path } of [...finished.slice(bundlesKept), ...abandoned])
    rmSync(path, { recursive: true, force: true })
}

/** Another start may have swept it away just now. */
const madeMs = (folder: string): number => statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0

const unfinished = '.'
const bundlesKept = 4
const makingMsMax = 60_000

if (import.meta.main) {
  const [root = '', home = ''] = process.argv.slice(2)
  await makeOnce(root, home)
}
