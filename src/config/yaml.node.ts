import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import type { Json, JsonObject } from '../json/json.ts'
import { formatPath, type Notice, type Path, type Position } from './notice.ts'

/** Where a value stands, and where its key does. Lines are counted only when somebody asks. */
export type Place = { key: number; value: number; source: Source; variable?: string }
export type Source = { file: string; lines: LineCounter }
/** Of every map and list that was read: where its entries stand. */
export type Places = WeakMap<object, Map<string | number, Place>>

export const positionOf = ({ key, value, source }: Place, part: 'key' | 'value'): Position => {
  const { line, col } = source.lines.linePos(part === 'key' ? key : value)
  return { file: source.file, line, column: col }
}

/**
 * Reads YAML 1.2 (so JSON too) with merge keys and the yes/no of YAML 1.1, as Python's reader knows them. The tree is
 * walked here, not by the package: for positions, and because its own walk takes quadratic time for many keys or aliases.
 */
export function readYaml(
  text: string,
  file: string,
  places: Places,
): { value: JsonObject; errors: Notice[]; warnings: Notice[] } {
  const lines = new LineCounter()
  const source: Source = { file, lines }
  const errors: Notice[] = []
  const warnings: Notice[] = []
  const say = (at: number | undefined, path: Path, message: string): Notice => {
    const position = at === undefined ? undefined : lines.linePos(at)
    return {
      file,
      ...(position === undefined ? {} : { line: position.line, column: position.col }),
      path: formatPath(path),
      message,
    }
  }
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      schema: 'core',
      uniqueKeys: false,
      prettyErrors: false,
      stringKeys: false,
      logLevel: 'error',
    })
    for (const error of document.errors.slice(0, 5))
      errors.push(say(error.pos[0], [], sentence(error.message)))
    for (const warning of document.warnings.slice(0, 5))
      warnings.push(say(warning.pos[0], [], sentence(warning.message)))
    if (errors.length > 0 || document.contents === null) return { value: {}, errors, warnings }
    const top = document.contents
    if (isScalar(top) && top.value === null) return { value: {}, errors, warnings }
    if (!isMap(top))
      throw new Refusal(
        top.range?.[0],
        [],
        'expected a map of sections (model_list: and so on) at the top of the file',
      )
    return { value: createWalk(source, places).map(top, [], 0), errors, warnings }
  } catch (cause) {
    // The parser is recursive: what is nested beyond the stack is nested too deep.
    if (cause instanceof Refusal) errors.push(say(cause.at, cause.path, cause.message))
    else
      errors.push(
        say(
          undefined,
          [],
          `cannot be read as YAML${cause instanceof RangeError ? ': it is nested too deep' : ''}`,
        ),
      )
    return { value: {}, errors, warnings }
  }
}

class Refusal extends Error {
  readonly at: number | undefined
  readonly path: Path
  constructor(at: number | undefined, path: Path, message: string) {
    super(message)
    this.at = at
    this.path = path
  }
}

const depthMax = 100
/** A file of a thousand deployments has some fifteen thousand values. */
const valuesMax = 500_000
const copiedMax = 50_000

function createWalk(
  source: Source,
  places: Places,
): { map(node: YAMLMap, path: Path, depth: number): JsonObject } {
  const anchors = new Map<string, Node>()
  let values = 0
  let copied = 0
  let copying = 0

  function read(node: unknown, path: Path, depth: number, at: number): Json {
    values += 1
    if (copying > 0) copied += 1
    if (copied > copiedMax)
      throw new Refusal(
        at,
        path,
        `aliases (*name) stand for more than ${copiedMax} values: write out what is needed`,
      )
    if (values > valuesMax) throw new Refusal(at, path, `more than ${valuesMax} values`)
    if (depth > depthMax) throw new Refusal(at, path, `nested deeper than ${depthMax}`)
    if (isAlias(node))
      return aliased(node.source, node.range?.[0] ?? at, path, (target) =>
        read(target, path, depth + 1, at),
      )
    const value = isMap(node)
      ? map(node, path, depth)
      : isSeq(node)
        ? seq(node.items, path, depth, at)
        : isScalar(node)
          ? scalar(node, path, at)
          : null
    // Known only once it has ended, so nothing can hold itself.
    if (
      copying === 0 &&
      (isMap(node) || isSeq(node) || isScalar(node)) &&
      node.anchor !== undefined
    )
      anchors.set(node.anchor, node)
    return value
  }

  function aliased<T>(name: string, at: number, path: Path, use: (target: Node) => T): T {
    const target = anchors.get(name)
    if (target === undefined)
      throw new Refusal(at, path, `the alias *${name} has no anchor &${name} before it`)
    copying += 1
    try {
      return use(target)
    } finally {
      copying -= 1
    }
  }

  function seq(items: readonly unknown[], path: Path, depth: number, at: number): Json[] {
    const out: Json[] = []
    const own = new Map<string | number, Place>()
    items.forEach((item, index) => {
      const start = startOf(item) ?? at
      own.set(index, { key: start, value: start, source })
      out.push(read(item, [...path, index], depth + 1, start))
    })
    places.set(out, own)
    return out
  }

  function map(node: YAMLMap, path: Path, depth: number): JsonObject {
    const out: JsonObject = {}
    const own = new Map<string | number, Place>()
    const merges: [unknown, number][] = []
    for (const pair of node.items) {
      if (!isPair(pair)) continue
      const at = startOf(pair.key) ?? node.range?.[0] ?? 0
      if (isScalar(pair.key) && pair.key.value === '<<' && pair.key.type === 'PLAIN') {
        merges.push([pair.value, at])
        continue
      }
      const key = keyOf(pair.key, at, path)
      const before = own.get(key)
      if (before !== undefined)
        throw new Refusal(
          at,
          [...path, key],
          `written twice; the first stands at line ${source.lines.linePos(before.key).line}`,
        )
      const start = startOf(pair.value) ?? at
      own.set(key, { key: at, value: start, source })
      out[key] = read(pair.value, [...path, key], depth + 1, start)
    }
    for (const [value, at] of merges) merge(value, out, own, path, depth, at)
    places.set(out, own)
    return out
  }

  /** `<<: *name`: keys of its own count more, then those of the earlier map. */
  function merge(
    value: unknown,
    out: JsonObject,
    own: Map<string | number, Place>,
    path: Path,
    depth: number,
    at: number,
  ): void {
    if (depth > depthMax) throw new Refusal(at, path, `nested deeper than ${depthMax}`)
    if (isAlias(value))
      aliased(value.source, at, path, (target) => merge(target, out, own, path, depth + 1, at))
    else if (isSeq(value))
      for (const item of value.items) merge(item, out, own, path, depth + 1, at)
    else if (isMap(value)) {
      const from = map(value, path, depth + 1)
      const there = places.get(from)
      for (const [key, item] of Object.entries(from)) {
        if (Object.hasOwn(out, key)) continue
        out[key] = item
        const place = there?.get(key)
        if (place !== undefined) own.set(key, place)
      }
    } else throw new Refusal(at, path, '<< wants a map, or aliases of maps')
  }

  function keyOf(key: unknown, at: number, path: Path): string {
    const value = isAlias(key) ? anchors.get(key.source) : key
    if (!isScalar(value) || value.value === null)
      throw new Refusal(at, path, 'a key must be plain text')
    const name =
      typeof value.value === 'string' ? value.value : (value.source ?? String(value.value))
    if (name === '__proto__') throw new Refusal(at, path, 'this name cannot be used for a key')
    if (copying === 0 && value.anchor !== undefined) anchors.set(value.anchor, value)
    return name
  }

  return { map }
}

function scalar(node: Scalar, path: Path, at: number): Json {
  const { value, source, type } = node
  if (typeof value === 'string') {
    if (type !== 'PLAIN' || node.tag !== undefined) return value
    if (pythonBoolean.test(value)) return /^(yes|on)$/i.test(value)
    return /^[-+]?[1-9][\d_]*$/.test(value) && value.length < 16
      ? Number(value.replaceAll('_', ''))
      : value
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new Refusal(at, path, `${source ?? 'this'} is no usable number`)
    // An id of many digits, or one that begins with 0, would not come through as a number.
    return source !== undefined && /^0\d|^\d{16}/.test(source) ? source : value
  }
  return typeof value === 'boolean' || value === null ? value : String(value)
}

const pythonBoolean = /^(yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$/

const startOf = (node: unknown): number | undefined =>
  isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined

/** The package's messages begin in capitals and now and then end in a colon or a full stop. */
const sentence = (message: string): string =>
  message.startsWith('Maximum call stack')
    ? 'nested too deep'
    : message.slice(0, 200).replace(/[.:]\s*$/, '')
