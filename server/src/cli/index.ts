export { type Cli, createCli } from './cli.ts'
export type { LoadMain, ServerOptions, StartOptions } from './main-port.ts'
