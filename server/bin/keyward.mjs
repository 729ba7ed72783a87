#!/usr/bin/env node
// Starts Keyward on Node 24 or newer. On an older Node it uses the one that npm installed beside this package.
// In the repository it runs from source; in the published package from the bundle.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const oldestMajor = 24

if (Number(process.versions.node.split('.')[0]) >= oldestMajor) await startHere()
else startOnBundledNode()

async function startHere() {
  if (process.argv[2] === 'server') limitHeaps()
  // Not Node's own default below the shared /tmp: what lies in the cache is run.
  const named = process.env['XDG_CACHE_HOME']
  const cache = named && isAbsolute(named) ? named : join(homedir(), '.cache')
  nodeModule.enableCompileCache(join(cache, 'keyward', 'compiled'))
  // Where it happened, by the names of the source files and not of the bundle's.
  if (process.env['KEYWARD_DEBUG'] === '1') process.setSourceMapsEnabled(true)
  // The published package has no source; the repository may have a bundle, which is older.
  const source = new URL('../src/bin.ts', import.meta.url)
  await import((existsSync(source) ? source : new URL('../dist/bin.js', import.meta.url)).href)
}

/**
 * glibc gives threads heaps of their own, up to eight for each processor, and hardly ever gives any of that back to the system: with two, a
 * server under load is smaller by 20 MB. It asks once, when a program begins; so this one begins anew, in the same process.
 */
function limitHeaps() {
  const { env, execPath } = process
  if (process.platform !== 'linux' || env['MALLOC_ARENA_MAX'] !== undefined || process.connected) return
  const args = [execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve(execPath, args, { ...env, MALLOC_ARENA_MAX: '2' })
}

function startOnBundledNode() {
  const name = `node-${process.platform}-${process.arch}`
  const node = bundledNode(name)
  if (!node) {
    process.stderr.write(
      `keyward: this is Node ${process.versions.node}, and Keyward needs Node ${oldestMajor} or newer: ` +
        `${name}, which brings one, is not installed. Run npm install again, or install Node ${oldestMajor}.\n`,
    )
    process.exitCode = 2
    return
  }
  // A terminal sends these to its whole foreground group: the child has them already, and a second one means "at once".
  const fromTerminal = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : []
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    process.on(signal, () => {
      if (!fromTerminal.includes(signal)) child.kill(signal)
    })
  }
  // Only now: it may run, and be known to others, before spawn returns.
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  child.once('error', (error) => {
    process.stderr.write(`keyward: ${node} cannot be started (${error.code}). Run npm install again.\n`)
    process.exitCode = 2
  })
  child.once('exit', (code, signal) => {
    if (!signal) {
      process.exitCode = code ?? 1
      return
    }
    // Ends as the child did, so that a shell sees the same.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function bundledNode(name) {
  try {
    return nodeModule.createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch {
    return
  }
}
