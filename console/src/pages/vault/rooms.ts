/** The pages about the vault, in the order of their tabs. */
export const vaultRooms = [
  { to: '/vault', name: 'Secrets', about: 'Names of secrets, versions, search' },
  { to: '/vault/mounts', name: 'Mounts', about: 'Secrets engines and auth methods' },
  { to: '/vault/policies', name: 'Policies', about: "What tokens may do on Vault's API; try one out" },
  { to: '/vault/explain', name: 'Why refused?', about: 'Which rule refuses a token, and what is missing' },
  { to: '/vault/leases', name: 'Leases', about: 'Credentials that engines have given out' },
  { to: '/vault/tokens', name: 'Tokens', about: "Who is signed in to Vault's API" },
  { to: '/vault/approles', name: 'AppRoles', about: 'How programs sign in' },
  { to: '/vault/seal', name: 'Seal', about: 'Seal, unseal, rotate the key' },
  { to: '/vault/backups', name: 'Backups', about: 'Encrypted copies of everything' },
] as const
