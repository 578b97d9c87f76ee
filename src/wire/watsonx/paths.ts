import { compact, type JsonObject } from '../../json/json.ts'
import type { Target } from '../wire.ts'

const deployed = /^deployment\/(.+)$/

/** `deployment/<id>` is a model of one's own, which has an address of its own. */
export function pathOf({ model }: Target, method: string): string {
  const id = deployed.exec(model)?.[1]
  return `/ml/v1${id === undefined ? '' : `/deployments/${encodeURIComponent(id)}`}/${method}`
}

/**
 * Which model, and who pays: a project or a space (watsonx.ai API, text chat, 2026-11). A deployment has all of that
 * already and refuses to be told.
 */
export function placeOf({ model, values = {} }: Target): JsonObject {
  if (deployed.test(model)) return {}
  const { project_id, space_id } = values
  return compact({
    model_id: model,
    project_id,
    space_id: project_id === undefined ? space_id : undefined,
  })
}
