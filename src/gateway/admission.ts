import { noUsage } from '../chat/chat.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming } from '../http/http.ts'
import { isObject, type Json, type JsonObject, list, number, object } from '../json/json.ts'
import { parseObject } from '../json/parse.ts'
import { plain } from '../ledger/words.ts'
import type { Entering, Pass, Worst } from '../policy/admit.ts'
import type { Caller } from '../policy/caller.ts'
import type { Price } from '../provider/cost.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Doc } from '../store/docs.ts'
import type { Inbound } from '../wire/inbound.ts'
import { refuseLacking } from './enforced.ts'
import type { Controls } from './fields.ts'
import { atOwnPrices, mayPrice } from './own-price.ts'
import { keepOf } from './payload.ts'
import type { Receipt } from './receipt.ts'
import type { Rooms } from './rooms.ts'
import { pricesFor, worstOfChat } from './worst.ts'

/**
 * The model a request means: the caller's own name for it resolved, then the gateway's. Throws where the caller may not
 * use it.
 */
export function groupFor(model: string, caller: Caller, { router, access }: Rooms): string {
  const meant = access ? access.aliasOf(caller, model) : model
  const group = router.groups.nameOf(meant)
  access?.refuse(caller, group, model)
  return group
}

/**
 * Limits and budgets, for every operation alike: what the request may cost is set aside before anything is sent, and the
 * receipt gives it back when it settles. Nothing, where there is no database to count in.
 */
export function admission(
  incoming: Incoming,
  said: Inbound,
  controls: Controls,
  group: string,
  caller: Caller,
  receipt: Receipt,
  rooms: Rooms,
  worst: Worst = worstOfChat(said, group, rooms),
  asked: string = said.model,
): void | Promise<void> {
  if (rooms.settings.enforced) refuseLacking(said, caller, rooms.settings.enforced)
  if (controls.prices && !mayPrice(caller)) {
    const fields = Object.keys(controls.prices).join(', ')
    delete controls.prices
    rooms.log('debug', `prices of a client were left out: ${fields.slice(0, 300)}`, {
      requestId: receipt.requestId,
    })
  }
  if (!rooms.admit) return
  const metadata = metadataOf(said)
  const { customerHeaders } = rooms.settings
  const deployments = rooms.router.groups.find(group)
  const admitted = rooms.admit({
    caller,
    // A deployment called by its own id counts as its group.
    group: deployments[0]?.group ?? group,
    asked,
    keyLimits: keyLimitsOf(deployments),
    prices: controls.prices
      ? deployments.map((to) => atOwnPrices(to, controls).price)
      : (worst.prices ?? pricesOf(deployments, said)),
    worst,
    customerId: caller.customerId ?? customerOf(incoming, said, metadata, customerHeaders),
    tags: tagsOf(controls, caller),
    sessionId: sessionOf(incoming, said, metadata),
    ip: (rooms.settings.addressOf?.(incoming) ?? incoming.remoteAddress) || undefined,
    userAgent: incoming.header('user-agent')?.slice(0, 200),
    metadata: kept(withSpendMetadata(metadata, incoming, caller)),
  })
  if (admitted instanceof Promise) return enterWhen(admitted, incoming, said, receipt, rooms)
  enter(admitted, incoming, said, receipt, rooms)
}

function enter(
  pass: Pass,
  incoming: Incoming,
  said: Inbound,
  receipt: Receipt,
  rooms: Rooms,
): void {
  receipt.pass = pass
  receipt.keep = keepOf(incoming, said, rooms)
  receipt.open()
}

async function enterWhen(
  admitted: Promise<Pass>,
  incoming: Incoming,
  said: Inbound,
  receipt: Receipt,
  rooms: Rooms,
): Promise<void> {
  enter(await admitted, incoming, said, receipt, rooms)
}

/**
 * The same where a key names models to go on with once its budget for one is used up (`budget_fallbacks`): the first that
 * is let in. Answers the group it is let in for.
 */
export async function admissionWithin(
  incoming: Incoming,
  said: Inbound,
  controls: Controls,
  group: string,
  caller: Caller,
  receipt: Receipt,
  rooms: Rooms,
): Promise<string> {
  const others = list(object(caller.grant?.key.data['budget_fallbacks'])[group])
  const groups = [group, ...others.filter((name) => typeof name === 'string')]
  let refusal: unknown
  for (const name of groups) {
    const meant = rooms.router.groups.nameOf(name)
    if (
      name !== group &&
      (!rooms.router.knows(meant) || rooms.access?.mayUse(caller, meant) === false)
    )
      continue
    try {
      const asked = name === group ? said.model : name
      const worst = worstOfChat(said, meant, rooms)
      await admission(incoming, said, controls, meant, caller, receipt, rooms, worst, asked)
      return meant
    } catch (cause) {
      // A model that the customer may not use is no way on.
      const passed = refusal !== undefined && GatewayError.is(cause) && cause.kind === 'permission'
      if (!passed && (!GatewayError.is(cause) || cause.kind !== 'budget')) throw cause
      // What the first one was refused for says most.
      refusal ??= cause
    }
  }
  throw refusal
}

/** May a request go on with this group? Its key and its customer each have a say. */
export const mayGoOn = (
  name: string,
  caller: Caller,
  { pass }: Pick<Receipt, 'pass'>,
  { access }: Rooms,
): boolean => (access?.mayUse(caller, name) ?? true) && (pass?.mayUse?.(name) ?? true)

/**
 * Lets in what costs nothing, a count or a look at an earlier answer: it has the caller's pace all the same. Answers how it
 * ends. Throws where the pace is too fast.
 */
export async function paced(
  incoming: Incoming,
  said: Inbound | undefined,
  group: string,
  caller: Caller,
  rooms: Rooms,
): Promise<() => void> {
  if (!rooms.admit) return () => {}
  const { customerHeaders, addressOf } = rooms.settings
  const pass = await rooms.admit({
    caller,
    group,
    asked: said?.model ?? group,
    keyLimits: keyLimitsOf(rooms.router.groups.find(group)),
    prices: [],
    worst: { input: () => 0, exactInput: async () => 0, output: () => 0, modelOutput: () => 0 },
    looks: true,
    customerId:
      caller.customerId ?? (said && customerOf(incoming, said, metadataOf(said), customerHeaders)),
    tags: [],
    sessionId: undefined,
    ip: (addressOf?.(incoming) ?? incoming.remoteAddress) || undefined,
    userAgent: undefined,
    metadata: undefined,
  })
  return () => pass.release(noUsage, false)
}

/** Does the caller's key name others for this group? Most do not, and wait for nothing. */
export function hasBudgetFallbacks({ grant }: Caller, group: string): boolean {
  const others = grant?.key.data['budget_fallbacks']
  return isObject(others) && isSomeList(others[group])
}

const isSomeList = (value: Json | undefined): boolean => Array.isArray(value) && value.length > 0

const keyLimits = new WeakMap<readonly Deployment[], Entering['keyLimits']>()
/** Of the deployments of a model the strictest says. */
function keyLimitsOf(deployments: readonly Deployment[]): Entering['keyLimits'] {
  const known = keyLimits.get(deployments)
  if (known !== undefined || keyLimits.has(deployments)) return known
  const least = (name: string): number | undefined => {
    const said = deployments
      .map(({ row }) => number(row.params[name]))
      .filter((limit) => limit !== undefined)
    return said.length > 0 ? Math.min(...said) : undefined
  }
  const rpm = least('default_api_key_rpm_limit')
  const tpm = least('default_api_key_tpm_limit')
  const limits = rpm === undefined && tpm === undefined ? undefined : { rpm, tpm }
  keyLimits.set(deployments, limits)
  return limits
}

const priceLists = new WeakMap<readonly Deployment[], Price[]>()
function pricesOf(deployments: readonly Deployment[], said: Inbound): readonly Price[] {
  if (said.has('service_tier'))
    return [...new Set(deployments.flatMap((one) => pricesFor(one, said)))]
  let prices = priceLists.get(deployments)
  if (!prices) {
    prices = [...new Set(deployments.map(({ price }) => price))]
    priceLists.set(deployments, prices)
  }
  return prices
}

const metadataNames = ['litellm_metadata', 'metadata']
export function metadataOf(said: Inbound): JsonObject | undefined {
  for (const name of metadataNames) {
    if (!said.has(name)) continue
    const value = said.field(name)
    if (isObject(value)) return value
  }
  return undefined
}

/** LiteLLM's places, in its order: a header, the body's `user`, what Anthropic's clients call the user's id. */
function customerOf(
  incoming: Incoming,
  said: Inbound,
  metadata: JsonObject | undefined,
  headers: readonly string[],
): string | undefined {
  for (const name of headers) {
    const value = incoming.header(name)
    if (value) return named(value)
  }
  const user = said.has('user') ? said.field('user') : undefined
  return (
    named(user) ??
    (said.has('safety_identifier') ? named(said.field('safety_identifier')) : undefined) ??
    named(metadata?.['user_id'])
  )
}

/** Whoever is called by a number, or at too great length, is a customer all the same. */
const named = (value: Json | undefined): string | undefined =>
  typeof value === 'number'
    ? String(value)
    : typeof value === 'string'
      ? plain(value.slice(0, 512)) || undefined
      : undefined

function tagsOf(controls: Controls, { grant }: Caller): string[] {
  if (controls.tags.length === 0 && !hasTags(grant?.key) && !hasTags(grant?.team))
    return controls.tags
  // The key's own come first: no crowd of others pushes them out.
  const tags = new Set<string>()
  for (const tag of [...ownTags(grant?.key), ...ownTags(grant?.team), ...controls.tags]) {
    if (tags.size >= tagsMax) break
    if (typeof tag === 'string' && tag !== '') tags.add(plain(tag.slice(0, nameLength)))
  }
  return [...tags]
}

function hasTags(doc: Doc | undefined): boolean {
  if (!doc) return false
  return isSomeList(doc.data['tags']) || isSomeList(metadataIn(doc)?.['tags'])
}

const ownTags = (doc: Doc | undefined): Json[] =>
  doc ? [...list(doc.data['tags']), ...list(object(doc.data['metadata'])['tags'])] : []

const tagsMax = 50
/** As long as management's names may be. */
const nameLength = 255

export function sessionOf(
  incoming: Incoming,
  said: Inbound,
  metadata: JsonObject | undefined,
): string | undefined {
  return (
    session(incoming.header('x-litellm-session-id')) ??
    session(incoming.header('x-litellm-trace-id')) ??
    (said.has('litellm_session_id') ? session(said.field('litellm_session_id')) : undefined) ??
    (said.has('litellm_trace_id') ? session(said.field('litellm_trace_id')) : undefined) ??
    session(metadata?.['session_id']) ??
    session(incoming.header('x-claude-code-session-id')) ??
    session(incoming.header('session-id'))
  )
}

const session = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined

/** `spend_logs_metadata` of the request, in its body or its header, over what its key and its team say for all of theirs. */
function withSpendMetadata(
  metadata: JsonObject | undefined,
  incoming: Incoming,
  { grant }: Caller,
): JsonObject | undefined {
  const name = 'spend_logs_metadata'
  const header = incoming.header('x-litellm-spend-logs-metadata')
  const ofKey = grant && metadataIn(grant.key)?.[name]
  const ofTeam = grant?.team && metadataIn(grant.team)?.[name]
  if (header === undefined && ofKey === undefined && ofTeam === undefined) return metadata
  const said = header === undefined ? undefined : readHeader(header)
  const all = { ...object(ofTeam), ...object(ofKey), ...(said ?? object(metadata?.[name])) }
  for (const _ in all) return { ...metadata, [name]: all }
  return metadata
}

function metadataIn({ data }: Doc): JsonObject | undefined {
  const { metadata } = data
  return isObject(metadata) ? metadata : undefined
}

/** A header that is no JSON says nothing, as with LiteLLM. */
function readHeader(header: string): JsonObject | undefined {
  try {
    return parseObject(header, { maxDepth: 20 })
  } catch {
    return undefined
  }
}

/** Metadata is kept with the row while it is small: a row is not the place for a megabyte. */
function kept(metadata: JsonObject | undefined): JsonObject | undefined {
  if (!metadata) return undefined
  const { tags: _, ...rest } = metadata
  let any = false
  for (const _ in rest) any = true
  if (!any) return undefined
  return JSON.stringify(rest).length <= metadataMax ? rest : { too_large_to_keep: true }
}
const metadataMax = 4096
