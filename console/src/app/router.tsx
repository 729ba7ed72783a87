import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router'
import { NotFound, PageFailure, PagePending } from './page-states.tsx'
import {
  aclPoliciesSearch,
  agentsSearch,
  appRolesSearch,
  approvalSearch,
  approvalsSearch,
  auditSearch,
  egressSearch,
  findingsSearch,
  goalSearch,
  importSearch,
  peopleSearch,
  policiesSearch,
  runSearch,
  runsSearch,
  trendSearch,
  vaultSearch,
} from './search.ts'
import { Shell } from './shell.tsx'

const root = createRootRouteWithContext<{ client: QueryClient }>()({
  component: Shell,
  notFoundComponent: NotFound,
})

const overview = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: lazyRouteComponent(() => import('../pages/overview/index.ts'), 'OverviewPage'),
})
const findings = createRoute({
  getParentRoute: () => root,
  path: '/findings',
  validateSearch: findingsSearch,
  component: lazyRouteComponent(() => import('../pages/findings/index.ts'), 'FindingsPage'),
})
const findingsTrend = createRoute({
  getParentRoute: () => root,
  path: '/findings/trend',
  validateSearch: trendSearch,
  component: lazyRouteComponent(() => import('../pages/findings/trend-page.tsx'), 'TrendPage'),
})
const schedules = createRoute({
  getParentRoute: () => root,
  path: '/findings/schedules',
  component: lazyRouteComponent(() => import('../pages/findings/schedules-page.tsx'), 'SchedulesPage'),
})
const importReview = createRoute({
  getParentRoute: () => root,
  path: '/findings/import',
  validateSearch: importSearch,
  component: lazyRouteComponent(() => import('../pages/findings/index.ts'), 'ImportPage'),
})
const vault = createRoute({
  getParentRoute: () => root,
  path: '/vault',
  validateSearch: vaultSearch,
  component: lazyRouteComponent(() => import('../pages/vault/index.ts'), 'VaultPage'),
})
const vaultRoom = <P extends string, N extends keyof typeof import('../pages/vault/index.ts')>(
  path: P,
  name: N,
) =>
  createRoute({
    getParentRoute: () => root,
    path,
    component: lazyRouteComponent(() => import('../pages/vault/index.ts'), name),
  })
const vaultPolicies = createRoute({
  getParentRoute: () => root,
  path: '/vault/policies',
  validateSearch: aclPoliciesSearch,
  component: lazyRouteComponent(() => import('../pages/vault/index.ts'), 'AclPoliciesPage'),
})
const appRoles = createRoute({
  getParentRoute: () => root,
  path: '/vault/approles',
  validateSearch: appRolesSearch,
  component: lazyRouteComponent(() => import('../pages/vault/index.ts'), 'AppRolesPage'),
})
const mounts = vaultRoom('/vault/mounts', 'MountsPage')
const explain = vaultRoom('/vault/explain', 'ExplainPage')
const credentials = vaultRoom('/vault/leases', 'LeasesPage')
const tokens = vaultRoom('/vault/tokens', 'TokensPage')
const seal = vaultRoom('/vault/seal', 'SealPage')
const backups = vaultRoom('/vault/backups', 'BackupsPage')
const runs = createRoute({
  getParentRoute: () => root,
  path: '/runs',
  validateSearch: runsSearch,
  component: lazyRouteComponent(() => import('../pages/runs/index.ts'), 'RunsPage'),
})
const run = createRoute({
  getParentRoute: () => root,
  path: '/runs/$runId',
  validateSearch: runSearch,
  component: lazyRouteComponent(() => import('../pages/runs/run-page.tsx'), 'RunPage'),
})
const goals = createRoute({
  getParentRoute: () => root,
  path: '/runs/goals',
  component: lazyRouteComponent(() => import('../pages/goals/index.ts'), 'GoalsPage'),
})
const goal = createRoute({
  getParentRoute: () => root,
  path: '/runs/goals/$goalId',
  validateSearch: goalSearch,
  component: lazyRouteComponent(() => import('../pages/goals/index.ts'), 'GoalPage'),
})
const runSchedules = createRoute({
  getParentRoute: () => root,
  path: '/runs/schedules',
  component: lazyRouteComponent(() => import('../pages/runs/run-schedules-page.tsx'), 'RunSchedulesPage'),
})
const approvals = createRoute({
  getParentRoute: () => root,
  path: '/approvals',
  validateSearch: approvalsSearch,
  component: lazyRouteComponent(() => import('../pages/approvals/index.ts'), 'ApprovalsPage'),
})
const rights = createRoute({
  getParentRoute: () => root,
  path: '/approvals/rights',
  component: lazyRouteComponent(() => import('../pages/approvals/index.ts'), 'RightsPage'),
})
const approval = createRoute({
  getParentRoute: () => root,
  path: '/approvals/$approvalId',
  validateSearch: approvalSearch,
  component: lazyRouteComponent(() => import('../pages/approvals/index.ts'), 'ApprovalPage'),
})
const agents = createRoute({
  getParentRoute: () => root,
  path: '/agents',
  validateSearch: agentsSearch,
  component: lazyRouteComponent(() => import('../pages/agents/index.ts'), 'AgentsPage'),
})
const reach = createRoute({
  getParentRoute: () => root,
  path: '/agents/reach',
  validateSearch: agentsSearch,
  component: lazyRouteComponent(() => import('../pages/agents/reach-page.tsx'), 'ReachPage'),
})
const egress = createRoute({
  getParentRoute: () => root,
  path: '/agents/egress',
  validateSearch: egressSearch,
  component: lazyRouteComponent(() => import('../pages/agents/egress-page.tsx'), 'EgressPage'),
})
const sandboxes = createRoute({
  getParentRoute: () => root,
  path: '/agents/sandboxes',
  component: lazyRouteComponent(() => import('../pages/agents/sandboxes-page.tsx'), 'SandboxesPage'),
})
const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import('../pages/audit/index.ts'), 'AuditPage'),
})
const policies = createRoute({
  getParentRoute: () => root,
  path: '/policies',
  validateSearch: policiesSearch,
  component: lazyRouteComponent(() => import('../pages/policies/index.ts'), 'PoliciesPage'),
})
const people = createRoute({
  getParentRoute: () => root,
  path: '/people',
  validateSearch: peopleSearch,
  component: lazyRouteComponent(() => import('../pages/people/index.ts'), 'PeoplePage'),
})
const factors = createRoute({
  getParentRoute: () => root,
  path: '/people/factors',
  component: lazyRouteComponent(() => import('../pages/people/index.ts'), 'FactorsPage'),
})
const channels = createRoute({
  getParentRoute: () => root,
  path: '/integrations/channels',
  component: lazyRouteComponent(() => import('../pages/integrations/index.ts'), 'ChannelsPage'),
})
const integrations = createRoute({
  getParentRoute: () => root,
  path: '/integrations',
  component: lazyRouteComponent(() => import('../pages/integrations/index.ts'), 'ConnectionsPage'),
})
const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  beforeLoad: () => {
    throw redirect({ to: '/' })
  },
})

const routeTree = root.addChildren([
  overview,
  findings,
  findingsTrend,
  schedules,
  importReview,
  vault,
  mounts,
  vaultPolicies,
  explain,
  credentials,
  tokens,
  appRoles,
  seal,
  backups,
  runs,
  goals,
  goal,
  runSchedules,
  run,
  approvals,
  rights,
  approval,
  agents,
  reach,
  egress,
  sandboxes,
  audit,
  policies,
  people,
  channels,
  factors,
  integrations,
  signIn,
])

export function createAppRouter(client: QueryClient) {
  return createRouter({
    routeTree,
    context: { client },
    defaultPreload: 'intent',
    defaultPendingComponent: PagePending,
    defaultErrorComponent: PageFailure,
    scrollRestoration: true,
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>
  }
}
