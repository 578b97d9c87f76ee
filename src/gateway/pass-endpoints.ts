import { type JsonObject, list, number, object, text } from '../json/json.ts'
import { refusePass } from '../policy/lanes.ts'
import { methods, type PassTarget, pathBelow, queryOf, servePassthrough } from './passthrough.ts'
import type { Route, Visit } from './routes.ts'

/**
 * `general_settings.pass_through_endpoints`, and those added over the API: paths of the operator's that lead to another
 * server. What is no path or no URL is left out.
 */
export function endpointRoutes(rows: readonly JsonObject[]): Route[] {
  return rows.flatMap((row): Route[] => {
    const path = text(row['path']) ?? ''
    const target = text(row['target']) ?? ''
    if (!path.startsWith('/') || !URL.canParse(target)) return []
    return methodsOf(row).flatMap((method) =>
      pathsOf(row).map((place) => ({
        method,
        path: place,
        permission: row['auth'] === false ? 'public' : 'llm',
        summary: `Passed to ${new URL(target).host}`,
        run: (visit) => servePassthrough(visit, () => endpointTarget(visit, row, path, target)),
      })),
    )
  })
}

/** As paths of routes. */
export function pathsOf(row: JsonObject): readonly string[] {
  const path = text(row['path']) ?? ''
  return [path, ...(row['include_subpath'] === true ? [`${path}/{path+}`] : [])]
}

function methodsOf(row: JsonObject): readonly Route['method'][] {
  const asked = list(row['methods']).map((one) => String(one).toUpperCase())
  return methods.filter((method) => asked.length === 0 || asked.includes(method))
}

/** Is there a path and a method at which both are served? */
export function shares(one: JsonObject, other: JsonObject): boolean {
  const asked = new Set(methodsOf(one))
  return text(one['path']) === text(other['path']) && methodsOf(other).some((way) => asked.has(way))
}

function endpointTarget(
  { incoming, rooms, caller }: Visit,
  row: JsonObject,
  path: string,
  target: string,
): PassTarget {
  refusePass(caller, incoming.path, true)
  const url = new URL(target)
  const below = pathBelow(incoming.path, path.slice(1))
  url.pathname = url.pathname.replace(/\/$/, '') + below
  const query = new URLSearchParams(queryOf(incoming.query))
  for (const [name, value] of Object.entries(object(row['default_query_params'])))
    if (!query.has(name)) query.set(name, String(value))
  for (const [name, value] of query) url.searchParams.append(name, value)
  const seconds = number(row['timeout']) ?? rooms.settings.passThroughSeconds
  return {
    url: url.href,
    headers: Object.fromEntries(
      Object.entries(object(row['headers'])).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name.toLowerCase(), value]] : [],
      ),
    ),
    forward: row['forward_headers'] === true,
    deployment: undefined,
    limits: { firstByteMs: seconds * 1000, idleMs: seconds * 1000 },
    cost: number(row['cost_per_request']),
  }
}
