import { text } from '../../json/json.ts'
import type { Follow } from '../wire.ts'

/** A task that is under way is asked for by its id. */
export const follow: Follow = {
  hosts: [],
  next({ id, status }, _stream, from) {
    const name = text(id)
    if (name === undefined || !under.has(text(status) ?? '')) return undefined
    const root = from.replace(/(\/responses)(\/[^/?]*)?(\?.*)?$/, '$1')
    return { url: `${root}/${encodeURIComponent(name)}`, afterMs: 2000, stream: false }
  },
}

const under: ReadonlySet<string> = new Set(['running', 'pending', 'queued', 'in_progress'])
