import * as z from 'zod'

/** Bodies of the operations beside chat, as /openapi.json tells of them; loose, as those of chat are (see schemas.ts). */
const model = z
  .string()
  .meta({ description: 'A model group, an alias, or a name a wildcard row matches' })
const tokens = z.looseObject({ total_tokens: z.int().optional() })

export const embeddingsRequest = z
  .looseObject({
    model,
    input: z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))]),
    encoding_format: z.enum(['float', 'base64']).nullish(),
    dimensions: z.int().positive().nullish(),
    input_type: z.string().nullish(),
    user: z.string().nullish(),
  })
  .meta({ id: 'EmbeddingsRequest' })

export const embeddingsAnswer = z
  .looseObject({
    object: z.literal('list'),
    model: z.string(),
    data: z.array(
      z.looseObject({
        object: z.literal('embedding'),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    usage: tokens,
  })
  .meta({ id: 'Embeddings' })

export const rerankRequest = z
  .looseObject({
    model,
    query: z.string(),
    documents: z.array(z.union([z.string(), z.looseObject({})])),
    top_n: z.int().positive().nullish(),
    return_documents: z.boolean().nullish(),
  })
  .meta({ id: 'RerankRequest' })

export const rerankAnswer = z
  .looseObject({
    id: z.string().nullish(),
    results: z.array(z.looseObject({ index: z.int(), relevance_score: z.number() })),
  })
  .meta({ id: 'Rerank' })

export const moderationRequest = z
  .looseObject({ model: model.optional(), input: z.union([z.string(), z.array(z.unknown())]) })
  .meta({ id: 'ModerationRequest' })

export const imageRequest = z
  .looseObject({
    model,
    prompt: z.string(),
    n: z.int().positive().nullish(),
    size: z.string().nullish(),
    quality: z.string().nullish(),
    response_format: z.enum(['url', 'b64_json']).nullish(),
    stream: z.boolean().nullish(),
  })
  .meta({ id: 'ImageRequest' })

export const imageAnswer = z
  .looseObject({
    created: z.int(),
    data: z.array(z.looseObject({ url: z.string().optional(), b64_json: z.string().optional() })),
  })
  .meta({ id: 'Images' })

export const speechRequest = z
  .looseObject({
    model,
    input: z.string(),
    voice: z.union([z.string(), z.looseObject({ id: z.string() })]).optional(),
    response_format: z.string().nullish(),
    speed: z.number().nullish(),
    instructions: z.string().nullish(),
  })
  .meta({ id: 'SpeechRequest' })

export const completionRequest = z
  .looseObject({
    model,
    prompt: z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))]),
    max_tokens: z.int().positive().nullish(),
    stream: z.boolean().nullish(),
    suffix: z.string().nullish(),
    echo: z.boolean().nullish(),
  })
  .meta({ id: 'CompletionRequest' })
