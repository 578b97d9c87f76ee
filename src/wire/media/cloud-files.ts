import type { JsonObject } from '../../json/json.ts'
import { whole } from './batch-words.ts'
import { type Cloud, names, placeIn } from './cloud.ts'
import { folderIn, foundIn, type Known, pageAsked, parsed } from './cloud-folders.ts'
import { type Exchange, expected } from './media.ts'
import type { Told } from './operation.ts'

/** What was uploaded; results of batches stand in their batches. In the order of their names, which is none of time. */
export function* listFiles(known: Known): Exchange<Told> {
  const { cloud, query, lacks } = known
  const asked = new URLSearchParams(query)
  const { limit, after } = pageAsked(asked)
  const purpose = asked.get('purpose')
  if (asked.get('order') !== null) lacks('order')
  const isOwn = after !== null && cloud.own?.isOne(after) === true
  const found = isOwn ? [] : yield* filesHere(known, limit + 1, after)
  if (cloud.own && found.length <= limit)
    found.push(...(yield* filesThere(cloud.own, limit + 1 - found.length, isOwn ? after : null)))
  const data = found.slice(0, limit).filter((file) => !purpose || file['purpose'] === purpose)
  return whole({
    object: 'list',
    data,
    first_id: data[0]?.['id'] ?? null,
    last_id: data.at(-1)?.['id'] ?? null,
    has_more: found.length > limit,
  })
}

function* filesHere(
  { cloud, to }: Known,
  most: number,
  after: string | null,
): Exchange<JsonObject[]> {
  const behind = after === null ? undefined : placeIn(cloud, folderIn(after), 'file')
  const store = cloud.store(to)
  const end = `/${names.file}`
  const found: string[] = []
  let token: string | undefined
  for (let pages = 0; pages < pagesMax && found.length < most; pages++) {
    const [answer] = yield [store.list(cloud.prefix, behind, token)]
    const told = store.listed(expected(answer))
    for (const name of told.names)
      if (name.endsWith(end) && (behind === undefined || name > behind)) found.push(name)
    token = told.next
    if (token === undefined) break
  }
  const answers = yield found.slice(0, most).map((name) => store.find(name))
  return answers
    .map((answer) => parsed(foundIn(answer, cloud)))
    .filter((file) => file['id'] !== undefined)
}

function* filesThere(
  own: NonNullable<Cloud['own']>,
  most: number,
  after: string | null,
): Exchange<JsonObject[]> {
  const found: JsonObject[] = []
  let passing = after !== null
  let token: string | undefined
  for (let pages = 0; pages < pagesMax && found.length < most; pages++) {
    const { items, next } = yield* own.page(token)
    for (const item of items) {
      if (!passing) found.push(item)
      if (item['id'] === after) passing = false
    }
    token = next
    if (token === undefined) break
  }
  return found.slice(0, most)
}
/** Of a hundred or a thousand each: others may keep things in the same place. */
const pagesMax = 20
