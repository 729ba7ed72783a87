export { createBubblewrapDriver } from './bubblewrap.ts'
export { findProgram, installCommand } from './install.ts'
export {
  createSandbox,
  type Sandbox,
  type SandboxDriver,
  type SandboxLimits,
  type SandboxResult,
  type SandboxSpec,
} from './sandbox.ts'
