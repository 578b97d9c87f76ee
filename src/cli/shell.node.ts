import { readFileSync } from 'node:fs'

/**
 * npm and npx start a program through `sh -c` and hand SIGTERM to that shell, which ends without a word where it is dash, as
 * on Debian: the server would stay behind and hold its port. Calls `gone` once that has happened. A shell that was given
 * more than this one command (`throughway & …`) may end before it, so that one is not watched; nor is any where there
 * is no /proc to ask, and no dash either.
 */
export function watchShellOfNpm(
  gone: () => void,
  env: Readonly<Record<string, string | undefined>> = process.env,
): void {
  if (env['npm_lifecycle_event'] === undefined) return
  const shell = process.ppid
  if (!runsOneCommand(shell)) return
  const timer = setInterval(() => {
    if (process.ppid === shell) return
    clearInterval(timer)
    gone()
  }, lookMs)
  timer.unref()
}

function runsOneCommand(pid: number): boolean {
  try {
    const [name = '', flag, command = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return /(^|\/)(da)?sh$/.test(name) && flag === '-c' && !/[&;|\n]/.test(command)
  } catch {
    return false
  }
}

const lookMs = 250
