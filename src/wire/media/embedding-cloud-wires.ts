import { type Json, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { servingMode } from '../oci/request.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { decodeError as decodeSagemaker } from '../sagemaker/errors.ts'
import { pathOf, placeOf } from '../watsonx/paths.ts'
import { imagesOf, numbersIn, textsOf, vectorsIn } from './embedding-wires.ts'
import type { EmbeddingInput, EmbeddingRequest, EmbeddingResult } from './embeddings.ts'
import {
  askOnce,
  counted,
  invalid,
  jsonBody,
  type Lacks,
  type MediaWire,
  readJson,
  readTokens,
  readValue,
  step,
} from './media.ts'

type EmbeddingWire = MediaWire<EmbeddingRequest, EmbeddingResult>

const lacking = (
  { dimensions, user, inputType }: EmbeddingRequest,
  lacks: Lacks,
  ...names: readonly ('dimensions' | 'user' | 'input_type')[]
): void => {
  const said = { dimensions, user, input_type: inputType }
  const left = names.filter((name) => said[name] !== undefined)
  if (left.length > 0) lacks(...left)
}

const used = (tokens: number | undefined, raw?: JsonObject) =>
  tokens === undefined ? {} : { usage: readTokens(tokens, raw) }

/** POST /ml/v1/text/embeddings (cloud.ibm.com/apidocs/watsonx-ai, 2026-11). */
const watsonx: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, to, lacks) {
    lacking(request, lacks, 'dimensions', 'user', 'input_type')
    const body = readJson(
      yield* askOnce({
        path: pathOf(to, 'text/embeddings'),
        body: jsonBody({
          ...placeOf(to),
          inputs: textsOf(request.inputs, 'watsonx.ai'),
          ...request.extras,
        }),
      }),
    )
    return {
      vectors: list(body['results']).map((item) => numbersIn(object(item)['embedding'])),
      ...used(counted(body['input_token_count'])),
    }
  },
}

/** SAP's orchestration service: OpenAI's answer in an envelope (help.sap.com, orchestration v2 embeddings, 2026-11). */
const sap: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, 'user')
    const { inputs, inputType, dimensions, extras } = request
    const { masking, parameters, version, type, ...others } = extras
    const left = Object.keys(others)
    if (left.length > 0) lacks(...left)
    const meant = type ?? inputType?.replace(/^search_/, '')
    const body = readJson(
      yield* askOnce({
        path: '/v2/embeddings',
        body: jsonBody({
          config: {
            modules: {
              embeddings: {
                model: {
                  name: model,
                  version: version ?? 'latest',
                  params: {
                    ...(dimensions !== undefined && { dimensions }),
                    ...object(parameters),
                  },
                },
              },
              ...(masking !== undefined && { masking }),
            },
          },
          input: {
            text: textsOf(inputs, 'SAP'),
            ...(meant !== undefined && { type: meant }),
          },
        }),
      }),
    )
    const told = object(body['final_result'])
    return {
      vectors: list(told['data']).map((item) => numbersIn(object(item)['embedding'])),
      ...used(counted(object(told['usage'])['prompt_tokens'])),
    }
  },
}

/** What a text is for, by Cohere's words in Oracle's capitals. */
const oci: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, to, lacks) {
    lacking(request, lacks, 'user')
    const { inputs, inputType, dimensions, extras } = request
    const images = imagesOf(inputs)
    const body = readJson(
      yield* askOnce({
        path: '/20231130/actions/embedText',
        body: jsonBody({
          compartmentId: to.values?.['oci_compartment_id'],
          servingMode: servingMode(to),
          inputs: images.length > 0 ? images : textsOf(inputs, 'Oracle'),
          inputType: (inputType ?? (images.length > 0 ? 'image' : 'search_document')).toUpperCase(),
          ...(dimensions !== undefined && { outputDimensions: dimensions }),
          ...extras,
        }),
      }),
    )
    const usage = object(body['usage'])
    return {
      vectors: vectorsIn(body['embeddings']),
      ...used(counted(usage['promptTokens']) ?? counted(usage['totalTokens'])),
    }
  },
}

/** Tensors in, tensors out (KServe's inference protocol, version 2): the texts are `input_text`, as LiteLLM's are. */
const triton: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, _, lacks) {
    lacking(request, lacks, 'dimensions', 'user', 'input_type')
    const texts = textsOf(request.inputs, 'Triton')
    const body = readJson(
      yield* askOnce({
        // The address names the model.
        path: '/infer',
        body: jsonBody({
          inputs: [{ name: 'input_text', shape: [texts.length], datatype: 'BYTES', data: texts }],
          ...request.extras,
        }),
      }),
    )
    // One tensor of all vectors, or several of them.
    return {
      vectors: list(body['outputs']).flatMap((output) => {
        const { shape, data } = object(output)
        const numbers = numbersIn(data)
        const size = number(list(shape).at(-1)) ?? numbers.length
        const width = size > 0 && numbers.length % size === 0 ? size : numbers.length
        return Array.from({ length: width === 0 ? 0 : numbers.length / width }, (_, at) =>
          numbers.slice(at * width, (at + 1) * width),
        )
      }),
    }
  },
}

/** An endpoint of Hugging Face's or JumpStart's containers: `{inputs}`, or Voyage's and Cohere's with OpenAI's words. */
const sagemaker: EmbeddingWire = {
  decodeError: decodeSagemaker,
  *exchange(request, { model, values = {} }, lacks) {
    lacking(request, lacks, 'user', 'input_type')
    const component = values['inference_component']
    const { inputs, dimensions, extras } = request
    const voyage = /voyage/i.test(model)
    if (!voyage) lacking(request, lacks, 'dimensions')
    const texts = textsOf(inputs, 'SageMaker')
    const value = readValue(
      (yield* askOnce({
        path: `/endpoints/${step(model)}/invocations`,
        ...(component !== undefined && {
          headers: { 'x-amzn-sagemaker-inference-component': component },
        }),
        body: jsonBody({
          ...(voyage
            ? { input: texts, ...(dimensions !== undefined && { output_dimension: dimensions }) }
            : { inputs: texts }),
          ...extras,
        }),
      })).bytes,
    )
    const told = object(value)
    const items = list(told['data']).map((item) => object(item)['embedding'] ?? null)
    return {
      vectors: vectorsIn(
        Array.isArray(value) ? value : (told['embedding'] ?? told['embeddings'] ?? items),
      ),
      ...used(counted(object(told['usage'])['total_tokens'])),
    }
  },
}

/** Chunks that know of each other: those of one document are sent together, questions each alone (docs.voyageai.com, 2026-11). */
const voyageContext: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, 'user')
    const { inputs, inputType, dimensions, extras } = request
    const { inputs: own, ...others } = extras
    const texts = textsOf(inputs, 'voyage-context')
    const body = readJson(
      yield* askOnce({
        path: '/contextualizedembeddings',
        body: jsonBody({
          model,
          inputs: own ?? (inputType === 'query' ? texts.map((one) => [one]) : [texts]),
          ...(inputType !== undefined && { input_type: inputType }),
          ...(dimensions !== undefined && { output_dimension: dimensions }),
          ...others,
        }),
      }),
    )
    const usage = object(body['usage'])
    return {
      vectors: list(body['data']).flatMap((group) =>
        list(object(group)['data']).map((item) => numbersIn(object(item)['embedding'])),
      ),
      ...used(counted(usage['total_tokens']), usage),
    }
  },
}

/** Texts and pictures in one vector each. */
const voyageMultimodal: EmbeddingWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, 'user')
    const { inputs, inputType, dimensions, extras } = request
    const body = readJson(
      yield* askOnce({
        path: '/multimodalembeddings',
        body: jsonBody({
          model,
          inputs: inputs.map((input) => ({ content: contentOf(input) })),
          ...(inputType !== undefined && { input_type: inputType }),
          ...(dimensions !== undefined && { output_dimension: dimensions }),
          ...extras,
        }),
      }),
    )
    const usage = object(body['usage'])
    const pixels = counted(usage['image_pixels'])
    return {
      vectors: list(body['data']).map((item) => numbersIn(object(item)['embedding'])),
      ...used(counted(usage['total_tokens']), usage),
      ...(pixels && { units: { pixels } }),
    }
  },
}

function contentOf(input: EmbeddingInput): Json[] {
  switch (input.type) {
    case 'text':
      return [
        /^https?:\/\/\S+\.(?:png|jpe?g|webp|gif)$/i.test(input.text)
          ? { type: 'image_url', image_url: input.text }
          : { type: 'text', text: input.text },
      ]
    case 'image':
      return [{ type: 'image_base64', image_base64: input.url }]
    case 'parts': {
      const { content } = input.value
      return Array.isArray(content) ? content : [text(content) ?? input.value]
    }
    case 'tokens':
      throw invalid('input', "Voyage takes text and no lists of tokens: send 'input' as strings.")
  }
}

export const embeddingCloudWires = {
  watsonx,
  oci,
  triton,
  sagemaker,
  sap,
  'voyage-context': voyageContext,
  'voyage-multimodal': voyageMultimodal,
} as const
