import { anthropic } from './anthropic/wire.ts'
import { cohere } from './cohere/wire.ts'
import { ollama } from './ollama/wire.ts'
import { openaiChat } from './openai-chat/wire.ts'
import { replicate } from './replicate/wire.ts'
import type { ProviderWire } from './wire.ts'

/** Every way of saying chat the house understands. */
export const wires = {
  'openai-chat': openaiChat,
  anthropic,
  cohere,
  ollama,
  replicate,
} as const satisfies Record<string, ProviderWire>

export type WireId = keyof typeof wires
