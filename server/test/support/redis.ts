import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectRedis } from '../../src/vault/engines/database/redis/connection.ts'
import { cleanUp } from './clean-up.ts'

export type RedisServer = {
  port: number
  /** The account that may do everything. */
  username: string
  password: string
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  start(): Promise<void>
}

export const hasRedis = (): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'redis-server')))

/** A Redis server of the test's own, whose users are kept in a file; `default` may do nothing. */
export async function startRedis(t: TestContext): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-redis-'))
  const port = await freePort()
  const password = `root-${randomBytes(9).toString('hex')}`
  const aclFile = join(folder, 'users.acl')
  writeFileSync(aclFile, `user default off\nuser keyward on >${password} ~* &* +@all\n`, { mode: 0o600 })
  let server: ReturnType<typeof spawn> | undefined
  const redis: RedisServer = {
    port,
    username: 'keyward',
    password,
    async start() {
      const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--aclfile', aclFile]
      server = spawn('redis-server', [...settings, '--dir', folder], { stdio: 'ignore' })
      await ready(port)
    },
    async stop(signal) {
      if (!server || server.exitCode !== null || server.signalCode !== null) return
      const ended = new Promise((resolve) => server?.once('exit', resolve))
      server.kill(signal)
      await ended
    },
  }
  cleanUp(t, async () => {
    await redis.stop('SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  })
  await redis.start()
  return redis
}

/** Whether Redis lets somebody in; with what it says when it does not. */
export async function signsIn(port: number, username: string, password: string): Promise<boolean> {
  const connection = await connectRedis({ host: '127.0.0.1', port })
  try {
    return (await connection.send('AUTH', username, password)) === 'OK'
  } finally {
    connection.close()
  }
}

/** Asks as the account that may do everything. */
export async function askRedis(
  { port, username, password }: RedisServer,
  ...words: string[]
): Promise<unknown> {
  const connection = await connectRedis({ host: '127.0.0.1', port })
  try {
    await connection.send('AUTH', username, password)
    return await connection.send(...words)
  } finally {
    connection.close()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

async function ready(port: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    try {
      const connection = await connectRedis({ host: '127.0.0.1', port })
      await connection.send('PING')
      connection.close()
      return
    } catch {
      await sleep(50)
    }
  }
  throw new Error('Redis did not become ready in 15 s')
}
