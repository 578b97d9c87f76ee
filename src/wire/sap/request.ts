import type { ChatRequest } from '../../chat/chat.ts'
import { compact, object } from '../../json/json.ts'
import { encodeRequest as encodeChat } from '../openai-chat/request.ts'
import type { Encoded, Target } from '../wire.ts'

/**
 * Prompt, model and the service's other modules, in one configuration (help.sap.com, orchestration v2 completion,
 * 2026-11). `{{?name}}` in a message is a place of a template there, filled by `placeholder_values`.
 */
export function encodeRequest(request: ChatRequest, to: Target): Encoded {
  const { body, ...said } = encodeChat(request, to)
  const {
    model: _,
    stream: __,
    stream_options,
    messages,
    tools,
    tool_choice,
    response_format,
    placeholder_values,
    placeholder_defaults,
    model_version,
    // By it a caller would choose another model than the operator lets it.
    fallback_sap_modules: others,
    grounding,
    masking,
    filtering,
    translation,
    ...params
  } = body
  const dropped = [...(said.dropped ?? [])]
  // It has no field for a choice; `auto` is what happens anyway.
  const isChoice = tool_choice !== undefined && tool_choice !== 'auto' && tools !== undefined
  if (isChoice) dropped.push('tool_choice')
  if (others !== undefined) dropped.push('fallback_sap_modules')
  const modules = compact({
    prompt_templating: {
      prompt: compact({
        template: messages,
        defaults: placeholder_defaults,
        tools: tool_choice === 'none' ? undefined : tools,
        response_format,
      }),
      model: { name: to.model, version: model_version ?? 'latest', params },
    },
    grounding,
    masking,
    filtering,
    translation,
  })
  const { chunk_size, delimiters } = object(stream_options)
  return {
    ...said,
    body: compact({
      config: compact({
        modules,
        stream: request.stream ? compact({ enabled: true, chunk_size, delimiters }) : undefined,
      }),
      placeholder_values,
    }),
    ...(dropped.length > 0 && { dropped }),
  }
}
