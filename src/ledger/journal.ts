import type { Entry, Opening } from './ledger.ts'

/**
 * What keeps requests over a crash of the process: a file in the data folder, written before an answer's last byte
 * leaves, read again when the process did not live to bring it to the database.
 */
export type Journal = {
  /** A request begins. On disk by the end of this turn of the loop. */
  open(opened: number, opening: Opening): void
  /** What has been streamed to a request so far. */
  progress(opened: number, soFar: { tokens: number; nanoDollars: number }): void
  /** A request has ended. On disk by the end of this turn of the loop: see `written`. */
  done(seq: number, entry: Entry): void
  /** Resolves when what was told so far is on disk, or was refused by it and is `owed`; undefined: it is. */
  written(): Promise<void> | undefined
  /** Entries up to this one are in the database and need not be kept. */
  flushed(seq: number): void
  /** Requests that have ended and are neither on disk nor in the database. */
  owed(): number
  /** Begins the file anew with all that is still needed: somebody has taken the old one away. */
  renew(): void
  close(): void
}

/** A journal keeps nothing: for gateways whose database is not on this machine's disk and has no folder either. */
export const noJournal: Journal = {
  open() {},
  progress() {},
  done() {},
  written: () => undefined,
  flushed() {},
  owed: () => 0,
  renew() {},
  close() {},
}

/** What a journal tells of a process that is no more. */
export type Left = {
  node: string
  /** In order; what the database has up to its `flushed` is left out by whoever reads. */
  settled: { seq: number; entry: Entry }[]
  /** Begun and never settled, with what they had cost by then. */
  open: { opening: Opening; tokens: number; nanoDollars: number }[]
}

/** A journal whose process does not write it any more. */
export type Dead = {
  node: string
  /** False: it was written on another machine, so only its silence tells. */
  sure: boolean
  read(): Promise<Left>
  remove(): void
}
