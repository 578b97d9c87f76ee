import { inspect } from 'node:util'
import type { Rooms } from '../gateway/rooms.ts'

export type Level = 'error' | 'warn' | 'info' | 'debug'
const ranks: Record<Level, number> = { error: 0, warn: 1, info: 2, debug: 3 }

export type LogOptions = {
  level: Level
  json: boolean
  /** Which of several processes writes. */
  worker?: number | undefined
  write?: (line: string) => void
  now?: () => Date
}

/**
 * One line an event, on standard error. What comes from outside is quoted, so that a line end in a model's name cannot
 * forge a line of its own; requests and answers are never written.
 */
export function createLog({
  level,
  json,
  worker,
  write = writeError,
  now = () => new Date(),
}: LogOptions): Rooms['log'] {
  return (at, message, said = {}) => {
    if (ranks[at] > ranks[level]) return
    const more = worker === undefined ? said : { worker, ...said }
    const time = now().toISOString()
    if (json) return write(`${JSON.stringify({ time, level: at, message, ...plain(more) })}\n`)
    const details = Object.entries(plain(more)).map(
      ([key, value]) => ` ${key}=${JSON.stringify(value)}`,
    )
    write(`${time} ${at.toUpperCase().padEnd(5)} ${oneLine(message)}${details.join('')}\n`)
  }
}

const writeError = (line: string): void => {
  process.stderr.write(line)
}

const oneLine = (said: string): string => said.replace(/[\x00-\x1f\x7f]+/g, ' ')

function plain(more: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(more))
    out[key] =
      value instanceof Error
        ? (value.stack ?? value.message)
        : typeof value === 'object' || typeof value === 'bigint'
          ? inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY })
          : value
  return out
}
