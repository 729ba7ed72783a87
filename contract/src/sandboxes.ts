import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

const bytes = z.int().min(0)

export const sandboxLimits = z.object({
  wallSeconds: z.int(),
  cpuSeconds: z.int(),
  memoryBytes: bytes,
  /** Processes and threads. */
  processes: z.int(),
  openFiles: z.int(),
  /** The largest single file. */
  fileBytes: bytes,
  /** All that it writes. */
  diskBytes: bytes,
  /** Standard output and standard error together. */
  outputBytes: bytes,
})

/** A sandbox that runs now. */
export const sandboxView = z.object({
  id: z.string(),
  driver: z.string(),
  level: z.enum(['full', 'no-cgroup', 'none']),
  agentId: z.string().nullable(),
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  /** Whose files the command finds; null for the machine's own. */
  image: z.string().nullable().optional(),
  command: z.array(z.string()),
  startedAt: timestamp,
  limits: sandboxLimits,
  /** Measured a few times a second; null before the first time, a field of it where the driver cannot tell. */
  usage: z
    .object({
      cpuSeconds: z.number().nullable(),
      memoryBytes: bytes.nullable(),
      /** Processes and threads, some twenty of Keyward's own among them. */
      processes: z.int().nullable(),
      diskBytes: bytes.nullable(),
    })
    .nullable(),
})
export type SandboxView = z.output<typeof sandboxView>

export const sandboxesApi = {
  list: operation({
    name: 'sandboxes.list',
    method: 'GET',
    path: '/sandboxes',
    summary: 'Sandboxes that run now, the oldest first, with their limits and what they use',
    result: z.object({
      items: z.array(sandboxView),
      /** How many wait, started ahead of their tasks. */
      waiting: z.int().optional(),
    }),
  }),
  end: operation({
    name: 'sandboxes.end',
    method: 'POST',
    path: '/sandboxes/{sandboxId}/end',
    summary: 'End a sandbox now, with every process in it; its task fails with the reason',
    params: { sandboxId: z.string() },
    body: { reason: z.string().trim().min(3).max(500) },
    result: sandboxView,
    fails: ['sandbox.not_found'],
  }),
}
