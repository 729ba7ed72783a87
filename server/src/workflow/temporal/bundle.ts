import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const fromSource = import.meta.url.endsWith('.ts')
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const beside = (name: string): string => at(`./${name}.${fromSource ? 'ts' : 'js'}`)

export const failureConverterPath = beside('failure-converter')

/** The workflow's code for the worker: what the build made, or made anew from source, which takes seconds, and kept. */
export async function workflowBundle(): Promise<{ codePath: string }> {
  const codePath = fromSource
    ? at(`../../../../node_modules/.cache/keyward/${nameNow()}`)
    : at('./workflow-bundle.cjs')
  if (!existsSync(codePath)) await bundleWorkflow(codePath)
  return { codePath }
}

/** Writes the bundle whole or not at all; `npm run build` calls it for the published package. */
export async function bundleWorkflow(file: string): Promise<void> {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker')
  const { code } = await bundleWorkflowCode({
    workflowsPath: beside('run-workflow'),
    failureConverterPath,
    logger: new DefaultLogger('ERROR'),
  })
  const half = `${file}.${process.pid}`
  await mkdir(dirname(file), { recursive: true })
  await writeFile(half, code)
  await rename(half, file)
}

function nameNow(): string {
  const digest = createHash('sha256')
  for (const name of ['run-workflow', 'failure-converter', 'shapes'])
    digest.update(readFileSync(beside(name)))
  digest.update(readFileSync(createRequire(import.meta.url).resolve('@temporalio/worker/package.json')))
  return `workflow-bundle-${digest.digest('hex').slice(0, 16)}.cjs`
}
