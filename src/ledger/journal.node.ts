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
import { noUsage, type Usage } from '../chat/chat.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Journal, Left } from './journal.ts'
import type { Entry, Opening, Payer } from './ledger.ts'

/** A journal past this is begun anew, with what is still needed. */
const rewriteBytes = 8 * 1024 * 1024
/** Parties and deployments told once and then by number; past this they are told anew. */
const toldMax = 2000

/** The folder of journals within a data folder. */
export const journalFolder = (dataDir: string): string => join(dataDir, 'journal')

/**
 * Opens the journal of this process. Lines of JSON: `o` begins a request, `p` says how far it is, `d` ends it; `w` is a
 * payer and `v` a place that answered, told once and named by number afterwards. All that a turn of the loop brings is one
 * write: a write costs 3 µs, and a line 1 µs.
 */
export function openJournal(folder: string, node: string): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${node}.jsonl`)
  let file = openSync(path, 'a', 0o600)
  let written = 0
  let buffered = ''
  let writing: PromiseWithResolvers<void> | undefined
  /** The last write stopped in the middle of a line. */
  let torn = false
  const begun = new Map<number, Opening>()
  let kept: { seq: number; entry: Entry; opening: Opening | undefined }[] = []
  let payers = new Map<Payer, number>()
  let places = new Map<string, number>()
  let lastName = 0

  const write = (lines: string): void => {
    const bytes = Buffer.from(torn ? `\n${lines}` : lines)
    let at = 0
    try {
      while (at < bytes.length) at += writeSync(file, bytes, at)
      torn = false
    } finally {
      if (at > 0 && at < bytes.length) torn = true
      written += at
    }
  }
  const writeBuffered = (): void => {
    const lines = buffered
    const done = writing
    buffered = ''
    writing = undefined
    try {
      if (lines !== '') write(lines)
    } catch {
      // The disk is full. What has ended is in memory still, and goes to the database from there.
    }
    done?.resolve()
  }
  const later = (line: string): void => {
    buffered += line
    if (writing) return
    writing = Promise.withResolvers()
    setImmediate(writeBuffered)
  }

  const nameOf = (payer: Payer): number => {
    let name = payers.get(payer)
    if (name === undefined) {
      if (payers.size >= toldMax) payers = new Map()
      name = ++lastName
      payers.set(payer, name)
      buffered += `${JSON.stringify({ w: name, e: payer })}\n`
    }
    return name
  }
  const placeOf = ({ group, deploymentId, provider, upstreamModel }: Entry): number => {
    const place = JSON.stringify([group, deploymentId, provider, upstreamModel])
    let name = places.get(place)
    if (name === undefined) {
      if (places.size >= toldMax) places = new Map()
      name = ++lastName
      places.set(place, name)
      buffered += `{"v":${name},"e":${place}}\n`
    }
    return name
  }
  const openLine = (opened: number, opening: Opening): string => {
    const { requestId, startedAt, operation, keyId, model, stream, payer, nanoDollars } = opening
    const who = payer ? nameOf(payer) : 0
    return `{"o":${opened},"e":[${quoted(requestId)},${startedAt},${quoted(operation)},${quoted(keyId)},${quoted(model)},${stream ? 1 : 0},${nanoDollars},${who}]}\n`
  }
  const doneLine = (seq: number, entry: Entry): string => {
    const { usage, opened = 0, startedAt, firstByteAt, endedAt, answerId, fault, error } = entry
    const counts = countsOf(usage)
    const who = entry.payer ? nameOf(entry.payer) : 0
    const rest =
      opened === 0
        ? `,${quoted(entry.requestId)},${quoted(entry.operation)},${quoted(entry.keyId)},${quoted(entry.model)},${entry.stream ? 1 : 0}`
        : ''
    return `{"d":${opened},"n":${seq},"e":[${placeOf(entry)},${who},${startedAt},${firstByteAt ?? 'null'},${endedAt},${entry.nanoDollars},${entry.priced ? 1 : 0},${entry.retries},${entry.fallbacks},${entry.status},${answerId === undefined ? 'null' : quoted(answerId)},${fault === undefined ? 'null' : quoted(fault)},${error === undefined ? 'null' : JSON.stringify(error.slice(0, 2000))},[${counts}]${rest}]}\n`
  }

  write(head(node))

  function rewrite(): void {
    const next = openSync(`${path}.new`, 'w', 0o600)
    const old = file
    const [wasPayers, wasPlaces, wasBuffered] = [payers, places, buffered]
    payers = new Map()
    places = new Map()
    buffered = ''
    let lines = ''
    const add = (line: string): void => {
      lines += buffered + line
      buffered = ''
    }
    for (const [opened, opening] of begun) add(openLine(opened, opening))
    for (const { seq, entry, opening } of kept) {
      if (opening && entry.opened !== undefined) add(openLine(entry.opened, opening))
      add(doneLine(seq, entry))
    }
    try {
      writeSync(next, head(node) + lines)
      renameSync(`${path}.new`, path)
    } catch {
      closeSync(next)
      ;[payers, places, buffered] = [wasPayers, wasPlaces, wasBuffered]
      return
    }
    file = next
    torn = false
    written = fstatSync(next).size
    closeSync(old)
    // What waited to be written is among what has just been written anew.
  }

  return {
    open(opened, opening) {
      begun.set(opened, opening)
      const line = openLine(opened, opening)
      later(line)
    },
    progress(opened, { tokens, nanoDollars }) {
      if (begun.has(opened)) later(`{"p":${opened},"tokens":${tokens},"nano":${nanoDollars}}\n`)
    },
    done(seq, entry) {
      const line = doneLine(seq, entry)
      const opening = entry.opened === undefined ? undefined : begun.get(entry.opened)
      if (entry.opened !== undefined) begun.delete(entry.opened)
      kept.push({ seq, entry, opening })
      later(line)
    },
    written: () => writing?.promise,
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

/** Most texts here need no escaping, and looking is cheaper than JSON. */
const quoted = (said: string): string => (plain.test(said) ? `"${said}"` : JSON.stringify(said))
const plain = /^[\w ./:@*-]{0,300}$/

const countNames = [
  'input',
  'cacheRead',
  'cacheWrite',
  'cacheWrite1h',
  'inputAudio',
  'inputImage',
  'output',
  'reasoning',
  'outputAudio',
  'outputImage',
  'searches',
] as const
const countsOf = (u: Usage): string =>
  `${u.input},${u.cacheRead},${u.cacheWrite},${u.cacheWrite1h},${u.inputAudio},${u.inputImage},${u.output},${u.reasoning},${u.outputAudio},${u.outputImage},${u.searches},${u.estimated ? 1 : 0}`

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
  const payers = new Map<number, Payer>()
  const places = new Map<number, readonly (Json | undefined)[]>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue
    let parsed: unknown
    try {
      parsed = JSON.parse(line)
    } catch {
      continue
    }
    if (!isObject(parsed as Json)) continue
    const { o, p, d, n, w, v, e, tokens, nano } = parsed as JsonObject
    if (typeof w === 'number') payers.set(w, object(e) as unknown as Payer)
    else if (typeof v === 'number') places.set(v, list(e))
    else if (typeof o === 'number')
      open.set(o, {
        opening: openingOf(list(e), payers),
        tokens: 0,
        nanoDollars: number(list(e)[6]) ?? 0,
      })
    else if (typeof p === 'number') {
      const one = open.get(p)
      if (one)
        open.set(p, {
          ...one,
          tokens: number(tokens) ?? 0,
          nanoDollars: one.opening.nanoDollars + (number(nano) ?? 0),
        })
    } else if (typeof n === 'number' && Array.isArray(e)) {
      const begun = typeof d === 'number' ? open.get(d)?.opening : undefined
      if (typeof d === 'number') open.delete(d)
      settled.push({ seq: n, entry: entryOf(e, begun, payers, places) })
    }
  }
  return { node, settled, open: [...open.values()] }
}

function openingOf(e: readonly Json[], payers: ReadonlyMap<number, Payer>): Opening {
  const [requestId, startedAt, operation, keyId, model, stream, nanoDollars, who] = e
  return {
    requestId: text(requestId) ?? '',
    startedAt: number(startedAt) ?? 0,
    operation: text(operation) ?? '',
    keyId: text(keyId) ?? '',
    model: text(model) ?? '',
    stream: stream === 1,
    nanoDollars: number(nanoDollars) ?? 0,
    payer: payers.get(number(who) ?? 0),
  }
}

function entryOf(
  e: readonly Json[],
  begun: Opening | undefined,
  payers: ReadonlyMap<number, Payer>,
  places: ReadonlyMap<number, readonly (Json | undefined)[]>,
): Entry {
  const [place, who, startedAt, firstByteAt, endedAt, nanoDollars, priced, retries, fallbacks] = e
  const [status, answerId, fault, error, counts] = e.slice(9)
  const [requestId, operation, keyId, model, stream] = e.slice(14)
  const [group, deploymentId, provider, upstreamModel] = places.get(number(place) ?? 0) ?? []
  const said = list(counts)
  const usage: Usage = { ...noUsage }
  for (const [at, name] of countNames.entries()) usage[name] = number(said[at]) ?? 0
  if (said[countNames.length] === 1) usage.estimated = true
  return {
    requestId: begun?.requestId ?? text(requestId) ?? '',
    operation: begun?.operation ?? text(operation) ?? '',
    keyId: begun?.keyId ?? text(keyId) ?? '',
    model: begun?.model ?? text(model) ?? '',
    stream: begun?.stream ?? stream === 1,
    startedAt: number(startedAt) ?? 0,
    firstByteAt: number(firstByteAt),
    endedAt: number(endedAt) ?? 0,
    group: text(group) ?? '',
    deploymentId: text(deploymentId),
    provider: text(provider),
    upstreamModel: text(upstreamModel),
    usage,
    nanoDollars: number(nanoDollars) ?? 0,
    priced: priced === 1,
    retries: number(retries) ?? 0,
    fallbacks: number(fallbacks) ?? 0,
    status: number(status) ?? 0,
    answerId: text(answerId),
    fault: text(fault) as Entry['fault'],
    error: text(error),
    payer: payers.get(number(who) ?? 0) ?? begun?.payer,
  }
}

export function removeJournal(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already.
  }
}
