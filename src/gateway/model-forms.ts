import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import { compact, type Json, type JsonObject, number, text } from '../json/json.ts'
import { created, json, listModels, oneModel, publicNames, refuseUnknown } from './models.ts'
import type { Rooms } from './rooms.ts'
import type { Visit } from './routes.ts'

/** The models in the words of whoever asks: OpenAI's, or those whose header the client's library sends. */
export const modelsFor = (visit: Visit): Promise<Outgoing> => {
  const { incoming, rooms, caller } = visit
  if (speaksAnthropic(incoming)) return anthropicModels(visit)
  if (speaksGoogle(incoming)) return geminiModels(visit)
  return listModels(rooms, queryOf(incoming), caller)
}

export const modelFor = (visit: Visit): Promise<Outgoing> => {
  const { incoming, rooms, params, caller } = visit
  if (speaksAnthropic(incoming)) return anthropicModel(visit)
  if (speaksGoogle(incoming)) return geminiModel(visit)
  return oneModel(rooms, params['id'] ?? '', caller)
}

const speaksAnthropic = (incoming: Incoming): boolean =>
  incoming.header('anthropic-version') !== undefined
const speaksGoogle = (incoming: Incoming): boolean =>
  incoming.header('x-goog-api-key') !== undefined

const queryOf = ({ query }: Incoming): URLSearchParams => new URLSearchParams(query)

/** Anthropic's list: pages by the id they begin after, or end before. */
export async function anthropicModels({ incoming, rooms, caller }: Visit): Promise<Outgoing> {
  const query = queryOf(incoming)
  const limit = sizeOf(query, 'limit', 20)
  const names = await publicNames(rooms, false, caller)
  const before = query.get('before_id')
  const end = before === null ? names.length : places(names, before, 'before_id')
  const after = query.get('after_id')
  const start =
    after === null
      ? before === null
        ? 0
        : Math.max(0, end - limit)
      : places(names, after, 'after_id') + 1
  const page = names.slice(start, Math.min(end, start + limit))
  return json({
    data: page.map((name) => inAnthropicWords(name, rooms)),
    has_more: before === null ? start + page.length < names.length : start > 0,
    first_id: page[0] ?? null,
    last_id: page.at(-1) ?? null,
  })
}

export async function anthropicModel({ rooms, params, caller }: Visit): Promise<Outgoing> {
  const id = params['id'] ?? ''
  await refuseUnknown(rooms, id, caller)
  return json(inAnthropicWords(id, rooms))
}

function inAnthropicWords(name: string, rooms: Rooms): JsonObject {
  const info = infoOf(name, rooms)
  return compact({
    type: 'model',
    id: name,
    display_name: text(info['display_name']) ?? name,
    created_at: new Date(created * 1000).toISOString(),
    max_input_tokens: number(info['max_input_tokens']),
    max_tokens: number(info['max_output_tokens']) ?? number(info['max_tokens']),
  })
}

/** Google's list: pages by a token, which here is where the next one begins. */
export async function geminiModels({ incoming, rooms, caller }: Visit): Promise<Outgoing> {
  const query = queryOf(incoming)
  const size = sizeOf(query, 'pageSize', 50)
  const token = query.get('pageToken') ?? '0'
  if (!/^\d{1,9}$/.test(token)) throw invalid('pageToken', 'must be one that a page before gave')
  const start = Number(token)
  const names = await publicNames(rooms, false, caller)
  const page = names.slice(start, start + size)
  const next = start + size
  return json({
    models: page.map((name) => inGoogleWords(name, rooms)),
    ...(next < names.length && { nextPageToken: String(next) }),
  })
}

export async function geminiModel({ rooms, params, caller }: Visit): Promise<Outgoing> {
  const id = params['id'] ?? ''
  await refuseUnknown(rooms, id, caller)
  return json(inGoogleWords(id, rooms))
}

function inGoogleWords(name: string, rooms: Rooms): JsonObject {
  const info = infoOf(name, rooms)
  const methods = text(info['mode']) === 'embedding' ? embeds : chats
  return compact({
    name: `models/${name}`,
    baseModelId: name,
    version: '001',
    displayName: text(info['display_name']) ?? name,
    description: text(info['description']) ?? '',
    inputTokenLimit: number(info['max_input_tokens']) ?? number(info['max_tokens']),
    outputTokenLimit: number(info['max_output_tokens']) ?? number(info['max_tokens']),
    supportedGenerationMethods: [...methods],
    thinking: info['supports_reasoning'] === true ? true : undefined,
  })
}
const chats: readonly Json[] = ['generateContent', 'countTokens']
const embeds: readonly Json[] = ['embedContent']

const infoOf = (name: string, { router: { groups } }: Rooms): JsonObject =>
  groups.find(groups.nameOf(name))[0]?.info ?? {}

function places(names: readonly string[], id: string, param: string): number {
  const at = names.indexOf(id)
  if (at === -1) throw invalid(param, 'must be the id of a model in the list')
  return at
}

function sizeOf(query: URLSearchParams, name: string, usual: number): number {
  const said = query.get(name)
  if (said === null || said === '') return usual
  const size = Number(said)
  if (!Number.isInteger(size) || size < 1) throw invalid(name, 'must be a whole number from 1')
  return Math.min(size, 1000)
}

const invalid = (param: string, what: string): GatewayError =>
  new GatewayError('bad_request', `'${param}' ${what}.`, { param, type: 'invalid_request_error' })
