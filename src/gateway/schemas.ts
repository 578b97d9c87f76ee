import * as z from 'zod'

/**
 * Bodies and answers as clients are told of them in /openapi.json. Requests are not checked against these: a body that
 * passes is not read, and what nobody models must survive. They are loose for the same reason.
 */
const content = z.union([
  z.string(),
  z.array(
    z.looseObject({
      type: z.string().meta({ description: 'text, image_url, input_audio, file…' }),
    }),
  ),
])

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: content.nullish(),
  name: z.string().optional(),
  tool_calls: z.array(z.looseObject({ id: z.string(), type: z.string() })).optional(),
  tool_call_id: z.string().optional(),
  reasoning_content: z.string().nullish(),
})

const tool = z.looseObject({
  type: z.string().meta({ description: 'function, custom, or a tool the provider runs' }),
  function: z
    .looseObject({
      name: z.string(),
      description: z.string().optional(),
      parameters: z.record(z.string(), z.unknown()).optional(),
      strict: z.boolean().nullish(),
    })
    .optional(),
})

export const chatRequest = z
  .looseObject({
    model: z
      .string()
      .meta({ description: 'A model group, an alias, or a name a wildcard row matches' }),
    messages: z.array(message),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
    max_completion_tokens: z.int().positive().nullish(),
    max_tokens: z.int().positive().nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    n: z.int().positive().nullish(),
    stop: z.union([z.string(), z.array(z.string())]).nullish(),
    tools: z.array(tool).nullish(),
    tool_choice: z
      .union([z.enum(['auto', 'none', 'required']), z.looseObject({ type: z.string() })])
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    response_format: z
      .looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) })
      .nullish(),
    reasoning_effort: z.string().nullish(),
    seed: z.int().nullish(),
    user: z.string().nullish(),
    metadata: z.record(z.string(), z.unknown()).nullish(),
    tags: z
      .array(z.string())
      .optional()
      .meta({ description: "The gateway's own: tags for routing and logs" }),
    num_retries: z.int().min(0).optional().meta({ description: "The gateway's own" }),
    timeout: z.number().positive().optional().meta({ description: "The gateway's own; seconds" }),
    fallbacks: z
      .array(z.string())
      .optional()
      .meta({ description: "The gateway's own: groups tried after this one" }),
  })
  .meta({
    id: 'ChatCompletionRequest',
    description: 'Unknown fields reach the provider as they are.',
  })

const usage = z.looseObject({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
})

export const chatAnswer = z
  .looseObject({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.int().meta({ description: 'Unix seconds' }),
    model: z.string().meta({ description: 'The name the client asked for' }),
    choices: z.array(
      z.looseObject({ index: z.int(), message, finish_reason: z.string().nullable() }),
    ),
    usage,
  })
  .meta({ id: 'ChatCompletion' })

export const messagesRequest = z
  .looseObject({
    model: z.string(),
    max_tokens: z.int().positive(),
    messages: z.array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']), content })),
    system: content.optional(),
    stream: z.boolean().optional(),
    tools: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  })
  .meta({ id: 'MessagesRequest', description: "Anthropic's Messages; unknown fields are kept." })

export const responsesRequest = z
  .looseObject({
    model: z.string(),
    input: z
      .union([z.string(), z.array(z.looseObject({ type: z.string().optional() }))])
      .optional(),
    instructions: z.string().nullish(),
    previous_response_id: z
      .string()
      .nullish()
      .meta({ description: 'A response of the same key, made here before' }),
    store: z.boolean().nullish(),
    background: z.boolean().nullish(),
    stream: z.boolean().nullish(),
    max_output_tokens: z.int().positive().nullish(),
    reasoning: z.looseObject({ effort: z.string().nullish() }).nullish(),
    tools: z.array(z.looseObject({ type: z.string() })).optional(),
  })
  .meta({ id: 'ResponsesRequest', description: "OpenAI's Responses; unknown fields are kept." })

export const tokenCountRequest = z
  .looseObject({
    model: z.string(),
    messages: z.array(message).optional(),
    prompt: z.string().optional(),
    system: z.string().optional(),
    tools: z.array(tool).optional(),
  })
  .meta({ id: 'TokenCountRequest' })

export const tokenCount = z
  .looseObject({
    total_tokens: z.int(),
    request_model: z.string(),
    model_used: z.string(),
    tokenizer_type: z.string(),
  })
  .meta({ id: 'TokenCount' })

export const modelList = z
  .object({
    object: z.literal('list'),
    data: z.array(
      z.looseObject({
        id: z.string(),
        object: z.literal('model'),
        created: z.int(),
        owned_by: z.string(),
        max_input_tokens: z.int().optional(),
        max_output_tokens: z.int().optional(),
        capabilities: z.record(z.string(), z.boolean()).optional(),
        input_modalities: z.array(z.string()).optional(),
        supported_parameters: z.array(z.string()).optional(),
        pricing: z
          .record(z.string(), z.number())
          .optional()
          .meta({ description: 'US dollars per token' }),
      }),
    ),
  })
  .meta({ id: 'ModelList' })

export const errorBody = z
  .looseObject({
    error: z.looseObject({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string(),
    }),
    detail: z.string().optional(),
  })
  .meta({ id: 'Error' })
