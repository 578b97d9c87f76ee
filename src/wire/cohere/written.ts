import { GatewayError } from '../../errors.ts'
import type { Json } from '../../json/json.ts'

/** JSON text of what a provider sent; writing goes only so deep, where reading goes on. */
export function written(value: Json): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new GatewayError('bad_gateway', 'the answer of the provider is nested too deeply', {
      cause,
    })
  }
}
