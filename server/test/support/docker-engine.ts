import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findProgram } from '../../src/sandbox/index.ts'
import { eventually } from './eventually.ts'

/**
 * A Docker engine of the test's own, on a socket in `folder`, with no network and no mount that the machine sees. Undefined
 * where Docker is not installed, or the test may not start one.
 */
export async function startDocker(
  folder: string,
): Promise<{ host: string; stop(): Promise<void> } | undefined> {
  const [dockerd, docker, unshare] = ['dockerd', 'docker', 'unshare'].map((name) => findProgram(name))
  if (!dockerd || !docker || !unshare || process.getuid?.() !== 0) return undefined
  const host = `unix://${join(folder, 'docker.sock')}`
  const script = [
    'mount -t tmpfs none /run',
    'exec "$0" --bridge none --iptables=false --ip6tables=false --storage-driver vfs "$@"',
  ].join(' && ')
  const places = [
    ...['--data-root', join(folder, 'data'), '--exec-root', '/run/docker'],
    ...['--pidfile', join(folder, 'pid'), '--host', host],
  ]
  const child = spawn(
    unshare,
    ['--mount', '--propagation', 'private', '--net', '/bin/sh', '-c', script, dockerd, ...places],
    { cwd: folder, stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  if (await answers(child, docker, host)) return { host, stop }
  await stop()
  return undefined
}

async function answers(child: ChildProcess, docker: string, host: string): Promise<boolean> {
  const options = { env: { DOCKER_HOST: host }, stdio: 'ignore' } as const
  await eventually(
    async () => child.exitCode !== null || spawnSync(docker, ['version'], options).status === 0,
    'the engine to answer or to give up',
  )
  return child.exitCode === null
}
