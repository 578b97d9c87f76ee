import * as z from 'zod'
import { generalSettings, litellmSettings, type Rows, routerSettings } from '../config/keys.ts'
import { reservedVariables } from '../config/names.ts'
import { formatNotice, type Notice } from '../config/notice.ts'
import { rowOf } from '../config/table.ts'
import { publicParams } from '../gateway/models.ts'
import type { Visit } from '../gateway/routes.ts'
import type { Outgoing } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import { isSecretKey } from '../provider/secrets.ts'
import { name } from './fields.ts'
import {
  changesAtOnce,
  openSection,
  type SectionName,
  sealSection,
  sectionNames,
  variablesName,
} from './live-settings.ts'
import { liveOf } from './live-visit.ts'
import { isEndpoint } from './pass-endpoint-rows.ts'
import {
  type AdminRoute,
  badRequest,
  iso,
  json,
  notFound,
  readBody,
  readQuery,
  storeOf,
} from './route.ts'

const rowsOf: Readonly<Record<SectionName, Rows>> = {
  litellm_settings: litellmSettings,
  general_settings: generalSettings,
  router_settings: routerSettings,
}

/** By these the gateway knows its administrator and its database: they change where it is started. */
const ofTheStart = new Set(['master_key', 'database_url', 'alternate_master_key'])

const section = z.record(z.string(), z.unknown(), 'expected a map').nullish()
const configBody = z
  .looseObject({
    litellm_settings: section,
    general_settings: section,
    router_settings: section,
    environment_variables: section,
  })
  .meta({
    id: 'ConfigUpdate',
    description: 'Sections of config.yaml; null clears what was set here',
  })

async function updateConfig(visit: Visit): Promise<Outgoing> {
  const body = await readBody(visit, configBody)
  const known = new Set<string>([...sectionNames, variablesName])
  const strange = Object.keys(body).find((key) => !known.has(key))
  if (strange !== undefined)
    throw badRequest(
      `${strange.slice(0, 100)} cannot be changed here: ${[...known].join(', ')} can; models have /model/new`,
      strange.slice(0, 100),
    )
  // Bodies were JSON.
  const changes = Object.entries(body as JsonObject).flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [[key, object(value)] as const],
  )
  return json({
    message: 'Config updated successfully',
    ...(await changeSections(visit, new Map(changes))),
  })
}

/** Puts values over those set before, all sections at once. Throws 400 where the sections would not be right. */
export async function changeSections(
  visit: Visit,
  changes: ReadonlyMap<string, JsonObject>,
  {
    whole = false,
  }: { /** Callbacks too are what is said, and nothing besides. */ whole?: boolean } = {},
): Promise<{ warnings?: string[]; restart_required?: string[] }> {
  const { sealer, write } = storeOf(visit)
  const live = liveOf(visit)
  for (const [key, said] of changes) refuseUnchangeable(key, said)
  const before = await sectionsSet(visit)
  const after = Object.fromEntries(
    [...before, ...changes].map(([key]) => [
      key,
      merged(key, before.get(key), changes.get(key), whole),
    ]),
  )
  const { errors, warnings } = live.check(after)
  if (errors.length > 0) throw badRequest(told(errors).slice(0, 5).join('; '), errors[0]?.path)
  await write(async (tx) => {
    for (const [key, said] of changes) {
      const was = await tx.setting.find(key)
      const data = sealSection(
        key,
        merged(key, was && openSection(was, sealer), said, whole),
        sealer,
      )
      if (was) await tx.setting.update(key, (doc) => void (doc.data = data))
      else await tx.setting.insert({ id: key, data })
    }
  })
  await live.refresh()
  const restart = [...changes].flatMap(([key, said]) =>
    isSection(key)
      ? Object.keys(said)
          .filter((field) => needsRestart(key, field))
          .map((field) => `${key}.${field}`)
      : [],
  )
  return {
    ...(warnings.length > 0 && { warnings: told(warnings) }),
    ...(restart.length > 0 && { restart_required: restart }),
  }
}

const isSection = (key: string): key is SectionName =>
  (sectionNames as readonly string[]).includes(key)

const needsRestart = (key: SectionName, field: string): boolean =>
  rowOf(rowsOf[key], field)?.status === 'acted' && !changesAtOnce[key].has(field)

/** Lines that say what is wrong; they hold no secret. */
const told = (notices: readonly Notice[]): string[] =>
  notices.map((one) => formatNotice(one).replace(/^\u2716 /, ''))

function refuseUnchangeable(key: string, said: JsonObject): void {
  for (const field of Object.keys(said)) {
    if (key === 'general_settings' && ofTheStart.has(field))
      throw badRequest(
        `general_settings.${field} is not changed over the API: set it where the gateway is started`,
        `general_settings.${field}`,
      )
    if (key !== variablesName) continue
    const at = `${variablesName}.${field.slice(0, 100)}`
    if (!/^[A-Za-z_]\w{0,127}$/.test(field)) throw badRequest(`${at}: is no name of a variable`, at)
    if (reservedVariables.has(field))
      throw badRequest(`${at}: decides how programs are started: set it outside`, at)
    const value = said[field]
    if (value !== null && typeof value === 'object') throw badRequest(`${at}: expected text`, at)
  }
}

/** Null takes away what was set. Callbacks are added to those there are, as LiteLLM does it. */
function merged(
  key: string,
  was: JsonObject | undefined,
  said: JsonObject | undefined,
  whole: boolean,
): JsonObject {
  const both: JsonObject = { ...was, ...said }
  const callbacks = 'success_callback'
  if (!whole && key === 'litellm_settings' && Array.isArray(said?.[callbacks]))
    both[callbacks] = [...new Set([...list(was?.[callbacks]), ...list(said[callbacks])])]
  return Object.fromEntries(Object.entries(both).filter(([, value]) => value !== null))
}

async function sectionsSet(visit: Visit): Promise<Map<string, JsonObject>> {
  const { docs, sealer } = storeOf(visit)
  const sections = (await docs.setting.list()).filter((doc) => !isEndpoint(doc))
  return new Map(sections.map((doc) => [doc.id, openSection(doc, sealer)]))
}

const configType = z.enum(sectionNames).default('general_settings')
const fieldQuery = z.object({ config_type: configType, field_name: name })

/** Without secrets; the address of a hook is one. */
const shownConfig = (values: JsonObject): JsonObject => publicParams(object(withoutHooks(values)))
function withoutHooks(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.map((item) => withoutHooks(item) ?? null)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      /webhook/i.test(key) && item !== null ? '********' : withoutHooks(item),
    ]),
  )
}

/** A setting as it holds now. Of a secret there is only that it is set. */
const shownValue = (field: string, value: Json | undefined): Json =>
  value === undefined || value === null
    ? null
    : isSecretKey(field)
      ? '********'
      : (shownConfig({ [field]: value })[field] ?? null)

async function listFields(visit: Visit): Promise<Outgoing> {
  const { config_type: key } = readQuery(visit, z.object({ config_type: configType }))
  const set = (await sectionsSet(visit)).get(key) ?? {}
  const now = object(liveOf(visit).config.raw[key])
  return json(
    Object.entries(rowsOf[key])
      .filter(([field]) => !field.endsWith('*'))
      .map(([field, row]) => ({
        field_name: field,
        field_type: typeOf(row.kind),
        field_description: row.about,
        field_value: shownValue(field, now[field]),
        stored_in_db: Object.hasOwn(set, field) ? true : Object.hasOwn(now, field) ? false : null,
        field_default_value: row.default ?? null,
        restart_required: needsRestart(key, field),
      })),
  )
}

const typeOf = (kind: z.ZodType): string => {
  const { type } = z.toJSONSchema(kind, { unrepresentable: 'any' })
  return (
    {
      boolean: 'Boolean',
      number: 'Float',
      integer: 'Integer',
      array: 'List',
      object: 'Dictionary',
    }[String(type)] ?? 'String'
  )
}

async function fieldInfo(visit: Visit): Promise<Outgoing> {
  const { config_type: key, field_name: field } = readQuery(visit, fieldQuery)
  const now = object(liveOf(visit).config.raw[key])
  refuseUnknownField(key, field)
  const set = (await sectionsSet(visit)).get(key) ?? {}
  return json({
    field_name: field,
    field_value: shownValue(field, now[field]),
    stored_in_db: Object.hasOwn(set, field),
  })
}

function refuseUnknownField(key: SectionName, field: string): void {
  if (!rowOf(rowsOf[key], field))
    throw badRequest(
      `Invalid field=${field.slice(0, 100)}: /config/list?config_type=${key} has all of them`,
      'field_name',
    )
}

const fieldBody = z
  .looseObject({ field_name: name, field_value: z.unknown(), config_type: configType })
  .meta({ id: 'ConfigFieldUpdate' })

async function updateField(visit: Visit): Promise<Outgoing> {
  const { field_name: field, field_value, config_type: key } = await readBody(visit, fieldBody)
  refuseUnknownField(key, field)
  // Bodies were JSON.
  const value = (field_value ?? null) as Json
  const more = await changeSections(visit, new Map([[key, { [field]: value }]]))
  return json({
    param_name: key,
    field_name: field,
    field_value: shownValue(field, object(liveOf(visit).config.raw[key])[field]),
    ...more,
  })
}

const fieldNameBody = z
  .looseObject({ field_name: name, config_type: configType })
  .meta({ id: 'ConfigFieldDelete' })

async function deleteField(visit: Visit): Promise<Outgoing> {
  const { field_name: field, config_type: key } = await readBody(visit, fieldNameBody)
  const set = (await sectionsSet(visit)).get(key) ?? {}
  if (!Object.hasOwn(set, field))
    throw badRequest(
      `Field name=${field.slice(0, 100)} not in DB: only what was set over the API is taken away here`,
      'field_name',
    )
  const more = await changeSections(visit, new Map([[key, { [field]: null }]]))
  return json({ param_name: key, field_name: field, message: 'Field deleted', ...more })
}

/** The configuration as it is served, as config.yaml would say it, without its secrets. */
async function wholeConfig(visit: Visit): Promise<Outgoing> {
  const { raw } = liveOf(visit).config
  const { [variablesName]: variables, credential_list: _, ...said } = raw
  return json({
    ...shownConfig(said),
    ...(variables !== undefined && {
      [variablesName]: Object.fromEntries(
        Object.keys(object(variables)).map((variable) => [variable, '********']),
      ),
    }),
  })
}

async function callbacks(visit: Visit): Promise<Outgoing> {
  const { raw } = liveOf(visit).config
  const settings = object(raw['litellm_settings'])
  const kinds = [
    ['success_callback', 'success'],
    ['failure_callback', 'failure'],
    ['callbacks', 'success_and_failure'],
  ] as const
  return json({
    status: 'success',
    callbacks: kinds.flatMap(([key, type]) =>
      [settings[key]]
        .flat()
        .filter((one) => typeof one === 'string')
        .map((one) => ({ name: one, type, variables: {} })),
    ),
    alerts: list(object(raw['general_settings'])['alerting']).map((one) => ({
      name: text(one) ?? '',
      variables: {},
    })),
    router_settings: shownConfig(object(raw['router_settings'])),
  })
}

const callbackBody = z.looseObject({ callback_name: name }).meta({ id: 'ConfigCallbackDelete' })

async function deleteCallback(visit: Visit): Promise<Outgoing> {
  const { callback_name: said } = await readBody(visit, callbackBody)
  const gone = said.toLowerCase()
  const now = [object(liveOf(visit).config.raw['litellm_settings'])['success_callback']].flat()
  const names = now.filter((one): one is string => typeof one === 'string')
  if (!names.includes(gone))
    throw notFound(`Callback '${gone.slice(0, 100)}' not found in active configuration`)
  const left = names.filter((one) => one !== gone)
  const changes = new Map([['litellm_settings', { success_callback: left }]])
  const more = await changeSections(visit, changes, { whole: true })
  return json({
    message: `Successfully deleted callback: ${gone}`,
    removed_callback: gone,
    remaining_callbacks: left,
    deleted_at: iso(visit.rooms.now()),
    ...more,
  })
}

async function reload(visit: Visit): Promise<Outgoing> {
  const { changed, errors, warnings } = await liveOf(visit).reload()
  if (errors.length > 0)
    throw badRequest(
      `The configuration has errors, so nothing changed: ${told(errors).slice(0, 10).join('; ')}`,
    )
  return json({
    status: 'success',
    changed,
    ...(warnings.length > 0 && { warnings: told(warnings) }),
  })
}

const row = (
  method: AdminRoute['method'],
  path: string,
  permission: 'admin' | 'view',
  summary: string,
  run: AdminRoute['run'],
  input?: z.ZodType,
): AdminRoute => ({ method, path, permission, summary, run, ...(input && { input }) })

export const configRoutes: readonly AdminRoute[] = [
  row('POST', '/config/update', 'admin', 'Change settings', updateConfig, configBody),
  row('POST', '/config/reload', 'admin', 'Read the config file again', reload),
  row('GET', '/config/yaml', 'view', 'The configuration as it is served', wholeConfig),
  row('GET', '/config/list', 'view', 'Settings of a section, with what they are', listFields),
  row('GET', '/config/field/info', 'view', 'One setting', fieldInfo),
  row('POST', '/config/field/update', 'admin', 'Change one setting', updateField, fieldBody),
  row('POST', '/config/field/delete', 'admin', 'Take back a change', deleteField, fieldNameBody),
  row(
    'POST',
    '/config/callback/delete',
    'admin',
    'Take a callback out',
    deleteCallback,
    callbackBody,
  ),
  row('GET', '/get/config/callbacks', 'view', 'Who hears of requests', callbacks),
]
