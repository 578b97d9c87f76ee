import type { ChatResult, Choice, Finish, Part, Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { answerOf, clientsCall } from '../anthropic/response.ts'
import type { Notes } from '../wire.ts'
import { decodeException } from './errors.ts'

export function decodeResult(body: JsonObject, notes: Notes): ChatResult {
  const message = object(body.output).message
  if (!isObject(message)) throw withoutMessage(body)
  let answered = false
  let length = 0
  const parts = list(message.content)
    .filter(isObject)
    .flatMap(decodeBlock)
    .map((part): Part => {
      if (part.type === 'tool-call' && part.name === notes.outputTool) {
        answered = true
        return { type: 'text', text: answerOf(part.input, notes) }
      }
      if (part.type === 'tool-call') return clientsCall(part, notes)
      if (part.type !== 'text') return part
      const at = { start: length, end: length + part.text.length }
      length = at.end
      return part.annotations
        ? { ...part, annotations: part.annotations.map((said) => decodeCitation(said, at)) }
        : part
    })
  const reason = text(body.stopReason)
  const calls = parts.some((part) => part.type === 'tool-call')
  const finish = finishOf(reason, calls, answered)
  const fields = decodeFields(body)
  const choice: Choice = {
    parts,
    finish,
    ...(reason !== undefined && !answered && { reason }),
    ...(fields && { extras: { provider_specific_fields: fields } }),
  }
  const tier = tierOf(body)
  return {
    id: '',
    created: 0,
    model: notes.model,
    choices: [choice],
    usage: decodeUsage(object(body.usage)),
    ...(tier && { extras: tier }),
  }
}

/** An error in a success's clothes, or nothing anyone can read. */
function withoutMessage(body: JsonObject): GatewayError {
  const type = text(body.__type) ?? text(object(body.Output).__type)
  if (type !== undefined || text(body.message) !== undefined)
    return decodeException(type ?? '', JSON.stringify(body))
  return new GatewayError('bad_gateway', 'the upstream answered without a message')
}

function decodeBlock(block: JsonObject): Part[] {
  if (typeof block.text === 'string')
    return block.text === '' ? [] : [{ type: 'text', text: block.text }]
  if (isObject(block.reasoningContent)) return decodeThought(block.reasoningContent)
  if (isObject(block.toolUse) && block.toolUse.type === undefined) {
    const { toolUseId, name, input } = block.toolUse
    return [
      {
        type: 'tool-call',
        id: text(toolUseId) ?? '',
        name: text(name) ?? '',
        input: JSON.stringify(input ?? {}),
      },
    ]
  }
  if (isObject(block.citationsContent)) {
    const { content, citations } = block.citationsContent
    const annotations = list(citations).filter(isObject)
    return [
      {
        type: 'text',
        text: list(content)
          .map((piece) => text(object(piece).text) ?? '')
          .join(''),
        ...(annotations.length > 0 && { annotations }),
      },
    ]
  }
  const image = object(block.image)
  const bytes = text(object(image.source).bytes)
  if (bytes !== undefined)
    return [
      {
        type: 'media',
        media: 'image',
        source: { type: 'bytes', base64: bytes, mime: `image/${text(image.format) ?? 'png'}` },
      },
    ]
  return [{ type: 'raw', wire: 'bedrock-converse', value: block }]
}

function decodeThought({ reasoningText, redactedContent }: JsonObject): Part[] {
  const said = object(reasoningText)
  const signature = text(said.signature)
  const redacted = text(redactedContent)
  if (redacted !== undefined) return [{ type: 'reasoning', text: '', redacted }]
  return [{ type: 'reasoning', text: text(said.text) ?? '', ...(signature && { signature }) }]
}

/** `at` is where the cited text stands in the answer. The citation itself travels along. */
export function decodeCitation(
  citation: JsonObject,
  at: { start: number; end: number },
): JsonObject {
  const web = object(object(citation.location).web)
  const url = text(web.url)
  if (url === undefined) return citation
  return {
    type: 'url_citation',
    url_citation: {
      url,
      title: text(citation.title) ?? text(web.domain) ?? '',
      start_index: at.start,
      end_index: at.end,
    },
    citation,
  }
}

/** What else an answer tells; LiteLLM's clients look for a provider's own fields in this place. */
export function decodeFields(said: JsonObject): JsonObject | undefined {
  const fields: JsonObject = {}
  for (const name of ['trace', 'metrics', 'performanceConfig', 'additionalModelResponseFields']) {
    const value = said[name]
    if (value !== undefined && value !== null) fields[name] = value
  }
  return Object.keys(fields).length > 0 ? fields : undefined
}

export function tierOf({ serviceTier }: JsonObject): JsonObject | undefined {
  const type = text(object(serviceTier).type)
  return type === undefined ? undefined : { service_tier: type }
}

/**
 * `inputTokens` is what was neither read from the cache nor written to it. Thinking is part of `outputTokens` and not
 * told apart.
 */
export function decodeUsage(usage: JsonObject): Usage {
  const oneHour = list(usage.cacheDetails)
    .filter(isObject)
    .reduce((sum, { ttl, inputTokens }) => sum + (ttl === '1h' ? count(inputTokens) : 0), 0)
  const written = Math.max(count(usage.cacheWriteInputTokens), oneHour)
  return {
    input: count(usage.inputTokens),
    cacheRead: count(usage.cacheReadInputTokens),
    cacheWrite: written - oneHour,
    cacheWrite1h: oneHour,
    inputAudio: 0,
    inputImage: 0,
    output: count(usage.outputTokens),
    reasoning: 0,
    outputAudio: 0,
    outputImage: 0,
    searches: 0,
    raw: compact(usage),
  }
}

function count(value: Json | undefined): number {
  const said = number(value) ?? 0
  return said > 0 && said <= Number.MAX_SAFE_INTEGER ? Math.floor(said) : 0
}

/** Some models say `end_turn` although they call; a client waits for results exactly when it is told so. */
export function finishOf(reason: string | undefined, calls: boolean, answered: boolean): Finish {
  const finish =
    reason === undefined
      ? 'stop'
      : Object.hasOwn(finishes, reason)
        ? (finishes[reason] ?? 'other')
        : 'other'
  if (finish === 'stop' && calls) return 'tool-calls'
  if (finish === 'tool-calls' && !calls && answered) return 'stop'
  return finish
}

const finishes: Record<string, Finish> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool-calls',
  guardrail_intervened: 'content-filter',
  content_filtered: 'content-filter',
  malformed_model_output: 'other',
  malformed_tool_use: 'other',
}
