import type { Destination, Injection } from '@keyward/contract'

export const sshAgentSocket = '/run/keyward-ssh-agent.sock'
const connector = '.ssh/connect.mjs'

/** Asks the sandbox's proxy for the way to a host, and joins it to what `ssh` reads and writes. */
const connectorScript = `import { connect } from 'node:net'
const [, , host, port, proxy] = process.argv
const { hostname, port: at } = new URL(proxy)
const socket = connect(Number(at), hostname)
socket.write('CONNECT ' + host + ':' + port + ' HTTP/1.1\\r\\nHost: ' + host + ':' + port + '\\r\\n\\r\\n')
let head = Buffer.alloc(0)
socket.on('data', function read(chunk) {
  head = Buffer.concat([head, chunk])
  const end = head.indexOf('\\r\\n\\r\\n')
  if (end < 0) return
  socket.off('data', read)
  const rest = head.subarray(end + 4)
  if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) {
    process.stderr.write(rest)
    socket.pipe(process.stderr)
    socket.on('close', () => process.exit(1))
    return
  }
  process.stdout.write(rest)
  socket.pipe(process.stdout)
  process.stdin.pipe(socket)
})
socket.on('error', () => process.exit(1))
`

/** What `ssh`, and git through it, need to find the hosts and to know them, with nothing asked. */
export function sshFiles(
  destinations: readonly Destination[],
  { users, hostKeys }: Extract<Injection, { kind: 'ssh' }>,
): Record<string, string> {
  const [user] = users
  const hosts = destinations.map(({ host, port }) =>
    [
      `Host ${host}`,
      `  Port ${port}`,
      // Known by its name alone, whatever its port.
      `  HostKeyAlias ${host}`,
      ...(users.length === 1 ? [`  User ${user}`] : []),
    ].join('\n'),
  )
  const all = [
    'Host *',
    `  ProxyCommand /opt/keyward/node ~/${connector} %h %p "$HTTPS_PROXY"`,
    '  StrictHostKeyChecking yes',
    '  PreferredAuthentications publickey',
    '  ForwardAgent no',
    '  LogLevel ERROR',
  ].join('\n')
  return {
    '.ssh/config': `${[...hosts, all].join('\n')}\n`,
    '.ssh/known_hosts': destinations
      .flatMap(({ host }) => hostKeys.map((key) => `${host} ${key}\n`))
      .join(''),
    [connector]: connectorScript,
  }
}
