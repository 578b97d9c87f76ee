#!/usr/bin/env node
/**
 * Entry of the server and of the command line. Before it says which Node is needed it may use only what old ones
 * understand, so everything else is imported afterwards. `--version` imports nothing but the version.
 */
const needed = [22, 19]

async function start(words: string[]): Promise<void> {
  if (words.length === 1 && (words[0] === '--version' || words[0] === '-v')) {
    const { litellmVersion, version } = await import('../src/version.ts')
    console.log(`throughway ${version} (serves the API of LiteLLM ${litellmVersion})`)
    return
  }
  await keepCompiled()
  const { main } = await program()
  await main(words)
}

type Program = { main(words: string[]): Promise<void> }

/** Few files start faster than many: see bundle.ts. The published package carries them beside its modules. */
async function program(): Promise<Program> {
  if (!import.meta.url.endsWith('.ts')) {
    const bundled = '../bundle/server/main.node.mjs'
    return import(bundled).catch(() => import('../src/cli/main.node.ts'))
  }
  const { bundleOfClone } = await import('./bundle.ts')
  const { dirname } = await import('node:path')
  const bundle = await bundleOfClone(dirname(import.meta.dirname))
  return bundle === undefined ? import('../src/cli/main.node.ts') : import(bundle)
}

/**
 * Compiled code is kept between starts, which saves half of a start's time. Never in the shared temporary folder, Node's
 * own choice: whoever may write there first could put code into this process.
 */
async function keepCompiled(): Promise<void> {
  const [{ enableCompileCache }, { homedir }, { join }] = await Promise.all([
    import('node:module'),
    import('node:os'),
    import('node:path'),
  ])
  const { env, platform } = process
  const caches =
    platform === 'win32'
      ? env['LOCALAPPDATA']
      : env['XDG_CACHE_HOME'] ||
        join(homedir(), platform === 'darwin' ? 'Library/Caches' : '.cache')
  // Where it cannot be written, as in a read-only container, starts are only slower.
  if (caches) enableCompileCache(join(caches, 'throughway', 'compiled'))
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major > (needed[0] ?? 0) || (major === needed[0] && minor >= (needed[1] ?? 0))) {
  start(process.argv.slice(2)).catch((cause) => {
    console.error(cause)
    process.exit(1)
  })
} else {
  console.error(
    `throughway: needs Node ${needed.join('.')} or newer, and this is ${process.versions.node}: https://nodejs.org/en/download`,
  )
  process.exitCode = 1
}
