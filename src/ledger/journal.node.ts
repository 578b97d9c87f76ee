import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isObject, type JsonObject, number, object, text } from '../json/json.ts'
import type { Journal, Left } from './journal.ts'
import type { Entry, Opening } from './ledger.ts'

/** A journal past this is begun anew, with what is still needed. */
const rewriteBytes = 8 * 1024 * 1024

/** The folder of journals within a data folder. */
export const journalFolder = (dataDir: string): string => join(dataDir, 'journal')

/** Opens the journal of this process. Lines of JSON: `o` begins a request, `p` says how far it is, `d` ends it. */
export function openJournal(folder: string, node: string): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${node}.jsonl`)
  let file = openSync(path, 'a', 0o600)
  let written = 0
  let buffered = ''
  let scheduled = false
  /** The last write stopped in the middle of a line. */
  let torn = false
  const begun = new Map<number, string>()
  let kept: { seq: number; line: string }[] = []

  const write = (lines: string): void => {
    const bytes = Buffer.from(torn ? `\n${lines}` : lines)
    let at = 0
    try {
      while (at < bytes.length) at += writeSync(file, bytes, at)
      torn = false
    } catch (cause) {
      if (at > 0) torn = true
      throw cause
    } finally {
      written += at
    }
  }
  const writeBuffered = (): void => {
    scheduled = false
    if (buffered === '') return
    const lines = buffered
    buffered = ''
    try {
      write(lines)
    } catch {
      // Beginnings and progress only matter in a crash, and the end of the request will be written or refused itself.
    }
  }
  const later = (line: string): void => {
    buffered += line
    if (scheduled) return
    scheduled = true
    setImmediate(writeBuffered)
  }
  write(head(node))

  function rewrite(): void {
    const next = openSync(`${path}.new`, 'w', 0o600)
    const old = file
    try {
      writeSync(next, head(node) + [...begun.values()].join('') + kept.map((k) => k.line).join(''))
      renameSync(`${path}.new`, path)
    } catch {
      closeSync(next)
      return
    }
    file = next
    torn = false
    written = fstatSync(next).size
    closeSync(old)
  }

  return {
    open(opened, { soFar: _, ...opening }) {
      const line = `${JSON.stringify({ o: opened, e: opening })}\n`
      begun.set(opened, line)
      later(line)
    },
    progress(opened, soFar) {
      if (begun.has(opened)) later(`${JSON.stringify({ p: opened, ...soFar })}\n`)
    },
    done(seq, entry) {
      const line = `${JSON.stringify({ d: entry.opened ?? 0, n: seq, e: brief(entry) })}\n`
      const lines = buffered + line
      buffered = ''
      write(lines)
      const beginning = entry.opened === undefined ? undefined : begun.get(entry.opened)
      if (entry.opened !== undefined) begun.delete(entry.opened)
      // Should the file be begun anew, the beginning of this one is not in it.
      kept.push({ seq, line: entry.opened === undefined ? line : (beginning ?? '') + line })
    },
    flushed(seq) {
      let known = 0
      while (known < kept.length && (kept[known]?.seq ?? 0) <= seq) known++
      kept = known === kept.length ? [] : kept.slice(known)
      if (written > rewriteBytes) rewrite()
    },
    close() {
      writeBuffered()
      closeSync(file)
      if (begun.size === 0 && kept.length === 0)
        try {
          unlinkSync(path)
        } catch {
          // Somebody tidied up before us.
        }
    },
  }
}

/** Without what its beginning has said already, and without the provider's own words about usage. */
function brief(entry: Entry): Partial<Entry> {
  const { payer, usage, ...rest } = entry
  const { raw: _, ...counts } = usage
  return { ...rest, usage: counts, ...(entry.opened === undefined && payer && { payer }) }
}

/** Who writes it: a process is the same one only if it began at the same instant of the same boot. */
const head = (node: string): string =>
  `${JSON.stringify({ node, host: hostname(), pid: process.pid, began: beganOf(process.pid) })}\n`

/** When a process began, in the kernel's words; undefined where that is not told. */
function beganOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return undefined
  }
}

function lives(pid: number, began: string | undefined): boolean {
  if (began !== undefined) return beganOf(pid) === began
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as { code?: string }).code === 'EPERM'
  }
}

/** Journals in the folder whose processes are no more. A file of another machine that shares the folder is left alone. */
export function deadJournals(folder: string, self: string): { node: string; path: string }[] {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  } catch {
    return []
  }
  return names.flatMap((name) => {
    const path = join(folder, name)
    const node = name.slice(0, -'.jsonl'.length)
    if (node === self) return []
    const first = firstLine(path)
    const pid = number(first['pid'])
    const mine = first['host'] === undefined || first['host'] === hostname()
    // A file without a readable beginning was cut by a crash at its very start: nothing in it counts.
    if (pid !== undefined && (!mine || lives(pid, text(first['began'])))) return []
    return [{ node, path }]
  })
}

function firstLine(path: string): JsonObject {
  try {
    const [line = ''] = readFileSync(path, 'utf8').split('\n', 1)
    return object(JSON.parse(line))
  } catch {
    return {}
  }
}

/** What a dead process left. Lines that were cut or damaged are passed over: they never ended an answer. */
export function readJournal({ node, path }: { node: string; path: string }): Left {
  const settled: Left['settled'] = []
  const open = new Map<number, Left['open'][number]>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue
    let record: unknown
    try {
      record = JSON.parse(line)
    } catch {
      continue
    }
    if (!isObject(record as never)) continue
    const { o, p, d, n, e, tokens, nanoDollars } = record as JsonObject
    if (typeof o === 'number' && isObject(e)) {
      const opening = e as unknown as Opening
      open.set(o, { opening, tokens: 0, nanoDollars: opening.nanoDollars })
    } else if (typeof p === 'number') {
      const one = open.get(p)
      if (one)
        open.set(p, {
          ...one,
          tokens: number(tokens) ?? 0,
          nanoDollars: one.opening.nanoDollars + (number(nanoDollars) ?? 0),
        })
    } else if (typeof n === 'number' && isObject(e)) {
      const begun = typeof d === 'number' ? open.get(d) : undefined
      if (typeof d === 'number') open.delete(d)
      const entry = e as unknown as Entry
      settled.push({
        seq: n,
        entry: entry.payer || !begun ? entry : { ...entry, payer: begun.opening.payer },
      })
    }
  }
  return { node, settled, open: [...open.values()] }
}

export function removeJournal(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already.
  }
}
