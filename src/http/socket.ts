import type { Incoming, Outgoing } from './http.ts'

/** A connection of texts, as rooms see it. */
export type Socket = {
  /** As they come, one at a time; ends when the peer has gone or is asked to go. */
  messages: AsyncIterable<string>
  /** Resolves when there is room for more, so that a slow reader slows the one who writes. */
  send(text: string): Promise<void>
  /** Aborted when the peer has gone. */
  readonly signal: AbortSignal
}

/** What becomes of a handshake: a refusal in HTTP, or a conversation that lasts as long as its promise. */
export type Upgrade = (
  incoming: Incoming,
) => Promise<{ refused: Outgoing } | { accepted: (socket: Socket) => Promise<void> }>
