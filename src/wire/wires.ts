import { anthropic } from './anthropic/wire.ts'
import { openaiChat } from './openai-chat/wire.ts'
import type { ProviderWire } from './wire.ts'

/** Every way of saying chat the house understands. */
export const wires = {
  'openai-chat': openaiChat,
  anthropic,
} as const satisfies Record<string, ProviderWire>

export type WireId = keyof typeof wires
