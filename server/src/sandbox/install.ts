import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export type InstallAdvice = {
  /** What installs bubblewrap, to be run without a shell of one's own; empty where no way is known. */
  command: readonly string[]
  /** Whether it can be run now without asking anybody for a password. */
  allowed: boolean
  /** The same as one line to show to a person. */
  line: string
}

/** Lists first, because a fresh machine has none; quiet, and never asking. */
const debianScript =
  'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap'

/** The host program of this name, or undefined. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | undefined {
  const folders = [...path.split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin']
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** How bubblewrap gets onto this machine, and whether Keyward may do it itself. */
export function installCommand(): InstallAdvice {
  const isRoot = process.getuid?.() === 0
  if (process.platform !== 'linux') {
    return { command: [], allowed: false, line: 'Sandboxes need Linux: run the server in a virtual machine.' }
  }
  if (!findProgram('apt-get')) {
    return {
      command: [],
      allowed: false,
      line: "Install the package bubblewrap with this system's package manager.",
    }
  }
  const line = 'apt-get update && apt-get install -y bubblewrap'
  if (isRoot) return { command: ['sh', '-c', debianScript], allowed: true, line }
  return {
    command: ['sudo', '-n', 'sh', '-c', debianScript],
    allowed: hasPasswordlessSudo(),
    line: `sudo sh -c '${line}'`,
  }
}

function hasPasswordlessSudo(): boolean {
  const sudo = findProgram('sudo')
  return sudo !== undefined && spawnSync(sudo, ['-n', 'true'], { stdio: 'ignore' }).status === 0
}
