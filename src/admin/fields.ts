import * as z from 'zod'
import { parseDuration } from '../store/durations.ts'

/**
 * Kinds of fields that management bodies are made of. Every one may be null, which clears it; numbers may be written as
 * text, as LiteLLM takes them. What is said of a wrong value never repeats it: it may be a secret.
 */

const numeric = <T extends z.ZodType>(inner: T) =>
  z.preprocess(
    (value) =>
      typeof value === 'string' &&
      value.length <= 40 &&
      /^\s*[+-]?\d*\.?\d+(e[+-]?\d+)?\s*$/i.test(value)
        ? Number(value)
        : value,
    inner,
  )

/** Dollars, up to what the books can count in nano-dollars. */
const amount = z.number('expected a number of dollars').min(0, 'may not be negative')
export const dollars = numeric(amount.max(9e15, 'is more than can be counted'))
/** What has been spent: an exact number of nano-dollars. */
export const spent = numeric(amount.max(9e6, 'is more than can be counted'))
/** Requests, tokens, slots. */
export const limit = numeric(z.int('expected a whole number').min(0, 'may not be negative'))

/** A name people give: any Unicode but NUL, which PostgreSQL does not store. */
export const name = z
  .string('expected text')
  .min(1, 'may not be empty')
  .max(255, 'may not be longer than 255 characters')
  .refine((text) => !text.includes('\0'), 'may not contain a NUL character')

/** A name that becomes an id: what its accounts are told apart by may not be in it. */
export const id = name.refine(
  (text) => !/\|(model|window):/.test(text),
  "may not contain '|model:' or '|window:'",
)

export const longText = z.string('expected text').max(100_000, 'is too long')

export const email = z
  .string('expected text')
  .trim()
  .max(320, 'is too long for an e-mail address')
  .regex(/^[^\s@]{1,64}@[^\s@]{1,255}$/, 'is not an e-mail address')

export const duration = z
  .string("expected text like '1h', '24h', '7d' or '30d'")
  .refine(
    (text) => text.length <= 40 && parseDuration(text) !== undefined,
    "Invalid budget_duration: use a format like '1h', '24h', '7d' or '30d'",
  )

export const names = z
  .array(name, 'expected a list of names')
  .max(10_000, 'has more than 10000 names')
export const ids = z.array(id, 'expected a list of ids').max(10_000, 'has more than 10000 ids')

const sizeMax = 1024 * 1024
/** A map of anything, up to 1 MB. */
export const metadata = z
  .record(z.string(), z.unknown(), 'expected a map')
  .refine((value) => JSON.stringify(value).length <= sizeMax, 'may not be larger than 1 MB')

/** An instant as text. */
export const instant = z
  .string('expected a date and time')
  .refine(
    (text) => text.length <= 64 && !Number.isNaN(Date.parse(text)),
    'expected a date and time like 2026-01-31T00:00:00Z',
  )

export const limitByModel = z.record(name, limit, 'expected a map from models to numbers')

/** `{model: {max_budget, budget_duration, …}}`; LiteLLM's older names of both and a bare amount too. */
export const budgetByModel = z.record(
  name,
  z.union(
    [
      dollars,
      z.looseObject({
        max_budget: dollars.nullish(),
        budget_limit: dollars.nullish(),
        budget_duration: duration.nullish(),
        time_period: duration.nullish(),
        tpm_limit: limit.nullish(),
        rpm_limit: limit.nullish(),
      }),
    ],
    'expected {max_budget, budget_duration}, an amount of at least 0 and a period such as 1d',
  ),
  'expected a map from models to budgets',
)

export const budgetWindows = z
  .array(z.looseObject({ budget_duration: duration, max_budget: dollars }))
  .max(20, 'has more than 20 windows')

/** What a budget is made of, wherever it is written. */
export const budgetFields = {
  max_budget: dollars.nullish(),
  soft_budget: dollars.nullish(),
  max_parallel_requests: limit.nullish(),
  tpm_limit: limit.nullish(),
  rpm_limit: limit.nullish(),
  tpd_limit: limit.nullish(),
  budget_duration: duration.nullish(),
  model_max_budget: budgetByModel.nullish(),
}

/** What MCP servers, agents, vector stores… something may use: kept as it is said. */
export const objectPermission = z.record(z.string(), z.unknown(), 'expected a map')

export const guaranteed = z.enum(['guaranteed_throughput', 'best_effort_throughput'])

/** One, or a list of them. What is wrong is told of the very field. */
export const oneOrMore = <T extends z.ZodType>(one: T) =>
  z.preprocess(
    (value) => (Array.isArray(value) ? value : [value]),
    z.array(one).min(1, 'name at least one').max(500, 'may not be more than 500 at once'),
  )
