import type { Answer } from '../call/call.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Hidden, HiddenParams } from './types.ts'

/** What is known of a call, on its answer but not in its JSON: it would be taken for the provider's words. */
export function withHidden<T extends object>(value: T, hidden: HiddenParams): T & Hidden {
  Object.defineProperty(value, '_hidden_params', {
    value: hidden,
    enumerable: false,
    configurable: true,
    writable: true,
  })
  // Just defined.
  return value as T & Hidden
}

type Told = {
  answer: Pick<Answer, 'deployment' | 'headers' | 'dropped'>
  /** See `chatBase`. */
  base: string
  callId: string
  retries: number
  fallbacks: number
  group: string | undefined
  ms: number
}

export function hiddenOf({
  answer,
  base,
  callId,
  retries,
  fallbacks,
  group,
  ms,
}: Told): HiddenParams {
  const { deployment, headers, dropped } = answer
  const { target, id, provider } = deployment
  return {
    model_id: id,
    custom_llm_provider: provider,
    litellm_model_name: target.model,
    api_base: base,
    response_cost: null,
    litellm_call_id: callId,
    additional_headers: {
      ...headers,
      'x-litellm-attempted-retries': String(retries),
      'x-litellm-attempted-fallbacks': String(fallbacks),
      ...(group !== undefined && { 'x-litellm-model-group': group }),
    },
    dropped_params: [...dropped],
    _response_ms: ms,
  }
}

/** Where conversations are asked, as far as it may be shown. */
export const chatBase = ({ url, wire, target }: Deployment, stream: boolean): string =>
  baseOf(stream ? url.stream : url.whole, wire.path(target, stream))

/** Without the query and the login, which may hold credentials, and without the path of the call. */
export function baseOf(url: string, path: string): string {
  if (!URL.canParse(url)) return ''
  const { origin, pathname } = new URL(url)
  const [plain = ''] = path.split('?')
  return (
    origin + (pathname.endsWith(plain) ? pathname.slice(0, -plain.length || undefined) : pathname)
  )
}
