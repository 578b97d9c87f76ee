import type { Catalogue } from '../provider/catalogue.ts'
import type { Deployment } from '../provider/deployment.ts'
import { matched } from '../router/groups.ts'

/** What is served, for people. */
export type Offer = {
  /** Models by provider, in the order of the rows. */
  counts: ReadonlyMap<string, number>
  /** Rows that can be called. */
  usable: number
  /** A chat model to try, which exists and costs little. */
  example: string | undefined
}

/** A wildcard row counts as the catalogue's models that it matches. */
export function offerOf(
  deployments: readonly Deployment[],
  catalogue: Catalogue,
  today: string,
): Offer {
  const counts = new Map<string, number>()
  for (const deployment of deployments) {
    const models = namesOf(deployment, catalogue).length
    if (models > 0) counts.set(deployment.provider, (counts.get(deployment.provider) ?? 0) + models)
  }
  const usable = deployments.filter(({ problem }) => problem === undefined)
  const named = usable.find(({ group, info }) => !group.includes('*') && isChat(info))
  return {
    counts,
    usable: usable.length,
    example: named?.group ?? firstOf(usable, (one) => cheapest(one, catalogue, today)),
  }
}

function firstOf<T, R>(items: readonly T[], of: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = of(item)
    if (found !== undefined) return found
  }
  return undefined
}

/** The names a row can be called by, and what each is at its provider. A row for whatever name has none. */
export function namesOf(
  { group, provider, spec, target }: Deployment,
  catalogue: Catalogue,
): { name: string; model: string }[] {
  if (!group.includes('*')) return [{ name: group, model: target.model }]
  if (!target.model.includes('*')) return []
  const prefix = `${provider}/`
  return catalogue.models(spec.catalogue ?? provider).flatMap((full) => {
    const model = full.startsWith(prefix) ? full.slice(prefix.length) : full
    const part = matched(target.model, model)
    return part === undefined ? [] : { name: group.replace('*', () => part), model }
  })
}

/** Models of OpenAI's Responses are spoken to from chat too. */
const isChat = ({ mode }: Deployment['info']): boolean =>
  mode === undefined || mode === 'chat' || mode === 'responses'

/** With tools, because those without are old; without free ones, which are trials that end. */
function cheapest(deployment: Deployment, catalogue: Catalogue, today: string): string | undefined {
  const names = namesOf(deployment, catalogue)
  let best: { name: string; price: number } | undefined
  for (const { name, model } of names) {
    const info = catalogue.find(deployment.provider, model)?.info ?? {}
    const { input_cost_per_token: price, deprecation_date: end } = info
    if (!isChat(info) || info['supports_function_calling'] !== true) continue
    if (typeof price !== 'number' || price <= 0 || (typeof end === 'string' && end <= today))
      continue
    if (best === undefined || price < best.price) best = { name, price }
  }
  return best?.name ?? (deployment.group.includes('*') ? names[0]?.name : undefined)
}
