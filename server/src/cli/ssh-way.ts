import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { PassageSsh } from '@keyward/contract'
import { openWay, type Way } from './login-ways.ts'

type Needs = {
  readonly ssh: PassageSsh
  /** Of this user alone; it goes with the passage. */
  readonly folder: string
  /** A connection to the egress proxy, on which CONNECT may be said at once. */
  dial(): Duplex
}

type Led = PassageSsh['hosts'][number] & { readonly localPort: number }

/** An SSH agent and a port for each host, and the configuration by which `ssh -F` and git find them. */
export async function openSsh({ ssh, folder, dial }: Needs) {
  const ways: Way[] = []
  const close = (): void => {
    for (const way of ways) way.close()
  }
  const files = {
    agent: join(folder, 'ssh-agent.sock'),
    config: join(folder, 'ssh_config'),
    known: join(folder, 'known_hosts'),
  }
  try {
    ways.push(await openWay({ dial, to: ssh.agent, socketPath: files.agent }))
    const led: Led[] = []
    for (const host of ssh.hosts) {
      const way = await openWay({ dial, to: `${host.host}:${host.port}` })
      ways.push(way)
      led.push({ ...host, localPort: way.port })
    }
    await writeFile(
      files.known,
      led.flatMap(({ host, hostKeys }) => hostKeys.map((key) => `${host} ${key}\n`)).join(''),
    )
    await writeFile(files.config, configOf(led, files), { mode: 0o600 })
  } catch (error) {
    close()
    throw error
  }
  const variables = {
    SSH_AUTH_SOCK: files.agent,
    KEYWARD_SSH_CONFIG: files.config,
    GIT_SSH_COMMAND: `ssh -F '${files.config.replaceAll("'", "'\\''")}'`,
  }
  return { variables, close }
}

/** As `ssh_config` reads a path: with blanks, and with `%` for what it stands for. */
const pathIn = (path: string): string => `"${path.replaceAll('%', '%%')}"`

function configOf(led: readonly Led[], files: { readonly agent: string; readonly known: string }): string {
  const hosts = led.flatMap(({ host, localPort, users }) => [
    `Host ${host}`,
    '  HostName 127.0.0.1',
    `  Port ${localPort}`,
    // Known by its name, whatever the port that leads there.
    `  HostKeyAlias ${host}`,
    ...(users.length === 1 ? [`  User ${users[0]}`] : []),
  ])
  const all = [
    'Host *',
    `  IdentityAgent ${pathIn(files.agent)}`,
    // No key of the user's own is offered.
    '  IdentityFile none',
    `  UserKnownHostsFile ${pathIn(files.known)}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  PreferredAuthentications publickey',
    '  ForwardAgent no',
    '  LogLevel ERROR',
  ]
  return `${[...hosts, ...all].join('\n')}\n`
}
