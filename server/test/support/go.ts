import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mayBeMissing } from './needed.ts'

const run = promisify(execFile)

/**
 * A Go program of `server/test/support`, built once for what its sources are now and kept in the cache folder. Go may be missing
 * on a developer's machine, but not in CI.
 */
export async function goProgramOrSkip(
  t: { skip(reason: string): void },
  name: string,
  /** Another program that its modules hold. */
  program = '.',
): Promise<string | undefined> {
  try {
    return await goProgram(name, program)
  } catch (error) {
    const reason = `the Go program ${name} could not be built: ${String(error).slice(0, 600)}`
    t.skip(mayBeMissing(reason))
    return undefined
  }
}

/** The file of the built program; rejects with Go's own words. */
export async function goProgram(name: string, wanted = '.'): Promise<string> {
  const folder = join(import.meta.dirname, name)
  const digest = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'main.go']) digest.update(readFileSync(join(folder, file)))
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyward-tests')
  const program = join(cache, `${name}-${digest.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  // Renamed into place, so that another test run never sees half of it.
  const half = `${program}.${process.pid}`
  await run('go', ['build', '-trimpath', '-mod=readonly', '-o', half, wanted], {
    cwd: folder,
    env: { ...process.env, GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
  })
  renameSync(half, program)
  return program
}

/** Runs it with the token on standard input; resolves with the lines that it prints. */
export function runGoProgram(program: string, url: string, token: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', KEYWARD_URL: url }
    const child = execFile(program, { env }, (error, out, err) =>
      error ? reject(new Error(`${out}\n${err}`)) : resolve(out.trim().split('\n')),
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(`${token}\n`)
  })
}
