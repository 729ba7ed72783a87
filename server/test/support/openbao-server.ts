import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { cleanUp } from './clean-up.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'

/** A development server of OpenBao on a random port, ended after the test. */
export async function openBaoServer(t: TestContext, path: string): Promise<{ url: string; token: string }> {
  const token = randomBytes(12).toString('hex')
  const args = (port: number) => [
    'server',
    '-dev',
    `-dev-root-token-id=${token}`,
    `-dev-listen-address=127.0.0.1:${port}`,
  ]
  return { url: await started(t, path, args), token }
}

/** A server of OpenBao in memory, uninitialised, whose seal is the transit key of another vault. */
export async function openBaoSealedBy(
  t: TestContext,
  path: string,
  seal: { address: string; token: string; keyName: string },
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-openbao-'))
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'server.hcl')
  const settings = (port: number): string[] => [
    'storage "inmem" {}',
    `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n}`,
    `seal "transit" {\n  address = "${seal.address}"\n  token = "${seal.token}"\n  key_name = "${seal.keyName}"\n  mount_path = "transit/"\n}`,
    `api_addr = "http://127.0.0.1:${port}"`,
  ]
  return started(t, path, (port) => {
    writeFileSync(file, settings(port).join('\n'), { mode: 0o600 })
    return ['server', `-config=${file}`]
  })
}

/** Runs it and resolves with its address when it answers, initialised or not; at another port where one was taken. */
async function started(
  t: TestContext,
  path: string,
  args: (port: number) => readonly string[],
): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'keyward-openbao-'))
  let server: ChildProcess | undefined
  let ended: Promise<unknown> = Promise.resolve()
  cleanUp(t, async () => {
    server?.kill('SIGKILL')
    await ended
    rmSync(home, { recursive: true, force: true })
  })
  let url = ''
  await eventually(async () => {
    if (server === undefined || server.exitCode !== null) {
      const port = await freePort()
      url = `http://127.0.0.1:${port}`
      const next = spawn(path, args(port), { env: { HOME: home, PATH: '/usr/bin:/bin' }, stdio: 'ignore' })
      ended = once(next, 'exit')
      server = next
    }
    const health = await fetch(`${url}/v1/sys/health?uninitcode=200`).catch(() => undefined)
    return health?.ok && server.exitCode === null
  }, 'the OpenBao server to start')
  return url
}
