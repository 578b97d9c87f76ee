/** JSON as it arrives: nothing is known about it until it has been read. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [key: string]: Json | undefined }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined
export const number = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : undefined
export const bool = (value: unknown): boolean | undefined =>
  typeof value === 'boolean' ? value : undefined
export const list = (value: unknown): Json[] => (Array.isArray(value) ? value : [])
export const object = (value: unknown): JsonObject => (isObject(value) ? value : {})

/** Drops keys whose value is undefined, so encoders can be written as one object literal. It is that itself where all are said. */
export function compact<T extends JsonObject>(value: T): JsonObject {
  for (const key in value) if (value[key] === undefined) return said(value)
  return value
}

function said(value: JsonObject): JsonObject {
  const out: JsonObject = {}
  for (const key in value) put(out, key, value[key])
  return out
}

/** The keys of `body` that are not in `known`: what a client or provider said that is not modelled. */
export function extrasOf(body: JsonObject, known: ReadonlySet<string>): JsonObject | undefined {
  let out: JsonObject | undefined
  for (const key in body)
    if (!known.has(key) && body[key] !== undefined) put((out ??= {}), key, body[key])
  return out
}

/** As data, also where a client names a field `__proto__`: assigned, it would become the prototype. */
function put(out: JsonObject, key: string, value: Json | undefined): void {
  if (value === undefined) return
  if (key === '__proto__')
    Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true })
  else out[key] = value
}
