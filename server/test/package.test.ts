import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runToEnd } from './support/keyward-command.ts'
import { temporaryFolder } from './support/world.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))

test('OPS-1: the published package', async (t) => {
  const folder = temporaryFolder(t)
  await run('npm', ['pack', '-w', 'keyward', '--pack-destination', folder], { cwd: repository })
  const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '')

  await t.test('holds what runs, and nothing of how it was made', async () => {
    const { stdout } = await run('tar', ['-tzf', tarball])
    const files = stdout.trim().split('\n')
    const expected = [
      'package.json',
      'README.md',
      'LICENSE',
      'bin/keyward.mjs',
      'dist/bin.js',
      'dist/bin.js.map',
      'dist/licenses.md',
      'dist/proxy/child.mjs',
      'dist/proxy/child.js',
      'dist/proxy/front-child.js',
      'dist/store/sqlite-worker.js',
      'dist/audit/taking-job.js',
      'dist/scan/threads/worker.js',
      'dist/sandbox/guest.mjs',
      'dist/workflow/temporal/workflow-bundle.cjs',
      'dist/policy/defaults/compiled.json',
      'dist/policy/defaults/roles.cedar',
      'dist/console/index.html',
      'dist/examples/leaky-shop/make.mjs',
      'dist/examples/agent-task/settle.mjs',
      'dist/examples/payments-api/server.mjs',
    ]
    assert.deepEqual(
      expected.filter((file) => !files.includes(`package/${file}`)),
      [],
    )
    assert.deepEqual(
      files.filter((file) => /\.tsx?$|\.test\.|\/test\/|tsconfig|node_modules|\/\.[^/]+$/.test(file)),
      [],
    )
  })

  await t.test(
    'holds packages that it does not ask npm for, with their licences, and no unused part of them',
    () => {
      const dist = join(repository, 'server', 'dist')
      const { dependencies } = JSON.parse(readFileSync(join(repository, 'server/package.json'), 'utf8'))
      const licences = readFileSync(join(dist, 'licenses.md'), 'utf8')
      const maps = globSync('**/*.js.map', { cwd: dist })
      const sources = new Set(
        maps.flatMap((map) => JSON.parse(readFileSync(join(dist, map), 'utf8')).sources),
      )
      const inside = [...sources].flatMap(
        (source) => /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? [],
      )
      assert.deepEqual(
        ['zod', 'fastify', 'commander'].filter((name) => !inside.includes(name)),
        [],
      )
      assert.deepEqual(
        [...new Set(inside)].filter((name) => name in dependencies || !licences.includes(`\n## ${name} `)),
        [],
      )
      assert.deepEqual(
        [...sources].filter((source) => /\/zod\/v4\/locales\/(?!en\.)/.test(source)),
        [],
      )
    },
  )

  await t.test('leaves nothing of itself in the sources', () => {
    assert.deepEqual(
      readdirSync(join(repository, 'server')).filter((name) => /^README|^LICENSE|dist\.new/.test(name)),
      [],
    )
  })

  await t.test('installs elsewhere, scans, and goes the whole way of a leaked key', async (here) => {
    const home = join(folder, 'elsewhere')
    mkdirSync(home)
    await run('npm', ['install', '--prefix', home, '--prefer-offline', '--no-audit', '--no-fund', tarball], {
      cwd: home,
    })
    const modules = join(home, 'node_modules')
    assert.ok(!existsSync(join(modules, '@keyward')), 'the contract is bundled, not a dependency')
    assert.ok(existsSync(join(modules, `node-${process.platform}-${process.arch}`)), 'it brings its own Node')

    const keyward = (...args: string[]) =>
      runToEnd(
        'npx',
        ['--prefix', home, 'keyward', ...args],
        { cwd: home, env: { PATH: process.env['PATH'] ?? '', HOME: home } },
        '',
      )
    const { version } = JSON.parse(readFileSync(join(repository, 'server/package.json'), 'utf8'))
    assert.deepEqual(await keyward('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })

    const started = await keyward('start', '--yes', '--json', '--data', 'data', '--listen', '127.0.0.1:0')
    const report = JSON.parse(started.stdout)
    here.diagnostic(report.steps.map(({ step, state }: Step) => `${step}: ${state}`).join(', '))
    assert.deepEqual([started.code, report.ok, report.run.state], [0, true, 'Succeeded'], started.stdout)

    const scanned = await keyward('scan', report.project, '--format', 'json')
    assert.equal(scanned.code, 1, 'what git still holds is found again')
    assert.ok(JSON.parse(scanned.stdout).length > 0)
  })
})

type Step = { step: string; state: string }
