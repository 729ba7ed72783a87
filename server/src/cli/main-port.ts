import type { Secret } from '../core/index.ts'

export const sealNames = ['keyfile', 'shamir', 'transit', 'awskms'] as const
export type SealName = (typeof sealNames)[number]

/** How the server is started; the composition root takes it. */
export type ServerOptions = {
  /** `host:port`. */
  readonly listen: string
  readonly dataDir: string
  readonly dev: boolean
  readonly devRootTokenId?: string
  /** What shall seal the vault. Absent: what seals it now, and the key file for a new one. */
  readonly seal?: SealName
  readonly databaseUrl?: string
  /** PEM files. */
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly logLevel: 'info' | 'warn' | 'error'
}

/** The guided first run. */
export type StartOptions = {
  /** The folder to work on; the example project when absent. */
  readonly project?: string
  /** Nobody is asked; recorded as unattended. */
  readonly yes: boolean
  readonly dataDir: string
  readonly listen: string
  readonly json: boolean
}

export type RestoreOptions = {
  readonly file: string
  /** The text of an identity file of age. */
  readonly identities: Secret
  readonly dataDir: string
  readonly databaseUrl?: string
  readonly replace: boolean
}

/** What a backup holds, after all of it was read. */
export type BackupReport = {
  readonly createdAt: string
  readonly program: string
  readonly dialect: string
  readonly tables: Readonly<Record<string, { readonly rows: number }>>
  readonly audit: { readonly entries: number; readonly lastHash: string; readonly signed: boolean }
  readonly hasUnsealKey: boolean
}

/** Loads the server. Only when it is wanted: the other commands start without it. A number is the exit code. */
export type LoadMain = () => Promise<{
  runServer(options: ServerOptions): Promise<unknown>
  runStart(options: StartOptions): Promise<unknown>
  runRestore(options: RestoreOptions): Promise<BackupReport>
  verifyBackup(source: Pick<RestoreOptions, 'file' | 'identities'>): Promise<BackupReport>
  newBackupKey(): Promise<{ identity: Secret; recipient: string }>
}>
