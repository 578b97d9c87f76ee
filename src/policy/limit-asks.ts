import { GatewayError } from '../errors.ts'
import { isObject, number } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { AdmitSettings, Entering } from './admit.ts'
import type { Caller } from './caller.ts'
import { type LimitAsk, meterOf, type Taken } from './limits.ts'
import type { Holder } from './terms.ts'

const minute = 60_000
const day = 86_400_000

/** Every limit of the request, in the order they are asked. Those of tokens have no amount yet: `tokensReckoned` says it. */
export function limitsOf(
  holders: readonly Holder[],
  { group, asked, keyLimits, tags }: Pick<Entering, 'group' | 'asked' | 'keyLimits' | 'tags'>,
  parallel: number | undefined,
): readonly LimitAsk[] {
  const asks: LimitAsk[] = []
  for (const holder of holders) {
    const { terms, account, scope } = holder
    for (const ask of ownLimits(holder)) asks.push(ask)
    const usual = scope === 'key' ? keyLimits : undefined
    const add = (kind: LimitAsk['kind'], limit: number | undefined): void => {
      if (limit === undefined) return
      const [id, descriptor] = [`${account}|model:${group}`, `model_per_${scope}`]
      asks.push({ id, kind, limit, amount: 1, windowMs: minute, descriptor, name: group })
    }
    add('requests', terms.modelRpm.get(group) ?? terms.modelRpm.get(asked) ?? usual?.rpm)
    add('tokens', terms.modelTpm.get(group) ?? terms.modelTpm.get(asked) ?? usual?.tpm)
    if (terms.tagRpm.size === 0) continue
    for (const tag of tags) {
      const limit = terms.tagRpm.get(tag)
      if (limit !== undefined)
        asks.push({
          id: `${account}|tag:${tag}`,
          kind: 'requests',
          limit,
          amount: 1,
          windowMs: minute,
          descriptor: `tag_per_${scope}`,
          name: tag,
        })
    }
  }
  if (parallel !== undefined)
    asks.push({
      id: 'proxy',
      kind: 'max_parallel_requests',
      limit: parallel,
      amount: 1,
      windowMs: minute,
      descriptor: 'global',
      name: 'this gateway',
    })
  return asks
}

/** Has it limits that are the same only for the same model or tags? */
export const limitsMore = ({ terms }: Holder): boolean =>
  terms.modelRpm.size > 0 || terms.modelTpm.size > 0 || terms.tagRpm.size > 0

export const isOfModel = ({ id }: LimitAsk): boolean => id.includes('|model:')
export const isOfRequests = ({ kind }: LimitAsk): boolean => kind === 'requests'
const isOfTokens = ({ kind }: LimitAsk): boolean => kind === 'tokens'

const kept = new WeakMap<Holder, readonly LimitAsk[]>()

/** The limits of a holder that are the same for every request. */
function ownLimits(holder: Holder): readonly LimitAsk[] {
  const before = kept.get(holder)
  if (before) return before
  const { terms, account, scope, name } = holder
  const asks: LimitAsk[] = []
  const add = (kind: LimitAsk['kind'], limit: number | undefined, windowMs: number): void => {
    if (limit === undefined) return
    const descriptor = descriptors[scope]
    const ask: LimitAsk = { id: account, kind, limit, amount: 1, windowMs, descriptor, name }
    meterOf(ask)
    headersFor(ask)
    asks.push(ask)
  }
  add('requests', terms.rpm, minute)
  add('tokens', terms.tpm, minute)
  add('tokens', terms.tpd, day)
  add('max_parallel_requests', terms.parallel, minute)
  kept.set(holder, asks)
  return asks
}

const descriptors: Readonly<Record<Holder['scope'], string>> = {
  key: 'api_key',
  user: 'user',
  team: 'team',
  member: 'team_member',
  organization: 'organization',
  organization_member: 'organization_member',
  project: 'project',
  customer: 'end_user',
  tag: 'tag',
}

/** What the request is reckoned to take of limits of tokens; 0 where none is asked, so that nobody looks into its body. */
export function tokensReckoned(
  asks: readonly LimitAsk[],
  { caller, group, worst }: Entering,
  settings: AdmitSettings,
): number {
  if (!asks.some(isOfTokens)) return 0
  const output = worst.output() ?? usualOutput(caller, group)
  return tokensOf(Math.ceil(worst.input() / 4), output, settings)
}

export const tokensOf = (
  input: number,
  output: number,
  { tokens = 'total' }: AdmitSettings,
): number => (tokens === 'input' ? input : tokens === 'output' ? output : input + output)

/** What an answer is reckoned to be that nothing bounds, where its key or its team says so. */
const usualOutput = ({ grant }: Caller, group: string): number =>
  estimateOf(grant?.key, group) ?? estimateOf(grant?.team, group) ?? 0

function estimateOf(doc: Doc | undefined, group: string): number | undefined {
  const own = doc?.data['metadata']
  if (!isObject(own)) return undefined
  const models = own['default_estimated_output_tokens_per_model']
  const tokens =
    (isObject(models) ? number(models[group]) : undefined) ??
    number(own['default_estimated_output_tokens'])
  return tokens !== undefined && tokens > 0 ? tokens : undefined
}

export type Side = { side: 'input' | 'output'; ask: LimitAsk }
const bothSides = ['input', 'output'] as const

export const hasSides = ({ terms }: Holder): boolean =>
  terms.modelSides.input.size > 0 || terms.modelSides.output.size > 0

/** Limits of the tokens that are read, and of those that are written. Few keys have any. */
export function sidesOf(
  holders: readonly Holder[],
  { caller, group, asked, worst }: Entering,
): readonly Side[] {
  const sides: Side[] = []
  for (const { terms, account, scope } of holders)
    for (const side of bothSides) {
      const of = terms.modelSides[side]
      const limit = of.get(group) ?? of.get(asked)
      if (limit === undefined) continue
      const ask: LimitAsk = {
        id: `${account}|model:${group}|${side}`,
        kind: 'tokens',
        limit,
        amount:
          side === 'input'
            ? Math.ceil(worst.input() / 4)
            : (worst.output() ?? usualOutput(caller, group)),
        windowMs: minute,
        descriptor: `model_per_${scope}`,
        name: `${group} (${side})`,
      }
      sides.push({ side, ask })
    }
  return sides
}

const headersFor = (ask: LimitAsk): NonNullable<LimitAsk['headers']> =>
  (ask.headers ??= {
    limit: `x-ratelimit-${ask.descriptor}-limit-${ask.kind}`,
    left: `x-ratelimit-${ask.descriptor}-remaining-${ask.kind}`,
    bound: String(ask.limit),
  })

/** `x-ratelimit-*`, put among the headers of an answer. */
export function tellLimits({ asks, left }: Taken, headers: Record<string, string>): void {
  for (let nth = 0; nth < asks.length; nth++) {
    const ask = asks[nth]
    if (!ask || ask.windowMs === day) continue
    const names = headersFor(ask)
    headers[names.limit] = names.bound
    headers[names.left] = String(left[nth])
  }
}

const whoOf = ({ descriptor, name }: LimitAsk): string =>
  descriptor === 'api_key' ? 'api_key: this key' : `${descriptor}: ${name.slice(0, 200)}`

export function limitRefusal(ask: LimitAsk, retryAfterMs: number, now: number): GatewayError {
  const seconds = Math.max(1, Math.min(ask.windowMs / 1000, Math.ceil(retryAfterMs / 1000)))
  const resets = new Date(now + retryAfterMs).toISOString().replace('T', ' ').slice(0, 19)
  return new GatewayError(
    'rate_limit',
    `Rate limit exceeded for ${whoOf(ask)}. Limit type: ${ask.kind}. Current limit: ${ask.limit}, Remaining: 0. Limit resets at: ${resets} UTC`,
    {
      type: 'throttling_error',
      code: '429',
      retryAfter: String(seconds),
      headers: { rate_limit_type: ask.kind, reset_at: `${resets} UTC` },
    },
  )
}
