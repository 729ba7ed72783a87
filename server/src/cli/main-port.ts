/** How the server is started; the composition root takes it. */
export type ServerOptions = {
  /** `host:port`. */
  readonly listen: string
  readonly dataDir: string
  readonly dev: boolean
  readonly devRootTokenId?: string
  readonly seal: 'keyfile' | 'shamir'
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

/** Loads the server. Only when it is wanted: the other commands start without it. A number is the exit code. */
export type LoadMain = () => Promise<{
  runServer(options: ServerOptions): Promise<unknown>
  runStart(options: StartOptions): Promise<unknown>
}>
