// The rules of the code that neither the compiler nor the linter knows: what each folder of server/src may import, always by
// the other folder's index.ts, and where SQL, the environment and the values of secrets may be touched.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventNames } from '@keyward/contract'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** As tight as the code: a permission that nobody uses fails too. */
const may: Record<string, readonly string[]> = {
  core: ['contract'],
  store: ['core'],
  audit: ['contract', 'core', 'store'],
  backup: ['contract', 'core', 'store', 'audit'],
  bus: ['contract', 'core', 'store'],
  identity: ['contract', 'core', 'store', 'audit', 'bus'],
  policy: ['core', 'store', 'audit'],
  vault: ['contract', 'core', 'store', 'audit', 'backup'],
  scan: ['core'],
  findings: ['contract', 'core', 'store', 'audit', 'bus', 'scan', 'vault'],
  hooks: ['contract', 'store'],
  schedules: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'hooks',
    'identity',
    'policy',
    'vault',
    'findings',
    'flows',
    'workflow',
  ],
  triggers: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'hooks',
    'identity',
    'policy',
    'vault',
    'connectors',
    'workflow',
    'flows',
    'goals',
  ],
  lend: ['contract', 'core', 'store', 'audit', 'bus', 'identity', 'policy'],
  proxy: ['contract', 'core'],
  observe: ['contract', 'core', 'store', 'audit', 'bus'],
  sandbox: ['core', 'store'],
  artifacts: ['contract', 'core', 'store', 'bus'],
  images: ['core', 'store', 'audit', 'bus', 'sandbox'],
  passage: ['contract', 'core', 'store', 'audit', 'bus', 'identity', 'vault', 'lend', 'proxy'],
  workflow: ['contract', 'core', 'store', 'audit', 'bus'],
  connectors: ['contract', 'core', 'store', 'audit', 'bus', 'vault', 'lend', 'sandbox', 'workflow'],
  approvals: ['contract', 'core', 'store', 'audit', 'bus', 'workflow'],
  channels: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'identity',
    'vault',
    'proxy',
    'workflow',
    'approvals',
    'connectors',
  ],
  catalogue: ['contract', 'core', 'store', 'audit', 'bus', 'workflow'],
  goals: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'policy',
    'vault',
    'lend',
    'workflow',
    'catalogue',
    'flows',
  ],
  flows: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'identity',
    'policy',
    'findings',
    'lend',
    'proxy',
    'sandbox',
    'images',
    'artifacts',
    'connectors',
    'workflow',
    'catalogue',
    'rollout',
  ],
  rollout: ['contract', 'core', 'store', 'audit', 'bus', 'identity', 'policy', 'workflow'],
  guide: [
    'contract',
    'core',
    'store',
    'audit',
    'identity',
    'vault',
    'findings',
    'proxy',
    'sandbox',
    'workflow',
    'approvals',
    'flows',
    'cli',
  ],
  http: [
    'contract',
    'core',
    'store',
    'audit',
    'bus',
    'identity',
    'policy',
    'vault',
    'findings',
    'lend',
    'sandbox',
    'images',
    'passage',
    'workflow',
    'approvals',
    'catalogue',
    'goals',
    'rollout',
    'channels',
    'flows',
    'hooks',
    'schedules',
    'triggers',
    'backup',
    'connectors',
  ],
  cli: ['contract', 'core', 'audit', 'scan'],
  'keys.ts': ['core', 'store', 'vault'],
  'condition.ts': [
    'contract',
    'backup',
    'connectors',
    'core',
    'store',
    'audit',
    'identity',
    'vault',
    'findings',
    'schedules',
    'triggers',
    'lend',
    'proxy',
    'sandbox',
    'workflow',
    'approvals',
    'channels',
  ],
  'rulings.ts': ['condition.ts', 'approvals', 'connectors', 'core', 'identity', 'policy', 'vault'],
  'scanner.ts': ['scan'],
  'migrations.ts': [
    'approvals',
    'artifacts',
    'audit',
    'backup',
    'bus',
    'catalogue',
    'channels',
    'connectors',
    'findings',
    'goals',
    'hooks',
    'identity',
    'images',
    'lend',
    'observe',
    'passage',
    'policy',
    'rollout',
    'schedules',
    'triggers',
    'vault',
    'workflow',
  ],
  'keyward.ts': [
    'migrations.ts',
    'scanner.ts',
    'keys.ts',
    'rulings.ts',
    'condition.ts',
    'backup',
    'core',
    'store',
    'audit',
    'bus',
    'identity',
    'policy',
    'vault',
    'findings',
    'lend',
    'proxy',
    'passage',
    'sandbox',
    'images',
    'artifacts',
    'workflow',
    'approvals',
    'goals',
    'rollout',
    'connectors',
    'channels',
    'flows',
    'schedules',
    'triggers',
    'observe',
  ],
  'main.ts': ['backup', 'core', 'store', 'guide', 'http', 'cli', 'keyward.ts', 'migrations.ts', 'vault'],
  'bin.ts': ['cli', 'main.ts'],
}

type File = { readonly path: string; readonly text: string }
type Import = { readonly from: string; readonly to: string }

const isTest = (path: string): boolean => /\.test\.tsx?$/.test(path)
const folderOf = (path: string): string => path.split('/')[0] ?? ''
const filesOf = (folder: string, pattern = '**/*.{ts,tsx,mjs}'): File[] =>
  globSync(pattern, { cwd: join(repository, folder), exclude: ['**/node_modules/**', '**/dist/**'] })
    .sort()
    .map((path) => ({ path, text: readFileSync(join(repository, folder, path), 'utf8') }))

const specifiersOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, specifier = '']) => specifier)

/** Imports of our own code; those of packages are left out. */
function importsOf({ path, text }: File): Import[] {
  return specifiersOf(text).flatMap((specifier) => {
    if (specifier === '@keyward/contract' || specifier === '@keyward/contract/errors')
      return [{ from: path, to: 'contract/index.ts' }]
    if (!specifier.startsWith('.')) return []
    return [{ from: path, to: normalize(join(dirname(path), specifier)) }]
  })
}

function broken({ from, to }: Import): string | undefined {
  if (folderOf(from) === folderOf(to)) return
  if (!may[folderOf(from)]?.includes(folderOf(to))) return `${from} may not import ${to}`
  if (to.includes('/') && !to.endsWith('/index.ts')) return `${from} reaches past the front door: ${to}`
  return
}

const files = filesOf('server/src')
const code = files.filter(({ path }) => !isTest(path))
const holding = (pattern: RegExp, among = code): string[] =>
  among.filter(({ text }) => pattern.test(text)).map(({ path }) => path)

describe('the dependency map', () => {
  const imports = code.flatMap(importsOf)

  test('every folder imports only what it may, through the front door', () => {
    assert.ok(imports.length > 500, 'the rule looked at nothing')
    assert.deepEqual(imports.map(broken).filter(Boolean), [])
  })

  test('every folder is in the map, and no permission is unused', () => {
    assert.deepEqual(new Set(files.map(({ path }) => folderOf(path))), new Set(Object.keys(may)))
    const used = new Set(imports.map(({ from, to }) => `${folderOf(from)} > ${folderOf(to)}`))
    const permitted = Object.entries(may).flatMap(([from, all]) => all.map((to) => `${from} > ${to}`))
    assert.deepEqual(
      permitted.filter((edge) => !used.has(edge)),
      [],
    )
  })

  test('no cycle hides in the map', () => {
    const visit = (folder: string, trail: readonly string[]): void => {
      assert.ok(!trail.includes(folder), `cycle: ${[...trail, folder].join(' > ')}`)
      for (const next of may[folder] ?? []) visit(next, [...trail, folder])
    }
    for (const folder of Object.keys(may)) visit(folder, [])
  })

  test('tests beside the code use the front doors too', () => {
    const past = files
      .filter(({ path }) => isTest(path))
      .flatMap(importsOf)
      .filter(({ from, to }) => folderOf(from) !== folderOf(to) && !to.startsWith('..'))
      .filter(({ to }) => !to.endsWith('/index.ts'))
    assert.deepEqual(past, [])
  })

  test('planted violations are seen', () => {
    const planted = (path: string, text: string): number =>
      importsOf({ path, text }).map(broken).filter(Boolean).length
    assert.equal(planted('vault/x.ts', `import { createLend } from '../lend/index.ts'`), 1)
    assert.equal(planted('lend/x.ts', `import type { Cedar } from '../policy/cedar.ts'`), 1)
    assert.equal(planted('scan/x.ts', `const { api } = await import('@keyward/contract')`), 1)
    assert.equal(planted('main.ts', `export { x } from './http/api.ts'`), 1)
    assert.equal(planted('lend/x.ts', `import { createPolicy } from '../policy/index.ts'`), 0)
  })
})

describe('the front doors', () => {
  const doors = code.filter(({ path }) => /^[^/]+\/index\.ts$/.test(path))

  test('every folder has one', () => {
    const folders = Object.keys(may).filter((name) => !name.endsWith('.ts'))
    assert.deepEqual(doors.map(({ path }) => folderOf(path)).sort(), folders.sort())
  })

  test('each names what it gives, at most 15 things; core, which everybody uses, may give more', () => {
    for (const { path, text } of doors) {
      const lists = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].map(([, list = '']) => list)
      const names = lists.flatMap((list) => list.split(',')).filter((name) => name.trim() !== '')
      assert.ok(names.length > 0 && !text.includes('export *'), path)
      if (path !== 'core/index.ts') assert.ok(names.length <= 15, `${path} exports ${names.length} things`)
    }
  })
})

describe('the workspaces', () => {
  test('the contract imports nothing but zod', () => {
    const packages = filesOf('contract/src').flatMap(({ text }) => specifiersOf(text))
    assert.deepEqual(new Set(packages.filter((name) => !name.startsWith('./'))), new Set(['zod']))
  })

  test('the console takes nothing of the server but the contract', () => {
    const outside = filesOf('console/src').flatMap((file) =>
      importsOf(file).filter(({ to }) => to.startsWith('..')),
    )
    assert.deepEqual(outside, [])
  })
})

describe('what is kept in few places', () => {
  test('SQL is written in the store of a domain alone, and only the store knows the databases', () => {
    const sql = /import [^;]*?\bsql(?:List)?\b[^;]*? from '\.\.?\/store\/index\.ts'/
    const writers = holding(sql).filter((path) => !/^[^/]+\/[a-z]+-store\.ts$/.test(path))
    assert.deepEqual(writers, [])
    const drivers = holding(/'(?:node:sqlite|pg)'/).filter((path) => folderOf(path) !== 'store')
    // Databases of others, whose users the vault makes.
    assert.deepEqual(drivers, ['vault/engines/database/postgres/sessions.ts'])
  })

  test('OPS-1: nobody imports node:http, which loads much that nobody needs', () => {
    const importing = /import (?!type\b)(?:(?!\bfrom\b)[^;])* from 'node:http'/
    assert.match(`import { request } from 'node:http'`, importing)
    assert.deepEqual(holding(importing), [], 'STYLE.md says what to write')
  })

  test('OPS-4: the environment is read where the process begins, and by name where programs are looked up', () => {
    assert.deepEqual(holding(/process\.env/), [
      'bin.ts',
      'main.ts',
      'proxy/child-process.ts', // where the machine keeps certificates
      'sandbox/canaries.ts', // in a script that runs in the sandbox
      'sandbox/install.ts', // PATH
      'scan/scan.ts', // PATH
    ])
  })

  test('OPS-4: a secret is revealed in these files and no other', () => {
    const places = holding(/\breveal\(\)/).map((path) => path.replace(/^vault\/.*/, 'vault/'))
    assert.deepEqual(
      [...new Set(places)],
      [
        'backup/encryption.ts', // the identity of a restore, to the cipher
        'channels/accounts.ts', // hashed
        'channels/email/email-channel.ts', // to the mail server that it belongs to
        'channels/pagerduty/pagerduty-channel.ts', // into the event that it routes
        'channels/slack/signature.ts', // compared with what Slack has signed
        'channels/slack/slack-channel.ts', // into the Authorization header
        'channels/teams/teams-channel.ts', // to the token endpoint of the bot; the address of a workflow
        'channels/webhook/webhook-channel.ts', // signs what is sent
        'cli/client.ts', // into the Authorization header
        'cli/commands/asks.ts', // what a person entered, to the server
        'cli/commands/backup.ts',
        'cli/commands/connect.ts', // a new key of backups, into a file of its user
        'cli/commands/second-factor.ts', // a code that was typed, to the server
        'cli/commands/secrets.ts', // to a person who asked for the value
        'cli/commands/session.ts', // a sign-in link, to a person who asked for one
        'cli/commands/template.ts', // a rendered file, for its user alone
        'cli/commands/vault-seal.ts', // a share, to the vault that it opens
        'cli/credentials.ts', // into the user's credentials file
        'cli/env-references.ts',
        'cli/machine-identity.ts', // into the environment of `keyward run`
        'cli/templates/render.ts', // values into the text of a template
        'cli/vault-import/api.ts', // tokens of two vaults, into their headers
        'connectors/github/client.ts', // a token that ends with its task, into the Authorization header
        'connectors/lent-secrets.ts', // looked for in what a connector says
        'connectors/monitor/monitor.ts', // into the Authorization header
        'connectors/task-tokens.ts', // into encrypted storage
        'core/secret.ts',
        'findings/import.ts', // compared with what the file holds
        'flows/sandboxed-commands.ts', // a passphrase, into a file of the sandbox whose program needs it
        'goals/model/chat.ts', // the key of a language model, into the Authorization header
        'guide/demonstration.ts', // given to the example API, which checks it
        'http/handlers/agents.ts', // an agent's key, once, to who registered it
        'http/handlers/channels.ts', // the code that links an account, once, to who asked for it
        'http/handlers/people.ts', // a sign-in code, once, to who made the account
        'http/handlers/schedules.ts', // the secret of a webhook, once, to who asked for it
        'http/handlers/second-factors.ts', // the secret of an app, and recovery codes, once, to their owner
        'http/handlers/secrets.ts', // to a person who asked, audited
        'http/handlers/session.ts', // a session's token, into the answer that starts it
        'http/handlers/triggers.ts', // the secret of a webhook, once, to who asked for it
        'http/vault/dialect.ts', // the answer of the Vault dialect
        'identity/agents.ts', // hashed
        'identity/factors/app.ts', // into the URL that an app reads; a code, compared
        'identity/factors/factors.ts', // recovery codes, hashed
        'identity/sessions.ts', // hashed
        'lend/accounts.ts', // an account that was made for a lease, into encrypted storage; names of users
        'lend/aws-signing.ts', // a derivative of it, to the proxy
        'lend/client-certificate.ts', // read, and the certificate to the proxy
        'lend/minting.ts', // hashed; a refresh token, compared with the stored one
        'lend/new-placeholder.ts', // a placeholder's token, hashed
        'lend/token-requests.ts', // to the authorization server that it belongs to
        'main.ts', // the owner's files, and the sign-in link
        'observe/otlp.ts', // into the headers that a collector asks for
        'proxy/gate.ts',
        'proxy/proxy.ts', // to the child that puts it into the request
        'proxy/redact.ts', // looked for in answers
        'proxy/relay/proof.ts', // into the proof of a login, or to a database that is to be sent it
        'scan/threads/message.ts', // a finding's value, to the thread that asked for the scan
        'vault/', // the barrier, the tokens and the answers of the Vault dialect
        'workflow/temporal/codec.ts', // the key of what Temporal keeps, to the cipher
        'workflow/temporal/connection.ts', // a key of TLS and an API key, to Temporal's connection
      ],
    )
  })

  test('GOV-1: every event name is used, and approvals make theirs out of the ruling', () => {
    const all = code.map(({ text }) => text).join('\n')
    const unused = eventNames.filter((name) => !all.includes(`'${name}'`))
    assert.deepEqual(
      unused.filter((name) => !name.startsWith('approval.')),
      [],
    )
    assert.match(all, /`approval\.\$\{/)
  })
})

test('no file of code is longer than 400 lines, and no test or fixture longer than 600', () => {
  const long = ['contract/src', 'server/src', 'server/test', 'console', 'bench'].flatMap((folder) =>
    filesOf(folder)
      .map(({ path, text }) => ({ path: `${folder}/${path}`, lines: text.split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > (/\.test\.|\/test\//.test(path) ? 600 : 400)),
  )
  assert.deepEqual(long, [])
})
