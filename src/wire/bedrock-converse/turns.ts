import type { CacheHint, MediaPart, Message, Part } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, isObject, type JsonObject, object, text } from '../../json/json.ts'
import { decodeCache, parseInput } from '../anthropic/blocks.ts'
import { isOpenAis } from '../signatures.ts'
import {
  createDocumentNames,
  type DocumentNames,
  encodeCache,
  encodeMedia,
  encodeSearchResult,
} from './blocks.ts'
import type { Powers } from './family.ts'
import { type CallIds, createCallIds, type ToolNames } from './names.ts'

export type Turn = { role: 'user' | 'assistant'; content: JsonObject[] }

export type Conversation = {
  system: JsonObject[]
  turns: Turn[]
  /** What could not be said, by the client's name for it. */
  dropped: string[]
  /** Sent names of the tools that were called so far. */
  called: Set<string>
  /** Bedrock wants the tools declared where the history has calls or results. */
  usesTools: boolean
}

export type ConversationOptions = {
  names: ToolNames
  powers: Powers
  /** Leave out what Bedrock cannot read, instead of refusing it. */
  dropParams: boolean
  /** LiteLLM's modify_params: repair what the API would refuse. */
  repair: boolean
}

type Writer = ConversationOptions & {
  ids: CallIds
  documents: DocumentNames
  called: Set<string>
  drop(what: string): void
}

/** A block and the cache point behind it stay together. */
type Unit = JsonObject[]

/** System messages go to the top, neighbours of one side become one turn, results come first in theirs. */
export function encodeConversation(
  messages: readonly Message[],
  options: ConversationOptions,
): Conversation {
  const dropped: string[] = []
  const called = new Set<string>()
  const writer: Writer = {
    ...options,
    ids: createCallIds(),
    documents: createDocumentNames(),
    called,
    drop: (what) => dropped.push(what),
  }
  const system: JsonObject[] = []
  const sides: { role: Turn['role']; units: Unit[] }[] = []
  for (const message of messages) {
    const role = roles[message.role]
    const units = message.parts.flatMap((part) => encodePart(part, role, writer))
    units.at(-1)?.push(...messageCache(message, units, writer))
    if (units.length === 0) continue
    const last = sides.at(-1)
    if (role === 'system') system.push(...units.flat())
    else if (last?.role === role) last.units.push(...units)
    else sides.push({ role, units })
  }
  const turns = sides.map(
    ({ role, units }): Turn => ({
      role,
      content: (role === 'user' ? units.sort(resultsFirst) : units).flat(),
    }),
  )
  trimPrefill(turns)
  if (!options.powers.system) sayAsUser(system.splice(0), turns)
  if (options.repair) repair(turns, options.powers)
  if (turns.length === 0)
    throw new GatewayError(
      'bad_request',
      'messages: at least one message with content is needed besides system messages; add a user message, or set `litellm_settings: modify_params: true` to have one added',
      { param: 'messages' },
    )
  const usesTools = turns.some(({ content }) =>
    content.some((block) => block.toolUse !== undefined || block.toolResult !== undefined),
  )
  return { system, turns, dropped, called, usesTools }
}

const roles = {
  system: 'system',
  developer: 'system',
  user: 'user',
  tool: 'user',
  assistant: 'assistant',
} as const satisfies Record<Message['role'], Turn['role'] | 'system'>

const resultsFirst = (a: Unit, b: Unit): number =>
  Number(b[0]?.toolResult !== undefined) - Number(a[0]?.toolResult !== undefined)

/** A message of plain text may carry its cache mark itself. */
function messageCache({ extras }: Message, units: readonly Unit[], { powers }: Writer): Unit {
  const marked = units.at(-1)?.some((block) => block.cachePoint !== undefined)
  return marked ? [] : encodeCache(decodeCache(extras?.cache_control), powers)
}

function encodePart(part: Part, role: Turn['role'] | 'system', writer: Writer): Unit[] {
  const { powers } = writer
  const unit = (block: JsonObject, cache?: CacheHint): Unit[] => [
    [block, ...encodeCache(cache, powers)],
  ]
  switch (part.type) {
    case 'text':
      // Bedrock refuses a text of nothing but space.
      return part.text.trim() === '' ? [] : unit({ text: part.text }, part.cache)
    case 'refusal':
      return part.text.trim() === '' ? [] : unit({ text: part.text })
    case 'reasoning':
      return role === 'assistant' && powers.thoughts ? encodeThought(part) : []
    case 'media': {
      const block = role === 'user' ? encodeMedia(part, writer.documents) : undefined
      if (block) return unit(block, part.cache)
      if (role === 'user' && !writer.dropParams) throw unreadable(part)
      writer.drop(`messages.${part.media}`)
      return []
    }
    case 'tool-call': {
      const name = writer.names.of(part.name)
      writer.called.add(name)
      return unit(
        {
          toolUse: {
            toolUseId: writer.ids.call(part.id),
            name,
            input: parseInput(part.input, part.kind),
          },
        },
        part.cache,
      )
    }
    case 'tool-result':
      return encodeToolResult(part, writer)
    case 'raw':
      return encodeRaw(part, writer).map((block) => [block])
  }
}

/** Models that read no pictures in a result get them behind it. */
function encodeToolResult(part: Extract<Part, { type: 'tool-result' }>, writer: Writer): Unit[] {
  const { powers } = writer
  const apart = powers.resultImages ? [] : part.parts.filter(({ type }) => type === 'media')
  const within = part.parts.filter((inner) => !apart.includes(inner))
  const content = within
    .flatMap((inner) => encodePart(inner, 'user', writer))
    .flat()
    // Of the blocks a turn may hold, a result takes these.
    .filter((block) =>
      ['text', 'image', 'document', 'video', 'json', 'searchResult'].some(
        (kind) => block[kind] !== undefined,
      ),
    )
  const words = part.failed ? 'error' : apart.length > 0 ? 'see below' : 'no output'
  const block = {
    toolResult: compact({
      toolUseId: writer.ids.result(part.id),
      content: content.length > 0 ? content : [{ text: words }],
      status: part.failed && powers.resultStatus ? 'error' : undefined,
    }),
  }
  return [
    [block, ...encodeCache(part.cache, powers)],
    ...apart.flatMap((inner) => encodePart(inner, 'user', writer)),
  ]
}

/** Only a signed thought may go back; the signature is checked, so nothing in it is touched. */
function encodeThought(part: Extract<Part, { type: 'reasoning' }>): Unit[] {
  if (part.redacted !== undefined)
    return [[{ reasoningContent: { redactedContent: part.redacted } }]]
  if (!part.signature || isOpenAis(part.signature)) return []
  return [[{ reasoningContent: { reasoningText: { text: part.text, signature: part.signature } } }]]
}

function encodeRaw({ wire, value }: Extract<Part, { type: 'raw' }>, writer: Writer): JsonObject[] {
  if (wire === 'bedrock-converse') return [value]
  if (value.type === 'search_result') return [encodeSearchResult(value)]
  // LiteLLM's spelling of a text that the guardrail shall look at.
  if (value.type === 'guarded_text')
    return [
      {
        guardContent: {
          text: compact({ text: text(value.text) ?? '', qualifiers: value.qualifiers }),
        },
      },
    ]
  writer.drop(`messages.${text(value.type) ?? wire}`)
  return []
}

function unreadable({ source, media, name }: MediaPart): GatewayError {
  const isRemote = source.type === 'url' && !source.url.startsWith('s3://')
  const what = isRemote
    ? `fetches no ${media} from a web address: send it as a data URL or as an s3:// address`
    : `does not take ${source.mime ?? name ?? media} in messages: send text, an image (PNG, JPEG, GIF, WebP), a video, or a document (PDF, CSV, DOC, DOCX, XLS, XLSX, HTML, TXT, MD)`
  return new GatewayError('bad_request', `Amazon Bedrock ${what}`, { param: 'messages' })
}

/** An assistant's words at the end are continued by the model; space at their end is refused. */
function trimPrefill(turns: Turn[]): void {
  const turn = turns.at(-1)
  const last = turn?.content.at(-1)
  if (turn?.role !== 'assistant' || typeof last?.text !== 'string') return
  turn.content[turn.content.length - 1] = { text: last.text.trimEnd() }
}

/** To a model without system messages they are the beginning of the first turn. */
function sayAsUser(system: JsonObject[], turns: Turn[]): void {
  const words = system.filter((block) => block.text !== undefined)
  if (words.length === 0) return
  const first = turns[0]
  if (first?.role === 'user') first.content.unshift(...words)
  else turns.unshift({ role: 'user', content: words })
}

/** What LiteLLM's modify_params mends: missing results, a conversation that begins or ends with the wrong side. */
function repair(turns: Turn[], { prefill }: Powers): void {
  for (let at = 0; at < turns.length; at++) {
    const turn = turns[at]
    if (turn?.role !== 'assistant') continue
    const calls = turn.content.flatMap((block) => text(object(block.toolUse).toolUseId) ?? [])
    if (calls.length === 0) continue
    let next = turns[at + 1]
    if (next?.role !== 'user') {
      next = { role: 'user', content: [] }
      turns.splice(at + 1, 0, next)
    }
    const answered = new Set(next.content.map((block) => object(block.toolResult).toolUseId))
    const missing = calls.filter((id) => !answered.has(id))
    next.content.unshift(
      ...missing.map((id) => ({ toolResult: { toolUseId: id, content: [{ text: 'no result' }] } })),
    )
  }
  for (const { role, content } of turns)
    if (role === 'user' && content.some((block) => block.document) && !content.some(hasWords))
      content.push({ text: '.' })
  if (turns[0]?.role !== 'user') turns.unshift({ role: 'user', content: [{ text: '.' }] })
  if (turns.at(-1)?.role === 'assistant' && !prefill)
    turns.push({ role: 'user', content: [{ text: '.' }] })
}

/** Beside a document there has to be a text. */
const hasWords = (block: JsonObject): boolean =>
  block.text !== undefined || block.toolResult !== undefined

/**
 * Is a tool loop under way whose assistant turn has lost its thought? With a thinking budget Claude then refuses the
 * request; most clients of other dialects never send thoughts back.
 */
export function lostThought(turns: readonly Turn[]): boolean {
  const turn = turns.at(-1)
  const before = turns.findLast(({ role }) => role === 'assistant')
  if (turn?.role !== 'user' || !turn.content.some((block) => block.toolResult !== undefined))
    return false
  return before !== undefined && !isObject(before.content[0]?.reasoningContent)
}

/** With thinking off, an assistant turn at the end must hold none. */
export function dropFinalThoughts(turns: Turn[]): void {
  const turn = turns.at(-1)
  if (turn?.role !== 'assistant') return
  const kept = turn.content.filter((block) => block.reasoningContent === undefined)
  if (kept.length > 0) turn.content = kept
}
