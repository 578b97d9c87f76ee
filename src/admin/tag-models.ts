import type { Visit } from '../gateway/routes.ts'
import { list } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Tx } from '../store/store.ts'
import { openEntry, sealedEntry } from './live-rows.ts'
import { badRequest, storeOf } from './route.ts'

/**
 * Deployments that a tag chooses. A tag lists them by id or by public name; the router reads the `tags` of their
 * parameters, so both are kept the same. What the configuration's file says of its deployments is the file's.
 */

/** Public names of the deployments with these ids. */
export async function namesOfModels(
  { rooms }: Visit,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const wanted = new Set(ids)
  return new Map(
    rooms.router.groups
      .all()
      .flatMap(({ id, row }) => (wanted.has(id) ? [[id, row.modelName]] : [])),
  )
}

/** Takes a tag from the deployments it had and gives it to those it has now. Throws 400 where one is not in the database. */
export async function retag(
  visit: Visit,
  tx: Tx,
  tag: string,
  before: readonly string[],
  now: readonly string[],
): Promise<void> {
  const had = await deploymentsOf(tx, before)
  const has = await deploymentsOf(tx, now)
  for (const name of now) if (!before.includes(name)) refuseUnknown(visit, has, name)
  const ids = new Set(has.map(({ id }) => id))
  for (const { id } of had)
    if (!ids.has(id)) await changeTags(visit, tx, id, (tags) => tags.filter((one) => one !== tag))
  for (const id of ids)
    await changeTags(visit, tx, id, (tags) => (tags.includes(tag) ? tags : [...tags, tag]))
}

async function deploymentsOf(tx: Tx, names: readonly string[]): Promise<Doc<'model'>[]> {
  if (names.length === 0) return []
  const [byId, byName] = [
    await tx.model.many(names),
    await tx.model.list({ where: { alias: names } }),
  ]
  return [...byId, ...byName.filter(({ id }) => !byId.some((one) => one.id === id))]
}

function refuseUnknown({ rooms }: Visit, found: readonly Doc<'model'>[], name: string): void {
  if (found.some(({ id, columns }) => id === name || columns.alias === name)) return
  const { groups } = rooms.router
  const inFile = groups.all().some(({ id, row }) => id === name || row.modelName === name)
  throw badRequest(
    inFile
      ? `models: '${name.slice(0, 100)}' stands in the configuration's file: write the tag into its litellm_params.tags there`
      : `models: '${name.slice(0, 100)}' is neither the id nor the name of a model of this gateway`,
    'models',
  )
}

async function changeTags(
  visit: Visit,
  tx: Tx,
  id: string,
  change: (tags: string[]) => string[],
): Promise<void> {
  const { sealer } = storeOf(visit)
  await tx.model.update(id, (doc) => {
    const entry = openEntry(doc, sealer)
    const tags = list(entry.litellm_params['tags']).map(String)
    const after = change(tags)
    if (after.length === tags.length) return
    const { tags: _, ...params } = entry.litellm_params
    const litellm_params = after.length > 0 ? { ...params, tags: after } : params
    const { litellm_params: sealed } = sealedEntry({ ...entry, litellm_params }, sealer)
    if (sealed !== undefined) doc.data['litellm_params'] = sealed
  })
}
