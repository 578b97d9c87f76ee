import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noUsage, type Usage } from '../src/chat/chat.ts'
import { type JsonObject, list, number, object, text } from '../src/json/json.ts'
import { loadCatalogue } from '../src/provider/catalogue.node.ts'
import type { Catalogue, ModelInfo } from '../src/provider/catalogue.ts'
import { costOf, priceOf } from '../src/provider/cost.ts'

/**
 * Compares our look-ups and costs with those of the LiteLLM release the catalogue comes from, for every chat model
 * that has a price. Slow (a minute or two) and in need of Python, so it is run by hand when the pin moves.
 *
 *   node scripts/cost-parity.ts            table of differences; exits 1 when one has no reason
 *   node scripts/cost-parity.ts --verbose  every difference
 */
const tolerance = 1e-9
const verbose = process.argv.includes('--verbose')

/** Differences we want, with the reason. Whatever differs and is not here fails. */
type Known = { name: string; reason: string; when(ask: Case): boolean }
const priced = (info: ModelInfo, key: string): boolean => number(info[key]) !== undefined
const hasTier = (info: ModelInfo, end: string): boolean =>
  Object.keys(info).some((key) => key.endsWith(end))
const known: Known[] = [
  {
    name: 'Fireworks priority',
    reason:
      'the list has priority prices for Fireworks; LiteLLM does not hand the tier to its Fireworks calculator',
    when: ({ tier, info }) =>
      tier === 'priority' && info.litellm_provider === 'fireworks_ai' && hasTier(info, '_priority'),
  },
  {
    name: 'priority audio',
    reason:
      'the list has input_cost_per_audio_token_priority; LiteLLM asks for it but loses it when it reads the entry',
    when: ({ tier, usage, info }) =>
      tier === 'priority' &&
      usage.inputAudio > 0 &&
      priced(info, 'input_cost_per_audio_token_priority'),
  },
  {
    name: 'Perplexity price per request',
    reason: 'the list has input_cost_per_request for four retired models; LiteLLM does not bill it',
    when: ({ info }) => priced(info, 'input_cost_per_request'),
  },
  {
    name: 'Perplexity cache and tiers',
    reason:
      'the list has cache prices and prices for long prompts; LiteLLM bills all input of Perplexity alike. Perplexity says what it charged, so neither is used unless that is missing',
    when: ({ provider, info, usage }) =>
      provider === 'perplexity' &&
      (usage.cacheRead + usage.cacheWrite + usage.cacheWrite1h > 0 || usage.input > 100_000) &&
      Object.keys(info).some((key) => key.startsWith('cache_') || key.includes('_above_')),
  },
  {
    name: 'AI21 batches',
    reason:
      'the list calls the provider ai21, LiteLLM ai21_chat, so its batch calculator finds no price and bills nothing',
    when: ({ tier, provider }) => tier === 'batch' && provider === 'ai21',
  },
]

type Case = {
  variant: string
  provider: string
  model: string
  key: string
  info: ModelInfo
  usage: Usage
  tier: string | undefined
}

/** Sizes are odd numbers, so that two buckets swapped do not come out equal. */
const plain = { ...noUsage, input: 12_347, output: 1_231 }
const variants: [name: string, usage: Usage, tier?: string][] = [
  ['plain', plain],
  ['cached read', { ...plain, cacheRead: 7_919 }],
  ['cache write', { ...plain, cacheRead: 911, cacheWrite: 4_801 }],
  ['cache write 1h', { ...plain, cacheWrite: 1_013, cacheWrite1h: 3_001 }],
  ['reasoning', { ...plain, reasoning: 2_503 }],
  ['audio', { ...plain, inputAudio: 1_601, outputAudio: 701 }],
  ['images', { ...plain, inputImage: 1_291, outputImage: 1_117 }],
  ['above 128k', { ...plain, input: 120_011, cacheRead: 30_011, cacheWrite: 2_003 }],
  [
    'above 200k',
    { ...plain, input: 150_011, cacheRead: 60_013, cacheWrite1h: 5_003, reasoning: 601 },
  ],
  ['above 272k', { ...plain, input: 272_003, cacheRead: 101, cacheWrite: 103, reasoning: 11 }],
  ['above 512k', { ...plain, input: 500_009, cacheRead: 100_003 }],
  ['exactly 200k', { ...plain, input: 199_000, cacheRead: 1_000 }],
  ['flex', { ...plain, cacheRead: 7_919, cacheWrite: 101, reasoning: 601 }, 'flex'],
  ['priority', { ...plain, cacheRead: 7_919, cacheWrite: 101, reasoning: 601 }, 'priority'],
  [
    'priority above 272k',
    { ...plain, input: 272_003, cacheRead: 8_009, cacheWrite: 11 },
    'priority',
  ],
  ['ultrafast', { ...plain, cacheRead: 7_919 }, 'ultrafast'],
  ['balanced', { ...plain, cacheRead: 7_919 }, 'balanced'],
  ['priority audio', { ...plain, inputAudio: 1_601 }, 'priority'],
  ['batch', { ...plain, cacheRead: 7_919, cacheWrite: 101, reasoning: 601 }, 'batch'],
  ['batch above 272k', { ...plain, input: 300_007, cacheRead: 7_919, cacheWrite: 101 }, 'batch'],
  ['batch audio', { ...plain, inputAudio: 1_601, inputImage: 13 }, 'batch'],
]

function casesOf(models: Catalogue): Case[] {
  const out: Case[] = []
  for (const [key, info] of models.entries()) {
    const mode = text(info.mode)
    if (mode !== 'chat' && mode !== 'completion' && mode !== 'responses') continue
    if (!priced(info, 'input_cost_per_token') && !info.tiered_pricing) continue
    if (elsewhere.has(text(info.litellm_provider) ?? '')) continue
    const provider = (text(info.litellm_provider) ?? '')
      .replace(/^(vertex_ai|fireworks_ai)-.*/, '$1')
      .replace('bedrock_converse', 'bedrock')
    const model = key.startsWith(`${provider}/`) ? key.slice(provider.length + 1) : key
    for (const [variant, usage, tier] of variants)
      out.push({ variant, provider, model, key, info, usage, tier })
  }
  return out
}

/** LiteLLM asks a server about the models of these, or signs in first. */
const elsewhere = new Set(['ollama', 'lemonade', 'huggingface', 'github_copilot', 'chatgpt'])

/** Names as people write them: as listed, with dates, versions, regions, capitals and fine-tunes added. */
function namesOf(models: Catalogue): { provider: string; model: string }[] {
  const out: { provider: string; model: string }[] = []
  for (const [key, info] of models.entries()) {
    const provider = (text(info.litellm_provider) ?? '').replace(
      /^(vertex_ai|fireworks_ai)-.*/,
      '$1',
    )
    // LiteLLM asks a server about the models of these, and the others it only finds by signing in.
    if (['ollama', 'lemonade', 'huggingface', 'github_copilot', 'chatgpt'].includes(provider))
      continue
    const model = key.startsWith(`${provider}/`) ? key.slice(provider.length + 1) : key
    out.push(
      { provider, model },
      { provider, model: `${provider}/${model}` },
      { provider, model: model.toUpperCase() },
    )
    out.push(
      { provider, model: `${model}-2026-01-31` },
      { provider, model: `${model}-001` },
      { provider: 'azure_ai', model },
      { provider: 'openai', model },
    )
    if (provider.startsWith('bedrock'))
      for (const name of [
        `us.${model}`,
        `converse/${model}`,
        `eu-west-1/${model}`,
        `${model}:28k`,
        `${model}[1m]`,
      ])
        out.push({ provider, model: name })
    if (key.startsWith('ft:'))
      out.push(
        { provider, model: `${model}:my-org::abc123` },
        { provider, model: `${model}:my-org:custom:abc123` },
      )
  }
  for (const model of [
    'claude-newfamily-5',
    'claude-opus-9-2',
    'gpt-8.1-mini',
    'o7-pro',
    'gemini-4-pro-preview',
    'nobody-knows-this',
  ])
    for (const provider of ['anthropic', 'openai', 'gemini', 'vertex_ai', 'bedrock', 'wandb'])
      out.push({ provider, model })
  return out
}

type Answers = { costs: (number | string)[]; names: (string | null)[]; bare: (string | null)[] }

function askPython(question: JsonObject | object): Answers {
  const python = venv()
  const folder = mkdtempSync(join(tmpdir(), 'cost-parity-'))
  try {
    writeFileSync(join(folder, 'ask.json'), JSON.stringify(question))
    writeFileSync(join(folder, 'driver.py'), driver)
    // Without the switch LiteLLM fetches its price list from the network and would compare another one. The proxy
    // that nobody runs keeps it from trying anything else.
    const nowhere = 'http://127.0.0.1:9'
    const env = {
      ...process.env,
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      LITELLM_LOG: 'ERROR',
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      ALL_PROXY: nowhere,
    }
    const run = spawnSync(python, [join(folder, 'driver.py'), folder], {
      env,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    })
    if (run.status !== 0) throw new Error(`the driver failed:\n${run.stderr.slice(-2000)}`)
    const told = object(JSON.parse(readFileSync(join(folder, 'told.json'), 'utf8')))
    const strings = (value: unknown): (string | null)[] =>
      (Array.isArray(value) ? value : []).map((item) => text(item) ?? null)
    return {
      costs: list(told.costs).map((item) => number(item) ?? text(item) ?? 'nothing'),
      names: strings(told.names),
      bare: strings(told.bare),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A Python with the pinned release, made once and kept among the temporary files. */
function venv(): string {
  const meta = object(
    JSON.parse(readFileSync(join(import.meta.dirname, '..', 'data', 'models.meta.json'), 'utf8')),
  )
  const folder = join(tmpdir(), 'litellm-venv')
  const python = join(folder, 'bin', 'python')
  const run = (command: string, args: string[]): void => {
    const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (error || status !== 0)
      throw new Error(
        `${command} ${args.join(' ')} failed: ${error?.message ?? stderr.slice(-500)}. Python 3 with venv and pip is needed.`,
      )
  }
  if (!existsSync(python)) run('python3', ['-m', 'venv', folder])
  run(python, ['-m', 'pip', 'install', '--quiet', `litellm==${text(meta.version)}`])
  return python
}

function reportCosts(): number {
  const groups = new Map<string, { count: number; example: string }>()
  let equal = 0
  let unexplained = 0
  let refused = 0
  cases.forEach((ask, index) => {
    const theirs = answers.costs[index]
    if (typeof theirs !== 'number') {
      refused++
      if (verbose) console.log(`refused: ${ask.variant} ${ask.key}: ${theirs}`)
      return
    }
    const found = catalogue.find(ask.provider, ask.model)
    const price = priceOf(found?.info ?? {}, { serviceTier: ask.tier, provider: ask.provider })
    const ours = costOf(ask.usage, price, { at }).dollars
    if (Math.abs(ours - theirs) <= tolerance) {
      equal++
      return
    }
    const why = known.find((row) => row.when(ask))
    if (!why) unexplained++
    const name = why?.name ?? `UNEXPLAINED: ${ask.variant}, ${ask.provider}`
    const group = groups.get(name) ?? {
      count: 0,
      example: `${ask.key} (${ask.variant}): ours ${ours}, theirs ${theirs}`,
    }
    group.count++
    groups.set(name, group)
    if (verbose) console.log(`${name}: ${ask.key} (${ask.variant}): ours ${ours}, theirs ${theirs}`)
  })
  console.log(
    `costs: ${cases.length} cases of ${new Set(cases.map(({ key }) => key)).size} models, ${equal} equal, ${refused} refused by LiteLLM, ${unexplained} unexplained`,
  )
  for (const [name, { count, example }] of groups) {
    console.log(`  ${String(count).padStart(5)}  ${name}`)
    console.log(`         e.g. ${example}`)
    const reason = known.find((row) => row.name === name)?.reason
    if (reason) console.log(`         ${reason}`)
  }
  return unexplained
}

function reportNames(): number {
  const wrong: string[] = []
  const keys = new Set([...catalogue.entries()].map(([key]) => key))
  names.forEach(({ provider, model }, index) => {
    const theirs = answers.names[index] ?? null
    const ours = catalogue.find(provider, model)?.key ?? null
    // Finding more than LiteLLM is meant; finding something else is not.
    // A region behind a route, or before a suffix: we find the price of that region, LiteLLM that of all.
    const region = /^(?:converse\/)?([a-z-]+-\d)\//.exec(model)?.[1]
    const regional = region !== undefined && ours?.startsWith(`bedrock/${region}/`)
    // An entry beats what a general rule says of the name.
    const guessed = theirs !== null && ours !== null && !keys.has(theirs) && keys.has(ours)
    if (theirs !== null && ours !== theirs && !regional && !guessed)
      wrong.push(`${provider} ${model}: ours ${ours}, theirs ${theirs}`)
  })
  const more = names.filter(
    ({ provider, model }, index) =>
      answers.names[index] === null && catalogue.find(provider, model),
  )
  console.log(
    `look-ups: ${names.length} names, ${wrong.length} differ, ${more.length} found that LiteLLM does not find`,
  )
  for (const line of wrong.slice(0, verbose ? undefined : 20)) console.log(`  ${line}`)
  if (verbose)
    for (const { provider, model } of more)
      console.log(`  more: ${provider} ${model} → ${catalogue.find(provider, model)?.key}`)
  return wrong.length
}

function reportOwners(): number {
  const wrong = [...catalogue.entries()].flatMap(([key], index) => {
    if (key.includes('/')) return []
    const theirs = answers.bare[index] ?? undefined
    const ours = catalogue.providerOf(key)
    return ours === theirs ? [] : [`${key}: ours ${ours}, theirs ${theirs}`]
  })
  console.log(`providers of bare names: ${answers.bare.length} names, ${wrong.length} differ`)
  for (const line of wrong.slice(0, verbose ? undefined : 20)) console.log(`  ${line}`)
  return wrong.length
}

const driver = `
import json, sys
import litellm
from litellm.cost_calculator import batch_cost_calculator
from litellm.types.utils import Usage, PromptTokensDetailsWrapper, CompletionTokensDetailsWrapper, CacheCreationTokenDetails

litellm.suppress_debug_info = True
folder = sys.argv[1]
ask = json.load(open(folder + "/ask.json"))

def usage_of(u):
    written = u["cacheWrite"] + u["cacheWrite1h"]
    prompt = u["input"] + u["cacheRead"] + written + u["inputAudio"] + u["inputImage"]
    completion = u["output"] + u["reasoning"] + u["outputAudio"] + u["outputImage"]
    details = PromptTokensDetailsWrapper(
        cached_tokens=u["cacheRead"], cache_write_tokens=written, text_tokens=u["input"],
        audio_tokens=u["inputAudio"], image_tokens=u["inputImage"],
        cache_creation_token_details=CacheCreationTokenDetails(
            ephemeral_5m_input_tokens=u["cacheWrite"], ephemeral_1h_input_tokens=u["cacheWrite1h"]) if u["cacheWrite1h"] else None)
    out = CompletionTokensDetailsWrapper(
        text_tokens=u["output"], reasoning_tokens=u["reasoning"],
        audio_tokens=u["outputAudio"], image_tokens=u["outputImage"])
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion,
                 prompt_tokens_details=details, completion_tokens_details=out)

def cost(c):
    usage = usage_of(c["usage"])
    try:
        if c["tier"] == "batch":
            pair = batch_cost_calculator(usage=usage, model=c["model"], custom_llm_provider=c["provider"])
        else:
            pair = litellm.cost_per_token(model=c["model"], custom_llm_provider=c["provider"], usage_object=usage,
                prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, service_tier=c["tier"])
        return pair[0] + pair[1]
    except Exception as e:
        return str(e)[:200]

def key_of(n):
    try:
        return litellm.get_model_info(model=n["model"], custom_llm_provider=n["provider"])["key"]
    except Exception:
        return None

def owner_of(model):
    if "/" in model:
        return None
    try:
        return litellm.get_llm_provider(model=model)[1]
    except Exception:
        return None

json.dump({
    "costs": [cost(c) for c in ask["costs"]],
    "names": [key_of(n) for n in ask["names"]],
    "bare": [owner_of(m) for m in ask["bare"]],
}, open(folder + "/told.json", "w"))
`

const catalogue = await loadCatalogue({ env: () => undefined })
const cases = casesOf(catalogue)
const names = namesOf(catalogue)
const answers = askPython({
  costs: cases.map(({ provider, model, usage, tier }) => ({
    provider,
    // LiteLLM takes whatever is before a slash for the provider.
    model:
      model.includes('/') && !model.startsWith(`${provider}/`) ? `${provider}/${model}` : model,
    usage,
    tier: tier ?? null,
  })),
  names,
  bare: [...catalogue.entries()].map(([key]) => key),
})
const at = Date.now()
const failed = reportCosts() + reportNames() + reportOwners()
process.exitCode = failed > 0 ? 1 : 0
