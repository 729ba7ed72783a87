import { renameSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Bridge, openBridge } from './bridge.ts'
import type { Mode } from './entry.ts'
import { insidePaths } from './inside.ts'

// The one folder of the host that a sandbox with a way out has mounted: the proxy's socket, and which authorities to trust.

/**
 * The socket's folder lies in one that only the server may enter, so opening it to the sandbox opens it to nobody else. The
 * folder is mounted, not the socket: a proxy that had to start again has made another one there.
 */
export async function letConnect(socketPath: string, mode: Mode, user: number): Promise<Bridge | undefined> {
  if (mode === 'root-user-namespace') return openBridge(socketPath, user)
  if (mode === 'root') await chown(socketPath, user, user)
  else if (mode === 'subordinate') await chmod(socketPath, 0o666)
  await letEnter(dirname(socketPath), mode, user)
  return undefined
}

async function letEnter(folder: string, mode: Mode, user: number): Promise<void> {
  if (mode === 'root') await chown(folder, user, user)
  else if (mode === 'subordinate') await chmod(folder, 0o711)
}

/** For a sandbox that is started before its proxy's socket exists. */
export async function makeEgressFolder(parent: string, mode: Mode, user: number): Promise<string> {
  const folder = await mkdtemp(join(parent, 'egress-'))
  await letEnter(folder, mode, user)
  return folder
}

/** A proxy that starts again may put a new socket where one has just been taken away. */
const attempts = 5

/**
 * Puts a folder that a sandbox has mounted already in the place of the one that the socket lies in; from then on both are the
 * same. Answers false, and leaves the socket where it was, when they lie on different file systems or something else is there.
 */
export function takePlace(folder: string, socketPath: string): boolean {
  const moved = join(folder, basename(socketPath))
  if (!renamed(socketPath, moved)) return false
  for (let attempt = 0; attempt < attempts; attempt++) {
    // Over a folder that is empty, rename puts another one without a moment in which there is none.
    if (renamed(folder, dirname(socketPath))) return true
    renamed(socketPath, moved)
  }
  renamed(moved, socketPath)
  return false
}

function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

/** Readable for the sandbox's user, which has the folder read-only. */
export async function writeCertificates(folder: string, text: string): Promise<void> {
  const file = join(folder, basename(insidePaths.certificates))
  await rm(file, { force: true })
  await writeFile(file, text, { flag: 'wx' })
  await chmod(file, 0o444)
}
