/**
 * Collects garbage once and gives free memory back to the system. Starting takes more than running does, and V8 keeps it until it
 * has been idle for long; it stops the process for as long as it takes, some 60 ms after a start. The inspector is the only
 * public way to ask V8 for it.
 */
export async function releaseMemory(): Promise<void> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  try {
    await session.post('HeapProfiler.collectGarbage')
  } finally {
    session.disconnect()
  }
}
