import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AppError, reasonOf } from '../core/index.ts'
import type { Environment } from './places.ts'

const mark = '# keyward pre-commit hook'
const hookName = 'pre-commit'
/** Where an earlier hook goes on living; ours runs it first. */
const earlierName = 'pre-commit.before-keyward'

export type HookState = { readonly path: string; readonly earlier: boolean }

type Place = {
  /** Where git looks for the hooks of this repository. */
  readonly hooks: string
  /** The repository's own folders: hooks elsewhere belong to others too. */
  readonly own: readonly string[]
}

/** As git itself finds them, with all its settings: this is the user's own repository. */
export async function findHooks(path: string, env: Environment): Promise<Place> {
  const ask = async (...what: string[]): Promise<string[]> => {
    const args = ['-C', path, 'rev-parse', '--path-format=absolute', ...what]
    const { stdout } = await promisify(execFile)('git', args, { env: { ...env } })
    return stdout.split('\n').filter((line) => line !== '')
  }
  try {
    const [common = '', hooks = ''] = await ask('--git-common-dir', '--git-path', 'hooks')
    // A bare repository has no work tree.
    const top = await ask('--show-toplevel').catch(() => [])
    return { hooks, own: [common, ...top] }
  } catch (error) {
    const [, said] = /fatal: (.*)/.exec(reasonOf(error)) ?? []
    throw new AppError('scan.path_unreadable', `${path}: git says: ${said ?? reasonOf(error)}`, {
      cause: error,
    })
  }
}

/** Puts the hook there. Its own earlier one is replaced, anybody else's is kept and runs first. */
export async function installHook(place: Place, baseline: string | undefined): Promise<HookState> {
  refuseForeign(place)
  const path = join(place.hooks, hookName)
  const earlier = join(place.hooks, earlierName)
  await mkdir(place.hooks, { recursive: true })
  const there = await readIfThere(path)
  if (there !== undefined && !there.includes(mark)) {
    if ((await readIfThere(earlier)) !== undefined)
      throw new AppError(
        'request.invalid',
        `${earlier} is there already. Put both hooks into one and remove it`,
      )
    await rename(path, earlier)
  }
  const next = `${path}.next`
  await writeFile(next, scriptOf(baseline))
  await chmod(next, 0o755)
  await rename(next, path)
  return { path, earlier: (await readIfThere(earlier)) !== undefined }
}

/** Takes the hook away and puts the earlier one back. False when there is none of ours. */
export async function uninstallHook(place: Place): Promise<HookState | undefined> {
  const path = join(place.hooks, hookName)
  const there = await readIfThere(path)
  if (!there?.includes(mark)) return
  const earlier = join(place.hooks, earlierName)
  const restored = (await readIfThere(earlier)) !== undefined
  if (restored) await rename(earlier, path)
  else await rm(path)
  return { path, earlier: restored }
}

function refuseForeign({ hooks, own }: Place): void {
  const inside = own.some((folder) => !relative(folder, hooks).startsWith('..'))
  if (inside) return
  throw new AppError(
    'request.invalid',
    `core.hooksPath of git names ${hooks}, which other repositories use too. Add to its pre-commit: keyward scan --staged`,
  )
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw error
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Runs the very Node and the very program that installed it: no look-up, no network, no wait for npx. */
function scriptOf(baseline: string | undefined): string {
  const launcher = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'keyward.mjs')
  const args = `scan --staged${baseline === undefined ? '' : ` --baseline ${quoted(baseline)}`}`
  return `#!/bin/sh
${mark}: made by "keyward hook install", removed by "keyward hook uninstall".
earlier="$(dirname "$0")/${earlierName}"
if [ -x "$earlier" ]; then
  "$earlier" "$@" || exit $?
fi
node=${quoted(process.execPath)}
keyward=${quoted(launcher)}
if [ -x "$node" ] && [ -f "$keyward" ]; then
  "$node" "$keyward" ${args}
elif command -v keyward > /dev/null; then
  keyward ${args}
else
  echo 'keyward is no longer where it was: run "keyward hook install" again, or "git commit --no-verify".' >&2
  exit 1
fi
status=$?
if [ $status -eq 1 ]; then
  echo 'keyward: not committed. Take the secret out, or see "keyward scan explain FILE:LINE".' >&2
fi
exit $status
`
}
