/**
 * One row per way to fail. Everything else about errors is read from this table: the status when nobody
 * upstream chose one, how each dialect names it, LiteLLM's class name (its SDKs map by it), whether the
 * router may try again, and whether the deployment rests for a while.
 */
export const faults = {
  bad_request: fault(
    400,
    'invalid_request_error',
    'invalid_request_error',
    'INVALID_ARGUMENT',
    'BadRequestError',
    'stay',
  ),
  unsupported_params: fault(
    400,
    'invalid_request_error',
    'invalid_request_error',
    'INVALID_ARGUMENT',
    'UnsupportedParamsError',
    'stay',
  ),
  context_window: fault(
    400,
    'invalid_request_error',
    'invalid_request_error',
    'INVALID_ARGUMENT',
    'ContextWindowExceededError',
    'stay',
  ),
  content_policy: fault(
    400,
    'invalid_request_error',
    'invalid_request_error',
    'INVALID_ARGUMENT',
    'ContentPolicyViolationError',
    'stay',
  ),
  unprocessable: fault(
    422,
    'invalid_request_error',
    'invalid_request_error',
    'INVALID_ARGUMENT',
    'UnprocessableEntityError',
    'stay',
  ),
  too_large: fault(
    413,
    'invalid_request_error',
    'request_too_large',
    'INVALID_ARGUMENT',
    'BadRequestError',
    'stay',
  ),
  authentication: fault(
    401,
    'authentication_error',
    'authentication_error',
    'UNAUTHENTICATED',
    'AuthenticationError',
    'cool',
  ),
  permission: fault(
    403,
    'permission_error',
    'permission_error',
    'PERMISSION_DENIED',
    'PermissionDeniedError',
    'stay',
  ),
  not_found: fault(
    404,
    'invalid_request_error',
    'not_found_error',
    'NOT_FOUND',
    'NotFoundError',
    'cool',
  ),
  conflict: fault(
    409,
    'invalid_request_error',
    'invalid_request_error',
    'ABORTED',
    'APIError',
    'retry',
  ),
  timeout: fault(
    408,
    'timeout_error',
    'timeout_error',
    'DEADLINE_EXCEEDED',
    'Timeout',
    'retry+cool',
  ),
  budget: fault(
    422,
    'budget_exceeded',
    'billing_error',
    'RESOURCE_EXHAUSTED',
    'BudgetExceededError',
    'stay',
  ),
  rate_limit: fault(
    429,
    'rate_limit_error',
    'rate_limit_error',
    'RESOURCE_EXHAUSTED',
    'RateLimitError',
    'retry+cool',
  ),
  canceled: fault(499, 'canceled', 'api_error', 'CANCELLED', 'APIError', 'stay'),
  provider: fault(
    500,
    'internal_server_error',
    'api_error',
    'INTERNAL',
    'InternalServerError',
    'retry+cool',
  ),
  not_offered: fault(501, 'not_implemented', 'api_error', 'UNIMPLEMENTED', 'APIError', 'stay'),
  bad_gateway: fault(
    502,
    'internal_server_error',
    'api_error',
    'UNAVAILABLE',
    'BadGatewayError',
    'retry+cool',
  ),
  unavailable: fault(
    503,
    'internal_server_error',
    'overloaded_error',
    'UNAVAILABLE',
    'ServiceUnavailableError',
    'retry+cool',
  ),
  internal: fault(500, 'internal_server_error', 'api_error', 'INTERNAL', 'APIError', 'stay'),
} as const satisfies Record<string, Fault>

export type FaultKind = keyof typeof faults

type Fault = {
  /** HTTP status when the upstream did not choose one. */
  status: number
  /** `error.type` in OpenAI's shape. */
  openai: string
  /** `error.type` in Anthropic's shape. */
  anthropic: string
  /** `error.status` in Google's shape. */
  google: string
  /** LiteLLM's exception class. */
  className: string
  /** May the router send the same request again? */
  retry: boolean
  /** Does the deployment cool down? */
  cool: boolean
}

function fault(
  status: number,
  openai: string,
  anthropic: string,
  google: string,
  className: string,
  then: 'stay' | 'retry' | 'cool' | 'retry+cool',
): Fault {
  return {
    status,
    openai,
    anthropic,
    google,
    className,
    retry: then.startsWith('retry'),
    cool: then.endsWith('cool'),
  }
}

const brand = Symbol.for('throughway.GatewayError')

export type ErrorDetails = {
  /** The status to answer with; default: the kind's. */
  status?: number | undefined
  /** Set when a provider said it: the word before "Exception" in LiteLLM's texts, e.g. `OpenAI`. */
  provider?: string | undefined
  /** `error.type`, `error.param` and `error.code` when they are known better than the kind knows them. */
  type?: string | undefined
  param?: string | undefined
  code?: string | undefined
  /** The upstream's `retry-after` as it came: seconds or a date. */
  retryAfter?: string | undefined
  /** Headers the answer carries besides the usual ones. */
  headers?: Record<string, string> | undefined
  /** For our log only; never shown. */
  cause?: unknown
}

/** The only error that leaves a room. `message` may be shown to the client and says what to do. */
export class GatewayError extends Error {
  readonly [brand] = true
  override readonly name: string = 'GatewayError'
  readonly kind: FaultKind
  readonly status: number
  readonly provider: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly code: string | undefined
  readonly retryAfter: string | undefined
  readonly headers: Record<string, string> | undefined

  constructor(kind: FaultKind, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.kind = kind
    this.status = details.status ?? faults[kind].status
    this.provider = details.provider
    this.type = details.type
    this.param = details.param
    this.code = details.code
    this.retryAfter = details.retryAfter
    this.headers = details.headers
  }

  static is(error: unknown): error is GatewayError {
    return typeof error === 'object' && error !== null && brand in error
  }

  /** Whatever was thrown, as a GatewayError; an unknown one keeps its text for the log only. */
  static from(cause: unknown): GatewayError {
    return GatewayError.is(cause)
      ? cause
      : new GatewayError('internal', 'Internal server error', { cause })
  }
}

/** What a status of an upstream means when its body says nothing better. */
export function kindOfStatus(status: number): FaultKind {
  return kinds[status] ?? (status >= 500 ? 'provider' : 'bad_request')
}

const kinds: Record<number, FaultKind> = {
  401: 'authentication',
  403: 'permission',
  404: 'not_found',
  408: 'timeout',
  409: 'conflict',
  413: 'too_large',
  422: 'unprocessable',
  429: 'rate_limit',
  502: 'bad_gateway',
  503: 'unavailable',
  504: 'timeout',
  529: 'unavailable',
}

/** The same error, named as a provider's: its text then carries LiteLLM's class name. */
export function saidBy(error: GatewayError, provider: string): GatewayError {
  if (error.provider !== undefined) return error
  const { kind, message, status, type, param, code, retryAfter, headers, cause } = error
  return new GatewayError(kind, message, {
    status,
    provider,
    type,
    param,
    code,
    retryAfter,
    headers,
    cause,
  })
}
