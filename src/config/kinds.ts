import * as z from 'zod'

/**
 * How values are written in a LiteLLM file. Types are lenient in LiteLLM's way (numbers and booleans may be text, as
 * they are when they come from the environment), and each says in words what it wanted: the reader adds what it found.
 */
const says = (expected: string) => ({
  error: (issue: { input?: unknown }) =>
    issue.input === undefined ? 'missing' : `expected ${expected}`,
})

export const anything = z.unknown()
export const text = z.string(says('text'))
export const map = z.record(z.string(), z.unknown(), says('a map'))
export const list = z.array(z.unknown(), says('a list'))

/** Text that people also write as a bare number: an id, a tag, the value of a header. */
export const label = z.union([z.string(), z.number(), z.boolean()], says('text')).transform(String)
export const labels = z.record(z.string(), label, says('a map of names to text'))

/** A list of names; one name alone is a list of one. */
export const names = z
  .union([z.array(label), label], says('a list of names'))
  .transform((value) => (Array.isArray(value) ? value : [value]))

const yes = new Set(['true', 'yes', 'on', '1', 't', 'y'])

export const flag = z
  .union(
    [
      z.boolean(),
      z.string().regex(/^(true|false|yes|no|on|off|1|0|t|f|y|n)$/i, says('true or false')),
      z.literal([0, 1]),
    ],
    says('true or false'),
  )
  .transform((value) => (typeof value === 'string' ? yes.has(value.toLowerCase()) : Boolean(value)))

const digits = /^\s*[+-]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)(e[+-]?\d+)?\s*$/i

const numeric = (expected: string, fits: (value: number) => boolean) =>
  z
    .union([z.number(), z.string().regex(digits, says(expected))], says(expected))
    .transform((value) => (typeof value === 'string' ? Number(value.replaceAll('_', '')) : value))
    .refine((value) => Number.isFinite(value) && fits(value), `expected ${expected}`)

export const numberValue = numeric('a number', () => true)
export const count = numeric(
  'a whole number, 0 or more',
  (value) => Number.isSafeInteger(value) && value >= 0,
)
export const positive = numeric(
  'a whole number, 1 or more',
  (value) => Number.isSafeInteger(value) && value >= 1,
)
export const amount = numeric('a number, 0 or more', (value) => value >= 0)
export const port = numeric(
  'a port, 0 to 65535',
  (value) => Number.isInteger(value) && value >= 0 && value <= 65_535,
)

/** Node's timers overflow at 2^31 ms (24.8 days), and fire at once beyond. */
const secondsMax = 2_147_483
export const seconds = numeric(
  `seconds, 0 to ${secondsMax}`,
  (value) => value >= 0 && value <= secondsMax,
)
/** How long something lasts or stays, in LiteLLM's words for it. */
export const duration = z
  .union([z.string(), z.number()], says('a duration, for example 30d, 12h or 90s'))
  .transform((said) => (typeof said === 'number' ? `${said}s` : said.trim()))
  .refine(
    (said) => /^[1-9]\d{0,8}(s|m|h|d|w)$|^1mo$/.test(said),
    'expected a duration, for example 30d, 12h or 90s',
  )
export const secondsByName = z.record(z.string(), seconds, says('a map of names to seconds'))

/** Most prices are dollars for one unit; a few are tables of them. */
export const price = z.union(
  [amount, z.record(z.string(), z.unknown()), z.array(z.unknown())],
  says('dollars, 0 or more'),
)

export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, says(`one of ${values.join(', ')}`))

/** True, false, or text that says more: `ssl_verify` may be the path of a bundle. */
export const flagOrText = z.union([flag, text], says('true, false or text'))

export const textOrMap = z.union([text, map], says('text or a map'))
export const flagOrNames = z.union([flag, names], says('true, false or a list of names'))

const target = z.union([z.string(), z.looseObject({ model: z.string() })])

/** `[{group: [groups]}]`: whom to ask next, by the group that failed. */
export const fallbacks = z
  .array(
    z.record(z.string(), z.union([z.array(target), target])),
    says('a list of {group: [groups]}'),
  )
  .transform((rows) => {
    const out = new Map<string, readonly FallbackTarget[]>()
    for (const row of rows)
      for (const [group, to] of Object.entries(row)) out.set(group, Array.isArray(to) ? to : [to])
    return out
  })

/** Another group, or parameters (`model` among them) for one more call. */
export type FallbackTarget = string | { model: string; [parameter: string]: unknown }

/** `{alias: group}` or `{alias: {model: group, hidden: true}}`. */
export const aliases = z
  .record(
    z.string(),
    z.union([z.string(), z.object({ model: z.string(), hidden: flag.optional() })]),
    says('a map of aliases to groups, or to {model, hidden}'),
  )
  .transform(
    (row): ReadonlyMap<string, Alias> =>
      new Map(
        Object.entries(row).map(([alias, to]) => [
          alias,
          typeof to === 'string'
            ? { model: to, hidden: false }
            : { model: to.model, hidden: to.hidden ?? false },
        ]),
      ),
  )

export type Alias = { model: string; hidden: boolean }

const perError = [
  'BadRequestError',
  'AuthenticationError',
  'TimeoutError',
  'RateLimitError',
  'ContentPolicyViolationError',
  'InternalServerError',
  'ServiceUnavailableError',
  'NotFoundError',
] as const

export type ErrorName = (typeof perError)[number] | 'BadGatewayError' | 'Default'

/** `RateLimitErrorRetries: 3`, read as `RateLimitError` → 3. */
const policy = (suffix: string, also: ErrorName) =>
  z
    .record(z.string(), count, says(`a map such as {RateLimitError${suffix}: 3}`))
    .transform((row): ReadonlyMap<ErrorName, number> => {
      const out = new Map<ErrorName, number>()
      for (const name of [...perError, also]) {
        const value = row[`${name}${suffix}`]
        if (value !== undefined) out.set(name, value)
      }
      return out
    })

export const policyNames = (suffix: string, also: ErrorName): string[] =>
  [...perError, also].map((name) => `${name}${suffix}`)

export const retryPolicy = policy('Retries', 'Default')
export const failsPolicy = policy('AllowedFails', 'BadGatewayError')
export const retryPolicies = z
  .record(z.string(), retryPolicy, says('a map of groups to retry policies'))
  .transform((row) => new Map(Object.entries(row)))

/** Names a client may set for itself; `{api_base: pattern}` limits what it may set. */
export const clientsideParams = z.array(
  z.union([z.string(), z.record(z.string(), z.string())]),
  says('a list of names, or of {api_base: pattern}'),
)

export const unpricedModels = z.union(
  [z.enum(['free', 'deny']), z.object({ price_as: z.string() })],
  says('free, deny or {price_as: model}'),
)
