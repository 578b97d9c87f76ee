import type { ChatEvent, ChatRequest, Part, ToolChoice } from '../chat/chat.ts'
import { hash } from './gemini/names.ts'
import type { ProviderWire, StreamDecoder, Target } from './wire.ts'

/** What a provider takes for a tool's name: at most 64 characters that all match. */
export type NameRule = { legal: RegExp; illegal: RegExp }

/** OpenAI's, and of everyone compatible with it. */
export const openaiNames: NameRule = {
  legal: /^[a-zA-Z0-9_-]{1,64}$/,
  illegal: /[^a-zA-Z0-9_-]/g,
}
/** Cohere's first version, and Oracle's form of it (docs.oracle.com, CohereTool.name, 2026-11). */
export const wordNames: NameRule = {
  legal: /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/,
  illegal: /[^a-zA-Z0-9_]/g,
}

/**
 * A wire whose provider takes fewer names of tools than the dialects of its clients: what does not fit is replaced, always
 * in the same way, and read back from the answer. For clients whose own names are the provider's, `ruleOf` has no rule.
 */
export function withToolNames<W extends ProviderWire>(
  wire: W,
  ruleOf: (request: ChatRequest, to: Target) => NameRule | undefined,
): W {
  return {
    ...wire,
    encodeRequest(request, to) {
      const rule = ruleOf(request, to)
      const names = rule && replacements(request, rule)
      if (!names) return wire.encodeRequest(request, to)
      const said = wire.encodeRequest(renamed(request, names), to)
      const toolNames = new Map([...names].map(([client, sent]) => [sent, client]))
      return { ...said, notes: { ...said.notes, toolNames } }
    },
    decodeResult(body, notes) {
      const result = wire.decodeResult(body, notes)
      const { toolNames } = notes
      if (!toolNames) return result
      const back = (part: Part): Part =>
        part.type === 'tool-call' ? { ...part, name: toolNames.get(part.name) ?? part.name } : part
      return {
        ...result,
        choices: result.choices.map((choice) => ({ ...choice, parts: choice.parts.map(back) })),
      }
    },
    decodeStream(notes) {
      const decoder = wire.decodeStream(notes)
      return notes.toolNames ? reading(decoder, notes.toolNames) : decoder
    },
  }
}

/** For every dialect but OpenAI's chat, whose names are these. */
export const forOthers = ({ dialect }: ChatRequest): NameRule | undefined =>
  dialect === undefined || dialect === 'openai-chat' ? undefined : openaiNames

function reading(decoder: StreamDecoder, names: ReadonlyMap<string, string>): StreamDecoder {
  const back = (event: ChatEvent): ChatEvent =>
    event.type === 'tool-start' ? { ...event, name: names.get(event.name) ?? event.name } : event
  return {
    push: (frame) => decoder.push(frame).map(back),
    end: () => decoder.end().map(back),
  }
}

/** Client's name → the one to send, of those that do not fit; undefined where all do. */
function replacements(request: ChatRequest, rule: NameRule): Map<string, string> | undefined {
  const names = namesIn(request)
  const unfit = [...names].filter((name) => !rule.legal.test(name))
  if (unfit.length === 0) return undefined
  const taken = new Set(names)
  return new Map(
    unfit.map((name) => {
      const clean = name.replace(rule.illegal, '_')
      // With a sum of all of it: two names that look alike once cleaned stay two.
      const stem = `${/^\d/.test(clean) ? '_' : ''}${clean}`.slice(0, 55)
      let sent = `${stem}_${hash(name)}`
      for (let next = 2; taken.has(sent); next++)
        sent = `${stem.slice(0, 50)}_${next}_${hash(name)}`
      taken.add(sent)
      return [name, sent]
    }),
  )
}

function namesIn({ tools, messages, toolChoice }: ChatRequest): Set<string> {
  const names = new Set<string>()
  for (const tool of tools) if (tool.type !== 'server') names.add(tool.name)
  for (const { parts } of messages)
    for (const part of parts)
      if ((part.type === 'tool-call' || part.type === 'tool-result') && part.name !== undefined)
        names.add(part.name)
  for (const name of chosen(toolChoice)) names.add(name)
  return names
}

function chosen(choice: ToolChoice | undefined): readonly string[] {
  if (typeof choice !== 'object') return []
  return 'names' in choice ? choice.names : [choice.name]
}

/** The client's request stays as it is. */
function renamed(request: ChatRequest, names: ReadonlyMap<string, string>): ChatRequest {
  const of = (name: string): string => names.get(name) ?? name
  const { toolChoice } = request
  return {
    ...request,
    tools: request.tools.map((tool) =>
      tool.type === 'server' ? tool : { ...tool, name: of(tool.name) },
    ),
    messages: request.messages.map((message) =>
      message.parts.some(({ type }) => type === 'tool-call' || type === 'tool-result')
        ? { ...message, parts: message.parts.map((part) => renamedPart(part, of)) }
        : message,
    ),
    ...(typeof toolChoice === 'object' && {
      toolChoice:
        'names' in toolChoice
          ? { ...toolChoice, names: toolChoice.names.map(of) }
          : { name: of(toolChoice.name) },
    }),
  }
}

function renamedPart(part: Part, of: (name: string) => string): Part {
  if (part.type === 'tool-call') return { ...part, name: of(part.name) }
  if (part.type === 'tool-result' && part.name !== undefined)
    return { ...part, name: of(part.name) }
  return part
}
