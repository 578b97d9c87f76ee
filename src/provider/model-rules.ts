import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { ModelInfo } from './catalogue.ts'

export type Rules = {
  /** The provider of a bare name nobody listed. */
  route(model: string): string | undefined
  /** What is known of a model nobody listed, by the family its name shows. */
  describe(model: string): ModelInfo | undefined
  /** An entry with what its family has and it does not mention. */
  fill(key: string, info: ModelInfo): ModelInfo
}

/**
 * The file's general rules: a pattern, and what holds for the models it fits. A rule whose only fact is a provider
 * says where a bare name goes; any other describes models, later rules winning over earlier ones.
 */
export function compileRules(stated: readonly Json[]): Rules {
  const rules = stated.flatMap((rule) => {
    const { pattern, model_info, fill_missing_for_providers } = object(rule)
    const fits = isObject(model_info) ? compilePattern(pattern) : undefined
    const facts = object(model_info)
    return fits ? [{ fits, facts, fills: list(fill_missing_for_providers) }] : []
  })
  const routing = rules.filter(
    ({ facts }) => Object.keys(facts).length === 1 && text(facts.litellm_provider),
  )
  const describing = rules.filter(({ facts }) => facts.litellm_provider === undefined)
  const union = (fitting: readonly { facts: JsonObject }[]): ModelInfo | undefined =>
    fitting.length === 0 ? undefined : Object.assign({}, ...fitting.map(({ facts }) => facts))
  return {
    route: (model) => text(routing.find(({ fits }) => fits.test(model))?.facts.litellm_provider),
    describe: (model) => union(describing.filter(({ fits }) => fits.test(model))),
    fill(key, info) {
      const mode = text(info.mode) ?? 'chat'
      if (mode !== 'chat' && mode !== 'responses') return info
      const owner = info.litellm_provider ?? null
      const missing = union(
        describing.filter(({ fits, fills }) => fills.includes(owner) && fits.test(key)),
      )
      return missing ? { ...missing, ...info } : info
    },
  }
}

function compilePattern(pattern: Json | undefined): RegExp | undefined {
  if (typeof pattern !== 'string' || pattern.length > 1000) return undefined
  try {
    return new RegExp(pattern, 'i')
  } catch {
    return undefined
  }
}
