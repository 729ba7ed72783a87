import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { cleanUp } from './clean-up.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { mayBeMissing } from './needed.ts'

const program = '/usr/sbin/sshd'
const run = promisify(execFile)

export function hasSshd(): boolean {
  return existsSync(program) || !mayBeMissing('the OpenSSH server is not installed')
}

export type KeyType = 'ed25519' | 'ecdsa' | 'rsa'

/** A new key pair, as `ssh-keygen` writes it; the public one without its comment. */
export async function newSshKey(
  t: TestContext,
  type: KeyType,
): Promise<{ privateKey: string; publicKey: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-key-'))
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'key')
  await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', file])
  return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8').trim() }
}

export type SshServer = {
  readonly address: string
  /** The one account that can sign in: whoever runs the tests. */
  readonly user: string
  readonly hostKey: string
}

/** An OpenSSH server on loopback that lets these keys in. */
export async function startSshd(
  t: TestContext,
  { hostType, keys }: { hostType: KeyType; keys: readonly string[] },
): Promise<SshServer> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-sshd-'))
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const host = await newSshKey(t, hostType)
  writeFileSync(join(folder, 'host'), host.privateKey, { mode: 0o600 })
  writeFileSync(join(folder, 'keys'), `${keys.join('\n')}\n`, { mode: 0o600 })
  const config = [
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'keys')}`,
    ...['PidFile none', 'StrictModes no', 'UsePAM no', 'PermitRootLogin yes'],
    ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'LogLevel QUIET'],
  ]
  writeFileSync(join(folder, 'config'), `${config.join('\n')}\n`)
  const port = await eventually(async () => {
    const tried = await freePort()
    const words = ['-D', '-e', '-f', join(folder, 'config'), '-p', String(tried)]
    const server = spawn(program, words, { stdio: 'ignore' })
    cleanUp(t, () => server.kill('SIGKILL'))
    const answers = await eventually(
      async () => (await listens(tried)) || server.exitCode !== null,
      'the OpenSSH server to listen',
    )
    return answers && server.exitCode === null ? tried : undefined
  }, 'a port for the OpenSSH server')
  return { address: `127.0.0.1:${port}`, user: userInfo().username, hostKey: host.publicKey }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
