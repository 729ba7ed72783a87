// A job for the thread of the database: tells which thread that is.
import { threadId } from 'node:worker_threads'

export const job = async (): Promise<number> => threadId
