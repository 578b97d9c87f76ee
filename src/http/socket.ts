import type { Incoming, Outgoing } from './http.ts'
import type { Signal } from './signal.ts'

/** A connection of texts, as rooms see it. */
export type Socket = {
  /** As they come, one at a time; ends when the peer has gone or is asked to go. */
  messages: AsyncIterable<string>
  /** Resolves when there is room for more, so that a slow reader slows the one who writes. */
  send(text: string): Promise<void>
  /** Ends it with a code of RFC 6455 and at most 123 bytes of words. What was sent before arrives before. */
  close(code: number, reason?: string): void
  /** Aborted when the peer has gone. */
  readonly signal: Signal
}

/** What becomes of a handshake: a refusal in HTTP, or a conversation that lasts as long as its promise. */
export type Upgrade = (
  incoming: Incoming,
) => Promise<{ refused: Outgoing } | { accepted: (socket: Socket) => Promise<void> }>

/** Where web pages put a key, since they cannot set headers: OpenAI's word for it, with its warning. */
const keyProtocol = 'openai-insecure-api-key.'
export const isKeyProtocol = (offered: string): boolean => offered.startsWith(keyProtocol)

/** The key among the offered subprotocols. */
export const keyOfProtocols = (offered: string | undefined): string | undefined =>
  offered
    ?.split(',')
    .map((one) => one.trim())
    .find(isKeyProtocol)
    ?.slice(keyProtocol.length)
