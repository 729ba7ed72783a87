// What the tests of relayed logins share: a proxy with a real child, accounts in memory, and a port of loopback that leads
// through a tunnel, as a sandbox has it.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AppError, Secret, silentLog } from '../../src/core/index.ts'
import type { EgressRule } from '../../src/proxy/destination.ts'
import type { SignInRequest } from '../../src/proxy/gate.ts'
import { createProxy, type Proxy as EgressProxy } from '../../src/proxy/proxy.ts'
import { cleanUp } from './clean-up.ts'
import { createTestGate, newPlaceholder, openTunnel, type TestGate, testClock } from './egress.ts'

type Account = {
  username: string
  password: string
  database?: string
  mayShow?: boolean
  bytesLeft?: number
}

export type RelayWorld = {
  readonly proxy: EgressProxy
  readonly gate: TestGate
  readonly signIns: SignInRequest[]
  /** Returns the placeholder; the lease is named after it. */
  lend(account: Account): string
  /** A port of loopback that leads to the rule's destination, and the sandbox that it belongs to. */
  sandbox(rule: EgressRule): Promise<{ port: number; sandboxId: string; socketPath: string }>
}

const noSsh = () => Promise.reject(new AppError('egress.denied', 'No SSH key is lent.'))

export async function openRelayWorld(t: TestContext): Promise<RelayWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kwr-'))
  const gate = createTestGate()
  const accounts = new Map<string, Account>()
  const signIns: SignInRequest[] = []
  const proxy = createProxy({
    gate,
    logins: {
      sshAgent: noSsh,
      sshTunnel: noSsh,
      async signIn(request) {
        signIns.push(request)
        const account = accounts.get(request.placeholder)
        if (!account) throw new AppError('lease.not_found', 'Nothing was lent by this placeholder.')
        if (account.database !== undefined && account.database !== request.database)
          throw new AppError('egress.denied', `The lease is for ${account.database}.`)
        const { username, password, mayShow = false, bytesLeft } = account
        const expiresAt = new Date(Date.now() + 600_000)
        return {
          username,
          password: new Secret(password),
          mayShow,
          leaseId: request.placeholder,
          budgets: bytesLeft === undefined ? [] : [{ leaseId: request.placeholder, bytesLeft }],
          expiresAt,
        }
      },
    },
    log: silentLog,
    clock: testClock,
    dataDir,
  })
  cleanUp(t, async () => {
    await proxy.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  await proxy.start()
  return {
    proxy,
    gate,
    signIns,
    lend(account) {
      const placeholder = newPlaceholder()
      accounts.set(placeholder, account)
      return placeholder
    },
    async sandbox(rule) {
      const sandboxId = `sbx_${randomBytes(6).toString('hex')}`
      const owner = { sandboxId, agentId: 'agt_1', runId: 'run_1', taskId: 'task_1' }
      const { socketPath } = await proxy.open({ ...owner, allow: [rule] })
      return { sandboxId, socketPath, port: await leadTo(t, socketPath, `${rule.host}:${rule.port}`) }
    },
  }
}

async function leadTo(t: TestContext, socketPath: string, authority: string): Promise<number> {
  const server = createServer({ pauseOnConnect: true }, (near) => {
    near.on('error', () => near.destroy())
    openTunnel(socketPath, authority).then(
      (far) => {
        far.on('error', () => near.destroy())
        near.on('close', () => far.destroy())
        far.on('close', () => near.destroy())
        near.pipe(far)
        far.pipe(near)
      },
      () => near.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => void server.close())
  return (server.address() as AddressInfo).port
}
