import type { Visit } from '../gateway/routes.ts'
import { type JsonObject, object, text } from '../json/json.ts'
import type { ResetClock } from '../store/durations.ts'
import { storeOf } from './route.ts'

/** Where a budget's day begins, as the configuration says, and now. */
export function clockOf(visit: Visit): ResetClock {
  const { timezone, budget_reset_time } = visit.rooms.settings.said.settings
  const timeZone = text(timezone)
  // LiteLLM takes seconds too; a day here begins with a minute.
  const timeOfDay = text(budget_reset_time)?.slice(0, 5)
  return {
    now: storeOf(visit).now(),
    ...(timeZone !== undefined && { timeZone }),
    ...(timeOfDay !== undefined && { timeOfDay }),
  }
}

/** A map of litellm_settings: `default_team_params`, `default_internal_user_params`… */
export const defaultsOf = ({ rooms }: Visit, section: string): JsonObject =>
  object(rooms.settings.said.settings[section])
