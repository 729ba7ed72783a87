import type { Log } from '../core/index.ts'
import type { Happening } from './happenings.ts'

/** A line for each run that begins and ends, each attempt that ends and each approval that is answered. */
export function logHappening(log: Pick<Log, 'info'>, happening: Happening): void {
  const { kind, at, ...said } = happening
  const { startedAt = null, ...fields } = 'startedAt' in said ? said : { ...said, startedAt: null }
  const took = startedAt === null ? {} : { seconds: (at - startedAt) / 1000 }
  log.info({ ...fields, ...took }, messages[kind])
}

const messages: Readonly<Record<Happening['kind'], string>> = {
  'run-started': 'a run began',
  'run-finished': 'a run ended',
  'task-finished': 'a task ended an attempt',
  'approval-ended': 'an approval ended',
  'model-asked': 'a language model was asked for a plan',
}
