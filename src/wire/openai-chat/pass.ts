import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, bytewise, textwise, utf8 } from '../../json/latin1.ts'
import { isRawNumber, parseObject, stringify } from '../../json/parse.ts'
import { type Glance, peek, saysText, value } from '../../json/peek.ts'
import { Alike } from '../alike.ts'
import { edit, latin1Of } from '../edit.ts'
import { Heard } from '../heard.ts'
import type {
  ClientContext,
  Frame,
  PassedResult,
  PassMachine,
  PassStream,
  Target,
  Written,
} from '../wire.ts'
import { adaptMessageAnswer } from './adapt.ts'
import { decodeErrorObject, errorIn } from './errors.ts'
import { decodeUsage, encodeUsage, refuseBroken, usageOf } from './response.ts'
import { cutShort, notJson } from './stream.ts'

/**
 * The same wire on both sides. The client sees the public model name, one id, and usage only where it asked; everything
 * else goes by as the provider wrote it.
 */
export const passResult = (bytes: Uint8Array, _to: Target, context: ClientContext): PassedResult =>
  new Passed(bytes, context)

/** A class: most answers ask for two of what were seven closures. */
class Passed implements PassedResult {
  readonly usage: Usage | undefined
  readonly #bytes: Uint8Array
  readonly #context: ClientContext
  readonly #glance: Glance | undefined
  readonly #adapted: boolean
  #parsed: JsonObject | undefined
  constructor(bytes: Uint8Array, context: ClientContext) {
    const glance = peek(bytes)
    this.#bytes = bytes
    this.#context = context
    this.#glance = glance
    const plain = glance && isPlain(glance)
    if (!plain) refuseBroken(this.#body())
    this.#adapted = !plain && adaptChoices(list(this.#body().choices))
    this.usage = usageOf(plain ? value(glance, 'usage') : this.#body().usage)
  }
  #body(): JsonObject {
    return (this.#parsed ??= read(this.#bytes))
  }
  text(): string {
    return list(this.#body().choices)
      .map((choice) => written(object(object(choice).message)))
      .join('\n')
  }
  encode(counted: Usage | undefined): Written {
    const { model, requestId, created } = this.#context
    const set: Record<string, string> = { model: JSON.stringify(model) }
    if (this.#adapted) set['choices'] = stringify(list(this.#body().choices))
    if (!this.usage && counted) set['usage'] = JSON.stringify(encodeUsage(counted))
    if (!this.#hasId()) set['id'] = JSON.stringify(`chatcmpl-${requestId}`)
    if (!this.#has('object')) set['object'] = '"chat.completion"'
    if (!this.#has('created')) set['created'] = String(created)
    return edit(this.#glance, () => this.#body(), set)
  }
  #has(key: string): boolean {
    return this.#glance ? this.#glance.keys.has(key) : this.#body()[key] !== undefined
  }
  #hasId(): boolean {
    const glance = this.#glance
    return glance ? saysText(glance, 'id') : Boolean(text(this.#body().id))
  }
}

/** An answer nobody has to read: a list of choices, no error, and no thoughts or parts that clients would not find. */
function isPlain({ text: said, keys }: Glance): boolean {
  const choices = keys.get('choices')
  return (
    choices !== undefined &&
    said[choices.valueStart] === '[' &&
    !keys.has('error') &&
    !/"(?:reasoning|reasoning_text)"\s*:|"content"\s*:\s*\[/.test(said)
  )
}

function adaptChoices(choices: readonly unknown[]): boolean {
  let adapted = false
  for (const choice of choices)
    if (adaptMessageAnswer(object(object(choice).message))) adapted = true
  return adapted
}

function read(bytes: Uint8Array): JsonObject {
  const answer = parse(utf8(bytes))
  if (answer) return answer
  throw new GatewayError(
    'bad_gateway',
    'the upstream answered with something that is no JSON object',
  )
}

/** Everything a message says, for counting. */
function written(message: JsonObject): string {
  const calls = list(message.tool_calls).map((call) => {
    const fn = object(object(call).function)
    return `${text(fn.name) ?? ''}${text(fn.arguments) ?? ''}`
  })
  return [text(message.reasoning_content), text(message.content), text(message.refusal), ...calls]
    .filter((said) => said !== undefined && said !== '')
    .join('\n')
}

/**
 * What makes a frame more than a piece of text: it is then parsed. In text these words would stand behind a backslash. A
 * call that does not begin with its index may lack it; a line end would cut the event in two.
 */
const odd =
  /"(?:error|usage|reasoning|reasoning_text)"\s*:\s*(?!null|\s)|"content"\s*:\s*\[|"finish_reason"\s*:\s*"[^"]|"tool_calls"\s*:\s*\[\s*\{\s*(?!"index"|\s)|\n/
/** Where a piece of what the model says begins. */
const pieces = /"(?:content|reasoning_content|arguments|refusal|input)"\s*:\s*(?=")/g
const emptyUsage = ',"usage":null}'

export function passStream(_to: Target, context: ClientContext): PassStream {
  const name = bytewise(JSON.stringify(context.model))
  /** The frames of a stream begin alike: `{"id":…,"model":"…"` as the provider writes it, and as the client sees it. */
  let prefix = ''
  let shown = ''
  let lessons = 4
  let id = ''
  let created = context.created
  let usage: Usage | undefined
  let usageShown = false
  const spoken = new Set<number>()
  const finished = new Set<number>()
  const heard = new Heard(pieces)
  const alike = new Alike(heard)

  function slow(data: string): string {
    const chunk = parse(textwise(data))
    const error = chunk && errorIn(chunk)
    if (!chunk || error !== undefined) {
      machine.fault = chunk ? decodeErrorObject(error) : notJson()
      return ''
    }
    const set: Record<string, string> = {}
    const remove: string[] = []
    const told = decodeUsage(chunk)
    if (told) usage = told
    const choices = list(chunk.choices)
    if (chunk.usage !== undefined && !context.streamUsage) {
      if (told && choices.length === 0) return ''
      remove.push('usage')
    } else if (told) usageShown = true
    if (readChoices(choices)) set['choices'] = stringify(choices)
    else if (!Array.isArray(chunk.choices)) set['choices'] = '[]'
    heard.keep(set['choices'] === undefined ? data : bytewise(set['choices']))
    id ||= text(chunk.id) || `chatcmpl-${context.requestId}`
    if (typeof chunk.created === 'number' && chunk.created > 0) created = chunk.created
    else set['created'] = String(created)
    set['model'] = JSON.stringify(context.model)
    if (chunk.id !== id) set['id'] = JSON.stringify(id)
    if (!chunk.object) set['object'] = '"chat.completion.chunk"'
    const glance = peek(bytesOf(data))
    if (glance && Object.keys(set).length === 1 && remove.length === 0) learn(data, glance)
    return event(latin1Of(edit(glance, () => chunk, set, remove)))
  }

  /** Sees to the role, the indices and the thoughts of each choice; answers whether it changed something. */
  function readChoices(choices: readonly unknown[]): boolean {
    let changed = false
    for (const value of choices) {
      const choice = isMap(value) ? value : {}
      const at = typeof choice.index === 'number' ? choice.index : 0
      if (!isMap(choice.delta)) {
        choice.delta = {}
        changed = true
      }
      const { delta } = choice
      if (adaptMessageAnswer(delta)) changed = true
      list(delta.tool_calls).forEach((call, index) => {
        if (!isMap(call) || typeof call.index === 'number') return
        call.index = index
        changed = true
      })
      if (text(choice.finish_reason)) finished.add(at)
      if (finished.has(at) || speaking.some((key) => isSaid(delta[key]))) machine.content = true
      if (delta.role) spoken.add(at)
      else if (!spoken.has(at)) {
        spoken.add(at)
        choice.delta = { role: 'assistant', ...delta }
        changed = true
      }
    }
    return changed
  }

  function learn(data: string, { keys }: Glance): void {
    const model = keys.get('model')
    const first = keys.get('id')
    const choices = keys.get('choices')
    if (!model || !first || !choices || lessons-- <= 0) return
    // Up to the first choice, so that a frame that begins like this has a list of them.
    if (Math.max(model.valueEnd, first.valueEnd) > choices.start) return
    const end = choices.valueStart + 1
    prefix = data.slice(0, end)
    shown = data.slice(0, model.valueStart) + name + data.slice(model.valueEnd, end)
  }

  const machine: PassMachine = {
    content: false,
    complete: false,
    fault: undefined,
    alike,
    push({ data }: Frame) {
      if (machine.fault || machine.complete) return ''
      if (
        machine.content &&
        prefix !== '' &&
        spoken.size >= context.choices &&
        data.startsWith(prefix)
      ) {
        let rest = data.slice(prefix.length)
        if (!odd.test(rest)) {
          heard.keep(rest)
          if (!context.streamUsage && rest.endsWith(emptyUsage))
            rest = `${rest.slice(0, -emptyUsage.length)}}`
          const out = `data: ${shown}${rest}\n\n`
          alike.learn(`data: ${data}\n\n`, out)
          return out
        }
      }
      if (data.startsWith('[DONE]')) machine.complete = true
      // An empty event keeps a connection alive.
      return machine.complete || data.trim() === '' ? '' : slow(data)
    },
    usage: () => usage,
    text: () => heard.text(),
    end(counted) {
      if (machine.fault) return ''
      if (!machine.complete && finished.size < Math.max(spoken.size, context.choices)) {
        machine.fault = cutShort()
        return ''
      }
      const last = context.streamUsage && !usageShown ? (usage ?? counted) : undefined
      const usageChunk = last && {
        id: id || `chatcmpl-${context.requestId}`,
        object: 'chat.completion.chunk',
        created,
        model: context.model,
        choices: [],
        usage: encodeUsage(last),
      }
      const told = usageChunk ? `data: ${bytewise(JSON.stringify(usageChunk))}\n\n` : ''
      return `${told}data: [DONE]\n\n`
    },
  }
  return machine
}

/** Something to write into, and no number that is kept as its text. */
const isMap = (value: unknown): value is JsonObject => isObject(value) && !isRawNumber(value)

/** What a delta says that is worth an answer: until then an error may still become an HTTP error. */
const speaking = [
  'content',
  'reasoning_content',
  'refusal',
  'audio',
  'tool_calls',
  'function_call',
  'images',
]
const isSaid = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : Boolean(value)

/** White space of JSON may hold line ends, and an event may not. */
const event = (data: string): string =>
  `data: ${data.includes('\n') ? data.replaceAll('\n', '\ndata: ') : data}\n\n`

/** Large numbers survive: some providers tell 64-bit seeds. */
function parse(json: string): JsonObject | undefined {
  try {
    return parseObject(json)
  } catch {
    return undefined
  }
}
