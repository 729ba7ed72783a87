import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { type ContractServer, openContractServer } from '../../test/support/contract-server.ts'
import { launcher, openShell } from '../../test/support/keyward-command.ts'
import { AppError } from '../core/index.ts'

const stripe = 'keyward://secret/shop/stripe#value'
const database = 'keyward://secret/shop/db#password'

function answerValues(server: ContractServer): Record<string, string> {
  const values: Record<string, string> = {
    [stripe]: `test-only-${randomBytes(12).toString('hex')}`,
    [database]: `p$w "d'${randomBytes(6).toString('hex')}`,
  }
  server.answer(api.secrets.resolve, ({ references }) => {
    if (references.some((reference) => !(reference in values))) throw new AppError('secret.not_found')
    return { values: Object.fromEntries(references.map((reference) => [reference, values[reference] ?? ''])) }
  })
  return values
}

test('DISC-5: references in the environment and in .env become values in the child alone', async (t) => {
  const server = await openContractServer(t)
  const values = answerValues(server)
  const { keyward, home } = openShell(t, { KEYWARD_ADDRESS: server.address, KEYWARD_TOKEN: 'test-token' })
  writeFileSync(
    join(home, '.env'),
    `STRIPE=${stripe}\nexport PLAIN="two words"\nSTAGE=file\n# NOTE=${stripe}\n`,
  )
  const { code, stdout, stderr } = await keyward(
    ['run', '--', 'sh', '-c', 'printf "%s|%s|%s|%s|%s" "$STRIPE" "$PLAIN" "$STAGE" "$DB" "$KEYWARD_TOKEN"'],
    { env: { DB: `postgres://app:${database}@db.internal/shop`, STAGE: 'environment' } },
  )
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  const url = `postgres://app:${values[database]}@db.internal/shop`
  assert.equal(stdout, `${values[stripe]}|two words|environment|${url}|`)
  const [call] = server.calls
  assert.equal(call?.token, 'test-token')
  assert.deepEqual(new Set(call?.input['references'] as string[]), new Set([stripe, database]))
  assert.equal(call?.input['purpose'], 'keyward run sh')
})

test('DISC-5: without a reference no server is asked, and a plain .env is left alone', async (t) => {
  const { keyward, home } = openShell(t, { KEYWARD_ADDRESS: 'http://127.0.0.1:9' })
  writeFileSync(join(home, '.env'), 'PLAIN=from-file\n')
  const alone = await keyward(['run', 'sh', '-c', 'echo "[$PLAIN]"'])
  assert.deepEqual([alone.code, alone.stdout], [0, '[]\n'])
  writeFileSync(join(home, 'named.env'), 'PLAIN=from-file\n')
  const named = await keyward(['run', '--dotenv', 'named.env', '--', 'sh', '-c', 'echo "[$PLAIN]"'])
  assert.equal(named.stdout, '[from-file]\n')
  assert.match(
    (await keyward(['run', '--dotenv', 'gone.env', '--', 'true'])).stderr,
    /gone\.env does not exist/,
  )
})

test('DISC-5: what cannot be resolved stops the command before it starts', async (t) => {
  const server = await openContractServer(t)
  answerValues(server)
  const { keyward, home } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const started = join(home, 'started')
  const cases: [string, RegExp][] = [
    ['keyward://secret/gone#value', /^keyward: there is no secret at this path/],
    ['keyward://secret/../root#value', /the variable KEY: its path holds \. or \.\./],
    ['keyward://secret/a', /the variable KEY holds a reference that is not of the form/],
  ]
  for (const [reference, words] of cases) {
    const { code, stderr } = await keyward(['run', '--', 'touch', started], { env: { KEY: reference } })
    assert.equal(code, 2)
    assert.match(stderr, words)
  }
  assert.throws(() => readFileSync(started))
})

test("DISC-5: the exit code is the command's, also for its own options, after a signal and when it is missing", async (t) => {
  const { keyward } = openShell(t)
  assert.equal((await keyward(['run', '--', 'sh', '-c', 'exit 7'])).code, 7)
  assert.equal((await keyward(['run', 'sh', '-c', 'kill -TERM $$'])).code, 143)
  const missing = await keyward(['run', '--', 'no-such-program-here'])
  assert.deepEqual([missing.code, missing.stderr], [127, 'keyward: no-such-program-here was not found.\n'])
  assert.equal((await keyward(['run', '--', '/'])).code, 126)
  assert.match((await keyward(['run', 'echo', '--json', '--help', '-v'])).stdout, /^--json --help -v\n$/)
})

test('DISC-5: input reaches the command', async (t) => {
  const { keyward } = openShell(t)
  assert.equal((await keyward(['run', '--', 'cat'], { input: 'one\ntwo\n' })).stdout, 'one\ntwo\n')
})

test('OPS-4: no value stands in an argument of any process, and signals reach the command', async (t) => {
  const server = await openContractServer(t)
  const values = answerValues(server)
  const { home } = openShell(t)
  const script = `trap 'echo caught; exit 9' TERM; echo ready $$; while :; do sleep 0.05; done`
  const child = spawn(process.execPath, [launcher, 'run', '--', 'sh', '-c', script], {
    cwd: home,
    env: { PATH: process.env['PATH'], HOME: home, KEYWARD_ADDRESS: server.address, KEY: stripe },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8')
  for await (const text of child.stdout) {
    output += text
    const shell = /ready (\d+)\n/.exec(output)?.[1]
    if (shell === undefined || child.killed) continue
    for (const pid of [child.pid, Number(shell)]) {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      assert.ok(argv.length > 0 && !argv.includes(values[stripe] ?? '-'))
    }
    assert.ok(readFileSync(`/proc/${shell}/environ`, 'utf8').includes(values[stripe] ?? '-'))
    assert.ok(!readFileSync(`/proc/${child.pid}/environ`, 'utf8').includes(values[stripe] ?? '-'))
    child.kill('SIGTERM')
  }
  const code = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)))
  assert.match(output, /caught/)
  assert.equal(code, 9)
})
