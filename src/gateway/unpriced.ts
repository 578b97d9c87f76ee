import { GatewayError } from '../errors.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'

/** `unpriced_models: deny`: what nobody has a price for is not called. */
export function refuseUnpriced({ price, provider, target }: Deployment, { settings }: Rooms): void {
  if (settings.unpriced !== 'deny' || price.priced || price.reported) return
  throw new GatewayError(
    'permission',
    `no price is known for ${provider}/${target.model}, and models without a price are refused here: set input_cost_per_token and output_cost_per_token in its litellm_params`,
    { type: 'model_cost_map_missing', param: 'model' },
  )
}

export function noteUnpriced(receipt: Receipt, { settings, log }: Rooms): void {
  const { deployment } = receipt
  if (!deployment || receipt.cost().priced) return
  if (settings.unpriced === 'free' && !warned.has(deployment.id)) {
    if (warned.size > 10_000) warned.clear()
    warned.add(deployment.id)
    log(
      'warn',
      `no price is known for ${deployment.provider}/${deployment.target.model}: it counts as free. Set input_cost_per_token and output_cost_per_token in its litellm_params.`,
    )
  }
}
const warned = new Set<string>()
