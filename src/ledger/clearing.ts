import type { RetainTerms } from '../store/retain.ts'
import { retain } from '../store/retain.ts'
import type { Books, BooksOptions } from './books.ts'

export type ClearingOptions = {
  books: Pick<Books, 'store' | 'leads'>
  terms: RetainTerms
  /** From one run to the next; the first comes a minute after the start. */
  everyMs: number
  stepRows: number
  steps: number
  log: BooksOptions['log']
}

const firstMs = 60_000
const pauseMs = 20

/** Deletes what has been kept for long enough, now and then. Returns how to stop it. */
export function startClearing(options: ClearingOptions): () => void {
  const { books, terms, everyMs, stepRows, steps, log } = options
  if (Object.values(terms).every((term) => term === undefined)) return () => {}
  let stopped = false
  let timer: ReturnType<typeof setTimeout>
  const wait = (ms: number): void => {
    // Timers go no further than 24 days.
    timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1))
    timer.unref?.()
  }
  const run = (): void => {
    clear()
      .catch((cause: unknown) => log('warn', 'old rows could not be deleted', { cause }))
      .finally(() => {
        if (!stopped) wait(everyMs)
      })
  }
  async function clear(): Promise<void> {
    if (!books.leads()) return
    const done = await retain({
      db: books.store.db,
      terms,
      now: books.store.now(),
      stepRows,
      steps,
      pause: () =>
        stopped
          ? Promise.reject(new Error('the gateway is closing'))
          : new Promise((resolve) => setTimeout(resolve, pauseMs)),
    })
    if (done.rows + done.payloads > 0)
      log('info', 'deleted what was kept for long enough', { ...done })
  }
  wait(firstMs)
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
