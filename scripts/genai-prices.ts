import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { noUsage, type Usage } from '../src/chat/chat.ts'
import { isObject, type JsonObject, number, object, text } from '../src/json/json.ts'
import { loadCatalogue } from '../src/provider/catalogue.node.ts'
import type { Catalogue, ModelInfo } from '../src/provider/catalogue.ts'
import { costOf, priceOf } from '../src/provider/cost.ts'

/**
 * Compares our costs with those of @pydantic/genai-prices, which keeps a price list and a calculator of its own: for
 * every chat model that both know, over what is counted in tokens. Where the two lists say different prices, that is
 * told as a difference of lists; where they agree and the sums do not, one of the calculators is wrong.
 *
 *   node scripts/genai-prices.ts                 table of differences; exits 1 when one has no reason
 *   node scripts/genai-prices.ts --verbose       every difference
 *   node scripts/genai-prices.ts --from FOLDER   takes the package from FOLDER/node_modules
 */
const { values } = parseArgs({
  options: { from: { type: 'string' }, verbose: { type: 'boolean', default: false } },
})

/** Both sides count in floats; a hundred-millionth of a dollar is less than either rounds by. */
const tolerance = 1e-8
/** Some of their prices begin on a day, and some are lower at night. */
const at = Date.parse('2026-10-01T12:00:00Z')

/** Differences we know of, with the reason. Whatever differs and is not here fails. The first that fits is told. */
type Known = { name: string; reason: string; when(ask: Case): boolean }
const known: Known[] = [
  {
    name: 'prices by region',
    reason:
      'our list has prices of single AWS regions, of their geographic profiles, and of Azure data zones; theirs has one price, or two',
    when: ({ provider, model }) =>
      (provider === 'bedrock' &&
        /^(bedrock\/)?[a-z]{2}(-gov)?-[a-z]+-\d\/|^(apac|eu|jp|au|us-gov)\./.test(model)) ||
      (provider === 'azure' && /^(eu|us|global)\//.test(model)),
  },
  {
    name: 'Bedrock in one region',
    reason:
      'for a name without a profile ours is the price of the global profile, theirs that of the regional ones, a tenth more',
    when: ({ provider, model, entry }) =>
      provider === 'bedrock' &&
      entry.startsWith('regional.') &&
      /^(anthropic\.)?claude/.test(model),
  },
  {
    name: 'a name they take for another',
    reason: 'theirs finds a model by how its name begins, and has no entry of its own for this one',
    when: ({ model, entry }) =>
      anotherModel.some(([ours, theirs]) => ours.test(model) && theirs.test(entry)),
  },
  {
    name: 'Perplexity per request',
    reason:
      'theirs adds the fee per request; ours takes what Perplexity says it charged, where it says it',
    when: ({ provider, prices }) =>
      provider === 'perplexity' && prices.requests_kcount !== undefined,
  },
  {
    name: 'euros',
    reason: "our list has OVHcloud's prices in euros, theirs in dollars",
    when: ({ provider }) => provider === 'ovhcloud',
  },
  {
    name: 'Fireworks cached reads',
    reason:
      'Fireworks bills cached input at half where it names no price (https://docs.fireworks.ai/guides/prompt-caching); theirs has none and bills it as input',
    when: ({ provider, usage, info }) =>
      provider === 'fireworks_ai' &&
      usage.cacheRead > 0 &&
      !priced(info, 'cache_read_input_token_cost'),
  },
  {
    name: 'no price for cached reads',
    reason: 'one list has no price for them, and bills them as input',
    when: ({ usage, info, prices }) =>
      usage.cacheRead > 0 &&
      priced(info, 'cache_read_input_token_cost') !== (prices.cache_read_mtok !== undefined),
  },
  {
    name: 'no price for cache writes',
    reason:
      'one list has no price for them, and bills them as input; where only ours has one, the provider counts none',
    when: ({ usage, info, prices }) =>
      usage.cacheWrite + usage.cacheWrite1h > 0 &&
      pricedAtAll(info, 'cache_creation_input_token_cost') !==
        (prices.cache_write_mtok !== undefined),
  },
  {
    name: 'no price for writes of an hour',
    reason: 'one list has no price for them, and bills them as writes of five minutes',
    when: ({ usage, info, prices }) =>
      usage.cacheWrite1h > 0 &&
      priced(info, 'cache_creation_input_token_cost_above_1hr') !==
        (prices.cache_write_1h_mtok !== undefined),
  },
  {
    name: 'no price for long prompts',
    reason: 'one list has other prices above so many tokens, the other none',
    when: ({ variant, info, prices }) =>
      variant.startsWith('above') &&
      Object.keys(info).some((key) => /_above_\d+k_tokens/.test(key)) !==
        Object.values(prices).some((price) => isObject(price)),
  },
  {
    name: 'another price',
    reason: 'the lists state different prices: one of them is older, or means another version',
    when: ({ key }) => otherPrices.test(key),
  },
]
const priced = (info: ModelInfo, key: string): boolean => number(info[key]) !== undefined
const pricedAtAll = (info: ModelInfo, key: string): boolean =>
  Object.keys(info).some((name) => name.startsWith(key) && priced(info, name))

const anotherModel: readonly (readonly [ours: RegExp, theirs: RegExp])[] = [
  [/sonnet-5-5/, /sonnet-5(?!-5)/],
  [/gemini-3\.8-flash-cyber/, /gemini-3\.8-flash$/],
  [/gpt-oss-safeguard/, /gpt-oss-120b/],
  [/deepseek-v4-flash-/, /deepseek-v4-flash$/],
]
/** One by one, so that a model more is seen. */
const otherPrices = new RegExp(
  `^(${[
    String.raw`azure/(gpt-4-turbo|o4-mini)(-\d{4}-\d\d-\d\d)?`,
    String.raw`(deepseek/)?deepseek-(chat|reasoner|v3\.2|v4-flash)`,
    'fireworks_ai/accounts/fireworks/models/(deepseek-v4-pro|gemma-3-27b-it|gpt-oss-120b|llama-v3p1-8b-instruct)',
    'fireworks_ai/accounts/fireworks/routers/kimi-k3-us',
    'mistral/(magistral-medium-latest|magistral-small-latest|mistral-large-latest|mistral-medium|mistral-small-latest|open-mistral-nemo)',
    String.raw`novita/(meta-llama/llama-3\.1-8b-instruct|meta-llama/llama-3\.3-70b-instruct|mistralai/mistral-nemo)`,
    String.raw`together_ai/(NousResearch/Nous-Hermes-2-Mixtral-8x7B-DPO|meta-llama/Llama-3\.3-70B-Instruct-Turbo|mistralai/Mixtral-8x7B-Instruct-v0\.1)`,
    'vertex_ai/(claude-3-5-haiku(@20241022)?|gemini-2.0-flash|gemma-4-26b-a4b-it)',
    String.raw`xai/(grok-4\.20-multi-agent|grok-code-fast(-1(-0825)?)?)`,
    String.raw`zai/glm-5\.3-flash`,
  ].join('|')})$`,
)

type Case = {
  variant: string
  provider: string
  model: string
  key: string
  info: ModelInfo
  usage: Usage
  /** Theirs: the entry that the name led to, and what it says. */
  entry: string
  prices: JsonObject
}

/** Sizes are odd numbers, so that two buckets swapped do not come out equal. */
const plain = { ...noUsage, input: 12_347, output: 1_231 }
const variants: [name: string, usage: Usage][] = [
  ['plain', plain],
  ['cached read', { ...plain, cacheRead: 7_919 }],
  ['cache write', { ...plain, cacheRead: 911, cacheWrite: 4_801 }],
  ['cache write 1h', { ...plain, cacheWrite1h: 3_001 }],
  ['reasoning', { ...plain, reasoning: 2_503 }],
  ['above 200k', { ...plain, input: 150_011, cacheRead: 60_013, cacheWrite: 5_003 }],
  ['above 272k', { ...plain, input: 272_003, cacheRead: 101, cacheWrite: 103, reasoning: 11 }],
]

/** Ours by theirs. What Google's two doors ask is the same list there. */
const providers: Readonly<Record<string, string>> = {
  anthropic: 'anthropic',
  azure: 'azure',
  bedrock: 'aws',
  cerebras: 'cerebras',
  cohere_chat: 'cohere',
  deepseek: 'deepseek',
  fireworks_ai: 'fireworks',
  gemini: 'google',
  groq: 'groq',
  minimax: 'minimax',
  mistral: 'mistral',
  moonshot: 'moonshotai',
  novita: 'novita',
  openai: 'openai',
  openrouter: 'openrouter',
  ovhcloud: 'ovhcloud',
  perplexity: 'perplexity',
  together_ai: 'together',
  vertex_ai: 'google',
  xai: 'x-ai',
  zai: 'zai',
}

type Theirs = { dollars: number; entry: string; prices: JsonObject }
type Calculator = (provider: string, model: string, usage: Usage) => Theirs | undefined

/** The package's one function, read with care: it is whatever release lies there. */
async function openCalculator(): Promise<Calculator> {
  const root = resolve(values.from ?? join(import.meta.dirname, '..'))
  const folder = join(root, 'node_modules', '@pydantic', 'genai-prices')
  const file = join(folder, 'dist', 'index.js')
  if (!existsSync(file))
    throw new Error(
      `${folder} is missing: run npm i --prefix FOLDER @pydantic/genai-prices@${release} somewhere, then give --from FOLDER`,
    )
  const found = text(object(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).version)
  if (found !== release)
    console.error(`note: the reasons below were written for ${release}, and this is ${found}`)
  const loaded: { calcPrice?: unknown } = await import(pathToFileURL(file).href)
  const { calcPrice } = loaded
  if (typeof calcPrice !== 'function') throw new Error(`${file} has no calcPrice`)
  return (provider, model, usage) => {
    const written = usage.cacheWrite + usage.cacheWrite1h
    const said: unknown = calcPrice(
      {
        input_tokens: usage.input + usage.cacheRead + written,
        output_tokens: usage.output + usage.reasoning,
        ...(usage.cacheRead > 0 && { cache_read_tokens: usage.cacheRead }),
        ...(written > 0 && { cache_write_tokens: written }),
        ...(usage.cacheWrite1h > 0 && { cache_write_1h_tokens: usage.cacheWrite1h }),
        ...(usage.reasoning > 0 && { output_reasoning_tokens: usage.reasoning }),
      },
      model,
      { providerId: provider, timestamp: new Date(at) },
    )
    // Through JSON, as their tiers are objects of a class.
    const {
      total_price: dollars,
      model: entry,
      model_price: prices,
    } = object(JSON.parse(JSON.stringify(said ?? null)))
    const total = number(dollars)
    return total === undefined
      ? undefined
      : { dollars: total, entry: text(object(entry).id) ?? '', prices: object(prices) }
  }
}
const release = '0.1.8'

function compare(catalogue: Catalogue, calculate: Calculator): number {
  const groups = new Map<string, { count: number; models: Set<string>; example: string }>()
  const models = new Set<string>()
  let cases = 0
  let equal = 0
  let unexplained = 0
  for (const [key, info] of catalogue.entries()) {
    const mode = text(info.mode)
    if (mode !== 'chat' && mode !== 'completion' && mode !== 'responses') continue
    if (number(info.input_cost_per_token) === undefined) continue
    const provider = (text(info.litellm_provider) ?? '')
      .replace(/^(vertex_ai|fireworks_ai)-.*/, '$1')
      .replace('bedrock_converse', 'bedrock')
    const theirProvider = providers[provider]
    if (theirProvider === undefined) continue
    const model = key.startsWith(`${provider}/`) ? key.slice(provider.length + 1) : key
    const price = priceOf(catalogue.find(provider, model)?.info ?? info, { provider })
    for (const [variant, usage] of variants) {
      const theirs = calculate(theirProvider, model, usage)
      if (!theirs) continue
      models.add(key)
      cases++
      const ours = costOf(usage, price, { at }).dollars
      if (Math.abs(ours - theirs.dollars) <= tolerance) {
        equal++
        continue
      }
      const { entry, prices } = theirs
      const ask: Case = { variant, provider, model, key, info, usage, entry, prices }
      const why = known.find((row) => row.when(ask))
      if (!why) unexplained++
      const name = why?.name ?? `UNEXPLAINED: ${variant}, ${provider}`
      const line = `${key} → ${entry} (${variant}): ours ${ours}, theirs ${theirs.dollars}`
      if (values.verbose) console.log(`${name}: ${line}`)
      const group = groups.get(name) ?? { count: 0, models: new Set(), example: line }
      group.count++
      group.models.add(key)
      groups.set(name, group)
    }
  }
  console.log(
    `costs: ${cases} cases of ${models.size} models that both know, ${equal} equal, ${unexplained} unexplained`,
  )
  for (const [name, group] of [...groups].sort(([, a], [, b]) => b.count - a.count)) {
    console.log(`  ${String(group.count).padStart(5)}  ${name} (${group.models.size} models)`)
    console.log(`         e.g. ${group.example}`)
    const reason = known.find((row) => row.name === name)?.reason
    if (reason) console.log(`         ${reason}`)
  }
  return unexplained
}

const failed = compare(await loadCatalogue({ env: () => undefined }), await openCalculator())
process.exitCode = failed > 0 ? 1 : 0
