import { isObject, type Json, list, object, text } from '../json/json.ts'
import type { FallbackTarget } from './kinds.ts'
import { guardrailNames, integrations } from './names.ts'
import { nearest } from './nearest.ts'
import type { Path } from './notice.ts'
import { lar1Of } from './routing.ts'
import type { Config } from './schema.ts'
import { notice, type Report } from './table.ts'

/** Python cannot run here. What lets people in must not be skipped in silence; the rest is named, with what takes its place. */
export function checkHooks({ raw }: Config, report: Report): void {
  const general = object(raw.general_settings)
  const settings = object(raw.litellm_settings)
  const warn = (path: Path, message: string) => report.warnings.push(notice(report, path, message))

  if (said(general.custom_auth))
    report.errors.push(
      notice(
        report,
        ['general_settings', 'custom_auth'],
        'this is Python code that decides who gets in, which cannot run here, and without it everybody would: remove it, and give each caller a virtual key (or check callers in a proxy in front of the gateway)',
      ),
    )
  for (const [key, instead] of Object.entries(generalHooks))
    if (said(general[key]))
      warn(
        ['general_settings', key],
        `Python code cannot run here, so this hook never does; ${instead}`,
      )
  if (said(object(general.key_management_settings).custom_secret_manager))
    warn(
      ['general_settings', 'key_management_settings', 'custom_secret_manager'],
      'Python code cannot run here; hand secrets in as environment variables',
    )
  if (said(settings.post_call_rules))
    warn(
      ['litellm_settings', 'post_call_rules'],
      'Python code cannot run here, so this rule never does; a guardrail takes its place',
    )
  for (const index of list(settings.custom_provider_map).keys())
    warn(
      ['litellm_settings', 'custom_provider_map', index],
      'a provider written in Python cannot run here; serve it over HTTP in the OpenAI shape and name it with model: openai/… and api_base',
    )

  for (const key of callbackLists) {
    const value = settings[key]
    const entries = Array.isArray(value) ? value : [value]
    entries.forEach((entry, index) => {
      checkCallback(
        entry,
        Array.isArray(value) ? ['litellm_settings', key, index] : ['litellm_settings', key],
        warn,
      )
    })
  }
  list(raw.guardrails).forEach((entry, index) => {
    const name = text(object(object(entry).litellm_params).guardrail)
    if (name?.includes('.') && !guardrailNames.has(name))
      warn(
        ['guardrails', index, 'litellm_params', 'guardrail'],
        `${JSON.stringify(name)} is Python code, which cannot run here: nothing checks what it was to check; serve it over HTTP as generic_guardrail_api`,
      )
  })
  list(raw.mcp_tools).forEach((entry, index) => {
    if (said(object(entry).handler))
      warn(
        ['mcp_tools', index, 'handler'],
        'Python code cannot run here; serve the tool from an MCP server',
      )
  })
}

const said = (value: Json | undefined): boolean =>
  value !== undefined && value !== null && value !== false && value !== ''

function checkCallback(
  entry: Json | undefined,
  path: Path,
  warn: (path: Path, message: string) => void,
): void {
  if (typeof entry !== 'string' || integrations.has(entry)) return
  if (entry.includes('.')) {
    warn(
      path,
      `${JSON.stringify(entry)} is Python code, which cannot run here: it hears of no call; have the same events sent to a service of yours with generic_api`,
    )
    return
  }
  const close = nearest(entry, integrations)
  warn(
    path,
    `no integration has the name ${JSON.stringify(entry)}${close === undefined ? '' : `; did you mean ${close}?`}`,
  )
}

const callbackLists = [
  'callbacks',
  'success_callback',
  'failure_callback',
  'service_callback',
  'service_callbacks',
  'audit_log_callbacks',
] as const

const generalHooks: Readonly<Record<string, string>> = {
  custom_key_generate: 'key_generation_settings says who may make keys',
  custom_key_update: 'key_generation_settings says who may make keys',
  custom_key_policy: 'upperbound_key_generate_params says what keys may get',
  custom_sso: 'the SSO variables of the environment take its place',
  custom_ui_sso_sign_in_handler: 'the SSO variables of the environment take its place',
  custom_team_metadata_validate: 'check the metadata before you send it',
}

/** Settings of the router that cannot hold, and checks that it does not know. */
export function checkRouting({ router }: Config, report: Report): void {
  const thresholds = lar1Of(router.routing_strategy_args)
  const { low = 0, medium = 0, high = 0 } = thresholds ?? {}
  if (thresholds && !(0 < low && low < medium && medium < high && high < 1))
    report.errors.push(
      notice(
        report,
        ['router_settings', 'routing_strategy_args'],
        `the thresholds of lar1 must rise between 0 and 1, and are low ${low}, medium ${medium}, high ${high}: set confidence_threshold_low, confidence_threshold_medium and confidence_threshold_high`,
      ),
    )
  const check = (names: readonly unknown[], path: Path, known: ReadonlyMap<string, boolean>) =>
    names.forEach((name, index) => {
      if (typeof name !== 'string' || known.get(name) === true) return
      const close = nearest(name, known.keys())
      const why = known.has(name)
        ? `this build does nothing for ${name} yet; session_affinity keeps a conversation at one deployment`
        : `there is no check ${JSON.stringify(name)}${close === undefined ? '' : `; did you mean ${close}?`}`
      report.warnings.push(notice(report, [...path, index], why))
    })
  check(
    router.optional_pre_call_checks ?? [],
    ['router_settings', 'optional_pre_call_checks'],
    preCallChecks,
  )
  for (const [group, names] of Object.entries(router.model_group_affinity_config ?? {}))
    check(
      Array.isArray(names) ? names : [],
      ['router_settings', 'model_group_affinity_config', group],
      affinityChecks,
    )
}

/** Does this build act on it? */
const affinityChecks: ReadonlyMap<string, boolean> = new Map([
  ['deployment_affinity', true],
  ['session_affinity', true],
  // An answer's id says who gave it, so that it goes on there in any case.
  ['responses_api_deployment_check', true],
  ['encrypted_content_affinity', true],
])
const preCallChecks: ReadonlyMap<string, boolean> = new Map([
  ...affinityChecks,
  ['enforce_model_rate_limits', true],
  // provider_budget_config alone says so.
  ['router_budget_limiting', true],
  ['prompt_caching', true],
  ['forward_client_headers_by_model_group', false],
])

/** Names that lead nowhere: groups, credentials, ids given twice. */
export function checkReferences(config: Config, report: Report): void {
  const { models, settings, general, router, credentials } = config
  const warn = (path: Path, message: string) => report.warnings.push(notice(report, path, message))
  // What an API may add later is no mistake now.
  const closed = general.store_model_in_db !== true && models.length > 0

  const groups = new Set(models.map(({ modelName }) => modelName))
  const wildcards = [...groups].filter((name) => name.includes('*'))
  for (const names of [router.model_group_alias, settings.model_alias_map])
    for (const alias of names?.keys() ?? []) groups.add(alias)
  for (const { info } of models) if (info.id !== undefined) groups.add(info.id)
  const knows = (name: string) =>
    groups.has(name) || name === '*' || wildcards.some((pattern) => matches(pattern, name))
  const check = (name: string, path: Path, what: string) => {
    if (!closed || knows(name)) return
    const close = groups.size > suggestedMax ? undefined : nearest(name, groups)
    warn(
      path,
      `${what} ${JSON.stringify(name)} is no model of this file${close === undefined ? '' : `; did you mean ${JSON.stringify(close)}?`}`,
    )
  }

  for (const [section, rows] of [
    ['router_settings', router],
    ['litellm_settings', settings],
  ] as const) {
    for (const key of [
      'fallbacks',
      'context_window_fallbacks',
      'content_policy_fallbacks',
    ] as const)
      for (const [group, targets] of rows[key] ?? []) {
        if (!group.includes('*')) check(group, [section, key], 'the group')
        for (const target of targets) check(nameOf(target), [section, key], 'the fallback')
      }
    for (const name of rows.default_fallbacks ?? [])
      check(name, [section, 'default_fallbacks'], 'the fallback')
  }
  for (const [alias, { model }] of router.model_group_alias ?? [])
    check(model, ['router_settings', 'model_group_alias', alias], 'the group')

  const ids = new Set<string>()
  list(config.raw.model_list).forEach((entry, index) => {
    if (!isObject(entry)) return
    const id = object(entry.model_info).id
    if ((typeof id === 'string' || typeof id === 'number') && ids.size === ids.add(String(id)).size)
      warn(
        ['model_list', index, 'model_info', 'id'],
        `another deployment has the id ${JSON.stringify(String(id))}: give each its own`,
      )
    const credential = text(object(entry.litellm_params).litellm_credential_name)
    if (
      general.store_model_in_db === true ||
      credential === undefined ||
      credentials.has(credential)
    )
      return
    const close = nearest(credential, credentials.keys())
    warn(
      ['model_list', index, 'litellm_params', 'litellm_credential_name'],
      `credential_list has no ${JSON.stringify(credential)}${close === undefined ? '' : `; did you mean ${JSON.stringify(close)}?`}`,
    )
  })
}

/** Beyond that, looking for what was meant takes longer than the reader has. */
const suggestedMax = 2000

const nameOf = (target: FallbackTarget): string =>
  typeof target === 'string' ? target : target.model

function matches(pattern: string, name: string): boolean {
  const [head = '', ...tail] = pattern.split('*')
  return name.startsWith(head) && name.endsWith(tail.at(-1) ?? '')
}
