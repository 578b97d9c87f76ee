import type { Json, JsonObject } from '../../json/json.ts'

/** A field by its JSON name or its proto name: Google's servers read `systemInstruction` and `system_instruction` alike. */
export function at(value: JsonObject, name: string): Json | undefined {
  return value[name] ?? value[snakeOf(name)]
}

/** The fields of `value` that are not among `modelled` in either spelling, under their JSON names. */
export function restOf(value: JsonObject, modelled: ReadonlySet<string>): JsonObject | undefined {
  let rest: JsonObject | undefined
  for (const [key, said] of Object.entries(value)) {
    const name = camelOf(key)
    if (modelled.has(name) || said === undefined || said === null) continue
    rest ??= {}
    setOwn(rest, name, said)
  }
  return rest
}

export const camelOf = (name: string): string =>
  name.includes('_')
    ? name.replace(
        /([a-z\d])_([a-z])/g,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      )
    : name

/** Assigning would lose a key called `__proto__`. */
export function setOwn(target: JsonObject, key: string, value: Json): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  })
}

/** A word from outside in a table of ours: `constructor` is in none. */
export const lookUp = <T>(
  table: Readonly<Record<string, T>>,
  key: string | undefined,
): T | undefined => (key !== undefined && Object.hasOwn(table, key) ? table[key] : undefined)

export function parseOr(json: string): Json | undefined {
  try {
    const value: Json = JSON.parse(json)
    return value
  } catch {
    return undefined
  }
}

/** Only this folder's own words are asked for, so the table stays small. */
const snakes = new Map<string, string>()
function snakeOf(name: string): string {
  const known = snakes.get(name)
  if (known !== undefined) return known
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  snakes.set(name, snake)
  return snake
}
