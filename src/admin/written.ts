import type { Visit } from '../gateway/routes.ts'
import type { JsonObject } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'

/** What documents are made of: null clears, what is not sent stays, and what is worked out is not kept. */
export function merged(
  was: JsonObject,
  sent: Readonly<Record<string, unknown>>,
  derived: ReadonlySet<string>,
): JsonObject {
  const ours = Object.entries(sent).filter(([key]) => !derived.has(key))
  const fields = Object.entries({ ...was, ...Object.fromEntries(ours) }).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  // Bodies were JSON, and zod makes nothing of them that is not.
  return Object.fromEntries(fields) as JsonObject
}

/** Who is noted as the writer: LiteLLM's name for whoever holds the master key. */
export const writerOf = ({ userId }: Caller): string => userId ?? 'default_user_id'

/** The marks a new document carries, and a changed one. */
export const created = ({ caller }: Visit): JsonObject => ({
  created_by: writerOf(caller),
  updated_by: writerOf(caller),
})
export const updated = ({ caller }: Visit): JsonObject => ({ updated_by: writerOf(caller) })

/** Fields of every answer that are the gateway's to say. A client that sends back what it was shown changes none of them. */
export const shownOnly: readonly string[] = [
  'spend',
  'total_spend',
  'model_spend',
  'budget_reset_at',
  'litellm_budget_table',
  'created_at',
  'updated_at',
  'created_by',
  'updated_by',
  '__proto__',
]
