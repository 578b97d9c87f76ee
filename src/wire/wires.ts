import { anthropic } from './anthropic/wire.ts'
import { bedrockConverse } from './bedrock-converse/wire.ts'
import { bedrockInvoke } from './bedrock-invoke/wire.ts'
import { cohere } from './cohere/wire.ts'
import { gemini } from './gemini/wire.ts'
import { ollama } from './ollama/wire.ts'
import { openaiChat } from './openai-chat/wire.ts'
import { replicate } from './replicate/wire.ts'
import type { ProviderWire } from './wire.ts'

/** Every way of saying chat the house understands. */
export const wires = {
  'openai-chat': openaiChat,
  anthropic,
  'bedrock-converse': bedrockConverse,
  'bedrock-invoke': bedrockInvoke,
  cohere,
  gemini,
  ollama,
  replicate,
} as const satisfies Record<string, ProviderWire>

export type WireId = keyof typeof wires
