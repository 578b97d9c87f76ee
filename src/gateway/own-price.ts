import { type JsonObject, object } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import { priceOf } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'

/** May the caller say what its requests cost (`allow_client_pricing_override` in the metadata of its key or team)? */
export const mayPrice = ({ grant }: Caller): boolean =>
  [grant?.key, grant?.team].some(
    (doc) => object(doc?.data['metadata'])['allow_client_pricing_override'] === true,
  )

/** The deployment at what the request says it costs, where it may say so. */
export function atOwnPrices(
  to: Deployment,
  { prices }: { prices?: JsonObject | undefined },
): Deployment {
  if (!prices) return to
  const info = { ...to.info, ...prices }
  const priceOptions = { ...to.priceOptions, ownPrices: true }
  return { ...to, info, priceOptions, price: priceOf(info, priceOptions) }
}
