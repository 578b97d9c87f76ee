import { inputTokens, type Usage } from '../../chat/chat.ts'
import {
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { bytesOf, latin1 } from '../../json/latin1.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { embeddingCloudWires } from './embedding-cloud-wires.ts'
import { embeddingWires } from './embedding-wires.ts'
import type { Measured } from './media.ts'
import {
  beside,
  counted,
  invalid,
  missing,
  numberOf,
  othersOf,
  readTokens,
  textOf,
} from './media.ts'
import {
  createOperation,
  type Operation,
  type OperationBody,
  type PassedAnswer,
} from './operation.ts'

export type EmbeddingInput =
  | { type: 'text'; text: string }
  | { type: 'tokens'; tokens: number[] }
  /** A picture as `data:image/png;base64,…`. */
  | { type: 'image'; url: string }
  /** Several parts that become one vector, in the provider's own words. */
  | { type: 'parts'; value: JsonObject }

export type EmbeddingRequest = {
  model: string
  inputs: EmbeddingInput[]
  dimensions?: number
  inputType?: string
  user?: string
  /** Vectors as base64 of little-endian float32. */
  base64: boolean
  /** What is not modelled: the provider's own parameters. */
  extras: JsonObject
}

/** A vector is a list of numbers, or base64 where it came so. */
export type EmbeddingResult = Measured & {
  vectors: (number[] | string)[]
  /** Top-level fields of the answer to be kept. */
  extras?: JsonObject
}

/** OpenAI's `POST /v1/embeddings`. */
export const embeddings: Operation = createOperation<EmbeddingRequest, EmbeddingResult>({
  id: 'embeddings',
  dialect: openaiChat,
  wires: { ...embeddingWires, ...embeddingCloudWires },
  passes: {
    openai: {
      path: (to) => beside(to, '/embeddings'),
      sees: (body, { quirks }) => quirks.dropBookkeeping === true && body.has('user'),
      adapt: (body) => {
        delete body['user']
      },
      measure,
      change: changed,
    },
    // Chat is below no version, and these are.
    v1: { path: () => '/v1/embeddings', measure, change: changed },
    voyage: {
      path: () => '/embeddings',
      // Two families have paths and words of their own.
      instead: ({ model }) =>
        /^voyage-context/.test(model)
          ? 'voyage-context'
          : /^voyage-multimodal/.test(model)
            ? 'voyage-multimodal'
            : undefined,
      sees: (body) => ['dimensions', 'encoding_format', 'user'].some((key) => body.has(key)),
      adapt(body) {
        rename(body, 'dimensions', 'output_dimension')
        // Only base64 or nothing (docs.voyageai.com, 2026-11).
        if (body['encoding_format'] !== 'base64') delete body['encoding_format']
        delete body['user']
      },
      measure,
      change: changed,
    },
    jina: {
      path: () => '/embeddings',
      adapt(body) {
        rename(body, 'encoding_format', 'embedding_type')
        delete body['user']
        const { input } = body
        const items = Array.isArray(input) ? input : [input]
        if (items.some((item) => text(item)?.startsWith('data:image/')))
          body['input'] = items.map((item): Json => {
            const said = text(item)
            if (said === undefined) return item ?? null
            // Bare base64, or an address (jina.ai/embeddings, 2026-11).
            return said.startsWith('data:image/')
              ? { image: said.slice(said.indexOf(',') + 1) }
              : { text: said }
          })
      },
      measure,
      change: changed,
    },
  },
  decodeRequest: decodeEmbeddings,
  encodeResult: (result, { model }, counted, { base64 }) => ({
    type: 'json',
    value: {
      ...result.extras,
      object: 'list',
      data: result.vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: base64 ? asBase64(vector) : asNumbers(vector),
      })),
      model,
      usage: encodeUsage(result.usage ?? counted),
    },
  }),
  bound: (body) => ({ textCharacters: textOfInputs(body).length, output: 0 }),
  text: textOfInputs,
})

function measure(answer: PassedAnswer): Measured {
  return { usage: usageOf(answer.field('usage')) }
}

function rename(body: JsonObject, from: string, to: string): void {
  if (body[from] === undefined) return
  body[to] ??= body[from]
  delete body[from]
}

export function decodeEmbeddings(body: JsonObject): EmbeddingRequest {
  const { input } = body
  if (input === undefined || input === null) throw missing('input')
  const format = textOf(body['encoding_format'], 'encoding_format')
  const dimensions = numberOf(body['dimensions'], 'dimensions')
  const inputType = textOf(body['input_type'], 'input_type')
  const user = textOf(body['user'], 'user')
  return {
    model: text(body['model']) ?? '',
    inputs: inputsOf(input),
    base64: format === 'base64',
    ...(dimensions !== undefined && { dimensions }),
    ...(inputType !== undefined && { inputType }),
    ...(user !== undefined && { user }),
    extras: othersOf(body, known),
  }
}
const known = new Set(['model', 'input', 'encoding_format', 'dimensions', 'input_type', 'user'])

function inputsOf(input: Json): EmbeddingInput[] {
  if (typeof input === 'string') return [inputOf(input)]
  if (!Array.isArray(input) || input.length === 0)
    throw invalid('input', "'input' must be a string, a list of strings, or lists of tokens.")
  if (isTokens(input)) return [{ type: 'tokens', tokens: input }]
  return input.map(inputOf)
}

function inputOf(item: Json): EmbeddingInput {
  if (typeof item === 'string')
    return item.startsWith('data:image/')
      ? { type: 'image', url: item }
      : { type: 'text', text: item }
  if (isTokens(item)) return { type: 'tokens', tokens: item }
  if (isObject(item)) {
    const said = text(item['text'])
    return said !== undefined && Object.keys(item).length === 1
      ? { type: 'text', text: said }
      : { type: 'parts', value: item }
  }
  throw invalid('input', "each item of 'input' must be a string or a list of tokens.")
}

const isTokens = (value: Json): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number')

function textOfInputs(body: OperationBody): string {
  const input = body.field('input')
  const texts = (Array.isArray(input) ? input : [input]).map((item) =>
    typeof item === 'string'
      ? item.startsWith('data:image/')
        ? ''
        : item
      : Array.isArray(item)
        ? ' x'.repeat(item.length)
        : (text(object(item)['text']) ?? ''),
  )
  return texts.every((said) => said === '') && Array.isArray(input)
    ? ' x'.repeat(input.length)
    : texts.join('\n')
}

export function usageOf(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const images = counted(object(value['prompt_tokens_details'])['image_tokens']) ?? 0
  const all =
    counted(value['prompt_tokens']) ??
    counted(value['input_tokens']) ??
    counted(value['total_tokens'])
  if (all === undefined) return undefined
  const inputImage = Math.min(images, all)
  return { ...readTokens(all - inputImage, value), inputImage }
}

export function encodeUsage(usage: Usage | undefined): JsonObject {
  if (usage?.raw && typeof usage.raw['prompt_tokens'] === 'number') return usage.raw
  const tokens = usage ? inputTokens(usage) : 0
  return { prompt_tokens: tokens, total_tokens: tokens }
}

/**
 * OpenAI's clients ask for base64 and take nothing else then, while many servers know only numbers; and some tell no
 * `prompt_tokens`.
 */
function changed(answer: PassedAnswer, asked: OperationBody): Record<string, string> {
  const out: Record<string, string> = {}
  if (asked.field('encoding_format') === 'base64' && /"embedding"\s*:\s*\[/.test(answer.said))
    out['data'] = JSON.stringify(
      list(answer.field('data')).map((item) => {
        const { embedding, ...rest } = object(item)
        return { ...rest, embedding: asBase64(text(embedding) ?? numbersOf(embedding)) }
      }),
    )
  const usage = object(answer.field('usage'))
  const total = counted(usage['total_tokens'])
  if (usage['prompt_tokens'] === undefined && total !== undefined)
    out['usage'] = JSON.stringify({ ...usage, prompt_tokens: total })
  return out
}

export function asBase64(vector: number[] | string): string {
  if (typeof vector === 'string') return vector
  const bytes = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, at) => {
    bytes.setFloat32(at * 4, value, true)
  })
  return btoa(latin1(new Uint8Array(bytes.buffer)))
}

export function asNumbers(vector: number[] | string): number[] {
  if (typeof vector !== 'string') return vector
  const bytes = bytesOf(atob(vector))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) =>
    view.getFloat32(at * 4, true),
  )
}

/** Numbers of a provider's vector; what is none is 0. */
export const numbersOf = (value: Json | undefined): number[] =>
  list(value).map((item) => number(item) ?? 0)
