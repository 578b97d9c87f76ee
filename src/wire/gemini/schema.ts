import { isObject, type Json, type JsonObject, list, object, text } from '../../json/json.ts'
import { setOwn } from './keys.ts'

export type EncodedSchema = {
  /** Absent for a function without parameters. */
  schema: JsonObject | undefined
  /** False when something that tells the model what to write could not be said: open maps, recursion, tuples, any value. */
  exact: boolean
}

/**
 * A JSON schema as Gemini's `Schema`, the OpenAPI subset that `parameters` and `responseSchema` take everywhere (types
 * of @google/genai 3.1; what else is in it is an unknown field, a 400). References are inlined as deep as they do not
 * repeat, null becomes `nullable`, a constant an enum; what the subset has no word for is told in the description.
 * The client's copy is never changed.
 */
export function encodeSchema(schema: JsonObject, room: Room = createRoom()): EncodedSchema {
  const walk = walkOf(schema, room)
  return { schema: encodeNode(schema, walk, 0), exact: walk.exact }
}

/** Keywords and properties that may still be read for one request: references inside references multiply. */
export type Room = { left: number }
export const createRoom = (): Room => ({ left: 500_000 })
const perSchema = 40_000

/** A function's parameters: one object, whatever unions stand at its root. */
export function encodeParameters(schema: JsonObject, room: Room = createRoom()): EncodedSchema {
  const walk = walkOf(schema, room)
  const whole = encodeNode(schema, walk, 0)
  const branches = list(whole.anyOf).map(object)
  const node =
    branches.length > 0 && branches.every((branch) => branch.type === 'OBJECT')
      ? mergeBranches(branches, walk)
      : whole
  const exact = walk.exact && node.type === 'OBJECT'
  if (node.type !== 'OBJECT' || !isObject(node.properties)) return { schema: undefined, exact }
  return { schema: node, exact }
}

type Walk = {
  readonly root: JsonObject
  exact: boolean
  left: number
  readonly room: Room
  /** References that are being followed. */
  readonly open: string[]
}

const walkOf = (root: JsonObject, room: Room): Walk => ({
  root,
  exact: true,
  left: perSchema,
  room,
  open: [],
})

const deepest = 48

function encodeNode(value: Json | undefined, walk: Walk, depth: number): JsonObject {
  if (!isObject(value)) return anything({}, walk)
  if (depth > deepest || isFull(walk)) {
    walk.exact = false
    return { type: 'OBJECT' }
  }
  spend(walk, value)
  if (typeof value.$ref === 'string') return encodeReference(value, value.$ref, walk, depth)
  if (Array.isArray(value.allOf)) {
    const { allOf, ...rest } = value
    const parts = list(allOf)
      .filter(isObject)
      .map((part) => followed(part, walk))
    return encodeNode(merged([rest, ...parts], walk), walk, depth + 1)
  }
  const branches = [...list(value.anyOf), ...list(value.oneOf)]
  return branches.length > 0
    ? encodeUnion(value, branches, walk, depth)
    : encodeTyped(value, walk, depth)
}

const isFull = (walk: Walk): boolean => walk.left <= 0 || walk.room.left <= 0

function spend(walk: Walk, node: JsonObject): void {
  const size = 1 + Object.keys(node).length
  walk.left -= size
  walk.room.left -= size
}

function encodeReference(value: JsonObject, ref: string, walk: Walk, depth: number): JsonObject {
  const target = walk.open.includes(ref) ? undefined : resolve(walk.root, ref)
  const { $ref: _, ...beside } = value
  if (target === undefined || isFull(walk)) {
    walk.exact = false
    return withWords({ type: 'OBJECT' }, beside, [])
  }
  spend(walk, target)
  walk.open.push(ref)
  const node = encodeNode({ ...target, ...beside }, walk, depth + 1)
  walk.open.pop()
  return node
}

/** Part of an `allOf`: a reference is merged as what it stands for. */
function followed(part: JsonObject, walk: Walk): JsonObject {
  const seen = new Set<string>()
  let node = part
  while (typeof node.$ref === 'string' && !seen.has(node.$ref)) {
    seen.add(node.$ref)
    const { $ref: _, ...beside } = node
    const target = walk.open.includes(node.$ref) ? undefined : resolve(walk.root, node.$ref)
    if (target === undefined || isFull(walk)) {
      walk.exact = false
      return beside
    }
    node = { ...target, ...beside }
    spend(walk, node)
  }
  return node
}

/** `#/$defs/name` and other pointers into the same document. */
function resolve(root: JsonObject, ref: string): JsonObject | undefined {
  if (ref === '#') return root
  if (!ref.startsWith('#/') || ref.length > 1000) return undefined
  let node: Json | undefined = root
  for (const step of ref.slice(2).split('/')) {
    const key = decodeStep(step)
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined
    node = Array.isArray(node) ? node[Number(key)] : node[key]
  }
  return isObject(node) ? node : undefined
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return step
  }
}

function encodeUnion(value: JsonObject, all: Json[], walk: Walk, depth: number): JsonObject {
  const { anyOf: _any, oneOf: _one, ...rest } = value
  const isNullable = all.some(isNull)
  const branches = all.filter((branch) => !isNull(branch)).filter(isObject)
  const given = isNullable ? { ...rest, nullable: true } : rest
  // Branches that only say which fields go together narrow an object; the subset cannot say so.
  const own = typesOf(rest).length > 0 || isObject(rest.properties)
  const telling = branches.filter(isTelling)
  if (telling.length === 0 || (own && telling.length < branches.length))
    return encodeTyped(given, walk, depth)
  const only = telling[0]
  if (telling.length === 1 && only) return encodeNode(merged([given, only], walk), walk, depth + 1)
  const { default: _default, ...shared } = given
  const encoded = telling.flatMap((branch) => {
    if (isFull(walk)) return []
    const node = encodeNode(merged([shared, branch], walk), walk, depth + 1)
    return Array.isArray(node.anyOf) ? node.anyOf.map(object) : [node]
  })
  if (encoded.length > 0) return joinEnums(encoded) ?? { anyOf: encoded }
  walk.exact = false
  return { type: 'OBJECT' }
}

const isNull = (branch: Json): boolean =>
  isObject(branch) && (branch.type === 'null' || branch.type === 'NULL' || branch.const === null)

const telling = [
  'type',
  'properties',
  'items',
  '$ref',
  'enum',
  'const',
  'anyOf',
  'oneOf',
  'allOf',
  'prefixItems',
]
const isTelling = (branch: JsonObject): boolean => telling.some((key) => branch[key] !== undefined)

/** A union of constants is one enum. */
function joinEnums(branches: JsonObject[]): JsonObject | undefined {
  const [first] = branches
  const alike = branches.every(
    (branch) =>
      branch.type === 'STRING' &&
      Array.isArray(branch.enum) &&
      branch.description === first?.description &&
      branch.nullable === first?.nullable,
  )
  if (!alike || !first) return undefined
  return { ...first, enum: [...new Set(branches.flatMap((branch) => list(branch.enum)))] }
}

/** All of them at once, as far as one node can say it. Merging is work too, so it is paid from the room there is. */
function merged(nodes: readonly JsonObject[], walk: Walk): JsonObject {
  const whole: JsonObject = {}
  const properties: JsonObject = {}
  const required = new Set<Json>()
  for (const node of nodes) {
    if (isFull(walk)) break
    for (const [key, value] of Object.entries(node))
      if (value !== undefined) setOwn(whole, key, value)
    const own = object(node.properties)
    spend(walk, node)
    spend(walk, own)
    for (const [name, value] of Object.entries(own))
      if (value !== undefined) setOwn(properties, name, value)
    for (const name of list(node.required)) required.add(name)
  }
  if (isObject(whole.properties)) whole.properties = properties
  if (Array.isArray(whole.required)) whole.required = [...required]
  return whole
}

/** The fields of any branch; wanted is what every branch wants. */
function mergeBranches(branches: readonly JsonObject[], walk: Walk): JsonObject {
  const { required: _, ...whole } = merged(branches, walk)
  const wanted = branches.map((branch) => new Set(list(branch.required)))
  const required = [...(wanted[0] ?? [])].filter((name) => wanted.every((set) => set.has(name)))
  return { ...whole, ...(required.length > 0 && { required }) }
}

function encodeTyped(value: JsonObject, walk: Walk, depth: number): JsonObject {
  const stated = typesOf(value)
  const isNullable = value.nullable === true || stated.includes('null')
  const types = stated.filter((type) => type !== 'null')
  const found = types.length > 0 ? types : inferred(value)
  if (found.length === 0) return anything({ ...value, ...(isNullable && { nullable: true }) }, walk)
  const nodes = found.map((type) => {
    const node = encodeAs(type, value, walk, depth)
    return isNullable || list(value.enum).includes(null) ? { ...node, nullable: true } : node
  })
  const [only] = nodes
  return nodes.length === 1 && only ? only : { anyOf: nodes }
}

const names = new Set(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'])
const typesOf = ({ type }: JsonObject): string[] =>
  (Array.isArray(type) ? type : [type]).flatMap((name) => {
    const plain = typeof name === 'string' ? name.toLowerCase() : ''
    return names.has(plain) ? [plain] : []
  })

/** What a schema without a type is about. */
function inferred(value: JsonObject): string[] {
  const has = (...keys: string[]): boolean => keys.some((key) => value[key] !== undefined)
  if (has('properties', 'additionalProperties', 'patternProperties', 'required')) return ['object']
  if (has('items', 'prefixItems', 'minItems', 'maxItems')) return ['array']
  const constants = constantsOf(value)
  if (constants.some((constant) => typeof constant === 'string')) return ['string']
  if (constants.some((constant) => typeof constant === 'number')) return ['number']
  if (constants.some((constant) => typeof constant === 'boolean')) return ['boolean']
  if (has('pattern', 'minLength', 'maxLength', 'format')) return ['string']
  return has('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf')
    ? ['number']
    : []
}

const constantsOf = (value: JsonObject): Json[] =>
  value.const !== undefined ? [value.const] : list(value.enum)

/** Anything goes: a text holds most of it. */
function anything(value: JsonObject, walk: Walk): JsonObject {
  walk.exact = false
  const node = withWords({ type: 'STRING' }, value, [])
  return value.nullable === true ? { ...node, nullable: true } : node
}

function encodeAs(type: string, value: JsonObject, walk: Walk, depth: number): JsonObject {
  switch (type) {
    case 'object':
      return withWords(encodeObject(value, walk, depth), value, [])
    case 'array':
      return withWords(encodeArray(value, walk, depth), value, [])
    case 'string':
      return encodeString(value)
    case 'boolean':
      return withWords({ type: 'BOOLEAN' }, value, oneOfWords(value, 'boolean'))
    default:
      return encodeNumber(type, value)
  }
}

function encodeObject(value: JsonObject, walk: Walk, depth: number): JsonObject {
  const node: JsonObject = { type: 'OBJECT' }
  const properties: JsonObject = {}
  for (const [name, property] of Object.entries(object(value.properties)))
    if (property !== false && property !== undefined)
      setOwn(properties, name, encodeNode(property, walk, depth + 1))
  const count = Object.keys(properties).length
  // An empty map is refused, no map is not.
  if (count > 0) node.properties = properties
  const additional = value.additionalProperties
  if (isObject(additional) || value.patternProperties !== undefined) walk.exact = false
  if (count === 0 && additional !== false && (depth > 0 || additional === true)) walk.exact = false
  const required = list(value.required).filter(
    (name) => typeof name === 'string' && Object.hasOwn(properties, name),
  )
  if (required.length > 0) node.required = required
  const ordering = list(value.propertyOrdering).filter(
    (name) => typeof name === 'string' && Object.hasOwn(properties, name),
  )
  if (ordering.length > 0) node.propertyOrdering = ordering
  return { ...node, ...counts(value, 'minProperties', 'maxProperties') }
}

function encodeArray(value: JsonObject, walk: Walk, depth: number): JsonObject {
  const tuple = [...list(value.prefixItems), ...list(value.items)]
  if (tuple.length > 0) walk.exact = false
  const items =
    tuple.length > 0
      ? encodeNode({ anyOf: tuple }, walk, depth + 1)
      : encodeNode(value.items, walk, depth + 1)
  return { type: 'ARRAY', items, ...counts(value, 'minItems', 'maxItems') }
}

function encodeString(value: JsonObject): JsonObject {
  const node: JsonObject = { type: 'STRING' }
  const hints: string[] = []
  // The API refuses an empty text among the values.
  const values = constantsOf(value).filter((item) => typeof item === 'string' && item !== '')
  if (values.length > 0) node.enum = [...new Set(values)]
  if (typeof value.format === 'string' && value.format !== 'enum') {
    if (value.format === 'date-time') node.format = value.format
    else hints.push(`format: ${value.format}`)
  }
  if (typeof value.pattern === 'string') node.pattern = value.pattern
  return withWords({ ...node, ...counts(value, 'minLength', 'maxLength') }, value, hints)
}

const numberFormats = new Set(['float', 'double', 'int32', 'int64'])

function encodeNumber(type: string, value: JsonObject): JsonObject {
  const isWhole = type === 'integer'
  const node: JsonObject = { type: isWhole ? 'INTEGER' : 'NUMBER' }
  if (numberFormats.has(text(value.format) ?? '')) node.format = value.format
  const step = isWhole ? 1 : 0
  const least = bound(value.minimum, value.exclusiveMinimum, step)
  const most = bound(value.maximum, value.exclusiveMaximum, -step)
  if (least !== undefined) node.minimum = least
  if (most !== undefined) node.maximum = most
  return withWords(node, value, oneOfWords(value, 'number'))
}

/** Draft 4 says `exclusiveMinimum: true` beside a minimum, later drafts give the number itself. */
function bound(
  inclusive: Json | undefined,
  exclusive: Json | undefined,
  step: number,
): number | undefined {
  if (typeof exclusive === 'number') return exclusive + step
  if (typeof inclusive !== 'number') return undefined
  return exclusive === true ? inclusive + step : inclusive
}

/** Only texts may be listed as values; numbers and truths are told in words. */
function oneOfWords(value: JsonObject, kind: 'number' | 'boolean'): string[] {
  const values = constantsOf(value).filter((item) => typeof item === kind)
  return values.length === 0 ? [] : [`one of: ${values.slice(0, 100).join(', ')}`]
}

/** int64 in proto JSON: a number or a text of digits. */
function counts(value: JsonObject, ...keys: string[]): JsonObject {
  const out: JsonObject = {}
  for (const key of keys) {
    const count = value[key]
    if (typeof count === 'number' && Number.isInteger(count) && count >= 0) out[key] = count
  }
  return out
}

function withWords(node: JsonObject, value: JsonObject, hints: string[]): JsonObject {
  const out: JsonObject = { ...node }
  if (typeof value.title === 'string') out.title = value.title
  const said = text(value.description)
  const description = [said, hints.length > 0 ? `(${hints.join('; ')})` : ''].filter(Boolean)
  if (description.length > 0) out.description = description.join(' ')
  if (value.default !== undefined && value.default !== null) out.default = value.default
  if (value.example !== undefined) out.example = value.example
  return out
}
