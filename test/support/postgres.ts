import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where PostgreSQL's programs are; undefined: it is not installed here. */
export function postgresFolder(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian)
    ? readdirSync(debian).sort((a, b) => Number(b) - Number(a))
    : []
  for (const version of versions) {
    const folder = join(debian, version, 'bin')
    if (existsSync(join(folder, 'initdb'))) return folder
  }
  const found = spawnSync('sh', ['-c', 'command -v initdb'], { encoding: 'utf8' }).stdout.trim()
  return found === '' ? undefined : join(found, '..')
}

export type TemporaryPostgres = {
  /** An empty database of its own, as a URL. The same name is the same database. */
  database(name?: string): string
  /** Stops the server, as a crash of its machine would, and lets it come back. */
  pause(): void
  resume(): Promise<void>
  stop(): void
}

/** A server with a folder of its own on a free port. It refuses to run as root, so root runs it as `postgres`. */
export async function startPostgres(bin: string): Promise<TemporaryPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'throughway-postgres-'))
  const data = join(folder, 'data')
  const root = process.getuid?.() === 0
  const id = (flag: string): number =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  const as = { cwd: folder, ...(root && { uid: id('-u'), gid: id('-g') }) }
  if (root) chownSync(folder, as.uid ?? 0, as.gid ?? 0)
  const run = (program: string, args: string[]): void => {
    const done = spawnSync(join(bin, program), args, { encoding: 'utf8', ...as })
    if (done.status !== 0) throw new Error(`${program}: ${done.error ?? done.stderr}`)
  }
  run('initdb', [
    ...['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync'],
    // Not what a bare environment says, which is ASCII.
    ...['--encoding=UTF8', '--locale=C'],
  ])
  const port = await freePort()
  const begin = (): Promise<void> => {
    const child = spawn(
      join(bin, 'postgres'),
      [
        ...['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1'],
        ...['-c', 'max_connections=200', '-c', 'fsync=off', '-c', 'shared_buffers=32MB'],
      ],
      { ...as, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    child.unref()
    return new Promise((resolve, reject) => {
      let said = ''
      child.stderr.on('data', (bytes: Buffer) => {
        said += String(bytes)
        if (said.includes('ready to accept connections')) resolve()
      })
      child.on('exit', () => reject(new Error(said)))
    })
  }
  await begin()
  let runs = true
  const halt = (): void => {
    if (runs) run('pg_ctl', ['-D', data, '-m', 'immediate', 'stop'])
    runs = false
  }
  const made = new Set<string>()
  return {
    database(name = `t${randomBytes(5).toString('hex')}`) {
      if (!made.has(name))
        run('createdb', ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', name])
      made.add(name)
      return `postgres://postgres@127.0.0.1:${port}/${name}`
    },
    pause: halt,
    async resume() {
      await begin()
      runs = true
    },
    stop() {
      halt()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
