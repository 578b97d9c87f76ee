import { GatewayError } from '../errors.ts'

/** `max_tokens` → `maxTokens` */
export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S

/** `getModelInfo` → `get_model_info` */
export type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${Snake<Tail>}`
    : `_${Lowercase<Head>}${Snake<Tail>}`
  : S

/** Every key may also be written in camelCase. */
export type EitherCase<T> = T & { [K in keyof T & string as Camel<K>]?: T[K] }

/** Everything by both of its names: JavaScript's and LiteLLM's. */
export type BothNames<T> = T & {
  readonly [K in keyof T & string as K extends Uncapitalize<K> ? Snake<K> : never]: T[K]
}

export const snake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** One level of keys, known camelCase ones as LiteLLM writes them; all others stay as they are. */
export function snakeKeys(
  options: object,
  isKnown: (name: string) => boolean,
): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(options)) {
    const plain = snake(key)
    const name = plain !== key && isKnown(plain) ? plain : key
    if (value === undefined) continue
    if (name !== key && Reflect.get(options, name) !== undefined)
      throw new GatewayError('bad_request', `${key} and ${name} are the same: give one of them`, {
        param: name,
      })
    Object.defineProperty(out, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return out
}

export function bothNames<T extends object>(things: T): BothNames<T> {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(things)) {
    out[name] = value
    // Classes have one name.
    if (!/^[A-Z]/.test(name)) out[snake(name)] = value
  }
  // Exactly the keys the type lists: each one's own name, and what `snake` makes of it.
  return out as BothNames<T>
}
