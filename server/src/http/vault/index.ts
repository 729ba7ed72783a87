export { createVaultFront } from './vault-front.ts'
