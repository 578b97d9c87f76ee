import { deepEqual, equal, throws } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import { type Json, type JsonObject, list, object } from '../../json/json.ts'
import { toUtf8 } from '../../json/latin1.ts'
import { imageEdit, imageGeneration, imageVariation } from './images.ts'
import type { Answered } from './media.ts'
import type { Upload } from './upload.ts'

const ask = (more: JsonObject = {}): JsonObject => ({ model: 'public', prompt: 'a cat', ...more })

type Row = {
  name: string
  wire: string
  model: string
  body?: JsonObject
  answers: readonly (readonly Answered[])[]
  paths: string[]
  first: Json
  data: Json
  units?: object
  dropped?: string[]
}
const rows: Row[] = [
  {
    name: 'OpenAI’s bytes pass; pictures and pixels are counted',
    wire: 'openai',
    model: 'gpt-image-1',
    body: { size: '1024x1024', background: 'transparent', x: 1 },
    answers: [[answered({ created: 1, data: [{ b64_json: 'AA' }, { b64_json: 'AB' }] })]],
    paths: ['/images/generations'],
    first: {
      model: 'gpt-image-1',
      prompt: 'a cat',
      size: '1024x1024',
      background: 'transparent',
      x: 1,
    },
    data: [{ b64_json: 'AA' }, { b64_json: 'AB' }],
    units: { images: 2, pixels: 2 * 1024 * 1024 },
  },
  {
    name: 'Imagen predicts, in the ratio that is closest',
    wire: 'google',
    model: 'imagen-4.0-generate-001',
    body: { n: 2, size: '1792x1024', user: 'u' },
    answers: [
      [
        answered({
          predictions: [{ bytesBase64Encoded: 'AA', prompt: 'p' }, { bytesBase64Encoded: 'AB' }],
        }),
      ],
    ],
    paths: ['/models/imagen-4.0-generate-001:predict'],
    first: {
      instances: [{ prompt: 'a cat' }],
      parameters: { sampleCount: 2, aspectRatio: '16:9' },
    },
    data: [{ b64_json: 'AA', revised_prompt: 'p' }, { b64_json: 'AB' }],
    units: { images: 2 },
    dropped: ['user'],
  },
  {
    name: 'a Gemini model makes one picture an answer',
    wire: 'google',
    model: 'gemini-2.5-flash-image',
    body: { n: 2, size: '1024x1536' },
    answers: [
      ['AA', 'AB'].map((data) =>
        answered({
          candidates: [
            {
              content: {
                parts: [{ text: 'here' }, { inlineData: { mimeType: 'image/png', data } }],
              },
            },
          ],
          usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 10, totalTokenCount: 13 },
        }),
      ),
    ],
    paths: Array(2).fill('/models/gemini-2.5-flash-image:generateContent'),
    first: {
      contents: [{ role: 'user', parts: [{ text: 'a cat' }] }],
      generationConfig: {
        responseModalities: ['TEXT', 'IMAGE'],
        imageConfig: { aspectRatio: '2:3' },
      },
    },
    data: [{ b64_json: 'AA' }, { b64_json: 'AB' }],
    units: { images: 2 },
  },
  {
    name: 'Titan and Nova Canvas',
    wire: 'bedrock',
    model: 'amazon.nova-canvas-v1:0',
    body: { n: 1, size: '512x512', quality: 'hd' },
    answers: [[answered({ images: ['AA'] })]],
    paths: ['/model/amazon.nova-canvas-v1%3A0/invoke'],
    first: {
      taskType: 'TEXT_IMAGE',
      textToImageParams: { text: 'a cat' },
      imageGenerationConfig: { numberOfImages: 1, width: 512, height: 512, quality: 'premium' },
    },
    data: [{ b64_json: 'AA' }],
  },
  {
    name: 'Stability on Bedrock',
    wire: 'bedrock',
    model: 'stability.sd3-5-large-v1:0',
    body: { size: '1024x1024', output_format: 'png' },
    answers: [[answered({ images: ['AA'], finish_reasons: [null] })]],
    paths: ['/model/stability.sd3-5-large-v1%3A0/invoke'],
    first: { prompt: 'a cat', mode: 'text-to-image', aspect_ratio: '1:1', output_format: 'png' },
    data: [{ b64_json: 'AA' }],
  },
  {
    name: 'Stability’s own API is a form',
    wire: 'stability',
    model: 'sd3.5-large',
    body: { size: '1024x1792', seed: 7 },
    answers: [[answered({ image: 'AA', finish_reason: 'SUCCESS', seed: 7 })]],
    paths: ['/v2beta/stable-image/generate/sd3'],
    first: { prompt: 'a cat', aspect_ratio: '9:16', seed: 7, model: 'sd3.5-large' },
    data: [{ b64_json: 'AA' }],
  },
  {
    name: 'fal gives the picture itself where it is asked for',
    wire: 'fal',
    model: 'fal-ai/flux/dev',
    body: { n: 2, size: '1024x768', response_format: 'b64_json', guidance_scale: 3 },
    answers: [
      [
        answered({
          images: [{ url: 'data:image/png;base64,AA' }, { url: 'https://x.fal.media/b' }],
        }),
      ],
    ],
    paths: ['/fal-ai/flux/dev'],
    first: {
      prompt: 'a cat',
      num_images: 2,
      image_size: { width: 1024, height: 768 },
      sync_mode: true,
      guidance_scale: 3,
    },
    data: [{ b64_json: 'AA' }, { url: 'https://x.fal.media/b' }],
  },
  {
    name: 'Black Forest Labs is looked at until it is ready',
    wire: 'bfl',
    model: 'flux-pro-1.1',
    answers: [
      [answered({ id: 't', polling_url: 'https://api.us1.bfl.ai/v1/get_result?id=t' })],
      [answered({ status: 'Pending' })],
      [answered({ status: 'Ready', result: { sample: 'https://delivery.bfl.ai/a.png' } })],
    ],
    paths: [
      '/v1/flux-pro-1.1',
      'https://api.us1.bfl.ai/v1/get_result?id=t',
      'https://api.us1.bfl.ai/v1/get_result?id=t',
    ],
    first: { prompt: 'a cat' },
    data: [{ url: 'https://delivery.bfl.ai/a.png' }],
  },
  {
    name: 'Alibaba’s pictures are beside its OpenAI-compatible mode',
    wire: 'dashscope',
    model: 'qwen-image-2.0',
    body: { size: '1024x1024' },
    answers: [
      [answered({ output: { choices: [{ message: { content: [{ image: 'https://oss/a' }] } }] } })],
    ],
    paths: ['/api/v1/services/aigc/multimodal-generation/generation'],
    first: {
      model: 'qwen-image-2.0',
      input: { messages: [{ role: 'user', content: [{ text: 'a cat' }] }] },
      parameters: { n: 1, size: '1024*1024' },
    },
    data: [{ url: 'https://oss/a' }],
  },
  {
    name: 'OpenRouter makes pictures in its chat',
    wire: 'openrouter',
    model: 'google/gemini-image',
    answers: [
      [
        answered({
          choices: [{ message: { images: [{ image_url: { url: 'data:image/png;base64,AA' } }] } }],
          usage: { prompt_tokens: 2, completion_tokens: 9, cost: 0.01 },
        }),
      ],
    ],
    paths: ['/chat/completions'],
    first: {
      model: 'google/gemini-image',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'a cat' }] }],
      modalities: ['image', 'text'],
      usage: { include: true },
    },
    data: [{ b64_json: 'AA' }],
  },
]

describe('pictures, by provider', () => {
  for (const { name, wire, model, body, answers, paths, first, data, units, dropped } of rows)
    test(name, () => {
      const played = converse(imageGeneration, wire, targetOf('p', model), ask(body), answers)
      deepEqual(
        played.sent.map(({ path }) => path),
        paths,
      )
      deepEqual(played.bodies[0], first)
      deepEqual(list(played.json['data']), data)
      deepEqual(played.dropped, dropped ?? [])
      deepEqual(played.told.units, units ?? { images: list(data).length })
    })
})

test('usage: what is not told apart is the picture', () => {
  const usage = {
    input_tokens: 12,
    output_tokens: 200,
    total_tokens: 212,
    input_tokens_details: { text_tokens: 10, image_tokens: 2 },
  }
  const { told, json } = converse(imageGeneration, 'openai', targetOf('openai', 'm'), ask(), [
    [answered({ data: [{ b64_json: 'AA' }], usage })],
  ])
  deepEqual(
    [told.usage?.input, told.usage?.inputImage, told.usage?.output, told.usage?.outputImage],
    [10, 2, 0, 200],
  )
  deepEqual(json['usage'], usage)
})

test('an edit carries its pictures, and its mask', () => {
  const file = (name: string) => ({ name, mime: 'image/png', bytes: toUtf8(name) })
  const files = [
    { field: 'image[]', file: file('one') },
    { field: 'image[]', file: file('two') },
    { field: 'mask', file: file('mask') },
  ]
  const upload: Upload = {
    fields: new Map(),
    complete: true,
    ended: true,
    fileBytes: 0,
    encode: () => ({ type: 'form', fields: {}, files: [] }),
    file: () => undefined,
    files: () => files,
    hold: async () => {},
  }
  const played = converse(
    imageEdit,
    'bedrock',
    targetOf('bedrock', 'amazon.titan-image-generator-v2:0'),
    ask(),
    [[answered({ images: ['AA'] })]],
    { upload },
  )
  deepEqual(object(played.bodies[0])['inPaintingParams'], {
    image: btoa('one'),
    maskImage: btoa('mask'),
    text: 'a cat',
  })
})

describe('no picture', () => {
  const refusedBy: [name: string, wire: string, model: string, answer: Json][] = [
    ['Imagen', 'google', 'imagen-4', { predictions: [{ raiFilteredReason: 'unsafe' }] }],
    [
      'Gemini',
      'google',
      'gemini-2.5-flash-image',
      { candidates: [{ finishReason: 'IMAGE_SAFETY' }] },
    ],
    ['Stability', 'stability', 'core', { finish_reason: 'CONTENT_FILTERED' }],
    ['Canvas', 'bedrock', 'amazon.nova-canvas-v1:0', { error: 'blocked by our filters' }],
  ]
  for (const [name, wire, model, answer] of refusedBy)
    test(`${name} refuses: a content policy`, () => {
      throws(
        () => converse(imageGeneration, wire, targetOf('p', model), ask(), [[answered(answer)]]),
        {
          kind: 'content_policy',
          code: 'content_policy_violation',
        },
      )
    })

  const wrong: [body: JsonObject, param: string][] = [
    [{ model: 'm' }, 'prompt'],
    [ask({ size: 'large' }), 'size'],
    [ask({ n: 0 }), 'n'],
    [ask({ n: 'many' }), 'n'],
  ]
  for (const [body, param] of wrong)
    test(`${param} is named`, () => {
      throws(() => converse(imageGeneration, 'google', targetOf('p', 'imagen'), body, []), {
        param,
      })
    })
})

describe('Runway', () => {
  const draw = (body: JsonObject, ...rounds: Answered[][]) =>
    converse(
      imageGeneration,
      'runway',
      targetOf('runwayml', 'gen4_image'),
      { model: 'public', prompt: 'A cat', ...body },
      rounds,
    )

  test('a task, and a look until it is done', () => {
    const { sent, bodies, json, told } = draw(
      { n: 2, size: '1024x1792', seed: 5 },
      [answered({ id: 'a' }), answered({ id: 'b/c' })],
      [answered({ status: 'SUCCEEDED', output: ['https://x/1'] }), answered({ status: 'RUNNING' })],
      [answered({ status: 'SUCCEEDED', output: ['https://x/2'] })],
    )
    deepEqual(
      sent.map(({ path }) => path),
      ['/text_to_image', '/text_to_image', '/tasks/a', '/tasks/b%2Fc', '/tasks/b%2Fc'],
    )
    deepEqual(bodies[0], {
      model: 'gen4_image',
      promptText: 'A cat',
      ratio: '1080:1920',
      seed: 5,
    })
    deepEqual(json['data'], [{ url: 'https://x/1' }, { url: 'https://x/2' }])
    equal(told.units?.images, 2)
  })

  test('one that fails says why', () => {
    const ended = (more: JsonObject) => () =>
      draw({}, [answered({ id: 'a' })], [answered({ status: 'FAILED', ...more })])
    throws(ended({ failureCode: 'SAFETY.INPUT.TEXT' }), { kind: 'content_policy' })
    throws(ended({ failure: 'no capacity', failureCode: 'INTERNAL' }), {
      kind: 'bad_gateway',
      message: /no capacity/,
    })
  })
})

test('Topaz answers with the picture itself', () => {
  const file = { name: 'a.png', mime: 'image/png', bytes: toUtf8('picture') }
  const upload: Upload = {
    fields: new Map(),
    complete: true,
    ended: true,
    fileBytes: 0,
    encode: () => ({ type: 'form', fields: {}, files: [] }),
    file: () => file,
    files: () => [{ field: 'image', file }],
    hold: async () => {},
  }
  const vary = (body: JsonObject, answer: Answered) =>
    converse(imageVariation, 'topaz', targetOf('topaz', 'Standard V2'), body, [[answer]], {
      upload,
    })
  const picture = answered(toUtf8('larger'), { 'content-type': 'image/png' })
  const { sent, bodies, json, told, dropped } = vary(
    { size: '2048x1024', output_format: 'png', face_enhancement: true, n: 2 },
    picture,
  )
  equal(sent[0]?.path, '/image/v1/enhance')
  equal(sent[0]?.headers?.['accept'], 'image/png')
  deepEqual(bodies[0], {
    model: 'Standard V2',
    output_width: 2048,
    output_height: 1024,
    output_format: 'png',
    face_enhancement: true,
  })
  deepEqual(json['data'], [{ b64_json: btoa('larger') }])
  deepEqual([told.units, dropped], [{ images: 1 }, ['n']])
  throws(() => vary({}, answered({ message: 'no' })), { kind: 'bad_gateway' })
})
