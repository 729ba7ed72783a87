import type { ArtifactRef, Budget, Destination, Injection } from '@keyward/contract'
import type { Secret } from '../core/index.ts'
import type { SandboxLimit, SandboxLimits } from '../sandbox/index.ts'

/** A program that a task runs in a sandbox of its own. Nothing of the server's environment, network or files is there. */
export type SandboxedCommand = {
  /** What it does, in a few words: the purpose of its leases. */
  readonly title: string
  readonly command: readonly [string, ...string[]]
  /** No secrets. */
  readonly environment?: Readonly<Record<string, string>>
  /** What /workspace, where it starts, holds: a copy of a host folder, or what an earlier task of the run has left. */
  readonly workspace?: { readonly folder: string } | { readonly artifact: Pick<ArtifactRef, 'id' | 'digest'> }
  /** Small files besides, by their path in /workspace, in place of those of the same path. No secrets. */
  readonly files?: Readonly<Record<string, string>>
  /** Whose files stand in for the machine's: the name of an image. */
  readonly image?: string
  /** Host files and folders, such as programs, mounted read-only at the same path. */
  readonly readOnly?: readonly string[]
  /** Placeholders, exchanged by the egress proxy on their way to the places that each names. */
  readonly secrets?: readonly CommandSecret[]
  /** What it may reach besides, with no secret. Nothing is reached that is neither here nor a secret's place. */
  readonly destinations?: readonly Destination[]
  /** Where those names are to be found which DNS does not know, and the authority that signed their certificates. */
  readonly route?: { readonly address: string; readonly caPem: string }
  /**
   * Values themselves, for programs that use them without a network, such as a passphrase: by path in the home folder, `$HOME`. The
   * program holds them, so only a service's connection can say so; they are taken out of what it prints.
   */
  readonly secretFiles?: Readonly<Record<string, Secret>>
  readonly limits?: Partial<SandboxLimits>
  /** Paths in /workspace, files or folders, kept as an artifact; `.` is all of it. */
  readonly keep?: readonly string[]
  /** Files of /workspace whose content the result has; 16 MiB in all. */
  readonly read?: readonly string[]
}

export type CommandSecret = {
  /** Of the connection's secret. */
  readonly field: string
  /** The environment variable that carries the placeholder. */
  readonly variable: string
  readonly destinations: readonly Destination[]
  /** How it becomes part of a request; anywhere when absent. */
  readonly injection?: Injection | undefined
  readonly budget?: Budget | undefined
}

export type SandboxedResult = {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** The limit that ended it, or that it met. */
  readonly limit: SandboxLimit | null
  readonly durationMs: number
  /** The last 64 KiB, with what was lent taken out. */
  readonly stdoutTail: string
  readonly stderrTail: string
  /** Why a person ended it; absent when nobody did. */
  readonly endedBecause?: string
  /** What was kept; absent when nothing was asked for. */
  readonly artifact?: ArtifactRef
  /** Those of the files to read that are there. As they are: whoever asks masks what is secret before it shows them. */
  readonly files: ReadonlyMap<string, Buffer>
}
