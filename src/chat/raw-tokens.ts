import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import { mediaOfUrl } from './media-tokens.ts'
import type { Sheet } from './sheet.ts'
import type { DescribedTool } from './tools-text.ts'

/** Writes the messages of a request onto the sheet as they came, in OpenAI's or Anthropic's words, undecoded. */
export function sayMessages(sheet: Sheet, messages: readonly Json[]): void {
  for (const said of messages) {
    const message = object(said)
    sheet.message(message.role, message.name)
    sayContent(sheet, message.content, 0)
    sheet.say(message.reasoning_content)
    sheet.say(message.refusal)
    for (const call of list(message.tool_calls)) {
      const called = object(object(call).function ?? object(call).custom)
      sheet.call(called.name, called.arguments ?? called.input)
    }
    const legacy = message.function_call
    if (isObject(legacy)) sheet.call(legacy.name, legacy.arguments)
  }
}

/** A tool in OpenAI's, Anthropic's or the Responses API's spelling; one the provider runs may have only a type. */
export function describeTool(tool: Json): DescribedTool {
  const outer = object(tool)
  const said = object(outer.function ?? outer.custom ?? outer)
  return {
    name: text(said.name) ?? text(outer.type) ?? '',
    description: text(said.description),
    schema: said.parameters ?? said.input_schema,
  }
}

function sayContent(sheet: Sheet, content: Json | undefined, depth: number): void {
  if (typeof content === 'string') sheet.say(content)
  if (depth > depthMax) return
  for (const said of list(content)) {
    if (typeof said === 'string') sheet.say(said)
    const block = object(said)
    const read = blocks.get(text(block.type) ?? '')
    if (read) read(sheet, block, depth)
    else for (const key in block) if (!opaque.has(key)) sheet.value(block[key])
  }
}

type Read = (sheet: Sheet, block: JsonObject, depth: number) => void

const image: Read = (sheet, { image_url, detail }) => {
  const url = text(image_url) ?? text(object(image_url).url) ?? ''
  sheet.media(mediaOfUrl('image', url, text(object(image_url).detail) ?? text(detail)))
}
const file = (sheet: Sheet, { filename, file_data }: JsonObject): void => {
  sheet.say(filename)
  sheet.media(mediaOfUrl('file', text(file_data) ?? ''))
}
/** Anthropic's `source`. */
const source: Read = (sheet, block, depth) => {
  const { type, data, media_type, content } = object(block.source)
  sheet.say(block.title)
  sheet.say(block.context)
  if (type === 'text') sheet.say(data)
  else if (type === 'content') sayContent(sheet, content, depth + 1)
  else {
    const kind = block.type === 'image' ? 'image' : 'file'
    sheet.media({ kind, base64: text(data), mime: text(media_type) })
  }
}

const blocks = new Map<string, Read>([
  ['text', (sheet, block) => sheet.say(block.text)],
  ['input_text', (sheet, block) => sheet.say(block.text)],
  ['output_text', (sheet, block) => sheet.say(block.text)],
  ['refusal', (sheet, block) => sheet.say(block.refusal)],
  ['thinking', (sheet, block) => sheet.say(block.thinking)],
  ['redacted_thinking', () => {}],
  ['image_url', image],
  ['input_image', image],
  ['image', source],
  ['document', source],
  [
    'video_url',
    (sheet, { video_url }) =>
      sheet.media(mediaOfUrl('video', text(video_url) ?? text(object(video_url).url) ?? '')),
  ],
  [
    'input_audio',
    (sheet, { input_audio }) => {
      const { data, format } = object(input_audio)
      sheet.media({ kind: 'audio', base64: text(data), mime: `audio/${text(format) ?? 'mp3'}` })
    },
  ],
  ['file', (sheet, block) => file(sheet, object(block.file))],
  ['input_file', file],
  [
    'tool_use',
    (sheet, { name, input }) => {
      sheet.call(name, undefined)
      sheet.value(input)
    },
  ],
  ['tool_result', (sheet, { content }, depth) => sayContent(sheet, content, depth + 1)],
])

/** Fields of an unknown block that a model does not read. */
const opaque = new Set([
  'type',
  'id',
  'tool_use_id',
  'cache_control',
  'signature',
  'encrypted_content',
])
const depthMax = 8
