import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { JsonObject } from '../../src/json/json.ts'
import type { Scope } from './provider.ts'

const bin = join(import.meta.dirname, '..', '..', 'bin', 'throughway.ts')

export type GatewayProcess = {
  url: string
  port: number
  pid: number
  /** Megabytes of memory it holds. */
  residentMb(): Promise<number>
  signal(name: NodeJS.Signals): void
  /** What it wrote. */
  said(): string
  ended: Promise<number | null>
}

export type ProcessOptions = {
  /** Kept when it ends; absent: a folder of its own. */
  dataDir?: string
  env?: Readonly<Record<string, string>>
}

/** A gateway in a process of its own, so that its memory and its pauses are its own too. */
export async function startProcess(
  t: Scope,
  config: JsonObject,
  { dataDir, env = {} }: ProcessOptions = {},
): Promise<GatewayProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'throughway-process-'))
  const file = join(folder, 'config.yaml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config))
  const child = spawn(
    process.execPath,
    [bin, '--config', file, '--port', '0', '--data-dir', dataDir ?? join(folder, 'data')],
    {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        LITELLM_MODE: 'PRODUCTION',
        JSON_LOGS: 'true',
        LITELLM_LOCAL_MODEL_COST_MAP: 'true',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let said = ''
  let wake = () => {}
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk) => {
      said += chunk
      wake()
    })
  let over = false
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      over = true
      wake()
      resolve(code)
    }),
  )
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  })
  const address = /http:\/\/127\.0\.0\.1:(\d+)/
  while (!address.test(said)) {
    if (over) throw new Error(`the gateway ended: ${said}`)
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  const port = Number(address.exec(said)?.[1])
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    async residentMb() {
      const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(child.pid)])
      return Number(stdout) / 1024
    },
    signal: (name) => void child.kill(name),
    said: () => said,
    ended,
  }
}
