import { compact, type Json, type JsonObject } from '../json/json.ts'
import type { Options } from './flags.ts'

/** Where the models come from. A `hint` names a config file that lies there unused. */
export type Source =
  | { type: 'file'; path: string }
  | { type: 'model'; model: string }
  | {
      type: 'environment'
      found: readonly { provider: string; name: string }[]
      hint: string | undefined
    }
  | { type: 'mock'; hint: string | undefined }

/** An entry of model_list for `--model`: under its own name (or its alias) and under every other, `default` among them, as with LiteLLM. */
export function modelEntries(model: string, options: Options): Json[] {
  const params: JsonObject = compact({
    model,
    api_base: options.api_base,
    api_version: options.api_version,
    extra_headers: options.headers,
    temperature: options.temperature,
    max_tokens: options.max_tokens,
  })
  const names = new Set([options.alias ?? model, '*'])
  return [...names].map((name) => ({ model_name: name, litellm_params: params }))
}

/** Flags that say something about `--model` and mean nothing without it. */
export const modelFlags = [
  'alias',
  'api_base',
  'headers',
  'temperature',
  'max_tokens',
] as const satisfies (keyof Options)[]

/** Whatever a provider has, as `provider/model`. */
export const providerEntries = (providers: readonly string[]): Json[] =>
  providers.map((provider) => ({
    model_name: `${provider}/*`,
    litellm_params: { model: `${provider}/*` },
  }))

/** The provider inside the process, for a first try without an account; see call/mock.ts. One model of it has a row of its own, so that lists show it. */
export const mockEntries: Json[] = ['mock/echo', 'mock/*'].map((name) => ({
  model_name: name,
  litellm_params: { model: name, input_cost_per_token: 0, output_cost_per_token: 0 },
}))
