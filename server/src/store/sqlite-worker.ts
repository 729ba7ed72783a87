// The first module of the database's other thread. Small, so that the compiled copies of all others are at hand when they load.
import { enableCompileCache } from 'node:module'
import { workerData } from 'node:worker_threads'
import type { ThreadData } from './sqlite-thread.ts'

const { file, compiled } = workerData as ThreadData
if (compiled !== undefined) enableCompileCache(compiled)
const { serveThread } = await import('./sqlite-work.ts')
serveThread(file)
