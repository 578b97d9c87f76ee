import { operationsNotOffered } from './not-offered.ts'
import type { ProviderSpec } from './spec.ts'

/**
 * How a provider speaks an operation other than chat; undefined: it does not offer it. Beside an OpenAI-compatible chat
 * it is OpenAI's way, and Cohere's for rerank, which OpenAI has not.
 */
export function mediaWireOf(spec: ProviderSpec, operation: string): string | undefined {
  const also: Readonly<Record<string, string | undefined>> = spec.also ?? {}
  const said = Object.hasOwn(also, operation) ? also[operation] : undefined
  if (said !== undefined) return said
  const listed = spec.operations.some((one) => one === operation)
  if (!listed || spec.wire !== 'openai-chat') return undefined
  return operation === 'rerank' ? 'cohere' : 'openai'
}

/** Why it does not, where there is more to say. */
export function whyNot(provider: string, operation: string): string | undefined {
  const rows: Readonly<Record<string, string | undefined>> = Object.hasOwn(
    operationsNotOffered,
    provider,
  )
    ? (operationsNotOffered[provider] ?? {})
    : {}
  return Object.hasOwn(rows, operation) ? rows[operation] : undefined
}
