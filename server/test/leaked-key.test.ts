// The whole way of a leaked key with the real command: scan, import, agent, proof, and the way back.
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEnv } from 'node:util'
import { api, type FindingView } from '@keyward/contract'
import { parse as parseYaml } from 'yaml'
import { parseReference } from '../src/core/index.ts'
import { leaksIn, leaksInBytes, makeLeakyProject, snapshot } from './support/leaky-project.ts'
import {
  codeOf,
  fromJson,
  keywardCommand,
  type RunningServer,
  scratchFolder,
  startServer,
} from './support/server.ts'

type Step = { step: string; state: string; detail: string }
type Report = { ok: boolean; unattended: boolean; run: { id: string; state: string }; steps: Step[] }
type Walked = { code: number; stdout: string; stderr: string; report: Report }

const reference = /^keyward:\/\/secret\/[a-z0-9-]+\/[a-z0-9-]+#value$/

async function walk(dataDir: string, home: string, ...more: string[]): Promise<Walked> {
  const args = ['start', '--yes', '--json', '--data', dataDir, '--listen', '127.0.0.1:0', ...more]
  const outcome = await keywardCommand(home, args)
  return { ...outcome, report: JSON.parse(outcome.stdout) as Report }
}

/** Where nothing can be isolated the agent's step is refused by name, and the exit code says so. */
function checkReport({ code, report, stderr }: Walked): void {
  const states = new Map(report.steps.map(({ step, state }) => [step, state]))
  for (const step of ['scan', 'preview', 'import', 'audit']) assert.equal(states.get(step), 'ok', step)
  assert.deepEqual([report.unattended, stderr], [true, ''])
  if (states.get('sandbox') === 'refused') {
    assert.deepEqual([report.ok, code], [false, 1])
    return
  }
  for (const step of ['api', 'placeholder', 'call', 'redaction', 'other-host', 'shadow', 'data-folder'])
    assert.equal(states.get(step), 'ok', step)
  assert.deepEqual([report.ok, code, report.run.state], [true, 0, 'Succeeded'])
}

/** The server on what `start` left, spoken to with the root token that it wrote. */
function serveAgain(t: TestContext, dataDir: string): Promise<RunningServer> {
  const token = readFileSync(join(dataDir, 'root.token'), 'utf8').trim()
  return startServer(t, { dataDir, token, args: [] })
}

test('CLI-1: start --yes walks the whole way on the example, and again on the same data', async (t) => {
  const dataDir = scratchFolder(t)
  const home = scratchFolder(t, 'home')
  const first = await walk(dataDir, home)
  checkReport(first)
  const again = await walk(dataDir, home)
  checkReport(again)
  assert.notEqual(again.report.run.id, first.report.run.id)
})

test('DISC-5: a project of the user goes into the vault, is proved, and comes back byte for byte', async (t) => {
  const project = await makeLeakyProject(scratchFolder(t, 'project'))
  const { folder, planted } = project
  const original = snapshot(folder)
  const modes = new Map([...original.keys()].map((file) => [file, statSync(join(folder, file)).mode]))
  const dataDir = join(scratchFolder(t), 'data')
  const walked = await walk(dataDir, scratchFolder(t, 'home'), '--project', folder)
  checkReport(walked)
  const runId = walked.report.run.id
  const imported = snapshot(folder)

  await t.test('DISC-5: files hold references and stay what they were otherwise', () => {
    assert.deepEqual([...imported.keys()], [...original.keys()])
    for (const [file, bytes] of imported)
      assert.deepEqual(leaksInBytes(bytes, planted), [], `${file} still holds a planted value`)
    for (const [file, mode] of modes) assert.equal(statSync(join(folder, file)).mode, mode, file)
    const text = (file: string): string => String(imported.get(file))
    const env = parseEnv(text('.env'))
    assert.match(env['PAYMENTS_API_KEY'] ?? '', reference)
    assert.match(env['SESSION_SECRET'] ?? '', reference)
    assert.deepEqual([env['PORT'], env['LOG_LEVEL']], ['3000', 'info'])
    const shop = parseYaml(text('config/production.yaml'))
    assert.match(shop.mail.apiKey, reference)
    assert.match(shop.mail.fallback.password, reference)
    assert.equal(shop.mail.fallback.port, 587)
    const compose = parseYaml(text('docker-compose.yml'))
    assert.match(compose.services.shop.environment.PAYMENTS_API_KEY, reference)
    assert.equal(compose.services.shop.environment.PAYMENTS_API_KEY, env['PAYMENTS_API_KEY'])
    assert.match(JSON.parse(text('settings.json')).stripe.secretKey, reference)
    assert.match(/^api_key = "(.*)"$/m.exec(text('service/config.toml'))?.[1] ?? '', reference)
    assert.match(text('windows/.env'), /^STRIPE_KEY="keyward:[^\r\n]*"\r\nPORT=80\r\n$/m)
    const notes = imported.get('notes.txt') ?? Buffer.alloc(0)
    assert.match(notes.toString('utf16le'), /^\ufeffSTRIPE_KEY="?keyward:.*#value"?\n$/)
    for (const file of ['README.md', 'src/server.mjs', 'scripts/release.sh'])
      if (original.has(file)) assert.deepEqual(imported.get(file), original.get(file))
  })

  await t.test('OPS-4: the folder and the keys are for their user alone', () => {
    const mode = (file: string): string => (statSync(join(dataDir, file)).mode & 0o777).toString(8)
    assert.equal(mode('.'), '700')
    for (const file of ['unseal.key', 'root.token', 'local.token', 'audit.anchor', 'keyward.lock'])
      assert.equal(mode(file), '600', file)
  })

  await t.test('OPS-4: no planted value lies in clear in the data folder, nor was printed', () => {
    assert.deepEqual(leaksIn(dataDir, planted), [])
    assert.deepEqual(leaksInBytes(walked.stdout + walked.stderr, planted), [])
    // The search itself must see: each value in the project as it was, and in encodings at any alignment.
    for (const { name, value } of planted)
      for (const prefix of ['', 'a', 'ab'])
        for (const encoding of ['base64', 'base64url', 'hex'] as const) {
          const hidden = Buffer.from(`${prefix}${value}z`).toString(encoding)
          assert.ok(leaksInBytes(hidden, planted).includes(name), `${name} in ${encoding}`)
        }
    const seen = new Set([...original.values()].flatMap((bytes) => leaksInBytes(bytes, planted)))
    assert.equal(
      seen.size,
      new Set(planted.filter(({ name }) => name !== 'hosting').map(({ name }) => name)).size,
    )
  })

  const server = await serveAgain(t, dataDir)
  await t.test('VAULT-2: every value is in the vault once, and /v1 gives it to the root token', async () => {
    const { items } = await server.call(api.findings.list, { limit: 500 })
    assert.ok(items.every(({ state }) => state === 'imported'))
    const stored = await Promise.all(items.map((finding) => readThroughVault(server, finding)))
    for (const { name, value } of planted)
      assert.ok(
        stored.some(({ content }) => content.includes(value)),
        `${name} is not in the vault`,
      )
    assert.deepEqual(new Set(stored.map(({ version }) => version)), new Set([1]))
  })

  await t.test(
    'OPS-4: neither does a running server write one: log, runs, audit, approvals, outbox',
    async () => {
      for (const path of [
        '/runs',
        `/runs/${runId}`,
        '/approvals',
        '/audit?limit=500',
        '/findings',
        '/leases',
      ]) {
        const { status, body } = await server.ask('GET', `/api/v1${path}`)
        assert.equal(status, 200)
        assert.deepEqual(leaksInBytes(JSON.stringify(body), planted), [], path)
      }
      assert.deepEqual(leaksInBytes(server.output(), planted), [])
      assert.deepEqual(leaksIn(dataDir, planted), [])
    },
  )

  await t.test('VAULT-9: keyward run gives a program the values behind the references', async () => {
    const env = { ...parseEnv(String(imported.get('.env'))) } as Record<string, string>
    const print = 'process.stdout.write(process.env.PAYMENTS_API_KEY + " " + process.env.DATABASE_URL)'
    const { code, stdout } = await server.keyward(['run', '--', process.execPath, '-e', print], { env })
    assert.equal(code, 0)
    for (const wanted of ['payments', 'database'])
      assert.ok(stdout.includes(planted.find(({ name }) => name === wanted)?.value ?? 'nothing'), wanted)
  })

  const home = scratchFolder(t, 'home')
  const exported = join(home, 'audit.jsonl')
  await t.test('GOV-1: the command proves the running chain and exports it', async () => {
    const live = await server.keyward(['audit', 'verify', '--json'])
    assert.deepEqual([live.code, JSON.parse(live.stdout).verified], [0, true], live.stderr)
    assert.equal((await server.keyward(['audit', 'export', exported])).code, 0)
  })

  await t.test('DISC-5: undo refuses while one of the files was edited, and then touches none', async () => {
    appendFileSync(join(folder, '.env'), '# a later edit\n')
    const edited = snapshot(folder)
    const refused = await server.keyward(['findings', 'undo', runId, '--json'])
    assert.equal(refused.code, 2)
    assert.equal(JSON.parse(refused.stderr).code, 'finding.changed')
    assert.deepEqual(snapshot(folder), edited)
    writeFileSync(join(folder, '.env'), imported.get('.env') ?? '')
  })

  await t.test('DISC-5: undo puts every file back, byte for byte, once', async () => {
    const undone = await server.keyward(['findings', 'undo', runId, '--json'])
    assert.equal(undone.code, 0, undone.stderr)
    assert.deepEqual(snapshot(folder), original)
    for (const [file, mode] of modes) assert.equal(statSync(join(folder, file)).mode, mode, file)
    const { items } = await server.call(api.findings.list, { limit: 500, state: 'restored' })
    assert.equal(items.length, JSON.parse(undone.stdout).findings.length)
    const again = await server.ask('POST', '/api/v1/findings/undo', { body: { runId } })
    assert.deepEqual([again.status, codeOf(again)], [409, 'finding.state'])
  })

  await t.test('GOV-1: the export verifies with no server at all, and a changed line shows', async () => {
    assert.equal(await server.stop(), 0)
    const verify = (file: string) => keywardCommand(home, ['audit', 'verify', file, '--json'])
    const whole = await verify(exported)
    assert.deepEqual([whole.code, JSON.parse(whole.stdout).verified], [0, true])
    const lines = readFileSync(exported, 'utf8').split('\n')
    const forged = { ...(fromJson(lines[5] ?? '') as object), actor: 'person:somebody-else' }
    const tampered = join(home, 'tampered.jsonl')
    writeFileSync(tampered, lines.with(5, JSON.stringify(forged)).join('\n'))
    assert.equal((await verify(tampered)).code, 1)
    writeFileSync(tampered, lines.toSpliced(-3, 1).join('\n'))
    assert.equal((await verify(tampered)).code, 1)
  })
})

async function readThroughVault(
  server: RunningServer,
  { reference: text }: FindingView,
): Promise<{ content: string; version: number }> {
  const { mount, path, field } = parseReference(text ?? '')
  const { status, body } = await server.ask('GET', `/v1/${mount}/data/${path}`, {
    token: null,
    headers: { 'x-vault-token': server.token },
  })
  assert.equal(status, 200)
  const { data } = body as { data: { data: Record<string, string>; metadata: { version: number } } }
  return { content: data.data[field] ?? '', version: data.metadata.version }
}
