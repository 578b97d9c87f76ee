#!/usr/bin/env node
/**
 * Entry of the server and of the command line, and as it stands here also the published bin. Before it says which Node is
 * needed it may use only what old ones understand, so everything else is imported afterwards.
 *
 * It is JavaScript because the first TypeScript file that runs makes Node load what strips types: 14 MB which stay, and
 * 90 of a start's 350 ms. `bin/throughway.ts` is a link to it: Node looks at the name of the file behind a link.
 */
const needed = [22, 19]

/** A clone has the sources beside it, the published package what was compiled from them. */
const start = async (words = ['']) => {
  const [{ existsSync }, { default: module }, { homedir }, path] = await Promise.all([
    import('node:fs'),
    import('node:module'),
    import('node:os'),
    import('node:path'),
  ])
  const root = path.dirname(import.meta.dirname)
  const isClone = existsSync(path.join(root, 'src', 'version.ts'))

  if (words.length === 1 && (words[0] === '--version' || words[0] === '-v')) {
    const { litellmVersion, version } = await import(`../src/version.${isClone ? 'ts' : 'js'}`)
    console.log(`throughway ${version} (serves the API of LiteLLM ${litellmVersion})`)
    return
  }

  // Compiled code is kept between starts, which saves half of a start's time. Never in the shared temporary folder,
  // Node's own choice: whoever may write there first could put code into this process.
  const { env, platform } = process
  const caches =
    platform === 'win32'
      ? env['LOCALAPPDATA']
      : env['XDG_CACHE_HOME'] ||
        path.join(homedir(), platform === 'darwin' ? 'Library/Caches' : '.cache')
  // Where it cannot be written, as in a read-only container, starts are only slower.
  if (caches) module.enableCompileCache(path.join(caches, 'throughway', 'compiled'))

  const program = isClone
    ? await (await import('./clone.js')).programOf(root)
    : '../bundle/server/main.node.mjs'
  const { main } = await import(program)
  await main(words)
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major > (needed[0] || 0) || (major === needed[0] && minor >= (needed[1] || 0))) {
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
