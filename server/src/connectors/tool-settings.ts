import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { artifactFolder, artifactRef, budget, destination, injection } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import { findProgram } from '../sandbox/index.ts'
import type { Wellness } from './connector.ts'
import type { SandboxedCommand, SandboxedResult } from './sandboxed-command.ts'

/** What connections to tools have in common that run as programs in a sandbox, over the files of a folder. */

const path = z.string().refine(isAbsolute, 'must be an absolute path')
const variable = z.string().regex(/^[A-Za-z_]\w*$/)

export const toolSettings = {
  /** Of the server's machine; copied for each task, never written. */
  folder: path,
  /** Host files and folders that the tool needs beside the system's own, such as a mirror of plugins; read-only. */
  readOnly: z.array(path).max(20).default([]),
  environment: z.record(variable, z.string()).default({}),
  /** Variables that carry a placeholder for a field of the connection's secret, and where it is exchanged. */
  secrets: z
    .array(
      z.strictObject({
        field: z.string(),
        variable,
        destinations: z.array(destination).min(1),
        injection: injection.optional(),
        budget: budget.optional(),
      }),
    )
    .max(20)
    .default([]),
  /** What may be reached besides: registries, and APIs that want no credential. */
  destinations: z.array(destination).max(50).default([]),
  /** Where those names are to be found which DNS does not know, and the authority that signed their certificates. */
  route: z.strictObject({ address: z.string(), caPem: z.string() }).optional(),
  timeoutSeconds: z
    .int()
    .min(1)
    .max(24 * 3600)
    .default(1800),
}

const shape = z.strictObject(toolSettings)
export type ToolSettings = z.output<typeof shape>

/** Code that an earlier task of the run has left, such as what a pull request would bring, in place of the connection's folder. */
export const toolCode = z.strictObject({
  artifact: artifactRef,
  /** The commit that it is of, which is told with what comes of it. */
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  /** Where in it the configuration lies. */
  path: artifactFolder.default('.'),
})

/** What later tasks are told of it; null of the connection's own folder. */
export const codeOutput = { path: z.string(), sha: z.string().nullable() }

/** In a folder below /workspace. Paths of files are as seen from there. */
export const workingIn = (
  path: string,
): { environment: Record<string, string>; at: (file: string) => string } => ({
  environment: { TOOL_FOLDER: path },
  at: (file) => (path === '.' ? file : `${path}/${file}`),
})

/** Begins each script: what a task says is never part of one. */
export const enterFolder = 'set -e\ncd "./$TOOL_FOLDER"\n'

/** A program: the name of one of the system's, or the absolute path of another one. */
export const program = z.string().regex(/^[\w.+-]+$|^\/[\w./+-]+$/)

export const toolLimits = (settings: ToolSettings): NonNullable<SandboxedCommand['limits']> => ({
  wallSeconds: settings.timeoutSeconds,
  cpuSeconds: settings.timeoutSeconds,
  memoryBytes: 2 * 1024 ** 3,
  processes: 512,
  openFiles: 4096,
  fileBytes: 1024 ** 3,
  diskBytes: 2 * 1024 ** 3,
  outputBytes: 8 * 1024 ** 2,
})

/** With everything that the tool may reach. */
export const reaching = (settings: ToolSettings) => ({
  secrets: settings.secrets,
  destinations: settings.destinations,
  ...(settings.route ? { route: settings.route } : {}),
})

/** Those of the program itself are the system's where it has no path. */
export const toolFiles = (settings: ToolSettings, binary: string): string[] => [
  ...settings.readOnly,
  ...(isAbsolute(binary) && !binary.startsWith('/usr/') ? [binary] : []),
]

/** The last of what it said on standard error, else on standard output. */
export const lastWords = ({ stderrTail, stdoutTail }: SandboxedResult): string =>
  (stderrTail.trim() || stdoutTail.trim()).slice(-1500)

/** Throws for one that did not come to an end of its own; what it did until then is not known. */
export function assertEnded(title: string, { exitCode, limit, endedBecause }: SandboxedResult): void {
  if (exitCode !== null && limit === null) return
  const why = endedBecause ?? (limit === null ? 'it was stopped' : `it met its ${limit} limit`)
  throw new AppError('connector.ambiguous', `${title} did not end: ${why}`)
}

/** A file that the program wrote, as text; empty when it is not there. */
export const textOf = (files: ReadonlyMap<string, Buffer>, path: string): string =>
  files.get(path)?.toString('utf8') ?? ''

/** Lower-case hex. */
export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Looks at the machine alone; the services that the tool works with are asked when it does. */
export async function toolHealth({
  program,
  folder,
}: {
  readonly program: string
  readonly folder: string
}): Promise<Wellness> {
  if (!(isAbsolute(program) ? existsSync(program) : findProgram(program)))
    return {
      state: 'down',
      detail: `there is no program ${program}: install it, or name its path in the connection`,
    }
  const found = await stat(folder).catch(() => undefined)
  if (!found?.isDirectory()) return { state: 'down', detail: `there is no folder ${folder} that can be read` }
  return { state: 'up', detail: `${program} runs here; what it works with is asked when it does` }
}
