import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { AppError } from '../../core/index.ts'
import { parseSettings, type Settings } from '../../scan/index.ts'

const fileName = '.keyward.toml'
const noSettings: Settings = { detectors: [], ignores: [] }

/**
 * The settings of the project that `folder` belongs to: the nearest `.keyward.toml`, upwards to the top of its
 * repository; or the file that was named.
 */
export async function readSettings(
  folder: string,
  named: { readonly file: string; readonly shown: string } | undefined,
): Promise<Settings> {
  if (named) return parseSettings(await readFile(named.file, 'utf8'), named.shown)
  for (let at = resolve(folder); ; at = dirname(at)) {
    const text = await readIfThere(join(at, fileName))
    if (text !== undefined) return parseSettings(text, join(at, fileName))
    if (dirname(at) === at || (await isTop(at))) return noSettings
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return
    throw error
  }
}

/** `.git` is a folder, or a file in a worktree of its own. */
async function isTop(folder: string): Promise<boolean> {
  try {
    await readFile(join(folder, '.git'))
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EISDIR'
  }
}

export function settingsFileOf(
  cwd: string,
  config: string | undefined,
): { file: string; shown: string } | undefined {
  if (config === '') throw new AppError('request.invalid', '--config names a file')
  return config === undefined ? undefined : { file: resolve(cwd, config), shown: config }
}
