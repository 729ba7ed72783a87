export {
  type AgentView,
  agentsApi,
  type Budget,
  budget,
  type Destination,
  destination,
  type LeaseView,
  leasesApi,
} from './agents.ts'
export { api } from './api.ts'
export {
  type ApprovalGrantView,
  approvalGrantsApi,
  type DelegationView,
  delegationsApi,
} from './approval-rights.ts'
export {
  type ApprovalAnswer,
  type ApprovalChannel,
  type ApprovalRule,
  type ApprovalState,
  type ApprovalView,
  approvalRule,
  approvalsApi,
} from './approvals.ts'
export { type ArtifactRef, artifactFolder, artifactRef } from './artifacts.ts'
export { type AskView, asksApi } from './asks.ts'
export { type AuditEntry, type AuditHead, auditApi, auditEntry, auditHead } from './audit.ts'
export { type BackupStatus, backupsApi } from './backups.ts'
export { type CertificateView, certificatesApi } from './certificates.ts'
export {
  type ChannelAccountView,
  type ChannelKind,
  type ChannelRoute,
  type ChannelView,
  channelSettings,
  channelsApi,
  type DeliveryView,
} from './channels.ts'
export {
  type ConnectionHealth,
  type ConnectionView,
  type ConnectorView,
  connectionsApi,
  connectorsApi,
} from './connectors.ts'
export { type EgressExplanation, egressApi, type GrantView, grantsApi } from './egress.ts'
export { type Code, codes } from './errors.ts'
export { type EventName, eventNames } from './events.ts'
export {
  type FindingExplanation,
  type FindingOrder,
  type FindingPlace,
  type FindingView,
  type FolderCount,
  findingsApi,
  type ImportPreview,
  type ScanView,
  type TrendDay,
} from './findings.ts'
export { type FlowProblem, type FlowView, flowsApi } from './flows.ts'
export { type GoalView, goalsApi, type ProposalView } from './goals.ts'
export { type ImageView, imageName, imagesApi } from './images.ts'
export { type Injection, injection, injectionText, prefixOf } from './injection.ts'
export { openText } from './open-text.ts'
export type { ArgumentsOf, InputOf, Json, Operation, ResultOf } from './operation.ts'
export {
  type PassageLogin,
  type PassageSsh,
  type PassageView,
  passagesApi,
  type Reachable,
  reachable,
} from './passages.ts'
export { pathExpression } from './path-pattern.ts'
export { type PersonView, peopleApi } from './people.ts'
export {
  type Condition,
  itemReference,
  outputReference,
  type PlanDocument,
  type PlanDraft,
  type PlannedTaskDocument,
  type PlanPreview,
  planDocument,
  planDraft,
  type Risk,
  type TaskPreview,
} from './plans.ts'
export type { EgressRequest, OpenConnections, Reach, WayOut } from './reach.ts'
export type { Proof, Receipt } from './receipts.ts'
export { type Evidence, type Phase, phase, type RolloutView, rolloutApi } from './rollout.ts'
export { type RunFiring, type RunScheduleView, runSchedulesApi } from './run-schedules.ts'
export {
  type OutputChunk,
  type RunDetail,
  type RunOutcome,
  type RunState,
  type RunView,
  runsApi,
  type TaskState,
  type TaskView,
} from './runs.ts'
export { type SandboxView, sandboxesApi } from './sandboxes.ts'
export { type ScheduleView, schedulesApi } from './schedules.ts'
export { type FactorView, secondFactorsApi } from './second-factors.ts'
export {
  type SecretDetail,
  type SecretEntry,
  type SecretHistory,
  type SecretVersion,
  secretsApi,
} from './secrets.ts'
export { type SessionView, sessionApi } from './session.ts'
export { type LiveEvent, liveEvent, type SystemStatus, systemApi } from './system.ts'
export {
  type HookDelivery,
  type HookView,
  hooksApi,
  type TriggerEvent,
  type TriggerFiring,
  type TriggerView,
  triggersApi,
} from './triggers.ts'
export {
  type AclPolicyView,
  aclApi,
  type ExplanationView,
  type MountView,
  mountsApi,
  type SealView,
  sealApi,
  vaultApi,
} from './vault.ts'
export {
  type AppRoleView,
  appRolesApi,
  type CredentialView,
  credentialsApi,
  type SecretIdView,
  type TokenView,
  tokensApi,
} from './vault-access.ts'
