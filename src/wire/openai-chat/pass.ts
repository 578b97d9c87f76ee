import type { Usage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { isObject, type JsonObject, list, object, text } from '../../json/json.ts'
import { bytesOf, latin1, toUtf8, utf8 } from '../../json/latin1.ts'
import { type Glance, peek, value } from '../../json/peek.ts'
import { edit, latin1Of } from '../edit.ts'
import type { ClientContext, Frame, PassedResult, PassStream, Target } from '../wire.ts'
import { adaptMessageAnswer } from './adapt.ts'
import { decodeErrorObject } from './errors.ts'
import { decodeUsage, encodeUsage } from './response.ts'
import { cutShort } from './stream.ts'

/**
 * The same wire on both sides. The client sees the public model name, one id, and usage only where it asked; everything
 * else goes by as the provider wrote it.
 */
export function passResult(bytes: Uint8Array, _to: Target, context: ClientContext): PassedResult {
  const glance = peek(bytes)
  let parsed: JsonObject | undefined
  const body = (): JsonObject => (parsed ??= read(bytes))
  const plain = glance && isPlain(glance)
  if (!plain && !Array.isArray(body()['choices'])) {
    const { error } = body()
    if (error !== undefined && error !== null) throw decodeErrorObject(error)
    throw new GatewayError('bad_gateway', 'the upstream answered without choices')
  }
  const adapted = !plain && adaptChoices(list(body()['choices']))
  const usage = decodeUsage(plain ? { usage: value(glance, 'usage') } : body())
  return {
    usage,
    text: () =>
      list(body()['choices'])
        .map((choice) => written(object(object(choice).message)))
        .join('\n'),
    encode(counted) {
      const set: Record<string, string> = { model: JSON.stringify(context.model) }
      if (adapted) set['choices'] = JSON.stringify(body()['choices'])
      if (!usage && counted) set['usage'] = JSON.stringify(encodeUsage(counted))
      const has = (key: string) => (glance ? glance.keys.has(key) : body()[key] !== undefined)
      if (!has('id') || fieldOf(glance, body, 'id') === '')
        set['id'] = JSON.stringify(`chatcmpl-${context.requestId}`)
      if (!has('object')) set['object'] = '"chat.completion"'
      if (!has('created')) set['created'] = String(context.created)
      return edit(glance, body, set)
    },
  }
}

const fieldOf = (glance: Glance | undefined, body: () => JsonObject, key: string): unknown =>
  glance ? value(glance, key) : body()[key]

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
  let answer: unknown
  try {
    answer = JSON.parse(utf8(bytes))
  } catch {
    throw new GatewayError('bad_gateway', 'the upstream answered with something that is not JSON')
  }
  if (!isObject(answer)) throw new GatewayError('bad_gateway', 'the upstream answered without choices')
  return answer
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

/** What makes a frame more than a piece of text: it is then parsed. In text these words would stand behind a backslash. */
const odd = /"(?:error|usage|reasoning|reasoning_text)"\s*:\s*(?!null|\s)|"content"\s*:\s*\[/
const finish = /"finish_reason"\s*:\s*"/
const pieces = /"(?:content|reasoning_content|arguments|refusal)"\s*:\s*"((?:[^"\\]|\\.)*)"/g
const emptyUsage = ',"usage":null}'

export function passStream(_to: Target, context: ClientContext): PassStream {
  const name = latin1(toUtf8(JSON.stringify(context.model)))
  /** The frames of a stream begin alike: `{"id":…,"model":"…"` as the provider writes it, and as the client sees it. */
  let prefix = ''
  let shown = ''
  let lessons = 4
  let id = ''
  let created = context.created
  let usage: Usage | undefined
  let usageShown = false
  let content = false
  let complete = false
  let finished = false
  let fault: GatewayError | undefined
  const spoken = new Set<number>()
  let said: string[] = []
  let heard = ''

  /** Text is kept for counting, in case the provider never tells the usage or the client leaves. */
  function keep(rest: string): void {
    if (said.push(rest) === 64) fold()
  }
  function fold(): void {
    for (const rest of said) for (const match of rest.matchAll(pieces)) heard += match[1] ?? ''
    said = []
  }

  function slow(data: string): string {
    const chunk = parse(data)
    if (!chunk) {
      fault = new GatewayError('bad_gateway', 'the upstream sent a frame that is not JSON')
      return ''
    }
    if (chunk.error !== undefined && chunk.error !== null) {
      fault = decodeErrorObject(chunk.error)
      return ''
    }
    keep(data)
    const set: Record<string, string> = {}
    const remove: string[] = []
    const told = decodeUsage(chunk)
    if (told) usage = told
    const choices = list(chunk.choices)
    if (chunk.usage !== undefined && !context.streamUsage) {
      if (told && choices.length === 0) return ''
      remove.push('usage')
    } else if (told) usageShown = true
    if (readChoices(choices)) set['choices'] = JSON.stringify(choices)
    else if (!Array.isArray(chunk.choices)) set['choices'] = '[]'
    id ||= text(chunk.id) || `chatcmpl-${context.requestId}`
    if (typeof chunk.created === 'number') created = chunk.created
    else set['created'] = String(created)
    set['model'] = JSON.stringify(context.model)
    if (chunk.id !== id) set['id'] = JSON.stringify(id)
    if (chunk.object === undefined) set['object'] = '"chat.completion.chunk"'
    const glance = peek(bytesOf(data))
    if (glance && Object.keys(set).length === 1 && remove.length === 0) learn(data, glance)
    return `data: ${latin1Of(edit(glance, () => chunk, set, remove))}\n\n`
  }

  /** Sees to the role, the indices and the thoughts of each choice; answers whether it changed something. */
  function readChoices(choices: readonly unknown[]): boolean {
    let changed = false
    for (const value of choices) {
      const choice = object(value)
      const at = typeof choice.index === 'number' ? choice.index : 0
      if (!isObject(choice.delta)) {
        choice.delta = {}
        changed = true
      }
      const { delta } = choice
      if (adaptMessageAnswer(delta)) changed = true
      list(delta.tool_calls).forEach((call, index) => {
        if (!isObject(call) || typeof call.index === 'number') return
        call.index = index
        changed = true
      })
      if (typeof choice.finish_reason === 'string') finished = true
      const speaks =
        delta.content || delta.reasoning_content || delta.refusal || delta.audio || list(delta.tool_calls).length > 0
      if (speaks || typeof choice.finish_reason === 'string') content = true
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
    const end = Math.max(model.valueEnd, first.valueEnd)
    if (end > choices.start) return
    prefix = data.slice(0, end)
    shown = data.slice(0, model.valueStart) + name + data.slice(model.valueEnd, end)
  }

  return {
    push({ data }: Frame) {
      if (fault) return ''
      if (content && prefix !== '' && spoken.size >= context.choices && data.startsWith(prefix)) {
        let rest = data.slice(prefix.length)
        if (!odd.test(rest)) {
          if (finish.test(rest)) finished = true
          keep(rest)
          if (!context.streamUsage && rest.endsWith(emptyUsage))
            rest = `${rest.slice(0, -emptyUsage.length)}}`
          return `data: ${shown}${rest}\n\n`
        }
      }
      if (data === '[DONE]') {
        complete = true
        return ''
      }
      return slow(data)
    },
    get content() {
      return content
    },
    get complete() {
      return complete
    },
    get fault() {
      return fault
    },
    usage: () => usage,
    text() {
      fold()
      return textOf(heard)
    },
    end(counted) {
      if (fault) return ''
      if (!complete && !finished) {
        fault = cutShort()
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
      const told = usageChunk ? `data: ${latin1(toUtf8(JSON.stringify(usageChunk)))}\n\n` : ''
      return `${told}data: [DONE]\n\n`
    },
  }
}

function parse(data: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(utf8(bytesOf(data)))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** JSON string content, one character per byte, as the text it says. */
function textOf(escaped: string): string {
  try {
    return String(JSON.parse(`"${utf8(bytesOf(escaped))}"`))
  } catch {
    return escaped
  }
}
