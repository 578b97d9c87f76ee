import { type Far, farMs, type Patient } from './limits.ts'

/**
 * Looks now and then at all whose limits are far away, which is all but a few: a timer for each would cost a request 350
 * bytes, and more than this to set and to clear.
 */
export function createFar(everyMs = farMs / 2): Far {
  const all = new Set<Patient>()
  let timer: ReturnType<typeof setInterval> | undefined
  const look = () => {
    for (const one of all) one.look()
    if (all.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
  return {
    add(one) {
      all.add(one)
      // Their sockets keep the process running while it must.
      timer ??= setInterval(look, everyMs).unref()
    },
    remove: (one) => void all.delete(one),
  }
}
