import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Bridge = { socketPath: string; close(): Promise<void> }

/**
 * A socket that one other user can reach, joined to one that lies in a folder which that user may not enter. Needed where a
 * sandbox is set up by its own user from the start, because such a user cannot mount what it cannot see.
 */
export async function openBridge(socketPath: string, user: number): Promise<Bridge> {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-egress-'))
  const inner = join(folder, 'egress.sock')
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = createConnection({ path: socketPath, allowHalfOpen: true })
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(inner, resolve)
  })
  await chown(inner, user, user)
  await chmod(inner, 0o600)
  await chmod(folder, 0o711)
  return {
    socketPath: inner,
    async close() {
      server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
