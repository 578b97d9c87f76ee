import { GatewayError } from '../../errors.ts'
import {
  bool,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { pathOf, placeOf } from '../watsonx/paths.ts'
import type { Target } from '../wire.ts'
import {
  type Answered,
  askOnce,
  counted,
  invalid,
  jsonBody,
  type Measured,
  type MediaWire,
  missing,
  numberOf,
  othersOf,
  readJson,
  readTokens,
  readValue,
  step,
  textOf,
} from './media.ts'
import {
  createOperation,
  type Operation,
  type OperationBody,
  type Pass,
  type PassedAnswer,
} from './operation.ts'

export type RerankRequest = {
  model: string
  query: string
  /** Texts, or maps with fields. */
  documents: (string | JsonObject)[]
  topN?: number
  returnDocuments?: boolean
  extras: JsonObject
}

export type RerankResult = Measured & {
  id?: string
  /** Best first. */
  results: { index: number; score: number; document?: Json }[]
  meta?: JsonObject
}

/** Cohere's rerank, of either version. */
export const rerank: Operation = createOperation<RerankRequest, RerankResult>({
  id: 'rerank',
  dialect: openaiChat,
  passes: {
    // Version 2 has no return_documents and no rank_fields; who asks for them speaks version 1.
    cohere: cohereLike((to, asked) =>
      to.provider === 'cohere' || to.provider === 'cohere_chat'
        ? asked.has('return_documents') ||
          asked.has('rank_fields') ||
          asked.has('max_chunks_per_doc')
          ? '/v1/rerank'
          : '/v2/rerank'
        : '/rerank',
    ),
    // Beside the OpenAI-compatible mode (help.aliyun.com, 2026-11).
    dashscope: { ...cohereLike(() => '/compatible-api/v1/reranks'), root: true },
    // Azure AI Foundry's models below the resource.
    azure: cohereLike(() => '/v1/rerank'),
  },
  wires: {
    voyage: voyage(),
    bedrock: bedrock(),
    vertex: vertex(),
    tei: tei(),
    nvidia: nvidia(),
    deepinfra: deepinfra(),
    watsonx: watsonx(),
  },
  decodeRequest,
  encodeResult: ({ id, results, meta, usage }, { requestId }, _, request) => ({
    type: 'json',
    value: {
      id: id ?? requestId,
      results: results.map(({ index, score, document }) => ({
        index,
        relevance_score: score,
        ...documentOf(document, index, request),
      })),
      meta: meta ?? (usage ? { tokens: { input_tokens: usage.input } } : {}),
    },
  }),
  bound: (body) => ({
    // Cohere counts a document of more than 500 tokens as several.
    queries: Math.ceil(
      Math.max(1, list(body.field('documents')).length + sizeOf(body) / 500) / 100,
    ),
    textCharacters: sizeOf(body),
    output: 0,
  }),
  // Priced by the query where nobody tells tokens.
  text: () => '',
  begun: (body) => ({
    text: '',
    units: { queries: Math.ceil(Math.max(1, list(body.field('documents')).length) / 100) },
  }),
})

function cohereLike(path: (to: Target, asked: OperationBody) => string): Pass {
  return {
    path: (to, _, asked) => path(to, asked),
    measure: measureCohere,
  }
}

/** A search unit is a query with up to 100 documents; servers that are priced by tokens tell those. */
function measureCohere(answer: PassedAnswer): Measured {
  const meta = object(answer.field('meta'))
  const billed = object(meta['billed_units'])
  const usage = object(answer.field('usage'))
  const tokens =
    counted(usage['total_tokens']) ??
    counted(usage['prompt_tokens']) ??
    counted(billed['total_tokens']) ??
    counted(object(meta['tokens'])['input_tokens'])
  return {
    units: { queries: counted(billed['search_units']) ?? 1 },
    ...(tokens !== undefined && { usage: readTokens(tokens) }),
  }
}

function decodeRequest(body: JsonObject): RerankRequest {
  const query = textOf(body['query'], 'query')
  if (query === undefined) throw missing('query')
  if (body['documents'] === undefined) throw missing('documents')
  if (!Array.isArray(body['documents']))
    throw invalid('documents', "'documents' must be a list of texts, or of objects with a text.")
  const documents = body['documents'].map((item) => {
    if (typeof item === 'string' || isObject(item)) return item
    throw invalid('documents', "each item of 'documents' must be a text or an object.")
  })
  const topN = numberOf(body['top_n'], 'top_n')
  const returnDocuments = bool(body['return_documents'])
  return {
    model: text(body['model']) ?? '',
    query,
    documents,
    ...(topN !== undefined && { topN }),
    ...(returnDocuments !== undefined && { returnDocuments }),
    extras: othersOf(body, known),
  }
}
const known = new Set(['model', 'query', 'documents', 'top_n', 'return_documents'])

const sizeOf = (body: OperationBody): number =>
  (text(body.field('query'))?.length ?? 0) +
  list(body.field('documents')).reduce(
    (sum: number, item) =>
      sum + (typeof item === 'string' ? item.length : JSON.stringify(item).length),
    0,
  )

function documentOf(
  document: Json | undefined,
  index: number,
  { returnDocuments, documents }: RerankRequest,
): { document?: JsonObject } {
  if (document !== undefined)
    return { document: isObject(document) ? document : { text: document } }
  if (!returnDocuments) return {}
  const own = documents[index]
  return own === undefined ? {} : { document: isObject(own) ? own : { text: own } }
}

const textsOf = ({ documents }: RerankRequest): string[] =>
  documents.map((item) =>
    typeof item === 'string' ? item : (text(item['text']) ?? JSON.stringify(item)),
  )

function best(results: RerankResult['results'], topN: number | undefined): RerankResult['results'] {
  const sorted = [...results].sort((a, b) => b.score - a.score)
  return topN === undefined ? sorted : sorted.slice(0, topN)
}

type RerankWire = MediaWire<RerankRequest, RerankResult>

/** `top_k`, and results under `data` (docs.voyageai.com, 2026-11). */
function voyage(): RerankWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, { model }) {
      const { query, topN, returnDocuments, extras } = request
      const body = readJson(
        yield* askOnce({
          path: '/rerank',
          body: jsonBody({
            ...extras,
            model,
            query,
            documents: textsOf(request),
            ...(topN !== undefined && { top_k: topN }),
            ...(returnDocuments !== undefined && { return_documents: returnDocuments }),
          }),
        }),
      )
      const tokens = counted(object(body['usage'])['total_tokens'])
      return {
        results: scored(body['data'], 'relevance_score'),
        units: { queries: 1 },
        ...(tokens !== undefined && { usage: readTokens(tokens) }),
      }
    },
  }
}

/** InvokeModel of Cohere's and Amazon's rerankers. The runtime's host serves it, so no second one is needed. */
function bedrock(): RerankWire {
  return {
    decodeError: decodeAws,
    *exchange(request, { model }) {
      const { query, topN, extras } = request
      const cohere = /cohere\./.test(model)
      const body = readJson(
        yield* askOnce({
          path: `/model/${encodeURIComponent(arnless(model))}/invoke`,
          body: jsonBody({
            ...extras,
            query,
            documents: textsOf(request),
            ...(topN !== undefined && { top_n: topN }),
            ...(cohere && extras['api_version'] === undefined && { api_version: 2 }),
          }),
        }),
      )
      return {
        results: scored(body['results'], 'relevance_score'),
        units: { queries: Math.max(1, Math.ceil(request.documents.length / 100)) },
      }
    },
  }
}

/** Foundation models are named by the last part of their ARN. */
const arnless = (model: string): string =>
  modelId(model).replace(/^arn:aws[\w-]*:bedrock:[\w-]*::foundation-model\//, '')

/** The ranking API of Vertex AI Search. It lives beside the models: on another host, below the project. */
function vertex(): RerankWire {
  return {
    decodeError: decodeGoogle,
    *exchange(request, { model }) {
      const { query, topN, returnDocuments, extras } = request
      const body = readJson(
        yield* askOnce({
          path: '/rankingConfigs/default_ranking_config:rank',
          home: 'https://discoveryengine.googleapis.com/v1/projects/{project}/locations/global/rankingConfigs/default_ranking_config:rank',
          body: jsonBody({
            ...extras,
            model: model.replace(/^semantic-ranker\//, ''),
            query,
            records: request.documents.map((item, at) => ({
              id: String(at),
              ...(typeof item === 'string'
                ? { content: item }
                : {
                    ...(text(item['title']) !== undefined && { title: text(item['title']) }),
                    content: text(item['content']) ?? text(item['text']) ?? JSON.stringify(item),
                  }),
            })),
            ...(topN !== undefined && { topN }),
            ignoreRecordDetailsInResponse: returnDocuments !== true,
          }),
        }),
      )
      return {
        results: list(body['records']).map((item) => {
          const { id, score } = object(item)
          return { index: Number(text(id) ?? 0) || 0, score: number(score) ?? 0 }
        }),
        units: { queries: Math.max(1, Math.ceil(request.documents.length / 100)) },
      }
    },
  }
}

/** `[{index, score, text}]` of Text Embeddings Inference. */
function tei(): RerankWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request) {
      const { query, topN, returnDocuments, extras } = request
      const answer: Answered = yield* askOnce({
        path: '/rerank',
        body: jsonBody({
          ...extras,
          query,
          texts: textsOf(request),
          ...(returnDocuments !== undefined && { return_text: returnDocuments }),
        }),
      })
      const value = readValue(answer.bytes)
      if (!Array.isArray(value)) readJson(answer)
      return { results: best(scored(value, 'score', 'text'), topN), units: { queries: 1 } }
    },
  }
}

/** NVIDIA's retrieval service names passages and tells logits (docs.nvidia.com/nim, 2026-11). */
function nvidia(): RerankWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, { model }) {
      const { query, topN, extras } = request
      const body = readJson(
        yield* askOnce({
          path: '/ranking',
          home: `https://ai.api.nvidia.com/v1/retrieval/${model.split('/').map(step).join('/')}/reranking`,
          body: jsonBody({
            ...extras,
            model,
            query: { text: query },
            passages: request.documents.map((item) =>
              typeof item === 'string' ? { text: item } : item,
            ),
          }),
        }),
      )
      return { results: best(scored(body['rankings'], 'logit'), topN), units: { queries: 1 } }
    },
  }
}

/** One score per document, in their order; a list of queries in. */
function deepinfra(): RerankWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, { model }) {
      const { query, topN, extras } = request
      const documents = textsOf(request)
      const body = readJson(
        yield* askOnce({
          path: `/v1/inference/${model.split('/').map(step).join('/')}`,
          root: true,
          body: jsonBody({ ...extras, queries: documents.map(() => query), documents }),
        }),
      )
      if (!Array.isArray(body['scores'])) throw noResults()
      const tokens = counted(body['input_tokens'])
      return {
        results: best(
          body['scores'].map((score, index) => ({ index, score: number(score) ?? 0 })),
          topN,
        ),
        units: { queries: 1 },
        ...(tokens !== undefined && { usage: readTokens(tokens) }),
      }
    },
  }
}

/** POST /ml/v1/text/rerank (cloud.ibm.com/apidocs/watsonx-ai, 2026-11). */
function watsonx(): RerankWire {
  return {
    decodeError: decodeOpenai,
    *exchange(request, to) {
      const { query, topN, extras } = request
      const { parameters, ...others } = extras
      const body = readJson(
        yield* askOnce({
          path: pathOf(to, 'text/rerank'),
          body: jsonBody({
            ...placeOf(to),
            query,
            inputs: textsOf(request).map((one) => ({ text: one })),
            parameters: {
              return_options: {
                ...(topN !== undefined && { top_n: topN }),
                inputs: request.returnDocuments === true,
              },
              ...object(parameters),
            },
            ...others,
          }),
        }),
      )
      const tokens = counted(body['input_token_count'])
      return {
        results: scored(body['results'], 'score', 'input'),
        units: { queries: 1 },
        ...(tokens !== undefined && { usage: readTokens(tokens) }),
      }
    },
  }
}

function scored(
  value: Json | undefined,
  key: string,
  documentKey = 'document',
): RerankResult['results'] {
  if (!Array.isArray(value)) throw noResults()
  return value.map((item) => {
    const one = object(item)
    const document = one[documentKey]
    return {
      index: number(one['index']) ?? 0,
      score: number(one[key]) ?? 0,
      ...(document !== undefined && document !== null && { document }),
    }
  })
}

const noResults = (): GatewayError =>
  new GatewayError('bad_gateway', 'the upstream answered without results')
