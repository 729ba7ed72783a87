export { type Backups, createBackups, viewOf } from './backup.ts'
export { backupMigrations } from './backup-store.ts'
export { newBackupKey } from './encryption.ts'
export { assertNotHalfRestored, restoreBackup, verifyBackup } from './restore.ts'
