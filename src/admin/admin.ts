import { accessGroupRoutes } from './access-groups.ts'
import { budgetRoutes } from './budgets.ts'
import { captureRateRoutes } from './capture-rate.ts'
import { configRoutes } from './config.ts'
import { costRoutes } from './cost.ts'
import { credentialRoutes } from './credentials.ts'
import { customerRoutes } from './customers.ts'
import { dailyActivityRoutes } from './daily-activity.ts'
import { keyBulkRoutes } from './key-bulk.ts'
import { keyInfoRoutes } from './key-info.ts'
import { keyListRoutes } from './key-list.ts'
import { keyRoutes } from './keys.ts'
import { modelGroupRoutes } from './model-groups.ts'
import { modelHubRoutes } from './model-hub.ts'
import { modelMetricRoutes } from './model-metrics.ts'
import { modelPageRoutes } from './model-pages.ts'
import { modelRoutes } from './models.ts'
import { organizationMemberRoutes } from './organization-members.ts'
import { organizationRoutes } from './organizations.ts'
import { passEndpointRoutes } from './pass-endpoints.ts'
import { priceRoutes } from './prices.ts'
import { projectRoutes } from './projects.ts'
import { resealRoutes } from './reseal.ts'
import type { AdminRoute } from './route.ts'
import { spendListRoutes } from './spend-lists.ts'
import { spendLogRoutes } from './spend-logs.ts'
import { spendReportRoutes } from './spend-reports.ts'
import { tagRoutes } from './tags.ts'
import { teamCallbackRoutes } from './team-callbacks.ts'
import { teamInfoRoutes } from './team-info.ts'
import { teamListRoutes } from './team-lists.ts'
import { teamMemberRoutes } from './team-members.ts'
import { teamModelRoutes } from './team-models.ts'
import { teamPermissionRoutes } from './team-permissions.ts'
import { teamSpendRoutes } from './team-spend.ts'
import { teamRoutes } from './teams.ts'
import { userBulkRoutes } from './user-bulk.ts'
import { userListRoutes } from './user-list.ts'
import { userRoutes } from './users.ts'

/** Every route of management, a file per area. */
export const adminRoutes: readonly AdminRoute[] = [
  ...keyRoutes,
  ...keyInfoRoutes,
  ...keyListRoutes,
  ...keyBulkRoutes,
  ...userRoutes,
  ...userListRoutes,
  ...userBulkRoutes,
  ...resealRoutes,
  ...spendLogRoutes,
  ...spendListRoutes,
  ...spendReportRoutes,
  ...dailyActivityRoutes,
  ...costRoutes,
  ...priceRoutes,
  ...captureRateRoutes,
  ...budgetRoutes,
  ...teamRoutes,
  ...teamMemberRoutes,
  ...teamInfoRoutes,
  ...teamListRoutes,
  ...teamPermissionRoutes,
  ...teamCallbackRoutes,
  ...customerRoutes,
  ...organizationRoutes,
  ...organizationMemberRoutes,
  ...modelRoutes,
  ...modelPageRoutes,
  ...modelMetricRoutes,
  ...modelHubRoutes,
  ...credentialRoutes,
  ...configRoutes,
  ...passEndpointRoutes,
  ...tagRoutes,
  ...teamSpendRoutes,
  ...accessGroupRoutes,
  ...modelGroupRoutes,
  ...projectRoutes,
  ...teamModelRoutes,
]
