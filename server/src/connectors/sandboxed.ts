/** A program that an action runs in a fresh sandbox: for services whose client is a command. */
export type SandboxedCommand = {
  readonly command: readonly [string, ...string[]]
  /** Files in its folder, by their path there. */
  readonly files?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
  /** Variables that carry a placeholder for a field of the connection's secret, good for these hosts alone. */
  readonly secrets?: readonly {
    readonly variable: string
    readonly field: string
    readonly hosts: readonly string[]
  }[]
}

/** What became of it, with lent values taken out of what it printed. */
export type SandboxedResult = {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}
