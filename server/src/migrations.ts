import { approvalsMigrations } from './approvals/index.ts'
import { artifactsMigrations } from './artifacts/index.ts'
import { auditMigrations } from './audit/index.ts'
import { backupMigrations } from './backup/index.ts'
import { busMigrations } from './bus/index.ts'
import { catalogueMigrations } from './catalogue/index.ts'
import { channelsMigrations } from './channels/index.ts'
import { connectorsMigrations } from './connectors/index.ts'
import { findingsMigrations } from './findings/index.ts'
import { goalsMigrations } from './goals/index.ts'
import { hooksMigrations } from './hooks/index.ts'
import { identityMigrations } from './identity/index.ts'
import { imagesMigrations } from './images/index.ts'
import { lendMigrations } from './lend/index.ts'
import { observeMigrations } from './observe/index.ts'
import { passageMigrations } from './passage/index.ts'
import { policyMigrations } from './policy/index.ts'
import { rolloutMigrations } from './rollout/index.ts'
import { runSchedulesMigrations, schedulesMigrations } from './schedules/index.ts'
import { triggersMigrations } from './triggers/index.ts'
import { vaultMigrations } from './vault/index.ts'
import { workflowMigrations } from './workflow/index.ts'

/** Of all domains; a restore needs them too. */
export const migrations = [
  ...auditMigrations,
  ...busMigrations,
  ...identityMigrations,
  ...policyMigrations,
  ...vaultMigrations,
  ...findingsMigrations,
  ...schedulesMigrations,
  ...runSchedulesMigrations,
  ...hooksMigrations,
  ...lendMigrations,
  ...passageMigrations,
  ...workflowMigrations,
  ...approvalsMigrations,
  ...rolloutMigrations,
  ...catalogueMigrations,
  ...goalsMigrations,
  ...connectorsMigrations,
  ...artifactsMigrations,
  ...backupMigrations,
  ...channelsMigrations,
  ...observeMigrations,
  ...imagesMigrations,
  ...triggersMigrations,
]
