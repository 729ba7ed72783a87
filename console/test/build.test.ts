// OPS-1: the console is there right after `npm ci`, built once, from any Node that npm runs on.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const assets = join(repository, 'console/dist/assets')

/** The console and the contract in a folder of their own. */
function copyOfSources(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-console-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const wanted = (path: string): boolean => !/\/(dist|node_modules|test)$/.test(path)
  cpSync(join(repository, 'console'), join(folder, 'console'), { recursive: true, filter: wanted })
  cpSync(join(repository, 'contract'), join(folder, 'contract'), { recursive: true, filter: wanted })
  return folder
}

function prepare(folder: string, ...flags: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, 'console/prepare.mjs'), ...flags],
    {
      encoding: 'utf8',
    },
  )
  return { status, stdout, stderr }
}

describe('OPS-1: prepare', () => {
  test('builds once, stays silent while nothing changes, and builds again when a source does', (t) => {
    const folder = copyOfSources(t)
    symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
    assert.equal(prepare(folder, '--check').status, 1)
    assert.deepEqual(prepare(folder), { status: 0, stdout: 'console: built\n', stderr: '' })
    assert.ok(existsSync(join(folder, 'console/dist/index.html')))
    const builtAt = statSync(join(folder, 'console/dist/index.html')).mtimeMs
    assert.deepEqual(prepare(folder), { status: 0, stdout: '', stderr: '' })
    assert.equal(statSync(join(folder, 'console/dist/index.html')).mtimeMs, builtAt)
    appendFileSync(join(folder, 'contract/src/errors.ts'), '\n')
    assert.equal(prepare(folder).stdout, 'console: built\n')
    writeFileSync(join(folder, 'console/src/main.tsx'), 'import { gone } from "./gone.ts"\ngone()\n')
    const failed = prepare(folder)
    assert.equal(failed.status, 1)
    assert.match(failed.stderr, /console: not ready: [\s\S]*gone/)
    assert.equal(prepare(folder, '--check').status, 1)
  })

  test('without development dependencies it says so in one line and does not fail', (t) => {
    const { status, stdout } = prepare(copyOfSources(t))
    assert.equal(status, 0)
    assert.match(stdout, /^console: not built, because .*\n$/)
  })
})

describe('UI-1: what the browser downloads', () => {
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'))
  const sizeOf = (names: string[]): number =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0)

  test('the first page needs less than 200 kB of script, all pages together less than 330 kB', () => {
    const html = readFileSync(join(assets, '../index.html'), 'utf8')
    const first = scripts.filter((name) => html.includes(name))
    assert.ok(first.length > 0)
    assert.ok(sizeOf(first) < 200_000, `${sizeOf(first)} bytes at first`)
    assert.ok(sizeOf(scripts) < 330_000, `${sizeOf(scripts)} bytes in all`)
  })

  test('the validator stays on the server', () => {
    for (const name of scripts)
      assert.doesNotMatch(readFileSync(join(assets, name), 'utf8'), /ZodError|invalid_type/)
  })

  test('no script or style stands in the page itself', () => {
    const html = readFileSync(join(assets, '../index.html'), 'utf8')
    assert.doesNotMatch(html, /<style|style=|<script(?![^>]*src=)|\son\w+=/)
  })
})
