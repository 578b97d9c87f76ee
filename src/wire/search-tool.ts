import type { ServerTool, Tool } from '../chat/chat.ts'
import { compact, isObject, type JsonObject, object, text } from '../json/json.ts'
import type { Quirks } from './quirks.ts'

/** A search of the web that a provider runs: OpenAI's, Anthropic's or Google's, with their dates. */
export function isSearch(tool: Tool): tool is ServerTool {
  if (tool.type !== 'server') return false
  const { value } = tool
  return (
    searches.test(text(value.type) ?? '') ||
    isObject(value.google_search) ||
    isObject(value.googleSearch)
  )
}
export const searches = /^web_search(?:_preview)?(?:_\d{4}_\d{2}_\d{2}|_20\d{6})?$/

/** Is `web_search_options` known to be refused in chat? Who searches all the same does so in Responses. */
export const refusesSearch = ({ refusedThere, unsupported }: Quirks): boolean =>
  [...(refusedThere ?? []), ...(unsupported ?? [])].includes('web_search_options')

/** As chat says it: `web_search_options`. */
export function searchOptions({ value }: ServerTool): JsonObject {
  const place = placeOf(value)
  return compact({
    search_context_size: value.search_context_size,
    user_location: place && { type: 'approximate', approximate: place },
  })
}

/** Where the one who asks is; chat has it a level deeper than everybody else. */
export function placeOf({ user_location }: JsonObject): JsonObject | undefined {
  if (!isObject(user_location)) return undefined
  const place = isObject(user_location.approximate) ? user_location.approximate : user_location
  return compact({
    city: text(place.city),
    region: text(place.region),
    country: text(place.country),
    timezone: text(place.timezone),
  })
}

/** What a search was told and OpenAI's have no word for, by the names Anthropic gives them. */
export function lostOfSearch({ value }: ServerTool, ofChat: boolean): string[] {
  const names = ['blocked_domains', 'max_uses', ...(ofChat ? ['allowed_domains'] : [])]
  const lost = names.filter((name) => (value[name] ?? undefined) !== undefined)
  const { allowed_domains } = object(value.filters)
  if (ofChat && allowed_domains !== undefined) lost.push('filters')
  return lost.map((name) => `tools[].${name}`)
}
