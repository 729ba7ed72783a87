export { createCli } from './cli.ts'
export type { ServerOptions, StartOptions } from './main-port.ts'
