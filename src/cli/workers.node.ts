import cluster, { type Worker } from 'node:cluster'
import { isObject, type JsonObject, number, object, text } from '../json/json.ts'
import type { StartOptions } from '../start/start.node.ts'
import { type Handover, watchHandovers } from './handover.node.ts'
import { createRestarts, quickMax, quickMs } from './restarts.ts'
import { watchShellOfNpm } from './shell.node.ts'
import { passOn } from './siblings.ts'
import { type Said, type ToWorker, variables } from './worker.ts'

export type WorkersOptions = {
  count: number
  /** How long answers may go on after a signal; each worker keeps to it by itself. */
  graceMs: number
  /** There are files to be read again. */
  reloads: boolean
  log: StartOptions['log']
  /** Why it ends, where a person or a log reads it. */
  complain(line: string): void
  /** All of them serve. */
  greet(said: Said): void
}

type Slot = {
  nth: number
  worker: Worker | undefined
  /** Since when it serves. */
  since: number | undefined
  restarts: ReturnType<typeof createRestarts>
  timer: NodeJS.Timeout | undefined
}

type Began =
  | { type: 'serving'; port: number; said: Said | undefined }
  | { type: 'ended'; why: string; refused: boolean }

/**
 * Several processes on one port. Each is a whole gateway; what they have to agree on they agree on in the database, as
 * gateways on several machines do. The first one starts alone: it makes the keys, brings the database to this version and
 * finds out whether the port is free, and only if it serves do the others start. This process takes connections and
 * hands them round, and knows nothing of what is on them.
 *
 * Resolves with an exit code when it could not start; else the process ends by a signal, or when a worker dies too often.
 */
export async function serveByWorkers(options: WorkersOptions): Promise<number | undefined> {
  const { count, graceMs, reloads, log, complain, greet } = options
  const slots = Array.from({ length: count }, (_, at): Slot => {
    const restarts = createRestarts()
    return { nth: at + 1, worker: undefined, since: undefined, restarts, timer: undefined }
  })
  let phase: 'starting' | 'serving' | 'closing' = 'starting'
  let code = 0
  let port: number | undefined
  /** Given to those who start: only where nobody holds the port any more, as port 0 is another one then. */
  let given: number | undefined
  let allGone = () => {}
  /** Connections whose worker died before it had them; they wait for one that serves. */
  const lost: Handover[] = []

  const serving = () =>
    slots.filter(({ worker, since }) => worker?.isConnected() && since !== undefined)
  const tellOne = (to: number, message: JsonObject) => {
    const worker = slots[to - 1]?.worker
    if (worker?.isConnected()) worker.send(message)
  }

  const begin = (slot: Slot): Promise<Began> =>
    new Promise((resolve) => {
      if (slots.every(({ worker }) => worker === undefined)) given = port
      const worker = cluster.fork({
        [variables.nth]: String(slot.nth),
        ...(given !== undefined && { [variables.port]: String(given) }),
      })
      slot.worker = worker
      slot.since = undefined
      watchHandovers(worker, (one) => {
        lost.push(one)
        handOver()
      })
      let refusal: string | undefined
      worker.on('message', (message: unknown) => {
        if (!isObject(message)) return
        if (message['type'] === 'failed') refusal = text(message['message'])
        passOn(
          message,
          slot.nth,
          serving().map(({ nth }) => nth),
          tellOne,
        )
        if (message['type'] !== 'serving') return
        slot.since = performance.now()
        port ??= number(message['port'])
        handOver()
        resolve({ type: 'serving', port: port ?? 0, said: saidIn(message['said']) })
      })
      const gone = (how: string) => {
        if (slot.worker !== worker) return
        slot.worker = undefined
        const why = refusal ?? `worker ${slot.nth} ${how}`
        resolve({ type: 'ended', why, refused: refusal !== undefined })
        if (phase === 'serving') bury(slot, why, refusal !== undefined, worker.process.pid)
        if (slots.every((one) => one.worker === undefined)) allGone()
      }
      worker.once('exit', (status, signal) =>
        gone(signal ? `was ended by ${signal}` : `ended with exit code ${status}`),
      )
      // Also of one that lives but cannot be told something.
      worker.on('error', (cause) => {
        if (worker.process.pid === undefined) gone(`could not be started (${cause.message})`)
      })
    })

  function bury(slot: Slot, why: string, refused: boolean, pid: number | undefined): void {
    const servedMs = slot.since === undefined ? undefined : performance.now() - slot.since
    const othersServe = slots.some(({ worker, since }) => worker && since !== undefined)
    const verdict = slot.restarts.died({ servedMs, refused, othersServe })
    slot.since = undefined
    if (verdict.type === 'enough') {
      complain(
        `worker ${slot.nth} died ${quickMax} times in a row, each time within ${quickMs / 1000} seconds: the gateway ends. The last time: ${why}`,
      )
      close(1)
      return
    }
    log(
      'error',
      refused
        ? `worker ${slot.nth} cannot start and is tried again: ${why}`
        : `${why}: it is started anew`,
      {
        pid,
        afterMs: verdict.afterMs,
      },
    )
    slot.timer = setTimeout(() => {
      void begin(slot).then(({ type }) => {
        if (type === 'serving')
          log('info', `worker ${slot.nth} serves again`, { pid: slot.worker?.process.pid })
      })
    }, verdict.afterMs)
  }

  /** The same message: who answers it answers for the one that died. */
  function handOver(): void {
    if (phase === 'closing') for (const { handle } of lost.splice(0)) handle.close()
    for (let at = 0; lost.length > 0; at++) {
      const able = serving()
      const one = able.length === 0 ? undefined : lost.shift()
      if (!one) return
      const to: { send(message: unknown, handle: unknown): unknown } | undefined =
        able[at % able.length]?.worker?.process
      to?.send(one.message, one.handle)
    }
  }

  const tell = (message: ToWorker) => {
    for (const { worker } of slots) if (worker?.isConnected()) worker.send(message)
  }
  const kill = () => {
    for (const { worker } of slots) worker?.process.kill('SIGKILL')
  }

  function close(exitCode: number): void {
    if (phase === 'closing') return
    phase = 'closing'
    code = exitCode
    for (const { timer } of slots) clearTimeout(timer)
    allGone = () => process.exit(code)
    if (slots.every(({ worker }) => worker === undefined)) allGone()
    tell({ type: 'close' })
    setTimeout(() => {
      code = 1
      log('error', 'workers that do not end are ended: what they had settled is in their journals')
      kill()
    }, graceMs + lateMs)
  }

  const onSignal = (signal: NodeJS.Signals) => {
    if (phase === 'closing') {
      kill()
      process.exit(1)
    }
    log('info', `${signal}: no new requests; running ones may finish, a second signal ends them`)
    close(0)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  watchShellOfNpm(() => onSignal('SIGTERM'))
  if (reloads) process.on('SIGHUP', () => tell({ type: 'reload' }))

  const [first, ...others] = slots
  const began = first ? [await begin(first)] : []
  if (began[0]?.type === 'serving') began.push(...(await Promise.all(others.map(begin))))
  if (isClosing(phase)) return undefined
  const failed = began.find((one) => one.type === 'ended')
  if (failed) {
    complain(failed.why)
    close(1)
    return undefined
  }
  phase = 'serving'
  const said = began[0]?.type === 'serving' ? began[0].said : undefined
  if (said) greet(said)
  // Who died between its first word and that of the last.
  for (const slot of slots)
    if (!slot.worker) bury(slot, `worker ${slot.nth} ended while others started`, false, undefined)
  return undefined
}

/** A signal may have come while something was waited for. */
const isClosing = (phase: string): boolean => phase === 'closing'

/** Beyond the grace they have books to close; past this they hang. */
const lateMs = 15_000

function saidIn(value: unknown): Said | undefined {
  if (!isObject(value)) return undefined
  const problems = Array.isArray(value['problems']) ? value['problems'].map(String) : []
  return { greeting: text(value['greeting']) ?? '', fields: object(value['fields']), problems }
}
