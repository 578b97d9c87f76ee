import { bool, type JsonObject, number, text } from '../../json/json.ts'
import { type Abilities, abilitiesFrom, versionOf } from '../anthropic/abilities.ts'
import type { Target } from '../wire.ts'

/** Whose model it is: Converse says the messages for all, each has its own words for the rest. */
export type Family =
  | 'claude'
  | 'nova'
  | 'nova-2'
  | 'gpt-oss'
  | 'openai'
  | 'deepseek'
  | 'kimi'
  | 'mistral'
  | 'other'
  /** An ARN that does not tell. */
  | 'unnamed'

const families: [match: RegExp, family: Family][] = [
  [/claude/, 'claude'],
  [/nova-2/, 'nova-2'],
  [/nova/, 'nova'],
  [/gpt-oss/, 'gpt-oss'],
  [/openai\./, 'openai'],
  [/deepseek/, 'deepseek'],
  [/kimi/, 'kimi'],
  [/mistral|magistral|mixtral|pixtral/, 'mistral'],
  [/(?:^|\/)arn:/, 'unnamed'],
]

export function familyOf(model: string): Family {
  const name = model.toLowerCase()
  return families.find(([match]) => match.test(name))?.[1] ?? 'other'
}

/**
 * The model's id: without LiteLLM's routes (`converse/`, `invoke/`), the makes it writes before imported models
 * (`llama/`, `qwen2/`) and the region (`us-east-1/`), which say how and where it is asked.
 */
export const modelId = (model: string): string =>
  model.replace(routeFirst, '').replace(makeFirst, '').replace(regionFirst, '')
const routeFirst = /^(?:converse|invoke|converse_like|chat_completions)\//
const makeFirst =
  /^(?:nova-2|nova|llama|meta|deepseek_r1|qwen2|qwen3|openai|moonshot|mistral|cohere|ai21|amazon|twelvelabs)\//
const regionFirst = /^(?:us-gov|us|eu|ap|ca|sa|me|af|il|mx)-[a-z]{4,9}-\d\//

/** What an ARN does not tell, the row may: `model_info.base_model`. */
const namedModel = ({ model, info }: Target): string =>
  familyOf(model) === 'unnamed' ? (text(info.base_model) ?? model) : model

/** What one model takes on Converse: the catalogue's word first, then its family's. */
export type Powers = {
  family: Family
  claude: Abilities
  /** Is the model in the catalogue? What is not said of a listed model, it cannot do. */
  listed: boolean
  cache: boolean
  /** `cachePoint.ttl` */
  cacheHour: boolean
  cacheTools: boolean
  /** `toolChoice` any and tool. */
  forcedTools: boolean
  /** Anthropic's `disable_parallel_tool_use`. */
  serialTools: boolean
  strictTools: boolean
  /** `outputConfig.textFormat` */
  schemas: boolean
  /** An assistant's words at the end are continued. */
  prefill: boolean
  /** `toolResult.status` */
  resultStatus: boolean
  resultImages: boolean
  /** Thoughts of the history may go back. */
  thoughts: boolean
  system: boolean
}

export function powersOf(to: Target): Powers {
  const model = namedModel(to)
  const info = cappedInfo(to.info)
  const says = (flag: string): boolean | undefined => bool(info[flag])
  const family = familyOf(model)
  const listed = text(info.litellm_provider) !== undefined
  const known = family === 'claude' || family === 'nova' || family === 'nova-2'
  const claude = abilitiesFrom({ provider: to.provider, model, info })
  return {
    family,
    claude,
    listed,
    cache: says('supports_prompt_caching') ?? !listed,
    cacheHour:
      number(info.cache_creation_input_token_cost_above_1hr) !== undefined ||
      (!listed && (versionOf(model) ?? 5) >= 4.05),
    cacheTools: family === 'claude' || family === 'unnamed',
    forcedTools: says('supports_tool_choice') !== false && claude.forcedTools,
    serialTools: family === 'claude' && (says('supports_parallel_tool_use_config') ?? !listed),
    strictTools:
      says('bedrock_converse_supports_strict_tools') ??
      says('supports_native_structured_output') ??
      false,
    schemas:
      says('supports_bedrock_native_structured_output') ??
      says('supports_native_structured_output') ??
      false,
    prefill: says('supports_assistant_prefill') ?? true,
    resultStatus: known || family === 'unnamed',
    resultImages: says('supports_bedrock_converse_tool_result_images') ?? true,
    thoughts: known || family === 'unnamed',
    system: !withoutSystem.test(model),
  }
}

/** Claude's highest efforts come to Bedrock later than to Anthropic; the catalogue tells how far it goes there. */
export function cappedInfo(info: JsonObject): JsonObject {
  const ceiling = text(info.bedrock_output_config_effort_ceiling)
  if (ceiling !== 'high' && ceiling !== 'xhigh') return info
  const capped = { ...info, supports_max_reasoning_effort: false }
  return ceiling === 'high' ? { ...capped, supports_xhigh_reasoning_effort: false } : capped
}

/** By AWS's table of Converse features (2026-11). */
const withoutSystem =
  /titan-text|mistral-7b-instruct|mixtral-8x7b|ai21\.j2|cohere\.command-(?:light-)?text/i
