export { acceptList } from './accept-list.ts'
export { createVaultHandler } from './vault-handler.ts'
