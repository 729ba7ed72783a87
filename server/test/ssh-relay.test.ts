// SSH from inside a real sandbox to a real OpenSSH server, with a key that never leaves the vault's server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cleanUp } from './support/clean-up.ts'
import { mayBeMissing } from './support/needed.ts'
import { hasSshd, newSshKey, startSshd } from './support/sshd.ts'
import { openTaskWorld } from './support/task-world.ts'

const host = 'git.example.test'
const skip = hasSshd() ? false : 'the OpenSSH server is not installed'

test('LEND-2: ssh and git in a sandbox sign in with a key that stays outside', { skip }, async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(mayBeMissing(world.skip))
  const key = await newSshKey(t, 'ed25519')
  const { address, user, hostKey } = await startSshd(t, { hostType: 'ecdsa', keys: [key.publicKey] })
  const lent: Omit<Parameters<typeof world.run>[0], 'command'> = {
    secretPath: await world.keep('deploy', { key: key.privateKey }),
    field: 'key',
    destinations: [{ host, port: 22 }],
    injection: { kind: 'ssh', users: [user], hostKeys: [hostKey] },
    route: { address, caPem: '' },
  }
  const shell = (script: string) => world.run({ ...lent, command: ['sh', '-c', `${script}; true`] })

  await t.test('LEND-2: a command, and a clone over SSH', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'keyward-repo-'))
    cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
    const git = (...words: string[]) => execFileSync('git', ['-C', folder, ...words], { stdio: 'ignore' })
    git('init', '-q')
    const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.test']
    git(...author, 'commit', '-q', '--allow-empty', '-m', 'the first')
    const said = await shell(
      `ssh ${host} echo from outside; git clone -q ${user}@${host}:${folder} copy && git -C copy log --format=%s; ssh-add -L`,
    )
    assert.match(said, /^from outside\nthe first\nssh-ed25519 /)
    assert.ok(said.includes(key.publicKey.split(' ')[1] ?? ''))
    const used = await world.entries('lease.used')
    assert.deepEqual(
      used.map(({ detail }) => [Object(detail).method, Object(detail).host, Object(detail).path]),
      [
        ['SSH', host, `/${user}`],
        ['SSH', host, `/${user}`],
      ],
    )
    const passed = await world.entries('egress.allowed')
    assert.ok(passed.some(({ detail }) => Object(detail).method === 'SSH' && Object(detail).bytesIn > 500))
    await world.end()
  })

  await t.test(
    'LEND-2: other users, other hosts, forwarding and everything else of an agent is refused',
    async () => {
      const tries = [
        'ssh -o HostKeyAlias=elsewhere.example.test -o StrictHostKeyChecking=no elsewhere.example.test true',
        `ssh -p 2222 ${host} true`,
        'ssh-add -D',
        'ssh-keygen -q -t ed25519 -N "" -f mine && ssh-add mine',
        'ssh-add -L > key.pub; echo text > file; ssh-keygen -Y sign -f key.pub -n file file',
      ]
      const said = await shell(tries.map((one) => `${one} > said 2>&1 && echo done`).join('; '))
      assert.equal(said, '')
      const injection = { kind: 'ssh' as const, users: ['deploy'], hostKeys: [hostKey] }
      const as = `ssh -l ${user} ${host} echo in; true`
      assert.equal(await world.run({ ...lent, injection, command: ['sh', '-c', as] }), '')
      const denied = await world.entries('egress.denied')
      const reasons = denied.map(({ detail }) => String(Object(detail).reason)).join('\n')
      assert.match(reasons, /signs in as deploy, not as /)
      assert.match(reasons, /not on this sandbox's allow list/)
      assert.match(reasons, /cannot be added, removed or locked/)
      assert.match(reasons, /before the connection is bound to one host/)
      await world.end()
    },
  )

  await t.test(
    'LEND-2: a server with another host key gets no signature, even if the client goes on',
    async (t) => {
      const other = await startSshd(t, { hostType: 'ed25519', keys: [key.publicKey] })
      const route = { address: other.address, caPem: '' }
      const go = `ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ${host} echo in 2>&1; true`
      const said = await world.run({ ...lent, route, command: ['sh', '-c', go] })
      assert.doesNotMatch(said, /^in$/m)
      const reasons = JSON.stringify(
        (await world.entries('egress.denied')).map(({ detail }) => Object(detail).reason),
      )
      assert.match(reasons, /not lent for the host that this connection is bound to/)
      await world.end()
    },
  )

  await t.test('LEND-2: what does not speak SSH does not pass, and a tunnel needs a lease', async () => {
    const script = `const { hostname, port } = new URL(process.env['HTTPS_PROXY'])
      const socket = require('net').connect(port, hostname)
      socket.write('CONNECT ${host}:22 HTTP/1.1\\r\\nHost: ${host}:22\\r\\n\\r\\n')
      socket.once('data', () => socket.resume().write('GET / HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n'))`
    await world.run({ ...lent, command: ['node', '-e', script] })
    const reasons = (await world.entries('egress.allowed')).concat(await world.entries('egress.denied'))
    assert.match(
      JSON.stringify(reasons.map(({ detail }) => Object(detail).reason)),
      /The client does not speak SSH/,
    )
    await world.end()
  })
})

test('LEND-2: keys and hosts of every kind: RSA with SHA-2, ECDSA, Ed25519', { skip }, async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip) return t.skip(mayBeMissing(world.skip))
  for (const [type, hostType] of [
    ['rsa', 'rsa'],
    ['ecdsa', 'ed25519'],
  ] as const) {
    const key = await newSshKey(t, type)
    const { address, user, hostKey } = await startSshd(t, { hostType, keys: [key.publicKey] })
    const said = await world.run({
      secretPath: await world.keep(type, { key: key.privateKey }),
      field: 'key',
      destinations: [{ host, port: 22 }],
      injection: { kind: 'ssh', users: [user], hostKeys: [hostKey] },
      route: { address, caPem: '' },
      command: ['ssh', host, 'echo', type],
    })
    assert.equal(said, `${type}\n`)
    await world.end()
  }
})
