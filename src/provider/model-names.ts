import { text } from '../json/json.ts'
import type { ModelInfo } from './catalogue.ts'

/** Does an entry answer for this provider? Some providers' names have branches, and some sell others' models at their prices. */
export function belongs(info: ModelInfo, provider: string): boolean {
  const owner = text(info.litellm_provider)
  if (owner === undefined || owner === provider || provider === '') return true
  if (borrowers.get(provider)?.includes(owner) || borrowers.get(provider)?.includes('*'))
    return true
  return branching.some((stem) => provider.startsWith(stem) && owner.startsWith(stem))
}
export const branching = ['vertex_ai', 'fireworks_ai', 'bedrock']
const borrowers = new Map([
  ['litellm_proxy', ['*']],
  ['github', ['*']],
  ['azure_ai', ['azure', 'openai']],
  ['azure', ['azure_text']],
  ['azure_text', ['azure']],
  ['openai', ['text-completion-openai']],
  ['text-completion-openai', ['openai']],
  ['cohere', ['cohere_chat']],
  ['cohere_chat', ['cohere']],
  ['ai21_chat', ['ai21']],
  ['anthropic_text', ['anthropic']],
  ['ollama_chat', ['ollama']],
  ['sagemaker_chat', ['sagemaker']],
  ['watsonx_text', ['watsonx']],
  ['codestral', ['text-completion-codestral']],
])

/** The names a model may be listed under, the most telling first. */
export function candidates(
  asked: string,
  given: string,
  region: string | undefined,
  has: (name: string) => boolean,
): string[] {
  const provider = asked === 'vertex_ai_beta' ? 'vertex_ai' : asked
  const own = (name: string): string => (provider === '' ? name : `${provider}/${name}`)
  const model = renamed(provider, given, has)
  const bedrock = provider === 'bedrock' || provider === 'bedrock_converse'
  let split =
    provider !== '' && model.startsWith(`${provider}/`) ? model.slice(provider.length + 1) : model
  const bare = strip(provider, split)
  if (bedrock) split = withoutRoute(split)
  if (provider === 'bedrock_mantle') split = split.replace(awsRegion, '')
  const names = [
    bedrock && region !== undefined ? `bedrock/${region}/${split}` : '',
    model.startsWith(`${provider}/`) ? model : own(model),
    model,
    provider === 'bedrock_mantle' || awsRegion.test(split) ? own(withoutCapacity(split)) : '',
    split,
    own(provider === 'bedrock_mantle' ? strip(provider, split) : bare),
    bare,
    provider === 'fireworks_ai' ? own(fireworksResource(split)) : own(model),
    // Beyond what LiteLLM looks for: a Vertex version, and the other name of a provider.
    provider === 'vertex_ai' ? own(split.replace(/@[^@/]*$/, '')) : '',
    provider === 'vertex_ai' ? split.replace(/@[^@/]*$/, '') : '',
    ...(borrowers.get(provider) ?? [])
      .filter((other) => !lenders.has(other))
      .map((other) => `${other}/${split}`),
  ]
  return [...new Set(names.filter((name) => name !== ''))]
}
/** Not an other name of the borrower, but another house. */
const lenders = new Set(['*', 'azure', 'openai', 'azure_text', 'text-completion-openai'])

/** Names that are listed under another. */
function renamed(provider: string, model: string, has: (name: string) => boolean): string {
  if (provider === 'azure' || provider === 'azure_ai') return azureNames.get(model) ?? model
  if (provider !== 'vertex_ai') return model
  if (has(`vertex_ai/meta/${model}`)) return `meta/${model}`
  return has(`vertex_ai/${model}@latest`) && !has(`vertex_ai/${model}`) ? `${model}@latest` : model
}
const azureNames = new Map([
  ['gpt-35-turbo', 'azure/gpt-35-turbo'],
  ['gpt-35-turbo-16k', 'azure/gpt-35-turbo-16k'],
  ['gpt-35-turbo-instruct', 'azure/gpt-35-turbo-instruct'],
  ['ada', 'azure/ada'],
  ['azure/gpt-41', 'gpt-4.1'],
  ['azure/gpt-41-mini', 'gpt-4.1-mini'],
  ['azure/gpt-41-nano', 'gpt-4.1-nano'],
])

/** Takes off what a provider adds to the name of a listed model. */
function strip(provider: string, model: string): string {
  if (provider === 'bedrock' || provider === 'bedrock_converse') return bedrockBase(model)
  if (provider === 'vertex_ai' || provider === 'gemini' || provider === 'databricks')
    return model.replace(/-\d{1,12}$/, '')
  // ft:gpt-4o-2024-08-06:my-org:suffix:id is billed as ft:gpt-4o-2024-08-06.
  if (model.includes('ft:'))
    return model.split(':').length > 3 ? model.split(':').slice(0, -3).join(':') : model
  return model.replace(/-\d{4}-\d{2}-\d{2}$/, '')
}

const routes = [
  'bedrock/',
  'chat_completions/',
  'converse/',
  'invoke/',
  'openai/',
  'mantle/',
  'nova-2/',
  'nova/',
]
function withoutRoute(model: string): string {
  let out = model
  for (const route of routes) if (out.startsWith(route)) out = out.slice(route.length)
  return out
}

/** AWS regions of Bedrock, as the first part of a name: `us-east-1/anthropic.claude…`. */
const awsRegion = /^(?:us-gov|us|eu|ap|ca|sa|me|af|il|mx)-[a-z]{4,9}-\d\//
/** Inference profiles: one name for the model in several regions. */
const profiles = /^(?:global|us-gov|us|eu|apac|jp|au)\./

function bedrockBase(given: string): string {
  const model = given.replace(/^(?:bedrock\/converse\/|bedrock\/|converse\/)/, '')
  if (model.startsWith('nova-2/')) return 'amazon.nova-2-custom'
  if (model.startsWith('nova/')) return 'amazon.nova-custom'
  const plain = withoutRoute(model)
  const named = plain.includes('arn:') ? plain.slice(plain.lastIndexOf('/') + 1) : plain
  const bare = withoutCapacity(named)
  return profiles.test(bare) ? bare.replace(profiles, '') : bare.replace(awsRegion, '')
}

/** Throughput (":51k" after a version) and context windows ("[1m]") are not part of the name. */
const withoutCapacity = (model: string): string =>
  model.replace(/(:\d{1,4}):\d{1,5}k$/, '$1').replace(/\[\w{1,16}\]$/, '')

function fireworksResource(model: string): string {
  if (model.startsWith('accounts/') || model.includes('#')) return model
  if (model.startsWith('routers/') || model.startsWith('models/'))
    return `accounts/fireworks/${model}`
  return `accounts/fireworks/${model.endsWith('-fast') ? 'routers' : 'models'}/${model}`
}

/** `high/1024-x-1536/gpt-image-1`: a price per quality and size. */
export function imageNames(
  provider: string,
  model: string,
  { size, quality }: { size?: string | undefined; quality?: string | undefined },
): string[] {
  const bare = model.startsWith(`${provider}/`) ? model.slice(provider.length + 1) : model
  const sized = (size ?? '1024x1024').replace(/^(\d{1,5})x(\d{1,5})$/, '$1-x-$2')
  const last = bare.slice(bare.lastIndexOf('/') + 1)
  return [
    ...(quality
      ? [
          `${quality}/${provider}/${sized}/${bare}`,
          `${provider}/${quality}/${sized}/${bare}`,
          `${quality}/${sized}/${bare}`,
        ]
      : []),
    `${provider}/${sized}/${bare}`,
    `${sized}/${bare}`,
    `high/${sized}/${bare}`,
    ...(quality ? [`${quality}/${sized}/${last}`] : []),
    `${sized}/${last}`,
  ]
}
