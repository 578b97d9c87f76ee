import { type JsonObject, object, text } from '../json/json.ts'
import type { Doc } from '../store/docs.ts'
import type { Sealer } from '../store/seal.ts'

/** Pass-through endpoints added over the API lie among the settings, a document each, whole and sealed. */

const prefix = 'pass_through_endpoint:'
export const documentOf = (id: string): string => prefix + id
export const isEndpoint = ({ id }: Pick<Doc, 'id'>): boolean => id.startsWith(prefix)

/** Headers and queries hold credentials under any name. */
export const sealEndpoint = (row: JsonObject, { seal }: Sealer): JsonObject => ({
  endpoint: seal(JSON.stringify(row)),
})

/** Throws where it was sealed with another key. */
export const openEndpoint = ({ id, data }: Doc<'setting'>, { open }: Sealer): JsonObject => ({
  ...object(JSON.parse(open(text(data['endpoint']) ?? '{}'))),
  id: id.slice(prefix.length),
})
