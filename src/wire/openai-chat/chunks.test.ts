import fc from 'fast-check'
import { isObject, type Json, type JsonObject } from '../../json/json.ts'
import { parseJson } from '../../json/parse.ts'
import type { ClientContext, Target } from '../wire.ts'

/** Chunks as OpenAI-compatible servers write them, in every legal spelling: for the laws of this wire. */

export const context: ClientContext = {
  model: 'public',
  requestId: 'r-1',
  created: 1_700_000_000,
  streamUsage: false,
  choices: 1,
}

export const target: Target = {
  provider: 'openai',
  model: 'gpt-x',
  quirks: {},
  info: {},
  dropParams: false,
  modifyParams: false,
}

/** The same value in one spelling: keys in order, large numbers as they came. */
export const canonical = (json: string): string => JSON.stringify(sorted(parseJson(json)))

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value) || Object.isFrozen(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key] ?? null)]))
}

/** Draws numbers below `n`; the same seed draws the same ones. */
export type Draw = (n: number) => number
export function drawer(seed: number): Draw {
  let state = seed >>> 0
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

/** JSON of `value` with other spaces, other escapes and another order of keys; `raw` stands for itself. */
export function spell(value: Json | Raw | undefined, draw: Draw, lines = true): string {
  const space = () => ['', '', '', '', ' ', lines ? '\n ' : '  ', '\t'][draw(7)] ?? ''
  const said = (one: Json | Raw | undefined): string => {
    if (one instanceof Raw) return one.text
    if (typeof one === 'string') return quoted(one, draw)
    if (Array.isArray(one)) return `[${space()}${one.map(said).join(`,${space()}`)}${space()}]`
    if (!isObject(one)) return JSON.stringify(one ?? null)
    const members = Object.entries(one).map(
      ([key, item]) => `"${key}"${space()}:${space()}${said(item)}`,
    )
    return `{${space()}${members.join(`,${space()}`)}${space()}}`
  }
  return said(value)
}

/** A number as it stands in the text. */
export class Raw {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

function quoted(said: string, draw: Draw): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  let out = ''
  for (const point of said) {
    if (draw(9) === 0) out += point.split('').map(escaped).join('')
    else out += point === '/' && draw(3) === 0 ? '\\/' : JSON.stringify(point).slice(1, -1)
  }
  return `"${out}"`
}

/** Words that a hasty reader of JSON would take for something else. */
const traps = [
  '"model":"gpt-x"',
  '"usage":{"prompt_tokens":9}',
  ',"usage":null}',
  '"error":{"message":"no"}',
  '\\"content\\":[',
  '"finish_reason":"stop"',
  'data: [DONE]\n\n',
  '[DONE]',
  '\\',
  '"',
  '\n',
  '{"choices":[',
  'Grüße, 世界 👋',
  '\u2028',
  '\u007f\u0001',
]
export const words = fc.oneof(
  fc.constantFrom(...traps),
  fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme' }),
)

export type Delta = { choice: number; delta: JsonObject }
const deltas = (choices: number): fc.Arbitrary<Delta> =>
  fc.record({
    choice: fc.nat(choices - 1),
    delta: fc.oneof(
      { weight: 6, arbitrary: words.map((content): JsonObject => ({ content })) },
      {
        weight: 1,
        arbitrary: words.map((reasoning_content): JsonObject => ({ reasoning_content })),
      },
      { weight: 1, arbitrary: words.map((reasoning): JsonObject => ({ reasoning })) },
      { weight: 1, arbitrary: words.map((refusal): JsonObject => ({ refusal, content: null })) },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.nat(1), words).map(
          ([index, said]): JsonObject => ({
            tool_calls: [{ index, function: { arguments: said } }],
          }),
        ),
      },
      {
        weight: 1,
        arbitrary: fc.nat(1).map(
          (index): JsonObject => ({
            tool_calls: [
              {
                index,
                id: `call_${index}`,
                type: 'function',
                function: { name: 'f', arguments: '' },
              },
            ],
          }),
        ),
      },
      { weight: 1, arbitrary: fc.constant<JsonObject>({}) },
    ),
  })

/** One stream: what is said, and how the server behind it writes. */
export type Spec = {
  choices: number
  said: Delta[]
  /** Where the role is told. */
  role: 'first' | 'always' | 'never'
  usage: 'last' | 'every' | 'null' | 'never' | 'with-finish'
  order: 'openai' | 'azure' | 'choices-first'
  id: string
  seed: number
  spaces: boolean
  done: boolean
}
export const specs: fc.Arbitrary<Spec> = fc.constantFrom(1, 1, 1, 2, 3).chain((choices) =>
  fc.record({
    choices: fc.constant(choices),
    said: fc.array(deltas(choices), { minLength: 1, maxLength: 10 }),
    role: fc.constantFrom('first', 'first', 'always', 'never'),
    usage: fc.constantFrom('last', 'last', 'every', 'null', 'never', 'with-finish'),
    order: fc.constantFrom('openai', 'openai', 'azure', 'choices-first'),
    id: fc.constantFrom('chatcmpl-1', 'x"y\\z', 'é'),
    seed: fc.nat(),
    spaces: fc.boolean(),
    done: fc.constantFrom(true, true, false),
  }),
)

const usage = (read: number, wrote: number): JsonObject => ({
  prompt_tokens: read,
  completion_tokens: wrote,
  total_tokens: read + wrote,
  completion_tokens_details: { reasoning_tokens: 0 },
})

/** The frames' JSON texts, without `[DONE]`. */
export function write(spec: Spec): string[] {
  const draw = drawer(spec.seed)
  const spoken = new Set<number>()
  const last: number[] = Array.from({ length: spec.choices }, (_, at) => at)
  const frames: { choices: JsonObject[]; usage?: JsonObject | null }[] = []
  if (spec.role === 'first')
    for (const index of last)
      frames.push({ choices: [{ index, delta: { role: 'assistant', content: '' } }] })
  for (const { choice: index, delta } of spec.said) {
    const role = spec.role === 'always' ? { role: 'assistant' } : {}
    spoken.add(index)
    frames.push({ choices: [{ index, delta: { ...role, ...delta }, finish_reason: null }] })
  }
  for (const index of last)
    frames.push({
      choices: [
        { index, delta: {}, finish_reason: ['stop', 'length', 'tool_calls'][draw(3)] ?? 'stop' },
      ],
    })
  frames.forEach((frame, at) => {
    if (spec.usage === 'every') frame.usage = usage(7, at)
    if (spec.usage === 'null' || spec.usage === 'last') frame.usage = null
    if (spec.usage === 'with-finish' && at === frames.length - 1) frame.usage = usage(7, at)
  })
  if (spec.usage === 'last') frames.push({ choices: [], usage: usage(7, 9) })
  return frames.map((frame, at) => spell(chunkOf(spec, frame, at), spec.spaces ? draw : () => 3))
}

function chunkOf(
  spec: Spec,
  frame: { choices: JsonObject[]; usage?: JsonObject | null },
  at: number,
): JsonObject {
  const head = { id: spec.id, object: 'chat.completion.chunk', created: 1_700_000_001 }
  const model = { model: 'gpt-x-2026' }
  const seed = new Raw('15418893468987654321') as unknown as Json // spelt by `spell`
  const tail = {
    ...('usage' in frame && { usage: frame.usage ?? null }),
    ...(at % 3 === 1 && { seed }),
  }
  const { choices } = frame
  if (spec.order === 'azure') return { choices, ...head, ...model, ...tail }
  if (spec.order === 'choices-first') return { ...model, choices, ...head, ...tail }
  return { ...head, ...model, system_fingerprint: null, choices, ...tail }
}
