// The first module of a thread of a scan. Small, so that the compiled copies of all others are at hand when they load:
// without them a thread takes three times as long to start. It ends with the thread that began it.
import { enableCompileCache } from 'node:module'
import { workerData } from 'node:worker_threads'
import type { WorkerData } from './message.ts'

const data = workerData as WorkerData
if (data.compiled !== undefined) enableCompileCache(data.compiled)
const { work } = await import('./work.ts')
work(data)
