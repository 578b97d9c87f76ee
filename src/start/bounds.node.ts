import type { Config } from '../config/schema.ts'
import { type Json, number, object, text } from '../json/json.ts'
import type { ClearingOptions } from '../ledger/clearing.ts'
import type { AdmitSettings } from '../policy/admit.ts'
import type { GrantTerms } from '../policy/grant.ts'
import type { Budget } from '../policy/terms.ts'
import { accountOf } from '../store/accounts.ts'
import { durationMs } from '../store/durations.ts'

/** What the settings say of budgets and limits. All of it may change while it is served. */
export type Bounds = {
  admit: Omit<AdmitSettings, 'onSoft'>
  grants: GrantTerms
  /** `fail_closed_rate_limit_enforcement`. */
  limitsClosed: boolean
  /** `max_end_user_budget_id`. */
  customerBudget: string | undefined
  clearing: Pick<ClearingOptions, 'terms' | 'everyMs' | 'stepRows' | 'steps'>
  /** `provider_budget_config`. */
  providers: ReadonlyMap<string, Budget>
}

export const boundsOf = (config: Config): Bounds => ({
  admit: admitSettings(config),
  grants: {
    userBudgetOnTeamKeys: config.general.apply_user_budget_to_team_keys === true,
    keyParallel: config.general.max_parallel_requests,
  },
  limitsClosed: config.general.fail_closed_rate_limit_enforcement === true,
  customerBudget: config.settings.max_end_user_budget_id,
  clearing: clearingOf(config),
  providers: providerBudgets(object(config.router.provider_budget_config)),
})

const nano = (dollars: number): number => Math.round(dollars * 1e9)

function admitSettings({ settings, general }: Config): Bounds['admit'] {
  const overshoot = text(general.budget_overshoot as Json)
  return {
    overshoot:
      overshoot === 'allow' || overshoot === 'deny'
        ? overshoot
        : general.fail_closed_budget_enforcement === true
          ? 'deny'
          : 'bounded',
    budgetStatus: settings.budget_exceeded_status_code ?? 422,
    proxy:
      settings.max_budget === undefined
        ? undefined
        : {
            account: accountOf.proxy(),
            max: nano(settings.max_budget),
            duration: settings.budget_duration,
          },
    customerMax:
      settings.max_end_user_budget === undefined ? undefined : nano(settings.max_end_user_budget),
    reserve: general.disable_budget_reservation !== true,
    tokens: general.token_rate_limit_type ?? 'total',
    parallel: general.global_max_parallel_requests,
    outputOtherwise: 4096,
  }
}

/** How long rows, prompts and answers stay, and how often that is looked at. */
function clearingOf({ general }: Config): Bounds['clearing'] {
  const ms = (said: string | undefined): number | undefined =>
    said === undefined ? undefined : durationMs(said)
  const bytes = (mega: number | undefined): number | undefined =>
    mega === undefined ? undefined : mega * 1024 * 1024
  return {
    terms: {
      rowsMs: ms(general.maximum_spend_logs_retention_period),
      rowsBytes: bytes(general.maximum_spend_logs_size_mb),
      payloadsMs: ms(general.prompt_retention_period),
      payloadsBytes: bytes(general.prompt_size_mb),
    },
    everyMs: ms(general.maximum_spend_logs_retention_interval) ?? 86_400_000,
    stepRows: general.maximum_spend_logs_cleanup_batch_size ?? 1000,
    steps: general.maximum_spend_logs_cleanup_max_batches ?? 500,
  }
}

function providerBudgets(config: ReturnType<typeof object>): ReadonlyMap<string, Budget> {
  return new Map(
    Object.entries(config).flatMap(([provider, value]) => {
      const terms = object(value)
      const max = number(terms['budget_limit'] ?? terms['max_budget'])
      const duration = text(terms['time_period']) ?? text(terms['budget_duration'])
      return max === undefined
        ? []
        : [[provider, { account: accountOf.provider(provider), max: nano(max), duration }] as const]
    }),
  )
}
