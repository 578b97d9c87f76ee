import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import { modelId } from '../bedrock-converse/family.ts'
import { decodeError as decodeGoogle } from '../gemini/errors.ts'
import { decodeUsage as googleUsage } from '../gemini/usage.ts'
import { decodeError as decodeOpenai } from '../openai-chat/errors.ts'
import { decodeUsage as openaiUsage } from '../openai-chat/response.ts'
import type { ImageRequest, ImageResult, MadeImage } from './images.ts'
import {
  askOnce,
  base64Of,
  type Exchange,
  expected,
  invalid,
  jsonBody,
  type Lacks,
  type MediaFile,
  type MediaWire,
  missing,
  readJson,
  readValue,
  step,
} from './media.ts'

type ImageWire = MediaWire<ImageRequest, ImageResult>

/** Google's two ways: Imagen predicts, the Gemini models generate content. */
const google: ImageWire = {
  decodeError: decodeGoogle,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['style', 'background', 'user'])
    return yield* /imagen|virtual-try-on|imagegeneration/.test(model)
      ? predicted(request, model, lacks)
      : generated(request, model, lacks)
  },
}

function* predicted(request: ImageRequest, model: string, lacks: Lacks): Exchange<ImageResult> {
  const { prompt, n, size, quality, outputFormat, images, mask, extras } = request
  if (quality !== undefined) lacks('quality')
  const { parameters, instances, ...others } = extras
  const answer = readJson(
    yield* askOnce({
      path: `/models/${step(model)}:predict`,
      body: jsonBody({
        instances: instances ?? [
          {
            prompt,
            ...(images.length > 0 && {
              referenceImages: [
                ...images.map((file, at) => ({
                  referenceType: 'REFERENCE_TYPE_RAW',
                  referenceId: at + 1,
                  referenceImage: { bytesBase64Encoded: base64Of(bytesIn(file)) },
                })),
                ...(mask
                  ? [
                      {
                        referenceType: 'REFERENCE_TYPE_MASK',
                        referenceId: images.length + 1,
                        referenceImage: { bytesBase64Encoded: base64Of(bytesIn(mask)) },
                        maskImageConfig: { maskMode: 'MASK_MODE_USER_PROVIDED' },
                      },
                    ]
                  : []),
              ],
            }),
          },
        ],
        parameters: {
          sampleCount: n,
          ...(size && { aspectRatio: ratioOf(size, imagenRatios) }),
          ...(outputFormat !== undefined && {
            outputOptions: { mimeType: `image/${outputFormat}` },
          }),
          ...others,
          ...object(parameters),
        },
      }),
    }),
  )
  const made = list(answer['predictions']).flatMap((item): MadeImage[] => {
    const { bytesBase64Encoded, prompt: revised } = object(item)
    const base64 = text(bytesBase64Encoded)
    if (base64 === undefined) return []
    const revisedPrompt = text(revised)
    return [{ base64, ...(revisedPrompt !== undefined && { revisedPrompt }) }]
  })
  const filtered = list(answer['predictions']).map((item) =>
    text(object(item)['raiFilteredReason']),
  )
  return result(
    made,
    filtered.find((reason) => reason !== undefined),
  )
}

function* generated(request: ImageRequest, model: string, lacks: Lacks): Exchange<ImageResult> {
  const { prompt, n, size, quality, outputFormat, images, mask, extras } = request
  if (mask) lacks('mask')
  if (outputFormat !== undefined) lacks('output_format')
  const { generationConfig, ...others } = extras
  const config = object(object(generationConfig)['imageConfig'])
  const body: JsonObject = {
    contents: [
      {
        role: 'user',
        parts: [
          ...images.map((file) => ({
            inlineData: { mimeType: file.mime, data: base64Of(bytesIn(file)) },
          })),
          { text: prompt },
        ],
      },
    ],
    generationConfig: {
      responseModalities: ['TEXT', 'IMAGE'],
      ...object(generationConfig),
      ...((size || quality !== undefined) && {
        imageConfig: {
          ...(size && { aspectRatio: ratioOf(size, geminiRatios) }),
          ...(quality !== undefined && { imageSize: sizes.get(quality) ?? quality }),
          ...config,
        },
      }),
    },
    ...others,
  }
  // One picture an answer.
  const answers = yield Array.from({ length: n }, () => ({
    path: `/models/${step(model)}:generateContent`,
    body: jsonBody(body),
  }))
  const bodies = Array.from({ length: n }, (_, at) => readJson(expected(answers[at])))
  const made = bodies.flatMap((one) =>
    list(one['candidates']).flatMap((candidate) =>
      list(object(object(candidate)['content'])['parts']).flatMap((part) => {
        const base64 = text(object(object(part)['inlineData'])['data'])
        return base64 === undefined || object(part)['thought'] === true ? [] : [{ base64 }]
      }),
    ),
  )
  const first = object(list(bodies[0]?.['candidates'])[0])
  const reason =
    text(first['finishMessage']) ??
    text(first['finishReason']) ??
    text(object(bodies[0]?.['promptFeedback'])['blockReason'])
  const usages = bodies.flatMap((one) => googleUsage(one['usageMetadata']) ?? [])
  const usage = usages[0] && { ...usages[0] }
  if (usage)
    for (const other of usages.slice(1)) for (const key of tokenKeys) usage[key] += other[key]
  return { ...result(made, reason), ...(usage && { usage: n === 1 ? usage : withoutRaw(usage) }) }
}

const withoutRaw = ({ raw: _, ...usage }: NonNullable<ImageResult['usage']>) => usage
const tokenKeys = [
  'input',
  'cacheRead',
  'inputAudio',
  'inputImage',
  'output',
  'reasoning',
  'outputAudio',
  'outputImage',
] as const

const sizes = new Map([
  ['low', '1K'],
  ['standard', '1K'],
  ['medium', '1K'],
  ['hd', '2K'],
  ['high', '2K'],
])
const imagenRatios = ['1:1', '3:4', '4:3', '9:16', '16:9']
const geminiRatios = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9']

/** The ratio a provider has that comes closest. */
function ratioOf(
  { width, height }: { width: number; height: number },
  known: readonly string[],
): string {
  const wanted = Math.log(width / Math.max(height, 1))
  const off = (ratio: string): number => {
    const [w = 1, h = 1] = ratio.split(':').map(Number)
    return Math.abs(Math.log(w / h) - wanted)
  }
  return known.reduce((best, ratio) => (off(ratio) < off(best) ? ratio : best))
}

/** InvokeModel: Titan and Nova Canvas, Stability's old and new models. */
const bedrock: ImageWire = {
  decodeError: decodeAws,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['background', 'user'])
    const path = `/model/${encodeURIComponent(modelId(model))}/invoke`
    if (/titan-image|nova-canvas/.test(model)) {
      // `error` beside the pictures says which of them were refused.
      const answer = yield* askOnce({ path, body: jsonBody(canvasBody(request, lacks)) })
      const body = object(readValue(answer.bytes))
      return result(madeIn(body['images'], 'image'), text(body['error']))
    }
    const old = /stable-diffusion-xl/.test(model)
    const answers = yield Array.from({ length: request.n }, (_, at) => ({
      path,
      body: jsonBody(old ? diffusionBody(request, at) : stabilityBody(request, model, lacks)),
    }))
    const bodies = Array.from({ length: request.n }, (_, at) => readJson(expected(answers[at])))
    const made = bodies.flatMap((body) =>
      old ? madeIn(body['artifacts'], 'base64') : madeIn(body['images'], 'image'),
    )
    const reasons = bodies.flatMap((body) => list(body['finish_reasons']))
    return result(
      made,
      reasons.map(text).find((reason) => reason !== undefined),
    )
  },
}

function canvasBody(
  { prompt, n, size, quality, style, images, mask, extras }: ImageRequest,
  lacks: Lacks,
): JsonObject {
  if (style !== undefined) lacks('style')
  const { imageGenerationConfig, textToImageParams, ...others } = extras
  const pictures = images.map((file) => base64Of(bytesIn(file)))
  const task: JsonObject = mask
    ? {
        taskType: 'INPAINTING',
        inPaintingParams: {
          image: pictures[0] ?? '',
          maskImage: base64Of(bytesIn(mask)),
          text: prompt,
        },
      }
    : pictures.length > 0
      ? {
          taskType: 'IMAGE_VARIATION',
          imageVariationParams: { images: pictures, ...(prompt !== '' && { text: prompt }) },
        }
      : {
          taskType: 'TEXT_IMAGE',
          textToImageParams: { text: prompt, ...object(textToImageParams) },
        }
  return {
    ...task,
    imageGenerationConfig: {
      numberOfImages: n,
      ...(size && { width: size.width, height: size.height }),
      ...(quality !== undefined && {
        quality: /^(hd|high|premium)$/.test(quality) ? 'premium' : 'standard',
      }),
      ...object(imageGenerationConfig),
    },
    ...others,
  }
}

function diffusionBody({ prompt, size, images, extras }: ImageRequest, at: number): JsonObject {
  const first = images[0]
  return {
    text_prompts: [{ text: prompt, weight: 1 }],
    ...(first
      ? { init_image: base64Of(bytesIn(first)) }
      : size && { width: size.width, height: size.height }),
    // The same seed would give the same picture twice.
    ...(at > 0 && { seed: at }),
    ...extras,
  }
}

function stabilityBody(
  { prompt, size, outputFormat, quality, style, images, mask, extras }: ImageRequest,
  model: string,
  lacks: Lacks,
): JsonObject {
  if (quality !== undefined) lacks('quality')
  const first = images[0]
  const whole = /sd3/.test(model)
  return {
    ...(prompt !== '' && { prompt }),
    ...(first && { image: base64Of(bytesIn(first)) }),
    ...(mask && { mask: base64Of(bytesIn(mask)) }),
    ...(whole && { mode: first ? 'image-to-image' : 'text-to-image' }),
    ...(whole && first && { strength: 0.7 }),
    ...(size && !first && { aspect_ratio: ratioOf(size, stabilityRatios) }),
    ...(outputFormat !== undefined && { output_format: outputFormat }),
    ...(style !== undefined && { style_preset: style }),
    ...extras,
  }
}
const stabilityRatios = ['1:1', '16:9', '21:9', '2:3', '3:2', '4:5', '5:4', '9:16', '9:21']

/** Stability AI's v2beta: a form for each picture, told as JSON. */
const stability: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'background', 'user'])
    const { prompt, n, size, style, outputFormat, images, mask, extras } = request
    const fields: Record<string, string | number | boolean | undefined> = {
      prompt: prompt || undefined,
      aspect_ratio: size && images.length === 0 ? ratioOf(size, stabilityRatios) : undefined,
      output_format: outputFormat,
      style_preset: style,
      ...plainFields(extras),
      ...(/^sd3/.test(model) && { model, mode: images.length > 0 ? 'image-to-image' : undefined }),
    }
    const answers = yield Array.from({ length: n }, () => ({
      path: `/v2beta/stable-image/${placeOf(model, images.length > 0)}`,
      headers: { accept: 'application/json' },
      body: {
        type: 'form' as const,
        fields,
        files: [
          ...images.slice(0, 1).map((file) => ({ field: 'image', file })),
          ...(mask ? [{ field: 'mask', file: mask }] : []),
        ],
      },
    }))
    const bodies = Array.from({ length: n }, (_, at) => readJson(expected(answers[at])))
    return result(
      bodies.flatMap((body) => madeIn([body['image'] ?? null], 'image')),
      text(bodies[0]?.['finish_reason']),
    )
  },
}

function placeOf(model: string, edits: boolean): string {
  const name = model.replace(/^stable-image-/, '')
  if (/^sd3/.test(name)) return 'generate/sd3'
  if (/^(ultra|core)$/.test(name)) return `generate/${name}`
  if (/^(fast|conservative|creative)$/.test(name)) return `upscale/${name}`
  if (/^(sketch|structure|style|style-transfer)$/.test(name)) return `control/${step(name)}`
  return edits ? `edit/${step(name)}` : `generate/${step(name)}`
}

/** fal.run answers when it is done. */
const fal: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'style', 'background', 'user'])
    const { prompt, n, size, outputFormat, images, mask, base64, extras } = request
    const addresses = images.map(dataUrl)
    const body = readJson(
      yield* askOnce({
        path: `/${model.split('/').map(step).join('/')}`,
        body: jsonBody({
          prompt,
          ...(n > 1 && { num_images: n }),
          ...(size && { image_size: { width: size.width, height: size.height } }),
          ...(outputFormat !== undefined && { output_format: outputFormat }),
          ...(addresses.length === 1 && { image_url: addresses[0] ?? '' }),
          ...(addresses.length > 1 && { image_urls: addresses }),
          ...(mask && { mask_url: dataUrl(mask) }),
          // The picture itself instead of its address.
          ...(base64 && { sync_mode: true }),
          ...extras,
        }),
      }),
    )
    const told = Array.isArray(body['images']) ? body['images'] : [body['image'] ?? null]
    return result(
      madeIn(told, 'url').map((image) =>
        image.base64?.startsWith('data:')
          ? { base64: image.base64.slice(image.base64.indexOf(',') + 1) }
          : image,
      ),
    )
  },
}

/** Black Forest Labs: a task, and a look at it until it is ready. */
const bfl: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'style', 'background', 'user'])
    const { prompt, n, size, outputFormat, images, mask, extras } = request
    const first = images[0]
    const body = {
      prompt,
      ...(size && { width: size.width, height: size.height }),
      ...(outputFormat !== undefined && { output_format: outputFormat }),
      ...(first && {
        [/fill|expand/.test(model) ? 'image' : 'input_image']: base64Of(bytesIn(first)),
      }),
      ...(mask && { mask: base64Of(bytesIn(mask)) }),
      ...extras,
    }
    const tasks = yield Array.from({ length: n }, () => ({
      path: `/v1/${step(model)}`,
      body: jsonBody(body),
    }))
    const waiting = Array.from({ length: n }, (_, at) => {
      const task = readJson(expected(tasks[at]))
      const id = encodeURIComponent(text(task['id']) ?? '')
      return text(task['polling_url']) ?? `/v1/get_result?id=${id}`
    })
    const made: MadeImage[] = []
    for (let looks = 0; waiting.length > 0; looks++) {
      if (looks === looksMax)
        throw new GatewayError('timeout', 'the picture was not ready in five minutes')
      const answers = yield waiting.map((path) => ({
        method: 'GET' as const,
        path,
        afterMs: looks === 0 ? 500 : 1500,
      }))
      const still: string[] = []
      waiting.forEach((path, at) => {
        const told = readJson(expected(answers[at]))
        const status = text(told['status']) ?? ''
        const url = text(object(told['result'])['sample'])
        if (url !== undefined) made.push({ url })
        else if (/moderated/i.test(status)) throw moderated(status)
        else if (/^(pending|queued|processing|ready)$/i.test(status)) still.push(path)
        else
          throw new GatewayError(
            'bad_gateway',
            `the provider's task ended as ${status.slice(0, 100)}`,
          )
      })
      waiting.splice(0, waiting.length, ...still)
    }
    return result(made)
  },
}
const looksMax = 200

/** Alibaba's own API: what makes pictures is beside the OpenAI-compatible mode. */
const dashscope: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'style', 'background', 'output_format', 'user'])
    const { prompt, n, size, images, mask, extras } = request
    if (mask) lacks('mask')
    const body = readJson(
      yield* askOnce({
        path: '/api/v1/services/aigc/multimodal-generation/generation',
        root: true,
        body: jsonBody({
          model,
          input: {
            messages: [
              {
                role: 'user',
                content: [...images.map((file) => ({ image: dataUrl(file) })), { text: prompt }],
              },
            ],
          },
          parameters: {
            n,
            ...(size && { size: `${size.width}*${size.height}` }),
            ...extras,
          },
        }),
      }),
    )
    const choices = list(object(body['output'])['choices'])
    const made = choices.flatMap((choice) =>
      madeIn(
        list(object(object(choice)['message'])['content']).filter(
          (part) => text(object(part)['image']) !== undefined,
        ),
        'image',
      ),
    )
    return result(made, text(body['message']))
  },
}

/** OpenRouter makes pictures in its chat. */
const openrouter: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['style', 'background', 'output_format'])
    const { prompt, n, size, quality, images, mask, user, extras } = request
    if (mask) lacks('mask')
    const ask = {
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: prompt },
            ...images.map((file) => ({ type: 'image_url', image_url: { url: dataUrl(file) } })),
          ],
        },
      ],
      modalities: ['image', 'text'],
      ...((size || quality !== undefined) && {
        image_config: {
          ...(size && { aspect_ratio: ratioOf(size, geminiRatios) }),
          ...(quality !== undefined && { image_size: sizes.get(quality) ?? quality }),
        },
      }),
      ...(user !== undefined && { user }),
      usage: { include: true },
      ...extras,
    }
    const answers = yield Array.from({ length: n }, () => ({
      path: '/chat/completions',
      body: jsonBody(ask),
    }))
    const bodies = Array.from({ length: n }, (_, at) => readJson(expected(answers[at])))
    const made = bodies.flatMap((body) =>
      list(body['choices']).flatMap((choice) =>
        list(object(object(choice)['message'])['images']).flatMap((image): MadeImage[] => {
          const url = text(object(object(image)['image_url'])['url'])
          if (url === undefined) return []
          return url.startsWith('data:') ? [{ base64: url.slice(url.indexOf(',') + 1) }] : [{ url }]
        }),
      ),
    )
    const usage = n === 1 && bodies[0] ? openaiUsage(bodies[0]) : undefined
    return { ...result(made), ...(usage && { usage }) }
  },
}

/** Runway: a task, and a look at it until it is done; its sizes are `width:height` (docs.dev.runwayml.com, 2026-11). */
const runway: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'style', 'background', 'output_format', 'user'])
    const { prompt, n, size, images, mask, base64, extras } = request
    if (mask) lacks('mask')
    if (base64) lacks('response_format')
    const { ratio, referenceImages, ...others } = extras
    const tasks = yield Array.from({ length: n }, () => ({
      path: '/text_to_image',
      body: jsonBody({
        model,
        promptText: prompt,
        ratio: ratio ?? ratioOf(size ?? { width: 1920, height: 1080 }, runwaySizes),
        ...(images.length > 0 && {
          referenceImages: images.map((file) => ({ uri: dataUrl(file) })),
        }),
        ...(referenceImages !== undefined && { referenceImages }),
        ...others,
      }),
    }))
    const waiting = Array.from({ length: n }, (_, at) =>
      step(text(readJson(expected(tasks[at]))['id']) ?? ''),
    )
    const made: MadeImage[] = []
    for (let looks = 0; waiting.length > 0; looks++) {
      if (looks === looksMax)
        throw new GatewayError('timeout', 'the picture was not ready in five minutes')
      // It asks to be looked at no more often than every five seconds, and is seldom done in two.
      const answers = yield waiting.map((id) => ({
        method: 'GET' as const,
        path: `/tasks/${id}`,
        afterMs: looks === 0 ? 2000 : 5000,
      }))
      const still: string[] = []
      for (const [at, id] of waiting.entries()) {
        const told = readJson(expected(answers[at]))
        const status = text(told['status']) ?? ''
        const code = text(told['failureCode']) ?? ''
        if (status === 'SUCCEEDED') made.push(...madeIn(told['output'], 'url'))
        else if (/^(PENDING|THROTTLED|RUNNING)$/.test(status)) still.push(id)
        else if (/SAFETY|MODERATION/.test(code)) throw moderated(code)
        else
          throw new GatewayError(
            'bad_gateway',
            `the provider's task ended as ${status.slice(0, 100)}: ${(text(told['failure']) ?? code).slice(0, 300)}`,
          )
      }
      waiting.splice(0, waiting.length, ...still)
    }
    return result(made)
  },
}
const runwaySizes = [
  '1920:1080',
  '1080:1920',
  '1024:1024',
  '1360:768',
  '1080:1080',
  '1168:880',
  '1440:1080',
  '1080:1440',
  '1808:768',
  '2112:912',
]

/** Topaz makes a picture larger and clearer, and answers with it (developer.topazlabs.com, enhance, 2026-11). */
const topaz: ImageWire = {
  decodeError: decodeOpenai,
  *exchange(request, { model }, lacks) {
    lacking(request, lacks, ['quality', 'style', 'background', 'user'])
    const { prompt, n, size, images, mask, outputFormat = 'jpeg', extras } = request
    const [picture] = images
    if (prompt !== '') lacks('prompt')
    if (!picture) throw missing('image')
    if (mask) lacks('mask')
    if (n > 1) lacks('n')
    if (images.length > 1) throw invalid('image', 'send one picture: Topaz takes no more.')
    const answer = yield* askOnce({
      path: '/image/v1/enhance',
      headers: { accept: `image/${outputFormat.replace(/[^a-z]/g, '')}` },
      body: {
        type: 'form',
        fields: {
          model,
          output_width: size?.width,
          output_height: size?.height,
          output_format: outputFormat,
          ...plainFields(extras),
        },
        files: [{ field: 'image', file: picture }],
      },
    })
    if (!answer.header('content-type')?.startsWith('image/'))
      throw new GatewayError('bad_gateway', 'the upstream answered without a picture')
    return result([{ base64: base64Of(answer.bytes) }])
  },
}

export const imageWires = {
  google,
  bedrock,
  stability,
  fal,
  bfl,
  dashscope,
  openrouter,
  runway,
  topaz,
} as const

/** Pictures of a JSON answer of a provider's, whatever they are called. */
const madeIn = (values: Json | undefined, key: string): MadeImage[] =>
  list(values).flatMap((item): MadeImage[] => {
    const said = text(item) ?? text(object(item)[key])
    if (said === undefined) return []
    return said.startsWith('http') ? [{ url: said }] : [{ base64: said }]
  })

function lacking(
  request: ImageRequest,
  lacks: Lacks,
  fields: readonly ('quality' | 'style' | 'background' | 'output_format' | 'user')[],
): void {
  const given = { ...request, output_format: request.outputFormat }
  const left = fields.filter((field) => given[field] !== undefined)
  if (left.length > 0) lacks(...left)
}

function result(images: MadeImage[], reason?: string): ImageResult {
  if (images.length > 0) return { images, units: { images: images.length } }
  if (reason === undefined)
    throw new GatewayError('bad_gateway', 'the upstream answered without a picture')
  throw moderated(reason)
}

const moderated = (reason: string): GatewayError =>
  new GatewayError('content_policy', `the provider made no picture: ${reason.slice(0, 500)}`, {
    code: 'content_policy_violation',
  })

function bytesIn({ bytes, name }: MediaFile): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw invalid('image', `the file '${name}' is too large for this provider`)
}

const dataUrl = (file: MediaFile): string => `data:${file.mime};base64,${base64Of(bytesIn(file))}`

const plainFields = (extras: JsonObject): Record<string, string | number | boolean> =>
  Object.fromEntries(
    Object.entries(extras).flatMap(([key, value]: [string, Json | undefined]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [[key, value]]
        : [],
    ),
  )
