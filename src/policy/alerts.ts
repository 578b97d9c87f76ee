import { GatewayError } from '../errors.ts'
import { type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { Caller } from './caller.ts'
import type { Holder } from './terms.ts'

/** Somebody has spent as much as was meant to be noticed. Money in nano-dollars, instants in milliseconds since the epoch. */
export type SoftBudget = {
  holder: Holder
  spend: number
  /** When the period ends in which it was spent; null: never. */
  resetsAt: number | null
  /** Whose request showed it. */
  caller: Caller
}

export type Alerts = {
  /** Tells whoever is to be told, once in each period. Never throws, and waits for nobody. */
  soft(budget: SoftBudget): void
  /** Lets go of what waits. */
  close(): void
}

/** Where alerts go, by `general_settings.alerting`. */
export type AlertPlaces = { webhooks: readonly string[]; slack: readonly string[] }

export type AlertsOptions = {
  places(): AlertPlaces
  /** Answers the status. Rejects where nobody answers. */
  post(url: string, body: string): Promise<number>
  /** Is this the first process to say so, of all on this database? */
  isFirst(name: string): Promise<boolean>
  log(level: 'warn', message: string, more?: Record<string, unknown>): void
  now(): number
  sleep?: (ms: number) => Promise<void>
}

/** Of a receiver that is away no more than this waits. */
const waitingMax = 1000
const toldMax = 10_000
/** Pauses before it is tried again. */
const pausesMs = [1000, 10_000]

export function createAlerts({
  places,
  post,
  isFirst,
  log,
  now,
  sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}: AlertsOptions): Alerts {
  const told = new Set<string>()
  const waiting: { url: string; body: string }[] = []
  let sending = false
  let closed = false

  async function send({ url, body }: { url: string; body: string }): Promise<void> {
    for (let tried = 0; !closed; tried++) {
      let why: unknown
      try {
        const status = await post(url, body)
        if (status >= 200 && status < 300) return
        why = `it answered ${status}`
        // What it does not take now it will not take later.
        if (status < 500 && status !== 408 && status !== 429) tried = pausesMs.length
      } catch (cause) {
        why = GatewayError.from(cause).cause ?? cause
      }
      const pause = pausesMs[tried]
      if (pause === undefined)
        // Its path is a secret.
        return log('warn', `an alert could not be sent to ${hostOf(url)}`, { cause: why })
      await sleep(pause)
    }
  }

  async function sendAll(): Promise<void> {
    if (sending) return
    sending = true
    try {
      for (let next = waiting.shift(); next && !closed; next = waiting.shift()) await send(next)
    } finally {
      sending = false
    }
  }

  async function tell(name: string, { holder, spend, caller }: SoftBudget): Promise<void> {
    const { webhooks, slack } = places()
    if (webhooks.length + slack.length === 0 || !(await isFirst(name))) return
    const event = eventOf(holder, spend, caller)
    const all = [
      ...webhooks.map((url) => ({ url, body: JSON.stringify(event) })),
      ...slack.map((url) => ({ url, body: JSON.stringify({ text: slackText(event, now()) }) })),
    ]
    for (const one of all) {
      if (waiting.length < waitingMax) waiting.push(one)
      else log('warn', `too many alerts wait for ${hostOf(one.url)}: one is not sent`)
    }
    await sendAll()
  }

  return {
    soft(budget) {
      const { holder, spend, resetsAt } = budget
      const name = `soft ${holder.account} ${holder.terms.soft} ${resetsAt ?? ''}`
      if (told.has(name) || closed) return
      if (told.size >= toldMax) told.clear()
      told.add(name)
      log('warn', `${holder.scope} ${holder.id} has passed its soft budget`, { spend: spend / 1e9 })
      tell(name, budget).catch((cause: unknown) =>
        log('warn', 'an alert could not be sent', { cause }),
      )
    },
    close() {
      closed = true
      waiting.length = 0
    },
  }
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'its address')

/** LiteLLM's words for who it is about. */
const groups: Readonly<Record<Holder['scope'], string>> = {
  key: 'key',
  user: 'user',
  team: 'team',
  member: 'team_member',
  organization: 'organization',
  organization_member: 'organization_member',
  project: 'project',
  customer: 'end_user',
  tag: 'tag',
}

/** LiteLLM's webhook event, all of whose fields are always there. */
function eventOf(holder: Holder, spend: number, caller: Caller): JsonObject {
  const { scope, id, terms } = holder
  const { grant } = caller
  const isKey = scope === 'key'
  const [outer = '', ...inner] = id.split('/')
  const ofTeam = isKey || scope === 'team' || scope === 'member'
  return {
    spend: spend / 1e9,
    max_budget: terms.budget ? terms.budget.max / 1e9 : null,
    soft_budget: (terms.soft ?? 0) / 1e9,
    token: isKey ? caller.keyId : null,
    customer_id: scope === 'customer' ? id : null,
    user_id: isKey
      ? (caller.userId ?? null)
      : scope === 'user'
        ? id
        : scope === 'member' || scope === 'organization_member'
          ? inner.join('/')
          : null,
    team_id: isKey
      ? (caller.teamId ?? null)
      : scope === 'team' || scope === 'member'
        ? outer
        : null,
    team_alias: (ofTeam && text(grant?.team?.data['team_alias'])) || null,
    organization_id: scope.startsWith('organization')
      ? outer
      : ofTeam
        ? (caller.organizationId ?? null)
        : null,
    user_email: ((isKey || scope === 'user') && text(grant?.user?.data['user_email'])) || null,
    key_alias: (isKey && text(grant?.key.data['key_alias'])) || null,
    projected_exceeded_date: null,
    projected_spend: null,
    event_group: groups[scope],
    alert_emails: null,
    max_budget_alert_emails: null,
    event: 'soft_budget_crossed',
    event_message: `Soft Budget Crossed: Total Soft Budget:\`${(terms.soft ?? 0) / 1e9}\``,
  }
}

/** For people, in Slack's marks. The key's hash is for programs. */
function slackText(event: JsonObject, now: number): string {
  const { event_message: message, token: _, ...fields } = event
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `*${name}:* \`${plain(String(value).slice(0, 300))}\``)
  return [
    'Alert type: `budget_alerts`',
    'Level: `High`',
    `Timestamp: \`${new Date(now).toISOString().slice(11, 19)}\``,
    '',
    `Message: ${message}`,
    '',
    ...lines,
  ].join('\n')
}

/** What would end the marks, or call somebody, is written as Slack has it. */
const plain = (said: string): string =>
  said.replaceAll('`', "'").replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** From the settings, and from what the environment has. Names of places that are not known here are left to whoever reads the log. */
export function placesOf(
  general: JsonObject,
  env: (name: string) => string | undefined,
): AlertPlaces & { missing: string[] } {
  const alerting = [general['alerting'] ?? null].flat()
  const types = list(general['alert_types'])
  const own = object(general['alert_to_webhook_url'])['budget_alerts']
  const none = { webhooks: [], slack: [], missing: [] }
  if (types.length > 0 && !types.includes('budget_alerts')) return none
  const urls = (said: Json | undefined): string[] =>
    [said ?? null].flat().filter((one) => typeof one === 'string' && URL.canParse(one)) as string[] // checked right there
  const missing: string[] = []
  const found = (place: string, wanted: string[], from: string): string[] => {
    if (!alerting.includes(place)) return []
    if (wanted.length === 0) missing.push(`${place} (${from})`)
    return wanted
  }
  return {
    webhooks: found('webhook', urls(env('WEBHOOK_URL')), 'WEBHOOK_URL'),
    slack: found(
      'slack',
      own === undefined || own === null
        ? urls(env('SLACK_WEBHOOK_URL') ?? env('ALERTING_WEBHOOK_URL'))
        : urls(own),
      'SLACK_WEBHOOK_URL',
    ),
    missing,
  }
}
