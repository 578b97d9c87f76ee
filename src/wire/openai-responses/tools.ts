import type { ChatRequest, FunctionTool, ServerTool, Tool, ToolChoice } from '../../chat/chat.ts'
import {
  bool,
  compact,
  extrasOf,
  isObject,
  type Json,
  type JsonObject,
  list,
  object,
  text,
} from '../../json/json.ts'
import { decodeCache } from '../openai-chat/request.ts'
import { isSearch, lostOfSearch, placeOf, searches } from '../search-tool.ts'
import { itemWire } from './content.ts'
import { flatName, type ToolNames } from './names.ts'

type NamedTool = Exclude<Tool, ServerTool>

/** The tools of a request: its own, and those that an item of the input brings along. */
export function decodeTools(body: JsonObject): Tool[] {
  return [
    ...list(body.tools).flatMap((tool) => decodeTool(tool)),
    ...additionalTools(body.input).map((tool) => ({
      ...tool,
      extras: { ...tool.extras, additional: true },
    })),
  ]
}

/** Newer agents give no `tools` but an item that holds them; it stays where it is, for servers that know it. */
function additionalTools(input: Json | undefined): NamedTool[] {
  return list(input).flatMap((item) =>
    object(item).type === 'additional_tools'
      ? list(object(item).tools)
          .flatMap((tool) => decodeTool(tool))
          .filter((tool) => tool.type !== 'server')
      : [],
  )
}

function decodeTool(value: Json): Tool[] {
  const tool = object(value)
  switch (tool.type) {
    case 'function':
      return [decodeFunction(tool)]
    case 'custom':
      return [decodeCustom(tool)]
    case 'namespace':
      return decodeNamespace(tool)
    default:
      return isObject(tool.function) || (tool.type === undefined && typeof tool.name === 'string')
        ? [decodeFunction(tool)]
        : [{ type: 'server', wire: itemWire, value: tool }]
  }
}

const knownOfFunction = new Set(
  'type function name description parameters strict cache_control'.split(' '),
)

function decodeFunction(tool: JsonObject): FunctionTool {
  // Spelt as in chat, by clients that mix the two.
  const fn = isObject(tool.function) ? tool.function : tool
  const description = text(fn.description)
  const strict = bool(fn.strict)
  const cache = decodeCache(tool.cache_control)
  const extras = extrasOf(tool, knownOfFunction)
  return {
    type: 'function',
    name: text(fn.name) ?? '',
    ...(description !== undefined && { description }),
    ...(isObject(fn.parameters) && { schema: fn.parameters }),
    ...(strict !== undefined && { strict }),
    ...(cache && { cache }),
    ...(extras && { extras }),
  }
}

const knownOfCustom = new Set('type custom name description format'.split(' '))

function decodeCustom(tool: JsonObject): NamedTool {
  const said = isObject(tool.custom) ? tool.custom : tool
  const description = text(said.description)
  const extras = extrasOf(tool, knownOfCustom)
  return {
    type: 'custom',
    name: text(said.name) ?? '',
    ...(description !== undefined && { description }),
    ...(isObject(said.format) && { format: nestedFormat(said.format) }),
    ...(extras && { extras }),
  }
}

/** Chat keeps a grammar one level deeper. */
function nestedFormat(format: JsonObject): JsonObject {
  if (format.type !== 'grammar' || isObject(format.grammar)) return format
  const { type, ...grammar } = format
  return { type, grammar }
}
const flatFormat = (format: JsonObject): JsonObject =>
  isObject(format.grammar) ? { type: format.type, ...format.grammar } : format

/** Providers without namespaces know its tools under longer names; their own ones are kept beside. */
function decodeNamespace(space: JsonObject): NamedTool[] {
  const { tools, type: _, ...namespace } = space
  const name = text(space.name) ?? ''
  return list(tools).flatMap((inner) =>
    decodeTool(inner).flatMap((tool): NamedTool[] =>
      tool.type === 'server'
        ? []
        : [
            {
              ...tool,
              name: flatName(name, tool.name),
              extras: { ...tool.extras, namespace, local: tool.name },
            },
          ],
    ),
  )
}

export type ToolWriter = {
  own: boolean
  names: ToolNames
  drop(what: string): void
}

export function encodeTools(request: ChatRequest, writer: ToolWriter): JsonObject[] {
  const out: JsonObject[] = []
  const spaces = new Map<string, JsonObject[]>()
  for (const tool of request.tools) {
    if (tool.type === 'server') {
      out.push(...encodeServerTool(tool, writer))
      continue
    }
    if (writer.own && tool.extras?.additional === true) continue
    const said = encodeNamed(tool, writer)
    const namespace = writer.own ? tool.extras?.namespace : undefined
    if (!isObject(namespace)) {
      out.push(said)
      continue
    }
    const key = JSON.stringify(namespace)
    const others = spaces.get(key)
    if (others) others.push(said)
    else {
      const tools = [said]
      spaces.set(key, tools)
      out.push({ type: 'namespace', ...namespace, tools })
    }
  }
  if (request.webSearch && !out.some(({ type }) => searches.test(text(type) ?? '')))
    out.push(encodeSearch(request.webSearch))
  return out
}

function encodeNamed(tool: NamedTool, { own, names }: ToolWriter): JsonObject {
  const { namespace: _, local, additional: __, ...extras } = (own && tool.extras) || {}
  const name = text(local) ?? names.of(tool.name)
  if (tool.type === 'custom')
    return compact({
      type: 'custom',
      name,
      description: tool.description,
      format: tool.format && flatFormat(tool.format),
      ...extras,
    })
  return compact({
    type: 'function',
    name,
    description: tool.description,
    parameters: tool.schema ?? { type: 'object', properties: {} },
    // Unsaid, it means true here and false everywhere else.
    strict: tool.strict ?? (own ? undefined : false),
    ...extras,
  })
}

/** Tools that OpenAI runs, whichever dialect brought them here; of the others only a search is known to be one. */
function encodeServerTool(tool: ServerTool, { drop }: ToolWriter): JsonObject[] {
  const { wire, value } = tool
  const type = text(value.type) ?? ''
  if (wire === itemWire || builtIn.has(type)) return [value]
  if (isSearch(tool)) {
    for (const lost of lostOfSearch(tool, false)) drop(lost)
    return [encodeSearch(value)]
  }
  drop(`tools[].${type || Object.keys(value)[0] || wire}`)
  return []
}

const builtIn = new Set(
  `web_search web_search_2025_08_26 web_search_preview web_search_preview_2025_03_11 file_search
  code_interpreter image_generation mcp computer computer_use_preview local_shell shell apply_patch
  tool_search programmatic_tool_calling`.split(/\s+/),
)
/** Chat's `web_search_options`, or another provider's search. */
function encodeSearch(options: JsonObject): JsonObject {
  const place = placeOf(options)
  const domains = options.allowed_domains ?? object(options.filters).allowed_domains
  return compact({
    type: 'web_search',
    search_context_size: options.search_context_size,
    filters:
      Array.isArray(domains) && domains.length > 0 ? { allowed_domains: domains } : undefined,
    user_location: place && { type: 'approximate', ...place },
  })
}

/** Undefined where the house has no word for it (a tool that OpenAI runs). */
export function decodeToolChoice(value: Json | undefined): ToolChoice | undefined {
  if (value === 'auto' || value === 'none' || value === 'required') return value
  const choice = object(value)
  if (choice.type === 'allowed_tools') {
    const names = list(choice.tools).map(nameOfChoice)
    return names.every((name) => name !== undefined)
      ? { names, mode: choice.mode === 'required' ? 'required' : 'auto' }
      : undefined
  }
  const name = nameOfChoice(choice)
  return name === undefined ? undefined : { name }
}

function nameOfChoice(value: Json): string | undefined {
  const { type, name, function: fn, namespace } = object(value)
  if (type !== 'function' && type !== 'custom') return undefined
  const said = text(name) ?? text(object(fn).name)
  return said !== undefined && typeof namespace === 'string' ? flatName(namespace, said) : said
}

export function encodeToolChoice(request: ChatRequest, writer: ToolWriter): Json | undefined {
  const { toolChoice: choice } = request
  if (typeof choice !== 'object') return choice
  const named = (name: string): JsonObject => {
    const tool = request.tools.find((known) => known.type !== 'server' && known.name === name)
    const type = tool?.type === 'custom' ? 'custom' : 'function'
    const { local, namespace } = (writer.own && tool?.type !== 'server' && tool?.extras) || {}
    return compact({
      type,
      name: text(local) ?? writer.names.of(name),
      namespace: text(object(namespace).name),
    })
  }
  if ('name' in choice) return searchChoice(request.tools, choice.name) ?? named(choice.name)
  return { type: 'allowed_tools', mode: choice.mode, tools: choice.names.map(named) }
}

/** Agents of Anthropic's force its search by name; here it has none. */
function searchChoice(tools: readonly Tool[], name: string): Json | undefined {
  const isForced = tools.some((tool) => isSearch(tool) && tool.value.name === name)
  if (!isForced) return undefined
  if (tools.length === 1) return 'required'
  return { type: 'allowed_tools', mode: 'required', tools: [{ type: 'web_search' }] }
}

/** The client's own names of its tools, by the names that providers without namespaces know. */
export type Declared = { kind: 'function' | 'custom'; name: string; namespace?: string }

export function declaredTools(said: ((key: string) => Json | undefined) | undefined) {
  let first: Map<string, Declared> | undefined
  let more: Map<string, Declared> | undefined
  return (name: string): Declared | undefined => {
    if (!said) return undefined
    first ??= byName(list(said('tools')).flatMap((tool) => decodeTool(tool)))
    const found = first.get(name)
    if (found) return found
    // The input may be long; it is read only for a name that nobody has declared elsewhere.
    more ??= byName(additionalTools(said('input')))
    return more.get(name)
  }
}

function byName(tools: readonly Tool[]): Map<string, Declared> {
  const names = new Map<string, Declared>()
  for (const tool of tools) {
    if (tool.type === 'server') continue
    const namespace = text(object(tool.extras?.namespace).name)
    names.set(tool.name, {
      kind: tool.type,
      name: text(tool.extras?.local) ?? tool.name,
      ...(namespace !== undefined && { namespace }),
    })
  }
  return names
}
