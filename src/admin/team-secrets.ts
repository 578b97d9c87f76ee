import { isObject, type Json, type JsonObject } from '../json/json.ts'
import { isSecretKey } from '../provider/secrets.ts'
import type { Sealer } from '../store/seal.ts'

/** Places in a team's metadata where LiteLLM lets credentials of other services stand. */
const places = ['logging', 'callback_settings', 'secret_manager_settings']

/** What is shown where a credential stands; sent back, it means the one that is there. */
export const redacted = '***REDACTED***'

/** A body whose credentials are sealed, at its top and within its metadata. `was`: the metadata before it. */
export function withSealed(
  body: Readonly<Record<string, unknown>>,
  was: JsonObject,
  sealer: Sealer,
): Record<string, unknown> {
  const { metadata } = body
  return {
    ...sealPlaces(body, was, sealer),
    ...(isObject(metadata) && { metadata: sealPlaces(metadata, was, sealer) }),
  }
}

/** Metadata as it may be shown. */
export const withoutSecrets = (metadata: JsonObject): JsonObject =>
  inPlaces(metadata, (value) => eachSecret(value, undefined, () => redacted))

function sealPlaces(
  of: Readonly<Record<string, unknown>>,
  was: JsonObject,
  sealer: Sealer,
): JsonObject {
  // Bodies were JSON.
  return inPlaces(of as JsonObject, (value, place) =>
    eachSecret(value, was[place], (text, before) =>
      text === redacted && typeof before === 'string' ? before : sealer.seal(text),
    ),
  )
}

function inPlaces(of: JsonObject, change: (value: Json, place: string) => Json): JsonObject {
  const changed: JsonObject = { ...of }
  for (const place of places) {
    const value = of[place]
    if (value !== undefined) changed[place] = change(value, place)
  }
  return changed
}

/** Changes every text that is named as a credential; `before` is what stood in the same place. */
function eachSecret(
  value: Json,
  before: Json | undefined,
  change: (text: string, before: Json | undefined) => string,
): Json {
  if (Array.isArray(value))
    return value.map((one, at) =>
      eachSecret(one, Array.isArray(before) ? before[at] : undefined, change),
    )
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      const there = isObject(before) ? before[key] : undefined
      if (typeof one === 'string' && isSecretKey(key)) return [key, change(one, there)]
      return [key, one === undefined ? one : eachSecret(one, there, change)]
    }),
  )
}
