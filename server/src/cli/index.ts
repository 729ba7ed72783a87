export { createCli } from './cli.ts'
export type { RestoreOptions, ServerOptions, StartOptions } from './main-port.ts'
export { printable } from './printable.ts'
export { renderTable } from './table.ts'
