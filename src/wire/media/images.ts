import { noUsage, type Usage } from '../../chat/chat.ts'
import { isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { imageWires } from './image-wires.ts'
import {
  beside,
  compactUnits,
  counted,
  invalid,
  type Measured,
  type Measures,
  type MediaFile,
  missing,
  numberOf,
  othersOf,
  textOf,
} from './media.ts'
import {
  type Bound,
  createOperation,
  type Operation,
  type OperationBody,
  type OperationRow,
  type Pass,
  type PassedAnswer,
} from './operation.ts'
import { usageTap } from './tap.ts'
import type { Upload } from './upload.ts'

export type ImageRequest = {
  model: string
  prompt: string
  n: number
  /** `1024x1024`; absent: the provider's own. */
  size?: { width: number; height: number }
  quality?: string
  style?: string
  background?: string
  /** `png`, `jpeg`, `webp`. */
  outputFormat?: string
  base64: boolean
  user?: string
  /** Pictures to start from: an edit. */
  images: MediaFile[]
  mask?: MediaFile
  extras: JsonObject
}

export type MadeImage = { base64?: string; url?: string; revisedPrompt?: string }
export type ImageResult = Measured & { images: MadeImage[] }

const row: Omit<OperationRow<ImageRequest, ImageResult>, 'id' | 'passes'> = {
  dialect: openaiChat,
  wires: imageWires,
  decodeRequest: decodeImages,
  encodeResult: ({ images, usage }, { created }) => ({
    type: 'json',
    value: {
      created,
      data: images.map(({ base64, url, revisedPrompt }) => ({
        ...(base64 !== undefined && { b64_json: base64 }),
        ...(url !== undefined && { url }),
        ...(revisedPrompt !== undefined && { revised_prompt: revisedPrompt }),
      })),
      ...(usage && { usage: encodeImageUsage(usage) }),
    },
  }),
  bound: boundOf,
  text: () => '',
  begun: (body) => ({
    text: text(body.field('prompt')) ?? '',
    units: measuresOf(countAsked(body), body),
  }),
}

const passTo = (path: string): Pass => ({
  path: (to) => beside(to, path),
  live: 'stream',
  measure,
  tap: () => usageTap(usageOfImages),
})

/** OpenAI's `POST /v1/images/generations`. */
export const imageGeneration: Operation = createOperation({
  ...row,
  id: 'image',
  passes: { openai: passTo('/images/generations') },
})

/** OpenAI's `POST /v1/images/edits`, a form. */
export const imageEdit: Operation = createOperation({
  ...row,
  bound: boundOfEdit,
  id: 'image_edit',
  form: true,
  wholeForm: true,
  passes: { openai: passTo('/images/edits'), recraft: passTo('/images/imageToImage') },
})

/** OpenAI's `POST /v1/images/variations`, a form. */
export const imageVariation: Operation = createOperation({
  ...row,
  bound: boundOfEdit,
  id: 'image_variation',
  form: true,
  wholeForm: true,
  passes: { openai: passTo('/images/variations') },
})

/** The largest of OpenAI's at their best quality are 6,240 tokens, written as well as read. */
const tokensOfPicture = 6500

function boundOf(body: OperationBody): Bound {
  const images = Math.min(countAsked(body), 1e6)
  const textCharacters = text(body.field('prompt'))?.length ?? 0
  return { images, textCharacters, output: images * tokensOfPicture }
}

/** How many pictures a form brings shows only at its end: before, it is as many as there may be. */
function boundOfEdit(body: OperationBody, bytes: number, upload: Upload | undefined): Bound {
  const named = ['image', 'images', 'mask'].flatMap((name) => body.field(name) ?? []).length
  const most = bytes > 0 ? Math.min(picturesMax, Math.ceil(bytes / pictureBytesMin)) : picturesMax
  const brought = !upload ? 0 : upload.complete ? upload.files().length : most
  return { ...boundOf(body), pictureTokens: (named + brought) * tokensOfPicture }
}
/** OpenAI takes sixteen and a mask (platform.openai.com/docs/api-reference/images, 2026-11). */
const picturesMax = 17
/** The smallest picture with its place in a form. */
const pictureBytesMin = 150

function decodeImages(body: JsonObject, upload: Upload | undefined): ImageRequest {
  const prompt = textOf(body['prompt'], 'prompt')
  const files = upload?.files() ?? []
  const images = files
    .filter(({ field }) => /^image(\[\d*\])?$/.test(field))
    .map(({ file }) => file)
  const mask = files.find(({ field }) => field === 'mask')?.file
  if (prompt === undefined && images.length === 0) throw missing('prompt')
  const size = sizeOf(textOf(body['size'], 'size'))
  const quality = textOf(body['quality'], 'quality')
  const style = textOf(body['style'], 'style')
  const background = textOf(body['background'], 'background')
  const outputFormat = textOf(body['output_format'], 'output_format')
  const user = textOf(body['user'], 'user')
  const n = numberOf(body['n'], 'n') ?? 1
  if (!Number.isInteger(n) || n < 1 || n > 100) throw invalid('n', "'n' must be from 1 to 100.")
  return {
    model: text(body['model']) ?? '',
    prompt: prompt ?? '',
    n,
    ...(size && { size }),
    ...(quality !== undefined && { quality }),
    ...(style !== undefined && { style }),
    ...(background !== undefined && { background }),
    ...(outputFormat !== undefined && { outputFormat }),
    base64: body['response_format'] === 'b64_json',
    ...(user !== undefined && { user }),
    images,
    ...(mask && { mask }),
    extras: othersOf(body, known),
  }
}
const known = new Set(
  `model prompt n size quality style background output_format response_format user stream partial_images image
  mask moderation output_compression input_fidelity`.split(/\s+/),
)

function sizeOf(said: string | undefined): { width: number; height: number } | undefined {
  if (said === undefined || said === 'auto') return undefined
  const found = /^(\d{1,5})x(\d{1,5})$/.exec(said)
  if (!found) throw invalid('size', "'size' must be like 1024x1024, or auto.")
  return { width: Number(found[1]), height: Number(found[2]) }
}

function measure(answer: PassedAnswer, asked: OperationBody): Measured {
  const usage = usageOfImages(answer.field('usage'))
  return { units: measuresOf(piecesIn(answer, asked), asked), ...(usage && { usage }) }
}

const countAsked = (body: OperationBody): number => Math.max(1, Number(body.field('n') ?? 1) || 1)

function measuresOf(images: number, asked: OperationBody): Measures {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text(asked.field('size')) ?? '') ?? []
  return compactUnits({
    images,
    pixels: width && height ? images * Number(width) * Number(height) : undefined,
  })
}

/** How many pictures; the answer, which is megabytes of them, is not read for that. */
function piecesIn(answer: PassedAnswer, asked: OperationBody): number {
  const found = answer.said.match(/"(?:b64_json|url)"\s*:\s*"/g)?.length
  return found ?? countAsked(asked)
}

export function usageOfImages(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const input = counted(value['input_tokens'])
  const output = counted(value['output_tokens'])
  if (input === undefined && output === undefined) return undefined
  const read = object(value['input_tokens_details'])
  const wrote = object(value['output_tokens_details'])
  const inputImage = Math.min(input ?? 0, counted(read['image_tokens']) ?? 0)
  // What is not told apart is the picture.
  const outputText = Math.min(output ?? 0, counted(wrote['text_tokens']) ?? 0)
  return {
    ...noUsage,
    input: (input ?? 0) - inputImage,
    inputImage,
    output: outputText,
    outputImage: (output ?? 0) - outputText,
    raw: value,
  }
}

function encodeImageUsage(usage: Usage): JsonObject {
  if (usage.raw && typeof usage.raw['input_tokens'] === 'number') return usage.raw
  const input = usage.input + usage.inputImage + usage.inputAudio + usage.cacheRead
  const output = usage.output + usage.outputImage + usage.reasoning
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    input_tokens_details: { text_tokens: input - usage.inputImage, image_tokens: usage.inputImage },
  }
}
