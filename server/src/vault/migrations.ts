import type { Migration } from '../store/index.ts'
import { leaseMigrations } from './leases/lease-store.ts'
import { vaultMigrations as storageMigrations } from './vault-store.ts'

export const vaultMigrations: readonly Migration[] = [...storageMigrations, ...leaseMigrations]
