import {
  compact,
  isObject,
  type Json,
  type JsonObject,
  list,
  number,
  object,
  text,
} from '../../json/json.ts'

/**
 * What grounding and citations say about a text, in OpenAI's shape: one annotation for every source of every passage,
 * or for every source where no passage is named.
 */
export function decodeAnnotations(candidate: JsonObject, said: string): JsonObject[] {
  const grounding = object(candidate.groundingMetadata)
  const places = createPlaces(said)
  const sources = list(grounding.groundingChunks).map(sourceOf)
  const out: JsonObject[] = []
  const add = (source: Source | undefined, start: number, end: number): void => {
    if (source && out.length < most)
      out.push({
        type: 'url_citation',
        url_citation: { ...source, start_index: start, end_index: end },
      })
  }
  const supports = list(grounding.groundingSupports)
  for (const support of supports) {
    const { segment, groundingChunkIndices } = object(support)
    const { startIndex, endIndex } = object(segment)
    const start = places(number(startIndex) ?? 0)
    const end = places(number(endIndex) ?? 0)
    for (const at of list(groundingChunkIndices)) add(sources[Number(at)], start, end)
  }
  if (supports.length === 0) for (const source of sources) add(source, 0, 0)
  for (const value of list(object(candidate.citationMetadata).citations)) {
    const { uri, title, startIndex, endIndex } = object(value)
    if (typeof uri !== 'string' || uri === '') continue
    const source = { url: uri, title: text(title) ?? '' }
    add(source, places(number(startIndex) ?? 0), places(number(endIndex) ?? 0))
  }
  return out
}

/** A hostile answer could name every source in every passage. */
const most = 1000

type Source = { url: string; title: string }

function sourceOf(value: Json): Source | undefined {
  const chunk = object(value)
  for (const kind of ['web', 'retrievedContext', 'maps', 'image']) {
    const { uri, sourceUri, title } = object(chunk[kind])
    const url = text(uri) ?? text(sourceUri)
    if (url) return { url, title: text(title) ?? '' }
  }
  return undefined
}

/** Google counts bytes of UTF-8, OpenAI characters. Asked in any order; the text is walked once where it is ASCII. */
function createPlaces(said: string): (bytes: number) => number {
  let offsets: number[] | undefined
  return (bytes) => {
    if (!Number.isFinite(bytes) || bytes <= 0) return 0
    offsets ??= offsetsOf(said)
    return offsets.length === 0 ? Math.min(bytes, said.length) : characterAt(offsets, bytes)
  }
}

/** The byte at which each character begins, and where the last one ends; empty when all of them are one byte. */
function offsetsOf(said: string): number[] {
  if (/^[\x00-\x7f]*$/.test(said)) return []
  const offsets: number[] = []
  let bytes = 0
  for (let at = 0; at < said.length; at++) {
    offsets.push(bytes)
    const code = said.charCodeAt(at)
    const isPair = code >= 0xd800 && code < 0xdc00
    // A pair is four bytes, all of them counted at its first half.
    bytes +=
      code < 0x80 ? 1 : code < 0x800 ? 2 : isPair ? 4 : code >= 0xdc00 && code < 0xe000 ? 0 : 3
  }
  offsets.push(bytes)
  return offsets
}

function characterAt(offsets: readonly number[], bytes: number): number {
  let low = 0
  let high = offsets.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((offsets[middle] ?? 0) < bytes) low = middle + 1
    else high = middle
  }
  return low
}

/** The other way round: annotations of any wire as the sources a client of this wire shows. */
export function encodeGrounding(
  annotations: readonly JsonObject[],
  said: string,
): JsonObject | undefined {
  const chunks: JsonObject[] = []
  const supports: JsonObject[] = []
  const known = new Map<string, number>()
  const offsets = offsetsOf(said)
  const byteAt = (at: number): number => (offsets.length === 0 ? at : (offsets[at] ?? at))
  for (const annotation of annotations) {
    const cited = isObject(annotation.url_citation) ? annotation.url_citation : annotation
    const uri = text(cited.url)
    if (uri === undefined) continue
    let index = known.get(uri)
    if (index === undefined) {
      index = chunks.length
      known.set(uri, index)
      chunks.push({ web: compact({ uri, title: text(cited.title) }) })
    }
    const start = number(cited.start_index)
    const end = number(cited.end_index)
    if (!isPlace(start, said) || !isPlace(end, said) || end <= start || supports.length >= most)
      continue
    supports.push({
      segment: {
        startIndex: byteAt(start),
        endIndex: byteAt(end),
        text: said.slice(start, end),
      },
      groundingChunkIndices: [index],
    })
  }
  return chunks.length === 0
    ? undefined
    : compact({
        groundingChunks: chunks,
        groundingSupports: supports.length > 0 ? supports : undefined,
      })
}

const isPlace = (at: number | undefined, said: string): at is number =>
  at !== undefined && Number.isInteger(at) && at >= 0 && at <= said.length
