import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectRedis } from '../../src/vault/engines/database/redis/connection.ts'
import { cleanUp } from './clean-up.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { mayBeMissing } from './needed.ts'

export type RedisServer = {
  port: number
  /** The account that may do everything. */
  username: string
  password: string
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  start(): Promise<void>
}

export function hasRedis(): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  if (folders.some((folder) => existsSync(join(folder, 'redis-server')))) return true
  mayBeMissing('Redis is not installed')
  return false
}

/** A Redis server of the test's own, whose users are kept in a file; `default` may do nothing. */
export async function startRedis(t: TestContext): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-redis-'))
  const password = `root-${randomBytes(9).toString('hex')}`
  const aclFile = join(folder, 'users.acl')
  writeFileSync(aclFile, `user default off\nuser keyward on >${password} ~* &* +@all\n`, { mode: 0o600 })
  let server: ReturnType<typeof spawn> | undefined
  async function startedAt(port: number): Promise<boolean> {
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--aclfile', aclFile]
    const started = spawn('redis-server', [...settings, '--dir', folder], { stdio: 'ignore' })
    server = started
    return ready(port, () => started.exitCode !== null)
  }
  const redis: RedisServer = {
    port: 0,
    username: 'keyward',
    password,
    async start() {
      await eventually(() => startedAt(redis.port), 'the port of Redis to be free again')
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
  await eventually(async () => {
    redis.port = await freePort()
    return startedAt(redis.port)
  }, 'a port for Redis')
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

/** Whether it answers; false when it has ended, as it does where its port was taken. */
function ready(port: number, hasEnded: () => boolean): Promise<boolean> {
  return eventually(async () => {
    if (hasEnded()) return { yes: false }
    try {
      const connection = await connectRedis({ host: '127.0.0.1', port })
      await connection.send('PING')
      connection.close()
      return { yes: !hasEnded() }
    } catch {
      return undefined
    }
  }, 'an answer of Redis').then(({ yes }) => yes)
}
