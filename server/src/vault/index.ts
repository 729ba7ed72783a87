export type { Engine } from './engine.ts'
export type { SealedStorage } from './keyward-storage.ts'
<<<<<<< Updated upstream
=======
export type { CredentialLease } from './leases/lease-pages.ts'
>>>>>>> Stashed changes
export { vaultMigrations } from './migrations.ts'
export type { Ceiling } from './request.ts'
export type { VaultRequest, VaultResponse } from './request-context.ts'
export type { KeyWrapper, SealKind } from './seal/key-wrapper.ts'
export type { SealOptions } from './seal/seal-config.ts'
export { sealWrappers } from './seal/seal-settings.ts'
export { createVault, type Vault } from './vault.ts'
