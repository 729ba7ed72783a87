import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'

const run = promisify(execFile)

/** The files of the server and of its packages that are loaded with its composition root. */
async function loadedAtStart(): Promise<string[]> {
  const program = `
    import { registerHooks } from 'node:module'
    registerHooks({ load: (url, context, next) => (console.log(url), next(url, context)) })
    await import(${JSON.stringify(new URL('../main.ts', import.meta.url).href)})
  `
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program])
  return stdout.split('\n')
}

test('OPS-1: a server starts without the code of what it may never be asked for', async () => {
  const loaded = await loadedAtStart()
  assert.ok(loaded.some((url) => url.endsWith('/vault/engine-makers.ts')))
  const later = [
    /\/engines\/(?:pki|ssh|totp)\//,
    /\/engines\/transit\/transit\./,
    /\/engines\/database\/(?!databases\.|kinds\.)/,
    /\/auth\/(?:approle|jwt|userpass)\//,
    /\/src\/(?:guide|scan)\//,
    /node_modules\/(?:@ai-sdk|@aws-sdk|@cedar-policy|@octokit|@slack|@temporalio|age-encryption|ai|jose|nodemailer|openpgp|pg|qr|yaml)\//,
  ]
  assert.deepEqual(
    loaded.filter((url) => later.some((pattern) => pattern.test(url))),
    [],
  )
})

const engine = { type: 'told', paths: [], wipe: async () => undefined }

test('VAULT-2: two first mounts of a type at once have the same maker', async (t) => {
  const arrived = Promise.withResolvers<void>()
  let fetched = 0
  const makers: number[] = []
  const told = async () => {
    const number = ++fetched
    if (fetched === 2) arrived.resolve()
    await arrived.promise
    return () => {
      makers.push(number)
      return engine
    }
  }
  const { vault, rootToken } = await openUnsealedVault(t, { engines: { told } })
  const root = callerOf(vault, rootToken)
  const answers = await Promise.all(
    ['one', 'two'].map((path) => root('POST', `sys/mounts/${path}`, { type: 'told' })),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 204],
  )
  assert.equal(makers.length, 2)
  assert.equal(new Set(makers).size, 1)
})

test('VAULT-2: a type whose code could not be fetched is not mounted, and fetched again for the next', async (t) => {
  let fetched = 0
  const told = async () => {
    if (fetched++ === 0) throw new Error('the file is not there')
    return () => engine
  }
  const { vault, rootToken } = await openUnsealedVault(t, { engines: { told } })
  const root = callerOf(vault, rootToken)
  assert.equal((await root('POST', 'sys/mounts/one', { type: 'told' })).status, 500)
  assert.equal((await root('GET', 'sys/mounts/one')).status, 400)
  assert.equal((await root('POST', 'sys/mounts/one', { type: 'told' })).status, 204)
  assert.equal(fetched, 2)
})
