import { GatewayError } from '../../errors.ts'
import { isObject, type Json, type JsonObject, object, text } from '../../json/json.ts'
import { toUtf8, utf8 } from '../../json/latin1.ts'
import { mentions, type Named, namedIn } from '../named.ts'
import { invalid } from './media.ts'

/** One request of a batch, as OpenAI's JSONL has it. */
export type BatchLine = { customId: string; url: string; body: JsonObject }

/** The requests of a batch. Throws for a line that is none, and says which. */
export const readLines = (said: string): BatchLine[] =>
  [...linesOf(said)].map(({ at: _, ...line }) => line)

/** The same one by one, where no more than one of them is needed at a time. `at` counts lines from 1, empty ones too. */
export function* linesOf(said: string): Generator<BatchLine & { at: number }> {
  let count = 0
  let from = 0
  const seen = new Set<string>()
  for (let at = 1; from < said.length; at++) {
    const end = said.indexOf('\n', from)
    const line = said.slice(from, end === -1 ? said.length : end)
    from = end === -1 ? said.length : end + 1
    if (line.trim() === '') continue
    if (count++ === linesMax)
      throw invalid('input_file_id', `a batch has at most ${linesMax} requests.`)
    const value = parsedLine(line)
    const { custom_id, url, body } = object(value)
    const customId = text(custom_id)
    const wrong = (why: string): GatewayError =>
      invalid('input_file_id', `line ${at} of the input file ${why}.`)
    if (!isObject(value)) throw wrong('is no JSON object')
    if (customId === undefined || customId === '') throw wrong("has no 'custom_id'")
    if (seen.has(customId)) throw wrong(`repeats the custom_id '${customId.slice(0, 100)}'`)
    if (!isObject(body)) throw wrong("has no 'body'")
    seen.add(customId)
    yield { customId, url: text(url) ?? '', body, at }
  }
  if (count === 0) throw invalid('input_file_id', 'the input file has no requests.')
}
/** Anthropic's bound, and twice OpenAI's. */
const linesMax = 100_000

export function parsedLine(line: string): Json | undefined {
  try {
    return JSON.parse(line.replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
}

/** Adds what a request of a batch hands to its model. Answers whether it is one that names anything. */
export function nameIn(line: string, found: Named): boolean {
  if (!mentions(line) && !line.includes('"container"')) return false
  const { body } = object(parsedLine(line))
  if (!isObject(body)) return false
  const { things, containers } = namedIn(body)
  for (const id of things) found.things.add(id)
  for (const id of containers) found.containers.add(id)
  return things.size + containers.size > 0
}

/** The same of a whole file. */
export function namesIn(said: string): { named?: Named } {
  if (!mentions(said) && !said.includes('"container"')) return {}
  const named: Named = { things: new Set(), containers: new Set() }
  for (const line of said.split('\n')) nameIn(line, named)
  return { named }
}

export type LineChange = {
  push(chunk: Uint8Array): Uint8Array[]
  end(): Uint8Array[]
}

/**
 * Lines of a stream, each changed; `undefined`: it stays as it came. A longer line than `lineMax` passes unread, unless it
 * begins as JSON does.
 */
export function changeLines(change: (line: string) => string | undefined): LineChange {
  let held: Uint8Array[] = []
  let size = 0
  let passing = false
  const flush = (): Uint8Array[] => {
    const all = held
    held = []
    size = 0
    return all
  }
  const line = (): Uint8Array[] => {
    const all = flush()
    if (passing || all.length === 0) return all
    const told = change(utf8(concat(all)))
    return told === undefined ? all : [toUtf8(told)]
  }
  return {
    push(chunk) {
      const out: Uint8Array[] = []
      let from = 0
      for (;;) {
        const at = chunk.indexOf(newline, from)
        const piece = chunk.subarray(from, at === -1 ? chunk.length : at)
        if (piece.length > 0) {
          // A piece of the network's own buffer, which may be used again.
          held.push(at === -1 ? piece.slice() : piece)
          size += piece.length
        }
        if (at === -1) break
        out.push(...line(), newlineBytes)
        passing = false
        from = at + 1
      }
      if (passing || size > lineMax) {
        // A picture has no lines; what looks like a request must not slip by because it is long.
        if (!passing && /^\s*\{/.test(utf8((held[0] ?? newlineBytes).subarray(0, 16))))
          throw new GatewayError(
            'too_large',
            `a line of the file is longer than ${lineMax / 1024 / 1024} MB`,
          )
        passing = true
        out.push(...flush())
      }
      return out
    },
    end: () => line(),
  }
}
const newline = 10
const newlineBytes = toUtf8('\n')
const lineMax = 16 * 1024 * 1024

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks
  if (chunks.length === 1 && only) return only
  const out = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** The same for a body that is passed on. */
export async function* changedLines(
  body: AsyncIterable<Uint8Array>,
  change: (line: string) => string | undefined,
): AsyncGenerator<Uint8Array> {
  const lines = changeLines(change)
  for await (const chunk of body) for (const bytes of lines.push(chunk)) yield bytes
  for (const bytes of lines.end()) yield bytes
}

/** The deployment's own name of the model in a line of a batch: the client's is the gateway's. */
export const withModel =
  (model: string) =>
  (line: string): string | undefined => {
    const value = parsedLine(line)
    // Whatever has these two is a request to whoever takes batches, however its keys are spelt.
    if (!isObject(value) || !isObject(value['body']) || value['custom_id'] === undefined)
      return undefined
    return JSON.stringify({ ...value, body: { ...value['body'], model } })
  }
