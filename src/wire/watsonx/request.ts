import type { ChatRequest } from '../../chat/chat.ts'
import { compact, isObject, type Json, type JsonObject, list, object } from '../../json/json.ts'
import { encodeRequest as encodeChat } from '../openai-chat/request.ts'
import type { Encoded, Target } from '../wire.ts'
import { placeOf } from './paths.ts'

/** OpenAI's body, but that the path says whether to stream, and that `auto`, `none` and `required` have a field of their own. */
export function encodeRequest(request: ChatRequest, to: Target): Encoded {
  const { body, ...said } = encodeChat(request, to)
  const {
    model: _,
    stream: __,
    stream_options: ___,
    tools,
    tool_choice,
    parallel_tool_calls: parallel,
    // Whose model it is, and who pays, is the operator's choice.
    model_id: _model,
    project_id: _project,
    space_id: _space,
    ...rest
  } = body
  const asTool = isObject(tool_choice)
  const dropped = [...(said.dropped ?? [])]
  if (parallel === false) dropped.push('parallel_tool_calls')
  return {
    ...said,
    body: compact({
      ...placeOf(to),
      ...rest,
      tools: tools === undefined ? undefined : list(tools).map(encodeTool),
      tool_choice: asTool ? tool_choice : undefined,
      tool_choice_option: asTool ? undefined : tool_choice,
    }),
    ...(dropped.length > 0 && { dropped }),
  }
}

/** Unknown words of a schema are refused; LiteLLM takes these two out. */
function encodeTool(tool: Json): JsonObject {
  const { function: said, cache_control: _, ...rest } = object(tool)
  const { strict: __, parameters, ...fn } = object(said)
  return {
    ...rest,
    function: compact({
      ...fn,
      parameters: parameters === undefined ? undefined : withoutAdditional(parameters),
    }),
  }
}

function withoutAdditional(value: Json, depth = 0): Json {
  // As deep as schemas are written by hand.
  if (depth > 50) return value
  if (Array.isArray(value)) return value.map((item) => withoutAdditional(item, depth + 1))
  if (!isObject(value)) return value
  const out: JsonObject = {}
  for (const [key, said] of Object.entries(value)) {
    const isSwitch = key === 'additionalProperties' && typeof said === 'boolean'
    if (said === undefined || isSwitch || key === '__proto__') continue
    out[key] = withoutAdditional(said, depth + 1)
  }
  return out
}
