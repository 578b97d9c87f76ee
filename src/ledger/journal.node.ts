import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { noUsage, type Usage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, number, object, text } from '../json/json.ts'
import type { Units } from '../provider/cost.ts'
import type { Dead, Journal, Left } from './journal.ts'
import type { Entry, Opening, Payer } from './ledger.ts'
import { Lines } from './lines.ts'

/** A journal past this is begun anew, with what is still needed. */
const rewriteBytes = 8 * 1024 * 1024
/** Parties and deployments told once and then by number; past this they are told anew. */
const toldMax = 2000
/** A disk that is full is asked again this often. */
const againMs = 50

/** The folder of journals within a data folder. */
export const journalFolder = (dataDir: string): string => join(dataDir, 'journal')

/**
 * Opens the journal of this process. Lines of JSON: `o` begins a request, `p` says how far it is, `d` ends it; `w` is a
 * payer and `v` a place that answered, told once and named by number afterwards. All that a turn of the loop brings is one
 * write: a write costs 3 µs, and a line 1 µs.
 */
export function openJournal(folder: string, node: string): Journal {
  const path = join(folder, `${node}.jsonl`)
  let file = openFirst(folder, path)
  let written = 0
  /** Not on disk: what this turn has brought, or all since the disk was full. */
  let lines = new Lines()
  /** When the disk has refused the last time; 0: it takes what it gets. */
  let refusedAt = 0
  /** Up to this one everything that has ended is on disk. */
  let safe = 0
  let closed = false
  let writing: PromiseWithResolvers<void> | undefined
  /** The last write stopped in the middle of a line. */
  let torn = false
  const begun = new Map<number, Opening>()
  let kept: { seq: number; entry: Entry }[] = []
  let names = noNames()
  let lastName = 0

  /** Where it stops in the middle, all of it is written again later: who reads knows the numbers. */
  const write = (target: number, bytes: Uint8Array): void => {
    let at = 0
    try {
      while (at < bytes.length) at += writeSync(target, bytes, at)
    } finally {
      if (target === file) {
        torn = at < bytes.length && (torn || at > 0)
        written += at
      }
    }
  }
  const writeBuffered = (): void => {
    const done = writing
    writing = undefined
    if (lines.length > 0 && !closed)
      try {
        write(file, lines.bytes(torn))
        lines.clear()
        refusedAt = 0
        safe = kept.at(-1)?.seq ?? safe
      } catch {
        // The disk is full. What has ended is in memory still, goes to the database from there, and is tried again.
        refusedAt = performance.now()
      }
    done?.resolve()
  }
  /** Something has been put down. */
  const writeLater = (): void => {
    if (writing) return
    writing = Promise.withResolvers()
    // A disk that was full is asked again now and then, and answers wait for that.
    const wait = refusedAt === 0 ? 0 : refusedAt + againMs - performance.now()
    if (wait > 0) setTimeout(writeBuffered, wait)
    else setImmediate(writeBuffered)
  }

  const nameOf = (payer: Payer | undefined): number => {
    if (!payer) return 0
    let name = names.payers.get(payer)
    if (name === undefined) {
      if (names.payers.size >= toldMax) names.payers.clear()
      name = ++lastName
      names.payers.set(payer, name)
      lines.raw('{"w":').number(name).raw(',"e":').json(JSON.stringify(payer)).raw('}\n')
    }
    return name
  }
  const placeOf = (entry: Entry): number => {
    const last = names.last.get(entry.deploymentId)
    if (last && isPlaceOf(last, entry)) return last.name
    const { group, deploymentId, provider, upstreamModel } = entry
    const place = JSON.stringify([group, deploymentId, provider, upstreamModel])
    let name = names.places.get(place)
    if (name === undefined) {
      if (names.places.size >= toldMax) {
        names.places.clear()
        names.last.clear()
      }
      name = ++lastName
      names.places.set(place, name)
      lines.raw('{"v":').number(name).raw(',"e":').json(place).raw('}\n')
    }
    names.last.set(deploymentId, { group, deploymentId, provider, upstreamModel, name })
    return name
  }
  const putOpen = (opened: number, opening: Opening): void => {
    const who = nameOf(opening.payer)
    lines.raw('{"o":').number(opened).raw(',"e":[').text(opening.requestId).raw(',')
    lines.number(opening.startedAt).raw(',').text(opening.operation).raw(',').text(opening.keyId)
    lines
      .raw(',')
      .text(opening.model)
      .raw(opening.stream ? ',1,' : ',0,')
    lines.number(opening.nanoDollars).raw(',').number(who).raw(']}\n')
  }
  /** `alone`: what its opening has said is said again. */
  const putDone = (seq: number, entry: Entry, alone = entry.opened === undefined): void => {
    const { opened = 0, firstByteAt, answerId, fault, error, units } = entry
    const who = nameOf(entry.payer)
    const place = placeOf(entry)
    lines.raw('{"d":').number(opened).raw(',"n":').number(seq).raw(',"e":[').number(place).raw(',')
    lines.number(who).raw(',').number(entry.startedAt).raw(',')
    if (firstByteAt === undefined) lines.raw('null,')
    else lines.number(firstByteAt).raw(',')
    lines
      .number(entry.endedAt)
      .raw(',')
      .number(entry.nanoDollars)
      .raw(entry.priced ? ',1,' : ',0,')
    lines.number(entry.retries).raw(',').number(entry.fallbacks).raw(',').number(entry.status)
    putText(answerId)
    putText(fault)
    putText(error?.slice(0, 2000))
    lines.raw(',[')
    for (const name of countNames) lines.number(entry.usage[name]).raw(',')
    lines.raw(entry.usage.estimated ? '1]' : '0]')
    if (alone) {
      lines.raw(',').text(entry.requestId).raw(',').text(entry.operation)
      lines.raw(',').text(entry.keyId).raw(',').text(entry.model)
      lines.raw(entry.stream ? ',1' : ',0')
    }
    lines.raw(']')
    if (units) lines.raw(',"u":').json(JSON.stringify(units))
    lines.raw('}\n')
  }
  const putText = (said: string | undefined): void => {
    if (said === undefined) lines.raw(',null')
    else lines.raw(',').text(said)
  }

  lines.json(head(node))
  writeBuffered()

  /** What is still needed, with new names. */
  function putAnew(): void {
    names = noNames()
    for (const [opened, opening] of begun) putOpen(opened, opening)
    for (const { seq, entry } of kept) putDone(seq, entry, true)
  }

  function rewrite(): void {
    const fresh = `${path}.new`
    // Named anew only as long as it takes: should this fail, the old file goes on with the old names.
    const was = { names, lines }
    let next: number | undefined
    try {
      next = openSync(fresh, 'w', 0o600)
      lines = new Lines()
      lines.json(head(node))
      putAnew()
      write(next, lines.bytes())
      renameSync(fresh, path)
    } catch {
      ;({ names, lines } = was)
      if (next !== undefined) closeSync(next)
      removeJournal(fresh)
      // The old one is still good. It is tried again when as much has come as may.
      written = 0
      return
    }
    lines.clear()
    closeSync(file)
    file = next
    torn = false
    refusedAt = 0
    safe = kept.at(-1)?.seq ?? safe
    written = fstatSync(next).size
  }

  return {
    open(opened, opening) {
      begun.set(opened, opening)
      putOpen(opened, opening)
      writeLater()
    },
    progress(opened, { tokens, nanoDollars }) {
      if (!begun.has(opened)) return
      lines.raw('{"p":').number(opened).raw(',"tokens":').number(tokens)
      lines.raw(',"nano":').number(nanoDollars).raw('}\n')
      writeLater()
    },
    done(seq, entry) {
      putDone(seq, entry)
      if (entry.opened !== undefined) begun.delete(entry.opened)
      // Not its opening, which holds on to all that the request was.
      kept.push({ seq, entry })
      writeLater()
    },
    written: () => writing?.promise,
    flushed(seq) {
      let known = 0
      while (known < kept.length && (kept[known]?.seq ?? 0) <= seq) known++
      kept = known === kept.length ? [] : kept.slice(known)
      safe = Math.max(safe, seq)
      if (written > rewriteBytes) rewrite()
      // While the disk refuses: what the database has need not wait for it.
      else if (lines.length > rewriteBytes) {
        lines.clear()
        putAnew()
      }
    },
    owed() {
      if (refusedAt === 0) return 0
      if (performance.now() - refusedAt > againMs) writeBuffered()
      return refusedAt === 0 ? 0 : kept.filter(({ seq }) => seq > safe).length
    },
    renew: rewrite,
    close() {
      writeBuffered()
      closed = true
      closeSync(file)
      if (begun.size === 0 && kept.length === 0) removeJournal(path)
    },
  }
}

function openFirst(folder: string, path: string): number {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return openSync(path, 'a', 0o600)
  } catch (cause) {
    throw new GatewayError(
      'internal',
      `the journal ${path} cannot be opened (${(cause as { code?: string }).code ?? 'no reason told'}): make room on its disk, or choose another folder with --data-dir`,
      { cause },
    )
  }
}

/** What has been told, by the name it was told as. */
type Names = {
  readonly payers: Map<Payer, number>
  readonly places: Map<string, number>
  /** The last place of each deployment: mostly it is the same again, and need not be spelled to be found. */
  readonly last: Map<string | undefined, Place>
}
type Place = Pick<Entry, 'group' | 'deploymentId' | 'provider' | 'upstreamModel'> & { name: number }

const noNames = (): Names => ({ payers: new Map(), places: new Map(), last: new Map() })

const isPlaceOf = (place: Place, entry: Entry): boolean =>
  place.group === entry.group &&
  place.deploymentId === entry.deploymentId &&
  place.provider === entry.provider &&
  place.upstreamModel === entry.upstreamModel

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

/**
 * Journals in the folder whose processes are no more, and those of other machines, of which nobody here can tell: the
 * former container on the same volume had another name.
 */
export function findDead(folder: string, self: string): Dead[] {
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
    const elsewhere = first['host'] !== undefined && first['host'] !== hostname()
    // A file without a readable beginning was cut by a crash at its very start: nothing in it counts.
    if (pid !== undefined && !elsewhere && lives(pid, text(first['began']))) return []
    return [
      {
        node,
        sure: !elsewhere,
        read: () => readJournal(node, path),
        remove: () => removeJournal(path),
      },
    ]
  })
}

function firstLine(path: string): JsonObject {
  const bytes = Buffer.alloc(1024)
  try {
    const file = openSync(path, 'r')
    try {
      const length = readSync(file, bytes, 0, bytes.length, 0)
      const [line = ''] = bytes.toString('utf8', 0, length).split('\n', 1)
      return object(JSON.parse(line))
    } finally {
      closeSync(file)
    }
  } catch {
    return {}
  }
}

/** What a dead process left. Lines that were cut or damaged are passed over: they never ended an answer. */
async function readJournal(node: string, path: string): Promise<Left> {
  // By number: where the disk was full, the same line may have been written twice.
  const settled = new Map<number, Entry>()
  const open = new Map<number, Left['open'][number]>()
  const payers = new Map<number, Payer>()
  const places = new Map<number, readonly (Json | undefined)[]>()
  const ended = new Set<number>()
  for await (const line of linesOf(path)) {
    const record = parsed(line)
    if (!record) continue
    const { o, p, d, n, w, v, e, u, tokens, nano } = record
    if (typeof w === 'number') payers.set(w, payerOf(object(e)))
    else if (typeof v === 'number') places.set(v, list(e))
    else if (typeof o === 'number') {
      const nanoDollars = number(list(e)[6]) ?? 0
      if (!ended.has(o))
        open.set(o, { opening: openingOf(list(e), payers), tokens: 0, nanoDollars })
    } else if (typeof p === 'number') {
      const one = open.get(p)
      if (one)
        open.set(p, {
          ...one,
          tokens: number(tokens) ?? 0,
          nanoDollars: one.opening.nanoDollars + (number(nano) ?? 0),
        })
    } else if (typeof n === 'number' && Array.isArray(e)) {
      const opened = number(d) ?? 0
      if (!settled.has(n)) {
        const entry = entryOf(e, open.get(opened)?.opening, payers, places)
        // As written above; whatever it is, rows take only what is a count.
        settled.set(n, isObject(u) ? { ...entry, units: u as Units } : entry)
      }
      open.delete(opened)
      if (opened > 0) ended.add(opened)
    }
  }
  return {
    node,
    settled: [...settled].map(([seq, entry]) => ({ seq, entry })),
    open: [...open.values()],
  }
}

/** By line feeds alone: what else counts as the end of a line for `readline` may stand within one. */
async function* linesOf(path: string): AsyncIterable<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 262_144 })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

function parsed(line: string): JsonObject | undefined {
  try {
    const record: unknown = JSON.parse(line)
    return isObject(record) ? record : undefined
  } catch {
    return undefined
  }
}

/** Our own words; what counts of them is looked at all the same. */
const payerOf = (e: JsonObject): Payer => ({
  ...(e as unknown as Payer), // written by `nameOf`
  accounts: list(e['accounts']).filter((account) => typeof account === 'string'),
})

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

function removeJournal(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already.
  }
}
