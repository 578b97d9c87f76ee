import { isObject, type Json, list } from '../json/json.ts'
import type { Encoder, EncodingName } from './bpe.ts'
import { type ChatRequest, type Choice, noUsage, type Part, type Usage } from './chat.ts'
import { estimator } from './estimate.ts'
import { type CountedMedia, mediaOfUrl, mediaTokens } from './media-tokens.ts'
import { describeTool, sayMessages } from './raw-tokens.ts'
import { createSheet, type Sheet } from './sheet.ts'
import { type DescribedTool, toolsText } from './tools-text.ts'

/**
 * Counts tokens where no provider did: usage an upstream left out, estimates before a call, the token counter's route.
 * Synchronous, never throws, and bounded whatever the text is: up to 128 KB are counted exactly, of more only 40
 * stretches all over it, from which the whole is reckoned.
 *
 * Claude, Gemini and every model whose tokenizer is not public are counted with o200k, which is an estimate: Claude
 * itself counts more, so ask Anthropic's count_tokens route where it matters.
 */
export function createTokenCounter({ encoderFor }: TokenCounterOptions = {}): TokenCounter {
  const encoder = (model: string): Encoder => encoderFor?.(model) ?? estimator
  const total = (sheet: Sheet, model: string): number =>
    sheet.tokens() + countTexts(sheet.texts, encoder(model)).tokens

  return {
    tokenizer: (model) => encoder(model).name,
    count(texts, model) {
      const { tokens, exact } = countTexts(texts, encoder(model))
      return { tokens, exact: exact && published.test(model) }
    },
    countText: (said, model) => countTexts([said], encoder(model)).tokens,
    countRequest(request, model) {
      const sheet = createSheet(model)
      sayRequest(sheet, request)
      return total(sheet, model)
    },
    countMessages(messages, tools, model, toolChoice) {
      const sheet = createSheet(model)
      sayMessages(sheet, messages)
      sheet.tools(list(tools).map(describeTool), messages.some(isSystem))
      sheet.choice(toolChoice)
      sheet.reply()
      return total(sheet, model)
    },
    countOutput(choices, model) {
      const said = createSheet(model)
      const thought = createSheet(model)
      let outputAudio = 0
      let outputImage = 0
      for (const { parts } of choices) {
        for (const part of parts) {
          if (part.type === 'reasoning') thought.say(part.text)
          else if (part.type !== 'media') sayPart(said, part)
          else if (part.media === 'image') outputImage += paintedImage
          else outputAudio += mediaTokens(mediaOf(part), model)
        }
      }
      return {
        output: total(said, model),
        reasoning: total(thought, model),
        outputAudio,
        outputImage,
      }
    },
  }
}

export type TokenCounterOptions = {
  /** Asked at every count, so an encoder that is still loading may answer `undefined`: then it is estimated. */
  encoderFor?: (model: string) => Encoder | undefined
}

export interface TokenCounter {
  /** What counts for this model: `o200k_base`, `cl100k_base` or `estimate`. */
  tokenizer(model: string): string
  /** Plain texts, and whether that is what the model itself would count. */
  count(texts: readonly string[], model: string): Count
  countText(said: string, model: string): number
  /** Everything the model reads: messages, tools, a schema to answer in, pictures. */
  countRequest(request: ChatRequest, model: string): number
  /** The same for the body of a chat request as it came (OpenAI's or Anthropic's blocks), without decoding it. */
  countMessages(
    messages: readonly Json[],
    tools: Json | undefined,
    model: string,
    toolChoice?: Json,
  ): number
  /** What the model wrote, in the buckets of `Usage`. */
  countOutput(choices: readonly Pick<Choice, 'parts'>[], model: string): Written
}

export type Count = { tokens: number; exact: boolean }
export type Written = Pick<Usage, 'output' | 'reasoning' | 'outputAudio' | 'outputImage'>

/** Usage as the ledger wants it, for an answer whose provider gave none. */
export const countedUsage = (input: number, written: Written): Usage => ({
  ...noUsage,
  ...written,
  input,
  estimated: true,
})

/** The encoding a model reads with; a prefix such as `azure/` or `ft:` does not matter. */
export const encodingOf = (model: string): EncodingName =>
  /(^|[/:])(gpt-4(?![o.\d])|gpt-3\.?5|text-embedding-|davinci-002|babbage-002)/.test(model)
    ? 'cl100k_base'
    : 'o200k_base'

/** Models whose tokenizer is known; of any other o200k is a likeness. */
const published =
  /(^|[/:])(gpt-|chatgpt-|o\d|codex-|computer-use-|text-embedding-|davinci-002|babbage-002)/

function countTexts(texts: readonly string[], encoder: Encoder): Count {
  if (!isWithin(texts, exactBytesMax)) return { tokens: reckon(texts, encoder), exact: false }
  let tokens = 0
  for (const said of texts) tokens += encoder.count(said)
  return { tokens, exact: encoder !== estimator }
}

/** Are the texts together at most so many bytes in UTF-8? */
function isWithin(texts: readonly string[], bytesMax: number): boolean {
  let bytes = 0
  for (const said of texts) bytes += said.length
  if (bytes > bytesMax) return false
  if (bytes * 3 <= bytesMax) return true
  for (const said of texts)
    for (let i = 0; i < said.length; i++) {
      const unit = said.charCodeAt(i)
      // Half of a pair is half of four bytes.
      if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
    }
  return bytes <= bytesMax
}

/** Counts stretches spread evenly over all texts, as if they stood one after the other. */
function reckon(texts: readonly string[], encoder: Encoder): number {
  let length = 0
  for (const said of texts) length += said.length
  const stride = length / stretches
  let sampled = 0
  let counted = 0
  let stretch = 0
  let offset = 0
  for (const said of texts) {
    while (stretch < stretches) {
      const start = Math.floor(stretch * stride) - offset
      const from = Math.max(0, start)
      const to = Math.min(said.length, start + stretchChars)
      if (to > from) {
        counted += encoder.count(said.slice(from, to))
        sampled += to - from
      }
      // It goes on in the next text.
      if (start + stretchChars > said.length) break
      stretch++
    }
    offset += said.length
  }
  return Math.round((counted * length) / Math.max(1, sampled))
}

function sayRequest(sheet: Sheet, { messages, tools, toolChoice, output }: ChatRequest): void {
  for (const { role, name, parts } of messages) {
    sheet.message(role, name)
    for (const part of parts) sayPart(sheet, part)
  }
  const described: DescribedTool[] = []
  for (const tool of tools) {
    if (tool.type === 'function') described.push(tool)
    else sheet.value(tool.type === 'server' ? tool.value : tool)
  }
  sheet.tools(described, messages.some(isSystem))
  if (toolChoice === 'none' || (typeof toolChoice === 'object' && 'name' in toolChoice))
    sheet.choice(toolChoice)
  if (output?.type === 'schema') sheet.say(toolsText([output]))
  sheet.reply()
}

function sayPart(sheet: Sheet, part: Part, depth = 0): void {
  switch (part.type) {
    case 'text':
    case 'reasoning':
    case 'refusal':
      sheet.say(part.text)
      break
    case 'media':
      sheet.say(part.name)
      sheet.media(mediaOf(part))
      break
    case 'tool-call':
      sheet.call(part.name, part.input)
      break
    case 'tool-result':
      if (depth < depthMax) for (const inner of part.parts) sayPart(sheet, inner, depth + 1)
      break
    case 'raw':
      sheet.value(part.value)
  }
}

function mediaOf({ media, source, detail }: Extract<Part, { type: 'media' }>): CountedMedia {
  if (source.type === 'url') return mediaOfUrl(media, source.url, detail)
  if (source.type === 'id') return { kind: media, detail }
  return { kind: media, base64: source.base64, mime: source.mime, detail }
}

const isSystem = (message: unknown): boolean => isObject(message) && message.role === 'system'

const depthMax = 8
/** A picture the model paints: what Gemini asks for one. */
const paintedImage = 1290

/** So much takes 9 ms of code or English and at most 28 of anything (Node 24, one core of a small machine). */
const exactBytesMax = 128 * 1024
/** Together fewer characters than any text over the limit has (three bytes each), so they do not overlap. */
const stretches = 40
const stretchChars = 1024
