import { inputTokens, outputTokens } from '../chat/chat.ts'
import { type Packed, Packing } from '../store/packed.ts'
import type { Sums } from '../store/spend-sums.ts'
import type { Entry } from './ledger.ts'

/** Requests of one hour that name the same things: their words are looked up once, and their sums written once. */
export type Tally = Sums & {
  /** The first of them. */
  readonly of: Entry
  readonly hour: number
  /** Numbers of the words they name, 0 where there is none, in this order; those of their tags behind them. */
  readonly words: readonly number[]
  /** Another one that has the same hash. */
  readonly next: Tally | undefined
}

/** Where they are in `words` of a tally. Those before `fault` are columns of a row, side by side and in this order. */
export const wordAt = {
  operation: 0,
  key: 1,
  user: 2,
  team: 3,
  organization: 4,
  customer: 5,
  group: 6,
  model: 7,
  deployment: 8,
  provider: 9,
  fault: 10,
  tags: 11,
} as const

/** The requests of one batch, put together. */
export class Tallies {
  readonly #wordOf: (text: string) => number
  readonly #byHash = new Map<number, Tally>()
  #last: Tally | undefined

  constructor(wordOf: (text: string) => number) {
    this.#wordOf = wordOf
  }

  add(entry: Entry): Tally {
    const { usage } = entry
    let tally = this.#last
    if (!tally || !isAlike(tally.of, entry)) tally = this.#last = this.#find(entry)
    tally.spend += whole(entry.nanoDollars)
    tally.input += whole(inputTokens(usage))
    tally.output += whole(outputTokens(usage))
    tally.cacheRead += whole(usage.cacheRead)
    tally.cacheWrite += cacheWrites(entry)
    tally.requests++
    if (entry.fault === undefined) tally.duration += span(entry.startedAt, entry.endedAt)
    else tally.failures++
    return tally
  }

  #find(entry: Entry): Tally {
    const hour = hourOf(entry)
    const words = this.#wordsOf(entry)
    // Of numbers, because a text of all of them is what a request would cost most here.
    let hash = hour | 0
    for (const word of words) hash = Math.imul(hash ^ word, 0x9e3779b1)
    const next = this.#byHash.get(hash)
    for (let one = next; one; one = one.next)
      if (one.hour === hour && isSame(one.words, words)) return one
    const made: Tally = {
      of: entry,
      hour,
      words,
      spend: 0,
      input: 0,
      output: 0,
      cacheRead: 0,
      cacheWrite: 0,
      requests: 0,
      failures: 0,
      duration: 0,
      next,
    }
    this.#byHash.set(hash, made)
    return made
  }

  #wordsOf(entry: Entry): number[] {
    const { payer } = entry
    const words = [
      this.#word(entry.operation),
      this.#word(entry.keyId),
      this.#word(payer?.userId),
      this.#word(payer?.teamId),
      this.#word(payer?.organizationId),
      this.#word(payer?.customerId),
      this.#word(entry.group || entry.model),
      this.#word(entry.upstreamModel),
      this.#word(entry.deploymentId),
      this.#word(entry.provider),
      this.#word(entry.fault),
    ]
    for (const tag of payer?.tags ?? []) {
      const word = this.#word(tag)
      if (words.indexOf(word, wordAt.tags) < 0) words.push(word)
    }
    return words
  }

  #word(text: string | undefined): number {
    return text === undefined || text === '' ? 0 : this.#wordOf(text)
  }

  /** Sums per hour, once for everybody and once for each party, in the order of the table's columns. */
  hourRows(): Packed {
    const rows = new Map<string, (string | number)[]>()
    for (const first of this.#byHash.values())
      for (let one: Tally | undefined = first; one; one = one.next) addHours(one, rows)
    // In one order, so that two processes that write the same rows do not wait for each other crosswise.
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
    const packing = new Packing(sorted[0]?.[1].length ?? 0, sorted.length)
    for (const [, row] of sorted)
      for (const value of row)
        if (typeof value === 'string') packing.text(value)
        else packing.number(value)
    return packing.packed
  }
}

function addHours(tally: Tally, rows: Map<string, (string | number)[]>): void {
  const { of, hour, words } = tally
  const word = (place: number): number => words[place] ?? 0
  const { payer } = of
  const parties: [scope: string, id: number][] = [['all', 0]]
  if (payer?.userId) parties.push(['user', word(wordAt.user)])
  if (payer?.teamId) parties.push(['team', word(wordAt.team)])
  if (payer?.organizationId) parties.push(['organization', word(wordAt.organization)])
  if (payer?.customerId) parties.push(['customer', word(wordAt.customer)])
  for (const tag of words.slice(wordAt.tags)) parties.push(['tag', tag])
  // Who was refused asked for a model all the same.
  const model = of.upstreamModel ? word(wordAt.model) : word(wordAt.group)
  const what = [
    word(wordAt.key),
    word(wordAt.group),
    model,
    word(wordAt.provider),
    word(wordAt.operation),
  ]
  const { spend, input, output, cacheRead, cacheWrite, requests, failures, duration } = tally
  const sums = [spend, input, output, cacheRead, cacheWrite, requests, failures, duration]
  for (const [scope, id] of parties) {
    const keys = [hour, scope, id, ...what]
    const name = keys.join(' ')
    const row = rows.get(name)
    if (row)
      for (const [nth, sum] of sums.entries())
        row[keys.length + nth] = Number(row[keys.length + nth]) + sum
    else rows.set(name, [...keys, ...sums])
  }
}

/** They name the same things in the same hour, as far as looking at the texts tells: most requests are like the last. */
export const isAlike = (a: Entry, b: Entry): boolean =>
  a.payer === b.payer &&
  a.keyId === b.keyId &&
  a.operation === b.operation &&
  a.group === b.group &&
  a.model === b.model &&
  a.upstreamModel === b.upstreamModel &&
  a.deploymentId === b.deploymentId &&
  a.provider === b.provider &&
  a.fault === b.fault &&
  hourOf(a) === hourOf(b)

function isSame(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let nth = 0; nth < a.length; nth++) if (a[nth] !== b[nth]) return false
  return true
}

const hourOf = ({ startedAt }: Entry): number =>
  Math.floor(whole(startedAt) / 3_600_000) * 3_600_000

export const cacheWrites = ({ usage }: Entry): number =>
  whole(usage.cacheWrite + usage.cacheWrite1h)

/** Whatever a provider counted: no column takes a fraction, and one bad number must not hold up all the others. */
export const whole = (count: number): number =>
  count > 0 ? Math.min(Math.round(count), Number.MAX_SAFE_INTEGER) : 0
/** Milliseconds between two instants, though the clock may have been set meanwhile. */
export const span = (from: number, to: number): number =>
  Math.max(0, Math.min(Math.round(to - from) || 0, 2_000_000_000))
