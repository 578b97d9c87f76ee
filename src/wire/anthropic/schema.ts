import { isObject, type Json, type JsonObject, list } from '../../json/json.ts'

/**
 * A tool's schema as Anthropic takes it. It wants valid JSON Schema 2020-12 with an object at the root and no
 * combinator beside it; everything else passes. The client's copy is never changed, and comes back as it is when
 * nothing is wrong with it.
 */
export function toolSchema(schema: JsonObject | undefined): JsonObject {
  if (schema === undefined) return { type: 'object', properties: {} }
  const sound = object(repair(schema, 0))
  const root = typeof sound.$ref === 'string' ? { ...resolve(sound, sound.$ref), ...sound } : sound
  const { $ref: _ref, allOf, anyOf, oneOf, ...rest } = root
  const branches = [...list(anyOf), ...list(oneOf)].filter(isObject)
  const parts = list(allOf).filter(isObject)
  if (root === sound && allOf === undefined && anyOf === undefined && oneOf === undefined)
    return sound.type === 'object' ? sound : { ...sound, type: 'object' }
  return {
    ...rest,
    type: 'object',
    properties: merged([...branches, ...parts, rest].map((part) => object(part.properties))),
    required: [
      ...new Set([
        ...list(rest.required),
        ...parts.flatMap((part) => list(part.required)),
        // Only what every branch wants is wanted of all.
        ...list(branches[0]?.required).filter((name) =>
          branches.every((branch) => list(branch.required).includes(name)),
        ),
      ]),
    ],
  }
}

export type StrictSchema = { schema: JsonObject; optional: number; unions: number }

/**
 * A schema as Anthropic's grammar takes it (platform.claude.com, structured outputs, 2026-11): closed objects, few
 * keywords; what it refuses becomes a hint in the description. Undefined when the schema cannot be said that way
 * (open maps, recursion, references to elsewhere).
 */
export function strictSchema(schema: JsonObject): StrictSchema | undefined {
  const count = { optional: 0, unions: 0 }
  const defs = new Map<string, JsonObject>()
  for (const key of ['$defs', 'definitions'])
    for (const [name, value] of Object.entries(object(schema[key])))
      if (isObject(value)) defs.set(`#/${key}/${name}`, value)
  const refs = new Map<string, 'open' | 'sound' | 'unsound'>()
  const walk = (node: Json | undefined, depth: number): JsonObject | undefined => {
    if (!isObject(node) || depth > 60) return undefined
    if (typeof node.$ref === 'string') {
      const ref = node.$ref
      const seen = refs.get(ref)
      if (seen === undefined) {
        refs.set(ref, 'open')
        refs.set(ref, walk(defs.get(ref), depth + 1) ? 'sound' : 'unsound')
      }
      // Met again while it is read: a recursion, which the grammar has not.
      return refs.get(ref) === 'sound' ? { $ref: ref } : undefined
    }
    const out: JsonObject = {}
    const hints: string[] = []
    for (const [key, value] of Object.entries(node)) {
      if (value === undefined || value === null || quiet.has(key)) continue
      if (plain.has(key)) out[key] = value
      else if (key === 'enum' && list(value).every(isScalar)) out.enum = value
      else if (key === 'format' && formats.has(String(value))) out.format = value
      else if (key === 'minItems' && (value === 0 || value === 1)) out.minItems = value
      else if (!handled.has(key)) hints.push(`${key}: ${JSON.stringify(value)}`)
    }
    if (Array.isArray(out.type)) count.unions++
    for (const key of ['anyOf', 'oneOf', 'allOf']) {
      if (!Array.isArray(node[key])) continue
      const branches = list(node[key]).map((branch) => walk(branch, depth + 1))
      if (!branches.every((branch) => branch !== undefined)) return undefined
      out[key === 'oneOf' ? 'anyOf' : key] = branches
      if (key !== 'allOf') count.unions++
    }
    if (node.items !== undefined) {
      const items = walk(node.items, depth + 1)
      if (items === undefined) return undefined
      out.items = items
    }
    if (
      list(node.type)
        .concat(node.type ?? [])
        .includes('object') ||
      isObject(node.properties)
    ) {
      const additional = node.additionalProperties
      const names = Object.keys(object(node.properties))
      if (isObject(additional) || (additional === true && names.length === 0)) return undefined
      if (names.length === 0 && additional === undefined && depth > 0) return undefined
      const properties: JsonObject = {}
      for (const name of names) {
        const property = walk(object(node.properties)[name], depth + 1)
        if (property === undefined) return undefined
        Object.defineProperty(properties, name, entry(property))
      }
      out.properties = properties
      out.additionalProperties = false
      if (Array.isArray(node.required)) out.required = node.required
      count.optional += names.filter((name) => !list(node.required).includes(name)).length
    }
    if (
      out.type === undefined &&
      !('anyOf' in out || 'allOf' in out || 'enum' in out || 'const' in out)
    )
      return undefined
    if (hints.length > 0)
      out.description = [out.description, `(${hints.join(', ')})`].filter(Boolean).join(' ')
    return out
  }
  const whole = walk(schema, 0)
  if (whole === undefined) return undefined
  const counted = { ...count }
  for (const key of ['$defs', 'definitions']) {
    if (!isObject(schema[key])) continue
    const named: JsonObject = {}
    for (const name of Object.keys(object(schema[key]))) {
      const value = walk(object(schema[key])[name], 1)
      if (value === undefined) return undefined
      Object.defineProperty(named, name, entry(value))
    }
    whole[key] = named
  }
  return { schema: whole, ...counted }
}

/** What makes a schema invalid in draft 2020-12 although others take it: upper-case types, draft 4, tuples. */
function repair(node: Json, depth: number): Json {
  if (!isObject(node) || depth > 60) return node
  const out: JsonObject = {}
  let changed = false
  const put = (key: string, value: Json | undefined, was: Json | undefined) => {
    changed ||= value !== was
    if (value !== undefined) Object.defineProperty(out, key, entry(value))
  }
  for (const [key, value] of Object.entries(node)) {
    if (value === undefined) continue
    if (key === 'type') put(key, typeName(value), value)
    else if (
      key === 'properties' ||
      key === '$defs' ||
      key === 'definitions' ||
      key === 'patternProperties'
    )
      put(key, each(value, depth), value)
    else if (key === 'items' && Array.isArray(value))
      put('prefixItems', repairAll(value, depth), value)
    else if (key === 'additionalItems' && Array.isArray(node.items))
      put('items', repair(value, depth + 1), undefined)
    else if (key === 'required') put(key, Array.isArray(value) ? value : undefined, value)
    else if (key === 'exclusiveMinimum' || key === 'exclusiveMaximum') {
      const bound = key === 'exclusiveMinimum' ? node.minimum : node.maximum
      put(key, typeof value === 'boolean' ? (value ? bound : undefined) : value, value)
    } else if (Array.isArray(value) && combinators.has(key))
      put(key, repairAll(value, depth), value)
    else if (subschemas.has(key)) put(key, repair(value, depth + 1), value)
    else put(key, value, value)
  }
  return changed ? out : node
}

function each(value: Json, depth: number): Json {
  if (!isObject(value)) return {}
  const out: JsonObject = {}
  let changed = false
  for (const [key, child] of Object.entries(value)) {
    if (child === undefined) continue
    const sound = repair(child, depth + 1)
    changed ||= sound !== child
    Object.defineProperty(out, key, entry(sound))
  }
  return changed ? out : value
}

function repairAll(values: Json[], depth: number): Json[] {
  const sound = values.map((value) => repair(value, depth + 1))
  return sound.every((value, at) => value === values[at]) ? values : sound
}

function typeName(value: Json): Json | undefined {
  if (Array.isArray(value)) {
    const names = value.map(typeName).filter((name) => name !== undefined)
    return names.every((name, at) => name === value[at]) && names.length === value.length
      ? value
      : names
  }
  if (typeof value !== 'string') return undefined
  return types.has(value) ? value : types.has(value.toLowerCase()) ? value.toLowerCase() : undefined
}

function resolve(root: JsonObject, ref: string): JsonObject {
  const [hash, section = '', name = '', ...deeper] = ref.split('/')
  return hash === '#' && deeper.length === 0 ? object(object(root[section])[name]) : {}
}

function merged(sets: JsonObject[]): JsonObject {
  const out: JsonObject = {}
  for (const set of sets)
    for (const [key, value] of Object.entries(set))
      if (value !== undefined) Object.defineProperty(out, key, entry(value))
  return out
}

/** Assigning would lose a property called `__proto__`. */
const entry = (value: Json): PropertyDescriptor => ({
  value,
  enumerable: true,
  writable: true,
  configurable: true,
})
const isScalar = (value: Json): boolean => value === null || typeof value !== 'object'
const object = (value: unknown): JsonObject => (isObject(value) ? value : {})

const types = new Set(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'])
const combinators = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const subschemas = new Set([
  'items',
  'additionalProperties',
  'not',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
])
const plain = new Set(['type', 'const', 'description', 'title'])
const quiet = new Set(['$schema', '$id', '$comment'])
const handled = new Set([
  'anyOf',
  'oneOf',
  'allOf',
  'items',
  'properties',
  'required',
  'additionalProperties',
  '$defs',
  'definitions',
])
const formats = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'uri',
  'ipv4',
  'ipv6',
  'uuid',
])
