import cluster from 'node:cluster'
import { GatewayError } from '../errors.ts'
import { createKeptAnswers, type KeptAnswers } from '../gateway/kept.ts'
import { isObject } from '../json/json.ts'
import { createSiblings, type SiblingMessage } from './siblings.ts'
import { type FromWorker, type Said, variables } from './worker.ts'

/** The primary, as a worker knows it. */
export type Primary = {
  /** Which worker this is, from 1. */
  nth: number
  /** Set where the first port is given to all that come later. */
  port: number | undefined
  serving(port: number, said: Said | undefined): void
  /** Tells why it could not start, and ends the process. */
  failed(cause: unknown): void
  /** Called once, when it is told to end or the primary is gone. Told earlier, it is called at once. */
  onClose(close: () => void): void
  onReload(reload: () => void): void
  /** Those of all workers. */
  answers: KeptAnswers
}

/** In a worker. What it was forked with is taken out of `env`: its own children are none. */
export function openPrimary(env: NodeJS.ProcessEnv): Primary {
  const nth = Number(env[variables.nth])
  const port = env[variables.port]
  delete env[variables.nth]
  delete env[variables.port]
  let close: (() => void) | undefined
  let closing = false
  let reload = () => {}
  const end = () => {
    if (closing) return
    closing = true
    close?.()
  }
  const tell = (message: FromWorker | SiblingMessage, told?: () => void) => {
    if (process.send && process.connected) process.send(message, undefined, undefined, told)
    else told?.()
  }
  const siblings = createSiblings(createKeptAnswers(Date.now), tell)
  process.on('message', (message: unknown) => {
    if (!isObject(message)) return
    if (message['type'] === 'close') end()
    if (message['type'] === 'reload') reload()
    siblings.hear(message)
  })
  const { worker } = cluster
  // Node would end a worker whose primary is gone in the middle of its answers.
  worker?.on('disconnect', () => {
    worker.exitedAfterDisconnect = true
    end()
  })
  return {
    nth,
    port: port === undefined ? undefined : Number(port),
    serving: (at, said) => tell({ type: 'serving', port: at, ...(said && { said }) }),
    failed(cause) {
      const message = GatewayError.is(cause)
        ? cause.message
        : `this should not have happened, please report it\n${cause instanceof Error ? cause.stack : String(cause)}`
      tell({ type: 'failed', message }, () => process.exit(1))
    },
    onClose(wanted) {
      close = wanted
      if (closing) close()
    },
    answers: siblings.answers,
    onReload: (wanted) => void (reload = wanted),
  }
}
