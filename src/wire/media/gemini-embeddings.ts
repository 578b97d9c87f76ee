import { inputTokens, type Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { gemini } from '../gemini/wire.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { embeddingWires } from './embedding-wires.ts'
import {
  asNumbers,
  type EmbeddingInput,
  type EmbeddingRequest,
  type EmbeddingResult,
  numbersOf,
  usageOf,
} from './embeddings.ts'
import {
  askOnce,
  beside,
  invalid,
  jsonBody,
  type MediaWire,
  missing,
  numberOf,
  othersOf,
  readJson,
  textOf,
} from './media.ts'
import { createOperation, type Operation, type OperationBody } from './operation.ts'

/** Google's `:embedContent`. */
export const embedContent: Operation = operation(false)
/** Google's `:batchEmbedContents`. */
export const batchEmbedContents: Operation = operation(true)

function operation(batch: boolean): Operation {
  return createOperation<EmbeddingRequest, EmbeddingResult>({
    id: 'embeddings',
    dialect: gemini,
    passes: {},
    wires: {
      ...embeddingWires,
      openai: openaiLike('dimensions'),
      voyage: openaiLike('output_dimension'),
      jina: openaiLike('dimensions'),
    },
    decodeRequest: batch ? decodeBatch : (body) => decodeAll([body]),
    encodeResult: ({ vectors, usage }, _, counted) => {
      const all = vectors.map((vector) => ({ values: asNumbers(vector) }))
      const told = encodeUsage(usage ?? counted)
      return {
        type: 'json',
        value: batch ? { embeddings: all, ...told } : { embedding: all[0] ?? {}, ...told },
      }
    },
    bound: (body) => ({ textCharacters: saidIn(body).length, output: 0 }),
    text: saidIn,
  })
}

const encodeUsage = (usage: Usage | undefined): JsonObject =>
  usage
    ? {
        usageMetadata: {
          promptTokenCount: inputTokens(usage),
          totalTokenCount: inputTokens(usage),
        },
      }
    : {}

function decodeBatch(body: JsonObject): EmbeddingRequest {
  if (!Array.isArray(body['requests']) || body['requests'].length === 0) throw missing('requests')
  return decodeAll(body['requests'].map(object))
}

/** One set of parameters serves all: that of the first. */
function decodeAll(requests: readonly JsonObject[]): EmbeddingRequest {
  const first = requests[0] ?? {}
  const dimensions = numberOf(first['outputDimensionality'], 'outputDimensionality')
  const inputType = textOf(first['taskType'], 'taskType')
  return {
    model: '',
    inputs: requests.map(({ content }) => inputOf(content)),
    base64: false,
    ...(dimensions !== undefined && { dimensions }),
    ...(inputType !== undefined && { inputType }),
    extras: othersOf(first, known),
  }
}
const known = new Set(['model', 'content', 'taskType', 'outputDimensionality', 'requests'])

function inputOf(content: Json | undefined): EmbeddingInput {
  const { parts } = object(content)
  if (!Array.isArray(parts) || parts.length === 0) throw missing('content')
  const texts = parts.map((part) => text(object(part)['text']))
  return texts.every((said) => said !== undefined)
    ? { type: 'text', text: texts.join('') }
    : { type: 'parts', value: object(content) }
}

function saidIn(body: OperationBody): string {
  const requests = body.has('requests')
    ? list(body.field('requests')).map((one) => object(one)['content'])
    : [body.field('content')]
  return requests
    .flatMap((content) => list(object(content)['parts']))
    .map((part) => text(object(part)['text']) ?? '')
    .join('\n')
}

/** OpenAI's embeddings, for clients of another dialect. */
function openaiLike(sizeField: string): MediaWire<EmbeddingRequest, EmbeddingResult> {
  return {
    decodeError,
    *exchange({ inputs, dimensions, inputType, extras }, to, lacks) {
      if (inputType !== undefined && to.provider !== 'voyage' && to.provider !== 'jina_ai')
        lacks('taskType')
      const { title, ...others } = extras
      if (title !== undefined) lacks('title')
      const body = readJson(
        yield* askOnce({
          path: beside(to, '/embeddings'),
          body: jsonBody({
            ...others,
            model: to.model,
            input: inputs.map((input) => {
              if (input.type === 'text') return input.text
              throw invalid('content', 'this model embeds text and nothing else')
            }),
            ...(dimensions !== undefined && { [sizeField]: dimensions }),
            ...purpose(to.provider, inputType),
          }),
        }),
      )
      const usage = usageOf(body['usage'])
      const vectors = list(body['data']).map((item) => {
        const { embedding } = object(item)
        return text(embedding) ?? numbersOf(embedding)
      })
      if (vectors.length !== inputs.length)
        throw new GatewayError('bad_gateway', 'the upstream answered with too few embeddings')
      return { vectors, ...(usage && { usage }) }
    },
  }
}

/** Google's words for what a text is for. */
function purpose(provider: string, taskType: string | undefined): JsonObject {
  const isQuery = /QUERY/.test(taskType ?? '')
  if (taskType === undefined) return {}
  if (provider === 'voyage') return { input_type: isQuery ? 'query' : 'document' }
  if (provider === 'jina_ai') return { task: isQuery ? 'retrieval.query' : 'retrieval.passage' }
  return {}
}
