import type { Signal } from '../http/signal.ts'
import type { Connection, Reply } from './transport.ts'

/** The way out to a WebSocket. One implementation per runtime; absent where there is none. */
export type Dial = (call: DialCall) => Promise<Dialed>

export type DialCall = {
  /** `https://…`, as every other address here. */
  url: string
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>
  /** Aborting ends the connection at once, whatever state it is in. */
  signal: Signal
  /** Until the handshake is over. */
  connectMs: number
  /** A larger message ends the connection. */
  messageBytes: number
  connection?: Connection | undefined
}

/** An open connection, or what the server answered instead. */
export type Dialed = { type: 'open'; line: SocketLine } | { type: 'refused'; reply: Reply }

/** Texts both ways. Binary messages that come are read as UTF-8: Google sends its JSON so. */
export type SocketLine = {
  /** One at a time, at the pace of the reader; ends when the peer has closed. */
  messages: AsyncIterable<string>
  /** Resolves when there is room for more. */
  send(text: string): Promise<void>
  close(code?: number, reason?: string): void
  /** How the peer ended it: its code and its words; 1006 where it only went away. */
  readonly ended: { code: number; reason: string } | undefined
}
