import type { Message, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, isObject, type JsonObject, list, text } from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'
import { encodeCache, encodeMedia, encodeText, parseInput } from './blocks.ts'
import { createCallIds, type ToolNames } from './names.ts'

export type Turn = {
  role: 'user' | 'assistant' | 'system'
  content: JsonObject[]
  extras: JsonObject
}

export type Conversation = {
  system: JsonObject[]
  turns: Turn[]
  /** What could not be said, by the client's name for it. */
  dropped: string[]
  /** Sent names of the tools that were called so far. */
  called: Set<string> | undefined
}

type Writer = {
  names: ToolNames
  ids: ReturnType<typeof createCallIds>
  called: Set<string> | undefined
  dropParams: boolean
  dropped: string[]
}

export type ConversationOptions = {
  names: ToolNames
  /** May system messages stay between the others? */
  midSystem: boolean
  /** Leave out what Anthropic cannot read, instead of refusing it. */
  dropParams: boolean
  /** LiteLLM's modify_params: repair what the API would refuse. */
  repair: boolean
}

/**
 * System messages go to the top, neighbours of one side become one turn, results come first in theirs. A system
 * message stays in its place where the model takes it: after a user turn, and before an assistant's or at the end.
 */
export function encodeConversation(
  messages: readonly Message[],
  { names, midSystem, dropParams, repair }: ConversationOptions,
): Conversation {
  const dropped: string[] = []
  const writer: Writer = {
    names,
    ids: createCallIds(),
    called: undefined,
    dropParams,
    dropped,
  }
  const system: JsonObject[] = []
  const turns: Turn[] = []
  const follows = rolesAfter(messages)
  messages.forEach((message, at) => {
    const role = roles[message.role]
    const content = encodeParts(message.parts, role, writer)
    keepMessageCache(message, content)
    if (content.length === 0) return
    const last = turns.at(-1)
    if (role === 'system' && last?.role !== 'system') {
      if (!midSystem || last?.role !== 'user' || follows[at] === 'user') {
        system.push(...content)
        return
      }
    }
    const extras = role === 'system' ? systemExtras(message) : {}
    if (last?.role === role) {
      last.content.push(...content)
      last.extras = { ...last.extras, ...extras }
    } else turns.push({ role, content, extras })
  })
  for (const { role, content } of turns)
    if (role === 'user' && content.length > 1) content.sort(resultsFirst)
  trimPrefill(turns)
  if (repair) {
    answerCalls(turns)
    if (turns[0]?.role !== 'user')
      turns.unshift({ role: 'user', content: [{ type: 'text', text: '.' }], extras: {} })
  }
  if (turns.length === 0)
    throw new GatewayError(
      'bad_request',
      'messages: at least one message with content is needed besides system messages; add a user message, or set `litellm_settings: modify_params: true` to have one added',
      { param: 'messages' },
    )
  return { system, turns, dropped, called: writer.called }
}

/** Who speaks after each message, system messages aside. */
function rolesAfter(messages: readonly Message[]): (Turn['role'] | undefined)[] {
  const after: (Turn['role'] | undefined)[] = []
  let next: Turn['role'] | undefined
  for (let at = messages.length - 1; at >= 0; at--) {
    after[at] = next
    const role = roles[messages[at]?.role ?? 'system']
    if (role !== 'system') next = role
  }
  return after
}

const roles = {
  system: 'system',
  developer: 'system',
  user: 'user',
  tool: 'user',
  assistant: 'assistant',
} as const satisfies Record<Message['role'], Turn['role']>

/** What else Anthropic's system message may carry. */
const systemExtras = ({ extras = {} }: Message): JsonObject =>
  compact({ clear_at: extras.clear_at, output_config: extras.output_config })

const resultsFirst = (a: JsonObject, b: JsonObject): number =>
  Number(b.type === 'tool_result') - Number(a.type === 'tool_result')

/** A message of plain text may carry its cache mark itself. */
function keepMessageCache(message: Message, content: JsonObject[]): void {
  const last = content.at(-1)
  const mark = message.extras?.cache_control
  if (
    isObject(mark) &&
    last &&
    last.cache_control === undefined &&
    last.type !== 'thinking' &&
    last.type !== 'redacted_thinking'
  )
    last.cache_control = mark
}

function encodeParts(parts: readonly Part[], role: Turn['role'], writer: Writer): JsonObject[] {
  return parts.flatMap((part) => encodePart(part, role, writer))
}

function encodePart(part: Part, role: Turn['role'], writer: Writer): JsonObject[] {
  switch (part.type) {
    case 'text':
      // The API refuses a text block of nothing but space.
      return part.text.trim() === '' ? [] : [encodeText(part, false)]
    case 'refusal':
      return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]
    case 'reasoning':
      return role === 'assistant' ? encodeThought(part) : []
    case 'media': {
      const block = role === 'user' ? encodeMedia(part) : undefined
      if (block) return [block]
      if (role === 'user' && !writer.dropParams)
        throw new GatewayError(
          'bad_request',
          `anthropic does not take ${part.source.mime ?? part.media} in messages: send text, an image (JPEG, PNG, GIF, WebP), a PDF or plain text`,
          { param: 'messages' },
        )
      writer.dropped.push(`messages.${part.media}`)
      return []
    }
    case 'tool-call': {
      const name = writer.names.of(part.name)
      writer.called ??= new Set()
      writer.called.add(name)
      return [
        compact({
          type: 'tool_use',
          id: writer.ids.call(part.id),
          name,
          input: parseInput(part.input, part.kind),
          cache_control: encodeCache(part.cache),
        }),
      ]
    }
    case 'tool-result': {
      const content = encodeParts(part.parts, 'user', writer)
      return [
        compact({
          type: 'tool_result',
          tool_use_id: writer.ids.result(part.id),
          // A failure without a word is refused.
          content: content.length > 0 ? content : part.failed ? 'error' : undefined,
          is_error: part.failed || undefined,
          cache_control: encodeCache(part.cache),
        }),
      ]
    }
    case 'raw':
      if (part.wire === 'anthropic') return [part.value]
      writer.dropped.push(`messages.${text(part.value.type) ?? part.wire}`)
      return []
  }
}

/** Only a signed thought may go back; the API checks the signature, so nothing in it is touched. */
function encodeThought(part: Extract<Part, { type: 'reasoning' }>): JsonObject[] {
  if (part.redacted !== undefined) return [{ type: 'redacted_thinking', data: part.redacted }]
  if (part.signature === undefined || part.signature === '' || isOpenAis(part.signature)) return []
  return [{ type: 'thinking', thinking: part.text, signature: part.signature }]
}

/** An assistant's words at the end are continued by the model; space at their end is refused. */
function trimPrefill(turns: Turn[]): void {
  const turn = turns.at(-1)
  const last = turn?.content.at(-1)
  if (turn?.role !== 'assistant' || last?.type !== 'text') return
  turn.content[turn.content.length - 1] = { ...last, text: (text(last.text) ?? '').trimEnd() }
}

/** Every call wants its result in the very next turn. */
function answerCalls(turns: Turn[]): void {
  for (let at = 0; at < turns.length; at++) {
    const turn = turns[at]
    if (turn?.role !== 'assistant') continue
    const calls = turn.content.filter((block) => block.type === 'tool_use').map((block) => block.id)
    if (calls.length === 0) continue
    let next = turns[at + 1]
    if (next?.role !== 'user') {
      next = { role: 'user', content: [], extras: {} }
      turns.splice(at + 1, 0, next)
    }
    const answered = new Set(next.content.map((block) => block.tool_use_id))
    const missing = calls.filter((id) => !answered.has(id))
    next.content.unshift(
      ...missing.map((id) => ({ type: 'tool_result', tool_use_id: id, content: 'no result' })),
    )
  }
}

/**
 * Is a tool loop under way whose assistant turn has lost its thought? With a thinking budget the API then refuses the
 * request ("Expected `thinking` … but found `tool_use`"); most clients of other dialects never send thoughts back.
 */
export function lostThought(
  turns: readonly { role: string; content: readonly JsonObject[] }[],
): boolean {
  const turn = turns.findLast(({ role }) => role !== 'system')
  const before = turns.findLast(({ role }) => role === 'assistant')
  if (turn?.role !== 'user' || !turn.content.some((block) => block.type === 'tool_result'))
    return false
  const first = before?.content[0]?.type
  return first !== undefined && first !== 'thinking' && first !== 'redacted_thinking'
}

/** With thinking off, an assistant turn at the end must hold none. */
export function dropFinalThoughts(turns: Turn[]): void {
  const turn = turns.at(-1)
  if (turn?.role !== 'assistant') return
  const kept = turn.content.filter(
    (block) => block.type !== 'thinking' && block.type !== 'redacted_thinking',
  )
  if (kept.length > 0) turn.content = kept
}

/** Does a block anywhere refer to an uploaded file? */
export const usesFiles = (turns: readonly Turn[]): boolean =>
  turns.some(({ content }) => content.some(isFile))
const isFile = (block: JsonObject): boolean =>
  (isObject(block.source) && block.source.type === 'file') ||
  block.type === 'container_upload' ||
  (block.type === 'tool_result' &&
    list(block.content).some((inner) => isObject(inner) && isFile(inner)))
