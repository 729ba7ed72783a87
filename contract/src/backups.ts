import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

const settings = {
  /** Public keys of age (`age1…`): only who has the other half can open a backup. */
  recipients: z.array(z.string().startsWith('age1').max(4000)).max(20),
  /** On the server; null: `backups` in its data folder. */
  folder: z.string().max(1024).nullable(),
  /** Null: only when somebody asks for one. */
  everySeconds: z
    .int()
    .min(300)
    .max(366 * 86_400)
    .nullable(),
  /** As many as are kept. */
  keep: z.int().min(1).max(1000),
  /** The file that opens the vault goes into the backup, which is then all that a restore needs. */
  unsealKey: z.boolean(),
}

const backup = z.object({
  name: z.string(),
  folder: z.string(),
  startedAt: timestamp,
  finishedAt: timestamp,
  state: z.enum(['done', 'failed']),
  bytes: z.int(),
  /** Of the encrypted file, hexadecimal. */
  sha256: z.string(),
  /** Length of the audit log when it began. */
  auditSeq: z.int(),
  reason: z.string().nullable(),
})

const status = z.object({
  settings: z.object({ ...settings, folder: z.string() }),
  lastDoneAt: timestamp.nullable(),
  /** `failing`: the last one failed, or the next one is overdue. */
  state: z.enum(['unconfigured', 'ok', 'failing']),
  /** Newest first. */
  items: z.array(backup),
})
export type BackupStatus = z.output<typeof status>

export const backupsApi = {
  list: operation({
    name: 'backups.list',
    method: 'GET',
    path: '/backups',
    summary: 'Backups that were made, and how they are made',
    result: status,
  }),
  create: operation({
    name: 'backups.create',
    method: 'POST',
    path: '/backups',
    summary: 'Write an encrypted backup of everything now',
    result: backup,
    fails: ['backup.unconfigured', 'backup.failed', 'request.conflict'],
  }),
  configure: operation({
    name: 'backups.configure',
    method: 'PUT',
    path: '/backups/settings',
    summary: 'For whom backups are encrypted, where they go, how often and how many',
    body: settings,
    result: z.object({}),
    fails: ['backup.unconfigured', 'backup.failed'],
  }),
}
