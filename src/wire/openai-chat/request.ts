import type {
  CacheHint,
  ChatRequest,
  Effort,
  MediaPart,
  Message,
  OutputFormat,
  Part,
  Role,
  Source,
  Tool,
  ToolCallPart,
  ToolChoice,
} from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import {
  bool,
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'
import { lostFields } from '../foreign.ts'
import { effortOf, nearest, thinks } from '../openai-responses/effort.ts'
import { isSearch, lostOfSearch, refusesSearch, searchOptions } from '../search-tool.ts'
import type { Encoded, Target } from '../wire.ts'
import { adaptRequest } from './adapt.ts'
import { asFunction, inputAsArguments } from './custom.ts'

/** Fields of the body that the house models; the others travel in `extras`. */
const known = new Set(
  `model messages tools functions tool_choice function_call parallel_tool_calls max_tokens max_completion_tokens stop
  temperature top_p top_k seed n presence_penalty frequency_penalty logit_bias logprobs top_logprobs response_format
  reasoning_effort verbosity modalities audio web_search_options service_tier user stream stream_options`.split(
    /\s+/,
  ),
)

export function decodeRequest(body: JsonObject): ChatRequest {
  const messages = readMessages(body)
  const request: ChatRequest = {
    model: text(body.model) ?? '',
    messages: messages.map(decodeMessage),
    tools: [
      ...list(body.tools).map(decodeTool),
      ...list(body.functions).map((fn) => decodeTool({ type: 'function', function: fn })),
    ],
    stream: body.stream === true,
    extras: extrasOf(body, known) ?? {},
  }
  const take = <K extends keyof ChatRequest>(key: K, value: ChatRequest[K] | undefined) => {
    if (value !== undefined) request[key] = value
  }
  take('maxTokens', number(body.max_completion_tokens) ?? number(body.max_tokens))
  take('temperature', number(body.temperature))
  take('topP', number(body.top_p))
  take('topK', number(body.top_k))
  take('seed', number(body.seed))
  take('n', number(body.n))
  take('presencePenalty', number(body.presence_penalty))
  take('frequencyPenalty', number(body.frequency_penalty))
  take('logitBias', isObject(body.logit_bias) ? body.logit_bias : undefined)
  take('logprobs', bool(body.logprobs))
  take('topLogprobs', number(body.top_logprobs))
  take('user', text(body.user))
  take('verbosity', text(body.verbosity))
  take('serviceTier', text(body.service_tier))
  take('parallelTools', bool(body.parallel_tool_calls))
  take('modalities', strings(body.modalities))
  take('audio', isObject(body.audio) ? body.audio : undefined)
  take('webSearch', isObject(body.web_search_options) ? body.web_search_options : undefined)
  take('stop', typeof body.stop === 'string' ? [body.stop] : strings(body.stop))
  take('toolChoice', decodeToolChoice(body.tool_choice ?? body.function_call))
  take('output', decodeOutput(body.response_format))
  take('reasoning', decodeReasoning(body))
  take('streamUsage', bool(object(body.stream_options).include_usage))
  return request
}

/** Refuses what cannot be a conversation, in the words LiteLLM's clients know. */
export function readMessages(body: JsonObject): Json[] {
  const refuse = (message: string) =>
    new GatewayError('bad_request', message, { param: 'messages', type: 'invalid_request_error' })
  if (body.messages === undefined || body.messages === null)
    throw refuse("Missing required parameter: 'messages'.")
  if (!Array.isArray(body.messages)) throw refuse("'messages' must be a list of message objects.")
  body.messages.forEach((message, at) => {
    if (!isObject(message)) throw refuse(`'messages[${at}]' must be an object with a role.`)
    if (typeof message.role !== 'string') throw refuse(`'messages[${at}].role' must be a string.`)
  })
  return body.messages
}

const strings = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined

const roles: ReadonlyMap<string, Role> = new Map(
  Object.entries({
    system: 'system',
    developer: 'developer',
    user: 'user',
    assistant: 'assistant',
    tool: 'tool',
    function: 'tool',
  }),
)

const knownOfMessage = new Set(
  `role content name tool_calls tool_call_id function_call refusal reasoning_content reasoning reasoning_text
  thinking_blocks cache_control`.split(/\s+/),
)

function decodeMessage(value: Json): Message {
  const message = object(value)
  const role = roles.get(text(message.role) ?? '') ?? 'user'
  const name = text(message.name)
  const extras = extrasOf(message, knownOfMessage)
  const cache = decodeCache(message.cache_control)
  const said = decodeContent(message.content)
  if (role === 'tool') {
    const part: Part = {
      type: 'tool-result',
      id: text(message.tool_call_id) ?? name ?? '',
      parts: said,
      failed: false,
      ...(name !== undefined && { name }),
      ...(cache && { cache }),
    }
    return { role, parts: [part], ...(extras && { extras }) }
  }
  const parts = role === 'assistant' ? [...decodeThoughts(message), ...said] : said
  const refusal = text(message.refusal)
  if (refusal) parts.push({ type: 'refusal', text: refusal })
  parts.push(...decodeCalls(message))
  const last = parts.at(-1)
  if (cache && last && last.type !== 'raw' && last.type !== 'reasoning' && last.type !== 'refusal')
    last.cache = cache
  return { role, parts, ...(name !== undefined && { name }), ...(extras && { extras }) }
}

/** Thoughts with signatures come as thinking_blocks; a bare text as reasoning_content (or what other servers call it). */
export function decodeThoughts(message: JsonObject): Part[] {
  const blocks = list(message.thinking_blocks).flatMap((value): Part[] => {
    const block = object(value)
    if (block.type === 'redacted_thinking')
      return [{ type: 'reasoning', text: '', redacted: text(block.data) ?? '' }]
    if (block.type !== 'thinking') return []
    const signature = text(block.signature)
    return [
      { type: 'reasoning', text: text(block.thinking) ?? '', ...(signature && { signature }) },
    ]
  })
  if (blocks.length > 0) return blocks
  const thought =
    text(message.reasoning_content) ?? text(message.reasoning) ?? text(message.reasoning_text)
  return thought ? [{ type: 'reasoning', text: thought }] : []
}

export function decodeCalls(message: JsonObject): ToolCallPart[] {
  const calls = list(message.tool_calls).map((value): ToolCallPart => {
    const call = object(value)
    const custom = call.type === 'custom'
    const fn = object(custom ? call.custom : call.function)
    const signature = decodeSignature(call)
    return {
      type: 'tool-call',
      id: text(call.id) ?? '',
      name: text(fn.name) ?? '',
      input: (custom ? text(fn.input) : decodeArguments(fn.arguments)) ?? '',
      ...(custom && { kind: 'custom' as const }),
      ...(signature && { signature }),
    }
  })
  if (isObject(message.function_call))
    calls.push({
      type: 'tool-call',
      id: text(message.function_call.name) ?? '',
      name: text(message.function_call.name) ?? '',
      input: decodeArguments(message.function_call.arguments) ?? '',
    })
  return calls
}

/** Arguments are JSON text; some servers send the object itself. */
const decodeArguments = (value: Json | undefined): string | undefined =>
  isObject(value) ? JSON.stringify(value) : text(value)

/** Gemini's thought signature, where LiteLLM puts it and where Google's own compatible route does. */
export const decodeSignature = (call: JsonObject): string | undefined =>
  text(object(call.provider_specific_fields).thought_signature) ??
  text(object(object(call.function).provider_specific_fields).thought_signature) ??
  text(object(object(call.extra_content).google).thought_signature)

export function decodeCache(value: Json | undefined): CacheHint | undefined {
  if (!isObject(value)) return undefined
  return value.ttl === '1h' || value.ttl === '5m' ? { ttl: value.ttl } : {}
}

export function decodeContent(content: Json | undefined): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map((value): Part => {
    if (typeof value === 'string') return { type: 'text', text: value }
    const part = object(value)
    const cache = decodeCache(part.cache_control)
    const hint = cache && { cache }
    switch (part.type) {
      case 'text':
      case 'input_text':
      case 'output_text':
        return { type: 'text', text: text(part.text) ?? '', ...hint }
      case 'refusal':
        return { type: 'refusal', text: text(part.refusal) ?? '' }
      case 'image_url': {
        const image = isObject(part.image_url) ? part.image_url : { url: part.image_url }
        const detail = text(image.detail)
        return {
          type: 'media',
          media: 'image',
          source: decodeUrl(text(image.url) ?? '', text(image.format)),
          ...(detail !== undefined && { detail }),
          ...hint,
        }
      }
      case 'video_url':
        return {
          type: 'media',
          media: 'video',
          source: decodeUrl(text(object(part.video_url).url) ?? text(part.video_url) ?? ''),
          ...hint,
        }
      case 'input_audio': {
        const audio = object(part.input_audio)
        const format = text(audio.format) ?? 'wav'
        return {
          type: 'media',
          media: 'audio',
          source: { type: 'bytes', base64: text(audio.data) ?? '', mime: `audio/${format}` },
          ...hint,
        }
      }
      case 'file':
        return { ...decodeFile(object(part.file)), ...hint }
      default:
        return { type: 'raw', wire: 'openai-chat', value: part }
    }
  })
}

function decodeFile(file: JsonObject): MediaPart {
  const name = text(file.filename)
  const data = text(file.file_data)
  const id = text(file.file_id)
  const format = text(file.format)
  const source: Source =
    data !== undefined
      ? decodeUrl(data, format ?? 'application/pdf')
      : id !== undefined && /^https?:/.test(id)
        ? decodeUrl(id, format)
        : { type: 'id', id: id ?? '', ...(format !== undefined && { mime: format }) }
  return { type: 'media', media: 'file', source, ...(name !== undefined && { name }) }
}

/** A data URL is bytes, another URL a URL; bare base64 (some clients' `file_data`) is bytes of the stated type. */
export function decodeUrl(url: string, mime?: string): Source {
  const head = url.slice(0, 256)
  const data = /^data:([^;,]*)(?:;[^,]*)?;base64,/i.exec(head)
  if (data)
    return {
      type: 'bytes',
      mime: data[1] || mime || 'application/octet-stream',
      base64: url.slice(data[0].length),
    }
  if (/^[a-z][a-z0-9+.-]*:/i.test(head))
    return { type: 'url', url, ...(mime !== undefined && { mime }) }
  return { type: 'bytes', mime: mime ?? 'application/octet-stream', base64: url }
}

function decodeTool(value: Json): Tool {
  const tool = object(value)
  if (tool.type === 'custom') {
    const custom = object(tool.custom)
    const description = text(custom.description)
    return {
      type: 'custom',
      name: text(custom.name) ?? '',
      ...(description !== undefined && { description }),
      ...(isObject(custom.format) && { format: custom.format }),
    }
  }
  if (tool.type !== 'function' && !isObject(tool.function))
    return { type: 'server', wire: 'openai-chat', value: tool }
  const fn = object(tool.function)
  const description = text(fn.description)
  const strict = bool(fn.strict)
  const cache = decodeCache(tool.cache_control) ?? decodeCache(fn.cache_control)
  return {
    type: 'function',
    name: text(fn.name) ?? '',
    ...(description !== undefined && { description }),
    ...(isObject(fn.parameters) && { schema: fn.parameters }),
    ...(strict !== undefined && { strict }),
    ...(cache && { cache }),
  }
}

export function decodeToolChoice(value: Json | undefined): ToolChoice | undefined {
  if (value === 'auto' || value === 'none' || value === 'required') return value
  if (value === 'any') return 'required'
  const choice = object(value)
  if (choice.type === 'allowed_tools') {
    const allowed = object(choice.allowed_tools)
    return {
      names: list(allowed.tools).flatMap((tool) => text(object(object(tool).function).name) ?? []),
      mode: allowed.mode === 'required' ? 'required' : 'auto',
    }
  }
  const name =
    text(object(choice.function).name) ?? text(object(choice.custom).name) ?? text(choice.name)
  if (name !== undefined) return { name }
  const type = choice.type
  return type === 'auto' || type === 'none' || type === 'required' ? type : undefined
}

function decodeOutput(value: Json | undefined): OutputFormat | undefined {
  const format = object(value)
  if (format.type === 'text') return { type: 'text' }
  // LiteLLM also takes {type: json_object, response_schema: {…}}.
  const loose = isObject(format.response_schema) ? format.response_schema : undefined
  if (format.type === 'json_object')
    return loose ? { type: 'schema', name: 'response', schema: loose } : { type: 'json' }
  if (format.type !== 'json_schema') return undefined
  const schema = object(format.json_schema)
  const strict = bool(schema.strict)
  const description = text(schema.description)
  return {
    type: 'schema',
    name: text(schema.name) ?? 'response',
    schema: object(schema.schema),
    ...(strict !== undefined && { strict }),
    ...(description !== undefined && { description }),
  }
}

const efforts = new Set(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
const isEffort = (value: unknown): value is Effort =>
  typeof value === 'string' && efforts.has(value)

/** `reasoning_effort` may also be an object ({effort, summary}); `thinking` is Anthropic's, and stays in extras for its wire. */
function decodeReasoning(body: JsonObject): ChatRequest['reasoning'] {
  const stated = object(body.reasoning_effort)
  const effort = isEffort(body.reasoning_effort) ? body.reasoning_effort : stated.effort
  const summary = text(stated.summary)
  const thinking = object(body.thinking)
  const budget = thinking.type === 'disabled' ? 0 : number(thinking.budget_tokens)
  if (!isEffort(effort) && budget === undefined && thinking.type === undefined) return undefined
  return {
    ...(isEffort(effort) && { effort }),
    ...(budget !== undefined && { budget }),
    ...(thinking.type === 'adaptive' && { adaptive: true }),
    ...(thinking.type === 'enabled' && budget === undefined && { budget: -1 }),
    ...(summary !== undefined && { summary }),
  }
}

/** What every compatible server takes; the row's quirks then adapt it, as they adapt a body that passes. */
export function encodeRequest(request: ChatRequest, to: Target): Encoded {
  const dropped: string[] = []
  const { dialect } = request
  // Another dialect's freeform tools and lists of allowed ones are told in words that every server knows.
  const plain = dialect !== undefined && dialect !== 'openai-chat'
  const custom = new Set<string>()
  const search = plain ? searchOf(request, to, dropped) : undefined
  const tools = offered(request, plain).flatMap((tool) => {
    if (search && isSearch(tool)) return []
    if (tool.type !== 'custom' || !plain) return encodeTool(tool, dropped)
    custom.add(tool.name)
    return encodeTool(asFunction(tool), dropped)
  })
  const hasTools = tools.length > 0 || !plain
  const extras = extrasFor(request, dropped)
  const body = compact({
    ...extras,
    model: to.model,
    messages: request.messages.flatMap((message) => encodeMessage(message, plain, dropped)),
    tools: tools.length > 0 ? tools : undefined,
    tool_choice: hasTools ? encodeToolChoice(chosen(request, plain), plain) : undefined,
    parallel_tool_calls: hasTools ? request.parallelTools : undefined,
    max_completion_tokens: request.maxTokens,
    stop: request.stop,
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK,
    seed: request.seed,
    n: request.n,
    presence_penalty: request.presencePenalty,
    frequency_penalty: request.frequencyPenalty,
    logit_bias: request.logitBias,
    logprobs: request.logprobs,
    top_logprobs: request.topLogprobs,
    reasoning_effort: encodeEffort(request, to, plain, dropped),
    verbosity: request.verbosity,
    modalities: request.modalities,
    audio: request.audio,
    web_search_options: request.webSearch ?? search,
    service_tier: request.serviceTier,
    response_format: encodeOutput(request.output),
    user: request.user,
    stream: request.stream || undefined,
    stream_options:
      request.stream && !to.quirks.noStreamUsage ? { include_usage: true } : undefined,
  })
  dropped.push(...adaptRequest(body, to))
  const notes = { model: to.model, ...(custom.size > 0 && { customTools: custom }) }
  return { body, dropped, notes }
}

/** Another dialect's search, where the model searches in chat. */
function searchOf(
  { tools, toolChoice, webSearch }: ChatRequest,
  to: Target,
  dropped: string[],
): JsonObject | undefined {
  const tool = tools.find(isSearch)
  const searches = to.info.supports_web_search === true && !refusesSearch(to.quirks)
  if (!tool || !searches || webSearch || toolChoice === 'none') return undefined
  dropped.push(...lostOfSearch(tool, true))
  return searchOptions(tool)
}

/** A tool that the provider runs is no function that could be called by name. */
function chosen({ tools, toolChoice }: ChatRequest, plain: boolean): ToolChoice | undefined {
  if (!plain || typeof toolChoice !== 'object' || !('name' in toolChoice)) return toolChoice
  const { name } = toolChoice
  return tools.some((tool) => tool.type === 'server' && tool.value.name === name)
    ? undefined
    : toolChoice
}

/** Tools that may not be called are not sent, which comes to the same. */
function offered({ tools, toolChoice }: ChatRequest, plain: boolean): Tool[] {
  if (!plain || typeof toolChoice !== 'object' || 'name' in toolChoice) return tools
  const { names } = toolChoice
  return tools.filter((tool) => tool.type === 'server' || names.includes(tool.name))
}

/** Another dialect's own fields mean nothing here, and OpenAI refuses what it does not know. */
function extrasFor(request: ChatRequest, dropped: string[]): JsonObject {
  const { extras, dialect } = request
  if (dialect === undefined || dialect === 'openai-chat') {
    const { thinking: _, ...others } = extras
    return others
  }
  dropped.push(...lostFields(request))
  return {}
}

/**
 * OpenAI's own words go as they are. A budget or an effort of another dialect is brought to what the model knows, and
 * left out where it does not think: its clients ask every model alike.
 */
function encodeEffort(
  { reasoning }: ChatRequest,
  to: Target,
  plain: boolean,
  dropped: string[],
): string | undefined {
  if (!reasoning) return undefined
  const effort = effortOf(reasoning)
  if (!plain || effort === undefined) return effort
  const off = effort === 'none'
  const taken = thinks(to) === false ? undefined : nearest(effort, to.info)
  if (taken !== undefined && (taken !== 'none' || knowsNone(to))) return taken
  // A model that does not think has nothing to be turned off.
  if (!off || thinks(to) !== false) dropped.push('thinking')
  return undefined
}

/** Where neither the catalogue nor the row says so, `none` is more often refused than known. */
const knowsNone = ({ info, quirks }: Target): boolean =>
  info.supports_none_reasoning_effort === true ||
  quirks.effortAsThinking === true ||
  quirks.effortAsEnableThinking === true ||
  quirks.effortNoneAsThinkingOff === true

function encodeMessage(message: Message, plain: boolean, dropped: string[]): JsonObject[] {
  const out: JsonObject[] = []
  for (const part of message.parts)
    if (part.type === 'tool-result')
      out.push(
        compact({
          role: 'tool',
          tool_call_id: part.id,
          name: part.name,
          content: encodeContent(part.parts, 'tool', dropped) ?? '',
          ...(message.role === 'tool' ? message.extras : undefined),
        }),
      )
  const said = message.parts.filter((part) => part.type !== 'tool-result')
  if (said.length === 0 && (out.length > 0 || message.role === 'tool')) return out
  const calls = said.filter((part) => part.type === 'tool-call')
  const content = encodeContent(said, message.role, dropped)
  // Of what only another wire understands, nothing is left to say.
  if (said.every((part) => part.type === 'raw') && isEmptyList(content) && said.length > 0)
    return out
  out.push(
    compact({
      role: message.role === 'tool' ? 'user' : message.role,
      content: isEmptyList(content) ? (calls.length > 0 ? null : '') : content,
      name: message.name,
      ...encodeThoughts(said),
      refusal: said.find((part) => part.type === 'refusal')?.text,
      tool_calls:
        calls.length > 0
          ? calls.map((call) => encodeCall(plain ? plainCall(call) : call))
          : undefined,
      ...message.extras,
    }),
  )
  return out
}

const isEmptyList = (content: Json | undefined): boolean =>
  content === undefined || (Array.isArray(content) && content.length === 0)

const plainCall = (call: ToolCallPart): ToolCallPart =>
  call.kind === 'custom'
    ? { ...call, kind: 'function', input: inputAsArguments(call.input) }
    : call.input.trim() === ''
      ? { ...call, input: '{}' }
      : call

/** reasoning_content for everyone; thinking_blocks where a signature must travel. */
export function encodeThoughts(parts: readonly Part[]): JsonObject {
  const thoughts = parts.filter((part) => part.type === 'reasoning')
  const plain = thoughts.map((part) => part.text).join('')
  const signed = thoughts.some(
    (part) => part.signature !== undefined || part.redacted !== undefined,
  )
  return compact({
    reasoning_content: plain || undefined,
    thinking_blocks: signed
      ? thoughts.map((part) =>
          part.redacted !== undefined
            ? { type: 'redacted_thinking', data: part.redacted }
            : compact({ type: 'thinking', thinking: part.text, signature: part.signature }),
        )
      : undefined,
  })
}

export const encodeCall = (call: ToolCallPart): JsonObject =>
  compact({
    id: call.id,
    type: call.kind === 'custom' ? 'custom' : 'function',
    [call.kind === 'custom' ? 'custom' : 'function']:
      call.kind === 'custom'
        ? { name: call.name, input: call.input }
        : { name: call.name, arguments: call.input },
    provider_specific_fields:
      call.signature === undefined ? undefined : { thought_signature: call.signature },
  })

/** The same in an answer: signed where Google's compatible route signs too, since clients (the AI SDK) send that back. */
export const answeredCall = (call: ToolCallPart): JsonObject =>
  call.signature === undefined
    ? encodeCall(call)
    : { ...encodeCall(call), extra_content: { google: { thought_signature: call.signature } } }

/** One plain text as a string, anything else as parts; undefined when nothing was said. */
function encodeContent(parts: readonly Part[], role: Role, dropped: string[]): Json | undefined {
  const said = parts.filter(
    (part) => part.type === 'text' || part.type === 'media' || part.type === 'raw',
  )
  const only = said[0]
  if (said.length === 0) return undefined
  if (said.length === 1 && only?.type === 'text' && !only.cache) return only.text
  const content = said.flatMap((part) => encodePart(part, role, dropped))
  const [left] = content
  // What only another wire understands has gone: the text that is left is plain again.
  const isPlain = content.length === 1 && left?.type === 'text' && left.cache_control === undefined
  return isPlain ? left.text : content
}

function encodePart(part: Part, role: Role, dropped: string[]): JsonObject[] {
  if (part.type === 'text')
    return [
      compact({
        type: 'text',
        text: part.text,
        cache_control: part.cache && encodeCache(part.cache),
      }),
    ]
  if (part.type === 'raw') {
    if (part.wire === 'openai-chat') return [part.value]
    dropped.push(`messages[].content[].${text(part.value.type) ?? part.wire}`)
    return []
  }
  if (part.type !== 'media') return []
  const { source } = part
  const url =
    source.type === 'bytes'
      ? `data:${source.mime};base64,${source.base64}`
      : source.type === 'url'
        ? source.url
        : source.id
  const cache_control = part.cache && encodeCache(part.cache)
  if (part.media === 'image' && source.type !== 'id')
    return [
      compact({
        type: 'image_url',
        image_url: compact({ url, detail: part.detail }),
        cache_control,
      }),
    ]
  if (part.media === 'audio' && source.type === 'bytes')
    return [
      compact({
        type: 'input_audio',
        input_audio: {
          data: source.base64,
          format: source.mime.replace(/^audio\/(x-)?/, '').replace('mpeg', 'mp3'),
        },
        cache_control,
      }),
    ]
  if (part.media === 'video')
    return [compact({ type: 'video_url', video_url: { url }, cache_control })]
  if (source.type === 'url') {
    // OpenAI's chat takes no file by URL; other servers do, as file_id.
    return [
      compact({
        type: 'file',
        file: compact({ file_id: url, filename: part.name }),
        cache_control,
      }),
    ]
  }
  if (role === 'assistant') {
    dropped.push('messages[].content[].file')
    return []
  }
  return [
    compact({
      type: 'file',
      file:
        source.type === 'id'
          ? compact({ file_id: source.id, format: source.mime })
          : compact({ file_data: url, filename: part.name }),
      cache_control,
    }),
  ]
}

const encodeCache = (cache: CacheHint): JsonObject => compact({ type: 'ephemeral', ttl: cache.ttl })

function encodeTool(tool: Tool, dropped: string[]): JsonObject[] {
  if (tool.type === 'custom')
    return [
      {
        type: 'custom',
        custom: compact({ name: tool.name, description: tool.description, format: tool.format }),
      },
    ]
  if (tool.type === 'server') {
    if (tool.wire === 'openai-chat') return [tool.value]
    dropped.push(`tools[].${text(tool.value.type) ?? tool.wire}`)
    return []
  }
  return [
    compact({
      type: 'function',
      function: compact({
        name: tool.name,
        description: tool.description,
        parameters: tool.schema,
        strict: tool.strict,
      }),
      cache_control: tool.cache && encodeCache(tool.cache),
    }),
  ]
}

function encodeToolChoice(choice: ToolChoice | undefined, plain: boolean): Json | undefined {
  if (typeof choice !== 'object') return choice
  if (plain && !('name' in choice)) return choice.mode
  const named = (name: string): JsonObject => ({ type: 'function', function: { name } })
  if ('name' in choice) return named(choice.name)
  return {
    type: 'allowed_tools',
    allowed_tools: { mode: choice.mode, tools: choice.names.map(named) },
  }
}

function encodeOutput(output: OutputFormat | undefined): JsonObject | undefined {
  switch (output?.type) {
    case undefined:
      return undefined
    case 'text':
      return { type: 'text' }
    case 'json':
      return { type: 'json_object' }
    case 'schema':
      return {
        type: 'json_schema',
        json_schema: compact({
          name: output.name,
          description: output.description,
          schema: output.schema,
          strict: output.strict,
        }),
      }
  }
}
