export { createBubblewrapDriver } from './bubblewrap.ts'
export { findProgram, type InstallAdvice, installCommand } from './install.ts'
export {
  createSandbox,
  type Sandbox,
  type SandboxDriver,
  type SandboxLimits,
  type SandboxProbe,
  type SandboxResult,
  type SandboxSpec,
} from './sandbox.ts'
