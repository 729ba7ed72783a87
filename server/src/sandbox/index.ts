export { createBubblewrapDriver } from './bubblewrap.ts'
export { createSandboxDriver, sandboxSettingsOf } from './drivers.ts'
export { createReader } from './frames.ts'
export { findProgram, installCommand } from './install.ts'
export type { RunningSandbox } from './running.ts'
export {
  createSandbox,
  type Sandbox,
  type SandboxDriver,
  type SandboxLimit,
  type SandboxLimits,
  type SandboxResult,
  type SandboxSpec,
  type SandboxWay,
} from './sandbox.ts'
