import { isObject, type Json, type JsonObject, list, object } from '../json/json.ts'
import type { Inbound } from '../wire/inbound.ts'

/**
 * What a provider would keep of a prompt that is marked for its cache: one key for each block up to the last mark, the
 * longest prefix first. Two prompts have a key in common where they begin alike, whatever marks they have.
 */
export function prefixesOf(said: Inbound): string[] {
  if (said.glance && !said.glance.text.includes('"cache_control"')) return []
  const field = (name: string): Json | undefined => (said.has(name) ? said.field(name) : undefined)
  const blocks = [
    ...list(field('tools')).map((tool) => blockOf('tool', tool)),
    ...(said.has('system') ? blocksOf('system', said.field('system')) : []),
    ...list(field('messages')).flatMap((message) => blocksOfMessage(object(message))),
  ]
  const marked = isObject(field('cache_control'))
    ? blocks.length
    : blocks.findLastIndex((block) => block.marked) + 1
  let hash = start
  let length = 0
  const keys = blocks.slice(0, marked).map(({ text }) => {
    hash = goOn(hash, text)
    length += text.length
    return `${hash[0].toString(36)}.${hash[1].toString(36)}.${length}`
  })
  return length < lengthMin ? [] : keys.slice(-blocksMax).reverse()
}

/** Some 1,024 tokens: what is shorter no provider keeps. */
const lengthMin = 4096
/** As far back as Anthropic looks for what it has (docs.claude.com, prompt caching, 2026-11). */
const blocksMax = 20

type Block = { text: string; marked: boolean }

function blocksOfMessage({ content, cache_control, ...rest }: JsonObject): Block[] {
  const blocks = blocksOf(JSON.stringify(rest), content)
  const last = blocks.at(-1)
  if (last && isObject(cache_control)) last.marked = true
  return blocks
}

/** A text is a list of the one block that it stands for. */
function blocksOf(head: string, content: Json | undefined): Block[] {
  const all = typeof content === 'string' ? [{ type: 'text', text: content }] : list(content)
  return all.length > 0 ? all.map((block) => blockOf(head, block)) : [blockOf(head, null)]
}

function blockOf(head: string, value: Json): Block {
  if (!isObject(value)) return { text: head + JSON.stringify(value), marked: false }
  const { cache_control: mark, ...rest } = value
  return { text: head + JSON.stringify(rest), marked: isObject(mark) }
}

/** Of texts in order: where one ends and the next begins counts. */
export function hashOf(texts: readonly string[]): string {
  const [a, b] = texts.reduce((hash, text) => goOn(goOn(hash, text), '\0'), start)
  return `${a.toString(36)}.${b.toString(36)}`
}

/** Two lanes of FNV-1a. Whoever makes prompts collide finds out nothing: they go to the same deployment. */
type Hash = readonly [number, number]
const start: Hash = [0x811c9dc5, 0x9747b28c]
function goOn([first, second]: Hash, said: string): Hash {
  let a = first
  let b = second
  for (let at = 0; at < said.length; at++) {
    const unit = said.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x85ebca6b)
  }
  return [a >>> 0, b >>> 0]
}
