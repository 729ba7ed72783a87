import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanUp } from './clean-up.ts'

/** A development server of OpenBao on a random port, ended after the test. */
export async function openBaoServer(t: TestContext, path: string): Promise<{ url: string; token: string }> {
  const port = await freePort()
  const token = randomBytes(12).toString('hex')
  const args = ['server', '-dev', `-dev-root-token-id=${token}`, `-dev-listen-address=127.0.0.1:${port}`]
  return { url: await started(t, path, port, args), token }
}

/** A server of OpenBao in memory, uninitialised, whose seal is the transit key of another vault. */
export async function openBaoSealedBy(
  t: TestContext,
  path: string,
  seal: { address: string; token: string; keyName: string },
): Promise<string> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'keyward-openbao-'))
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'server.hcl')
  const settings = [
    'storage "inmem" {}',
    `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n}`,
    `seal "transit" {\n  address = "${seal.address}"\n  token = "${seal.token}"\n  key_name = "${seal.keyName}"\n  mount_path = "transit/"\n}`,
    `api_addr = "http://127.0.0.1:${port}"`,
  ]
  writeFileSync(file, settings.join('\n'), { mode: 0o600 })
  return started(t, path, port, ['server', `-config=${file}`])
}

/** Runs it and resolves with its address when it answers, initialised or not. */
async function started(t: TestContext, path: string, port: number, args: readonly string[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'keyward-openbao-'))
  const server: ChildProcess = spawn(path, args, {
    env: { HOME: home, PATH: '/usr/bin:/bin' },
    stdio: 'ignore',
  })
  cleanUp(t, async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await ended
    rmSync(home, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}`
  for (let attempt = 0; attempt < 300; attempt++) {
    const health = await fetch(`${url}/v1/sys/health?uninitcode=200`).catch(() => undefined)
    if (health?.ok) return url
    await sleep(100)
  }
  throw new Error('the OpenBao server did not start')
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
