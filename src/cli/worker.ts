/** Forked with these. The first makes it a worker, so that a start of one process asks for no cluster. */
export const variables = { nth: 'THROUGHWAY_WORKER', port: 'THROUGHWAY_WORKER_PORT' } as const

/** Past this somebody has mistyped. */
export const workersMax = 256

/** What the first worker has to say once it serves, for the primary to print when all of them do. */
export type Said = {
  greeting: string
  /** The same for machines. */
  fields: Record<string, unknown>
  /** Lines of what is wrong with single models. */
  problems: string[]
}

export type FromWorker =
  | { type: 'serving'; port: number; said?: Said }
  /** It cannot start: in one line where it is somebody's mistake. */
  | { type: 'failed'; message: string }
export type ToWorker = { type: 'close' } | { type: 'reload' }
