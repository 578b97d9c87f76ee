import { GatewayError } from '../../errors.ts'
import type { Target } from '../wire.ts'

/** Beside the publishers of the project and place in the base; where it names none, of those the row says. */
export const besideModels =
  ({ values }: Target, path: string) =>
  (base: string): string => {
    const bare = base.replace(/\/(?:publishers|endpoints)(?:\/.*)?$/, '').replace(/\/+$/, '')
    if (/\/projects\/[^/]+\/locations\/[^/]+$/.test(bare)) return bare + path
    const place = `projects/${projectOf(values)}/locations/${values?.['location'] ?? 'us-central1'}`
    return `${bare.replace(/\/v1(?:beta1)?$/, '')}/v1/${place}${path}`
  }

/** Throws where nobody says it. */
export function projectOf(values: Target['values']): string {
  const project = values?.['project']
  if (project !== undefined) return project
  throw new GatewayError(
    'bad_request',
    'Vertex AI needs a project for this: set vertex_project in litellm_params, or VERTEXAI_PROJECT in the environment',
    { status: 500 },
  )
}
