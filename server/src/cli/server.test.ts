import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createCli } from './cli.ts'
import type { ServerOptions, StartOptions } from './main-port.ts'

type Started = { server: ServerOptions[]; first: StartOptions[] }

async function here(
  args: readonly string[],
  env = {},
  result: unknown = undefined,
): Promise<Started & { code: number }> {
  const started: Started = { server: [], first: [] }
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  const loadMain = async () => ({
    runServer: async (options: ServerOptions) => {
      started.server.push(options)
      return result
    },
    runStart: async (options: StartOptions) => {
      started.first.push(options)
      return result
    },
    runRestore: unused,
    verifyBackup: unused,
    newBackupKey: unused,
  })
  const cli = createCli({
    streams,
    env: { HOME: '/home/ada', ...env },
    cwd: '/home/ada',
    version: '0.0.0',
    loadMain,
  })
  return { code: await cli.run(args), ...started }
}

const unused = async (): Promise<never> => assert.fail('not asked for')

test('OPS-1: without options the server listens on loopback and unseals itself', async () => {
  const { code, server } = await here(['server'])
  assert.equal(code, 0)
  assert.deepEqual(server, [
    {
      listen: '127.0.0.1:8200',
      dataDir: '/home/ada/.local/share/keyward',
      dev: false,
      logLevel: 'info',
    },
  ])
})

test('VAULT-1: the seal is named by an option or in the environment, and another name is refused', async () => {
  const sealOf = async (args: string[], env: Record<string, string> = {}): Promise<unknown> =>
    (await here(['server', ...args], env)).server[0]?.seal
  assert.equal(await sealOf([]), undefined)
  assert.equal(await sealOf(['--seal', 'transit']), 'transit')
  assert.equal(await sealOf([], { KEYWARD_SEAL: 'awskms' }), 'awskms')
  assert.equal(await sealOf(['--seal', 'shamir'], { KEYWARD_SEAL: 'awskms' }), 'shamir')
  for (const [args, env] of [
    [['--seal', 'tape'], {}],
    [[], { KEYWARD_SEAL: 'tape' }],
  ] as const)
    assert.equal((await here(['server', ...args], env)).code, 2)
})

test('OPS-1: the development server and the Vault server take the options of their peers', async () => {
  const dev = ['server', '--dev', '--dev-root-token-id=root', '--listen=127.0.0.1:8300', '--data', '/tmp/kw']
  const [options] = (await here(dev)).server
  assert.deepEqual(
    [options?.dev, options?.devRootTokenId, options?.listen, options?.dataDir],
    [true, 'root', '127.0.0.1:8300', '/tmp/kw'],
  )
  const tls = [
    'server',
    '--listen',
    '[::]:8200',
    '--seal=shamir',
    '--tls-cert',
    'c.pem',
    '--tls-key',
    'k.pem',
  ]
  const [vault] = (await here(tls)).server
  assert.deepEqual(
    [vault?.seal, vault?.tlsCert, vault?.tlsKey, vault?.listen],
    ['shamir', '/home/ada/c.pem', '/home/ada/k.pem', '[::]:8200'],
  )
  assert.equal((await here(['server', '--seal', 'none'])).code, 2)
  assert.equal((await here(['server', '--listen', '127.0.0.1:99999'])).code, 2)
})

test('OPS-4: the database address, which holds a password, comes from the environment alone', async () => {
  const env = { KEYWARD_DATABASE_URL: 'postgres://localhost/keyward', KEYWARD_DATA: '/srv/keyward' }
  const [options] = (await here(['server'], env)).server
  assert.deepEqual([options?.databaseUrl, options?.dataDir], [env.KEYWARD_DATABASE_URL, '/srv/keyward'])
  assert.equal((await here(['server', '--database-url', 'postgres://x'])).code, 2)
})

test('OPS-1: the first run takes a project and its exit code is the report', async () => {
  const { code, first } = await here(['start', '--project', '/srv/shop', '--yes', '--json'], {}, 1)
  assert.equal(code, 1)
  assert.deepEqual(first, [
    {
      listen: '127.0.0.1:8200',
      dataDir: '/home/ada/.local/share/keyward',
      project: '/srv/shop',
      yes: true,
      json: true,
    },
  ])
})

test('OPS-1: paths are told from where the command was typed, whatever folder a child process is in', async () => {
  const [server] = (await here(['server', '--data', 'kw', '--tls-cert', 'c.pem', '--tls-key', '/k.pem']))
    .server
  assert.deepEqual(
    [server?.dataDir, server?.tlsCert, server?.tlsKey],
    ['/home/ada/kw', '/home/ada/c.pem', '/k.pem'],
  )
  const [first] = (await here(['start', '--project', '../shop'], { KEYWARD_DATA: 'kw' })).first
  assert.deepEqual([first?.dataDir, first?.project], ['/home/ada/kw', '/home/shop'])
})
