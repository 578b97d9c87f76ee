import { type FaultKind, faults, GatewayError } from '../errors.ts'

/** What an error knows besides its text. */
export type ApiErrorDetails = {
  status?: number | undefined
  /** Provider id, e.g. `groq`; '' where none was asked. */
  llm_provider?: string | undefined
  model?: string | undefined
  type?: string | undefined
  param?: string | undefined
  code?: string | undefined
  retry_after?: string | undefined
  headers?: Readonly<Record<string, string>> | undefined
  cause?: unknown
}

/** What every error of this library is. The classes below have LiteLLM's names and LiteLLM's parents. */
export class APIError extends Error {
  override readonly name: string = 'APIError'
  /** The provider's HTTP status, or the one its meaning has; LiteLLM's name and the OpenAI SDK's. */
  readonly status_code: number
  readonly status: number
  readonly llm_provider: string
  readonly model: string
  /** `type`, `param` and `code` of the provider's error, where it gave them. */
  readonly type: string | undefined
  readonly param: string | undefined
  readonly code: string | undefined
  /** The provider's `retry-after`, as it came. */
  readonly retry_after: string | undefined
  /** The provider's headers, as `llm_provider-<name>`. */
  readonly headers: Readonly<Record<string, string>>

  constructor(message: string, details: ApiErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.status_code = details.status ?? 500
    this.status = this.status_code
    this.llm_provider = details.llm_provider ?? ''
    this.model = details.model ?? ''
    this.type = details.type
    this.param = details.param
    this.code = details.code
    this.retry_after = details.retry_after
    this.headers = details.headers ?? {}
  }
}

export class BadRequestError extends APIError {
  override readonly name: string = 'BadRequestError'
}
export class UnsupportedParamsError extends BadRequestError {
  override readonly name = 'UnsupportedParamsError'
}
export class ContextWindowExceededError extends BadRequestError {
  override readonly name = 'ContextWindowExceededError'
}
export class ContentPolicyViolationError extends BadRequestError {
  override readonly name = 'ContentPolicyViolationError'
}
/** 402: the account at the provider is empty. */
export class PaymentRequiredError extends BadRequestError {
  override readonly name = 'PaymentRequiredError'
}
/** Nothing is known of the model: no price, no limits. */
export class ModelNotMappedError extends BadRequestError {
  override readonly name = 'ModelNotMappedError'
}
export class AuthenticationError extends APIError {
  override readonly name = 'AuthenticationError'
}
export class PermissionDeniedError extends APIError {
  override readonly name = 'PermissionDeniedError'
}
export class NotFoundError extends APIError {
  override readonly name = 'NotFoundError'
}
export class Timeout extends APIError {
  override readonly name = 'Timeout'
}
export class UnprocessableEntityError extends APIError {
  override readonly name = 'UnprocessableEntityError'
}
export class RateLimitError extends APIError {
  override readonly name = 'RateLimitError'
}
/** A gateway that was asked says that a budget is used up. */
export class BudgetExceededError extends APIError {
  override readonly name = 'BudgetExceededError'
}
export class InternalServerError extends APIError {
  override readonly name: string = 'InternalServerError'
}
/** Nobody answered: LiteLLM throws an InternalServerError here, so this is one too. */
export class APIConnectionError extends InternalServerError {
  override readonly name = 'APIConnectionError'
}
export class BadGatewayError extends APIError {
  override readonly name = 'BadGatewayError'
}
export class ServiceUnavailableError extends APIError {
  override readonly name = 'ServiceUnavailableError'
}

type ErrorClass = new (message: string, details?: ApiErrorDetails) => APIError

/** The class of each kind; a test holds their names against `faults`. */
export const classes: Record<FaultKind, ErrorClass> = {
  bad_request: BadRequestError,
  unsupported_params: UnsupportedParamsError,
  context_window: ContextWindowExceededError,
  content_policy: ContentPolicyViolationError,
  unprocessable: UnprocessableEntityError,
  too_large: BadRequestError,
  authentication: AuthenticationError,
  permission: PermissionDeniedError,
  not_found: NotFoundError,
  conflict: APIError,
  timeout: Timeout,
  budget: BudgetExceededError,
  rate_limit: RateLimitError,
  canceled: APIError,
  provider: InternalServerError,
  not_offered: APIError,
  bad_gateway: BadGatewayError,
  unavailable: ServiceUnavailableError,
  internal: APIError,
}

/** Whom the failed call was for. */
export type Asked = { provider?: string | undefined; model?: string | undefined }

/** Whatever was thrown, as an error of this library: its class by the table, its text in LiteLLM's form. */
export function apiErrorFrom(cause: unknown, { provider, model }: Asked = {}): APIError {
  if (cause instanceof APIError) return cause
  const error = GatewayError.from(cause)
  const Class = classOf(error)
  return new Class(textOf(error), {
    status: error.status,
    llm_provider: provider,
    model,
    type: error.type ?? faults[error.kind].openai,
    param: error.param,
    code: error.code,
    retry_after: error.retryAfter,
    headers: error.headers,
    // An accident of our own: the accident says more than its wrapping does.
    ...(error.cause !== undefined && { cause: error.cause }),
  })
}

function classOf(error: GatewayError): ErrorClass {
  if (error.type === 'budget_exceeded') return BudgetExceededError
  if (error.status === 402) return PaymentRequiredError
  if (error.kind === 'provider' && error.message.startsWith('Connection error: '))
    return APIConnectionError
  return classes[error.kind]
}

/** `litellm.RateLimitError: RateLimitError: GroqException - …`; a bad request is named once. */
function textOf(error: GatewayError): string {
  const { message, provider } = error
  if (message.startsWith('litellm.')) return message
  const name = nameOf(error)
  if (provider === undefined) return `litellm.${name}: ${message}`
  const twice = name === 'BadRequestError' ? '' : `${name}: `
  return `litellm.${name}: ${twice}${provider}Exception - ${message}`
}

const nameOf = (error: GatewayError): string => new (classOf(error))('').name

/** The same function, whose errors are this library's. */
export function guarded<F extends (...args: never[]) => unknown>(call: F): F {
  const guard = (...args: Parameters<F>): unknown => {
    try {
      const result = call(...args)
      if (!(result instanceof Promise)) return result
      return result.catch((cause: unknown) => {
        throw mine(cause)
      })
    } catch (cause) {
      throw mine(cause)
    }
  }
  // Same arguments, same result: overloads included, which no type can say of a wrapper.
  return guard as F
}

/** Errors of the caller's own (a mock's, say) pass as they are. */
const mine = (cause: unknown): unknown => (GatewayError.is(cause) ? apiErrorFrom(cause) : cause)
