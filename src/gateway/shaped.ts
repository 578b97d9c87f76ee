import type { Deployment } from '../provider/deployment.ts'
import type { Controls } from './fields.ts'

/** A deployment as one request wants it: more parameters dropped, others let through, requests repaired or not. */
export function shaped(to: Deployment, controls: Controls): Deployment {
  const { dropKeys, dropPaths, allowedParams, cachePoints, modifyParams } = controls
  const asks = dropKeys?.length || dropPaths?.length || allowedParams?.length
  if (!asks && modifyParams === undefined && !cachePoints) return to
  return reshaped(to, controls)
}

function reshaped(to: Deployment, controls: Controls): Deployment {
  const { dropKeys = [], dropPaths = [], allowedParams = [], cachePoints, modifyParams } = controls
  const shape = (one: Deployment): Deployment => ({
    ...one,
    dropKeys: [...one.dropKeys, ...dropKeys],
    dropPaths: [...one.dropPaths, ...dropPaths],
    cachePoints: cachePoints ?? one.cachePoints,
    target: {
      ...one.target,
      modifyParams: modifyParams ?? one.target.modifyParams,
      allowedParams: [...(one.target.allowedParams ?? []), ...allowedParams],
    },
    forClient: Object.fromEntries(
      Object.entries(one.forClient).map(([client, other]) => [client, shape(other)]),
    ),
  })
  return shape(to)
}
