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
  /** Resolves when what was told so far is on disk, or could not be written; undefined: it is. */
  written(): Promise<void> | undefined
  /** Entries up to this one are in the database and need not be kept. */
  flushed(seq: number): void
  close(): void
}

/** A journal keeps nothing: for gateways whose database is not on this machine's disk and has no folder either. */
export const noJournal: Journal = {
  open() {},
  progress() {},
  done() {},
  written: () => undefined,
  flushed() {},
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
