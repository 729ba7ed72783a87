import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { memoryOrDisk } from './memory-folder.ts'
import { mayBeMissing } from './needed.ts'

const run = promisify(execFile)

type Cluster = {
  url: string
  stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void>
  start(tries?: number): Promise<void>
}

/** The newest PostgreSQL server of Debian's packages on this machine, or undefined. */
export function postgresBinaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root)
    ? readdirSync(root).filter((version) => existsSync(join(root, version, 'bin/initdb')))
    : []
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  if (newest !== undefined) return join(root, newest, 'bin')
  mayBeMissing('PostgreSQL is not installed')
  return undefined
}

type User = { uid: number; gid: number } | undefined
type More = (folder: string, user: User) => Promise<{ port: number; words: string[] }>

/**
 * A PostgreSQL server of the test's own, on a unix socket only; PostgreSQL refuses root, so root runs it as another user. `more`
 * gives a port and further words of its command line, and is asked again for each try.
 */
export async function startPostgres(
  t: { after(step: () => Promise<void>): void },
  more: More = async () => ({ port: 5432, words: [] }),
): Promise<Cluster> {
  const binaries = postgresBinaries()
  if (!binaries) throw new Error('PostgreSQL is not installed: apt-get install postgresql')
  const folder = mkdtempSync(join(memoryOrDisk(), 'keyward-pg-'))
  const user = process.getuid?.() === 0 ? (accountOf('postgres') ?? accountOf('nobody')) : undefined
  if (user) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  await makeCluster({ binaries, folder, data, user })
  let server: ReturnType<typeof spawn> | undefined
  const cluster: Cluster = {
    url: `postgresql://keyward@localhost/postgres?host=${encodeURIComponent(folder)}`,
    async start(tries = 100) {
      const { port, words } = await more(folder, user)
      const all = ['-D', data, '-k', folder, '-p', String(port), '-c', 'listen_addresses=', ...words]
      server = spawn(join(binaries, 'postgres'), all, {
        ...user,
        cwd: folder,
        stdio: 'ignore',
      })
      const started = server
      // After a kill it refuses to start for as long as a process of the earlier one is there.
      if (await ready(binaries, folder, port, () => started.exitCode === null)) return
      if (tries === 1) throw new Error('PostgreSQL ends as soon as it is started')
      await cluster.start(tries - 1)
    },
    async stop(signal) {
      if (!server || server.exitCode !== null || server.signalCode !== null) return
      const ended = new Promise((resolve) => server?.once('exit', resolve))
      server.kill(signal)
      await ended
    },
  }
  t.after(async () => {
    await cluster.stop('SIGINT')
    rmSync(folder, { recursive: true, force: true })
  })
  await cluster.start()
  return cluster
}

/** What initdb makes is the same each time and takes it a second, so it is kept, and later tests take a copy. */
async function makeCluster(place: {
  binaries: string
  folder: string
  data: string
  user: User
}): Promise<void> {
  const { binaries, folder, data, user } = place
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyward-tests')
  const major = basename(dirname(binaries))
  const kept = join(cache, `postgres-${major}-${user?.uid ?? process.getuid?.()}`)
  if (existsSync(kept)) return void (await run('cp', ['-a', kept, data]))
  const settings = ['-U', 'keyward', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  await run(join(binaries, 'initdb'), ['-D', data, ...settings], { ...user, cwd: folder })
  mkdirSync(cache, { recursive: true })
  const half = mkdtempSync(`${kept}-`)
  await run('cp', ['-aT', data, half])
  // Renamed into place, so that another test never copies half of it. One that was faster has made the same.
  await rename(half, kept).catch(() => rmSync(half, { recursive: true }))
}

/** A new empty database on a cluster. */
export async function createDatabase(cluster: Pick<Cluster, 'url'>): Promise<string> {
  const pg = await import('pg')
  const name = `kw_${randomBytes(6).toString('hex')}`
  const client = new pg.default.Client({ connectionString: cluster.url })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  return cluster.url.replace('/postgres?', `/${name}?`)
}

/** False when the server has ended before it was ready. */
async function ready(
  binaries: string,
  folder: string,
  port: number,
  isRunning: () => boolean,
): Promise<boolean> {
  const isReady = () =>
    run(join(binaries, 'pg_isready'), ['-h', folder, '-p', String(port), '-q']).then(
      () => true,
      () => false,
    )
  await eventually(async () => (await isReady()) || !isRunning(), 'PostgreSQL to answer')
  return isRunning()
}

function accountOf(name: string): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const fields = line?.split(':')
  return fields ? { uid: Number(fields[2]), gid: Number(fields[3]) } : undefined
}
