import { GatewayError } from '../errors.ts'
import type { AdminRoute } from './route.ts'

/** A route of LiteLLM's that is known and not offered: 501 with its name, so that nobody takes it for a wrong address. */
export const notOffered = (method: AdminRoute['method'], path: string): AdminRoute => ({
  method,
  path,
  permission: 'admin',
  summary: 'Not offered by this gateway',
  run: () => {
    throw new GatewayError('not_offered', `${method} ${path} is not offered by this gateway`, {
      code: '501',
    })
  },
})
