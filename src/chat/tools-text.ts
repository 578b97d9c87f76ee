import { isObject, type JsonObject, list, object, text } from '../json/json.ts'

/**
 * Tools as OpenAI is believed to show them to its models, a TypeScript namespace; LiteLLM counts the same text.
 * Bounded: a schema is the client's, and may be as deep or as wide as it likes.
 */
export function toolsText(tools: readonly DescribedTool[]): string {
  const room = { nodes: 20_000, depth: 0 }
  const lines = ['namespace functions {', '']
  for (const { name, description, schema } of tools) {
    if (description) lines.push(`// ${description}`)
    const fields = fieldsText(object(schema), 0, room)
    if (fields === '') lines.push(`type ${name} = () => any;`, '')
    else lines.push(`type ${name} = (_: {`, fields, '}) => any;', '')
  }
  lines.push('} // namespace functions')
  return lines.join('\n')
}

export type DescribedTool = { name: string; description?: string | undefined; schema?: unknown }

/** What may still be read, and how deep reading is. */
type Room = { nodes: number; depth: number }

function fieldsText(schema: JsonObject, indent: number, room: Room): string {
  const properties = object(schema.properties)
  const required = new Set(list(schema.required))
  const margin = ' '.repeat(indent)
  const lines: string[] = []
  for (const key in properties) {
    if (room.nodes-- <= 0) break
    const field = object(properties[key])
    const description = text(field.description)
    if (description) lines.push(`${margin}// ${description}`)
    lines.push(`${margin}${key}${required.has(key) ? '' : '?'}: ${typeText(field, indent, room)},`)
  }
  return lines.join('\n')
}

function typeText(schema: JsonObject, indent: number, room: Room): string {
  if (room.depth >= depthMax || room.nodes-- <= 0) return 'any'
  room.depth++
  const type = typeAt(schema, indent, room)
  room.depth--
  return type
}

function typeAt(schema: JsonObject, indent: number, room: Room): string {
  const choices = list(schema.anyOf ?? schema.oneOf)
  if (choices.length > 0)
    return choices
      .slice(0, 100)
      .map((choice) => typeText(object(choice), indent, room))
      .join(' | ')
  if (Array.isArray(schema.enum)) {
    const values = schema.enum.filter((value) => !isObject(value) && !Array.isArray(value))
    return values.map((value) => `"${value}"`).join(' | ')
  }
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return `${typeText(object(schema.items), indent, room)}[]`
    case 'object':
      return `{\n${fieldsText(schema, indent + 2, room)}\n}`
    default:
      return 'any'
  }
}

const depthMax = 32
