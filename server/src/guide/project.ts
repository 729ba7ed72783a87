import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError, reasonOf } from '../core/index.ts'

/** The examples lie beside the compiled server in the published package, and at the top of the repository. */
export function exampleFolder(name: string): string {
  const source = import.meta.url.endsWith('.ts')
  return fileURLToPath(new URL(source ? `../../../examples/${name}` : `../examples/${name}`, import.meta.url))
}

/** The leaky shop, made anew in the data folder, so that a second first run finds what the first one found. */
export async function makeExample(dataDir: string): Promise<string> {
  const folder = join(dataDir, 'example', 'leaky-shop')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  try {
    const { makeLeakyShop } = (await import(join(exampleFolder('leaky-shop'), 'make.mjs'))) as {
      makeLeakyShop(target: string): { history: boolean }
    }
    makeLeakyShop(folder)
  } catch (error) {
    throw new AppError(
      'scan.path_unreadable',
      `the example project could not be made in ${folder}: ${reasonOf(error)}`,
    )
  }
  return folder
}

/** A copy that other users may read: the sandbox of an ordinary user's server copies it in under another identity. */
export async function copyTask(dataDir: string): Promise<string> {
  const folder = join(dataDir, 'example', 'agent-task')
  await rm(folder, { recursive: true, force: true })
  await cp(exampleFolder('agent-task'), folder, { recursive: true })
  return folder
}
