import { PerformanceObserver } from 'node:perf_hooks'
import v8 from 'node:v8'

/** Bytes of one half of V8's young generation, where it stops growing. */
const defaultCeiling = 32 * 1024 * 1024

/**
 * Under load V8 grows its young generation to 64 MB per half, which costs a quarter of this server's memory and saves no
 * time: a request's objects are dead long before. (Half of this ceiling costs a tenth more time.) Its ceiling is a flag
 * of the command line, which a program started as `throughway` does not have, but how it grows is read at each
 * collection. After a quiet spell V8 may shrink it, so it may grow again until it is back. Whoever sets the flag keeps
 * what they set.
 */
export function boundYoungGeneration(
  argv: readonly string[] = process.execArgv,
  options = process.env.NODE_OPTIONS ?? '',
  ceiling = defaultCeiling,
): (() => void) | undefined {
  if (`${argv.join(' ')} ${options}`.match(/--(max[-_])?semi[-_]space/)) return
  let growing = true
  const observer = new PerformanceObserver(() => {
    const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
    const grow = (young?.space_size ?? 0) < 2 * ceiling
    if (grow === growing) return
    growing = grow
    v8.setFlagsFromString(`--semi-space-growth-factor=${grow ? 2 : 1}`)
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}

/**
 * V8 learns from busy moments that what some functions make lives long, and from then on makes it in the old generation at
 * once. Here that is each request's own objects, and whatever they refer to is kept with them until the old generation is
 * cleared: measured at 64 connections, 5 KB of every request outlived it, and collecting took a quarter of its time.
 */
export function makeYoung(): void {
  v8.setFlagsFromString('--no-allocation-site-pretenuring')
}
