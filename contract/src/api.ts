import { agentsApi, leasesApi } from './agents.ts'
import { approvalGrantsApi, delegationsApi } from './approval-rights.ts'
import { approvalsApi } from './approvals.ts'
import { asksApi } from './asks.ts'
import { auditApi } from './audit.ts'
import { backupsApi } from './backups.ts'
import { certificatesApi } from './certificates.ts'
import { channelsApi } from './channels.ts'
import { connectionsApi, connectorsApi } from './connectors.ts'
import { egressApi, grantsApi } from './egress.ts'
import { findingsApi } from './findings.ts'
import { flowsApi } from './flows.ts'
import { goalsApi } from './goals.ts'
import { imagesApi } from './images.ts'
import { passagesApi } from './passages.ts'
import { peopleApi } from './people.ts'
import { rolloutApi } from './rollout.ts'
import { runSchedulesApi } from './run-schedules.ts'
import { runsApi } from './runs.ts'
import { sandboxesApi } from './sandboxes.ts'
import { schedulesApi } from './schedules.ts'
import { secondFactorsApi } from './second-factors.ts'
import { secretsApi } from './secrets.ts'
import { sessionApi } from './session.ts'
import { systemApi } from './system.ts'
import { hooksApi, triggersApi } from './triggers.ts'
import { aclApi, mountsApi, sealApi, vaultApi } from './vault.ts'
import { appRolesApi, credentialsApi, tokensApi } from './vault-access.ts'

/** Every operation of the API, by noun. */
export const api = {
  acl: aclApi,
  agents: agentsApi,
  appRoles: appRolesApi,
  approvalGrants: approvalGrantsApi,
  approvals: approvalsApi,
  asks: asksApi,
  audit: auditApi,
  backups: backupsApi,
  certificates: certificatesApi,
  connections: connectionsApi,
  connectors: connectorsApi,
  channels: channelsApi,
  credentials: credentialsApi,
  delegations: delegationsApi,
  egress: egressApi,
  findings: findingsApi,
  flows: flowsApi,
  goals: goalsApi,
  grants: grantsApi,
  hooks: hooksApi,
  leases: leasesApi,
  mounts: mountsApi,
  passages: passagesApi,
  people: peopleApi,
  rollout: rolloutApi,
  runSchedules: runSchedulesApi,
  runs: runsApi,
  images: imagesApi,
  sandboxes: sandboxesApi,
  schedules: schedulesApi,
  seal: sealApi,
  secondFactors: secondFactorsApi,
  secrets: secretsApi,
  session: sessionApi,
  system: systemApi,
  tokens: tokensApi,
  triggers: triggersApi,
  vault: vaultApi,
} as const
