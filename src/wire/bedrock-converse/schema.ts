import { isObject, type Json, type JsonObject, object } from '../../json/json.ts'
import { isRawNumber } from '../../json/parse.ts'
import { toolSchema } from '../anthropic/schema.ts'
import type { Family } from './family.ts'

/**
 * A tool's schema as Bedrock takes it: an object at the root. Claude reads references and all keywords; of the others
 * some refuse references, and Nova anything at the root but `type`, `properties` and `required` (Nova's user guide,
 * "Tool use", 2026-11).
 */
export function encodeSchema(schema: JsonObject | undefined, family: Family): JsonObject {
  const sound = toolSchema(schema)
  if (family === 'claude' || family === 'unnamed') return sound
  const { $schema: _, $defs: __, definitions: ___, ...whole } = object(withoutRefs(sound))
  if (family !== 'nova' && family !== 'nova-2') return whole
  const { properties, required } = whole
  return {
    type: 'object',
    properties: object(properties),
    ...(Array.isArray(required) && { required }),
  }
}

/** References replaced by what they mean; one that leads back to itself, or is too much, becomes any object. */
function withoutRefs(root: JsonObject): Json {
  const defs = new Map<string, Json>()
  for (const key of ['$defs', 'definitions'])
    for (const [name, value] of Object.entries(object(root[key])))
      if (value !== undefined) defs.set(`#/${key}/${name}`, value)
  if (!hasRef(root, 0)) return root
  let left = 5000
  const walk = (node: Json, open: readonly string[], depth = 0): Json => {
    if (typeof node !== 'object' || node === null || isRawNumber(node)) return node
    if (--left < 0 || depth > deepest) return { type: 'object' }
    if (Array.isArray(node)) return node.map((item) => walk(item, open, depth + 1))
    const { $ref, ...rest } = node
    if (typeof $ref === 'string') {
      const meant = defs.get($ref)
      if (meant === undefined || open.includes($ref)) return { type: 'object', ...rest }
      return { ...object(walk(meant, [...open, $ref], depth + 1)), ...rest }
    }
    const out: JsonObject = {}
    for (const [key, value] of Object.entries(node)) {
      if (value === undefined || (node === root && (key === '$defs' || key === 'definitions')))
        continue
      // Assigning would lose a property called `__proto__`.
      Object.defineProperty(out, key, {
        value: walk(value, open, depth + 1),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
    return out
  }
  return walk(root, [])
}

const deepest = 100

function hasRef(node: Json | undefined, depth: number): boolean {
  if (typeof node !== 'object' || node === null || depth > deepest) return false
  const values = Array.isArray(node) ? node : Object.values(node)
  return (
    (isObject(node) && typeof node.$ref === 'string') ||
    values.some((value) => hasRef(value, depth + 1))
  )
}
