import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { type PlanDraft, planDraft } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Terminal } from './terminal.ts'

const mostAliases = 100

/** A plan from YAML or JSON, or from standard input where the name is `-`. Throws `run.plan_invalid` with the place. */
export async function readPlan(terminal: Pick<Terminal, 'input'>, file: string): Promise<PlanDraft> {
  const content = file === '-' ? await readText(terminal.input) : await readFile(file, 'utf8')
  const { parseDocument } = await import('yaml')
  const document = parseDocument(content, { prettyErrors: false })
  const [error] = document.errors
  if (error) {
    const line = content.slice(0, error.pos[0]).split('\n').length
    throw new AppError('run.plan_invalid', `${file}:${line}: this is not YAML (${error.code})`)
  }
  const parsed = planDraft.safeParse(document.toJS({ maxAliasCount: mostAliases }))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new AppError('run.plan_invalid', `${file}: ${issue?.path.join('.') || 'the plan'}: ${issue?.message}`)
}
