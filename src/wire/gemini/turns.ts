import type { Message, Part, ToolCallPart, ToolResultPart } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { compact, isObject, type JsonObject, text } from '../../json/json.ts'
import { isOpenAis } from '../signatures.ts'
import type { Abilities } from './abilities.ts'
import { at } from './keys.ts'
import type { ToolNames } from './names.ts'
import { encodeArgs, encodeMedia, encodeResponse } from './parts.ts'

export type Conversation = {
  systemInstruction: JsonObject | undefined
  contents: JsonObject[]
  /** What could not be said, by the client's name for it. */
  dropped: string[]
}

type Content = {
  role: 'user' | 'model'
  parts: JsonObject[]
  /** Set where it holds what functions gave. */
  results?: Result[]
}
type Result = { place: number; response: JsonObject; beside: JsonObject[] }

type Writer = {
  names: ToolNames
  abilities: Abilities
  /** The latest call of each of the client's ids: its name as sent, and its place among all. */
  calls: Map<string, { name: string; place: number }>
  count: number
  drop(what: string): void
}

/**
 * System messages go to the top, neighbours of one side become one content. Results stay apart from what the user says
 * next: the API counts them against the calls before.
 */
export function encodeConversation(
  messages: readonly Message[],
  names: ToolNames,
  abilities: Abilities,
): Conversation {
  const dropped: string[] = []
  const writer: Writer = {
    names,
    abilities,
    calls: new Map(),
    count: 0,
    drop: (what) => dropped.push(what),
  }
  const system: JsonObject[] = []
  const contents: Content[] = []
  const add = (role: Content['role'], parts: JsonObject[]): void => {
    if (parts.length === 0) return
    const last = contents.at(-1)
    if (last?.role === role && !last.results) append(last.parts, parts)
    else contents.push({ role, parts })
  }
  const addResults = (results: Result[]): void => {
    if (results.length === 0) return
    const last = contents.at(-1)
    if (last?.results) append(last.results, results)
    else contents.push({ role: 'user', parts: [], results })
  }
  for (const { role, parts } of messages) {
    if (role === 'system' || role === 'developer') {
      append(system, encodeSystem(parts, writer))
      continue
    }
    const results = parts.filter((part) => part.type === 'tool-result')
    addResults(results.map((part) => encodeResult(part, writer)))
    const said = parts.filter((part) => part.type !== 'tool-result')
    if (role === 'assistant') add('model', encodeSaid(said, writer))
    else
      add(
        'user',
        said.flatMap((part) => encodeAsked(part, writer)),
      )
  }
  for (const content of contents) if (content.results) content.parts = inOrder(content.results)
  const withSystem = placeSystem(system, contents, abilities)
  if (abilities.third) signCalls(contents)
  return {
    systemInstruction: withSystem,
    contents: contents.map(({ role, parts }) => ({ role, parts })),
    dropped,
  }
}

/** A call takes only so many arguments, and a client may send more parts. */
function append<T>(list: T[], more: readonly T[]): void {
  for (const item of more) list.push(item)
}

function encodeSystem(parts: readonly Part[], writer: Writer): JsonObject[] {
  return parts.flatMap((part) => {
    if (part.type === 'text') return part.text === '' ? [] : [{ text: part.text }]
    writer.drop(`messages.${part.type === 'media' ? part.media : part.type}`)
    return []
  })
}

/** Models without system instructions read them as the user's first words. */
function placeSystem(
  system: JsonObject[],
  contents: Content[],
  { systemInstruction }: Abilities,
): JsonObject | undefined {
  if (!systemInstruction && system.length > 0) {
    const [first] = contents
    if (first?.role === 'user' && !first.results) first.parts = [...system, ...first.parts]
    else contents.unshift({ role: 'user', parts: system })
    return undefined
  }
  if (contents.length === 0) {
    if (system.length === 0)
      throw new GatewayError(
        'bad_request',
        'messages: at least one message with content is needed; add a user message',
        { param: 'messages', type: 'invalid_request_error' },
      )
    // The API wants something to answer, and a lone system message asks for an answer.
    contents.push({ role: 'user', parts: [{ text: ' ' }] })
  }
  return system.length > 0 ? { parts: system } : undefined
}

function encodeAsked(part: Part, writer: Writer): JsonObject[] {
  switch (part.type) {
    case 'text':
    case 'refusal':
      // A part without a word is refused.
      return part.text === '' ? [] : [{ text: part.text }]
    case 'media':
      return [encodeMedia(part)]
    case 'raw':
      return encodeRaw(part, writer)
    case 'reasoning':
    case 'tool-call':
    case 'tool-result':
      return []
  }
}

function encodeRaw(part: Extract<Part, { type: 'raw' }>, writer: Writer): JsonObject[] {
  if (part.wire === 'gemini') return [part.value]
  writer.drop(`messages.${text(part.value.type) ?? part.wire}`)
  return []
}

/** The model's own turn. */
function encodeSaid(parts: readonly Part[], writer: Writer): JsonObject[] {
  const turn = createTurn()
  for (const [at, part] of parts.entries())
    switch (part.type) {
      case 'reasoning':
        turn.think(part.text, legalSignature(part.signature), isUnsigned(parts[at + 1]))
        break
      case 'text':
      case 'refusal':
        if (part.text !== '') turn.say({ text: part.text })
        break
      case 'media':
        turn.say(encodeMedia(part))
        break
      case 'tool-call':
        turn.say(encodeCall(part, writer))
        break
      case 'raw':
        turn.add(encodeRaw(part, writer))
        break
      case 'tool-result':
        break
    }
  return turn.end()
}

/**
 * Gemini signs what it says and not its thoughts, other dialects can only sign a thought: so the signature of a thought,
 * with words or without, is that of what comes next, or, at the end, of what came before.
 */
function createTurn() {
  const parts: JsonObject[] = []
  let waiting: string | undefined
  const settle = (): void => {
    if (waiting === undefined) return
    const last = parts.at(-1)
    if (last && last.text !== undefined && last.thoughtSignature === undefined)
      last.thoughtSignature = waiting
    else parts.push({ text: '', thoughtSignature: waiting })
    waiting = undefined
  }
  return {
    think(text: string, signature: string | undefined, goesOn: boolean): void {
      if (text === '' && signature === undefined) return
      settle()
      const isLater = text === '' || goesOn
      if (text !== '')
        parts.push(
          compact({ text, thought: true, thoughtSignature: isLater ? undefined : signature }),
        )
      if (isLater) waiting = signature
    },
    /** A signature that waits goes to the part, unless that has one. */
    say(part: JsonObject): void {
      if (part.thoughtSignature !== undefined) settle()
      else if (waiting !== undefined) {
        part.thoughtSignature = waiting
        waiting = undefined
      }
      parts.push(part)
    },
    add(others: JsonObject[]): void {
      settle()
      append(parts, others)
    },
    end(): JsonObject[] {
      settle()
      return parts
    },
  }
}

function encodeCall(part: ToolCallPart, writer: Writer): JsonObject {
  const name = writer.names.of(part.name)
  writer.calls.set(part.id, { name, place: writer.count++ })
  const id = writer.abilities.third && part.id !== '' ? part.id : undefined
  return compact({
    functionCall: compact({ id, name, args: encodeArgs(part.input, part.kind) }),
    thoughtSignature: legalSignature(part.signature),
  })
}

const isUnsigned = (part: Part | undefined): boolean =>
  part?.type === 'text' ||
  part?.type === 'media' ||
  (part?.type === 'tool-call' && legalSignature(part.signature) === undefined)

/** The field is bytes: what is not base64, or is plainly OpenAI's, is another model's and would be a 400. */
const legalSignature = (signature: string | undefined): string | undefined =>
  signature && !isOpenAis(signature) && /^[A-Za-z0-9+/_-]+={0,2}$/.test(signature)
    ? signature
    : undefined

/**
 * From Gemini 3 on the first call of each step must be signed. A call of another model has no signature; for it Google
 * documents this word (ai.google.dev, thought signatures, 2026-11). Earlier turns are not checked, but get it too, so
 * that the beginning of a growing conversation stays the same for the cache.
 */
function signCalls(contents: readonly Content[]): void {
  for (const { role, parts } of contents) if (role === 'model') signFirstCall(parts)
}

export function signFirstCall(parts: readonly JsonObject[]): void {
  const first = parts.find((part) => isObject(at(part, 'functionCall')))
  if (first && at(first, 'thoughtSignature') === undefined)
    first.thoughtSignature = 'skip_thought_signature_validator'
}

/** In the order of their calls, which is how the API pairs them where ids do not. */
const inOrder = (results: readonly Result[]): JsonObject[] => {
  const sorted = results.toSorted((a, b) => a.place - b.place)
  return [...sorted.map(({ response }) => response), ...sorted.flatMap(({ beside }) => beside)]
}

function encodeResult(part: ToolResultPart, writer: Writer): Result {
  const call = writer.calls.get(part.id)
  const name = call?.name ?? writer.names.of(part.name ?? (part.id || 'tool'))
  const said: string[] = []
  const inside: JsonObject[] = []
  const beside: JsonObject[] = []
  for (const inner of part.parts) {
    if (inner.type === 'text' || inner.type === 'refusal') said.push(inner.text)
    else if (inner.type === 'media') {
      const media = encodeMedia(inner)
      if (writer.abilities.third && isShowable(media)) inside.push(media)
      else beside.push(media)
    } else if (inner.type === 'raw') writer.drop(`messages.${text(inner.value.type) ?? inner.wire}`)
  }
  const functionResponse = compact({
    id: writer.abilities.third && part.id !== '' ? part.id : undefined,
    name,
    response: encodeResponse(said.join('\n'), part.failed),
    parts: inside.length > 0 ? inside : undefined,
  })
  return { place: call?.place ?? writer.count, response: { functionResponse }, beside }
}

/** What a function may hand back besides JSON (ai.google.dev, multimodal function responses). */
const isShowable = ({ inlineData }: JsonObject): boolean =>
  isObject(inlineData) &&
  /^(?:image\/(?:png|jpeg|webp)|application\/pdf|text\/plain)$/i.test(
    text(inlineData.mimeType) ?? '',
  )
