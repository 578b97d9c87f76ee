import { PerformanceObserver } from 'node:perf_hooks'
import v8 from 'node:v8'

/** Bytes of one half of V8's young generation, where it stops growing. */
const defaultCeiling = 16 * 1024 * 1024

/**
 * Under load V8 grows its young generation to 64 MB per half, which costs most of this server's memory and saves no time:
 * a request's objects are dead long before. Both halves are written from end to end, and buffers that are no longer used
 * wait in the C heap until it is collected. Its ceiling is a flag of the command line, which a program started as
 * `throughway` does not have, but by how much it grows is read at each collection. After a quiet spell V8 may shrink it,
 * so it may grow again until it is back.
 *
 * V8 collects once four fifths are full and the event loop is at rest. Waiting for nineteen twentieths makes that a
 * sixth less often: once in 360 small requests, which costs 4 µs each. 24 MB would cost 2.6 and take 35 MB more.
 *
 * Whoever sets one of the flags keeps what they set.
 */
export function boundYoungGeneration(
  argv: readonly string[] = process.execArgv,
  options = process.env.NODE_OPTIONS ?? '',
  ceiling = defaultCeiling,
): (() => void) | undefined {
  const given = `${argv.join(' ')} ${options}`
  if (/--(max[-_])?semi[-_]space/.test(given)) return
  if (!/--minor[-_]gc[-_]task/.test(given)) v8.setFlagsFromString('--minor-gc-task-trigger=95')
  let factor = 2
  const observer = new PerformanceObserver(() => {
    const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
    const next = growthOf((young?.space_size ?? 0) / 2, ceiling)
    if (next === factor) return
    factor = next
    v8.setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}

/** Doubled while it is small; the last step reaches the ceiling as closely as a whole factor can. */
function growthOf(half: number, ceiling: number): number {
  const left = Math.floor(ceiling / Math.max(half, 1))
  return left >= 4 ? 2 : Math.max(left, 1)
}

/**
 * V8 lets the old generation grow to four times what lived in it before it looks again what still does, and keeps for
 * itself the pages it then finds empty: of 30 MB that live here it made 140. Grown to twice as much it takes 70 MB less,
 * and looking (50 ms, mostly beside the requests) happens once in a hundred thousand requests. Growing by less is dear
 * where bodies are large: by 60 % a third more time for prompts of 400 KB. False where somebody has set the flag.
 */
export function boundOldGeneration(
  argv: readonly string[] = process.execArgv,
  options = process.env.NODE_OPTIONS ?? '',
): boolean {
  if (/--heap[-_]growing/.test(`${argv.join(' ')} ${options}`)) return false
  v8.setFlagsFromString('--heap-growing-percent=100')
  return true
}

/**
 * V8 learns from busy moments that what some functions make lives long, and from then on makes it in the old generation at
 * once. Here that is each request's own objects, and whatever they refer to is kept with them until the old generation is
 * cleared: measured at 64 connections, 5 KB of every request outlived it, and collecting took a quarter of its time.
 */
export function makeYoung(): void {
  v8.setFlagsFromString('--no-allocation-site-pretenuring')
}
