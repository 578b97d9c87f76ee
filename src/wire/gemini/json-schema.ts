import { isObject, type Json, type JsonObject, list } from '../../json/json.ts'
import { camelOf, setOwn } from './keys.ts'

/**
 * A schema of Gemini's (upper-case types, `nullable`, counts as texts, either spelling) as the JSON schema everyone else
 * reads. JSON Schema in, the same JSON Schema out.
 */
export const decodeSchema = (schema: JsonObject): JsonObject => readNode(schema, 0)

const deepest = 60

function readNode(node: JsonObject, depth: number): JsonObject {
  if (depth > deepest) return {}
  const out: JsonObject = {}
  for (const [given, value] of Object.entries(node)) {
    if (value === undefined) continue
    const key = keywords.has(camelOf(given)) ? camelOf(given) : given
    if (key === 'propertyOrdering' || key === 'nullable') continue
    if (key === 'format' && value === 'enum') continue
    setOwn(out, key, readKeyword(key, value, node, depth))
  }
  if (node.nullable === true) allowNull(out)
  return out
}

/** What Gemini spells with an underscore in its other spelling; other keys are left alone. */
const keywords = new Set(
  `anyOf maxItems minItems maxLength minLength maxProperties minProperties propertyOrdering additionalProperties
  prefixItems oneOf`.split(/\s+/),
)

function readKeyword(key: string, value: Json, node: JsonObject, depth: number): Json {
  switch (key) {
    case 'type':
      return Array.isArray(value) ? value.map(lowerType) : lowerType(value)
    case 'properties':
      return readMap(value, depth, orderOf(node))
    case '$defs':
    case 'definitions':
    case 'patternProperties':
      return readMap(value, depth, [])
    case 'anyOf':
    case 'oneOf':
    case 'allOf':
    case 'prefixItems':
      return Array.isArray(value) ? value.map((item) => readAny(item, depth)) : value
    case 'items':
      return Array.isArray(value)
        ? value.map((item) => readAny(item, depth))
        : readAny(value, depth)
    case 'additionalProperties':
    case 'not':
      return readAny(value, depth)
    default:
      return counted.has(key) && typeof value === 'string' && /^\d{1,15}$/.test(value)
        ? Number(value)
        : value
  }
}

const counted = new Set(
  `maxItems minItems maxLength minLength maxProperties minProperties`.split(/\s+/),
)

const orderOf = (node: JsonObject): Json[] => list(node.propertyOrdering ?? node.property_ordering)

const readAny = (value: Json, depth: number): Json =>
  isObject(value) ? readNode(value, depth + 1) : value

/** The order Gemini was asked to write in becomes the order of the keys, which is all others have. */
function readMap(value: Json, depth: number, order: Json[]): Json {
  if (!isObject(value)) return value
  const out: JsonObject = {}
  const first = order.filter((name) => typeof name === 'string' && Object.hasOwn(value, name))
  for (const name of new Set([...first, ...Object.keys(value)])) {
    const child = value[String(name)]
    if (child !== undefined) setOwn(out, String(name), readAny(child, depth))
  }
  return out
}

const lowerType = (value: Json): Json =>
  typeof value === 'string' && /^[A-Z]+$/.test(value) ? value.toLowerCase() : value

function allowNull(node: JsonObject): void {
  if (typeof node.type === 'string') node.type = [node.type, 'null']
  else if (Array.isArray(node.anyOf)) node.anyOf = [...node.anyOf, { type: 'null' }]
  if (Array.isArray(node.enum) && !node.enum.includes(null)) node.enum = [...node.enum, null]
}

/**
 * A JSON schema as `parametersJsonSchema` and `responseJsonSchema` take it (GenerateContentConfig of @google/genai 3.1):
 * references stay and point into `$defs`, nothing stands beside a reference, a constant is an enum of one.
 */
export const cleanJsonSchema = (schema: JsonObject): JsonObject => cleanNode(schema, 0)

function cleanNode(node: JsonObject, depth: number): JsonObject {
  if (depth > deepest) return {}
  const out: JsonObject = {}
  const isReference = typeof node.$ref === 'string'
  for (const [key, value] of Object.entries(node)) {
    if (value === undefined || key === '$schema' || key === 'nullable') continue
    if (isReference && !key.startsWith('$') && key !== 'definitions') continue
    if (key === 'const') out.enum = [value]
    else if (key === '$ref')
      out.$ref = typeof value === 'string' ? value.replace(/^#\/definitions\//, '#/$defs/') : value
    else if (key === 'definitions' || key === '$defs')
      out.$defs = cleanMap(value, depth, isObject(out.$defs) ? out.$defs : {})
    else if (key === 'properties' || key === 'patternProperties')
      setOwn(out, key, cleanMap(value, depth))
    else if (key === 'type')
      out.type = Array.isArray(value) ? value.map(lowerType) : lowerType(value)
    else if (Array.isArray(value) && combinators.has(key))
      setOwn(
        out,
        key,
        value.map((item) => cleanAny(item, depth)),
      )
    else if (single.has(key)) setOwn(out, key, cleanAny(value, depth))
    else setOwn(out, key, value)
  }
  if (node.nullable === true) allowNull(out)
  return out
}

const combinators = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems', 'items'])
const single = new Set(['items', 'additionalProperties', 'not'])

const cleanAny = (value: Json, depth: number): Json =>
  isObject(value) ? cleanNode(value, depth + 1) : value

function cleanMap(value: Json, depth: number, out: JsonObject = {}): JsonObject {
  if (isObject(value))
    for (const [name, child] of Object.entries(value))
      if (child !== undefined) setOwn(out, name, cleanAny(child, depth))
  return out
}
