import type { ChatRequest } from '../chat/chat.ts'

/**
 * Dialects whose unmodelled fields mean nothing to anybody else. OpenAI's chat is not among them: it is what all
 * providers are spoken to in, so a field of it that nobody knows is meant for the provider.
 */
export const isSelfContained = ({ dialect }: ChatRequest): boolean =>
  dialect === 'openai-responses' || dialect === 'gemini'

/** Those of them that are said, and so lost elsewhere. */
export const lostFields = ({ extras }: ChatRequest): string[] =>
  Object.keys(extras).filter((key) => {
    const value = extras[key]
    return value !== undefined && value !== null && value !== false && !answered.has(key)
  })

/**
 * What is told of what could not be sent. The gateway keeps answers itself, thoughts always come encrypted, metadata is
 * only shown again, and tools that came as an item were declared with the others.
 */
export const told = (dropped: readonly string[], request: ChatRequest): readonly string[] =>
  isSelfContained(request)
    ? dropped.filter((name) => !answered.has(name) && !name.endsWith('additional_tools'))
    : dropped
const answered = new Set(['store', 'include', 'metadata', 'thinking'])
