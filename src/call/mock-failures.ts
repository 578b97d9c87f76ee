import { type FaultKind, GatewayError } from '../errors.ts'

/** LiteLLM's ways to try fallbacks out: by the name of the flag, how the first group seems to fail. */
export const mockFailures: Readonly<Record<string, FaultKind>> = {
  mock_testing_fallbacks: 'provider',
  mock_testing_context_fallbacks: 'context_window',
  mock_testing_content_policy_fallbacks: 'content_policy',
  mock_testing_rate_limit_error: 'rate_limit',
}

export const isMockFailure = (name: string): boolean => Object.hasOwn(mockFailures, name)

export const mockFailure = (name: string, model: string): GatewayError =>
  new GatewayError(
    mockFailures[name] ?? 'provider',
    `this failure of ${model} was asked for by ${name}`,
    { provider: 'Mock' },
  )
