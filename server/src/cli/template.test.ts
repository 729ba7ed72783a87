import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { api } from '@keyward/contract'
import { parse, parseAllDocuments } from 'yaml'
import { openContractServer } from '../../test/support/contract-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { launcher, openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'
import { AppError } from '../core/index.ts'
import { parseDotenv } from './dotenv.ts'

const key = 'keyward://secret/shop/stripe#value'
const odd = 'keyward://secret/shop/db#password'

async function setup(t: TestContext, open = openShellInside) {
  const server = await openContractServer(t)
  const values: Record<string, string> = {
    [key]: `test-only-${randomBytes(9).toString('hex')}`,
    [odd]: `p$w "d' \\ #: {x}\n${randomBytes(6).toString('hex')}`,
  }
  let version = 1
  server.answer(api.secrets.resolve, ({ references }) => {
    if (references.some((reference) => !(reference in values))) throw new AppError('secret.not_found')
    return { values: Object.fromEntries(references.map((reference) => [reference, values[reference] ?? ''])) }
  })
  server.answer(api.secrets.read, ({ path }) => ({
    path,
    version,
    createdAt: new Date(0).toISOString(),
    fields: [],
    references: [],
  }))
  const env = { KEYWARD_ADDRESS: server.address, KEYWARD_TOKEN: 'test-token' }
  const shell = open(t, env)
  const write = (name: string, text: string): void => writeFileSync(join(shell.home, name), text)
  const read = (name: string): string => readFileSync(join(shell.home, name), 'utf8')
  const render = (...args: string[]) => shell.keyward(['template', 'render', ...args])
  const change = (value: string): void => {
    values[key] = value
    version++
  }
  return { server, values, shell, env, write, read, render, change }
}

test('VAULT-9: a .env is written so that shells and programs read the values as they are', async (t) => {
  const { values, write, read, render, shell } = await setup(t, openShell)
  write(
    'app.env',
    `# of the shop\nSTRIPE=${key}\nODD='${odd}'\nURL=postgres://app:${key}@db/shop\nPLAIN="a b"\n`,
  )
  const { code, stderr } = await render('app.env', '--out', 'out.env')
  assert.equal(code, 0, stderr)
  assert.deepEqual(parseDotenv(read('out.env')), {
    STRIPE: values[key],
    ODD: values[odd],
    URL: `postgres://app:${values[key]}@db/shop`,
    PLAIN: 'a b',
  })
  assert.equal(statSync(join(shell.home, 'out.env')).mode & 0o777, 0o600)
  const printed = execFileSync('sh', ['-c', '. ./out.env; printf %s "$STRIPE|$URL|$PLAIN|$ODD"'], {
    cwd: shell.home,
  })
  assert.equal(printed.toString(), `${values[key]}|postgres://app:${values[key]}@db/shop|a b|${values[odd]}`)
})

test('VAULT-9: JSON and YAML keep their form whatever a value holds', async (t) => {
  const { values, write, read, render } = await setup(t)
  write('a.json', JSON.stringify({ db: { password: odd, port: 5432 }, list: [key, true] }))
  assert.equal((await render('a.json', '--out', 'b.json')).code, 0)
  assert.deepEqual(JSON.parse(read('b.json')), {
    db: { password: values[odd], port: 5432 },
    list: [values[key], true],
  })
  write('a.yaml', `# kept\ndb:\n  password: ${odd} # note\n  port: 5432\n---\nurl: "x:${key}"\n`)
  assert.equal((await render('a.yaml', '--out', 'b.yaml')).code, 0)
  assert.deepEqual(
    parseAllDocuments(read('b.yaml')).map((document) => (document as { toJS(): unknown }).toJS()),
    [{ db: { password: values[odd], port: 5432 } }, { url: `x:${values[key]}` }],
  )
  assert.match(read('b.yaml'), /^# kept/)
})

test('VAULT-9: other files take the values as they are; a manifest takes them as data', async (t) => {
  const { values, write, read, render } = await setup(t)
  write('app.conf', `password = ${key};\n`)
  assert.equal((await render('app.conf', '--out', 'out.conf')).code, 0)
  assert.equal(read('out.conf'), `password = ${values[key]};\n`)
  write('app.env', `A=${key}\nB=${odd}\n`)
  const { stdout, code } = await render(
    'app.env',
    '--kubernetes-secret',
    'app',
    '--namespace',
    'shop',
    '--out',
    '-',
  )
  assert.equal(code, 0)
  const manifest = parse(stdout) as { data: Record<string, string>; metadata: unknown; kind: string }
  assert.deepEqual([manifest.kind, manifest.metadata], ['Secret', { name: 'app', namespace: 'shop' }])
  assert.equal(Buffer.from(manifest.data['A'] ?? '', 'base64').toString(), values[key])
  assert.equal(Buffer.from(manifest.data['B'] ?? '', 'base64').toString(), values[odd])
})

test('VAULT-9: what cannot be rendered leaves the old file, and nothing beside it', async (t) => {
  const { write, read, render, shell, values } = await setup(t)
  write('out.env', 'OLD=1\n')
  for (const [name, text] of [
    ['missing.env', 'A=keyward://secret/none#value\n'],
    ['broken.env', 'A=keyward://secret\n'],
    ['broken.json', `{"a": "${key}"`],
    ['broken.yaml', `a: "${key}\n`],
  ] as const) {
    write(name, text)
    const { code, stdout, stderr } = await render(name, '--out', 'out.env')
    assert.equal(code, 2, name)
    assert.equal((stdout + stderr).includes(values[key] ?? ''), false)
  }
  write('nested.json', JSON.stringify({ a: { b: key } }))
  assert.equal((await render('nested.json', '--kubernetes-secret', 'x', '--out', 'out.env')).code, 2)
  assert.equal((await render('none.env', '--out', 'out.env')).code, 2)
  assert.equal((await render('missing.env', '--watch', '--out', '-')).code, 2)
  assert.equal(read('out.env'), 'OLD=1\n')
  assert.deepEqual(
    readdirSync(shell.home).filter((name) => name.includes('.next')),
    [],
  )
})

test('VAULT-9: a watched file is written again when a secret has a new version, and values are read only then', async (t) => {
  const { write, shell, env, change, values, server } = await setup(t)
  write('app.env', `A=${key}\n`)
  const args = [launcher, 'template', 'render', 'app.env', '--out', 'out.env', '--watch', '--every', '1']
  const child = spawn(process.execPath, args, {
    cwd: shell.home,
    env: { PATH: process.env['PATH'] ?? '', HOME: shell.home, ...env },
    stdio: 'ignore',
  })
  t.after(() => void child.kill('SIGKILL'))
  const out = join(shell.home, 'out.env')
  const holds = (value: string | undefined) => async () => {
    try {
      return readFileSync(out, 'utf8').includes(value ?? '')
    } catch {
      return false
    }
  }
  await eventually(holds(values[key]), 'the file')
  const looked = (): number => server.calls.filter(({ name }) => name === 'secrets.read').length
  const resolved = (): number => server.calls.filter(({ name }) => name === 'secrets.resolve').length
  const before = looked()
  await eventually(async () => looked() > before + 1, 'two looks')
  assert.equal(resolved(), 1)
  change('the second value')
  await eventually(holds('the second value'), 'the new value')
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
})

test('VAULT-9: `keyward run` takes its variables from JSON and YAML too', async (t) => {
  const { values, write, shell } = await setup(t, openShell)
  write('vars.json', JSON.stringify({ A: key, N: 3 }))
  write('vars.yaml', `A: ${key}\nN: 3\n`)
  for (const file of ['vars.json', 'vars.yaml']) {
    const { code, stdout, stderr } = await shell.keyward([
      'run',
      '--dotenv',
      file,
      '--',
      'sh',
      '-c',
      'printf "%s|%s" "$A" "$N"',
    ])
    assert.equal(code, 0, stderr)
    assert.equal(stdout, `${values[key]}|3`)
  }
})
