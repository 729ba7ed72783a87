import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mayBeMissing } from './needed.ts'

const run = promisify(execFile)

const version = '2.4.0'

/**
 * The folder with hvac, the Vault client of Python programs: the one named by KEYWARD_TEST_HVAC, or one filled once in the cache
 * folder. May be missing on a developer's machine, but not in CI.
 */
export async function hvacOrSkip(t: { skip(reason: string): void }): Promise<string | undefined> {
  try {
    return process.env['KEYWARD_TEST_HVAC'] ?? (await cachedPackages())
  } catch (error) {
    const reason = `hvac ${version} could not be installed: ${String(error).slice(0, 300)}`
    t.skip(mayBeMissing(reason))
    return undefined
  }
}

/** Packages go into a folder of their own, renamed into place, so that another test run never sees half of it. */
async function cachedPackages(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyward-tests')
  const packages = join(cache, `hvac-${version}`)
  if (!existsSync(packages)) {
    mkdirSync(cache, { recursive: true })
    const work = mkdtempSync(join(cache, 'download-'))
    try {
      const target = join(work, 'packages')
      await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', target, `hvac==${version}`])
      if (!existsSync(packages)) renameSync(target, packages)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  return packages
}

/** Runs a script of `server/test/support` with hvac, the token on standard input; resolves with what it prints. */
export function runHvac(packages: string, script: string, url: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/bin:/bin:/usr/local/bin', PYTHONPATH: packages, KEYWARD_URL: url }
    const path = join(import.meta.dirname, script)
    const child = execFile('python3', [path], { env }, (error, out, err) =>
      error ? reject(new Error(`${out}\n${err}`)) : resolve(out),
    )
    child.stdin?.end(token)
  })
}
