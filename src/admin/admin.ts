import type { AdminRoute } from './route.ts'

/** Every route of management, a file per area. */
export const adminRoutes: readonly AdminRoute[] = []
