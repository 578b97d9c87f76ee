import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import { decodeError as decodeCohere } from '../cohere/errors.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeError as decodeOllama } from '../ollama/errors.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import type { EmbeddingInput, EmbeddingRequest, EmbeddingResult } from './embeddings.ts'
import {
  type Answered,
  askOnce,
  counted,
  type Exchange,
  expected,
  invalid,
  jsonBody,
  type Lacks,
  type Measured,
  type MediaWire,
  readJson,
  readTokens,
  readValue,
  type Sent,
  step,
} from './media.ts'

type EmbeddingWire = MediaWire<EmbeddingRequest, EmbeddingResult>

/** POST /v2/embed (docs.cohere.com/reference/embed, 2026-11). What a text is for must be said. */
const cohere: EmbeddingWire = {
  decodeError: decodeCohere,
  *exchange({ inputs, inputType, dimensions, user, extras }, { model }, lacks) {
    if (user !== undefined) lacks('user')
    const images = imagesOf(inputs)
    const answer = yield* askOnce({
      path: '/v2/embed',
      body: jsonBody({
        embedding_types: ['float'],
        ...extras,
        model,
        ...(images.length > 0 ? { images } : { texts: textsOf(inputs, 'Cohere') }),
        input_type: inputType ?? (images.length > 0 ? 'image' : 'search_document'),
        ...(dimensions !== undefined && { output_dimension: dimensions }),
      }),
    })
    return cohereResult(answer, images.length)
  },
}

function cohereResult(answer: Answered, images: number, tokens?: number): EmbeddingResult {
  const body = readJson(answer)
  const billed = object(object(body['meta'])['billed_units'])
  const input = counted(billed['input_tokens']) ?? tokens
  const pictured = counted(billed['images']) ?? images
  const imageTokens = counted(billed['image_tokens']) ?? 0
  return {
    vectors: vectorsIn(
      Array.isArray(body['embeddings']) ? body['embeddings'] : object(body['embeddings'])['float'],
    ),
    ...(input !== undefined && {
      usage: { ...readTokens(input), inputImage: imageTokens },
    }),
    ...(pictured > 0 && { units: { images: pictured } }),
  }
}

/** `:batchEmbedContents` of the Gemini API (ai.google.dev/api/embeddings, 2026-11). It does not say how many tokens it read. */
const gemini: EmbeddingWire = {
  decodeError: decodeGoogle,
  *exchange(request, { model }, lacks) {
    const name = /^(models|tunedModels)\//.test(model) ? model : `models/${model}`
    const requests = request.inputs.map((input) => ({
      model: name,
      ...googleContent(input, request, lacks),
    }))
    const answer = yield* askOnce({
      path: `/models/${step(name.slice(name.indexOf('/') + 1))}:batchEmbedContents`,
      body: jsonBody({ requests }),
    })
    const body = readJson(answer)
    return {
      vectors: list(body['embeddings']).map((item) => numbersIn(object(item)['values'])),
      ...usageOfGoogle(body),
    }
  },
}

function googleContent(
  input: EmbeddingInput,
  { dimensions, inputType, user, extras }: EmbeddingRequest,
  lacks: Lacks,
): JsonObject {
  if (user !== undefined) lacks('user')
  return {
    content: { parts: partsOf(input) },
    ...(inputType !== undefined && { taskType: googleTask(inputType) }),
    ...(dimensions !== undefined && { outputDimensionality: dimensions }),
    ...extras,
  }
}

function partsOf(input: EmbeddingInput): Json[] {
  switch (input.type) {
    case 'text':
      return [{ text: input.text }]
    case 'image': {
      const { mime, base64 } = dataOf(input.url)
      return [{ inlineData: { mimeType: mime, data: base64 } }]
    }
    case 'parts':
      return Array.isArray(input.value['parts']) ? input.value['parts'] : [input.value]
    case 'tokens':
      throw noTokens('Gemini')
  }
}

const usageOfGoogle = (body: JsonObject): Measured => {
  const usage = object(body['usageMetadata'])
  const tokens = counted(usage['promptTokenCount'])
  return tokens === undefined ? {} : { usage: readTokens(tokens, usage) }
}

/** Cohere's and OpenAI's words for what a text is for, in Google's. */
const googleTask = (inputType: string): string =>
  tasks.get(inputType.toLowerCase()) ?? inputType.toUpperCase()
const tasks = new Map([
  ['search_document', 'RETRIEVAL_DOCUMENT'],
  ['search_query', 'RETRIEVAL_QUERY'],
  ['document', 'RETRIEVAL_DOCUMENT'],
  ['passage', 'RETRIEVAL_DOCUMENT'],
  ['query', 'RETRIEVAL_QUERY'],
])

/** `:predict` below publishers/google; gemini-embedding-2 and later take `:embedContent`, one at a time. */
const vertex: EmbeddingWire = {
  decodeError: decodeGoogle,
  *exchange(request, { model }, lacks) {
    const place = `/models/${step(model)}`
    if (/^gemini-embedding-(?!001)/.test(model)) {
      const answers = yield* askEach(request.inputs, (input) => ({
        path: `${place}:embedContent`,
        body: jsonBody(googleContent(input, request, lacks)),
      }))
      const bodies = answers.map(readJson)
      return {
        vectors: bodies.map((body) => numbersIn(object(body['embedding'])['values'])),
        ...summed(bodies.map(usageOfGoogle)),
      }
    }
    if (/multimodal/.test(model)) return yield* multimodal(request, place)
    // It takes one text at a time (cloud.google.com, text embeddings API, 2026-11).
    const size = model.startsWith('gemini-embedding') ? 1 : 250
    const answers = yield* askEach(pieces(request.inputs, size), (inputs) => ({
      path: `${place}:predict`,
      body: jsonBody(predicted(inputs, request, lacks)),
    }))
    const told = answers.flatMap((answer) => list(readJson(answer)['predictions']))
    const all = told.map((item) => object(object(item)['embeddings']))
    const tokens = all.map((one) => counted(object(one['statistics'])['token_count']))
    return {
      vectors: all.map((one) => numbersIn(one['values'])),
      ...(tokens.every((count) => count !== undefined) && {
        usage: readTokens(tokens.reduce((sum: number, count) => sum + (count ?? 0), 0)),
      }),
    }
  },
}

function predicted(
  inputs: readonly EmbeddingInput[],
  { dimensions, inputType, user, extras }: EmbeddingRequest,
  lacks: Lacks,
): JsonObject {
  if (user !== undefined) lacks('user')
  const { task_type, title, parameters, auto_truncate, ...others } = extras
  const task = inputType ?? text(task_type)
  return {
    instances: textsOf(inputs, 'Vertex AI').map((content) => ({
      content,
      ...(task !== undefined && { task_type: googleTask(task) }),
      ...(title !== undefined && { title }),
    })),
    parameters: {
      ...object(parameters),
      ...(auto_truncate !== undefined && { autoTruncate: auto_truncate }),
      ...(dimensions !== undefined && { outputDimensionality: dimensions }),
    },
    ...others,
  }
}

function* multimodal(
  { inputs, dimensions, extras }: EmbeddingRequest,
  place: string,
): Exchange<EmbeddingResult> {
  const answers = yield* askEach(inputs, (input) => ({
    path: `${place}:predict`,
    body: jsonBody({
      ...extras,
      instances: [instanceOf(input)],
      ...(dimensions !== undefined && { parameters: { dimension: dimensions } }),
    }),
  }))
  const vectors = answers.map((answer) => {
    const told = object(list(readJson(answer)['predictions'])[0])
    return numbersIn(
      told['textEmbedding'] ??
        told['imageEmbedding'] ??
        object(list(told['videoEmbeddings'])[0])['embedding'],
    )
  })
  const characters = inputs.reduce(
    (sum, one) => sum + (one.type === 'text' ? one.text.length : 0),
    0,
  )
  const images = inputs.filter(({ type }) => type === 'image').length
  return { vectors, usage: readTokens(0), units: { characters, images } }
}

function instanceOf(input: EmbeddingInput): JsonObject {
  switch (input.type) {
    case 'text':
      return { text: input.text }
    case 'image':
      return { image: { bytesBase64Encoded: dataOf(input.url).base64 } }
    case 'parts':
      return input.value
    case 'tokens':
      throw noTokens('Vertex AI')
  }
}

/** InvokeModel: each family has its own body, and Titan and Nova take one text a call. */
const bedrock: EmbeddingWire = {
  decodeError: decodeAws,
  *exchange(request, { model }, lacks) {
    const { inputs, inputType, dimensions, user, extras } = request
    if (user !== undefined) lacks('user')
    const path = `/model/${encodeURIComponent(modelId(model))}/invoke`
    if (/cohere\./.test(model)) {
      const images = imagesOf(inputs)
      const answer = yield* askOnce({
        path,
        body: jsonBody({
          ...extras,
          ...(images.length > 0 ? { images } : { texts: textsOf(inputs, 'Cohere') }),
          input_type: inputType ?? (images.length > 0 ? 'image' : 'search_document'),
          ...(dimensions !== undefined && { output_dimension: dimensions }),
        }),
      })
      return cohereResult(answer, images.length, tokensInHeader(answer))
    }
    const bodyFor = /nova/.test(model) ? novaBody : titanBody
    const answers = yield* askEach(inputs, (input) => ({
      path,
      body: jsonBody(bodyFor(input, request, model, lacks)),
    }))
    const bodies = answers.map(readJson)
    const tokens = bodies.map(
      (body, at) => counted(body['inputTextTokenCount']) ?? tokensInHeader(expected(answers[at])),
    )
    const images = inputs.filter(({ type }) => type === 'image').length
    return {
      vectors: bodies.map((body) =>
        numbersIn(
          body['embedding'] ??
            object(body['embeddingsByType'])['float'] ??
            object(list(body['embeddings'])[0])['embedding'],
        ),
      ),
      ...(tokens.every((count) => count !== undefined) && {
        usage: readTokens(tokens.reduce((sum: number, count) => sum + (count ?? 0), 0)),
      }),
      ...(images > 0 && { units: { images } }),
    }
  },
}

function titanBody(
  input: EmbeddingInput,
  { dimensions, extras }: EmbeddingRequest,
  model: string,
  lacks: Lacks,
): JsonObject {
  const pictures = /titan-embed-image/.test(model)
  // The first version has one size.
  const sized = pictures || /titan-embed-text-v[2-9]/.test(model) || /embed-g1/.test(model)
  if (dimensions !== undefined && !sized) lacks('dimensions')
  const size = sized ? dimensions : undefined
  return {
    ...(input.type === 'image'
      ? { inputImage: dataOf(input.url).base64 }
      : input.type === 'parts'
        ? input.value
        : { inputText: textsOf([input], 'Titan')[0] ?? '' }),
    ...extras,
    ...(size !== undefined &&
      (pictures ? { embeddingConfig: { outputEmbeddingLength: size } } : { dimensions: size })),
  }
}

/** amazon.nova-2-multimodal-embeddings (docs.aws.amazon.com/nova, 2026-11). */
function novaBody(
  input: EmbeddingInput,
  { dimensions, inputType, extras }: EmbeddingRequest,
): JsonObject {
  const said =
    input.type === 'image'
      ? {
          image: {
            format: dataOf(input.url).mime.slice(6),
            source: { bytes: dataOf(input.url).base64 },
          },
        }
      : input.type === 'parts'
        ? input.value
        : { text: { truncationMode: 'END', value: textsOf([input], 'Nova')[0] ?? '' } }
  return {
    taskType: 'SINGLE_EMBEDDING',
    singleEmbeddingParams: {
      embeddingPurpose: purposes.get(inputType ?? '') ?? inputType ?? 'GENERIC_INDEX',
      ...(dimensions !== undefined && { embeddingDimension: dimensions }),
      ...said,
    },
    ...extras,
  }
}
const purposes = new Map([
  ['search_document', 'GENERIC_INDEX'],
  ['search_query', 'GENERIC_RETRIEVAL'],
  ['classification', 'CLASSIFICATION'],
  ['clustering', 'CLUSTERING'],
])

const tokensInHeader = ({ header }: Answered): number | undefined => {
  const count = Number(header('x-amzn-bedrock-input-token-count') ?? Number.NaN)
  return Number.isInteger(count) && count >= 0 ? count : undefined
}

/** POST /api/embed (docs.ollama.com, 2026-11). */
const ollama: EmbeddingWire = {
  decodeError: decodeOllama,
  *exchange({ inputs, dimensions, user, inputType, extras }, { model }, lacks) {
    if (user !== undefined) lacks('user')
    if (inputType !== undefined) lacks('input_type')
    const answer = yield* askOnce({
      path: '/api/embed',
      body: jsonBody({
        ...extras,
        model,
        input: textsOf(inputs, 'Ollama'),
        ...(dimensions !== undefined && { dimensions }),
      }),
    })
    const body = readJson(answer)
    const tokens = counted(body['prompt_eval_count'])
    return {
      vectors: vectorsIn(body['embeddings']),
      ...(tokens !== undefined && { usage: readTokens(tokens) }),
    }
  },
}

/** Text Embeddings Inference at an address of the operator's; the feature extraction of Hugging Face's router without one. */
const tei: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange({ inputs, dimensions, user, inputType, extras }, { model }, lacks) {
    if (user !== undefined) lacks('user')
    if (inputType !== undefined) lacks('input_type')
    const [, name = model, via = 'hf-inference'] = /^(.+):([\w-]+)$/.exec(model) ?? []
    const answer = yield* askOnce({
      path: '/embed',
      home: `https://router.huggingface.co/${via}/models/${name.split('/').map(step).join('/')}/pipeline/feature-extraction`,
      body: jsonBody({
        ...extras,
        inputs: textsOf(inputs, 'Hugging Face'),
        ...(dimensions !== undefined && { dimensions }),
      }),
    })
    const value = readValue(answer.bytes)
    if (!Array.isArray(value)) readJson(answer)
    const nested = Array.isArray(value) && Array.isArray(value[0])
    return { vectors: vectorsIn(nested ? value : [value]) }
  },
}

/** Snowflake Cortex: each vector is in a list of its own. */
const snowflake: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange({ inputs, dimensions, user, inputType, extras }, { model }, lacks) {
    if (user !== undefined) lacks('user')
    if (dimensions !== undefined) lacks('dimensions')
    if (inputType !== undefined) lacks('input_type')
    const answer = yield* askOnce({
      path: '/cortex/inference:embed',
      body: jsonBody({ ...extras, model, text: textsOf(inputs, 'Snowflake') }),
    })
    const body = readJson(answer)
    const usage = object(body['usage'])
    const tokens = counted(usage['total_tokens'])
    return {
      vectors: list(body['data']).map((item) => {
        const vector = list(object(item)['embedding'])
        return numbersIn(Array.isArray(vector[0]) ? vector[0] : vector)
      }),
      ...(tokens !== undefined && { usage: readTokens(tokens, usage) }),
    }
  },
}

export const embeddingWires = { cohere, gemini, vertex, bedrock, ollama, tei, snowflake } as const

function* askEach<T>(
  items: readonly T[],
  sentFor: (item: T) => Sent,
): Exchange<readonly Answered[]> {
  const answers = yield items.map(sentFor)
  return items.map((_, at) => expected(answers[at]))
}

function pieces<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = []
  for (let at = 0; at < items.length; at += size) out.push(items.slice(at, at + size))
  return out
}

function summed(all: readonly Measured[]): Measured {
  if (!all.every(({ usage }) => usage)) return {}
  return { usage: readTokens(all.reduce((sum, { usage }) => sum + (usage?.input ?? 0), 0)) }
}

export function textsOf(inputs: readonly EmbeddingInput[], who: string): string[] {
  return inputs.map((input) => {
    if (input.type === 'text') return input.text
    if (input.type === 'tokens') throw noTokens(who)
    throw invalid('input', `${who} takes text here: pictures and parts cannot be mixed with it.`)
  })
}

const noTokens = (who: string): GatewayError =>
  invalid('input', `${who} takes text and no lists of tokens: send 'input' as strings.`)

export const imagesOf = (inputs: readonly EmbeddingInput[]): string[] =>
  inputs.every(({ type }) => type === 'image')
    ? inputs.flatMap((input) => (input.type === 'image' ? [input.url] : []))
    : []

/** `data:image/png;base64,…`. */
function dataOf(url: string): { mime: string; base64: string } {
  const comma = url.indexOf(',')
  const mime = url.slice(5, comma === -1 ? 5 : comma).split(';')[0] ?? ''
  return { mime: mime || 'image/png', base64: url.slice(comma + 1) }
}

export function vectorsIn(value: Json | undefined): number[][] {
  if (!Array.isArray(value))
    throw new GatewayError('bad_gateway', 'the upstream answered without embeddings')
  return value.map(numbersIn)
}

export function numbersIn(value: Json | undefined): number[] {
  if (!Array.isArray(value))
    throw new GatewayError('bad_gateway', 'the upstream answered without an embedding')
  return value.map((item) => number(item) ?? 0)
}
